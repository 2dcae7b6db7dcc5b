"""What the Prometheus Operator reads: targets and rules."""

from __future__ import annotations

from typing import Any

from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.model.yamltext import Commented
from ml_monitoring.k8s.manifests.objects import NAME, Json, labelled, labels, selector

_MONITORING = "monitoring.coreos.com/v1"


def service_monitor(namespace: str, scrape_interval: str, *, name: str, component: str, job_label: str) -> Json:
    """Return what makes Prometheus scrape a Service, under the job and labels that the rules know.

    Args:
        namespace: Its namespace.
        scrape_interval: How often.
        name: Name of the object.
        component: Whose Service it is.
        job_label: Label of the Service whose value becomes the job.
    """
    return labelled("ServiceMonitor", _MONITORING, name, namespace, labels=labels(component)) | {
        "spec": {
            "jobLabel": job_label,
            "selector": {"matchLabels": selector(component)},
            "endpoints": [
                {
                    "port": "http",
                    "interval": scrape_interval,
                    "scrapeTimeout": "10s",
                    "relabelings": [
                        # A pod's address or name would begin new series with each rollout.
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
        topics.setdefault(topic(group), []).append(group)
    for group in build_alerts(thresholds)["groups"]:
        rules = [_in_namespace(rule, namespace) for rule in group["rules"]]
        topics.setdefault(topic(group), []).append(group | {"rules": rules})
    return {
        f"rules/{name}.yaml": labelled("PrometheusRule", _MONITORING, f"{NAME}-{name}", namespace)
        | {"spec": {"groups": groups}}
        for name, groups in topics.items()
    }


def topic(group: Json) -> str:
    """Return what a group of rules is about; its recording rules and its alerts go into one object."""
    return str(group["name"]).partition(".")[0].replace("_", "-")


def _in_namespace(rule: Commented, namespace: str) -> Commented:
    # The Operator gives each route of an AlertmanagerConfig a matcher for its namespace, so an alert on a service in
    # another one would reach nobody. Where that service is stays known.
    labels = {**rule["labels"], "target_namespace": "{{ $labels.namespace }}", "namespace": namespace}
    return Commented(rule.comment, {**rule, "labels": labels})
