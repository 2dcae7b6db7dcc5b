"""The unit for systemd: what systemd says about it, and whether the command takes what it passes."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "examples" / "systemd" / "ml-monitoring.service"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd is not on this machine")


def setting(name: str) -> str:
    unit = configparser.RawConfigParser(strict=False)
    unit.read(UNIT, encoding="utf-8")
    return unit["Service"][name]


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False)


@needs_systemd
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    # The command is not installed here, so that another stands in its place.
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/ml-monitoring/bin/ml-monitoring", sys.executable))
    done = analyze("verify", copy)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_service_is_hardly_exposed() -> None:
    overall = re.search(r"Overall exposure level .*: ([0-9.]+) ", analyze("security", "--offline=yes", UNIT).stdout)
    assert overall is not None
    assert float(overall[1]) < 2


def test_the_exporter_accepts_the_units_command_and_environment(tmp_path: Path) -> None:
    settings, credential = tmp_path / "ml-monitoring.yml", tmp_path / "mlflow_uri"
    settings.write_text("sources: {mlflow: {}}\n")
    credential.write_text("postgresql://reader:s3cret@db.example/mlflow\n")
    _command, serve, *flags = shlex.split(setting("ExecStart"))
    assert serve == "serve"
    flags = [flag.replace("/etc/ml-monitoring/ml-monitoring.yml", str(settings)) for flag in flags]
    variable, value = setting("Environment").split("=", 1)
    assert setting("LoadCredential").partition(":")[0] == value.removeprefix("%d/")
    done = subprocess.run(
        [sys.executable, "-m", "ml_monitoring", "check", "--syntax-only", *flags],
        env={**os.environ, variable: str(credential)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert str(settings) in done.stdout
    assert "s3cret" not in done.stdout
