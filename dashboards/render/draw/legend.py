"""Legends: which series is which colour, as a list or as a table with calculations, below or beside a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml_monitoring.dashboards.render.display import Style, show
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.fonts import BOLD, text_width
from ml_monitoring.dashboards.render.frames import Field, number
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.reduce import UNITLESS, calculation_name, reduce_field

Json = dict[str, Any]

SIZE = 12
LINE = 18
MARK = 14
# A legend takes at most so much of a panel.
MOST_HEIGHT = 0.38
MOST_WIDTH = 0.42


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a legend; values are texts in the order of the calculations."""

    name: str
    colour: str
    values: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()


def entries_of(fields: Sequence[tuple[Field, str]], options: Json, area: Area) -> list[Entry]:
    """Return the legend's entries, sorted as the panel asks.

    Args:
        fields: The series with their colours.
        options: The panel's legend options.
        area: The panel's, for its theme.
    """
    calculations = [str(one) for one in options.get("calcs") or []]
    entries = []
    for field, colour in fields:
        if ((field.config.get("custom") or {}).get("hideFrom") or {}).get("legend"):
            continue
        values = [calculated(field, calculation, area.style) for calculation in calculations]
        texts, numbers = tuple(text for text, _ in values), tuple(number for _, number in values)
        entries.append(Entry(field.display, colour, texts, numbers))
    return sorted_entries(entries, options)


def calculated(field: Field, calculation: str, style: Style) -> tuple[str, float]:
    """Return what a legend says of a series: a calculation as text, and the number that it is sorted by."""
    value = reduce_field(field, calculation)
    plain = field.copy(config={}) if calculation in UNITLESS else field
    # The mappings name states; a mean of states is none. What is not there has the name that it is given.
    bare = plain if value is None else plain.copy(config={**plain.config, "mappings": []})
    return str(show(value, bare, style)), number(value)


def sorted_entries(entries: list[Entry], options: Json) -> list[Entry]:
    """Return a legend's entries, sorted as the panel asks."""
    wanted, is_falling = str(options.get("sortBy") or ""), bool(options.get("sortDesc"))
    names = [calculation_name(str(one)) for one in options.get("calcs") or []]
    if wanted in names and options.get("displayMode") == "table":
        column = names.index(wanted)
        return sorted(
            entries,
            key=lambda entry: -math.inf if math.isnan(entry.numbers[column]) else entry.numbers[column],
            reverse=is_falling,
        )
    return sorted(entries, key=lambda entry: entry.name, reverse=is_falling) if wanted == "Name" else entries


def draw_legend(area: Area, options: Json, entries: Sequence[Entry]) -> Box:
    """Draw a panel's legend and return what is left for its chart."""
    shown = options.get("showLegend", True) and options.get("displayMode") != "hidden"
    if not shown or not entries or area.box.h < 90:
        return area.box
    calculations = [str(one) for one in options.get("calcs") or []]
    as_table = options.get("displayMode") == "table"
    if options.get("placement") == "right" and area.box.w > 260:
        return _right(area, entries, calculations, as_table=as_table)
    return _table_below(area, entries, calculations) if as_table else _list_below(area, entries, calculations)


def _right(area: Area, entries: Sequence[Entry], calculations: Sequence[str], *, as_table: bool) -> Box:
    box = area.box
    if as_table:
        wanted = _table_width(entries, calculations)
    else:
        wanted = max(text_width(_listed(entry, calculations), SIZE) for entry in entries) + MARK + 8
    width = min(wanted, box.w * MOST_WIDTH)
    place = Box(box.x + box.w - width, box.y, width, box.h)
    if as_table:
        _table(area.part(place), entries, calculations)
    else:
        room = max(1, int(box.h // LINE))
        for line, entry in enumerate(_cut(entries, room)):
            y = place.y + 10 + line * LINE
            _mark(area, place.x, y, entry)
            area.canvas.text(place.x + MARK + 4, y, _listed(entry, calculations), size=SIZE, fit=width - MARK - 4)
    return box.inset(0, 0, width + 14, 0)


def _list_below(area: Area, entries: Sequence[Entry], calculations: Sequence[str]) -> Box:
    box = area.box
    rows: list[list[tuple[Entry, str, float]]] = [[]]
    used = 0.0
    room = max(1, int(box.h * MOST_HEIGHT // LINE))
    for place, entry in enumerate(entries):
        text = _listed(entry, calculations)
        width = min(text_width(text, SIZE) + MARK + 4, box.w)
        if used and used + width > box.w:
            if len(rows) == room:
                # The last row says how many more there are, where the last that fits stood.
                rest = len(entries) - place
                while rows[-1] and used + text_width(f"+{rest} more", SIZE) > box.w:
                    used -= rows[-1].pop()[2] + 14
                    rest += 1
                rows[-1].append((Entry("", "none"), f"+{rest} more", 0.0))
                break
            rows.append([])
            used = 0.0
        rows[-1].append((entry, text, width))
        used += width + 14
    height = len(rows) * LINE + 4
    for line, row in enumerate(rows):
        x, y = box.x, box.y + box.h - height + 4 + (line + 0.5) * LINE
        for entry, text, width in row:
            if entry.colour != "none":
                _mark(area, x, y, entry)
                area.canvas.text(x + MARK + 4, y, text, size=SIZE, fit=width - MARK - 3)
            else:
                area.canvas.text(x, y, text, size=SIZE, colour=area.theme.muted)
            x += width + 14
    return box.inset(0, 0, 0, height)


def _table_below(area: Area, entries: Sequence[Entry], calculations: Sequence[str]) -> Box:
    box = area.box
    room = max(2, int(box.h * MOST_HEIGHT // LINE))
    lines = min(len(entries) + 1, room)
    height = lines * LINE + 6
    _table(area.part(Box(box.x, box.y + box.h - height + 6, box.w, height - 6)), entries, calculations)
    return box.inset(0, 0, 0, height)


def _table_width(entries: Sequence[Entry], calculations: Sequence[str]) -> float:
    return max(text_width(entry.name, SIZE) for entry in entries) + MARK + 12 + sum(_columns(entries, calculations))


def _columns(entries: Sequence[Entry], calculations: Sequence[str]) -> list[float]:
    widths = []
    for place, calculation in enumerate(calculations):
        texts = [entry.values[place] for entry in entries]
        widest = max(text_width(text, SIZE) for text in texts)
        widths.append(max(widest, text_width(calculation_name(calculation), SIZE, BOLD)) + 16)
    return widths


def _table(area: Area, entries: Sequence[Entry], calculations: Sequence[str]) -> None:
    box, canvas = area.box, area.canvas
    widths = _columns(entries, calculations)
    name_width = max(60.0, box.w - sum(widths))
    # Where the names leave no room, columns are given up from the left; the last ones are kept.
    while widths and name_width + sum(widths) > box.w + 1:
        widths.pop()
    y = box.y + LINE / 2
    canvas.text(box.x + MARK + 4, y, "Name", size=11, colour=area.theme.muted, weight=BOLD)
    x = box.x + name_width
    for width, calculation in zip(widths, calculations, strict=False):
        x += width
        name = calculation_name(calculation)
        canvas.text(x, y, name, size=11, colour=area.theme.muted, weight=BOLD, align="right")
    canvas.line([(box.x, box.y + LINE), (box.x + box.w, box.y + LINE)], area.theme.grid)
    room = max(1, int(box.h // LINE) - 1)
    for line, entry in enumerate(_cut(entries, room)):
        y = box.y + (line + 1.5) * LINE + 1
        _mark(area, box.x, y, entry)
        canvas.text(box.x + MARK + 4, y, entry.name, size=SIZE, fit=name_width - MARK - 8)
        x = box.x + name_width
        for width, value in zip(widths, entry.values, strict=False):
            x += width
            canvas.text(x, y, value, size=SIZE, align="right")


def _cut(entries: Sequence[Entry], room: int) -> list[Entry]:
    if len(entries) <= room:
        return list(entries)
    return [*entries[: room - 1], Entry(f"+{len(entries) - room + 1} more", "none")]


def _mark(area: Area, x: float, y: float, entry: Entry) -> None:
    if entry.colour != "none":
        area.canvas.box(Box(x, y - 2, MARK, 4), entry.colour, radius=2)


def _listed(entry: Entry, calculations: Sequence[str]) -> str:
    values = [
        f"{calculation_name(calculation)}: {value}"
        for calculation, value in zip(calculations, entry.values, strict=True)
    ]
    return f"{entry.name}  {'  '.join(values)}" if values else entry.name
