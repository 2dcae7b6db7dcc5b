"""The values for the chart kube-prometheus-stack select what the manifests are labelled with."""

from __future__ import annotations

from typing import Any

import yaml

from tests.kubernetes.conftest import K8S, Json
from tests.support.kubernetes_schemas import problems

VALUES: Json = yaml.safe_load((K8S / "kube-prometheus-stack-values.yaml").read_text(encoding="utf-8"))


def test_the_operator_takes_what_is_handed_to_alertmanager() -> None:
    resource = {"apiVersion": "monitoring.coreos.com/v1", "kind": "Alertmanager", "metadata": {"name": "main"}}
    assert problems(resource | {"spec": VALUES["alertmanager"]["alertmanagerSpec"]}) == []


def test_the_selectors_take_the_objects_of_the_example(example: list[dict[str, Any]]) -> None:
    wanted = VALUES["alertmanager"]["alertmanagerSpec"]["alertmanagerConfigSelector"]["matchLabels"]
    selected = [each for each in example if each["kind"] in ("AlertmanagerConfig", "ServiceMonitor", "PrometheusRule")]
    assert len(selected) > 10
    # The chart's Prometheus selects by the same label, unless its values say otherwise.
    assert [
        each["metadata"]["name"] for each in selected if not wanted.items() <= each["metadata"]["labels"].items()
    ] == []


def test_the_sidecar_takes_every_page_into_its_folder(example: list[dict[str, Any]]) -> None:
    sidecar = VALUES["grafana"]["sidecar"]["dashboards"]
    pages = [
        each for each in example if each["kind"] == "ConfigMap" and any(key.endswith(".json") for key in each["data"])
    ]
    assert len(pages) > 10
    for page in pages:
        assert page["metadata"]["labels"][sidecar["label"]] == sidecar["labelValue"]
        assert page["metadata"]["annotations"][sidecar["folderAnnotation"]]
