"""What fields are called, and which fields a matcher means."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.reduce import reduce_field
from ml_monitoring.dashboards.render.variable_values import js_regex

Json = dict[str, Any]
Matcher = Callable[[Field, Frame], bool]

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "lt": operator.lt,
    "gte": operator.ge,
    "lte": operator.le,
}


def display_name(field: Field, frame: Frame, frames: Sequence[Frame]) -> str:
    """Return the name that people see: a set one, the legend's, or one made of labels as Grafana makes it."""
    if field.config.get("displayName"):
        return str(field.config["displayName"])
    if field.given_name:
        return field.given_name
    if field.kind is FieldKind.TIME and not field.labels:
        return _numbered(field, frame) if field.name else "Time"
    parts = []
    several = frame.name and any(one.name != frame.name for one in frames)
    if several:
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
    if not several and not labelled and field.name == "Value" and frame.name:
        parts.append(frame.name)
    name = " ".join(parts) or field.name or "Value"
    return _numbered(field, frame) if name == field.name else name


def _numbered(field: Field, frame: Frame) -> str:
    """Return the field's own name, with a number where several fields of the frame have it."""
    alike = [one for one in frame.fields if one.name == field.name]
    if len(alike) < 2:
        return field.name
    return f"{field.name} {next(place for place, one in enumerate(alike, 1) if one is field)}"


def named(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames with the name that people see of every field."""
    return [
        frame.with_fields([field.copy(display=display_name(field, frame, frames)) for field in frame.fields])
        for frame in frames
    ]


def _single_label(frames: Sequence[Frame]) -> str | None:
    names = {name for frame in frames for field in frame.fields for name in field.labels}
    return names.pop() if len(names) == 1 else None


def matcher(config: Json) -> Matcher:
    """Return the test of Grafana's field matcher; one that is not known matches nothing."""
    make = _MATCHERS.get(str(config.get("id")))
    return make(config.get("options")) if make else lambda *_: False


def _names_matcher(options: Any) -> Matcher:
    listed = options if isinstance(options, dict) else {"names": options}
    names, exclude = set(listed.get("names") or []), listed.get("mode") == "exclude"
    return lambda field, _: bool({field.display, field.name} & names) is not exclude


def _regex_matcher(options: Any) -> Matcher:
    pattern, names = options, list[str]()
    if isinstance(options, dict):
        pattern, names = options.get("pattern"), options.get("names") or []
    expression = js_regex(str(pattern)) if pattern else None
    return lambda field, _: field.display in names or bool(expression and expression.search(field.display))


def _value_matcher(options: Json) -> Matcher:
    compare = _COMPARISONS.get(str(options.get("op")))

    def test(field: Field, _: Frame) -> bool:
        value = reduce_field(field, str(options.get("reducer")))
        return value is not None and compare is not None and bool(compare(value, options.get("value")))

    return test


_MATCHERS: dict[str, Callable[[Any], Matcher]] = {
    "byName": lambda options: lambda field, _: str(options) in (field.display, field.name),
    "byRegexp": _regex_matcher,
    "byRegexpOrNames": _regex_matcher,
    "byNames": _names_matcher,
    "byType": lambda options: lambda field, _: field.kind == options,
    "byTypes": lambda options: lambda field, _: field.kind in (options or []),
    "byFrameRefID": lambda options: lambda field, frame: frame.ref_id == options and field.kind is not FieldKind.TIME,
    "numeric": lambda _: lambda field, _: field.kind is FieldKind.NUMBER,
    "time": lambda _: lambda field, _: field.kind is FieldKind.TIME,
    "byValue": lambda options: _value_matcher(options or {}),
}
