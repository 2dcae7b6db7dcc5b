"""A dashboard, or one panel of it, as a file: PNG, SVG, PDF or HTML."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ml_monitoring.dashboards.render.colours import THEMES
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw.canvas import Area, Canvas
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.interactive import write_html
from ml_monitoring.dashboards.render.layout import GAP, Box, box_of
from ml_monitoring.dashboards.render.model import Dashboard, DashboardPanel
from ml_monitoring.dashboards.render.page import draw_dashboard, draw_panel
from ml_monitoring.dashboards.render.pdf import Cover, write_pdf
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.render.units import Clock

# Agg counts pixels in 16 bits.
HIGHEST = 65_000
# Pixels that fit into the memory of a small machine, at four bytes each.
_LARGEST = 250_000_000


@dataclass(frozen=True, slots=True)
class Form:
    """What a file looks like.

    Attributes:
        suffix: png, svg, pdf or html.
        theme: light or dark.
        width: Of the page in pixels.
        dpi: Resolution of a png.
        cover: Whether a pdf begins with a cover.
    """

    suffix: str
    theme: str
    width: int
    dpi: float
    cover: bool = False


def draw(
    dashboard: Dashboard,
    queries: QueryOptions,
    form: Form,
    directory: Path,
    *,
    only: DashboardPanel | None = None,
    on_panel: Callable[[PanelData], None] = lambda _: None,
) -> tuple[Path, DashboardData]:
    """Draw a dashboard into a file of its own and return the file, and what was drawn, with the errors of drawing.

    Args:
        dashboard: The dashboard.
        queries: How it is queried.
        form: What the file looks like.
        directory: Where to; it exists.
        only: Draw this panel alone.
        on_panel: Called when a panel is loaded, and again when it is drawn.
    """
    style = Style(THEMES[form.theme], Clock(dashboard.timezone, queries.now))
    data = queries.load(dashboard, width=form.width, only=only, on_panel=on_panel)
    drawn: list[PanelData] = []

    def note(one: PanelData) -> None:
        drawn.append(one)
        on_panel(one)

    name = dashboard.uid if only is None else f"{dashboard.uid}-{_slug(only.title or str(only.id))}"
    path = directory / f"{name}.{form.suffix}"
    if form.suffix == "html":
        write_html(data, style, path, on_panel=note)
    elif form.suffix == "pdf":
        cover = None
        if form.cover:
            cover = Cover(dashboard.title, queries.prometheus.address, queries.prometheus.version(), queries.now)
        write_pdf([data], style, path, cover=cover, on_panel=note)
    else:
        canvas = (
            draw_dashboard(data, style, width=form.width, on_panel=note)
            if only is None
            else _draw_alone(data, style, form.width, note)
        )
        with path.open("wb") as file:
            canvas.save(file, form.suffix, _fitting(canvas, form))
    return path, replace(data, panels=tuple(drawn))


def summary(data: DashboardData, path: Path) -> list[str]:
    """Return what became of a dashboard: a line for the file, and one for each panel that could not be drawn."""
    drawn = [one for one in data.panels if one.panel.type != "row"]
    empty = sum(one.empty for one in drawn)
    counts = [f"{len(drawn)} panel{'' if len(drawn) == 1 else 's'}"]
    counts += [f"{empty} without data"] if empty else []
    counts += [f"{len(data.unsupported)} not supported"] if data.unsupported else []
    failed = len(data.failed) + len(data.problems)
    counts += [f"{failed} failed"] if failed else []
    lines = [f"{path}  ({', '.join(counts)})"]
    lines += [f"  not supported: {one.panel.name}: {one.error}" for one in data.unsupported]
    lines += [f"  failed: {one.panel.name}: {one.error}" for one in data.failed]
    lines += [f"  failed: {problem}" for problem in data.problems]
    return lines


def _draw_alone(data: DashboardData, style: Style, width: int, on_panel: Callable[[PanelData], None]) -> Canvas:
    if not data.panels:
        raise RenderError(f"{data.dashboard.uid}: the panel is in a repeat without values")
    one = data.panels[0]
    box = box_of(one.panel.grid, width)
    canvas = Canvas(box.w + 2 * GAP, box.h + 2 * GAP, style)
    on_panel(draw_panel(Area(canvas, Box(GAP, GAP, box.w, box.h)), one, data.annotations))
    return canvas


def _fitting(canvas: Canvas, form: Form) -> float:
    """Return the resolution that is asked for, or the highest in which the page is not too large to be drawn."""
    if form.suffix != "png":
        return form.dpi
    longest, area = max(canvas.width, canvas.height), canvas.width * canvas.height
    return min(form.dpi, int(HIGHEST * 96 / longest), int(math.sqrt(_LARGEST / area) * 96))


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "panel"
