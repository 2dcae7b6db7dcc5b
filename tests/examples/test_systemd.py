"""The units for systemd: what systemd says about them, and whether the commands take what they pass."""

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

from ml_monitoring.cli import new_parser
from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.init import files
from ml_monitoring.exporter.init.answers import Answers
from ml_monitoring.exporter.init.text import text
from ml_monitoring.exporter.web_config import WebConfig
from tests.exporter.test_web_config import make_certificate
from tests.support.doc_blocks import blocks_of
from tools.stack import ROOT

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "systemd"
EXPORTER, ALERT_LOG = UNITS = (FOLDER / "ml-monitoring.service", FOLDER / "ml-monitoring-alertlog.service")
each_unit = pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd is not on this machine")


def setting(path: Path, name: str) -> str:
    unit = configparser.RawConfigParser(strict=False)
    unit.read(path, encoding="utf-8")
    return unit["Service"][name]


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False)


def test_all_units_are_tested() -> None:
    assert sorted(UNITS) == sorted(FOLDER.glob("*.service"))


@needs_systemd
@each_unit
def test_systemd_finds_no_fault_in_a_unit(unit: Path, tmp_path: Path) -> None:
    # The command is not installed here, so that another stands in its place.
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text(encoding="utf-8").replace("/opt/ml-monitoring/bin/ml-monitoring", sys.executable))
    done = analyze("verify", copy)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@each_unit
def test_a_service_is_hardly_exposed(unit: Path) -> None:
    overall = re.search(r"Overall exposure level .*: ([0-9.]+) ", analyze("security", "--offline=yes", unit).stdout)
    assert overall is not None
    assert float(overall[1]) < 2


def test_the_exporter_accepts_the_units_command_and_environment(tmp_path: Path) -> None:
    settings, credential = tmp_path / "ml-monitoring.yml", tmp_path / "mlflow_uri"
    settings.write_text("sources: {mlflow: {}}\n")
    credential.write_text("postgresql://reader:s3cret@db.example/mlflow\n")
    _command, serve, *flags = shlex.split(setting(EXPORTER, "ExecStart"))
    assert serve == "serve"
    flags = [flag.replace("/etc/ml-monitoring/ml-monitoring.yml", str(settings)) for flag in flags]
    variable, value = setting(EXPORTER, "Environment").split("=", 1)
    assert setting(EXPORTER, "LoadCredential").partition(":")[0] == value.removeprefix("%d/")
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


def test_the_exporter_reads_what_init_writes_below_etc(tmp_path: Path) -> None:
    # The folder of credentials is where the unit's variable points; nothing else of /etc can be read by the service.
    (tmp_path / "mlflow_uri").write_text("sqlite:////data/mlflow.db\n")
    settings = tmp_path / "ml-monitoring.yml"
    kept = files.reference(Path("/etc/ml-monitoring/mlflow_uri"))
    settings.write_text(text(Answers(mlflow="postgresql://u:p@h/d"), {"mlflow": kept}), encoding="utf-8")
    variable, value = setting(EXPORTER, "Environment").split("=", 1)
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    without = load(settings, credentials)
    assert load(settings, {**credentials, variable: value.replace("%d", str(tmp_path))}) == without


def test_the_alert_log_starts_with_the_units_flags(tmp_path: Path) -> None:
    (tmp_path / "alertlog_token").write_text("s3cret\n")
    _command, *arguments = shlex.split(setting(ALERT_LOG, "ExecStart"))
    places = {"STATE_DIRECTORY": tmp_path / "state", "CREDENTIALS_DIRECTORY": tmp_path}
    assert setting(ALERT_LOG, "LoadCredential").partition(":")[0] == "alertlog_token"
    for name, path in places.items():
        arguments = [argument.replace(f"${{{name}}}", str(path)) for argument in arguments]
    options = new_parser("ml-monitoring", complete=True).parse_args(arguments)
    assert (options.directory, options.token_file) == (tmp_path / "state", tmp_path / "alertlog_token")
    assert options.token_file.is_file()


def test_the_alert_log_speaks_tls_with_the_drop_in_of_the_page(tmp_path: Path) -> None:
    found = {
        each.language: each.text for each in blocks_of(ROOT / "docs" / "install.md") if "alertlog_key" in each.text
    }
    drop_in = found["ini"].replace("\\\n", "")
    unit = configparser.RawConfigParser(strict=False)
    unit.read_string(drop_in)
    _command, *arguments = shlex.split(unit["Service"]["ExecStart"])
    options = new_parser("ml-monitoring", complete=True).parse_args(arguments)
    credential, source = unit["Service"]["LoadCredential"].split(":")
    assert options.web_config == Path("/etc/ml-monitoring/alertlog-web.yml")
    assert f"# {options.web_config}\n" in found["yaml"]
    # Its files, where systemd puts them, are a certificate and its key.
    make_certificate(tmp_path, "alert log")
    places = {
        "/etc/ml-monitoring/alertlog.crt": "tls.crt",
        f"/run/credentials/{ALERT_LOG.name}/{credential}": "tls.key",
    }
    web = found["yaml"]
    for path, name in places.items():
        assert path in web
        web = web.replace(path, str(tmp_path / name))
    (tmp_path / "web.yml").write_text(web, encoding="utf-8")
    assert WebConfig(tmp_path / "web.yml").tls is not None
    assert source == "/etc/ml-monitoring/alertlog.key"
