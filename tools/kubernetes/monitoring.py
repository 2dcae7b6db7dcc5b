"""What the Prometheus Operator and Grafana's sidecar read: targets, rules, dashboards."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.model.scope import Component
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.model.yamltext import Commented
from tools.kubernetes.objects import COMPONENT_LABEL, Json, labelled

_MONITORING = "monitoring.coreos.com/v1"
# Kubernetes' limit for an object is about 1 MiB; `kubectl apply` notes a copy in an annotation, which may have 256 KiB.
MAX_OBJECT_BYTES = 256 * 1024
# Pages that show nothing but components, which may be switched off.
_PAGES: Mapping[str, frozenset[Component]] = {
    "ml-monitoring-system-infrastructure": frozenset({"host", "database", "containers", "monitoring"}),
    "ml-monitoring-logs": frozenset({"logs"}),
}


def service_monitor(
    namespace: str, scrape_interval: str, *, name: str, labels: Mapping[str, str], selector: Mapping[str, str]
) -> Json:
    """Return what makes Prometheus scrape a Service, under the job and labels that the rules know.

    Args:
        namespace: Its namespace.
        scrape_interval: How often.
        name: Name of the object.
        labels: Its labels.
        selector: Labels of the Service; its component becomes the job.
    """
    return labelled("ServiceMonitor", _MONITORING, name, namespace, labels=labels) | {
        "spec": {
            "jobLabel": COMPONENT_LABEL,
            "selector": {"matchLabels": dict(selector)},
            "endpoints": [
                {
                    "port": "http",
                    "interval": scrape_interval,
                    "scrapeTimeout": "10s",
                    "relabelings": [
                        # A pod's address or name would begin every series anew with each rollout.
                        {
                            "action": "replace",
                            "sourceLabels": ["__meta_kubernetes_service_name"],
                            "targetLabel": "instance",
                        },
                        # But the pods of a StatefulSet keep their names, and are how several exporters share a store.
                        {
                            "action": "replace",
                            "sourceLabels": ["__meta_kubernetes_pod_label_statefulset_kubernetes_io_pod_name"],
                            "regex": "(.+)",
                            "targetLabel": "instance",
                        },
                        # Rules take the best of several exporters with `without (instance)`: nothing else may differ.
                        {"action": "labeldrop", "regex": "pod|container|endpoint|service"},
                    ],
                }
            ],
        }
    }


def prometheus_rules(namespace: str, thresholds: Thresholds) -> dict[str, Json]:
    """Return one object a topic with its recording rules and alerts, by file name."""
    topics: dict[str, list[Any]] = {}
    for group in build_recording_rules(thresholds)["groups"]:
        topics.setdefault(_topic(group), []).append(group)
    for group in build_alerts(thresholds)["groups"]:
        rules = [_in_namespace(rule, namespace) for rule in group["rules"]]
        topics.setdefault(_topic(group), []).append(group | {"rules": rules})
    return {
        f"rules/{topic}.yaml": labelled("PrometheusRule", _MONITORING, f"ml-{topic}", namespace)
        | {"spec": {"groups": groups}}
        for topic, groups in topics.items()
    }


def dashboards(namespace: str, generated: Path, watched: Collection[Component]) -> dict[str, Json]:
    """Return one ConfigMap a dashboard, as Grafana's sidecar collects them, by file name.

    Args:
        namespace: Where they are.
        generated: Where the dashboards are read.
        watched: The components that are switched on; pages that show none of them are left out.
    """
    found = {}
    for path in sorted(generated.glob("*/*.json")):
        if path.stem in _PAGES and _PAGES[path.stem].isdisjoint(watched):
            continue
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        text = json.dumps(dashboard, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        found[f"dashboards/{path.stem}.yaml"] = labelled(
            "ConfigMap",
            "v1",
            f"ml-dashboard-{path.stem}",
            namespace,
            labels={"grafana_dashboard": "1"},
            # Read where the sidecar's `folderAnnotation` says so.
            annotations={"grafana_folder": path.parent.name},
        ) | {"data": {path.name: text}}
    return found


def _topic(group: Json) -> str:
    return str(group["name"]).partition(".")[0].replace("_", "-")


def _in_namespace(rule: Commented, namespace: str) -> Commented:
    # The Operator gives each route of an AlertmanagerConfig a matcher for its namespace, so an alert on a service in
    # another one would reach nobody. Where that service is stays known.
    labels = {**rule["labels"], "target_namespace": "{{ $labels.namespace }}", "namespace": namespace}
    return Commented(rule.comment, {**rule, "labels": labels})
