from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tools.stack import ROOT


def named(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith(("#", "-"))]


def pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {name.lower(): version for name, version in found}


def test_the_exporter_needs_the_same_in_requirements_and_in_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert named(ROOT / "requirements.in") == sorted(project["dependencies"], key=str.lower)
    extras = [item for extra in project["optional-dependencies"].values() for item in extra]
    assert set(extras) <= set(named(ROOT / "requirements-dev.in"))


def test_the_tests_run_on_the_versions_that_are_shipped() -> None:
    shipped, tested = pins(ROOT / "requirements.txt"), pins(ROOT / "requirements-dev.txt")
    assert shipped
    assert shipped.items() <= tested.items()
