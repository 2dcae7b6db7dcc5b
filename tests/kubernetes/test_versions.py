"""What chart and kustomize render, against the published schemas of versions of Kubernetes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.chart_matrix import MATRIX
from tests.kubernetes.conftest import K8S, kustomized
from tests.support import helm
from tools import environments

Json = dict[str, Any]
pytestmark = pytest.mark.wide
# The first with all that is used here, the one of the models, and the newest that the package has.
VERSIONS = ("1.25", "1.32", "")
_MISSPELT = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "datas": {}}


@pytest.fixture(scope="module")
def objects() -> list[Json]:
    """Return all but the Operator's, which have schemas of their own."""
    charts = [helm.template(values) for values in ({}, *MATRIX.values())]
    folders = [kustomized(folder) for folder in ("base", "overlays/example", "overlays/sharded")]
    secrets = list(yaml.safe_load_all((K8S / "secrets.example.yaml").read_text(encoding="utf-8")))
    everything = [each for rendered in (*charts, *folders, secrets) for each in rendered]
    return [each for each in everything if "coreos.com" not in each["apiVersion"]]


def validate(objects: list[Json], version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let the package judge objects; YAML reads JSON."""
    path = folder / "objects.yaml"
    path.write_text("".join(f"---\n{json.dumps(each)}\n" for each in objects), encoding="utf-8")
    command: list[str | Path] = [environments.program("kubernetes", "kubernetes-validate"), "--strict", "--quiet"]
    given = ["--kubernetes-version", version] if version else []
    return subprocess.run([*command, *given, path], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_the_schemas_of_a_version(version: str, objects: list[Json], tmp_path: Path) -> None:
    assert len(objects) > 200
    done = validate(objects, version, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_key_that_no_version_knows_is_found(version: str, tmp_path: Path) -> None:
    done = validate([_MISSPELT], version, tmp_path)
    assert done.returncode == 1
    assert "datas" in done.stdout + done.stderr
