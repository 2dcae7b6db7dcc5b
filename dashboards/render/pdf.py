"""Paper: panels on A4 sheets, no panel cut in two, with a cover that says what is shown and how it was made.

The same sheets are a PDF, or a page of HTML that needs no other file.
"""

from __future__ import annotations

import html
import io
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages

from ml_monitoring.dashboards.render.dates import format_date
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw import judged
from ml_monitoring.dashboards.render.draw.canvas import PIXELS_PER_INCH, Area, Canvas, fitted, settings, wrapped
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.fonts import BOLD, MEDIUM, text_width
from ml_monitoring.dashboards.render.layout import GAP, Box
from ml_monitoring.dashboards.render.page import draw_heading, draw_panel
from ml_monitoring.dashboards.render.paper import HEIGHT, INCHES, INNER, MARGIN, WIDTH, Sheet, left_out, paginate


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
        note: What else is to be known of the time range.
    """

    title: str
    source: str
    version: str
    made: float = field(default_factory=time.time)
    mode: str = ""
    mode_text: str = ""
    assumptions: tuple[str, ...] = ()
    note: str = ""


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
    metadata = {"Title": _title(reports, cover), "Creator": "ml-monitoring dashboards", "CreationDate": None}
    with settings(), PdfPages(path, metadata=metadata) as pdf:
        for canvas, _ in _sheets(reports, style, cover, on_panel):
            pdf.savefig(canvas.figure)


def write_sheets(
    reports: Sequence[DashboardData],
    style: Style,
    path: Path,
    *,
    cover: Cover | None = None,
    on_panel: Callable[[PanelData], None] = lambda _: None,
) -> None:
    """Write dashboards as HTML: the same sheets, one below the other; the arguments are those of `write_pdf`."""
    title = html.escape(_title(reports, cover))
    parts = [_HTML_HEAD.replace("TITLE", title)]
    for number, (canvas, names) in enumerate(_sheets(reports, style, cover, on_panel)):
        buffer = io.BytesIO()
        canvas.save(buffer, "svg", PIXELS_PER_INCH, text=True)
        drawing = buffer.getvalue().decode()
        drawing = _FAMILY.sub(_installed, drawing[drawing.index("<svg") :])
        # Ids are those of one drawing; in one page those of several must differ.
        drawing = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>s{number}-", drawing)
        label = html.escape(", ".join(names), quote=True)
        parts.append(drawing.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))
    path.write_text("\n".join([*parts, "</body></html>\n"]), encoding="utf-8")


# What matplotlib says of a typeface, and what readers have.
_FAMILY = re.compile(r"font-family: 'Inter(?: (\w+))?'(?:, '[^']+')*")
_WEIGHTS = {"Medium": 500, "SemiBold": 600}


def _installed(family: re.Match[str]) -> str:
    return f"font-family: Inter, Helvetica, Arial, sans-serif; font-weight: {_WEIGHTS.get(family[1] or '', 400)}"


_HTML_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{margin:0;background:#ddd}svg{display:block;width:min(100%,1148px);height:auto;margin:0 auto 12px}
@page{size:A4 landscape;margin:0}@media print{svg{width:100%;margin:0;break-after:page}}</style></head><body>"""


def _title(reports: Sequence[DashboardData], cover: Cover | None) -> str:
    return cover.title if cover else reports[0].dashboard.title


def _sheets(
    reports: Sequence[DashboardData], style: Style, cover: Cover | None, on_panel: Callable[[PanelData], None]
) -> Iterator[tuple[Canvas, list[str]]]:
    """Yield the sheets, each with the titles of what is on it."""
    # The paper is the ground.
    style = replace(style, paper=True, theme=replace(style.theme, canvas=style.theme.panel))
    sheets = [(data, paginate(data.panels) or [[]]) for data in reports]
    count = sum(len(of_one) for _, of_one in sheets)
    title = _title(reports, cover)
    made = format_date((cover.made if cover else time.time()) * 1000, "YYYY-MM-DD HH:mm z", style.clock.zone)
    if cover is not None:
        yield _draw_cover(cover, reports, style), [cover.title]
    number = 0
    for data, of_one in sheets:
        drawn: dict[tuple[object, ...], PanelData] = {}
        for place, sheet in enumerate(of_one):
            number += 1
            canvas = Canvas(WIDTH, HEIGHT, style, inches=INCHES)
            draw_heading(canvas, data, left=MARGIN, top=10)
            if not place:
                _draw_marks(canvas, data)
            for box, one in sheet:
                found = draw_panel(Area(canvas, box), one, data.annotations)
                drawn.setdefault(_key(one), found)
            last = place == len(of_one) - 1
            missing = ", ".join(one.title for one in left_out(data.panels)) if last else ""
            _foot(canvas, f"{title}, {made}", f"{number} / {count}", f"Without data: {missing}" if missing else "")
            yield canvas, _names(sheet)
        for one in data.panels:
            on_panel(drawn.get(_key(one)) or judged(one))


def _key(one: PanelData) -> tuple[object, ...]:
    # A table may be on several sheets, in parts.
    return one.panel.id, one.panel.type, one.panel.scope


def _names(sheet: Sheet) -> list[str]:
    return [one.title for _, one in sheet if one.title]


def _draw_marks(canvas: Canvas, data: DashboardData) -> None:
    """Name the lines on time axes, once: what they are, by colour."""
    titles: dict[str, dict[str, int]] = {}
    for event in data.annotations:
        of_colour = titles.setdefault(event.colour, {})
        of_colour[event.title] = of_colour.get(event.title, 0) + 1
    x, y = MARGIN, 92.0
    room = (INNER - (len(titles) - 1) * 16) / max(1, len(titles))
    for colour, counts in titles.items():
        names = (f"{name} ({count})" if count > 1 else name for name, count in counts.items())
        text = fitted("Dashed lines: " + ", ".join(names), room - 12, 11)
        canvas.line([(x + 2, y - 7), (x + 2, y + 7)], canvas.theme.colour(colour), width=1.5, dashed=True)
        canvas.text(x + 10, y, text, size=11, colour=canvas.theme.muted)
        x += min(room, text_width(text, 11) + 12) + 16


def _foot(canvas: Canvas, left: str, right: str, middle: str = "") -> None:
    y = HEIGHT - 20
    used = canvas.text(MARGIN, y, left, size=11, colour=canvas.theme.muted, fit=INNER * 0.5)
    canvas.text(MARGIN + used + 24, y, middle, size=11, colour=canvas.theme.muted, fit=INNER - used - 100)
    canvas.text(WIDTH - MARGIN, y, right, size=11, colour=canvas.theme.muted, align="right")


_MODE_COLOURS = {"LIVE": "green", "OPERATIONAL": "blue", "MODEL": "purple", "SIMULATED": "orange"}


def _draw_cover(cover: Cover, reports: Sequence[DashboardData], style: Style) -> Canvas:
    canvas = Canvas(WIDTH, HEIGHT, style, inches=INCHES)
    theme = style.theme
    left, width = 96.0, WIDTH - 192
    canvas.box(Box(0, 0, 16, HEIGHT), theme.colour("blue"))
    y = 92.0
    for line in wrapped(cover.title, width, 38, BOLD):
        canvas.text(left, y, line, size=38, weight=BOLD)
        y += 48
    spans = list(dict.fromkeys(data.span.describe(style.clock.zone) for data in reports))
    canvas.text(left, y, "; ".join([*spans, *([cover.note] if cover.note else [])]), size=16, fit=width)
    y += 40
    if cover.mode:
        colour = theme.colour(_MODE_COLOURS.get(cover.mode, "orange"))
        used = text_width(cover.mode, 16, BOLD)
        canvas.box(Box(left, y - 15, used + 24, 30), "none", edge=colour, radius=4, line=2)
        canvas.text(left + 12, y, cover.mode, size=16, weight=BOLD)
        canvas.text(left + used + 40, y, cover.mode_text, size=14, colour=theme.muted, fit=width - used - 40)
        y += 44
    y = _draw_verdicts(canvas, reports, Box(left, y, width, 0))
    facts = [
        ("Pages", ", ".join(data.dashboard.title for data in reports)),
        *((f"{name}", value) for name, value in _variables(reports)),
        ("Generated at", format_date(cover.made * 1000, "YYYY-MM-DD HH:mm:ss z", style.clock.zone)),
        ("Data from", f"Prometheus {cover.version} at {cover.source}"),
    ]
    for name, value in facts:
        canvas.text(left, y, name, size=13, colour=theme.muted)
        canvas.text(left + 150, y, value, size=13, weight=MEDIUM, fit=width - 150)
        y += 24
    if cover.assumptions:
        y += 16
        canvas.text(left, y, "Assumptions", size=15, weight=BOLD)
        y += 26
        lines = [
            (place == 0, line)
            for assumption in cover.assumptions
            for place, line in enumerate(wrapped(assumption, width - 18, 12))
        ]
        step = min(19.0, (HEIGHT - 50 - y) / len(lines))
        for first, line in lines:
            if first:
                canvas.text(left, y, "•", size=12, colour=theme.muted)
            canvas.text(left + 16, y, line, size=12)
            y += step
    _foot(canvas, "Made without Grafana from the dashboards' own queries", "")
    return canvas


def _draw_verdicts(canvas: Canvas, reports: Sequence[DashboardData], place: Box) -> float:
    """Draw what each page answers to its question, and return where to go on."""
    y = place.y
    for data in reports:
        titles = [one.title for one in data.panels if one.panel.type == "row"]
        first = next((one for one in data.panels if one.panel.type != "row"), None)
        if first is None or first.panel.type != "stat" or not titles:
            continue
        draw_panel(Area(canvas, Box(place.x, y, 300, 84)), first)
        canvas.text(place.x + 316, y + 30, data.dashboard.title, size=13, colour=canvas.theme.muted)
        canvas.text(place.x + 316, y + 54, titles[0], size=16, weight=MEDIUM, fit=place.w - 316)
        y += 84 + GAP
    return y + 16


def _variables(reports: Sequence[DashboardData]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for data in reports:
        for variable in data.dashboard.variables:
            value = data.variables.values.get(str(variable.get("name")))
            chosen = value is not None and not value.is_all and variable.get("type") != "datasource"
            if value is not None and chosen and variable.get("hide") != 2:
                found.setdefault(str(variable.get("label") or variable.get("name")), value.text)
    return list(found.items())
