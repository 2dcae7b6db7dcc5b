"""One sentence in place of panels whose data source is not asked here, such as a page of logs without Loki."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.model import COLUMNS, GridPos

# Of the grid.
_HEIGHT = 2


def with_notes(panels: Sequence[PanelData]) -> Iterator[PanelData]:
    """Yield the panels as they are drawn: neighbours that cannot be asked for the same reason are one sentence.

    What is below moves up by what that saves.
    """
    saved = 0
    for reason, group in itertools.groupby(panels, key=lambda one: one.error if one.unsupported else ""):
        ours = tuple(group)
        top = min(one.panel.grid.y for one in ours)
        bottom = max(one.panel.grid.y + one.panel.grid.h for one in ours)
        inside = sum(one.panel.grid.y < bottom and one.panel.grid.y + one.panel.grid.h > top for one in panels)
        if reason and inside == len(ours) > 1:
            yield _note(ours, top - saved)
            saved += bottom - top - _HEIGHT
        else:
            yield from (_moved(one, saved) for one in ours)


def _moved(one: PanelData, up: int) -> PanelData:
    grid = one.panel.grid
    return replace(one, panel=replace(one.panel, grid=replace(grid, y=grid.y - up))) if up else one


def _note(panels: tuple[PanelData, ...], top: int) -> PanelData:
    first = panels[0]
    *others, last = (f"**{one.title}**" for one in panels)
    text = f"{', '.join(others)} and {last} {first.error.replace('it reads', 'read', 1)}."
    for link in first.panel.raw.get("links") or []:
        text += f" {link.get('title')}: <{first.variables.title(str(link.get('url')))}>"
    raw = {"type": "text", "options": {"mode": "markdown", "content": text}}
    panel = replace(first.panel, type="text", title="", grid=GridPos(0, top, COLUMNS, _HEIGHT), raw=raw)
    return replace(first, panel=panel, title="", error="", unsupported=False, instead_of=panels)
