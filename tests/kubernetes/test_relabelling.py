"""What a real Prometheus makes of the ServiceMonitors: the labels that rules and dashboards know, and no others."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.kubernetes.conftest import one
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
        "job_name": f"serviceMonitor/ml-monitoring/{monitor['metadata']['name']}/0",
        "scrape_interval": endpoint["interval"],
        "scrape_timeout": endpoint["scrapeTimeout"],
        "file_sd_configs": [{"files": [str(targets)]}],
        "relabel_configs": [*operators_own, *ours],
    }


def target(service: Json, pod: str, **meta: str) -> Json:
    """Return what Prometheus discovers of a pod behind a Service."""
    return {
        "targets": [f"127.0.0.1:{free_port()}"],
        "labels": {
            "__meta_kubernetes_namespace": service["metadata"]["namespace"],
            "__meta_kubernetes_service_name": service["metadata"]["name"],
            "__meta_kubernetes_pod_container_name": "container",
            "__meta_kubernetes_pod_name": pod,
        }
        | {
            f"__meta_kubernetes_service_label_{meta_name(name)}": value
            for name, value in service["metadata"]["labels"].items()
        }
        | meta,
    }


def test_series_carry_job_namespace_and_a_lasting_instance(
    rendered: list[Json], programs: dict[str, Path], tmp_path: Path
) -> None:
    of_stateful_set = {"__meta_kubernetes_pod_label_statefulset_kubernetes_io_pod_name": "ml-monitoring-1"}
    exporter, alertlog = (one(rendered, "Service", name) for name in ("ml-monitoring", "ml-monitoring-alertlog"))
    found = {
        "ml-monitoring": [
            target(exporter, "ml-monitoring-5d9c7b-xk2lp"),
            target(exporter, "ml-monitoring-1", **of_stateful_set),
        ],
        "ml-monitoring-alertlog": [target(alertlog, "ml-monitoring-alertlog-7f8b9d-q4zzv")],
    }
    scrape_configs = []
    for name, targets in found.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(targets), encoding="utf-8")
        scrape_configs.append(scrape_config(one(rendered, "ServiceMonitor", name), path))
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": scrape_configs}), encoding="utf-8")
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
        assert wait_until(lambda: len(labels()) == 3, timeout=15)
        assert labels() == [
            {"job": job, "namespace": "ml-monitoring", "instance": instance}
            for job, instance in (
                ("ml-monitoring", "ml-monitoring"),
                ("ml-monitoring", "ml-monitoring-1"),
                ("alertlog", "ml-monitoring-alertlog"),
            )
        ]
