"""Distributions of this checkout, built as a release builds them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.stack import ROOT

UV = Path(sys.executable).with_name("uv")


def uv(*arguments: str | Path) -> None:
    """Run uv, which is beside the interpreter."""
    done = subprocess.run([UV, "--quiet", *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def build(source: Path, folder: Path, *options: str) -> Path:
    """Build a distribution into a folder and return its wheel."""
    # As `make wheel` does: the wheel from the source distribution, which so has to hold all that it needs.
    constraint = ROOT / "docker" / "exporter" / "build-requirements.txt"
    before = set(folder.glob("*.whl"))
    uv("build", "--out-dir", folder, "--build-constraint", constraint, *options, source)
    (wheel,) = set(folder.glob("*.whl")) - before
    return wheel
