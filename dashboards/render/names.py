"""What fields are called, and which fields a matcher means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashboards.render.choices import js_regex
from dashboards.render.frames import Field, Frame, Kind
from dashboards.render.reduce import reduce_field

Json = dict[str, Any]
Matcher = Callable[[Field, Frame], bool]


def display_name(field: Field, frame: Frame, frames: Sequence[Frame]) -> str:
    """Return the name that people see: a set one, the legend's, or one made of labels as Grafana makes it."""
    if field.config.get("displayName"):
        return str(field.config["displayName"])
    if field.given_name:
        return field.given_name
    if field.kind is Kind.TIME and not field.labels:
        return field.name or "Time"
    parts = []
    named = frame.name and any(one.name != frame.name for one in frames)
    if named:
        parts.append(frame.name)
    if field.name and field.name != "Value":
        parts.append(field.name)
    labelled = False
    if field.labels:
        single = _single_label(frames)
        if single is None:
            text = ", ".join(f'{name}="{value}"' for name, value in sorted(field.labels.items()))
            parts.append("{" + text + "}")
            labelled = True
        elif field.labels.get(single):
            parts.append(field.labels[single])
            labelled = True
    if not named and not labelled and field.name == "Value" and frame.name:
        parts.append(frame.name)
    return " ".join(parts) or field.name or "Value"


def name_fields(frames: Sequence[Frame]) -> None:
    """Fill in the name that people see of every field."""
    for frame in frames:
        for field in frame.fields:
            field.display = display_name(field, frame, frames)


def _single_label(frames: Sequence[Frame]) -> str | None:
    names = {name for frame in frames for field in frame.fields for name in field.labels}
    return names.pop() if len(names) == 1 else None


def matcher(config: Json) -> Matcher:
    """Return the test of Grafana's field matcher; one that is not known matches nothing."""
    options = config.get("options")
    kind = config.get("id")
    if kind == "byName":
        return lambda field, _: str(options) in (field.display, field.name)
    if kind in ("byRegexp", "byRegexpOrNames"):
        return _regex_matcher(options)
    if kind == "byNames":
        listed = options if isinstance(options, dict) else {"names": options}
        names, exclude = set(listed.get("names") or []), listed.get("mode") == "exclude"
        return lambda field, _: bool({field.display, field.name} & names) is not exclude
    if kind == "byType":
        return lambda field, _: field.kind == options
    if kind == "byTypes":
        return lambda field, _: field.kind in (options or [])
    if kind == "byFrameRefID":
        return lambda field, frame: frame.ref_id == options and field.kind is not Kind.TIME
    if kind == "numeric":
        return lambda field, _: field.kind is Kind.NUMBER
    if kind == "time":
        return lambda field, _: field.kind is Kind.TIME
    if kind == "byValue" and isinstance(options, dict):
        return _value_matcher(options)
    return lambda *_: False


def _regex_matcher(options: Any) -> Matcher:
    pattern, names = options, []
    if isinstance(options, dict):
        pattern, names = options.get("pattern"), options.get("names") or []
    expression = js_regex(str(pattern)) if pattern else None
    return lambda field, _: field.display in names or bool(expression and expression.search(field.display))


def _value_matcher(options: Json) -> Matcher:
    compare = {
        "eq": lambda a, b: a == b,
        "neq": lambda a, b: a != b,
        "gt": lambda a, b: a > b,
        "lt": lambda a, b: a < b,
        "gte": lambda a, b: a >= b,
        "lte": lambda a, b: a <= b,
    }.get(str(options.get("op")), lambda *_: False)

    def test(field: Field, _: Frame) -> bool:
        value = reduce_field(field, str(options.get("reducer")))
        return value is not None and bool(compare(value, options.get("value")))

    return test
