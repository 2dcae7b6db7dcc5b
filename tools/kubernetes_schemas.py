"""Write what Kubernetes and the Prometheus Operator take, as data for the chart: part of `make generate`.

Of what the chart's values hand on. It is the schema of these programs' models, in which no key is unknown. The stack is
installed without those.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

TARGET: Final = Path(__file__).resolve().parent.parent / "k8s" / "chart" / "kubernetes.json"
# Loaded by name: the packages carry more models than a type checker should read for this.
_CORE: Final = "cloudcoil.models.kubernetes.core.v1"
_NETWORKING: Final = "cloudcoil.models.kubernetes.networking.v1"
_OPERATOR: Final = "cloudcoil.models.prometheus_operator."
_MODELS: Final = {
    "Receiver": f"{_OPERATOR}v1alpha1",
    **dict.fromkeys(("MetricRelabeling", "Relabeling"), f"{_OPERATOR}v1"),
    **dict.fromkeys(("Affinity", "EnvFromSource", "EnvVar", "LocalObjectReference", "ResourceRequirements"), _CORE),
    **dict.fromkeys(("PodSecurityContext", "SecurityContext", "Toleration", "TopologySpreadConstraint"), _CORE),
    **dict.fromkeys(("Volume", "VolumeMount"), _CORE),
    **dict.fromkeys(("NetworkPolicyEgressRule", "NetworkPolicyPeer"), _NETWORKING),
}
# Kubernetes takes numbers, too.
_LOOSER: Final[Json] = {"Quantity": {"type": ["string", "number"]}}


def text() -> str:
    """Return the file: definitions by the names of the models, and those that they refer to."""
    definitions: Json = {}
    for name, module in _MODELS.items():
        whole: Json = getattr(import_module(module), name).model_json_schema(by_alias=True)
        # Both programs have some of a name.
        prefix = "Operator" if module.startswith(_OPERATOR) else "Kubernetes"
        for key, schema in {**whole.pop("$defs", {}), name: whole, **_LOOSER}.items():
            definitions[f"{prefix}{key}"] = _strict(schema, prefix)
    return json.dumps(definitions, indent=1) + "\n"


def _strict(schema: Any, prefix: str) -> Any:
    if isinstance(schema, list):
        return [_strict(item, prefix) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if (kinds := schema.get("anyOf")) and (real := [kind for kind in kinds if kind != {"type": "null"}]) != kinds:
        # What may be left out: a null in values takes a key away.
        return _strict(real[0] if len(real) == 1 else {"anyOf": real}, prefix)
    if "$ref" in schema:
        return {"$ref": f"#/definitions/{prefix}{schema['$ref'].rpartition('/')[2]}"}
    kept = {key: schema[key] for key in ("type", "enum", "pattern", "required", "minimum", "anyOf") if key in schema}
    kept |= {key: _strict(schema[key], prefix) for key in ("items", "anyOf") if key in schema}
    if "properties" in schema:
        kept["properties"] = {name: _strict(value, prefix) for name, value in schema["properties"].items()}
        kept["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = _strict(schema["additionalProperties"], prefix)
    return kept


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    sys.exit()
