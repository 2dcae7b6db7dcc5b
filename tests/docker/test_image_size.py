"""The size of the exporter's image stays within what docs/deploy.md promises."""

from __future__ import annotations

import importlib.metadata
import re

import pytest

from ml_monitoring.exporter.version import NAME
from tests.support.deployment import Deployment
from tests.support.engine import output
from tests.support.files import DOCKER, ROOT
from tools.standin_images import versions

_PROMISE = re.compile(r"adds at most (\d+) MB to Python's own")
PROMISED = [int(number) * 1_000_000 for number in _PROMISE.findall((ROOT / "docs" / "deploy.md").read_text("utf-8"))]
# Compiled files, of the packages' own and of ours, and the folders' entries.
_ALLOWANCE = 25_000_000


def test_one_size_is_promised() -> None:
    assert len(PROMISED) == 1


def test_the_packages_of_the_image_leave_room_for_the_rest() -> None:
    # The tests run on the versions that the image holds.
    pinned = re.findall(r"^([A-Za-z0-9_.-]+)==", (DOCKER / "exporter" / "requirements.txt").read_text("utf-8"), re.M)
    sizes = {name: _installed_size(name) for name in pinned}
    assert sum(sizes.values()) > 100_000_000
    own = sum(
        path.stat().st_size
        for folder in ("exporter", "alerting", "dashboards")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    assert sum(sizes.values()) + own + _ALLOWANCE < PROMISED[0], sorted(sizes.items(), key=lambda item: -item[1])[:5]


def _installed_size(package: str) -> int:
    files = importlib.metadata.distribution(package).files or []
    return sum(found.stat().st_size for file in files if (found := file.locate()).is_file())  # type: ignore[attr-defined]  # a path


@pytest.mark.stack
def test_the_image_adds_no_more_than_is_promised(deployed: Deployment) -> None:
    image = deployed.container("exporter")["Image"]

    def size(name: str) -> int:
        return int(output(["docker", "image", "inspect", "--format={{.Size}}", name]))

    added = size(image) - size(versions()["PYTHON_IMAGE"])
    print(f"{NAME}: the image adds {added / 1e6:.0f} MB")
    assert 0 < added < PROMISED[0]
