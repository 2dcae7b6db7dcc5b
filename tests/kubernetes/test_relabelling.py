"""What a real Prometheus makes of the ServiceMonitor: the labels that rules and dashboards know, and no others."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tools.processes import Process, free_port, http_ok, wait_until

Json = dict[str, Any]


def meta_name(label: str) -> str:
    """Return a label's name as Prometheus writes it into the names of its own."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", label)


def scrape_config(monitor: Json, targets: Path) -> Json:
    """Return the job that the Operator writes for a ServiceMonitor (its own relabelling first), for given targets."""
    (endpoint,) = monitor["spec"]["endpoints"]
    job_label = meta_name(monitor["spec"]["jobLabel"])
    operators_own: list[Json] = [
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": ["__meta_kubernetes_service_name"], "target_label": "service"},
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        {"source_labels": ["__meta_kubernetes_pod_container_name"], "target_label": "container"},
        {"source_labels": ["__meta_kubernetes_service_name"], "target_label": "job", "replacement": "${1}"},
        {
            "source_labels": [f"__meta_kubernetes_service_label_{job_label}"],
            "regex": "(.+)",
            "target_label": "job",
            "replacement": "${1}",
        },
        {"target_label": "endpoint", "replacement": endpoint["port"]},
    ]
    words = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    ours = [{words.get(key, key): value for key, value in rule.items()} for rule in endpoint["relabelings"]]
    return {
        "job_name": "serviceMonitor/ml-monitoring/ml-exporter/0",
        "scrape_interval": endpoint["interval"],
        "scrape_timeout": endpoint["scrapeTimeout"],
        "file_sd_configs": [{"files": [str(targets)]}],
        "relabel_configs": [*operators_own, *ours],
    }


def test_series_carry_job_namespace_and_a_lasting_instance(
    base: dict[str, Json], programs: dict[str, Path], tmp_path: Path
) -> None:
    service = base["exporter-service.yaml"]
    common = {
        "__meta_kubernetes_namespace": "ml-monitoring",
        "__meta_kubernetes_service_name": service["metadata"]["name"],
        "__meta_kubernetes_pod_container_name": "exporter",
    } | {
        f"__meta_kubernetes_service_label_{meta_name(name)}": value
        for name, value in service["metadata"]["labels"].items()
    }
    of_deployment = {"__meta_kubernetes_pod_name": "ml-exporter-5d9c7b-xk2lp"}
    of_stateful_set = {
        "__meta_kubernetes_pod_name": "ml-exporter-1",
        "__meta_kubernetes_pod_label_statefulset_kubernetes_io_pod_name": "ml-exporter-1",
    }
    targets = tmp_path / "targets.json"
    found = [
        {"targets": [f"127.0.0.1:{free_port()}"], "labels": common | pod} for pod in (of_deployment, of_stateful_set)
    ]
    targets.write_text(json.dumps(found), encoding="utf-8")
    config = tmp_path / "prometheus.yml"
    config.write_text(
        yaml.safe_dump({"scrape_configs": [scrape_config(base["servicemonitor.yaml"], targets)]}), encoding="utf-8"
    )
    url = f"http://127.0.0.1:{free_port()}"
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    server = Process(
        "prometheus",
        [programs["prometheus"], *arguments],
        log=tmp_path / "prometheus.log",
        healthy=lambda: http_ok(f"{url}/-/ready"),
    )

    def labels() -> list[dict[str, str]]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url}/api/v1/targets", timeout=10) as answer:
            active = json.load(answer)["data"]["activeTargets"]
        return sorted((target["labels"] for target in active), key=lambda each: each["instance"])

    with server:
        assert wait_until(lambda: len(labels()) == 2, timeout=15)
        assert labels() == [
            {"job": "ml-monitoring", "namespace": "ml-monitoring", "instance": instance}
            for instance in ("ml-exporter", "ml-exporter-1")
        ]
