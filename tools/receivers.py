"""Write what a receiver of the Prometheus Operator may say, as data for the chart: part of `make generate`.

It is the schema of the Operator's models, in which no key is unknown. The stack is installed without those.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

TARGET: Final = Path(__file__).resolve().parent.parent / "k8s" / "chart" / "receivers.json"
# Loaded by name: the package carries more models than a type checker should read for this.
_MODELS: Final = "cloudcoil.models.prometheus_operator.v1alpha1"
_PREFIX: Final = "Operator"


def text() -> str:
    """Return the file: the schema of each list of a receiver, such as slackConfigs, and what these refer to."""
    whole: Json = import_module(_MODELS).Receiver.model_json_schema(by_alias=True)
    definitions = {f"{_PREFIX}{name}": _strict(definition) for name, definition in whole["$defs"].items()}
    lists = {name: _strict(value) for name, value in whole["properties"].items() if name != "name"}
    return json.dumps({"lists": lists, "definitions": definitions}, indent=1) + "\n"


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


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    sys.exit()
