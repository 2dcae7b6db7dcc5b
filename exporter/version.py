"""Which version this is, and where it was installed from."""

from __future__ import annotations

import platform
import subprocess
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


def revision() -> str:
    """Return the git revision that the code was made from, or `unknown`."""
    if _RECORDED.is_file():
        return _RECORDED.read_text(encoding="ascii").strip()
    if CHECKOUT is None:
        return UNKNOWN
    command = ["git", "-C", str(CHECKOUT), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603  # constants
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return found.stdout.strip()


def describe() -> str:
    """Return the line that `--version` prints: name, version, revision and Python's version."""
    return f"{NAME} {__version__} (revision {revision()}, Python {platform.python_version()})"
