"""The alert log in Kubernetes: Deployment, volume, Service, and who may talk to it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from ml_monitoring.k8s.manifests.exporter import USER, hardened, probe
from ml_monitoring.k8s.manifests.objects import (
    ALERT_LOG,
    ALERT_LOG_PORT,
    IMAGE,
    NOTIFICATIONS_SECRET,
    Json,
    labelled,
    labels,
    network_policy,
    selector,
)

# Its job in Prometheus too: rules and dashboards say job="alertlog".
COMPONENT: Final = "alertlog"
_SELECTOR = selector(COMPONENT)
_LABELS = labels(COMPONENT)
_DIRECTORY = "/var/lib/alertlog"
_SECRETS = "/run/secrets/alertlog"


def url(namespace: str) -> str:
    """Return where Alertmanager posts to, from whatever namespace it is in."""
    return f"http://{ALERT_LOG}.{namespace}.svc:{ALERT_LOG_PORT}/alerts"


def objects(namespace: str, token_file: str | None) -> dict[str, Json]:
    """Return the objects by file name.

    Args:
        namespace: Where they live.
        token_file: File of the token in the settings, whose name is a key of the Secret for notifications; None to let
            everybody post whom the network lets.
    """
    return {
        "alertlog-serviceaccount.yaml": labelled("ServiceAccount", "v1", ALERT_LOG, namespace, labels=_LABELS)
        | {"automountServiceAccountToken": False},
        "alertlog-volume.yaml": labelled("PersistentVolumeClaim", "v1", ALERT_LOG, namespace, labels=_LABELS)
        | {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
        "alertlog-deployment.yaml": _deployment(namespace, token_file),
        "alertlog-service.yaml": labelled("Service", "v1", ALERT_LOG, namespace, labels=_LABELS)
        | {
            "spec": {
                "type": "ClusterIP",
                "selector": _SELECTOR,
                "ports": [{"name": "http", "port": ALERT_LOG_PORT, "targetPort": "http", "protocol": "TCP"}],
            }
        },
        # The alert log itself asks nobody.
        "alertlog-networkpolicy.yaml": network_policy(ALERT_LOG, namespace, COMPONENT, egress=[]),
    }


def _deployment(namespace: str, token_file: str | None) -> Json:
    return labelled("Deployment", "apps/v1", ALERT_LOG, namespace, labels=_LABELS) | {
        "spec": {
            "replicas": 1,
            # It writes a volume that two pods cannot have at once; Alertmanager sends again what it did not take.
            "strategy": {"type": "Recreate"},
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": _SELECTOR},
            "template": {"metadata": {"labels": _LABELS}, "spec": _pod_spec(token_file)},
        }
    }


def _pod_spec(token_file: str | None) -> Json:
    pod, container = hardened()
    volumes: list[Json] = [{"name": "log", "persistentVolumeClaim": {"claimName": ALERT_LOG}}]
    mounts: list[Json] = [{"name": "log", "mountPath": _DIRECTORY}]
    token: list[str] = []
    if token_file is not None:
        key = PurePosixPath(token_file).name
        # Of that Secret, nothing else.
        secret = {"secretName": NOTIFICATIONS_SECRET, "items": [{"key": key, "path": key}]}
        volumes.append({"name": "token", "secret": secret})
        mounts.append({"name": "token", "mountPath": _SECRETS, "readOnly": True})
        token = [f"--token-file={_SECRETS}/{key}"]
    return {
        "serviceAccountName": ALERT_LOG,
        **pod,
        # The owner of a big volume is not set again at each start.
        "securityContext": {**pod["securityContext"], "fsGroup": USER, "fsGroupChangePolicy": "OnRootMismatch"},
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "alertlog",
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "args": [
                    "alerts",
                    "log",
                    f"--listen=0.0.0.0:{ALERT_LOG_PORT}",
                    f"--directory={_DIRECTORY}",
                    "--retention=90d",
                    *token,
                    "--log-format=json",
                ],
                "ports": [{"name": "http", "containerPort": ALERT_LOG_PORT, "protocol": "TCP"}],
                "startupProbe": probe("/-/healthy", periodSeconds=2, failureThreshold=60),
                "livenessProbe": probe("/-/healthy", periodSeconds=10, failureThreshold=3),
                "readinessProbe": probe("/-/ready", periodSeconds=5, failureThreshold=3),
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                "securityContext": container,
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
