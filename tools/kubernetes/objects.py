"""What all manifests have in common: names, labels, and how an object is begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ml_monitoring.exporter import __version__

Json = dict[str, Any]

NAME: Final = "ml-exporter"
# The value of the label that becomes the job in Prometheus: rules and dashboards say job="ml-monitoring".
JOB: Final = "ml-monitoring"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
NAME_LABEL: Final = "app.kubernetes.io/name"
PORT: Final = 9847
# One image for both: the alert log is a command of it.
IMAGE: Final = f"ml-monitoring/exporter:{__version__}"
ALERT_LOG: Final = "ml-alertlog"
ALERT_LOG_PORT: Final = 9848
CONFIG_MAP: Final = NAME
TEMPLATES: Final = "ml-monitoring-templates"
# Made by people, from k8s/secrets.example.yaml.
SOURCES_SECRET: Final = f"{NAME}-sources"
NOTIFICATIONS_SECRET: Final = "ml-monitoring-notifications"  # noqa: S105  # the name of a Secret, not a secret

# What the exporter's pods are found by; never to be changed, since a Deployment's selector cannot be.
SELECTOR: Final[Mapping[str, str]] = {NAME_LABEL: NAME}
COMMON: Final[Mapping[str, str]] = {"app.kubernetes.io/part-of": "ml-monitoring"}
EXPORTER: Final[Mapping[str, str]] = {
    **SELECTOR,
    COMPONENT_LABEL: JOB,
    "app.kubernetes.io/version": __version__,
}


def labelled(
    kind: str,
    api_version: str,
    name: str,
    namespace: str,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Json:
    """Return the beginning of an object: its type and its metadata."""
    metadata: Json = {"name": name, "namespace": namespace, "labels": {**(labels or {}), **COMMON}}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
