"""Pages: a dashboard's grid as one picture, or as sheets of paper."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw import draw_content, judged
from ml_monitoring.dashboards.render.draw.canvas import Area, Canvas, fitted, wrapped
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.events import Annotation
from ml_monitoring.dashboards.render.fonts import BOLD, MEDIUM, text_width
from ml_monitoring.dashboards.render.layout import GAP, Box, box_of, page_height
from ml_monitoring.dashboards.render.notes import with_notes

HEADING = 62.0
SHORT_HEADING = 36.0
TITLE = 34.0


def draw_dashboard(
    data: DashboardData,
    style: Style,
    *,
    width: float = 1600,
    heading: bool = True,
    until: int | None = None,
    on_panel: Callable[[PanelData], None] = lambda _: None,
) -> Canvas:
    """Return the whole dashboard as one page.

    Args:
        data: The dashboard with its data.
        style: Theme and clock.
        width: In pixels.
        heading: Whether title, variables and time range stand above.
        until: Leave out what begins or ends below this line of the grid.
        on_panel: Called when a panel is drawn, with its data, or the error.
    """
    top = (HEADING if shown_variables(data) or data.problems else SHORT_HEADING) if heading else 0.0
    panels = [one for one in with_notes(data.panels) if until is None or one.panel.grid.y + one.panel.grid.h <= until]
    while panels and panels[-1].panel.type == "row" and until is not None:
        # A heading with nothing under it.
        panels.pop()
    bottom = max((one.panel.grid.y + one.panel.grid.h for one in panels), default=4)
    canvas = Canvas(width, page_height(bottom, top), style)
    if heading:
        draw_heading(canvas, data)
    draw_panels(canvas, panels, data.annotations, width=width, top=top, on_panel=on_panel)
    return canvas


def draw_panels(
    canvas: Canvas,
    panels: Iterable[PanelData],
    events: Sequence[Annotation],
    *,
    width: float,
    top: float,
    on_panel: Callable[[PanelData], None] = lambda _: None,
) -> None:
    """Draw panels where the grid puts them."""
    for one in panels:
        drawn = draw_panel(Area(canvas, box_of(one.panel.grid, width, top)), one, events)
        for each in one.instead_of or (drawn,):
            on_panel(each)


def draw_heading(canvas: Canvas, data: DashboardData, *, left: float = GAP + 4.0, top: float = 0.0) -> None:
    """Write the dashboard's title, its variables, the time range, and which annotation queries went wrong.

    Args:
        canvas: The page.
        data: The dashboard.
        left: Margin on both sides.
        top: Margin above.
    """
    theme = canvas.theme
    canvas.text(left, top + 20, data.dashboard.title, size=20, weight=BOLD, fit=canvas.width * 0.6)
    span = data.span.describe(canvas.style.clock.zone)
    canvas.text(canvas.width - left, top + 20, span, size=13, colour=theme.muted, align="right")
    x, right = left, canvas.width - left
    if data.problems:
        colour, text = theme.colour("red"), fitted("; ".join(data.problems), canvas.width * 0.5, 12)
        right -= canvas.text(right, top + 48.5, text, size=12, colour=colour, align="right") + 8
    for label, text in shown_variables(data):
        wide = min(text_width(label, 12) + text_width(text, 12, MEDIUM) + 26, 420.0)
        if x + wide > right:
            break
        canvas.box(Box(x, top + 38, wide, 21), theme.panel, edge=theme.border, radius=3)
        used = canvas.text(x + 8, top + 48.5, label, size=12, colour=theme.muted)
        canvas.text(x + used + 16, top + 48.5, text, size=12, weight=MEDIUM, fit=wide - used - 22)
        x += wide + 8


def shown_variables(data: DashboardData) -> list[tuple[str, str]]:
    """Return label and value of the variables that a reader of the page sees."""
    found = []
    for variable in data.dashboard.variables:
        value = data.variables.values.get(str(variable.get("name")))
        if value is not None and variable.get("hide") != 2 and variable.get("type") != "datasource":
            found.append((str(variable.get("label") or variable.get("name")), value.text or "none"))
    return found


def draw_panel(area: Area, data: PanelData, events: Sequence[Annotation] = ()) -> PanelData:
    """Draw one panel with its frame. What goes wrong is written in it, and the other panels go on.

    Returns:
        The panel's data, with the error where it could not be drawn.
    """
    panel = data.panel
    if panel.type == "row":
        _row(area, data)
        return data
    data = judged(data)
    theme = area.theme
    if not panel.raw.get("transparent"):
        area.canvas.box(area.box, theme.panel, edge=theme.border, radius=3)
    content = area.box.inset(8, 8, 8, 8)
    if data.title:
        area.canvas.text(area.box.x + 10, area.box.y + 18, data.title, size=14, weight=MEDIUM, fit=area.box.w - 20)
        content = area.box.inset(8, TITLE, 8, 8)
    inside = area.part(content)
    if data.error:
        _problem(inside, data)
        return data
    try:
        draw_content(data, inside, events)
    except Exception as error:  # noqa: BLE001 - a panel that cannot be drawn must not cost the others
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = f"cannot be drawn: {type(error).__name__}: {error} ({where.name}, line {where.lineno})"
        data = replace(data, error=what)
        _problem(inside, data)
    return data


def _row(area: Area, data: PanelData) -> None:
    y = area.box.y + area.box.h / 2
    x, hidden = area.box.x, data.panel.folded
    arrow = (
        [(x + 5, y - 4), (x + 11, y), (x + 5, y + 4)] if hidden else [(x + 4, y - 3), (x + 12, y - 3), (x + 8, y + 3)]
    )
    area.canvas.polygon(arrow, area.theme.muted)
    used = area.canvas.text(x + 20, y, data.title, size=15, weight=BOLD, fit=area.box.w - 120)
    if hidden:
        count = f"({hidden} panel{'s' if hidden > 1 else ''})"
        area.canvas.text(x + 32 + used, y, count, size=12, colour=area.theme.muted)


def _problem(area: Area, data: PanelData) -> None:
    """Draw the labelled box of a panel that cannot be shown."""
    theme = area.theme
    colour = theme.muted if data.unsupported else theme.colour("red")
    area.canvas.box(area.box, theme.panel, edge=colour, radius=3)
    word = "Not supported" if data.unsupported else "Failed"
    x, y = area.box.middle
    lines = wrapped(data.error, area.box.w - 24, 12)[: max(1, int((area.box.h - 34) // 16))]
    start = y - len(lines) * 8
    area.canvas.text(x, start, f"{word}: {data.panel.type}", size=13, colour=colour, weight=MEDIUM, align="center")
    for place, line in enumerate(lines):
        area.canvas.text(
            x, start + 20 + place * 16, line, size=12, colour=theme.muted, align="center", fit=area.box.w - 16
        )
