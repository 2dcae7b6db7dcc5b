"""JSON schemas of settings, for editors: made from the models that check them, described by their docstrings.

What an editor sees is one file of several, and values may come from variables. So nothing is required, and where a
value is checked, a reference to a variable passes too.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from ml_monitoring.exporter import durations
from ml_monitoring.exporter.references import FILE_SUFFIX, is_secret
from ml_monitoring.exporter.settings_hints import models_in

_DIALECT: Final = "http://json-schema.org/draft-07/schema#"
_REFERENCE: Final = r"\$\{"
_ATTRIBUTES: Final = re.compile(r"\n\s*\n *Attributes:\n(?P<list>.*?)(?:\n\s*\n *[A-Z]\w+:\n|\Z)", re.DOTALL)
_ATTRIBUTE: Final = re.compile(r"^(?P<name>\w+): (?P<text>.*(?:\n +.*)*)", re.MULTILINE)
# What says nothing to an editor, or demands what another file or a variable may give.
_NEEDLESS: Final = frozenset({"title", "required", "writeOnly", "format", "discriminator"})
_LITERAL: Final = frozenset({"default", "enum", "const"})
# What holds schemas by names, which may be like words of JSON Schema.
_BY_NAME: Final = frozenset({"properties", "definitions"})
_SCALARS: Final = frozenset({"integer", "number", "boolean"})


def schema_of(model: type[BaseModel], title: str, *, references: bool) -> dict[str, Any]:
    """Return the schema of a file of settings.

    Args:
        model: The settings.
        title: What the file is.
        references: Whether values may refer to variables.
    """
    schema = model.model_json_schema(by_alias=True)
    models = {each.__name__: each for each in _all_models(model)}
    definitions = {name: _object(part, models.get(name)) for name, part in schema.pop("$defs", {}).items()}
    schema = {**_object(schema, model), "title": title, "definitions": dict(sorted(definitions.items()))}
    # What anchors stand in, see `yaml_files.read`.
    schema["patternProperties"] = {"^x-": {}}
    return {"$schema": _DIALECT, **(_let_references_in(schema) if references else schema)}


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings of a model and its bases say of each field."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        attributes = _ATTRIBUTES.search(f"{inspect.cleandoc(base.__doc__ or '')}\n")
        if attributes and issubclass(base, BaseModel):
            listed = inspect.cleandoc(attributes["list"])
            found |= {each["name"]: " ".join(each["text"].split()) for each in _ATTRIBUTE.finditer(listed)}
    return found


def _all_models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            yield from _all_models(inner)


def _summary(model: type[BaseModel]) -> str:
    return " ".join(inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0].split())


def _object(schema: dict[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """Return the schema of a model as editors read it best, with what docstrings say."""
    if model is None or "properties" not in schema:
        return _value(schema)
    texts = descriptions(model)
    properties: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        entry = _value(schema["properties"][key])
        inner = models_in(field.annotation)
        if text := texts.get(name) or (_summary(inner[0]) if inner else ""):
            entry["description"] = text
        properties[key] = entry
        if is_secret(field):
            properties[f"{key}{FILE_SUFFIX}"] = {
                "type": "string",
                "description": f"File that holds `{key}`, as Docker and Kubernetes hand out secrets.",
            }
    return {
        "type": "object",
        "description": _summary(model),
        "properties": properties,
        "additionalProperties": schema.get("additionalProperties", True),
    }


def _inner(part: Any) -> Any:
    if isinstance(part, list):
        return [_inner(item) for item in part]
    return _value(part) if isinstance(part, dict) else part


def _value(node: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value as editors read it best."""
    node = {key: value for key, value in node.items() if key not in _NEEDLESS}
    present = [option for option in node.get("anyOf", []) if option != {"type": "null"}]
    if len(present) == 1 and "type" in present[0]:
        # Editors explain one alternative better than two.
        del node["anyOf"]
        types = present[0]["type"]
        node = present[0] | node | {"type": [*(types if isinstance(types, list) else [types]), "null"]}
    if isinstance(node.get("$ref"), str):
        node["$ref"] = node["$ref"].replace("#/$defs/", "#/definitions/")
    default = node.get("default")
    if default is None or isinstance(default, dict):
        node.pop("default", None)
    if node.get("pattern") == durations.PATTERN:
        node["patternErrorMessage"] = "Not a duration: write it as 30s, 5m, 6h, 1d or 1h30m."
        if isinstance(default, int | float):
            node["default"] = durations.format_seconds(default)
    return {key: _inner(value) if key not in _LITERAL else value for key, value in node.items()}


def _let_references_in(node: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose checked values may be a reference to a variable too."""
    node = {
        key: value if key in _LITERAL else _by_name(value) if key in _BY_NAME else _each(value)
        for key, value in node.items()
    }
    if isinstance(node.get("pattern"), str):
        return node | {"pattern": f"{node['pattern']}|{_REFERENCE}"}
    types = node.get("type")
    if not _SCALARS.isdisjoint(types if isinstance(types, list) else [types]) or isinstance(node.get("enum"), list):
        kept: dict[str, Any] = {key: node.pop(key) for key in ("description", "default") if key in node}
        return {"anyOf": [node, {"type": "string", "pattern": _REFERENCE}], **kept}
    return node


def _by_name(schemas: dict[str, Any]) -> dict[str, Any]:
    return {name: _each(schema) for name, schema in schemas.items()}


def _each(part: Any) -> Any:
    if isinstance(part, list):
        return [_each(item) for item in part]
    return _let_references_in(part) if isinstance(part, dict) else part
