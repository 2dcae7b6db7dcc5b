from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

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


@pytest.mark.wide
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_everything_pinned_has_a_wheel_for_arm64(python: str, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("uv")),
        "pip",
        "install",
        "--dry-run",
        "--target",
        str(tmp_path / "none"),
    ]
    command += ["--python-platform", "aarch64-manylinux_2_36", "--python-version", python]
    command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(ROOT / "requirements-dev.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Would install" in done.stderr
