"""What all manifests have in common: names, labels, and how an object is begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml_monitoring.exporter import __version__

Json = dict[str, Any]

# Of the exporter's objects, and of the product; rules and dashboards say job="ml-monitoring".
NAME: Final = "ml-monitoring"
NAME_LABEL: Final = "app.kubernetes.io/name"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
PORT: Final = 9847
# One image for both: the alert log is a command of it.
IMAGE: Final = f"ml-monitoring/exporter:{__version__}"
ALERT_LOG: Final = f"{NAME}-alertlog"
ALERT_LOG_PORT: Final = 9848
CONFIG_MAP: Final = NAME
TEMPLATES: Final = f"{NAME}-templates"
# Made by people, from k8s/secrets.example.yaml.
SOURCES_SECRET: Final = f"{NAME}-sources"
NOTIFICATIONS_SECRET: Final = f"{NAME}-notifications"

# What kustomize gives to every object and pod.
COMMON: Final[Mapping[str, str]] = {
    NAME_LABEL: NAME,
    "app.kubernetes.io/instance": NAME,
    "app.kubernetes.io/part-of": NAME,
    "app.kubernetes.io/managed-by": "kustomize",
}


def selector(component: str) -> dict[str, str]:
    """Return what a component's pods are found by; never to be changed, since a Deployment's selector cannot be."""
    return {NAME_LABEL: NAME, COMPONENT_LABEL: component}


def labels(component: str) -> dict[str, str]:
    """Return the labels of a component's objects and pods."""
    return {**selector(component), "app.kubernetes.io/version": __version__}


def labelled(
    kind: str,
    api_version: str,
    name: str,
    namespace: str,
    *,
    labels: Mapping[str, str] | None = None,
) -> Json:
    """Return the beginning of an object: its type and its metadata."""
    metadata: Json = {"name": name, "namespace": namespace}
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def network_policy(name: str, namespace: str, component: str, *, egress: Sequence[Json]) -> Json:
    """Return a policy that lets Prometheus and Alertmanager in to a component's pods, and the pods out to `egress`."""
    return labelled("NetworkPolicy", "networking.k8s.io/v1", name, namespace, labels=labels(component)) | {
        "spec": {
            "podSelector": {"matchLabels": selector(component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
                    "ports": [{"protocol": "TCP", "port": "http"}],
                }
            ],
            "egress": list(egress),
        }
    }
