"""The values of panels that show single numbers: stat, gauge, bar gauge, pie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ml_monitoring.dashboards.render.display import Shown, Style, show
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.names import display_name
from ml_monitoring.dashboards.render.reduce import UNITLESS, reduce_field
from ml_monitoring.dashboards.render.variable_values import js_regex

Json = dict[str, Any]

# So many rows are shown when the panel does not say.
MOST_ROWS = 25


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
    """Return the numbers of the panel: one a field and calculation, or one a row where the panel shows all values.

    An instant answer of Loki or SQL is one table, of which a calculation sees one column: only with
    `reduceOptions.values` is there a number for each row.
    """
    options = data.panel.options.get("reduceOptions") or {}
    calculations = [str(one) for one in options.get("calcs", ["lastNotNull"]) or ["last"]]
    limit = int(options.get("limit") or MOST_ROWS)
    found: list[Single] = []
    for field, frame in _chosen(data.frames, str(options.get("fields") or "")):
        if options.get("values"):
            for row, value in enumerate(field.values):
                if len(found) >= limit:
                    return found
                # Each row has a colour of its own.
                place = field.copy(index=len(found))
                name = _row_name(place, field, frame, row, style)
                found.append(Single(name, show(value, place, style), place, None))
            continue
        for calculation in calculations:
            value = reduce_field(field, calculation)
            shown_field = field if calculation not in UNITLESS else field.copy(config={**field.config, "unit": "none"})
            name = display_name(field, frame, data.frames)
            found.append(Single(name, show(value, shown_field, style), field, frame.time))
    return found


def count_of(data: PanelData) -> int:
    """Return how many numbers stand side by side; no number has the room of one."""
    options = data.panel.options.get("reduceOptions") or {}
    fields = [field for field, _ in _chosen(data.frames, str(options.get("fields") or ""))]
    return max(1, sum(len(field.values) for field in fields) if options.get("values") else len(fields))


def nothing(data: PanelData, style: Style) -> Single:
    """Return what stands for no number at all (Grafana's `createNoValuesFieldDisplay`): mappings of null hold."""
    field = Field("", FieldKind.NUMBER, (), config={**data.panel.defaults, "noValue": data.no_value})
    return Single("", show(None, field, style), field, None)


def _row_name(shown: Field, field: Field, frame: Frame, row: int, style: Style) -> str:
    """Return the name of one row: its texts, and the field's name where there are several numbers or no text."""
    if field.config.get("displayName"):
        return str(field.config["displayName"])
    others = [one for one in frame.fields if one is not field]
    parts = [
        text
        for one in others
        if one.kind is FieldKind.STRING and (text := str(show(one.values[row], one.copy(config=_texts(one)), style)))
    ]
    if not parts or any(one.kind is FieldKind.NUMBER for one in others):
        parts.append(shown.display)
    return " ".join(parts)


def _texts(field: Field) -> Json:
    # An empty text is no part of a name, whatever stands for "no value".
    return {**field.config, "noValue": ""}


def _chosen(frames: Sequence[Frame], wanted: str) -> Iterator[tuple[Field, Frame]]:
    """Yield the fields meant: all numbers, those whose name matches, or all when the expression is /.*/."""
    pattern = js_regex(wanted) if wanted.startswith("/") else None
    for frame in frames:
        for field in frame.fields:
            meant = field.display == wanted or (pattern is not None and pattern.search(field.display))
            if meant or (not wanted and field.kind is FieldKind.NUMBER):
                yield field, frame
