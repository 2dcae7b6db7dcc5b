"""Table: columns as wide as Grafana makes them, cells coloured, barred or drawn as the field says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ml_monitoring.dashboards.render.colours import THEMES, ink_on
from ml_monitoring.dashboards.render.display import Style, ends, show
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.fonts import BOLD, text_width
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame, number
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.reduce import calculation_name, reduce_field

Json = dict[str, Any]

SIZE = 12.5
HEIGHTS = {"sm": 26.0, "md": 32.0, "lg": 44.0}
_OLD_MODES = {
    "color-text": {"type": "color-text"},
    "color-background": {"type": "color-background", "mode": "gradient"},
    "color-background-solid": {"type": "color-background", "mode": "basic"},
    "gradient-gauge": {"type": "gauge", "mode": "gradient"},
    "lcd-gauge": {"type": "gauge", "mode": "lcd"},
    "basic": {"type": "gauge", "mode": "basic"},
}


def shown_frame(data: PanelData) -> Frame | None:
    """Return the frame that the table shows; None where it has no cell to show."""
    frames = [frame for frame in data.frames if frame.fields]
    if not frames:
        return None
    frame = frames[min(int(data.panel.options.get("frameIndex") or 0), len(frames) - 1)]
    return frame if columns_of(frame) and frame.length else None


def line_height(data: PanelData) -> float:
    """Return the height of a row."""
    return HEIGHTS.get(str(data.panel.options.get("cellHeight") or "sm"), 26.0)


def natural_widths(columns: Sequence[Field]) -> list[float]:
    """Return how wide columns are in which nothing is cut."""
    style = Style(THEMES["light"])
    widths = []
    for field in columns:
        texts = [str(show(value[1] if isinstance(value, list) else value, field, style)) for value in field.values]
        widest = max((text_width(text, SIZE) for text in texts), default=0.0)
        widths.append(max(widest, text_width(field.display + " ↓", 12, BOLD)) + 18)
    return widths


def columns_of(frame: Frame) -> list[Field]:
    """Return the columns that are not hidden."""
    return [field for field in frame.fields if not _custom(field).get("hidden")]


def draw(data: PanelData, area: Area) -> None:
    """Draw the panel."""
    frame = shown_frame(data)
    if frame is None:
        area.message(data.no_value)
        return
    columns = columns_of(frame)
    order = row_order(data, frame)
    line = line_height(data)
    footer = data.panel.options.get("footer") or {}
    has_footer = bool(footer.get("show"))
    head = data.panel.options.get("showHeader", True)
    room = int((area.box.h - (line if head else 0) - (line if has_footer else 0)) // line)
    cut = len(order) > room
    order = order[: max(1, room - 1 if cut else room)]
    if area.style.paper:
        # Nothing can be scrolled there.
        natural = natural_widths(columns)
        widths, hidden = [width * area.box.w / sum(natural) for width in natural], 0.0
    else:
        columns, widths, hidden = _seen(columns, area.box.w)
    y = area.box.y
    with area.canvas.clipped(area.box):
        if head:
            _header(area, columns, widths, line, data)
            y += line
        for place, row in enumerate(order):
            x = area.box.x
            if place:
                area.canvas.line([(area.box.x, y), (area.box.x + area.box.w, y)], area.theme.grid, width=0.7)
            for field, width in zip(columns, widths, strict=True):
                _cell(area.part(Box(x, y, width, line)), field, row)
                x += width
            y += line
        if has_footer:
            _footer(area, columns, widths, footer, line)
    if cut:
        rest = frame.length - len(order)
        note = f"+{rest} more rows"
        area.canvas.text(area.box.x + 6, y + line / 2, note, size=11.5, colour=area.theme.muted)
    if hidden:
        # The scroll bar: what it does not cover is the part that one has to scroll to.
        share = area.box.w / (area.box.w + hidden)
        bar = Box(area.box.x, area.box.y + area.box.h + 1, area.box.w, 4)
        area.canvas.box(bar, area.theme.track, radius=2)
        area.canvas.box(Box(bar.x, bar.y, bar.w * share, 4), area.theme.muted, radius=2)


def _custom(field: Field) -> Json:
    return field.config.get("custom") or {}


def cell_options(field: Field) -> Json:
    """Return how the cells of a column are drawn."""
    custom = _custom(field)
    if custom.get("cellOptions"):
        return dict(custom["cellOptions"])
    return dict(_OLD_MODES.get(str(custom.get("displayMode")), {}))


def row_order(data: PanelData, frame: Frame) -> list[int]:
    """Return the rows in the order that the panel asks for.

    An empty cell is the smallest number. Equal rows stand in the order of the data, and in a descending table in the
    opposite one: so does the library that Grafana's table is made with (react-table's `orderByFn`).
    """
    found = [
        (key, bool(wanted.get("desc")))
        for wanted in data.panel.options.get("sortBy") or []
        if (key := frame.named(str(wanted.get("displayName")))) is not None
    ]
    rows = list(range(frame.length))
    if found and found[0][1]:
        rows.reverse()
    for key, descending in reversed(found):
        places = [_place(value, key.kind) for value in key.values]
        rows.sort(key=places.__getitem__, reverse=descending)
    return rows


def _place(value: Any, kind: FieldKind) -> tuple[float, str]:
    if kind is FieldKind.FRAME and isinstance(value, list):
        value = value[1]
    if kind in (FieldKind.STRING, FieldKind.BOOLEAN):
        # JavaScript's word for nothing takes its place in the alphabet.
        return 0.0, "null" if value is None else str(value).casefold()
    at = number(value)
    return (-math.inf if math.isnan(at) else at), ""


# The least width of a column that says nothing of its own: Grafana's COLUMN_MIN_WIDTH.
LEAST_WIDTH = 150.0


def column_widths(columns: Sequence[Field], available: float) -> list[float]:
    """Return the widths of columns (Grafana's `getColumns`), which may add up to more than there is.

    A set width is kept. The others share what is left, none below its least width; the content has no say.
    """
    widths = [set_width(field) for field in columns]
    least = [least_width(field) for field in columns]
    left, count = available - sum(widths), widths.count(0)
    shared = left / count if count else 0.0
    for _ in range(count):
        for place, own in enumerate(least):
            if not widths[place] and own > shared:
                widths[place] = own
                left, count = left - own, count - 1
                shared = left / count if count else 0.0
    return [width or shared for width in widths]


def set_width(field: Field) -> float:
    """Return the width that a column is given, or 0."""
    return float(_custom(field).get("width") or 0)


def least_width(field: Field) -> float:
    """Return the least width of a column that is given none."""
    given = _custom(field).get("minWidth")
    return LEAST_WIDTH if given is None else float(given)


def _seen(columns: list[Field], available: float) -> tuple[list[Field], list[float], float]:
    """Return the columns that begin in sight, their widths, and how many pixels of the table are out of sight."""
    widths = column_widths(columns, available)
    begins = list(accumulate(widths, initial=0.0))
    seen = sum(begin < available - 1 for begin in begins[:-1])
    hidden = begins[-1] - available
    return columns[:seen], widths[:seen], hidden if hidden > 1 else 0.0


def _align(field: Field) -> str:
    given = str(_custom(field).get("align") or "auto")
    if given in ("left", "right", "center"):
        return given
    return "right" if field.kind is FieldKind.NUMBER else "left"


def _anchor(box: Box, align: str) -> float:
    return {"left": box.x + 8, "right": box.x + box.w - 8, "center": box.x + box.w / 2}[align]


def _header(area: Area, columns: list[Field], widths: list[float], line: float, data: PanelData) -> None:
    x, y = area.box.x, area.box.y
    wanted = (data.panel.options.get("sortBy") or [{}])[0] or {}
    for field, width in zip(columns, widths, strict=True):
        align = _align(field)
        mark = (" ↓" if wanted.get("desc") else " ↑") if wanted.get("displayName") == field.display else ""
        area.canvas.text(
            _anchor(Box(x, y, width, line), align),
            y + line / 2,
            field.display + mark,
            size=12,
            colour=area.theme.muted,
            weight=BOLD,
            align=align,
            fit=width - 12,
        )
        x += width
    area.canvas.line([(area.box.x, y + line), (area.box.x + area.box.w, y + line)], area.theme.border, width=1.2)


def _text(field: Field, row: int, area: Area) -> str:
    value = field.values[row]
    if field.kind is FieldKind.FRAME and isinstance(value, list):
        return str(show(value[1], field, area.style))
    if isinstance(value, float) and math.isnan(value) and not field.config.get("mappings"):
        return "NaN"
    return str(show(value, field, area.style))


def _cell(area: Area, field: Field, row: int) -> None:
    box, canvas = area.box, area.canvas
    options = cell_options(field)
    kind = str(options.get("type") or "auto")
    value = field.values[row]
    sparkline = kind == "sparkline" or field.kind is FieldKind.FRAME
    reduced = value[1] if sparkline and isinstance(value, list) else value
    shown = show(reduced, field, area.style)
    align = _align(field)
    colour = area.theme.text
    if value is None or str(shown) == "":
        colour = area.theme.muted
    if kind == "color-text":
        colour = shown.colour
    elif kind in ("color-background", "color-background-solid") and str(shown) != "":
        canvas.box(
            box.inset(1, 1, 1, 1),
            shown.colour,
        )
        colour = ink_on(shown.colour)
    if kind == "gauge" and not math.isnan(shown.number):
        label = min(
            box.w * 0.5, max(text_width(_text(field, one, area), SIZE) for one in range(len(field.values))) + 14
        )
        _gauge(area.part(box.inset(8, 7, label + 4, 7)), field, shown.share, shown.colour)
        colour, align = shown.colour, "right"
    if sparkline and isinstance(value, list):
        label = text_width(str(shown), SIZE) + 14
        _spark(area.part(box.inset(8, 4, label + 4, 4)), value[0], shown.colour)
        align = "right"
    canvas.text(
        _anchor(box, align),
        box.y + box.h / 2,
        _text(field, row, area),
        size=SIZE,
        colour=colour,
        align=align,
        fit=box.w - 14,
    )


def _gauge(area: Area, field: Field, share: float, colour: str) -> None:
    low, high = ends(field)
    area.canvas.box(area.box, area.theme.track, radius=2)
    if high > low and share > 0:
        area.canvas.box(
            Box(area.box.x, area.box.y, max(2.0, area.box.w * share), area.box.h), colour, radius=2, opacity=0.85
        )


def _spark(area: Area, values: list[Any], colour: str) -> None:
    numbers = np.array([number(value) for value in values], dtype=float)
    finite = numbers[np.isfinite(numbers)]
    if len(finite) < 2 or area.box.w < 10:
        return
    low, high = float(finite.min()), float(finite.max())
    spread = high - low or 1.0
    box = area.box
    points = [
        (box.x + place / (len(numbers) - 1) * box.w, box.y + box.h * (1 - (value - low) / spread))
        for place, value in enumerate(numbers)
        if math.isfinite(value)
    ]
    area.canvas.line(points, colour, width=1.3)


def _footer(area: Area, columns: list[Field], widths: list[float], footer: Json, line: float) -> None:
    y = area.box.y + area.box.h - line
    area.canvas.line([(area.box.x, y), (area.box.x + area.box.w, y)], area.theme.border)
    calculation = str((footer.get("reducer") or ["sum"])[0])
    wanted = footer.get("fields") or []
    x, named = area.box.x, False
    for field, width in zip(columns, widths, strict=True):
        text = ""
        if field.kind is FieldKind.NUMBER and (not wanted or field.display in wanted):
            text = str(show(reduce_field(field, calculation), field, area.style))
        elif not named:
            text, named = calculation_name(calculation), True
        align = _align(field)
        area.canvas.text(
            _anchor(Box(x, y, width, line), align),
            y + line / 2,
            text,
            size=SIZE,
            weight=BOLD,
            align=align,
            fit=width - 12,
        )
        x += width
