"""The values for the chart kube-prometheus-stack fit what the manifests are labelled with."""

from __future__ import annotations

import yaml

from tests.kubernetes.conftest import K8S, Json
from tests.support.doc_blocks import blocks
from tools.stack import ROOT

FILE = K8S / "kube-prometheus-stack-values.yaml"


def test_the_sidecar_puts_every_page_into_its_folder(example: list[Json]) -> None:
    sidecar = yaml.safe_load(FILE.read_text(encoding="utf-8"))["grafana"]["sidecar"]["dashboards"]
    pages = [one for one in example if one["kind"] == "ConfigMap" and any(key.endswith(".json") for key in one["data"])]
    assert len(pages) > 10
    folders = {page["metadata"]["annotations"][sidecar["folderAnnotation"]] for page in pages}
    assert folders == {path.name for path in (ROOT / "dashboards" / "generated").iterdir() if path.is_dir()}
    # The chart's own default.
    assert {page["metadata"]["labels"]["grafana_dashboard"] for page in pages} == {"1"}


def test_the_example_has_the_label_that_the_chart_selects_by(example: list[Json]) -> None:
    selected = [each for each in example if each["kind"] in ("ServiceMonitor", "PrometheusRule")]
    assert len(selected) > 10
    assert {each["metadata"]["labels"].get("release") for each in selected} == {"kube-prometheus-stack"}


def test_the_page_shows_the_same_values() -> None:
    (shown,) = (
        yaml.safe_load(block.text)
        for block in blocks()
        if block.page == "docs/kubernetes.md" and block.text.startswith("grafana:")
    )
    assert shown == yaml.safe_load(FILE.read_text(encoding="utf-8"))
