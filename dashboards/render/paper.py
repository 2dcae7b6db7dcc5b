"""How panels lie on paper: in two columns, numbers four in a line, tables whole, and nothing where there is no data.

A screen scrolls, paper does not: what a table hides on a page of Grafana is all there, on as many sheets as it needs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ml_monitoring.dashboards.render.colours import THEMES
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw import stat, table
from ml_monitoring.dashboards.render.draw.single import count_of
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.layout import GAP, Box
from ml_monitoring.dashboards.render.page import TITLE
from ml_monitoring.dashboards.render.units import Clock

# A4 across. The sheet is so many pixels wide that the smallest letters of a panel, 11 pixels, have 8 points.
INCHES = 11.69
RATIO = 297 / 210
WIDTH = 1148.0
HEIGHT = WIDTH / RATIO
MARGIN = 36.0
TOP, BOTTOM = 104.0, 40.0
INNER = WIDTH - 2 * MARGIN
ROOM = HEIGHT - TOP - BOTTOM

Sheet = list[tuple[Box, PanelData]]

_HEADING = 34.0
# Of a line of four quarters, how many a panel takes, and how high it is.
_QUARTER, _HALF, _WHOLE = 1, 2, 4
# Two charts and a heading above each fill a sheet.
_NUMBER, _CHART = 112.0, 282.0
# What stands for numbers, from the smallest.
_SIZES = ((_QUARTER, _NUMBER), (_HALF, _NUMBER), *((_WHOLE, lines * _NUMBER) for lines in range(1, 6)))
# Of 8 points.
LETTERS = 11.0
# Of the frame around what a panel shows: left, top, right, bottom.
FRAME = (8.0, TITLE, 8.0, 8.0)
# Texts are as wide in any.
_STYLE = Style(THEMES["light"], Clock())
# Of a panel's frame; of a band of a timeline; of a bar.
_FRAME, _BAND, _BAR = TITLE + 12, 24.0, 30.0
_AXIS = 26.0
# Fewer rows of a table do not stand alone.
_LEAST_ROWS = 5


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stands on a sheet.

    Attributes:
        data: The panel, or the part of its table.
        quarters: Of a line of four, how many it takes.
        height: In pixels.
        rows: Of a table that may be cut, which places in its order it has; empty for all else.
    """

    data: PanelData
    quarters: int
    height: float
    rows: range = range(0)


def paginate(panels: Sequence[PanelData]) -> list[Sheet]:
    """Return the panels by sheet with their places; no panel but a table is cut, and no heading stands alone."""
    sheets: list[Sheet] = []
    sheet: Sheet = []
    used = 0.0
    lines = deque(_lines(panels))
    while lines:
        line = lines.popleft()
        height = max(piece.height for piece in line)
        below = 0.0
        if _is_heading(line) and lines:
            below = GAP + _least_height(lines[0])
        fits = used + height + below <= ROOM
        if not fits and (parts := _cut(line[0], ROOM - used)):
            # The first fits now; the rest is looked at again.
            lines.extendleft([part] for part in reversed(parts))
            continue
        if not fits and sheet:
            sheets.append(sheet)
            sheet, used = [], 0.0
            lines.appendleft(line)
            continue
        sheet += _placed(line, height, TOP + used)
        used += height + GAP
    return [*sheets, sheet] if sheet else sheets


def left_out(panels: Sequence[PanelData]) -> list[PanelData]:
    """Return the panels that say nothing on paper: those without data."""
    return [one for one in panels if one.panel.type != "row" and one.empty and not one.error]


def _lines(panels: Sequence[PanelData]) -> Iterator[list[_Piece]]:
    """Yield what stands beside each other; a heading has a line of its own, and is left out where nothing follows."""
    heading: list[_Piece] = []
    line: list[_Piece] = []
    missing = {id(one) for one in left_out(panels)}
    for one in panels:
        if one.panel.type == "row":
            if line:
                yield line
            heading, line = [_Piece(one, _WHOLE, _HEADING)], []
            continue
        for piece in _pieces(one) if id(one) not in missing else ():
            if heading:
                yield heading
                heading = []
            same = not line or (piece.height == _NUMBER) == (line[0].height == _NUMBER)
            if line and (sum(other.quarters for other in line) + piece.quarters > _WHOLE or not same):
                yield line
                line = []
            line.append(piece)
    if line:
        yield line


def _is_heading(line: Sequence[_Piece]) -> bool:
    return line[0].data.panel.type == "row"


def _placed(line: Sequence[_Piece], height: float, top: float) -> Sheet:
    """Return the places of a line; what is left of it is shared out, unless it is a number or two."""
    quarters = sum(piece.quarters for piece in line)
    if height == _NUMBER:
        quarters = max(quarters, _WHOLE - 1)
    quarter = (INNER - (len(line) - 1) * GAP) / quarters
    placed, x = [], MARGIN
    for piece in line:
        width = quarter * piece.quarters
        placed.append((Box(x, top, width, height), _shown(piece)))
        x += width + GAP
    return placed


def _pieces(one: PanelData) -> Iterator[_Piece]:
    kind = one.panel.type
    series = sum(len(frame.value_fields) for frame in one.frames)
    if kind == "stat" and not one.error:
        yield _numbers(one)
    elif kind in {"stat", "gauge"}:
        yield _Piece(one, _QUARTER if count_of(one) == 1 else _HALF, _NUMBER)
    elif kind == "table" and not one.error:
        yield from _tables(one)
    elif kind in {"state-timeline", "status-history"}:
        yield _Piece(one, _WHOLE, min(ROOM - _HEADING - GAP, _FRAME + _AXIS + series * _BAND))
    elif kind == "bargauge":
        yield _Piece(one, _HALF, min(ROOM - _HEADING - GAP, max(_NUMBER, _FRAME + series * _BAR)))
    else:
        yield _Piece(one, _HALF, _CHART)


def _numbers(one: PanelData) -> _Piece:
    """Return a number, or several as narrow and low as they can be read: the more there are, the smaller they are."""
    for quarters, height in _SIZES if count_of(one) == 1 else _SIZES[1:]:
        width = (INNER - (_WHOLE / quarters - 1) * GAP) / (_WHOLE / quarters)
        if height > _NUMBER:
            # In as many lines as they need, whatever the panel says.
            raw = {**one.panel.raw, "options": {**one.panel.options, "orientation": "auto"}}
            one = replace(one, panel=replace(one.panel, raw=raw))
        piece = _Piece(one, quarters, height)
        if stat.letters(one, Box(0, 0, width, height).inset(*FRAME), _STYLE) >= LETTERS:
            break
    return piece


def _tables(one: PanelData) -> Iterator[_Piece]:
    """Yield a table: in one column where it is narrow and fits a sheet, else one that may be cut."""
    frame = table.shown_frame(one)
    if frame is None:
        return
    rows = range(len(table.row_order(one, frame)))
    whole = _height_of(one, rows)
    narrow = sum(table.natural_widths(table.columns_of(frame))) <= INNER / 2 - 3 * GAP
    if narrow and whole <= ROOM - _HEADING - GAP:
        yield _Piece(one, _HALF, whole)
    else:
        yield _Piece(one, _WHOLE, whole, rows)


def _height_of(one: PanelData, rows: range) -> float:
    return _FRAME + (len(rows) + 1) * table.line_height(one) + 4


def _cut(piece: _Piece, room: float) -> tuple[_Piece, _Piece] | None:
    """Return what of a table fills the room, and the rest; None where that would be hardly a row."""
    fit = int((room - _height_of(piece.data, range(0))) // table.line_height(piece.data)) if piece.rows else 0
    if not _LEAST_ROWS <= fit < len(piece.rows):
        return None
    first, rest = (
        replace(piece, rows=rows, height=_height_of(piece.data, rows)) for rows in (piece.rows[:fit], piece.rows[fit:])
    )
    return first, rest


def _least_height(line: Sequence[_Piece]) -> float:
    """Return what of a line must stand below its heading."""
    return max(_height_of(one.data, one.rows[:_LEAST_ROWS]) if one.rows else one.height for one in line)


def _shown(piece: _Piece) -> PanelData:
    """Return the panel of a piece; a part of a table says which of its rows it has."""
    one = piece.data
    frame = table.shown_frame(one) if piece.rows else None
    if frame is None:
        return one
    order = table.row_order(one, frame)
    if len(piece.rows) == len(order):
        return one
    part = [order[place] for place in piece.rows]
    rows = frame.with_fields([field.copy(values=[field.values[row] for row in part]) for field in frame.fields])
    # They are in order already.
    raw = {**one.panel.raw, "options": {**one.panel.options, "sortBy": [], "frameIndex": 0}}
    title = f"{one.title} ({piece.rows[0] + 1} to {piece.rows[-1] + 1} of {len(order)})"
    return replace(one, frames=[rows], title=title, panel=replace(one.panel, raw=raw))
