from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

import pytest

from tools import debian, newest, packages
from tools.packages import MissingProgram, ensure_programs, find_program, unpack_program
from tools.processes import free_port

needs_apt = pytest.mark.skipif(not debian.available(), reason="unpacks packages of Debian and Ubuntu")


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "_SYSTEM_FOLDERS", (str(tmp_path),))


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_every_program_is_found_or_unpacked_and_starts(programs: dict[str, Path]) -> None:
    for name, path in programs.items():
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        word = "alertmanager" if name == "alertmanager" else name
        assert f"{word}, version" in done.stdout + done.stderr


@pytest.mark.usefixtures("nothing_installed")
def test_the_path_comes_before_what_was_unpacked(tmp_path: Path) -> None:
    tools_dir = tmp_path / "tools"
    assert find_program("alertmanager", tools_dir=tools_dir) is None
    unpacked = executable(tools_dir / "packages/prometheus-alertmanager/usr/bin/prometheus-alertmanager")
    assert find_program("alertmanager", tools_dir=tools_dir) == unpacked
    installed = executable(tmp_path / "prometheus-alertmanager")
    assert find_program("alertmanager", tools_dir=tools_dir) == installed
    own_name = executable(tmp_path / "alertmanager")
    assert find_program("alertmanager", tools_dir=tools_dir) == own_name


@pytest.mark.usefixtures("nothing_installed")
def test_a_machine_without_apt_reports_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingProgram) as caught:
        ensure_programs(["prometheus", "amtool"], tools_dir=tmp_path / "tools")
    assert caught.value.names == ("prometheus", "amtool")
    assert str(caught.value) == (
        f"prometheus and amtool not found: neither on PATH nor in {tmp_path}, and the distribution's package could "
        "not be unpacked into .tools/:\n"
        "  this machine has no apt-get and dpkg\n"
        "Install it (Debian, Ubuntu: apt-get install prometheus prometheus-alertmanager), or put on PATH what "
        "https://prometheus.io/download/#alertmanager and https://prometheus.io/download/#prometheus offers."
    )


@needs_apt
def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_program", lambda name, tools_dir: None)
    (tmp_path / "file").touch()
    with pytest.raises(MissingProgram, match="Not a directory"):
        ensure_programs(["prometheus"], tools_dir=tmp_path / "file" / "tools")


@needs_apt
@pytest.mark.parametrize(("name", "file"), [("prometheus", "web"), ("alertmanager", "alertmanager/default.tmpl")])
def test_an_unpacked_program_reads_its_files_from_where_it_was_unpacked(name: str, file: str, tmp_path: Path) -> None:
    unpacked = unpack_program(name, tmp_path / "tools")
    # Moved, to show that nothing depends on the folder it was first unpacked into.
    (tmp_path / "tools").rename(tmp_path / "moved")
    path = tmp_path / "moved" / unpacked.relative_to(tmp_path / "tools")
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    assert f"{name}, version" in done.stdout + done.stderr

    real = path.with_name(f".{path.name}.real")
    if not real.exists():
        pytest.skip("this distribution's build carries its files within itself")
    assert b"/usr/share/prometheus/" not in real.read_bytes()
    # What stands in for that path in the program leads into the unpacked tree.
    command = path.read_text().replace('exec "$here"/', f"exec test -e /proc/self/fd/9///////{file} #")
    subprocess.run(["sh", "-c", command, str(path)], check=True)


@needs_apt
def test_libraries_that_the_machine_lacks_come_with_a_program_and_those_that_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = debian.installed() - {"libgcc-s1", "libnuma1", "libstdc++6"}
    monkeypatch.setattr(debian, "installed", lambda: bare)
    program = unpack_program("mariadbd", tmp_path)
    assert "MariaDB" in subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    command = program.read_text().replace('exec "$here"/', "exec ldd $here/")
    linked = subprocess.run(["sh", "-c", command, str(program)], capture_output=True, text=True, check=True).stdout
    places = dict(re.findall(r"(\S+)\.so\S* => (\S+)", linked))
    own = {name for name, place in places.items() if Path(place).is_relative_to(tmp_path)}
    # The last is needed by libstdc++, and older suites have it beside /usr.
    assert own >= {"libnuma", "libstdc++", "libgcc_s"}
    assert "libc" not in own


@needs_apt
@pytest.mark.skipif(
    platform.freedesktop_os_release().get("ID") != "debian", reason="another distribution has no mirror of Debian"
)
def test_a_package_of_another_suite_is_unpacked_and_the_machines_own_stay_as_they_are(tmp_path: Path) -> None:
    debian.unpack(["hello"], tmp_path / "newest", tools_dir=tmp_path / "tools", suite="sid")
    debian.unpack(["hello"], tmp_path / "own", tools_dir=tmp_path / "tools")
    versions = [
        subprocess.run([tmp_path / tree / "usr/bin/hello", "--version"], capture_output=True, text=True, check=True)
        for tree in ("newest", "own")
    ]
    assert all(done.stdout.startswith("hello (GNU Hello)") for done in versions)
    assert (tmp_path / "tools/apt/sid/sources.list").read_text().endswith(" sid main\n")


@needs_apt
def test_a_mirror_that_cannot_be_reached_is_named_and_not_only_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = f"127.0.0.1:{free_port()}"
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://{proxy}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(debian.AptError, match=rf"Failed to fetch .+ {proxy}"):
        debian.unpack(["hello"], tmp_path / "own", tools_dir=tmp_path / "tools")


def test_the_newest_programs_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "suites" / "sid"
    folder.mkdir(parents=True)
    # Without apt nothing could be fetched.
    monkeypatch.setenv("PATH", str(tmp_path))
    assert newest.unpack(tools_dir=tmp_path) == folder / "usr" / "bin"
    with pytest.raises(debian.AptError, match="no apt-get"):
        newest.unpack(tools_dir=tmp_path, afresh=True)
