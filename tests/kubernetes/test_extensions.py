"""Alerts, pages and runbooks of a user's own are in the manifests as ours are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from ml_monitoring.k8s.cli import main
from tests.support.extensions import ALERT, RECORDS, write_example
from tests.support.kubernetes_schemas import problems


def manifest(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_what_is_of_ones_own_is_in_the_manifests(tmp_path: Path) -> None:
    out = tmp_path / "base"
    assert main(["manifests", "--settings", str(write_example(tmp_path)), "--output-dir", str(out)]) == 0
    rules = manifest(out / "rules" / "extensions.yaml")
    assert problems(rules) == []
    records, alerts = rules["spec"]["groups"]
    assert [rule["record"] for rule in records["rules"]] == list(RECORDS)
    (rule,) = alerts["rules"]
    assert (rule["alert"], rule["labels"]["namespace"]) == (ALERT, "ml-monitoring")
    assert "rules/extensions.yaml" in manifest(out / "kustomization.yaml")["resources"]
    page = json.loads((out / "dashboards" / "Shop" / "ml-monitoring-own-shop.json").read_text(encoding="utf-8"))
    assert page["title"] == "Shop"
    # The exporter serves the runbook from beside its settings.
    data = manifest(out / "exporter-settings.yaml")["data"]
    assert data[f"{ALERT}.md"].startswith(f"# {ALERT}\n")
    (container,) = manifest(out / "exporter-deployment.yaml")["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    # Not in the settings, which an overlay changes as a whole.
    assert "runbooks_dir" not in data["ml-monitoring.yml"]
    folder = environment["ML_MONITORING_WEB__RUNBOOKS_DIR"]
    assert {"name": "settings", "mountPath": folder, "readOnly": True} in container["volumeMounts"]
