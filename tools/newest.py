"""Unpack the newest Prometheus and Alertmanager that Debian has, to run tests with them: `make test-newest`.

`python -m tools.newest` prints the folder with the programs; first on PATH, they are what `tools.packages` finds.
Standard library only, as all that makes the environment.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tools import debian
from tools.packages import COMPANIONS, PROGRAMS, TOOLS_DIR, complete

SUITE = "sid"
_NAMES = ("prometheus", "promtool", "alertmanager", "amtool")


def unpack(suite: str = SUITE, *, tools_dir: Path = TOOLS_DIR, afresh: bool = False) -> Path:
    """Unpack the programs of a suite unless that was done before; return their folder.

    Raises:
        debian.AptError: The packages could not be fetched.
        OSError: The folder cannot be written.
    """
    target = tools_dir / "suites" / suite
    if afresh:
        shutil.rmtree(target, ignore_errors=True)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        packages = sorted({PROGRAMS[name].package for name in _NAMES})
        debian.unpack(packages, target, tools_dir=tools_dir, companions=COMPANIONS, finish=complete, suite=suite)
    return target / "usr" / "bin"


def main() -> int:
    """Print the folder; return 1 when it cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m tools.newest", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suite", nargs="?", default=SUITE, help=f"suite of Debian (default: {SUITE})")
    parser.add_argument("--afresh", action="store_true", help="fetch it again: there may be a newer one by now")
    options = parser.parse_args()
    try:
        print(unpack(options.suite, afresh=options.afresh))
    except (debian.AptError, OSError) as error:
        print(f"{options.suite} cannot be had: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
