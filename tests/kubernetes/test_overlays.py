"""Overlays that the page shows do what it says, over our base and over one of a user's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml

from ml_monitoring.exporter.config import Settings, load
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.k8s.cli import main
from tests.kubernetes.conftest import K8S, Json, kustomized, one
from tests.support.doc_blocks import blocks
from tests.support.extensions import ALERT, write_example

STORES = "ML_MONITORING_SOURCES__MLFLOW__URI_FILE"
SECRETS = "/run/secrets/ml-monitoring"


def shown(name: str, word: str) -> str:
    """Return the file of an overlay that the page shows, of those of this name the one that has a word."""
    (text,) = (
        block.text
        for block in blocks()
        if block.page == "docs/kubernetes.md" and block.file.endswith(f"mine/{name}") and word in block.text
    )
    return text


def environment(objects: list[Json]) -> dict[str, str]:
    (container,) = one(objects, "Deployment", "ml-monitoring")["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


def started(objects: list[Json], folder: Path) -> Settings:
    """Return the settings as the pod reads them, with a Secret that has each key."""
    data = one(objects, "ConfigMap", "ml-monitoring")["data"]["ml-monitoring.yml"]
    for key in ("mlflow_uri", "research_uri", "shop_uri"):
        (folder / key).write_text(f"postgresql://h/{key}", encoding="utf-8")
    settings = folder / "settings.yml"
    settings.write_text(data.replace(SECRETS, str(folder)), encoding="utf-8")
    variables = {name: value.replace(SECRETS, str(folder)) for name, value in environment(objects).items()}
    return load(settings, variables)


def overlay(folder: Path, base: Path, *, with_patches: bool) -> Path:
    """Write the page's overlay of several stores."""
    made = folder / "mine"
    made.mkdir()
    content = yaml.safe_load(shown("kustomization.yaml", STORES))
    if not with_patches:
        content["patches"] = [{"path": "exporter-settings.yaml"}]
    content["resources"] = [os.path.relpath(base.resolve(), made)]
    (made / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (made / "exporter-settings.yaml").write_text(shown("exporter-settings.yaml", "research"), encoding="utf-8")
    return made


def test_the_exporter_starts_with_the_stores_of_the_page(tmp_path: Path) -> None:
    objects = kustomized(overlay(tmp_path, K8S / "base", with_patches=True))
    assert STORES not in environment(objects)
    sources = started(objects, tmp_path).enabled_sources()
    assert list(sources) == ["mlflow/prod", "mlflow/research", "queries/shop_orders_waiting"]


def test_without_its_patch_the_variable_is_named(tmp_path: Path) -> None:
    objects = kustomized(overlay(tmp_path, K8S / "base", with_patches=False))
    with pytest.raises(ConfigError) as error:
        started(objects, tmp_path)
    assert len(error.value.problems) == 2
    for problem in error.value.problems:
        assert f"is a store with a name, beside settings of one without ({STORES})" in problem


def test_runbooks_of_ones_own_are_served_whatever_the_overlay_sets(tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert main(["manifests", "--settings", str(write_example(tmp_path)), "--output-dir", str(own)]) == 0
    objects = kustomized(overlay(tmp_path, own, with_patches=True))
    assert f"{ALERT}.md" in one(objects, "ConfigMap", "ml-monitoring")["data"]
    folder = started(objects, tmp_path).web.runbooks_dir
    (container,) = one(objects, "Deployment", "ml-monitoring")["spec"]["template"]["spec"]["containers"]
    assert {"name": "settings", "mountPath": str(folder), "readOnly": True} in container["volumeMounts"]


def test_a_copied_overlay_fits_another_namespace_as_the_page_says(tmp_path: Path) -> None:
    assert main(["manifests", "--namespace", "other", "--output-dir", str(tmp_path / "own")]) == 0
    mine = tmp_path / "mine"
    shutil.copytree(K8S / "overlays" / "example", mine)
    for path in mine.iterdir():
        text = path.read_text(encoding="utf-8").replace("namespace: ml-monitoring", "namespace: other")
        path.write_text(text.replace("../../base", "../own"), encoding="utf-8")
    objects = kustomized(mine)
    assert {each["metadata"].get("namespace", "other") for each in objects} == {"other"}
    assert "30s" in one(objects, "ConfigMap", "ml-monitoring")["data"]["ml-monitoring.yml"]
