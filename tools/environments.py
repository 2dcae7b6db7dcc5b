"""Environments of their own for programs that neither the product nor its tests import.

Each is pinned with hashes in `requirements-NAME.txt`, and made below `.tools/NAME` when it is first needed.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

from tools.stack import ROOT


def pins(name: str) -> Path:
    """Return the file that pins an environment."""
    return ROOT / f"requirements-{name}.txt"


def prepare(name: str) -> Path:
    """Make an environment unless it is there; return its Python."""
    folder = (ROOT / ".tools" / name).resolve()
    stamp, python = folder / "pins", folder / "bin/python"
    # Its programs name their interpreter by its whole path.
    digest = hashlib.sha256(f"{folder}\n".encode() + pins(name).read_bytes()).hexdigest()
    folder.parent.mkdir(exist_ok=True)
    with folder.with_name(f"{name}.lock").open("w") as lock:
        # Two tests may want it at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text(encoding="ascii") != digest:
            uv = [str(Path(sys.executable).with_name("uv"))]
            subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
            command: list[str | Path] = [*uv, "pip", "install", "--quiet", "--require-hashes"]
            subprocess.run([*command, "--python", python, "--requirement", pins(name)], check=True)
            stamp.write_text(digest, encoding="ascii")
    return python


def program(name: str, program: str) -> Path:
    """Return the path of a program in an environment, which is made if it is not there."""
    return prepare(name).with_name(program)
