"""Paper: panels on A4 sheets, no panel cut in two, with a cover that says what is shown and how it was made."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages

from ml_monitoring.dashboards.render.dates import format_date
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw.canvas import Area, Canvas, settings, wrapped
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.fonts import BOLD, MEDIUM
from ml_monitoring.dashboards.render.layout import CELL, GAP, Box, box_of
from ml_monitoring.dashboards.render.page import draw_heading, draw_panel

# A4 across. The sheet is so many pixels wide that panels look as on a screen of 1600.
INCHES = 11.69
RATIO = 297 / 210
WIDTH = 1700.0
HEIGHT = WIDTH / RATIO
MARGIN = 50.0
TOP, BOTTOM = 110.0, 60.0
INNER = WIDTH - 2 * MARGIN
UNIT = CELL + GAP


@dataclass(frozen=True, slots=True)
class Cover:
    """What the first sheet says.

    Attributes:
        title: Of the report.
        source: Prometheus's address.
        version: Prometheus's version.
        made: When, in seconds since the epoch.
        mode: The data mode, such as LIVE or SIMULATED; empty where there is none.
        mode_text: What the mode means.
        assumptions: What the figures rest on, a line each.
    """

    title: str
    source: str
    version: str
    made: float = field(default_factory=time.time)
    mode: str = ""
    mode_text: str = ""
    assumptions: tuple[str, ...] = ()


def write_pdf(
    reports: Sequence[DashboardData],
    style: Style,
    path: Path,
    *,
    cover: Cover | None = None,
    on_panel: Callable[[PanelData], None] = lambda _: None,
) -> None:
    """Write dashboards as a PDF.

    Args:
        reports: The dashboards, each beginning on a new sheet.
        style: Theme and clock.
        path: The file.
        cover: The first sheet.
        on_panel: Called when a panel is drawn, with its data, or the error; in the order of the dashboards.
    """
    sheets = [(data, sheet) for data in reports for sheet in paginate(data.panels)]
    title = cover.title if cover else reports[0].dashboard.title
    metadata = {"Title": title, "Creator": "python -m dashboards", "CreationDate": None}
    with settings(), PdfPages(path, metadata=metadata) as pdf:
        if cover is not None:
            pdf.savefig(_draw_cover(cover, reports, style).figure)
        for number, (data, sheet) in enumerate(sheets, 1):
            canvas = Canvas(WIDTH, HEIGHT, style, inches=INCHES)
            _head(canvas, data)
            for box, one in sheet:
                on_panel(draw_panel(Area(canvas, box), one, data.annotations))
            made = format_date((cover.made if cover else time.time()) * 1000, "YYYY-MM-DD HH:mm z", style.clock.zone)
            _foot(canvas, f"{title}, {made}", f"{number} / {len(sheets)}")
            pdf.savefig(canvas.figure)


Sheet = list[tuple[Box, PanelData]]


def paginate(panels: Sequence[PanelData]) -> list[Sheet]:
    """Return the panels by sheet with their places; a sheet ends where no panel is cut."""
    room = HEIGHT - TOP - BOTTOM
    sheets: list[Sheet] = []
    begun: list[list[PanelData]] = []

    def close() -> None:
        if begun:
            sheets.append(_placed([one for band in begun for one in band], room))
            begun.clear()

    bands = _bands(panels)
    for place, band in enumerate(bands):
        following = bands[place + 1] if place + 1 < len(bands) else []
        # The heading of a row stays with what it heads.
        needed = [*band, *following] if all(one.panel.type == "row" for one in band) else band
        if begun and _height([*[one for each in begun for one in each], *needed]) > room:
            close()
        begun.append(band)
    close()
    return sheets


def _bands(panels: Sequence[PanelData]) -> list[list[PanelData]]:
    """Group the panels that lie beside each other, so that between two groups a line can be drawn."""
    bands: list[list[PanelData]] = []
    bottom = -1
    for one in sorted(panels, key=lambda one: (one.panel.grid.y, one.panel.grid.x)):
        if one.panel.grid.y >= bottom:
            bands.append([])
        bands[-1].append(one)
        bottom = max(bottom, one.panel.grid.y + one.panel.grid.h)
    return bands


def _height(panels: Sequence[PanelData]) -> float:
    top = min(one.panel.grid.y for one in panels)
    return (max(one.panel.grid.y + one.panel.grid.h for one in panels) - top) * UNIT


def _placed(panels: Sequence[PanelData], room: float) -> Sheet:
    top = min(one.panel.grid.y for one in panels)
    # One band that is higher than a sheet is flattened to fit.
    squeeze = min(1.0, room / _height(panels))
    placed = []
    for one in panels:
        box = box_of(one.panel.grid, INNER, -GAP)
        y = (box.y - top * UNIT) * squeeze
        placed.append((Box(box.x + MARGIN, TOP + y, box.w, box.h * squeeze), one))
    return placed


def _head(canvas: Canvas, data: DashboardData) -> None:
    draw_heading(canvas, data, left=MARGIN + GAP, top=38)


def _foot(canvas: Canvas, left: str, right: str) -> None:
    y = HEIGHT - 30
    canvas.text(MARGIN + GAP, y, left, size=12, colour=canvas.theme.muted, fit=INNER * 0.7)
    canvas.text(WIDTH - MARGIN - GAP, y, right, size=12, colour=canvas.theme.muted, align="right")


_MODE_COLOURS = {"LIVE": "green", "OPERATIONAL": "blue", "MODEL": "purple", "SIMULATED": "orange"}


def _draw_cover(cover: Cover, reports: Sequence[DashboardData], style: Style) -> Canvas:
    canvas = Canvas(WIDTH, HEIGHT, style, inches=INCHES)
    theme = style.theme
    left, width = 150.0, WIDTH - 300
    canvas.box(Box(0, 0, 24, HEIGHT), theme.colour("blue"))
    y = 260.0
    for line in wrapped(cover.title, width, 54, BOLD):
        canvas.text(left, y, line, size=54, weight=BOLD)
        y += 68
    spans = list(dict.fromkeys(data.span.describe(style.clock.zone) for data in reports))
    canvas.text(left, y, "; ".join(spans), size=24, colour=theme.muted, fit=width)
    y += 70
    if cover.mode:
        used = canvas.text(
            left + 18, y, cover.mode, size=24, weight=BOLD, colour=theme.colour(_MODE_COLOURS.get(cover.mode, "orange"))
        )
        canvas.box(
            Box(left, y - 24, used + 36, 46),
            "none",
            edge=theme.colour(_MODE_COLOURS.get(cover.mode, "orange")),
            radius=6,
            line=2,
        )
        canvas.text(left + used + 60, y, cover.mode_text, size=20, colour=theme.muted, fit=width - used - 60)
        y += 80
    facts = [
        ("Pages", ", ".join(data.dashboard.title for data in reports)),
        *((f"{name}", value) for name, value in _variables(reports)),
        ("Generated at", format_date(cover.made * 1000, "YYYY-MM-DD HH:mm:ss z", style.clock.zone)),
        ("Data from", f"Prometheus {cover.version} at {cover.source}"),
    ]
    for name, value in facts:
        canvas.text(left, y, name, size=18, colour=theme.muted)
        canvas.text(left + 220, y, value, size=18, weight=MEDIUM, fit=width - 220)
        y += 36
    if cover.assumptions:
        y += 30
        canvas.text(left, y, "Assumptions", size=22, weight=BOLD)
        y += 40
        for assumption in cover.assumptions:
            for place, line in enumerate(wrapped(assumption, width - 24, 17)):
                if place == 0:
                    canvas.text(left, y, "•", size=17, colour=theme.muted)
                canvas.text(left + 22, y, line, size=17)
                y += 26
    _foot(canvas, "Made without Grafana from the dashboards' own queries", "")
    return canvas


def _variables(reports: Sequence[DashboardData]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for data in reports:
        for variable in data.dashboard.variables:
            value = data.variables.values.get(str(variable.get("name")))
            chosen = value is not None and not value.is_all and variable.get("type") != "datasource"
            if value is not None and chosen and variable.get("hide") != 2:
                found.setdefault(str(variable.get("label") or variable.get("name")), value.text)
    return list(found.items())
