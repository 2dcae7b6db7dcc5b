"""What changed of how a panel shows its values: thresholds, mappings, and what single columns have of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ml_monitoring.dashboards.publish.defaults import default_at
from ml_monitoring.dashboards.publish.hues import hue, judgement
from ml_monitoring.dashboards.publish.values import changed_values, text_of
from ml_monitoring.dashboards.render.units import format_value
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]


def field_changes(name: str, old: Json, new: Json, *, column: str) -> Iterator[Change]:
    """Return the changes of how the values of a panel are shown.

    Args:
        name: Of the panel.
        old: What the panel has as `fieldConfig` before.
        new: The same afterwards.
        column: What the panel shows, each by a name: `column` or `series`.
    """
    yield from changed_values(name, old, new, frozenset({"defaults", "overrides"}), "fieldConfig.")
    before, after = ((config.get("defaults") or {}) for config in (old, new))
    yield from _options(name, before, after, "", (_unit(before), _unit(after)))
    columns = [_columns(config.get("overrides") or [], column) for config in (old, new)]
    for which in dict.fromkeys([*columns[0], *columns[1]]):
        one, other = (of_it.get(which, {}) for of_it in columns)
        one, other = _with_inherited(one, other, before), _with_inherited(other, one, after)
        units = tuple(str(own.get("unit", _unit(of_all))) for own, of_all in ((one, before), (other, after)))
        yield from _options(name, one, other, f" of {which}", (units[0], units[1]))
    kept = [[which for which in one if which in other] for one, other in (columns, columns[::-1])]
    if kept[0] != kept[1]:
        yield Change(name, "overrides are in another order, the last one holds", *map(text_of, kept))


def _with_inherited(own: Json, other: Json, of_all: Json) -> Json:
    """Return what a column has of its own, and of all columns what it has of its own on the other side only."""
    found = dict(own)
    for option in other.keys() - own.keys():
        value: Any = of_all
        for key in option.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value not in (None, other[option]):
            found[option] = value
    return found


def _options(name: str, old: Json, new: Json, whose: str, units: tuple[str, str]) -> Iterator[Change]:
    if old.get("thresholds") != new.get("thresholds"):
        yield from _thresholds(name, old.get("thresholds") or {}, new.get("thresholds") or {}, whose, units)
    if old.get("mappings") != new.get("mappings"):
        yield from _mappings(name, old.get("mappings") or [], new.get("mappings") or [], whose)
    yield from changed_values(name, old, new, frozenset({"thresholds", "mappings"}), whose=whose)


def _columns(overrides: list[Json], column: str) -> dict[str, Json]:
    """Return what columns, or series, have of their own, in words for which ones."""
    found: dict[str, Json] = {}
    for one in overrides:
        matcher = one.get("matcher") or {}
        kind = str(matcher.get("id", "")).removeprefix("by")
        which = text_of(matcher.get("options"))
        own = found.setdefault(f"{column} {which}" if kind == "Name" else f"{column} by {kind} {which}", {})
        for option in one.get("properties") or []:
            own[str(option.get("id"))] = option.get("value")
    return found


def _unit(options: Json) -> str:
    return str(options.get("unit") or "")


def _thresholds(name: str, old: Json, new: Json, whose: str, units: tuple[str, str]) -> Iterator[Change]:
    old, new = (one or default_at("defaults.thresholds") for one in (old, new))
    before, after = (one.get("steps") or [] for one in (old, new))
    modes = {one.get("mode") or "absolute" for one in (old, new)}
    is_judged_alike = _judged(before) == _judged(after) and (len(modes) == 1 or not _judged(before))
    said = [_steps(one, unit, shades=is_judged_alike) for one, unit in ((old, units[0]), (new, units[1]))]
    if said[0] == said[1]:
        said = [text_of(one) for one in (old, new)]
    # Another shade, or blue in place of green, is a matter of looks; red in place of green is none.
    yield Change(name, f"{'looks of ' * is_judged_alike}thresholds{whose} changed", *said)


def _judged(steps: list[Json]) -> list[tuple[str, Any]]:
    """Return what values are judged by from where on: nothing where there is one colour for all of them."""
    judged = [(judgement(str(step.get("color"))), step.get("value")) for step in steps]
    return [] if [value for _colour, value in judged] == [None] else judged


def _steps(thresholds: Json, unit: str, *, shades: bool) -> str:
    """Return thresholds in words, such as `green, red from 25 °C`."""
    parts = []
    for step in thresholds.get("steps") or []:
        value = step.get("value")
        colour = str(step.get("color")) if shades else hue(str(step.get("color")))
        colour = {"transparent": "no colour", "text": "plain"}.get(colour, colour)
        parts.append(colour if value is None else f"{colour} from {_number(value, unit, thresholds)}")
    return ", ".join(parts) or "none"


def _number(value: Any, unit: str, thresholds: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if thresholds.get("mode") == "percentage":
        return f"{value}% of the range"
    if not unit:
        return str(value)
    exact, *near = (str(format_value(float(value) * factor, unit)).strip() for factor in (1, 0.999, 1.001))
    # What rounding hides is written in full.
    is_rounded = float(f"{value:.3g}") != value or {exact} == {*near}
    return f"{exact} ({value})" if value and is_rounded else exact


def _mappings(name: str, old: list[Json], new: list[Json], whose: str) -> Iterator[Change]:
    before, after = (dict(_mapped(mappings)) for mappings in (old, new))
    is_said = False
    for value in dict.fromkeys([*before, *after]):
        one, other = before.get(value), after.get(value)
        if one is None or other is None:
            yield Change(
                name, f"mapping of {value}{whose} {'added' if one is None else 'removed'}", "", _as(one or other)
            )
        elif one[0] != other[0] or judgement(one[1]) != judgement(other[1]):
            yield Change(name, f"mapping of {value}{whose} changed", _as(one), _as(other))
        elif one != other:
            yield Change(name, f"looks of mapping{whose} changed", *(f"{value}: {each[1]}" for each in (one, other)))
        else:
            continue
        is_said = True
    if not is_said:
        yield Change(name, f"looks of mappings{whose} changed", *map(text_of, (old, new)))


def _mapped(mappings: list[Json]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each value that is shown in other words, in words for which one, with its text and colour."""
    for mapping in mappings:
        kind, options = mapping.get("type"), mapping.get("options") or {}
        if kind == "value":
            yield from ((value, _shown(one)) for value, one in options.items())
            continue
        which = {
            "range": f"{options.get('from')} to {options.get('to')}",
            "regex": f"/{options.get('pattern')}/",
            "special": str(options.get("match")),
        }.get(str(kind), f"{kind} {text_of({key: options[key] for key in options if key != 'result'})}")
        yield which, _shown(options.get("result"))


def _shown(result: Any) -> tuple[str, str]:
    options: Mapping[str, Any] = result if isinstance(result, dict) else {}
    rest = {key: options[key] for key in options if key not in ("text", "color", "index")}
    return f"{options.get('text', '')}{json.dumps(rest) if rest else ''}", str(options.get("color") or "")


def _as(shown: tuple[str, str] | None) -> str:
    text, colour = shown or ("", "")
    return f"{text or 'its colour only'}{f' ({hue(colour)})' if colour else ''}"
