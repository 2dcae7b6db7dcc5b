"""What a message tells to type works when it is pasted where the message was seen."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ml_monitoring.exporter import command_line, version
from tests.support.shell import COMMAND
from tools.stack import ROOT


def _shell(command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_dashboards_that_are_not_there_are_written_by_the_command_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken")
    folder = tmp_path / "with a space"
    push = f"{COMMAND} dashboards push --url http://127.0.0.1:1 --token-file {tmp_path}/token --dashboards '{folder}'"
    said = _shell(push)
    hint = re.fullmatch(rf"error: {folder}: no dashboards; write them with: (.*)\n", said.stderr)
    assert hint, said.stderr
    pasted = _shell(hint[1])
    assert pasted.returncode == 0, pasted.stderr
    assert _shell(push).stderr == (
        "error: http://127.0.0.1:1 cannot be reached: Connection refused: does it run there, and on this port?\n"
    )


def test_the_environment_is_made_by_the_command_that_is_said(tmp_path: Path) -> None:
    (hint,) = re.findall(r"`([^`]+)`", command_line.how_to_make_environment())
    # Told only: another run may be making it.
    done = _shell(hint.replace("make ", "make --dry-run "), tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-2 if "Leaving" in done.stdout else -1]) == (
        0,
        "python3 -m tools.bootstrap",
    )


def test_a_command_is_spelled_as_the_program_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / version.NAME
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    words = ("alerts", "maintenance-end", "--alertmanager", "http://a b")
    typed = "alerts maintenance-end --alertmanager 'http://a b'"
    monkeypatch.setattr(sys, "argv", [str(script)])
    # Of an environment that was not activated.
    assert command_line.spelled(*words) == f"{script} {typed}"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin")
    assert command_line.spelled(*words) == f"ml-monitoring {typed}"
    monkeypatch.setattr(sys, "argv", [str(ROOT / "alerting" / "__main__.py")])
    monkeypatch.setattr(sys, "executable", str(ROOT / ".venv" / "bin" / "python"))
    monkeypatch.chdir(ROOT)
    assert command_line.spelled(*words) == f".venv/bin/python -m ml_monitoring {typed}"
    monkeypatch.chdir(tmp_path)
    assert command_line.spelled(*words) == f"{shlex.quote(str(ROOT / '.venv/bin/python'))} -m ml_monitoring {typed}"
