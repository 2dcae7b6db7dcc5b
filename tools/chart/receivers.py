"""What a receiver of the Prometheus Operator may say: the schema of its models, in which no key is unknown."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

Json = dict[str, Any]

# Loaded by name: the package carries more models than a type checker should read for this.
_MODELS: Final = "cloudcoil.models.prometheus_operator.v1alpha1"
_PREFIX: Final = "Operator"


def receivers() -> tuple[Json, Json]:
    """Return the schema of each list of a receiver, such as slackConfigs, and the definitions that they refer to."""
    whole: Json = import_module(_MODELS).Receiver.model_json_schema(by_alias=True)
    definitions = {f"{_PREFIX}{name}": _strict(definition) for name, definition in whole["$defs"].items()}
    lists = {name: _strict(value) for name, value in whole["properties"].items() if name != "name"}
    return lists, definitions


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if (kinds := schema.get("anyOf")) and (real := [kind for kind in kinds if kind != {"type": "null"}]) != kinds:
        # What may be left out: a null in values takes a key away.
        return _strict(real[0] if len(real) == 1 else {"anyOf": real})
    if "$ref" in schema:
        return {"$ref": f"#/definitions/{_PREFIX}{schema['$ref'].rpartition('/')[2]}"}
    kept = {key: schema[key] for key in ("type", "enum", "pattern", "required", "minimum", "anyOf") if key in schema}
    kept |= {key: _strict(schema[key]) for key in ("items", "anyOf") if key in schema}
    if "properties" in schema:
        kept["properties"] = {name: _strict(value) for name, value in schema["properties"].items()}
        kept["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = _strict(schema["additionalProperties"])
    return kept
