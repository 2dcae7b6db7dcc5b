"""Where the version stands, and the rules of versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Final

from ml_monitoring.exporter.version import semantic

CHANGELOG: Final = "CHANGELOG.md"
UNRELEASED: Final = "Unreleased"
# What an index and a chart both take, in the one form that both read alike.
_VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
# What main is between two releases: before that version.
_DEVELOPMENT: Final = re.compile(rf"{_VERSION.pattern}\.dev(0|[1-9]\d*)")
# The version of a chart is in Helm's words.
_CHART: Final = "k8s/chart/ml-monitoring/Chart.yaml"
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
    ("k8s/chart/*/Chart.yaml", r"^appVersion: \"?", r"\"?$"),
    (_CHART, r"^version: \"?", r"\"?$"),
)


def is_version(text: str) -> bool:
    """Tell whether a text is a version that can be released."""
    return _VERSION.fullmatch(text) is not None


def is_development(text: str) -> bool:
    """Tell whether a text is a version that main has before a release, such as 1.2.0.dev0."""
    return _DEVELOPMENT.fullmatch(text) is not None


def is_before(one: str, other: str) -> bool:
    """Tell whether a version comes before another; 1.2.0.dev0 comes before 1.2.0."""

    def order(version: str) -> tuple[float, ...]:
        numbers, _, development = version.partition(".dev")
        return (*map(int, numbers.split(".")), float(development or "inf"))

    return order(one) < order(other)


def stated(top: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that says the version, by its path below `top`, with what it says.

    Raises:
        ValueError: One does not say it where it should.
    """
    for path, pattern, spelled in _files(top):
        text = path.read_text(encoding="utf-8")
        found = {match["version"] for match in pattern.finditer(text)}
        if not found:
            raise ValueError(f"{path.relative_to(top)}: says no version")
        for version in sorted(found):
            # As Python spells it, whichever way it stands there.
            plain = version.replace("-dev.", ".dev")
            yield path.relative_to(top), plain if spelled(plain) == version else version


def state(top: Path, version: str) -> None:
    """Write the version into all files that say it."""
    for path, pattern, spelled in _files(top):
        text, said = path.read_text(encoding="utf-8"), spelled(version)
        path.write_text(pattern.sub(rf"\g<before>{said}\g<after>", text), encoding="utf-8")


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


def begin_unreleased(top: Path) -> None:
    """Give the changelog a place for what comes next, unless it has one."""
    path = top / CHANGELOG
    text = path.read_text(encoding="utf-8")
    if f"## {UNRELEASED}\n" not in text:
        path.write_text(text.replace("\n## ", f"\n## {UNRELEASED}\n\n## ", 1), encoding="utf-8")


def _files(top: Path) -> Iterator[tuple[Path, re.Pattern[str], Callable[[str], str]]]:
    for name, before, after in _PLACES:
        pattern = re.compile(rf"(?P<before>{before})(?P<version>[0-9][^\s\"]*)(?P<after>{after})", re.MULTILINE)
        for path in sorted(top.glob(name)):
            yield path, pattern, semantic if name == _CHART else str
