"""Table: columns as wide as their content asks, cells coloured, barred or drawn as the field says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ml_monitoring.dashboards.render.colours import ink_on, mix
from ml_monitoring.dashboards.render.display import ends, show
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


def draw(data: PanelData, area: Area) -> None:
    """Draw the panel."""
    frames = [frame for frame in data.frames if frame.fields]
    if not frames:
        area.message(data.no_value)
        return
    frame = frames[min(int(data.panel.options.get("frameIndex") or 0), len(frames) - 1)]
    columns = [field for field in frame.fields if not _custom(field).get("hidden")]
    if not columns or not frame.length:
        area.message(data.no_value)
        return
    order = row_order(data, frame)
    line = HEIGHTS.get(str(data.panel.options.get("cellHeight") or "sm"), 26.0)
    footer = data.panel.options.get("footer") or {}
    has_footer = bool(footer.get("show"))
    head = data.panel.options.get("showHeader", True)
    room = int((area.box.h - (line if head else 0) - (line if has_footer else 0)) // line)
    cut = len(order) > room
    order = order[: max(1, room - 1 if cut else room)]
    widths = _widths(columns, order, area)
    y = area.box.y
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
    if cut:
        rest = frame.length - len(order)
        note = f"+{rest} more rows"
        area.canvas.text(area.box.x + 6, y + line / 2, note, size=11.5, colour=area.theme.muted)
    if has_footer:
        _footer(area, columns, widths, footer, line)


def _custom(field: Field) -> Json:
    return field.config.get("custom") or {}


def cell_options(field: Field) -> Json:
    """Return how the cells of a column are drawn."""
    custom = _custom(field)
    if custom.get("cellOptions"):
        return dict(custom["cellOptions"])
    return dict(_OLD_MODES.get(str(custom.get("displayMode")), {}))


def row_order(data: PanelData, frame: Frame) -> list[int]:
    """Return the rows in the order that the panel asks for."""
    rows = list(range(frame.length))
    wanted = (data.panel.options.get("sortBy") or [{}])[0]
    key = frame.named(str(wanted.get("displayName"))) if wanted else None
    if key is None:
        return rows

    def place(row: int) -> tuple[bool, float, str]:
        value = key.values[row]
        if key.kind is FieldKind.FRAME and isinstance(value, list):
            value = value[1]
        at = number(value) if key.kind is not FieldKind.STRING else 0.0
        return (
            not math.isnan(at),
            0.0 if math.isnan(at) else at,
            str(value).lower() if key.kind is FieldKind.STRING else "",
        )

    return sorted(rows, key=place, reverse=bool(wanted.get("desc")))


def _widths(columns: list[Field], rows: list[int], area: Area) -> list[float]:
    """Share the width: set widths first, then what the content asks, in proportion where it is too much or little."""
    asked = []
    for field in columns:
        content = max((text_width(_text(field, row, area), SIZE) for row in rows), default=0.0)
        if cell_options(field).get("type") in ("gauge", "sparkline") or field.kind is FieldKind.FRAME:
            content += 90
        least = float(_custom(field).get("minWidth") or 50)
        asked.append(max(content, text_width(field.display, SIZE, BOLD)) + 18 if content or field.display else least)
    given = [float(_custom(field).get("width") or 0) for field in columns]
    total = area.box.w
    fixed = sum(given)
    free = sum(ask for ask, width in zip(asked, given, strict=True) if not width)
    if not free:
        return [width * total / fixed for width in given]
    if fixed > total * 0.8 or fixed + free * 0.5 > total:
        given = [0.0] * len(given)
        fixed, free = 0.0, sum(asked)
    left = total - fixed
    if free > left:
        # The widest columns give way first.
        asked = _squeezed(asked, given, left)
        free = sum(ask for ask, width in zip(asked, given, strict=True) if not width)
    return [width or ask * left / free for ask, width in zip(asked, given, strict=True)]


def _squeezed(asked: list[float], given: list[float], left: float) -> list[float]:
    low, high = 20.0, max(asked)
    for _ in range(30):
        cap = (low + high) / 2
        total = sum(min(ask, cap) for ask, width in zip(asked, given, strict=True) if not width)
        low, high = (cap, high) if total <= left else (low, cap)
    return [min(ask, low) for ask in asked]


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
            shown.colour if options.get("mode") == "basic" else mix(shown.colour, area.theme.panel, 0.85),
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
