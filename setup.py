"""What pyproject.toml cannot say of the distribution: the git revision, and links that lead somewhere from an index.

The revision comes from the variable `REVISION`, which the images are built with, from git, or from the source
distribution that is built from. It is installed as the file `ml_monitoring/exporter/REVISION`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

_TOP = Path(__file__).resolve().parent
_RECORDED = Path("ml_monitoring", "exporter", "REVISION")
_LINK = re.compile(r'(?P<begin>\]\(|(?:href|src|srcset)=")(?!https?://|#|mailto:)(?P<path>[^)"]+)')
_PICTURE = re.compile(r"\.(png|svg)$")


def _revision() -> str:
    if given := os.environ.get("REVISION"):
        return given
    if (_TOP / _RECORDED).is_file():
        return (_TOP / _RECORDED).read_text(encoding="ascii")
    if not (_TOP / ".git").exists():
        # Unpacked somewhere inside another repository, whose revision would be a wrong one.
        return ""
    try:
        command = ["git", "-C", str(_TOP), "rev-parse", "HEAD"]
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # constants
        return found.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _readme() -> str:
    """Return the README with absolute links: an index shows it without the files beside it."""
    source = tomllib.loads((_TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if _PICTURE.search(link["path"]) else "blob"
        return f"{link['begin']}{source}/{kind}/{_REVISION or 'HEAD'}/{link['path']}"

    return _LINK.sub(absolute, (_TOP / "README.md").read_text(encoding="utf-8"))


def _record(folder: str) -> None:
    if _REVISION:
        (Path(folder) / _RECORDED).write_text(_REVISION, encoding="ascii")


class _BuildPy(build_py):
    def run(self) -> None:
        # pip builds in the checkout, where an earlier build of another release left modules of that one.
        shutil.rmtree(Path(self.build_lib, "ml_monitoring"), ignore_errors=True)
        super().run()
        _record(self.build_lib)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *([str(Path(self.build_lib, _RECORDED))] if _REVISION else [])]


class _SourceDistribution(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        _record(base_dir)


_REVISION = _revision()
setup(
    cmdclass={"build_py": _BuildPy, "sdist": _SourceDistribution},
    long_description=_readme(),
    long_description_content_type="text/markdown",
)
