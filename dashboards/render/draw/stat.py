"""Stat: a number as large as it fits, with a name, a colour and the course behind it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ml_monitoring.dashboards.render.colours import ink_on, mix
from ml_monitoring.dashboards.render.display import Style, ends
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.draw.single import Single, nothing, singles_of
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.fonts import MEDIUM, text_width
from ml_monitoring.dashboards.render.frames import Field, FieldKind, number
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.reduce import reduce_field
from ml_monitoring.dashboards.render.text import Text

Json = dict[str, Any]

# Grafana's: height of a line in multiples of its letters, and the largest name.
LINE = 1.2
MOST_NAME = 30.0
# Between values; a tile of its own colour has padding.
SPACING = 3.0


@dataclass(frozen=True, slots=True)
class TileLayout:
    """How one value stands in its tile (Grafana's `BigValueLayout`).

    Attributes:
        name: Height of the name's letters, 0 without a name.
        value: Height of the number's letters, 0 without one.
        course: Height of the course at the bottom, 0 without one.
        wide: Whether the name stands beside the number, and not above it.
        centred: Whether both are in the middle, as they are without a name.
        padding: Around them.
    """

    name: float
    value: float
    course: float
    wide: bool
    centred: bool
    padding: float


def draw(data: PanelData, area: Area) -> None:
    """Draw the panel."""
    for cell, one, how in _placed(data, area.box, area.style):
        _draw_one(area.part(cell), one, data, how)


def letters(data: PanelData, box: Box, style: Style) -> float:
    """Return how large the smallest letters are that the panel has in a box."""
    sizes = (size for _, _, how in _placed(data, box, style) for size in (how.name, how.value) if size)
    return min(sizes, default=math.inf)


def written(data: PanelData, style: Style) -> tuple[list[Single], bool]:
    """Return the values of the panel as they are written, and whether each has its name beside it."""
    found = singles_of(data, style)
    values = found or [nothing(data, style)]
    mode = str(data.panel.options.get("textMode") or "auto")
    if mode == "auto" and (data.panel.defaults.get("displayName") or not data.title):
        mode = "value_and_name"
    if not found:
        mode = "value"
    if mode == "name":
        # The name takes the place of the number, as large.
        values = [replace(one, shown=replace(one.shown, text=Text(one.name), mapped=True)) for one in values]
    if mode == "none":
        values = [replace(one, shown=replace(one.shown, text=Text(""))) for one in values]
    return values, mode == "value_and_name" or (mode == "auto" and len(values) > 1)


def _placed(data: PanelData, box: Box, style: Style) -> Iterator[tuple[Box, Single, TileLayout]]:
    """Yield the values of the panel with the places and sizes that they have in a box."""
    values, with_name = written(data, style)
    options = data.panel.options
    cells = tile(box, len(values), str(options.get("orientation") or "auto"), SPACING)
    # All values of one panel are as large as the longest name and number allow.
    longest = max((one.name for one in values), key=len) if with_name else ""
    widest = _longest([one.shown.text for one in values])
    for cell, one, course in zip(cells, values, _courses(cells, values, options), strict=True):
        yield cell, one, layout(cell, longest, widest, course=course, options=options)


def _courses(cells: Sequence[Box], values: Sequence[Single], options: Json) -> list[bool]:
    return [has_course(one, options, cell.h, cell.w) for cell, one in zip(cells, values, strict=True)]


def _longest(texts: Sequence[Text]) -> str:
    """Return the longest parts of all, put together, as Grafana reckons the room that is needed."""
    prefix, text, suffix = (
        max(parts, key=len) for parts in zip(*((t.prefix, t.text, t.suffix) for t in texts), strict=True)
    )
    return f"{prefix}{text}{suffix}"


def font_size(text: str, width: float, height: float, most: float = math.inf) -> float:
    """Return how large a text can be in a rectangle (Grafana's `calculateFontSize`)."""
    return max(1.0, min(height / LINE, width / (text_width(text, 14) + 2) * 14, most))


def layout(cell: Box, name: str, value: str, *, course: bool, options: Json) -> TileLayout:
    """Return how values stand in tiles of one size.

    Args:
        cell: A tile.
        name: The longest name, empty when names are not shown.
        value: The longest number with its unit.
        course: Whether the course of the value is drawn.
        options: The panel's.
    """
    padding = 12.0 if cell.h > 100 else 8.0
    width, height = max(1.0, cell.w - 2 * padding), max(1.0, cell.h - 2 * padding)
    given = options.get("text") or {}
    # Without a name, the number has all the room to itself; with mode "none" it is as large as one figure.
    measured = value or "1"
    if cell.w / cell.h > 2.5:
        wide = True
        if course:
            name_size = font_size(name, width * 0.6, height * 0.4, MOST_NAME) if name else 0.0
            value_size = font_size(measured, width * 0.4, height * 0.5)
            rest = cell.h * 0.5
        else:
            value_size = font_size(measured, width * (0.3 if name else 1.0), height)
            name_size = min(value_size * 0.7, font_size(name, width * 0.6, height, MOST_NAME)) if name else 0.0
            rest = 0.0
    else:
        wide = False
        name_size = font_size(name, width, cell.h * 0.15, MOST_NAME) if name else 0.0
        beside = name_size * LINE + (cell.h * 0.25 if course else 0.0)
        value_size = font_size(measured, width, max(1.0, height - beside))
        name_size = min(value_size * 0.7, name_size)
        # The course takes what is left.
        rest = cell.h - (name_size + value_size) * LINE if course else 0.0
    name_size = float(given.get("titleSize") or name_size) if name else 0.0
    value_size = float(given.get("valueSize") or value_size)
    centred = options.get("justifyMode") == "center" or not name
    return TileLayout(name_size, value_size if value else 0.0, max(0.0, rest), wide, centred, padding)


def tile(box: Box, count: int, orientation: str, gap: float = 8.0) -> list[Box]:
    """Return a place for each of several values.

    Args:
        box: Where all of them go.
        count: How many.
        orientation: `vertical` is side by side, `horizontal` one below the other; else the grid whose tiles are most
            like squares.
        gap: Between them.
    """
    columns, rows = {"vertical": (count, 1), "horizontal": (1, count)}.get(orientation) or _grid(box, count)
    height = (box.h - gap * (rows - 1)) / rows
    places = []
    for place in range(count):
        row, column = divmod(place, columns)
        # The last row fills the width.
        in_row = count - row * columns if row == rows - 1 else columns
        width = (box.w - gap * (in_row - 1)) / in_row
        places.append(Box(box.x + column * (width + gap), box.y + row * (height + gap), width, height))
    return places


def _grid(box: Box, count: int) -> tuple[int, int]:
    """Return columns and rows of the grid with the largest squares (Grafana's `calculateGridDimensions`)."""

    def side(width: float, height: float) -> float:
        parts = math.ceil(math.sqrt(count * width / height))
        if math.floor(parts * height / width) * parts < count:
            return height / math.ceil(parts * height / width)
        return width / parts

    largest = max(side(box.w, box.h), side(box.h, box.w))
    rows = math.ceil(count / max(1, math.floor(box.w / largest + 1e-9)))
    return math.ceil(count / rows), rows


def has_course(one: Single, options: Json, height: float, width: float = 0.0) -> bool:
    """Return whether the course of the value is drawn behind it: where the tile is high enough."""
    least = 50 if width > height * 2.5 else 100
    is_number = one.field.kind is FieldKind.NUMBER
    wanted = options.get("graphMode", "area") not in ("none", None)
    return wanted and is_number and one.times is not None and len(one.field.values) > 1 and height > least


def _draw_one(area: Area, one: Single, data: PanelData, how: TileLayout) -> None:
    canvas, box, options = area.canvas, area.box, data.panel.options
    mode = str(options.get("colorMode") or "value")
    colour = one.shown.colour
    background = mode.startswith("background")
    if background:
        canvas.box(box, colour, radius=3)
        ink = ink_on(colour)
        value_ink = ink
    else:
        ink = area.theme.text
        value_ink = colour if mode == "value" else area.theme.text
    if how.course:
        place = Box(box.x, box.y + box.h - how.course, box.w, how.course)
        _sparkline(area.part(place), one, data, colour, background=background)
    inner = box.inset(how.padding, how.padding, how.padding, how.padding)
    text = one.shown.text
    if how.wide:
        _beside(area.part(inner), one, how, (ink, value_ink))
    else:
        lines = (how.name + how.value) * LINE
        # Over a course both stand at the top, else in the middle of the height.
        top = inner.y if how.course else inner.y + (inner.h - lines) / 2
        if how.name:
            _write_name(area.part(inner), one.name, top + how.name * LINE / 2, how, ink)
            top += how.name * LINE
        if how.value:
            _write_value(area.part(inner), text, top + how.value * LINE / 2, how, value_ink)
    if options.get("showPercentChange") and box.h > 80:
        _write_change(area, one, inner, ink)


def _write_name(area: Area, text: str, y: float, how: TileLayout, ink: str) -> None:
    x, align = (area.box.x + area.box.w / 2, "center") if how.centred else (area.box.x, "left")
    area.canvas.text(x, y, text, size=how.name, colour=ink, align=align, fit=area.box.w)


def _beside(area: Area, one: Single, how: TileLayout, inks: tuple[str, str]) -> None:
    """Write the name at the left and the number at the right, or both in the middle."""
    box = area.box
    # Over a course both stand at the top.
    middle = box.y + (max(how.name, how.value) * LINE / 2 if how.course else box.h / 2)
    if not how.name:
        _write_value(area, one.shown.text, middle, how, inks[1])
        return
    value = _width(one.shown.text, how.value) if how.value else 0.0
    room = box.w - value - 8
    if how.centred:
        name = min(room, text_width(one.name, how.name))
        x = box.x + max(0.0, (box.w - name - value - 8) / 2)
    else:
        x = box.x
    used = area.canvas.text(x, middle, one.name, size=how.name, colour=inks[0], fit=room)
    if how.value:
        start = x + used + 8 if how.centred else box.x + box.w - value
        _write_value(area.part(Box(start, box.y, value, box.h)), one.shown.text, middle, how, inks[1])


def _unit_size(size: float) -> float:
    """Return how large a unit is written beside a number: the larger the number, the smaller its unit."""
    return size * (0.9 if size < 20 else 0.8 if size < 26 else 0.6)


def _width(text: Text, size: float) -> float:
    figure = text_width(text.prefix + (text.text or " "), size, MEDIUM)
    return figure + text_width(text.suffix, _unit_size(size), MEDIUM)


def _write_value(area: Area, text: Text, middle: float, how: TileLayout, colour: str) -> None:
    box = area.box
    size, small = how.value, _unit_size(how.value)
    x = box.x + (box.w - _width(text, size)) / 2 if how.centred and not (how.wide and how.name) else box.x
    # One line for all: the small unit stands on the number's feet.
    foot = middle + size * 0.36
    for part, height in ((text.prefix, size), (text.text or "-", size), (text.suffix, small)):
        if part.strip():
            # Spaces at the edges are part of the unit and keep their width.
            lead = text_width(part[: len(part) - len(part.lstrip())], height, MEDIUM)
            area.canvas.text(x + lead, foot, part, size=height, colour=colour, weight=MEDIUM, baseline="baseline")
        x += text_width(part, height, MEDIUM)


def _write_change(area: Area, one: Single, box: Box, ink: str) -> None:
    change = number(reduce_field(one.field, "diffperc"))
    if not math.isfinite(change):
        return
    sign = "▲" if change > 0 else "▼" if change < 0 else ""
    text = f"{sign} {abs(change):.3g}%"
    area.canvas.text(box.x + box.w / 2, box.y + box.h - 4, text, size=13, colour=ink, align="center", weight=MEDIUM)


def _sparkline(area: Area, one: Single, data: PanelData, colour: str, *, background: bool) -> None:
    """Draw the course over the panel's time range, between the ends of the field's scale (Grafana's `getYRange`)."""
    values = np.array(one.field.numbers(), dtype=float)
    if one.times is None or not np.isfinite(values).any():
        return
    axes = area.canvas.axes(area.box)
    low, high = course_ends(one.field)
    axes.set_ylim(low, high)
    times = np.array(one.times.values, dtype=float)
    axes.set_xlim(data.span.start * 1000, data.span.end * 1000)
    line, fill = (mix("#FFFFFF", colour, 0.4), "#FFFFFF") if background else (colour, colour)
    axes.fill_between(times, values, min(low, 0.0), color=fill, alpha=0.4 if background else 0.2, linewidth=0)
    axes.plot(times, values, color=line, linewidth=area.canvas.points(1))
    axes.set_zorder(0.5)


def course_ends(field: Field) -> tuple[float, float]:
    """Return the ends of a course's scale: set ones, else those of all values of the panel."""
    low, high = ends(field)
    if low == high:
        return (0.0, 100.0) if low == 0 else (0.0, high * 2)
    return low, high
