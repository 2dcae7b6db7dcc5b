"""Releases: what is refused, and what one consists of, built from a clone of this repository."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support import helm
from tools.release import archives, versions
from tools.release.cli import main
from tools.stack import ROOT

VERSION = "9.8.7"
GPG = shutil.which("gpg")
AUTHOR = ("-c", "user.name=Releaser", "-c", "user.email=releaser@ml-monitoring.example")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *AUTHOR, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def today() -> str:
    return str(datetime.now(UTC).date())


def copy(folder: Path, *, of: Path = ROOT) -> Path:
    git(of, "clone", "--quiet", "--no-tags", str(of), str(folder))
    for name, value in (("user.name", "Releaser"), ("user.email", "releaser@ml-monitoring.example")):
        git(folder, "config", name, value)
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a clone whose version was prepared and committed."""
    clone = copy(tmp_path_factory.mktemp("prepared") / "clone")
    changelog = clone / versions.CHANGELOG
    text = changelog.read_text(encoding="utf-8")
    if not versions.notes(clone, versions.UNRELEASED):
        changelog.write_text(text.replace("\n## ", "\n## Unreleased\n\n- A change.\n\n## ", 1), encoding="utf-8")
    assert main([VERSION, "--prepare", "--source", str(clone)]) == 0
    git(clone, "commit", "--quiet", "--all", "--message", f"Release {VERSION}")
    return clone


@pytest.fixture
def clone(prepared: Path, tmp_path: Path) -> Path:
    return copy(tmp_path / "clone", of=prepared)


@pytest.fixture(scope="module")
def key() -> Iterator[str]:
    """Give the fingerprint of a new key in a key ring of its own."""
    if GPG is None:
        pytest.skip("GnuPG is not on this machine")
    # A short path, as its agent listens on a socket in it.
    home = Path(tempfile.mkdtemp(prefix="gpg-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GNUPGHOME", str(home))
        flags = ["--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
        subprocess.run([GPG, *flags, "--quick-gen-key", "Releaser", "ed25519", "sign", "1d"], check=True)
        listed = subprocess.run([GPG, "--with-colons", "--list-keys"], capture_output=True, text=True, check=True)
        yield next(line.split(":")[9] for line in listed.stdout.splitlines() if line.startswith("fpr:"))
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False)
    # The agent, as it ends, removes sockets from it at the same time.
    shutil.rmtree(home, ignore_errors=True)


def release(clone: Path, *arguments: str, version: str = VERSION) -> int:
    return main([version, "--source", str(clone), *arguments])


def test_preparing_writes_the_version_and_the_day_where_they_stand(prepared: Path) -> None:
    said = list(versions.stated(prepared))
    assert {path.as_posix() for path, _version in said} >= {
        "exporter/__init__.py",
        "instrument/pyproject.toml",
        "docker/exporter.Dockerfile",
        "docker/demo.Dockerfile",
        "docker/docker-bake.hcl",
        "k8s/base/exporter-deployment.yaml",
    }
    assert {version for _path, version in said} == {VERSION}
    assert versions.dated(prepared, VERSION) == today()
    changed = git(prepared, "show", "--name-only", "--format=", "HEAD").splitlines()
    # No version of anything else is in these lines.
    removed = [
        line
        for line in git(prepared, "show", "--unified=0", "--format=", "HEAD").splitlines()
        if line.startswith("-") and not line.startswith("---")
    ]
    assert len(removed) >= len(changed)


def test_this_repository_says_one_version() -> None:
    (version,) = {version for _path, version in versions.stated(ROOT)}
    # What is not released has another version than what was: an installer would leave the old one in place.
    assert versions.is_development(version) or not versions.notes(ROOT, versions.UNRELEASED)


def test_after_a_release_comes_the_next_version_before_it(clone: Path) -> None:
    assert main(["9.9.0.dev0", "--prepare", "--source", str(clone)]) == 0
    assert {version for _path, version in versions.stated(clone)} == {"9.9.0.dev0"}
    chart = (clone / "k8s/chart/ml-monitoring/Chart.yaml").read_text(encoding="utf-8").splitlines()
    assert {"version: 9.9.0-dev.0", "appVersion: 9.9.0.dev0"} <= set(chart)
    text = (clone / versions.CHANGELOG).read_text(encoding="utf-8")
    assert f"\n## Unreleased\n\n## {VERSION} - {today()}\n" in text
    # Once, and what is in it stays.
    assert main(["9.9.0.dev1", "--prepare", "--source", str(clone)]) == 0
    assert (clone / versions.CHANGELOG).read_text(encoding="utf-8") == text
    # It is no release.
    git(clone, "commit", "--quiet", "--all", "--message", "Next")
    assert release(clone, version="9.9.0.dev1") == 1


def dirty(clone: Path) -> str:
    (clone / "README.md").write_text("changed", encoding="utf-8")
    (clone / "new.txt").touch()
    return "the tree is not clean: commit or remove README.md, new.txt"


def without_entry(clone: Path) -> str:
    path = clone / versions.CHANGELOG
    path.write_text(path.read_text(encoding="utf-8").replace(f"## {VERSION} - ", f"## {VERSION}1 - "), encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", "Without")
    return f"CHANGELOG.md: has no `## {VERSION} - {today()}`: make release-prepare VERSION={VERSION}"


def of_another_day(clone: Path) -> str:
    path = clone / versions.CHANGELOG
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f"## {VERSION} - {today()}", f"## {VERSION} - 2020-01-01"), encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", "Another day")
    return f"CHANGELOG.md: says that {VERSION} is of 2020-01-01, and today is {today()}"


def without_notes(clone: Path) -> str:
    path = clone / versions.CHANGELOG
    notes = versions.notes(clone, VERSION)
    path.write_text(path.read_text(encoding="utf-8").replace(f"{notes}\n", ""), encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", "Without notes")
    return f"CHANGELOG.md: says nothing about {VERSION}"


def tagged(clone: Path) -> str:
    git(clone, "tag", f"v{VERSION}")
    return f"the tag v{VERSION} exists: a release is never made twice; choose the next version"


def of_another_version(clone: Path) -> str:
    path = clone / "instrument" / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(f'"{VERSION}"', '"9.8.6"'), encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", "Another version")
    return f"instrument/pyproject.toml: says 9.8.6: make release-prepare VERSION={VERSION}"


def of_no_version(clone: Path) -> str:
    (clone / "docker" / "demo.Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", "No version")
    return "docker/demo.Dockerfile: says no version"


FAULTS = [dirty, without_entry, of_another_day, without_notes, tagged, of_another_version, of_no_version]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.__name__ for fault in FAULTS])
def test_what_is_not_fit_is_refused_before_anything_is_built(
    clone: Path, fault: Callable[[Path], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tags = [] if fault is not tagged else [f"v{VERSION}"]
    message = fault(clone)
    assert release(clone, "--output-dir", str(tmp_path / "out")) == 1
    assert capsys.readouterr() == ("", f"error: {message}\n")
    assert not (tmp_path / "out").exists()
    assert git(clone, "tag", "--list").splitlines() == tags


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.3", "1.2.3rc1", "01.2.3", "1.2.3\n", "1.2.3; echo"])
@pytest.mark.parametrize("arguments", [(), ("--prepare",)], ids=["release", "prepare"])
def test_what_is_no_version_is_refused(
    prepared: Path, version: str, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert release(prepared, *arguments, version=version) == 1
    assert capsys.readouterr().err == f"error: VERSION={version}: is no version like 1.2.0\n"
    assert git(prepared, "status", "--porcelain") == ""


@pytest.mark.parametrize("version", ["9.8.6", "9.8.7.dev3", "1.20.30", "9.8.7"])
def test_a_version_that_is_no_later_one_is_not_prepared(
    prepared: Path, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release(prepared, "--prepare", version=version) == 1
    why = (
        "CHANGELOG.md has it already; choose the next version"
        if version == VERSION
        else f"comes before {VERSION}, which this checkout is"
    )
    assert capsys.readouterr().err == f"error: VERSION={version}: {why}\n"
    assert git(prepared, "status", "--porcelain") == ""


def test_nothing_is_prepared_where_nothing_is_unreleased(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release(clone, "--prepare", version="9.9.9") == 1
    assert capsys.readouterr().err == "error: CHANGELOG.md: has nothing below ## Unreleased\n"
    assert git(clone, "status", "--porcelain") == ""


def test_a_release_is_whole_signed_and_the_same_each_time(
    clone: Path, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(helm.program().parent), prepend=os.pathsep)
    dry, real = tmp_path / "dry", tmp_path / "real"
    assert release(clone, "--dry-run", "--output-dir", str(dry)) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.endswith(f"what v{VERSION} would consist of; no tag is set\n")
    assert git(clone, "tag", "--list") == ""
    # What git ignores is in the way of no build, and in none.
    (clone / "dist").mkdir()
    (clone / "exporter" / "__pycache__").mkdir()
    (clone / "exporter" / "__pycache__" / "stray.pyc").touch()
    assert release(clone, "--sign-key", key, "--output-dir", str(real)) == 0, capsys.readouterr().err

    sums = (real / "SHA256SUMS").read_text(encoding="ascii")
    assert (dry / "SHA256SUMS").read_text(encoding="ascii") == sums
    names = [line.split()[1] for line in sums.splitlines()]
    expected = {
        f"ml_monitoring-{VERSION}-py3-none-any.whl",
        f"ml_monitoring-{VERSION}.tar.gz",
        f"ml_monitoring_instrument-{VERSION}-py3-none-any.whl",
        f"ml_monitoring_instrument-{VERSION}.tar.gz",
        f"ml-monitoring-dashboards-{VERSION}.tar.gz",
        *(f"{path.parent.name}-{VERSION}.tgz" for path in clone.glob("k8s/chart/*/Chart.yaml")),
        *([f"ml-monitoring-mixin-{VERSION}.tar.gz"] if (clone / "mixin").is_dir() else []),
    }
    assert set(names) == expected
    assert {path.name for path in real.iterdir()} == {*names, "SHA256SUMS", "SHA256SUMS.asc"}
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=real, check=True)
    subprocess.run(["gpg", "--verify", str(real / "SHA256SUMS.asc")], check=True, capture_output=True)
    git(clone, "tag", "--verify", f"v{VERSION}")
    assert versions.notes(clone, VERSION).splitlines()[-1] in git(clone, "tag", "--list", "--format=%(contents)")

    revision = git(clone, "rev-parse", "HEAD")
    with zipfile.ZipFile(real / f"ml_monitoring-{VERSION}-py3-none-any.whl") as wheel:
        assert wheel.read("ml_monitoring/exporter/REVISION").decode() == revision
        assert not [name for name in wheel.namelist() if "__pycache__" in name]
    with tarfile.open(real / f"ml-monitoring-dashboards-{VERSION}.tar.gz") as archive:
        pages = {Path(member.name).stem: json.load(file) for member in archive if (file := archive.extractfile(member))}
    assert len(pages) == len(list((clone / "dashboards" / "generated").rglob("*.json")))
    # As grafana.com asks for them: no id, and data sources to choose.
    assert all(page.get("id") is None and page["__inputs"] and page["uid"] == uid for uid, page in pages.items())

    for chart in real.glob("*.tgz"):
        assert f"\nappVersion: {VERSION}\n" in helm.run("show", "chart", chart).stdout

    # A second time, and with what is there.
    assert release(clone, "--output-dir", str(real)) == 1
    assert capsys.readouterr().err.startswith(f"error: the tag v{VERSION} exists")
    git(clone, "tag", "--delete", f"v{VERSION}")
    assert release(clone, "--output-dir", str(real)) == 1
    assert capsys.readouterr().err == f"error: {real}: exists; remove it, or name another with --output-dir\n"


def test_archives_depend_on_their_content_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "one.tar.gz", tmp_path / "other.tar.gz"
    content = {"top/b": b"b", "top/a": b"a" * 100}
    archives.write(one, content, epoch=1_700_000_000)
    (tmp_path / "top").mkdir()
    for name, data in sorted(content.items()):
        (tmp_path / name).write_bytes(data)
    with tarfile.open(other, "w:gz", compresslevel=1) as archive:
        archive.add(tmp_path / "top" / "a", "top/a")
        archive.add(tmp_path / "top" / "b", "top/b")
    archives.normalize(other, epoch=1_700_000_000)
    assert one.read_bytes() == other.read_bytes()
    with gzip.open(one) as unpacked, tarfile.open(fileobj=unpacked) as archive:
        members = [(member.name, member.mtime, member.uid, member.uname, member.mode) for member in archive]
    assert members == [("top/a", 1_700_000_000, 0, "", 0o644), ("top/b", 1_700_000_000, 0, "", 0o644)]
