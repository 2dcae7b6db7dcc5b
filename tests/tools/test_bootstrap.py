from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import bootstrap, debian
from tools.stack import ROOT


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("# nothing\n")
    return path


def test_makes_an_environment_once(requirements: Path, tmp_path: Path) -> None:
    venv, tools_dir = tmp_path / "venv", tmp_path / "tools"
    assert bootstrap.ensure(venv, requirements, tools_dir)
    subprocess.run([venv / "bin" / "python", "-m", "pip", "--version"], check=True, capture_output=True)
    assert not bootstrap.ensure(venv, requirements, tools_dir)


def test_changed_requirements_recreate_it(requirements: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    python = venv / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (venv / bootstrap.STAMP).write_text(bootstrap.fingerprint(requirements, venv) + "\n")
    assert bootstrap.is_current(venv, bootstrap.fingerprint(requirements, venv))
    requirements.write_text("# something\n")
    assert not bootstrap.is_current(venv, bootstrap.fingerprint(requirements, venv))


def test_an_environment_that_was_moved_is_not_current(requirements: Path, tmp_path: Path) -> None:
    venv, moved = tmp_path / "venv", tmp_path / "moved"
    bootstrap.ensure(venv, requirements, tmp_path / "tools")
    venv.rename(moved)
    assert not bootstrap.is_current(moved, bootstrap.fingerprint(requirements, moved))


def test_an_environment_whose_python_is_gone_is_not_current(requirements: Path, tmp_path: Path) -> None:
    (tmp_path / bootstrap.STAMP).write_text(bootstrap.fingerprint(requirements, tmp_path))
    assert not bootstrap.is_current(tmp_path, bootstrap.fingerprint(requirements, tmp_path))


def test_a_failed_installation_is_reported_and_tried_again_the_next_time(
    requirements: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    requirements.write_text("./no-such-folder\n")
    arguments = [f"--venv={tmp_path / 'venv'}", f"--requirements={requirements}", f"--tools-dir={tmp_path / 'tools'}"]
    assert bootstrap.main(arguments) == 1
    output = capfd.readouterr()
    assert output.err.splitlines()[-1] == "bootstrap: pip install failed with status 1; its output is above"
    assert ">> installing requirements.txt into venv" in output.out
    assert not bootstrap.is_current(tmp_path / "venv", bootstrap.fingerprint(requirements, tmp_path / "venv"))


@pytest.mark.skipif(not debian.available(), reason="unpacks a package of Debian and Ubuntu")
def test_a_python_without_ensurepip_gets_pip_from_the_distributions_package(
    requirements: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    venv = tmp_path / "venv"
    assert bootstrap.ensure(venv, requirements, tmp_path / "tools")
    done = subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "--version"], check=True, capture_output=True, text=True
    )
    assert str(venv) in done.stdout


def test_needs_nothing_that_is_not_in_the_standard_library() -> None:
    # -I and -S: neither the environment nor installed packages.
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import tools.bootstrap",
    ]
    subprocess.run(command, check=True, cwd="/", capture_output=True)


def test_the_folder_behind_a_link_is_never_emptied(requirements: Path, tmp_path: Path) -> None:
    shared, link = tmp_path / "shared", tmp_path / "link"
    shared.mkdir()
    (shared / "used by others").touch()
    link.symlink_to(shared)
    with pytest.raises(bootstrap.BootstrapError, match="is a link to"):
        bootstrap.ensure(link, requirements, tmp_path / "tools")
    assert [path.name for path in shared.iterdir()] == ["used by others"]


def test_says_how_far_an_installation_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Three packages of this machine's own making: found one after the other, then unpacked."""
    lines = []
    for name in ("one", "two", "three"):
        wheel = _wheel(tmp_path, name)
        lines.append(f"{name}==1 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"--no-index --find-links={tmp_path}\n" + "".join(lines))
    assert bootstrap.ensure(tmp_path / "venv", requirements, tmp_path / "tools")
    # Whether pip itself had to be unpacked is the machine's business.
    said = [line for line in capfd.readouterr().out.splitlines() if "packages" in line or "unpacking them" in line]
    assert said == [f">> {n} of 3 packages found" for n in (1, 2, 3)] + [">> unpacking them (half a minute)"]


def _wheel(folder: Path, name: str) -> Path:
    """Write the smallest wheel that pip takes."""
    path = folder / f"{name}-1-py3-none-any.whl"
    information = f"{name}-1.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")
    return path
