from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import pythons


def _fake(folder: Path, name: str, printed: str, status: int = 0) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {printed}\nexit {status}\n")
    path.chmod(0o755)
    return path


def test_the_newest_finished_release_that_runs_is_taken(tmp_path: Path) -> None:
    older = _fake(tmp_path, "python3.12", "3 12 final")
    newer = _fake(tmp_path, "python3.13", "3 13 final")
    _fake(tmp_path, "python3.14", "3 14 candidate")
    _fake(tmp_path, "python3.15", "", status=127)
    everything = [*tmp_path.iterdir(), tmp_path / "python3.16"]
    assert pythons.newest(everything, (3, 11)) == ((3, 13), newer)
    assert pythons.newest([older], (3, 11)) == ((3, 12), older)
    assert pythons.newest(everything, (3, 13)) is None


def test_interpreters_are_looked_for_on_the_path_and_in_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyenv = tmp_path / "pyenv" / "versions" / "3.13.0" / "bin"
    pyenv.mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    expected = [_fake(tmp_path, "python3.12", ""), _fake(pyenv, "python", "")]
    _fake(tmp_path, "python3-config", "")
    _fake(tmp_path, "python3.12-config", "")
    assert pythons.candidates() == expected


def test_the_environment_is_made_once_and_again_for_other_requirements(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    folder = tmp_path / "venv"
    python = pythons.environment(Path(sys.executable), folder, requirements)
    (folder / "kept").touch()
    assert pythons.environment(Path(sys.executable), folder, requirements) == python
    assert python.exists()
    assert (folder / "kept").exists()
    requirements.write_text("# others\n")
    pythons.environment(Path(sys.executable), folder, requirements)
    assert not (folder / "kept").exists()
