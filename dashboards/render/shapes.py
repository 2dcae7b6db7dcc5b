"""Which parts of a dashboard are objects, and which lists of them: for one line on a file in which they are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Json = dict[str, Any]

# A shape is that of each key of an object, `*` of any other key, or a list of one shape, or a kind of value.
_STEPS: Final[Json] = {"mode": str, "steps": [{"color": str}]}
_MAPPINGS: Final[list[Any]] = [{"options": {}}]
_PANEL: Final[Json] = {
    "id": str,
    "title": str,
    "type": str,
    "gridPos": dict.fromkeys("xywh", float),
    "targets": [{"refId": str}],
    "links": [{}],
    "options": {},
    "transformations": [{}],
    "fieldConfig": {
        "defaults": {"thresholds": _STEPS, "mappings": _MAPPINGS},
        "overrides": [{"matcher": {}, "properties": [{"id": str}]}],
    },
}
_PANEL["panels"] = [_PANEL]
CLASSIC: Final[Json] = {
    "title": str,
    "uid": str,
    "panels": [_PANEL],
    "links": [{}],
    "templating": {"list": [{"name": str}]},
    "annotations": {"list": [{"name": str, "target": {}}]},
    "time": {},
    "timepicker": {},
}
# What a column has of its own, by its id.
_OF_COLUMNS: Final[Json] = {"thresholds": {"value": _STEPS}, "mappings": {"value": _MAPPINGS}}

_QUERY: Final[Json] = {"spec": {}, "datasource": {}}
_GROUP: Final[Json] = {
    "queries": [{"spec": {"query": _QUERY}}],
    "transformations": [{"spec": {}}],
    "queryOptions": {},
}
_LAYOUT: Final[Json] = {"kind": str, "spec": {}}
_PART: Final[Json] = {"spec": {"title": str, "repeat": {}, "layout": _LAYOUT}}
_ITEM: Final[Json] = {
    "spec": {"element": {"name": str}, "repeat": {}, **dict.fromkeys(("x", "y", "width", "height"), float)}
}
_LAYOUT["spec"] = {"items": [_ITEM], "rows": [_PART], "tabs": [_PART]}
_ELEMENT: Final[Json] = {
    "spec": {"title": str, "links": [{}], "data": {"spec": _GROUP}, "vizConfig": {"spec": {}}, "libraryPanel": {}}
}
RESOURCE: Final[Json] = {"metadata": {"name": str, "annotations": {}}, "spec": {}}
V2: Final[Json] = {
    "title": str,
    "links": [{}],
    "timeSettings": {},
    "variables": [{"kind": str, "spec": {}}],
    "annotations": [{"spec": {"query": _QUERY, "legacyOptions": {}}}],
    "elements": {"*": _ELEMENT},
    "layout": _LAYOUT,
}
_PARTS: Final = {
    "panels": "panel", "targets": "query", "queries": "query", "links": "link", "transformations": "transformation",
    "overrides": "override", "properties": "property", "mappings": "mapping", "steps": "step", "items": "item",
    "rows": "row", "tabs": "tab", "variables": "variable", "annotations": "annotation",
    "templating.list": "variable", "annotations.list": "annotation",
}  # fmt: skip
_KINDS: Final[dict[type, str]] = {
    dict: "an object", list: "a list", str: "a text", bool: "true or false", float: "a number", int: "a number",
}  # fmt: skip


def misshapen(value: Any, shape: Any, place: str = "", noun: str = "") -> Iterator[str]:
    """Yield each part of a dashboard that is of another shape, in words, with its place.

    Args:
        value: The dashboard.
        shape: `CLASSIC`, `V2`, or `RESOURCE` for what is around either.
        place: Where the value is; empty for the whole.
        noun: What the value is, if it is as it ought to be.
    """
    kind = shape if isinstance(shape, type) else type(shape)
    if not _is_of(value, kind):
        yield f"{place} is {in_words(value)}, not {noun or _KINDS[kind]}"
    elif isinstance(shape, list) and value:
        part = _PARTS.get(place, _PARTS.get(place.rpartition(".")[2], "object"))
        article = "an" if part[0] in "aio" else "a"
        for number, each in enumerate(value):
            yield from misshapen(each, shape[0], f"{place}[{number}]", f"{article} {part}")
    elif isinstance(shape, dict) and value:
        for key, each in value.items():
            inner = shape.get(key, shape.get("*", _OF_COLUMNS.get(str(value.get("id")), {}).get(key)))
            # Nothing is what Grafana takes for a key that is not there.
            if inner is not None and each is not None:
                yield from misshapen(each, inner, f"{place}.{key}".lstrip("."))


def in_words(value: Any) -> str:
    """Return what kind of JSON a value is."""
    return _KINDS.get(type(value), "nothing")


def _is_of(value: Any, kind: type) -> bool:
    if kind is str:
        return not isinstance(value, dict | list)
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)
