"""The build file of the images: it says what the Dockerfiles say, and what it names is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.exporter import __version__
from tools import debian, environments
from tools.debian import TOOLS_DIR
from tools.stack import ROOT
from tools.standin_images import versions

FILE = ROOT / "docker" / "docker-bake.hcl"
IMAGES = ("exporter", "demo")
_LABELS = re.compile(r'(org\.opencontainers\.image\.\w+)="([^"]*)"')


@cache
def read() -> dict[str, Any]:
    done = subprocess.run(
        [environments.program("release", "hcl2tojson"), FILE], capture_output=True, text=True, check=True
    )
    content = json.loads(done.stdout)
    assert isinstance(content, dict)
    return content


def block(kind: str, name: str) -> dict[str, Any]:
    (found,) = (value for each in read()[kind] for key, value in each.items() if key.strip('"') == name)
    return dict(found)


def plain(value: str) -> str:
    return value.strip('"')


def default(variable: str) -> str:
    return plain(block("variable", variable)["default"])


def labels(image: str) -> dict[str, str]:
    return dict(_LABELS.findall((ROOT / "docker" / f"{image}.Dockerfile").read_text(encoding="utf-8")))


def test_its_defaults_are_those_of_everything_else() -> None:
    assert default("VERSION") == __version__
    assert default("PYTHON_IMAGE") == versions()["PYTHON_IMAGE"]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_made_of_its_dockerfile(image: str) -> None:
    target, common = block("target", image), block("target", "_common")
    dockerfile = ROOT / plain(target["dockerfile"])
    assert dockerfile == ROOT / "docker" / f"{image}.Dockerfile"
    arguments = set(re.findall(r"^ARG (\w+)", dockerfile.read_text(encoding="utf-8"), re.MULTILINE))
    # Each argument of the Dockerfile is passed, and no other.
    assert set(common["args"]) == arguments
    assert [plain(name) for name in target["inherits"]] == ["_common"]
    assert {plain(name) for name in common["platforms"]} == {"linux/amd64", "linux/arm64"}
    assert [plain(kind) for kind in common["attest"]] == ["type=provenance,mode=max", "type=sbom"]


@pytest.mark.parametrize("image", IMAGES)
def test_annotations_say_what_labels_say(image: str) -> None:
    prefix = "index,manifest:"
    annotations = dict(plain(text).removeprefix(prefix).split("=", 1) for text in block("target", image)["annotations"])
    assert all(plain(text).startswith(prefix) for text in block("target", image)["annotations"])
    said = labels(image)
    assert said["org.opencontainers.image.version"] == __version__
    wanted = {**said, "org.opencontainers.image.version": "${VERSION}"}
    assert annotations == {**wanted, "org.opencontainers.image.created": "${CREATED}"}


def test_every_image_that_is_built_here_is_in_it() -> None:
    dockerfiles = {path.name.removesuffix(".Dockerfile") for path in (ROOT / "docker").glob("*.Dockerfile")}
    assert dockerfiles == set(IMAGES) == {plain(name) for name in block("group", "all")["targets"]}
    assert [plain(name) for name in block("group", "default")["targets"]] == ["exporter"]


@pytest.mark.wide
@pytest.mark.skipif(not debian.available(), reason="this machine has no apt-get and dpkg")
def test_buildx_reads_it_as_it_is_meant() -> None:
    # The plugin of Docker runs without Docker, which has no part in this.
    tree = TOOLS_DIR / "suites" / "trixie-buildx"
    if not tree.exists():
        debian.unpack(["docker-buildx"], tree, suite="trixie")
    plugin = tree / "usr/libexec/docker/cli-plugins/docker-buildx"
    command: list[str | Path] = [plugin, "bake", "--file", FILE, "--print", "all"]
    variables = {"REGISTRY": "r.example", "VERSION": "1.2.3", "REVISION": "abc", "CREATED": "2026-01-02T03:04:05Z"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=variables)
    targets = json.loads(done.stdout)["target"]
    assert set(targets) == set(IMAGES)
    for image, target in targets.items():
        assert target["tags"] == [f"r.example/ml-monitoring/{image}:{tag}" for tag in ("1.2.3", "latest")]
        assert target["platforms"] == ["linux/amd64", "linux/arm64"]
        assert target["attest"] == ["type=provenance,mode=max", "type=sbom"]
        assert target["args"] == {"PYTHON_IMAGE": versions()["PYTHON_IMAGE"], "REVISION": "abc"}
        given = {"version": "1.2.3", "revision": "abc", "created": "2026-01-02T03:04:05Z"}
        given = {f"org.opencontainers.image.{name}": text for name, text in given.items()}
        said = labels(image) | given
        assert set(target["annotations"]) == {f"index,manifest:{name}={text}" for name, text in said.items()}
        assert given.items() <= target["labels"].items()


@pytest.mark.wide
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("image", IMAGES)
def test_every_package_is_there_for_both_kinds_of_machines(image: str, machine: str) -> None:
    # As the Dockerfiles install them: wheels alone, by their hashes.
    uv = shutil.which("uv", path=str(ROOT / ".venv" / "bin"))
    assert uv is not None
    command = [uv, "pip", "install", "--dry-run", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--python-version", "3.13", "--python-platform", f"{machine}-manylinux_2_28", "--target", "none"]
    command += ["--requirement", str(ROOT / "docker" / image / "requirements.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
