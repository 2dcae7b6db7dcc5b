"""`python -m dashboards render`: dashboards as pictures, sheets and interactive pages."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ml_monitoring.dashboards.render.asking import GENERATED, Asking, Progress, complain, say
from ml_monitoring.dashboards.render.colours import THEMES
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw.canvas import Area, Canvas
from ml_monitoring.dashboards.render.engine import DashboardData
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.interactive import write_html
from ml_monitoring.dashboards.render.layout import GAP, Box, box_of
from ml_monitoring.dashboards.render.model import Dashboard, find_dashboards
from ml_monitoring.dashboards.render.page import draw_dashboard, draw_panel
from ml_monitoring.dashboards.render.sheets import Cover, write_pdf
from ml_monitoring.dashboards.render.units import Clock

# Agg counts pixels in 16 bits.
HIGHEST = 65_000


def run(options: argparse.Namespace) -> int:
    """Draw the dashboards and return the exit status."""
    try:
        dashboards = find_dashboards(options.dashboards, GENERATED)
        asking = Asking.of(options)
        if problems := asking.check_choices(dashboards):
            raise RenderError("; ".join(problems))
        with asking.prometheus:
            version = asking.prometheus.version()
            results = [_render(dashboard, asking, options, version) for dashboard in dashboards]
    except RenderError as error:
        complain(f"error: {error}")
        return 1
    problems_ = [problem for data, path in results for problem in summary(data, path)]
    say("\n".join(problems_))
    bad = any(data.unsupported or data.failed for data, _ in results)
    return 1 if bad and options.strict else 0


def summary(data: DashboardData, path: Path) -> list[str]:
    """Return what became of a dashboard: a line for the file, and one for each panel that could not be shown."""
    drawn = [one for one in data.panels if one.panel.type != "row"]
    empty = sum(one.empty for one in drawn)
    counts = [f"{len(drawn)} panels"]
    counts += [f"{empty} without data"] if empty else []
    counts += [f"{len(data.unsupported)} not supported"] if data.unsupported else []
    counts += [f"{len(data.failed)} failed"] if data.failed else []
    lines = [f"{path}  ({', '.join(counts)})"]
    lines += [f"  not supported: {one.panel.name}: {one.error}" for one in data.unsupported]
    lines += [f"  failed: {one.panel.name}: {one.error}" for one in data.failed]
    return lines


def _render(
    dashboard: Dashboard, asking: Asking, options: argparse.Namespace, version: str
) -> tuple[DashboardData, Path]:
    only = dashboard.panel(options.panel) if options.panel else None
    style = Style(THEMES[options.theme], Clock(dashboard.timezone, asking.now))
    count = sum(panel.type != "row" for panel in dashboard.panels)
    with Progress(2 * count) as progress:
        data = asking.load(dashboard, width=options.width, only=only, on_panel=lambda one: progress.step(one.title))
        options.out.mkdir(parents=True, exist_ok=True)
        name = dashboard.uid if only is None else f"{dashboard.uid}-{_slug(only.title or str(only.id))}"
        path: Path = options.out / f"{name}.{options.format}"
        if options.format == "html":
            write_html(data, style, path)
        elif options.format == "pdf":
            cover = Cover(dashboard.title, asking.prometheus.address, version, asking.now) if options.cover else None
            write_pdf([data], style, path, cover=cover, on_panel=lambda one: progress.step(one.title))
        elif only is not None:
            _save(_draw_alone(data, style, options.width), path, options.dpi)
        else:
            canvas = draw_dashboard(data, style, width=options.width, on_panel=lambda one: progress.step(one.title))
            _save(canvas, path, options.dpi)
    return data, path


def _draw_alone(data: DashboardData, style: Style, width: int) -> Canvas:
    if not data.panels:
        raise RenderError(f"{data.dashboard.uid}: the panel is in a repeat without values")
    one = data.panels[0]
    box = box_of(one.panel.grid, width)
    canvas = Canvas(box.w + 2 * GAP, box.h + 2 * GAP, style)
    draw_panel(Area(canvas, Box(GAP, GAP, box.w, box.h)), one, data.annotations)
    return canvas


def _save(canvas: Canvas, path: Path, dpi: float) -> None:
    form = path.suffix[1:]
    if form == "png" and canvas.height * dpi / 96 > HIGHEST:
        fitting = int(HIGHEST * 96 / canvas.height)
        complain(f"{path}: too high for {dpi:g} dpi, drawn with {fitting}")
        dpi = fitting
    with path.open("wb") as file:
        canvas.save(file, form, dpi)


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "panel"
