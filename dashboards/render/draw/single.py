"""The values of panels that show single numbers: stat, gauge, bar gauge, pie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ml_monitoring.dashboards.render.display import Shown, Style, ends, show
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.names import display_name
from ml_monitoring.dashboards.render.reduce import UNITLESS, reduce_field
from ml_monitoring.dashboards.render.variable_values import js_regex

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Single:
    """One number to show: its name, how it looks, the field it is of, and the course behind it."""

    name: str
    shown: Shown
    field: Field
    times: Field | None


def singles(data: PanelData, area: Area) -> list[Single]:
    """Return the numbers of the panel, for an area's theme."""
    return singles_of(data, area.style)


def singles_of(data: PanelData, style: Style) -> list[Single]:
    """Return the numbers of the panel: one a field, or one a row where the panel shows all values."""
    options = data.panel.options.get("reduceOptions") or {}
    calculation = str((options.get("calcs") or ["lastNotNull"])[0])
    chosen = list(_chosen(data.frames, str(options.get("fields") or "")))
    limits = _limits([field for field, _ in chosen], data.panel.type)
    found: list[Single] = []
    if options.get("values"):
        limit = int(options.get("limit") or 25)
        for field, frame in chosen:
            texts = [one for one in frame.fields if one.kind is FieldKind.STRING]
            for row, value in enumerate(field.values):
                name = " ".join(str(text.values[row]) for text in texts) or field.display
                found.append(Single(name, show(value, field, style, limits=limits), field, None))
        return found[:limit]
    for field, frame in chosen:
        value = reduce_field(field, calculation)
        shown_field = field if calculation not in UNITLESS else field.copy(config={**field.config, "unit": "none"})
        # Colours by place of value need the ends of all fields together.
        shown = show(value, shown_field, style, limits=limits)
        found.append(Single(display_name(field, frame, data.frames), shown, field, frame.time))
    return found


def _chosen(frames: Sequence[Frame], wanted: str) -> Iterator[tuple[Field, Frame]]:
    """Yield the fields meant: all numbers, those whose name matches, or all when the expression is /.*/."""
    pattern = js_regex(wanted) if wanted.startswith("/") else None
    for frame in frames:
        for field in frame.fields:
            meant = field.display == wanted or (pattern is not None and pattern.search(field.display))
            if meant or (not wanted and field.kind is FieldKind.NUMBER):
                yield field, frame


def _limits(fields: Sequence[Field], kind: str) -> tuple[float, float] | None:
    if not fields:
        return None
    if kind in {"gauge", "bargauge"}:
        # Without set ends, all bars share the ends of all values, so that they can be compared.
        low = fields[0].config.get("min")
        high = fields[0].config.get("max")
        if low is not None and high is not None:
            return None
    pairs = [ends(field) for field in fields]
    return min(low for low, _ in pairs), max(high for _, high in pairs)
