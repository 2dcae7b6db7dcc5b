"""Which version this is, and where it was installed from."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from ml_monitoring.exporter import __version__

NAME: Final = "ml-monitoring"
UNKNOWN: Final = "unknown"
# Written by the build (`setup.py`); a checkout has none and asks git.
_RECORDED = Path(__file__).with_name("REVISION")
_TOP = Path(__file__).resolve().parents[1]
# The folder of the checkout that this module is imported from; None where the stack is installed.
CHECKOUT: Final = _TOP if (_TOP / "pyproject.toml").is_file() else None


def semantic(version: str) -> str:
    """Return a version as Helm wants it: what comes before 1.2.0 is `1.2.0-dev.0`, which Python calls `1.2.0.dev0`."""
    return version.replace(".dev", "-dev.")


@cache
def revision() -> str:
    """Return the git revision that the code was made from, or `unknown`."""
    if _RECORDED.is_file():
        return _RECORDED.read_text(encoding="ascii").strip()
    return _git("HEAD") or UNKNOWN


def branch() -> str:
    """Return the git branch of the checkout; empty where there is none, or none is checked out."""
    return _git("--abbrev-ref", "HEAD").removeprefix("HEAD")


def describe() -> str:
    """Return the line that `--version` prints: name, version, branch if known, revision and Python's version."""
    of_branch = f"branch {name}, " if (name := branch()) else ""
    return f"{NAME} {__version__} ({of_branch}revision {revision()}, Python {platform.python_version()})"


def _git(*arguments: str) -> str:
    if CHECKOUT is None:
        return ""
    command = ["git", "-C", str(CHECKOUT), "rev-parse", *arguments]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603  # constants
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
