"""Make an environment of the newest Python of this machine, to run tests with it: `make coverage`, `make test-newest`.

`python -m tools.pythons` prints the environment's interpreter. Pythons are looked for on PATH and among those of pyenv;
none is fetched. Where none is newer than the one that runs this, that one is printed.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.debian import TOOLS_DIR

ROOT = Path(__file__).resolve().parent.parent
_REQUIREMENTS = ROOT / "requirements-dev.txt"
_NAME = re.compile(r"python3\.\d+")
_VERSION = "import sys, ssl, sqlite3; print(*sys.version_info[:2], sys.version_info.releaselevel)"
_STAMP = "requirements.sha256"

Version = tuple[int, int]


def newest(candidates: Iterable[Path], than: Version) -> tuple[Version, Path] | None:
    """Return the newest finished release of Python among the candidates that runs and is newer than another."""
    found = [(version, path) for path in candidates if (version := _version(path)) is not None and version > than]
    return max(found, default=None)


def candidates() -> list[Path]:
    """Return what looks like an interpreter on PATH and below pyenv's root."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    on_path = [path for folder in folders for path in folder.glob("python3.*") if _NAME.fullmatch(path.name)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [*on_path, *pyenv.glob("versions/*/bin/python")]


def _version(interpreter: Path) -> Version | None:
    # A shim of pyenv is there for versions that are not chosen too, and fails.
    command = [str(interpreter), "-c", _VERSION]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor, level = done.stdout.split()
    return (int(major), int(minor)) if level == "final" else None


def environment(interpreter: Path, folder: Path, requirements: Path) -> Path:
    """Return the interpreter of an environment that holds the requirements; make it where it does not."""
    python, stamp = folder / "bin" / "python", folder / _STAMP
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != wanted:
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "--quiet", "venv", "--clear", "--python", str(interpreter), str(folder)], check=True)
        options = ("--require-hashes", "--python", str(python), "--requirement", str(requirements))
        subprocess.run([uv, "--quiet", "pip", "install", *options], check=True)
        stamp.write_text(wanted, encoding="ascii")
    return python


def main() -> int:
    """Print the interpreter; return 1 when its environment cannot be made."""
    found = newest(candidates(), sys.version_info[:2])
    if found is None:
        print(sys.executable)
        return 0
    (major, minor), interpreter = found
    print(f">> Python {major}.{minor} is at {interpreter}", file=sys.stderr)
    try:
        print(environment(interpreter, TOOLS_DIR / "pythons" / f"{major}.{minor}", _REQUIREMENTS))
    except subprocess.CalledProcessError as error:
        print(f"the environment cannot be made: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
