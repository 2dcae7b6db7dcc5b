"""Values of the Helm chart that are tried together: names of the cases and what is given."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

# Without pages, rules and templates of messages, which are compared with what they are generated from.
NO_BULK: Final[Json] = {
    "dashboards": {"enabled": False},
    "prometheusRule": {"enabled": False},
    "alertmanagerConfig": {"templates": False},
}
STORE: Final[Json] = {
    "kind": "mlflow",
    "name": "",
    "existingSecret": "ml-monitoring-sources",
    "secretKeys": {"uri": "mlflow_uri"},
}
NO_PAGES: Final[Json] = {"dashboards": {"enabled": False}}
MATRIX: Final[dict[str, Json]] = {
    "several stores": NO_BULK
    | {
        "exporter": {
            "stores": [
                {**STORE, "name": "prod", "settings": {"interval": "30s"}},
                {
                    "kind": "mlflow",
                    "name": "research-eu",
                    "existingSecret": "research",
                    "secretKeys": {"uri": "uri", "token": "token"},
                },
                {"kind": "variants", "existingSecret": "ml-monitoring-sources", "secretKeys": {"uri": "variants_uri"}},
            ]
        }
    },
    "TLS": NO_BULK
    | {
        "exporter": {
            "tls": {"existingSecret": "exporter-tls"},
            "stores": [
                {
                    "kind": "mlflow",
                    "existingSecret": "tracking",
                    "secretKeys": {"uri": "uri", "token": "token", "ca": "ca.crt"},
                }
            ],
        }
    },
    "TLS of a known authority": NO_BULK
    | {"exporter": {"tls": {"existingSecret": "exporter-tls", "caKey": "", "serverName": "exporter.example.org"}}},
    "TLS of the alert log": NO_BULK | {"alertlog": {"tls": {"existingSecret": "alertlog-tls"}}},
    "shards": NO_BULK
    | {
        "exporter": {
            "shards": 3,
            "stores": [{**STORE, "name": "prod"}, {**STORE, "name": "other"}],
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
            ],
        }
    },
    "fleet files": NO_BULK
    | {
        "exporter": {
            "stores": [],
            "settings": {"sources": {"fleet": {"path": "/data/fleet.csv", "mode": "follow"}}},
            "extraVolumes": [{"name": "fleet", "persistentVolumeClaim": {"claimName": "fleet", "readOnly": True}}],
            "extraVolumeMounts": [{"name": "fleet", "mountPath": "/data", "readOnly": True}],
            "extraEnv": [{"name": "TZ", "value": "UTC"}],
            "extraEnvFrom": [{"secretRef": {"name": "more"}}],
        }
    },
    "a registry of one's own": NO_BULK
    | {
        "image": {
            "registry": "registry.example.org",
            "repository": "ml/exporter",
            "tag": "1.2.3",
            "pullPolicy": "Always",
        },
        "imagePullSecrets": [{"name": "registry"}],
        "commonLabels": {"cost-centre": "ml"},
        "fullnameOverride": "mlmon",
    },
    "a digest": NO_BULK | {"image": {"digest": "sha256:" + "0" * 64}},
    "nodes": NO_BULK
    | {
        component: {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "ml", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
            "priorityClassName": "high",
            "podLabels": {"team": "ml"},
            "podAnnotations": {"a": "b"},
            "service": {"type": "NodePort", "port": 80, "annotations": {"a": "b"}},
        }
        for component in ("exporter", "alertlog")
    },
    "only the exporter": {
        "alertlog": {"enabled": False},
        "alertmanagerConfig": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "prometheusRule": {"enabled": False},
        "dashboards": {"enabled": False},
        "test": {"enabled": False},
        "exporter": {"podDisruptionBudget": {"enabled": False}},
        "serviceAccount": {"create": False, "name": "shared"},
    },
    "only rules and pages": {
        "exporter": {"enabled": False},
        "alertlog": {"enabled": False},
        "serviceMonitor": {"enabled": False},
        "alertmanagerConfig": {"enabled": False},
        "test": {"enabled": False},
    },
    "another stack": NO_BULK
    | {
        "kubePrometheusStack": {"release": "", "namespace": "observability"},
        "serviceMonitor": {
            "labels": {"prometheus": "ml"},
            "interval": "1m",
            "relabelings": [{"action": "replace", "targetLabel": "cluster", "replacement": "eu"}],
            "metricRelabelings": [{"action": "labeldrop", "regex": "store"}],
        },
        "networkPolicy": {
            "extraIngress": [{"podSelector": {"matchLabels": {"app": "curl"}}}],
            "egress": [{"ports": [{"protocol": "TCP", "port": 443}], "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
        },
    },
    "an alert log without token or volume": NO_BULK
    | {"alertlog": {"existingSecret": "", "persistence": {"enabled": False}, "retention": "30d"}},
    "a claim that exists": NO_BULK | {"alertlog": {"persistence": {"existingClaim": "alerts"}}},
    "a storage class": NO_BULK
    | {"alertlog": {"persistence": {"storageClassName": "fast", "size": "5Gi", "accessModes": ["ReadWriteMany"]}}},
    "channels": {
        **NO_BULK,
        "alertmanagerConfig": {
            "templates": False,
            "labels": {"alertmanager": "main"},
            "channels": [
                {"configs": {"slackConfigs": [{"channel": "#ml", "apiURL": {"name": "chat", "key": "url"}}]}},
                {
                    "teams": ["platform"],
                    "severities": ["critical"],
                    "escalations": True,
                    "configs": {"pagerdutyConfigs": [{"routingKey": {"name": "pager", "key": "key"}}]},
                },
                {
                    "severities": [],
                    "heartbeat": True,
                    "configs": {"webhookConfigs": [{"url": "https://dead.example.org"}]},
                },
            ],
        },
    },
    "every component": NO_PAGES
    | {"components": dict.fromkeys(("host", "database", "containers", "monitoring", "logs", "gpus"), True)},
    "numbers, links and selectors": NO_PAGES
    | {
        "components": {"host": True},
        "links": {
            "grafana": "https://grafana.example.org/",
            "runbooks": "https://r.example.org",
            "logs": "https://l.example.org",
        },
        "selectors": {"node": 'job="node-exporter",cluster=~"a|b"', "exporter": 'job="ml-monitoring",namespace="ml"'},
        "prometheusRule": {
            "groups": {"business": False},
            "labels": {"role": "rules"},
            "additionalRuleLabels": {"owner": "ml"},
            "additionalRuleAnnotations": {"more": 'say "hi"'},
        },
        "alerts": {
            "MlflowRunHanging": {"threshold": "1h30m", "for": "1m", "severity": "warning", "team": "growth"},
            "MlflowFailedRunRatioHigh": {"threshold": 0.5, "parameters": {"window": "2h", "minimum_runs": 7}},
            "MlflowChampionOld": {"parameters": {"aliases": 'a"b\\.c'}},
            "MlflowTrainingSilent": {"enabled": False},
            "MlflowTraceErrorRatioHigh": {"threshold": 0},
        },
    },
}
