"""Where the version stands, and the rules of versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

CHANGELOG: Final = "CHANGELOG.md"
UNRELEASED: Final = "Unreleased"
# What an index and a chart both take, in the one form that both read alike.
_VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
# Files that say the version, by patterns of paths, and in each what stands before and after it. Two of the manifests
# stand for all, which `make generate` writes.
_PLACES: Final = (
    ("exporter/__init__.py", r'^__version__ = "', '"'),
    ("instrument/pyproject.toml", r'^version = "', '"'),
    ("docker/*.Dockerfile", r'image\.version="', '"'),
    ("docker/docker-bake.hcl", r'^variable "VERSION" \{\s+default = "', '"'),
    ("k8s/base/exporter-deployment.yaml", r"app\.kubernetes\.io/version: ", r"$"),
    ("k8s/base/exporter-deployment.yaml", r"image: ml-monitoring/exporter:", r"$"),
    ("k8s/overlays/example/kustomization.yaml", r"newTag: ", r"$"),
    ("k8s/chart/*/Chart.yaml", r"^(?:version|appVersion): \"?", r"\"?$"),
)


def is_version(text: str) -> bool:
    """Tell whether a text is a version that can be released."""
    return _VERSION.fullmatch(text) is not None


def stated(top: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that says the version, by its path below `top`, with what it says.

    Raises:
        ValueError: One does not say it where it should.
    """
    for path, pattern in _files(top):
        found = {match["version"] for match in pattern.finditer(path.read_text(encoding="utf-8"))}
        if not found:
            raise ValueError(f"{path.relative_to(top)}: says no version")
        for version in sorted(found):
            yield path.relative_to(top), version


def state(top: Path, version: str) -> None:
    """Write the version into all files that say it."""
    for path, pattern in _files(top):
        text = path.read_text(encoding="utf-8")
        path.write_text(pattern.sub(lambda match: match["before"] + version + match["after"], text), encoding="utf-8")


def dated(top: Path, version: str) -> str | None:
    """Return the day that the changelog gives a version, empty without one; None where it does not list the version."""
    text = (top / CHANGELOG).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(version)}(?: - (?P<day>\S+))?$", text, re.MULTILINE)
    return None if found is None else found["day"] or ""


def notes(top: Path, version: str) -> str:
    """Return what the changelog says of a version."""
    text = (top / CHANGELOG).read_text(encoding="utf-8")
    found = re.search(
        rf"^## {re.escape(version)}(?: - \S+)?\n(?P<notes>.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    return "" if found is None else found["notes"].strip()


def date_unreleased(top: Path, version: str, day: date) -> None:
    """Give what the changelog holds as unreleased a version and a day.

    Raises:
        ValueError: Nothing is unreleased.
    """
    path = top / CHANGELOG
    if not notes(top, UNRELEASED):
        raise ValueError(f"{CHANGELOG}: has nothing below ## {UNRELEASED}")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f"## {UNRELEASED}\n", f"## {version} - {day}\n", 1), encoding="utf-8")


def _files(top: Path) -> Iterator[tuple[Path, re.Pattern[str]]]:
    for name, before, after in _PLACES:
        pattern = re.compile(rf"(?P<before>{before})(?P<version>[0-9][^\s\"]*)(?P<after>{after})", re.MULTILINE)
        for path in sorted(top.glob(name)):
            yield path, pattern
