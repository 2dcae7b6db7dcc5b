"""How panels lie on paper: in two columns, numbers four in a line, tables whole, and nothing where there is no data.

A screen scrolls, paper does not: what a table hides on a page of Grafana is all there, on as many sheets as it needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ml_monitoring.dashboards.render.draw import table
from ml_monitoring.dashboards.render.draw.single import count_of
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.layout import GAP, Box
from ml_monitoring.dashboards.render.page import TITLE

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
# Of a panel's frame; of a band of a timeline; of a bar.
_FRAME, _BAND, _BAR = TITLE + 12, 24.0, 30.0
_AXIS = 26.0


@dataclass(frozen=True, slots=True)
class _Piece:
    data: PanelData
    quarters: int
    height: float


def paginate(panels: Sequence[PanelData]) -> list[Sheet]:
    """Return the panels by sheet with their places; no panel is cut, and no heading stands alone."""
    sheets: list[Sheet] = []
    sheet: Sheet = []
    used = 0.0
    lines = list(_lines(panels))
    for place, line in enumerate(lines):
        height = max(piece.height for piece in line)
        below = 0.0
        if _is_heading(line) and place + 1 < len(lines):
            below = GAP + max(piece.height for piece in lines[place + 1])
        if sheet and used + height + below > ROOM:
            sheets.append(sheet)
            sheet, used = [], 0.0
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
        placed.append((Box(x, top, width, height), piece.data))
        x += width + GAP
    return placed


def _pieces(one: PanelData) -> Iterator[_Piece]:
    kind = one.panel.type
    series = sum(len(frame.value_fields) for frame in one.frames)
    if kind in {"stat", "gauge"}:
        yield _Piece(one, _QUARTER if count_of(one) == 1 else _HALF, _NUMBER)
    elif kind == "table" and not one.error:
        yield from _tables(one)
    elif kind in {"state-timeline", "status-history"}:
        yield _Piece(one, _WHOLE, min(ROOM - _HEADING - GAP, _FRAME + _AXIS + series * _BAND))
    elif kind == "bargauge":
        yield _Piece(one, _HALF, min(ROOM - _HEADING - GAP, max(_NUMBER, _FRAME + series * _BAR)))
    else:
        yield _Piece(one, _HALF, _CHART)


def _tables(one: PanelData) -> Iterator[_Piece]:
    """Yield a table in as many parts as sheets need, each with its heading."""
    frame = table.shown_frame(one)
    if frame is None:
        return
    line = table.line_height(one)
    order = table.row_order(one, frame)
    most = int((ROOM - _HEADING - GAP - _FRAME) // line) - 2
    narrow = sum(table.natural_widths(table.columns_of(frame))) <= INNER / 2 - 3 * GAP
    for first in range(0, len(order), most):
        part = order[first : first + most]
        data = one
        if len(order) > most:
            rows = frame.with_fields([field.copy(values=[field.values[row] for row in part]) for field in frame.fields])
            # They are in order already.
            raw = {**one.panel.raw, "options": {**one.panel.options, "sortBy": [], "frameIndex": 0}}
            title = f"{one.title} ({first + 1} to {first + len(part)} of {len(order)})"
            data = replace(one, frames=[rows], title=title, panel=replace(one.panel, raw=raw))
        height = _FRAME + (len(part) + 1) * line + 4
        yield _Piece(data, _HALF if narrow and len(order) <= most else _WHOLE, height)
