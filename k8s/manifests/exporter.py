"""The exporter in Kubernetes: Deployment, Service, settings, and who may talk to it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import yaml

from ml_monitoring.k8s.manifests.objects import (
    CONFIG_MAP,
    IMAGE,
    NAME,
    PORT,
    SOURCES_SECRET,
    Json,
    labelled,
    labels,
    network_policy,
    selector,
)

# The user of the image; by number, so that Kubernetes can tell that it is not root.
USER: Final = 10001
COMPONENT: Final = "exporter"
_LABELS = labels(COMPONENT)
_SELECTOR = selector(COMPONENT)
# Name servers, and PostgreSQL.
_EGRESS: Final = (
    {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]},
    {"ports": [{"protocol": "TCP", "port": 5432}]},
)
SECRETS_DIR: Final = f"/run/secrets/{NAME}"
# Where the exporter looks by itself.
_CONFIG_DIR = "/etc/ml-monitoring"
_SETTINGS: Json = {
    "web": {"host": "0.0.0.0", "port": PORT},  # noqa: S104  # inside the pod
    "log": {"format": "json"},
    "sources": {"mlflow": {}},
}
_SETTINGS_HEADER = (
    "# Sources' addresses hold passwords: they are the Secret's, in files named by the pod's environment.\n"
)


def objects(namespace: str, runbooks: Mapping[str, str]) -> dict[str, Json]:
    """Return the objects by file name.

    Args:
        namespace: Where they live.
        runbooks: Texts of the user's own runbooks, which the exporter serves beside ours, by the names of alerts.
    """
    settings = _settings(namespace, runbooks)
    # An overlay that brings settings of its own takes the place of those here, but leaves the environment.
    variables = {"ML_MONITORING_WEB__RUNBOOKS_DIR": _CONFIG_DIR} if runbooks else {}
    return {
        "namespace.yaml": _namespace(namespace),
        "exporter-serviceaccount.yaml": labelled("ServiceAccount", "v1", NAME, namespace, labels=_LABELS)
        | {"automountServiceAccountToken": False},
        "exporter-settings.yaml": settings,
        "exporter-deployment.yaml": _deployment(namespace, settings, variables),
        "exporter-service.yaml": labelled("Service", "v1", NAME, namespace, labels=_LABELS)
        | {
            "spec": {
                "type": "ClusterIP",
                "selector": _SELECTOR,
                "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
            }
        },
        "exporter-networkpolicy.yaml": network_policy(NAME, namespace, COMPONENT, egress=_EGRESS),
    }


def _namespace(namespace: str) -> Json:
    whole = labelled("Namespace", "v1", namespace, "", labels={"pod-security.kubernetes.io/enforce": "restricted"})
    del whole["metadata"]["namespace"]
    return whole


def _settings(namespace: str, runbooks: Mapping[str, str]) -> Json:
    data = {"ml-monitoring.yml": _SETTINGS_HEADER + yaml.safe_dump(_SETTINGS, sort_keys=False)}
    # Beside the settings, in the folder that the pod has already.
    data |= {f"{name}.md": text for name, text in runbooks.items()}
    return labelled("ConfigMap", "v1", CONFIG_MAP, namespace, labels=_LABELS) | {"data": data}


def _deployment(namespace: str, settings: Json, variables: Mapping[str, str]) -> Json:
    checksum = hashlib.sha256(settings["data"]["ml-monitoring.yml"].encode()).hexdigest()[:16]
    return labelled("Deployment", "apps/v1", NAME, namespace, labels=_LABELS) | {
        "spec": {
            "replicas": 1,
            # Two at once would expose every series twice under one name. For more exporters: see docs/scale.md.
            "strategy": {"type": "Recreate"},
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": _SELECTOR},
            "template": {
                # A change of the settings is a new pod: they are read once.
                "metadata": {"labels": _LABELS, "annotations": {"ml-monitoring/settings": checksum}},
                "spec": pod_spec(variables),
            },
        }
    }


def pod_spec(variables: Mapping[str, str]) -> Json:
    """Return the exporter's pod: nothing to write to, and what `hardened` says.

    Args:
        variables: More variables of its environment.
    """
    pod, container = hardened()
    return {
        "serviceAccountName": NAME,
        **pod,
        "securityContext": {**pod["securityContext"], "fsGroup": USER},
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "exporter",
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "env": [
                    {"name": "ML_MONITORING_SOURCES__MLFLOW__URI_FILE", "value": f"{SECRETS_DIR}/mlflow_uri"},
                    *({"name": name, "value": value} for name, value in variables.items()),
                ],
                "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
                # Healthy means that the server answers. A source that cannot be read is no reason to restart it:
                # the exporter says so in its metrics and goes on trying.
                "startupProbe": probe("/-/healthy", periodSeconds=2, failureThreshold=30),
                "livenessProbe": probe("/-/healthy", periodSeconds=10, failureThreshold=3),
                "readinessProbe": probe("/-/ready", periodSeconds=5, failureThreshold=3),
                "resources": {
                    "requests": {"cpu": "50m", "memory": "128Mi"},
                    "limits": {"memory": "512Mi"},
                },
                "securityContext": container,
                "volumeMounts": [
                    {"name": "settings", "mountPath": _CONFIG_DIR, "readOnly": True},
                    {"name": "secrets", "mountPath": SECRETS_DIR, "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "settings", "configMap": {"name": CONFIG_MAP}},
            # Readable by the group that the pod's fsGroup sets.
            {"name": "secrets", "secret": {"secretName": SOURCES_SECRET, "defaultMode": 0o440}},
        ],
    }


def hardened() -> tuple[Json, Json]:
    """Return settings of a pod and of its container: not root, no rights, no access to Kubernetes' own API."""
    pod = {
        "automountServiceAccountToken": False,
        # Kubernetes' variables for the Service (ML_MONITORING_PORT=tcp://...) look like settings.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    container = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    return pod, container


def probe(path: str, **times: int) -> dict[str, Any]:
    """Return a check of health over HTTP."""
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 4, **times}
