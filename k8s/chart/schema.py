"""The schema of the chart's values: types as in values.yaml; of what goes on to the stack, the stack's own schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.json_schema import alerting_schema
from ml_monitoring.alerting.model.numbers import Numbers
from ml_monitoring.alerting.model.scope import Selectors
from ml_monitoring.alerting.model.thresholds import SEVERITIES
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog import Unit
from ml_monitoring.exporter.config import Settings
from ml_monitoring.exporter.json_schema import schema_of
from ml_monitoring.exporter.sources import SOURCES
from ml_monitoring.k8s.chart.readme import described
from ml_monitoring.k8s.parametric import Definitions

Json = dict[str, Any]

_FREE: Final[Json] = {"type": "object"}
_TEXTS: Final[Json] = {"type": "object", "additionalProperties": {"type": "string"}}
_DURATION: Final[Json] = {"type": "string", "pattern": durations.PATTERN}
_URL: Final[Json] = {"type": "string", "pattern": r"^(https?://\S+)?$"}
# A name of an object in Kubernetes, or none.
_NAME: Final[Json] = {"type": "string", "pattern": r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", "maxLength": 253}
_SERVICE: Final[Json] = {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}
_PORT: Final[Json] = {"type": "integer", "minimum": 1, "maximum": 65535}
# Any matcher of PromQL, several with commas.
_MATCHER: Final = r'[a-zA-Z_]\w*(=~|!~|!=|=)"([^"\\]|\\.)*"'


def values_schema(values: str, made: Definitions, topics: Sequence[str]) -> Json:
    """Return the schema.

    Args:
        values: The text of values.yaml.
        made: The rules and pages of the chart.
        topics: Names of the groups of rules.
    """
    settings = schema_of(Settings, "Settings", references=True)
    special = _special(made, topics, settings)
    schema = _typed(yaml.safe_load(values), "", dict(described(values)), special)
    # Of a chart that this one is a part of.
    schema["properties"]["global"] = _FREE
    # Stores are laid over the settings, so that neither alone has to be complete.
    definitions = {
        name: {key: value for key, value in definition.items() if key != "required"}
        for name, definition in settings["definitions"].items()
    } | _kubernetes()
    whole = {"$schema": "http://json-schema.org/draft-07/schema#", **schema, "definitions": definitions}
    read: Json = _as_go_reads_it(whole)
    return read


def _as_go_reads_it(schema: Any) -> Any:
    """Return the schema with patterns as Helm's regular expressions have them, which cannot look ahead."""
    if isinstance(schema, list):
        return [_as_go_reads_it(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: _as_go_reads_it(value) for key, value in schema.items()}
    if isinstance(pattern := schema.get("pattern"), str) and "(?=[0-9])" in pattern:
        # Helm prints it, so the shorter the better.
        short = re.sub(r"\(\?:\(\[0-9\]\+\)(\w+)\)", r"(\\d+\1)", pattern.replace("(?=[0-9])", "")).replace("(?:", "(")
        read |= {"pattern": short, "minLength": 1}
    return read


def _typed(value: Any, path: str, texts: Mapping[str, str], special: Mapping[str, Json]) -> Json:
    said = {"description": texts[path]} if path in texts else {}
    if path in special:
        return said | special[path]
    if isinstance(value, dict):
        inner = {key: _typed(item, f"{path}.{key}".lstrip("."), texts, special) for key, item in value.items()}
        # An empty one is free.
        return said | (
            {"type": "object", "properties": inner, "additionalProperties": False} if inner and not said else _FREE
        )
    if isinstance(value, list):
        return said | {"type": "array"}
    kinds = {bool: "boolean", int: "integer", str: "string"}
    return said | {"type": kinds[type(value)]}


def _special(made: Definitions, topics: Sequence[str], settings: Json) -> dict[str, Json]:
    thresholds = made.thresholds
    alerts = alerting_schema(ALERTS)["properties"]["alerts"]["properties"]
    return {
        **_of_pods("exporter"),
        **_of_pods("alertlog"),
        "fullnameOverride": _NAME | {"maxLength": 40},
        "commonLabels": _TEXTS,
        "kubePrometheusStack.namespace": _NAME | {"minLength": 1},
        "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
        "image.repository": {"type": "string", "minLength": 1},
        "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
        "exporter.stores": {"type": "array", "items": _store()},
        "exporter.settings": {
            key: value for key, value in settings.items() if key in ("type", "properties", "additionalProperties")
        },
        "exporter.tls.existingSecret": _NAME,
        "exporter.shards": {"type": "integer", "minimum": 1},
        "exporter.service.type": _SERVICE,
        "exporter.service.port": _PORT,
        "exporter.podDisruptionBudget.maxUnavailable": {
            "type": ["integer", "string"],
            "pattern": "^[0-9]+%$",
            "minimum": 1,
        },
        "alertlog.retention": _DURATION,
        "alertlog.existingSecret": _NAME,
        "alertlog.tls.existingSecret": _NAME,
        "alertlog.persistence.accessModes": {
            "type": "array",
            "items": {"enum": ["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]},
            "minItems": 1,
        },
        "alertlog.service.type": _SERVICE,
        "alertlog.service.port": _PORT,
        "imagePullSecrets": _many("KubernetesLocalObjectReference"),
        "networkPolicy.egress": _many("KubernetesNetworkPolicyEgressRule"),
        "networkPolicy.extraIngress": _many("KubernetesNetworkPolicyPeer"),
        "podSecurityContext": _handed_on("KubernetesPodSecurityContext"),
        "securityContext": _handed_on("KubernetesSecurityContext"),
        "serviceAccount.annotations": _TEXTS,
        "serviceMonitor.labels": _TEXTS,
        "serviceMonitor.metricRelabelings": _many("OperatorMetricRelabeling"),
        "serviceMonitor.relabelings": _many("OperatorRelabeling"),
        "serviceMonitor.interval": _DURATION,
        "serviceMonitor.scrapeTimeout": _DURATION,
        "selectors": {
            "type": "object",
            "properties": {
                name: {"type": "string", "pattern": f"^{_MATCHER}(,{_MATCHER})*$"} for name in Selectors.model_fields
            },
            "additionalProperties": False,
        },
        "links.grafana": _URL,
        "links.runbooks": _URL,
        "links.logs": _URL,
        "prometheusRule.labels": _TEXTS,
        "prometheusRule.groups": _switches(topics),
        "prometheusRule.additionalRuleLabels": _TEXTS,
        "prometheusRule.additionalRuleAnnotations": _TEXTS,
        "alerts": {
            "type": "object",
            "properties": {
                rule["alert"]: _alert(thresholds.alerts[rule["alert"]], alerts.get(rule["alert"], {}), thresholds.teams)
                for group in made.alerts
                for rule in group["rules"]
            },
            "additionalProperties": False,
        },
        "alertmanagerConfig.labels": _TEXTS,
        "alertmanagerConfig.existingSecret": _NAME,
        "alertmanagerConfig.channels": {"type": "array", "items": _channel(list(thresholds.teams))},
        "dashboards.namespace": _NAME,
        "dashboards.labels": _TEXTS,
        "dashboards.annotations": _TEXTS,
        "dashboards.folders": _TEXTS,
        "dashboards.pages": _switches(sorted(made.pages)),
    }


@cache
def _kubernetes() -> Json:
    """Return what `tools.kubernetes_schemas` writes: definitions of Kubernetes and of the Operator."""
    read: Json = json.loads(Path(__file__).with_name("kubernetes.json").read_text(encoding="utf-8"))
    return read


def _handed_on(name: str) -> Json:
    return {"$ref": f"#/definitions/{name}"}


def _many(name: str) -> Json:
    return {"type": "array", "items": _handed_on(name)}


def _of_pods(program: str) -> dict[str, Json]:
    """Return what the values of a program hand on to its pods."""
    known = {
        "affinity": _handed_on("KubernetesAffinity"),
        "extraEnv": _many("KubernetesEnvVar"),
        "extraEnvFrom": _many("KubernetesEnvFromSource"),
        "extraVolumeMounts": _many("KubernetesVolumeMount"),
        "extraVolumes": _many("KubernetesVolume"),
        "nodeSelector": _TEXTS,
        "podAnnotations": _TEXTS,
        "podLabels": _TEXTS,
        "resources": _handed_on("KubernetesResourceRequirements"),
        "service.annotations": _TEXTS,
        "tolerations": _many("KubernetesToleration"),
        "topologySpreadConstraints": _many("KubernetesTopologySpreadConstraint"),
    }
    return {f"{program}.{name}": schema for name, schema in known.items()}


def _switches(names: Sequence[str]) -> Json:
    return {
        "type": "object",
        "properties": {name: {"type": "boolean"} for name in names},
        "additionalProperties": False,
    }


def _alert(numbers: Numbers, given: Json, teams: Sequence[str]) -> Json:
    of_unit = {Unit.SECONDS: _DURATION, Unit.RATIO: {"type": "number", "minimum": -1, "maximum": 1}}
    kept: Json = {"enabled": {"type": "boolean"}, "for": _DURATION}
    if numbers.severity in SEVERITIES:
        kept |= {"severity": {"enum": list(SEVERITIES)}, "team": {"enum": list(teams)}}
    if numbers.threshold is not None:
        kept["threshold"] = of_unit.get(numbers.unit or Unit.ANY, {"type": "number"})
    if "properties" in given:
        kept["parameters"] = given["properties"]["parameters"]
    return {"type": "object", "properties": kept, "additionalProperties": False}


def _channel(teams: Sequence[str]) -> Json:
    return {
        "type": "object",
        "properties": {
            "severities": {"type": "array", "items": {"enum": list(SEVERITIES)}},
            "teams": {"type": "array", "items": {"enum": list(teams)}},
            "escalations": {"type": "boolean"},
            "heartbeat": {"type": "boolean"},
            "configs": {
                "type": "object",
                "minProperties": 1,
                "properties": {
                    name: schema
                    for name, schema in _kubernetes()["OperatorReceiver"]["properties"].items()
                    if name != "name"
                },
                # Kinds that only a newer Operator knows.
                "patternProperties": {"^[a-zA-Z0-9]+Configs$": {"type": "array"}},
                "additionalProperties": False,
            },
        },
        "required": ["configs"],
        "additionalProperties": False,
    }


def _store() -> Json:
    return {
        "type": "object",
        "properties": {
            "kind": {"enum": [source.name for source in SOURCES]},
            "name": {"type": "string", "pattern": "^([A-Za-z0-9][A-Za-z0-9_.-]{0,62})?$"},
            "existingSecret": _NAME,
            "secretKeys": _TEXTS,
            "settings": _FREE,
        },
        "required": ["kind"],
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": source.name}}},
                "then": {"properties": {"settings": {"$ref": f"#/definitions/{source.Settings.__name__}"}}},
            }
            for source in SOURCES
        ],
    }
