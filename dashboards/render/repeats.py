"""Repeated panels and rows: one copy for each value of a variable, laid out as Grafana lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ml_monitoring.dashboards.render.model import COLUMNS, DashboardPanel, GridPos
from ml_monitoring.dashboards.render.variables import Variables

# As many copies side by side when the panel does not say.
MAX_PER_ROW = 4


def expand(panels: Sequence[DashboardPanel], variables: Variables) -> list[DashboardPanel]:
    """Return the panels with every repeat carried out, in reading order."""
    return _expand_panels(_expand_rows(panels, variables), variables)


def _values(panel: DashboardPanel, variables: Variables) -> tuple[str, list[str]] | None:
    name = panel.raw.get("repeat")
    value = variables.values.get(str(name)) if name else None
    if value is None or dict(panel.scope).get(str(name)):
        return None
    return str(name), list(value.values)


def _expand_rows(panels: Sequence[DashboardPanel], variables: Variables) -> list[DashboardPanel]:
    result: list[DashboardPanel] = []
    shift = 0
    for block in _blocks(panels):
        head = block[0]
        found = _values(head, variables) if head.type == "row" else None
        if found is None:
            result += [_moved(panel, shift) for panel in block]
            continue
        name, values = found
        height = max(panel.grid.y + panel.grid.h for panel in block) - head.grid.y
        for place, value in enumerate(values):
            down = shift + place * height
            result += [replace(_moved(panel, down), scope=(*panel.scope, (name, value))) for panel in block]
        shift += (len(values) - 1) * height
    return result


def _blocks(panels: Sequence[DashboardPanel]) -> list[list[DashboardPanel]]:
    blocks: list[list[DashboardPanel]] = []
    for panel in panels:
        if panel.type == "row" or not blocks:
            blocks.append([])
        blocks[-1].append(panel)
    return blocks


def _expand_panels(panels: Sequence[DashboardPanel], variables: Variables) -> list[DashboardPanel]:
    result: list[DashboardPanel] = []
    shifts: list[tuple[int, int]] = []  # below which line, by how much

    def moved(panel: DashboardPanel) -> DashboardPanel:
        return _moved(panel, sum(by for line, by in shifts if panel.grid.y >= line))

    for panel in panels:
        found = _values(panel, variables) if panel.type != "row" else None
        if found is None:
            result.append(moved(panel))
            continue
        name, values = found
        start = moved(panel)
        copies = _placed(start, len(values), panel)
        result += [
            replace(start, grid=grid, scope=(*panel.scope, (name, value)))
            for grid, value in zip(copies, values, strict=True)
        ]
        grown = max((grid.y + grid.h for grid in copies), default=start.grid.y) - (start.grid.y + start.grid.h)
        if grown:
            shifts.append((panel.grid.y + panel.grid.h, grown))
    return sorted(result, key=lambda panel: (panel.grid.y, panel.grid.x))


def _placed(start: DashboardPanel, count: int, panel: DashboardPanel) -> list[GridPos]:
    grid = start.grid
    if panel.raw.get("repeatDirection") == "v":
        return [GridPos(grid.x, grid.y + place * grid.h, grid.w, grid.h) for place in range(count)]
    most = int(panel.raw.get("maxPerRow") or MAX_PER_ROW)
    width = max(COLUMNS // max(1, count), COLUMNS // most)
    a_row = max(1, COLUMNS // width)
    return [GridPos(place % a_row * width, grid.y + place // a_row * grid.h, width, grid.h) for place in range(count)]


def _moved(panel: DashboardPanel, by: int) -> DashboardPanel:
    grid = panel.grid
    return replace(panel, grid=GridPos(grid.x, grid.y + by, grid.w, grid.h)) if by else panel
