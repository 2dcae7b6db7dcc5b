"""How a value is shown: its text, unit and colour, by mappings, thresholds and the field's colour mode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml_monitoring.dashboards.render.colours import Theme
from ml_monitoring.dashboards.render.frames import Field, FieldKind, number
from ml_monitoring.dashboards.render.reduce import reduce_field
from ml_monitoring.dashboards.render.text import Text
from ml_monitoring.dashboards.render.units import UTC_CLOCK, Clock, format_value, is_date
from ml_monitoring.dashboards.render.variable_values import js_regex

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A value as it is shown.

    Attributes:
        text: Text with prefix and suffix.
        colour: Its colour, as matplotlib reads it.
        number: The value, NaN when it is none.
        share: Its place between the field's ends, 0 to 1.
        mapped: Whether a value mapping gave the text.
    """

    text: Text
    colour: str
    number: float
    share: float
    mapped: bool = False

    def __str__(self) -> str:
        return str(self.text)


@dataclass(frozen=True, slots=True)
class Style:
    """What showing depends on besides the field.

    Attributes:
        theme: The colours.
        clock: What dates depend on.
        paper: Whether it is for paper, on which one cannot look up the day.
    """

    theme: Theme
    clock: Clock = UTC_CLOCK
    paper: bool = False


def show(value: Any, field: Field, style: Style, *, limits: tuple[float, float] | None = None) -> Shown:
    """Return how a field's value is shown.

    Args:
        value: The cell.
        field: Its field, with settings.
        style: Theme and clock.
        limits: Ends of the scale; by default the field's own.
    """
    config = field.config
    if isinstance(value, float):
        value += 0.0  # -0 is 0, whose value mapping it has
    unit = str(config.get("unit") or "")
    if field.kind is FieldKind.TIME and not is_date(unit):
        unit = "dateTimeAsSystem"
    value_number = math.nan if unit == "string" else number(value)
    mapping = mapped(config.get("mappings") or [], value)
    low, high = limits or ends(field)
    share = (value_number - low) / (high - low) if high > low and not math.isnan(value_number) else 0.0
    colour = ""
    text: Text | None = None
    if mapping is not None:
        text = Text(str(mapping["text"])) if mapping.get("text") not in (None, "") else None
        colour = style.theme.colour(mapping["color"]) if mapping.get("color") else ""
    from_mapping = text is not None
    if text is None:
        text = _text(value, value_number, unit, field, style)
    if not colour:
        colour = value_colour(value_number, share, field, style.theme)
    return Shown(text, colour, value_number, min(1.0, max(0.0, share)), from_mapping)


def _text(value: Any, value_number: float, unit: str, field: Field, style: Style) -> Text:
    if field.kind is FieldKind.BOOLEAN and not unit.startswith("bool"):
        unit = "bool"
    if value is None or value == "":
        return Text(str(field.config.get("noValue") or ""))
    if isinstance(value, str) and (
        math.isnan(value_number) or (field.kind is FieldKind.STRING and not field.config.get("unit"))
    ):
        return Text(value)
    if isinstance(value, list):
        return Text(", ".join(str(one) for one in value))
    if math.isnan(value_number):
        return Text("NaN")
    decimals = field.config.get("decimals")
    return format_value(value_number, unit, None if decimals is None else int(decimals), style.clock)


def mapped(mappings: Sequence[Json], value: Any) -> Json | None:
    """Return text and colour of the first mapping that holds for the value."""
    for mapping in mappings:
        options = mapping.get("options") or {}
        kind = mapping.get("type")
        if kind == "value":
            found = options.get(_key(value)) if value is not None else None
            if isinstance(found, dict):
                return found
        elif kind == "range":
            low, high = options.get("from"), options.get("to")
            at = number(value)
            if not math.isnan(at) and at >= _limit(low, -math.inf) and at <= _limit(high, math.inf):
                return dict(options.get("result") or {})
        elif kind == "regex" and isinstance(value, str):
            expression = js_regex(str(options.get("pattern")))
            if expression.search(value):
                result = dict(options.get("result") or {})
                if result.get("text") is not None:
                    replacement = js_regex(r"/\$(\d)/").sub(r"\\\1", str(result["text"]))
                    result["text"] = expression.sub(replacement, value)
                return result
        elif kind == "special" and _special(str(options.get("match")), value):
            return dict(options.get("result") or {})
    return None


def _limit(given: Any, default: float) -> float:
    found = number(given) if given is not None else default
    return default if math.isnan(found) else found


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # JavaScript writes -0 as 0.
        return f"{value + 0.0:.0f}" if value.is_integer() else repr(value)
    return str(value)


def _special(match: str, value: Any) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    found = {
        "null": value is None,
        "nan": is_nan,
        "null+nan": value is None or is_nan,
        "true": value in (True, "true") and not isinstance(value, float),
        "false": value in (False, "false") and not isinstance(value, float),
        "empty": value == "",
    }
    return found.get(match) is True


def ends(field: Field) -> tuple[float, float]:
    """Return the ends of a field's scale: set ones, else those of all values of the panel, else of its own."""
    if field.scale is not None:
        return field.scale
    low, high = field.config.get("min"), field.config.get("max")
    if low is None:
        found = reduce_field(field, "min") if field.kind is FieldKind.NUMBER else None
        low = 0.0 if found is None else found
    if high is None:
        found = reduce_field(field, "max") if field.kind is FieldKind.NUMBER else None
        high = 100.0 if found is None else found
    return float(low), float(high)


def threshold_steps(field: Field) -> list[tuple[float, str]]:
    """Return the thresholds as (value, colour), the base first with minus infinity."""
    thresholds = field.config.get("thresholds") or {}
    steps = []
    for place, step in enumerate(thresholds.get("steps") or []):
        value = step.get("value")
        steps.append((-math.inf if place == 0 or value in (None, "null") else float(value), str(step.get("color"))))
    return sorted(steps, key=lambda step: step[0])


def threshold_colour(value: float, share: float, field: Field, theme: Theme) -> str:
    """Return the colour of the threshold that the value has passed."""
    steps = threshold_steps(field)
    if not steps:
        return theme.colour("green")
    at = share * 100 if (field.config.get("thresholds") or {}).get("mode") == "percentage" else value
    name = steps[0][1]
    for bound, colour in steps:
        if at >= bound:
            name = colour
    return theme.colour(name)


def value_colour(value: float, share: float, field: Field, theme: Theme) -> str:
    """Return the colour of a value by the field's colour mode."""
    colour = field.config.get("color") or {}
    mode = str(colour.get("mode") or "thresholds")
    if mode == "thresholds":
        return threshold_colour(value, share, field, theme)
    if mode in ("fixed", "shades"):
        return theme.colour(colour.get("fixedColor"))
    if mode == "palette-classic-by-name":
        return theme.by_name(field.display)
    return theme.scheme(mode, share) or theme.palette(field.index, mode)


def series_colour(field: Field, theme: Theme) -> str:
    """Return the colour of a whole series; by value it is that of its last (or lowest, highest) value."""
    colour = field.config.get("color") or {}
    mode = str(colour.get("mode") or "thresholds")
    if mode == "thresholds" or mode.startswith("continuous-"):
        value = number(reduce_field(field, str(colour.get("seriesBy") or "last")))
        low, high = ends(field)
        share = (value - low) / (high - low) if high > low and not math.isnan(value) else 0.0
        return value_colour(value, share, field, theme)
    return value_colour(math.nan, 0.0, field, theme)
