"""Stat: a number as large as it fits, with a name, a colour and the course behind it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ml_monitoring.dashboards.render.colours import ink_on, mix
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.draw.single import Single, singles
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.fonts import BOLD, MEDIUM, text_width
from ml_monitoring.dashboards.render.frames import FieldKind, number
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.reduce import reduce_field
from ml_monitoring.dashboards.render.text import Text

Json = dict[str, Any]

# Units are written smaller than the number.
UNIT_SHARE = 0.6
LARGEST = 64.0
# How much of the height the course of the value takes.
COURSE = 0.38


def draw(data: PanelData, area: Area) -> None:
    """Draw the panel."""
    values = singles(data, area)
    options = data.panel.options
    if not values:
        text = data.no_value
        x, y = area.box.middle
        size = min(30.0, area.box.w * 0.9 / max(1.0, text_width(text, 1, MEDIUM)))
        area.canvas.text(x, y, text, size=size, colour=area.theme.muted, align="center", weight=MEDIUM)
        return
    mode = str(options.get("textMode") or "auto")
    if mode == "name":
        # The name takes the place of the number, as large.
        values = [replace(one, shown=replace(one.shown, text=Text(one.name), mapped=True)) for one in values]
    with_name = mode == "value_and_name" or (mode == "auto" and len(values) > 1)
    widest = max(max(_width(one), 0.45 * text_width(one.name, 1) if with_name else 0.0) for one in values)
    cells = tile(area.box, len(values), str(options.get("orientation") or "auto"), widest)
    # All numbers of one panel have one size, so that they line up.
    inner = [cell.inset(8, 4, 8, 4) for cell in cells]
    name_size = min(_name_size(cell, one.name) for cell, one in zip(inner, values, strict=True)) if with_name else 0.0
    given = (options.get("text") or {}).get("valueSize")
    with_value = mode != "none"
    sizes = [_value_size(cell, one, name_size, options) for cell, one in zip(inner, values, strict=True)]
    size = float(given) if given else min(sizes)
    for cell, one in zip(cells, values, strict=True):
        _draw_one(area.part(cell), one, options, name_size=name_size, size=size if with_value else 0.0)


def tile(box: Box, count: int, orientation: str, widest: float = 2.0) -> list[Box]:
    """Return a place for each of several values.

    Args:
        box: Where all of them go.
        count: How many.
        orientation: `vertical` is side by side, `horizontal` one below the other; else the grid with the largest text.
        widest: Width of the widest text in multiples of its height.
    """
    gap = 6.0
    if orientation == "vertical":
        columns = count
    elif orientation == "horizontal":
        columns = 1
    else:

        def size(columns: int) -> float:
            return min((box.h / math.ceil(count / columns)) * 0.5, (box.w / columns - 22) * 0.94 / widest)

        columns = max(range(1, count + 1), key=size)
    rows = math.ceil(count / columns)
    width, height = (box.w - gap * (columns - 1)) / columns, (box.h - gap * (rows - 1)) / rows
    places = []
    for place in range(count):
        row, column = divmod(place, columns)
        # The last row fills the width.
        last = count - row * columns if row == rows - 1 else columns
        own = (box.w - gap * (last - 1)) / last
        places.append(
            Box(box.x + column * ((own if last < columns else width) + gap), box.y + row * (height + gap), own, height)
        )
    return places


def _name_size(cell: Box, name: str) -> float:
    wanted = min(18.0, cell.h * 0.22)
    fitting = cell.w / max(1.0, text_width(name, 1))
    # A long name is cut off sooner than made unreadable.
    return max(min(wanted, fitting), min(11.0, cell.h * 0.3))


def has_course(one: Single, options: Json, height: float) -> bool:
    """Return whether the course of the value is drawn behind it."""
    return options.get("graphMode") == "area" and one.times is not None and len(one.field.values) > 1 and height > 60


def _value_size(cell: Box, one: Single, name_size: float, options: Json) -> float:
    height = cell.h * (1 - COURSE if has_course(one, options, cell.h) else 1) - (name_size * 1.5 if name_size else 0)
    width = _width(one)
    return max(8.0, min(LARGEST, height * 0.66, cell.w * 0.94 / width))


def _width(one: Single) -> float:
    """Return the width of number and unit in multiples of the number's height."""
    text = one.shown.text
    unit = UNIT_SHARE * (text_width(text.prefix, 1, MEDIUM) + text_width(text.suffix, 1, MEDIUM))
    return max(0.5, text_width(text.text or " ", 1, BOLD) + unit)


def _draw_one(area: Area, one: Single, options: Json, *, name_size: float, size: float) -> None:
    canvas, box = area.canvas, area.box
    mode = str(options.get("colorMode") or "value")
    colour = one.shown.colour
    missing = math.isnan(one.shown.number) and not one.shown.mapped and one.field.kind is FieldKind.NUMBER
    background = mode.startswith("background") and not missing
    if background:
        canvas.box(box, colour, radius=3)
        ink = ink_on(colour)
        value_ink = ink
    else:
        ink = area.theme.text
        value_ink = area.theme.muted if missing else colour if mode == "value" else area.theme.text
    lifted = has_course(one, options, box.h)
    if lifted:
        spark = mix(ink, colour, 0.35) if background else colour
        _sparkline(area, one, spark, background=background)
    x, y = box.middle
    if lifted:
        # The number stands above its course, not in it.
        y -= box.h * COURSE / 2
    has_change = bool(options.get("showPercentChange")) and box.h > 80
    offset = (name_size * 0.75 if name_size else 0.0) - (8 if has_change else 0)
    if name_size:
        name_y = y - (size * 0.62 if size else 0) - (6 if has_change else 0)
        canvas.text(x, name_y, one.name, size=name_size, colour=ink, align="center", fit=box.w - 12)
    if size:
        _write_value(area, one, (x, y + offset), size, value_ink)
    if has_change:
        _write_change(area, one, x, y + offset + size * 0.75, ink)


def _write_value(area: Area, one: Single, middle: tuple[float, float], size: float, colour: str) -> None:
    x, y = middle
    text = one.shown.text
    small = size * UNIT_SHARE
    parts = [(text.prefix, small, MEDIUM), (text.text or "-", size, BOLD), (text.suffix, small, MEDIUM)]
    total = sum(text_width(part, height, weight) for part, height, weight in parts)
    x -= total / 2
    # One line for all: the small unit stands on the number's feet.
    foot = y + size * 0.36
    for part, height, weight in parts:
        if part.strip():
            # Spaces at the edges are part of the unit and keep their width.
            lead = text_width(part[: len(part) - len(part.lstrip())], height, weight)
            area.canvas.text(x + lead, foot, part, size=height, colour=colour, weight=weight, baseline="baseline")
        x += text_width(part, height, weight)


def _write_change(area: Area, one: Single, x: float, y: float, ink: str) -> None:
    change = number(reduce_field(one.field, "diffperc"))
    if not math.isfinite(change):
        return
    sign = "▲" if change > 0 else "▼" if change < 0 else ""
    area.canvas.text(x, y, f"{sign} {abs(change):.3g}%", size=13, colour=ink, align="center", weight=MEDIUM)


def _sparkline(area: Area, one: Single, colour: str, *, background: bool) -> None:
    values = np.array(one.field.numbers(), dtype=float)
    finite = values[np.isfinite(values)]
    if one.times is None or len(finite) < 2:
        return
    box = area.box
    place = Box(box.x, box.y + box.h * (1 - COURSE), box.w, box.h * COURSE - 1)
    axes = area.canvas.axes(place)
    low, high = float(finite.min()), float(finite.max())
    spread = high - low or abs(high) or 1.0
    axes.set_ylim(low - spread * 0.15, high + spread * 0.15)
    times = np.array(one.times.values, dtype=float)
    axes.set_xlim(times[0], times[-1] if times[-1] > times[0] else times[0] + 1)
    axes.fill_between(times, values, low - spread, color=colour, alpha=0.35 if background else 0.16, linewidth=0)
    axes.plot(times, values, color=colour, linewidth=area.canvas.points(1.2), alpha=0.9 if background else 0.6)
    axes.set_zorder(0.5)
