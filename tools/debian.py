"""Fetch and unpack Debian and Ubuntu packages without root and without touching the system.

Standard library only: `tools.bootstrap` uses this before anything is installed. The package lists of the machine are
used as they are; when they are missing or stale, lists of our own are fetched into the project's `.tools/`.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

TOOLS_DIR = Path(__file__).resolve().parent.parent / ".tools"

# Named by library and version of its interface, as Debian's policy has it.
_LIBRARY = re.compile(r"lib[a-z0-9+.-]*\d(?:t64)?")
_DEPENDENCY = re.compile(r"^ [ |](?:Pre)?Depends: (\S+)$", re.MULTILINE)

_UPDATE_TIMEOUT = 300
_DOWNLOAD_TIMEOUT = 600


class AptError(Exception):
    """Report that packages could not be fetched or unpacked; the message is apt's own last words."""


def available() -> bool:
    """Tell whether this machine has the programs that fetch and unpack packages."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


def unpack(
    packages: Sequence[str],
    target: Path,
    *,
    tools_dir: Path = TOOLS_DIR,
    companions: tuple[str, ...] = (),
    finish: Callable[[Path], None] | None = None,
    suite: str = "",
) -> None:
    """Download packages and unpack them into a folder that appears only when it is complete.

    Args:
        packages: Names of packages of the machine's distribution. Of their dependencies only the shared libraries that
            the machine does not have are unpacked too, as far as they can be had.
        target: Folder to create; an existing one is replaced.
        tools_dir: Where apt keeps its own lists and cache.
        companions: Dependencies whose names begin like this are unpacked as well.
        finish: Called with the unpacked tree before it appears.
        suite: Take the packages from this suite of Debian, such as `sid`, instead of the machine's own.

    Raises:
        AptError: apt is missing, knows no such package, or could not reach its mirror.
    """
    if not available():
        raise AptError("this machine has no apt-get and dpkg")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as scratch:
        downloads = Path(scratch, "archives")
        downloads.mkdir()
        options = _private_cache(tools_dir)
        if suite:
            options += _suite(suite, tools_dir)
        _download(packages, downloads, options, tools_dir, companions)
        tree = Path(scratch, "tree")
        tree.mkdir()
        for archive in sorted(downloads.glob("*.deb")):
            _run(["dpkg", "-x", str(archive), str(tree)], timeout=_DOWNLOAD_TIMEOUT)
        if finish is not None:
            finish(tree)
        tree.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        tree.rename(target)


def _download(
    packages: Sequence[str], into: Path, options: list[str], tools_dir: Path, companions: tuple[str, ...]
) -> None:
    """Try with the package lists that are there first; they may be absent, or older than the mirror."""
    try:
        _run(["apt-get", "download", "-qq", *options, *packages], cwd=into, timeout=_DOWNLOAD_TIMEOUT)
    except AptError:
        if not any(option.startswith("Dir::State::Lists=") for option in options):
            options = [*options, *_private_lists(tools_dir)]
        # One dead third-party source makes `update` fail although the distribution's own lists arrived, so only the
        # download after it decides.
        update_error = ""
        try:
            # Else a mirror that cannot be reached is a warning only, and the package is said not to exist.
            _run(["apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any", *options], timeout=_UPDATE_TIMEOUT)
        except AptError as error:
            update_error = str(error)
        try:
            _run(["apt-get", "download", "-qq", *options, *packages], cwd=into, timeout=_DOWNLOAD_TIMEOUT)
        except AptError as error:
            raise AptError("\n".join(filter(None, [update_error, str(error)]))) from error
    # Without them the packages may still do their work.
    with contextlib.suppress(AptError):
        if names := _dependencies(packages, options, companions):
            _run(["apt-get", "download", "-qq", *options, *names], cwd=into, timeout=_DOWNLOAD_TIMEOUT)


def _dependencies(packages: Sequence[str], options: list[str], prefixes: tuple[str, ...]) -> list[str]:
    """Return the dependencies, and theirs, that begin with a prefix, or are libraries that the machine lacks."""
    found: set[str] = set()
    here = installed()
    asked = set(packages)
    while asked:
        listing = _run(["apt-cache", "depends", "--important", *options, *sorted(asked)], timeout=60)
        names = set(_DEPENDENCY.findall(listing)) - found
        asked = {name for name in names if name.startswith(prefixes) or (name not in here and _LIBRARY.fullmatch(name))}
        found |= asked
    return sorted(found)


def installed() -> set[str]:
    """Return the names of the packages that are installed."""
    listing = _run(["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\n"], timeout=60)
    return {name for status, _, name in (line.partition(" ") for line in listing.splitlines()) if status == "installed"}


def _private_cache(tools_dir: Path) -> list[str]:
    cache = tools_dir / "apt" / "cache"
    (cache / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    return [
        "-o", f"Dir::Cache={cache}",
        "-o", "Debug::NoLocking=true",
        # As root, apt would otherwise drop to `_apt`, which often cannot write into the project.
        "-o", "APT::Sandbox::User=root",
    ]  # fmt: skip


def _private_lists(tools_dir: Path) -> list[str]:
    lists = tools_dir / "apt" / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    return [
        "-o", f"Dir::State::Lists={lists}",
        # Third-party hooks that run after an update expect root.
        "-o", "APT::Update::Post-Invoke::=",
        "-o", "APT::Update::Post-Invoke-Success::=",
    ]  # fmt: skip


def _suite(name: str, tools_dir: Path) -> list[str]:
    """Return options that make one suite the only source, with lists of its own."""
    folder = tools_dir / "apt" / name
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "sources.list"
    source.write_text(f"deb {_mirror()} {name} main\n", encoding="ascii")
    return [
        *_private_lists(folder),
        "-o", f"Dir::Etc::SourceList={source}",
        "-o", "Dir::Etc::SourceParts=/dev/null",
    ]  # fmt: skip


def _mirror() -> str:
    """Return the mirror of Debian that the machine uses.

    Raises:
        AptError: It uses none, as on another distribution.
    """
    listing = _run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], timeout=60)
    for line in listing.splitlines():
        if line.rstrip("/").endswith("/debian"):
            return line.rstrip("/")
    raise AptError("apt has no mirror of Debian among its sources")


def _run(command: Sequence[str], *, timeout: float, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired as error:
        raise AptError(f"{command[0]} {command[1]} gave no answer within {timeout:.0f} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise AptError("\n".join(lines[-5:]) or f"{command[0]} ended with status {done.returncode}")
    return done.stdout
