"""Panels as HTML and charts for Plotly, and a dashboard as one file of them that needs no network."""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from ml_monitoring.dashboards.render import fonts
from ml_monitoring.dashboards.render.colours import Theme, ink_on
from ml_monitoring.dashboards.render.display import Style, ends, show
from ml_monitoring.dashboards.render.draw import judged
from ml_monitoring.dashboards.render.draw.legend import Entry, calculated, sorted_entries
from ml_monitoring.dashboards.render.draw.lists import alert_rows
from ml_monitoring.dashboards.render.draw.stat import has_course, written
from ml_monitoring.dashboards.render.draw.table import cell_options, least_width, row_order, set_width
from ml_monitoring.dashboards.render.embed import json_for_script
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.frames import FieldKind, Frame, number, until
from ml_monitoring.dashboards.render.links import Cell, links_of
from ml_monitoring.dashboards.render.markdown import content_of, to_html
from ml_monitoring.dashboards.render.notes import with_notes
from ml_monitoring.dashboards.render.reduce import calculation_name
from ml_monitoring.dashboards.render.traces import chart_of

Json = dict[str, Any]

# Beside this module, as all that a browser needs.
ASSETS = Path(__file__).parent
FONTS = Path(fonts.__file__).parent

_STATES = frozenset({"state-timeline", "status-history"})
_WITH_LEGEND = _STATES | {"timeseries", "barchart"}


@dataclass(frozen=True, slots=True)
class Fragment:
    """What is inside a panel's frame.

    Attributes:
        html: Its HTML; `panels.js` gives it looks and draws the chart in `.chart`.
        chart: What Plotly draws; None where the panel is no chart.
    """

    html: str
    chart: Json | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What fragments depend on besides their panel.

    Attributes:
        data: The dashboard.
        style: Theme and clock.
        leads: Whether an address without a host leads anywhere from the page.
    """

    data: DashboardData
    style: Style
    leads: Callable[[str], bool] = lambda _: False


def write_html(
    data: DashboardData, style: Style, path: Path, *, on_panel: Callable[[PanelData], None] = lambda _: None
) -> None:
    """Write the dashboard as an interactive page.

    Args:
        data: The dashboard with its data.
        style: Theme and clock.
        path: The file.
        on_panel: Called when a panel is drawn, with its data, or the error.
    """
    charts: list[Json] = []
    panels: list[str] = []
    around = Surroundings(data, style)
    for one in with_notes(data.panels):
        drawn, fragment = fragment_of(one, around)
        panels.append(_panel(drawn, fragment))
        charts += [fragment.chart] if fragment.chart else []
        for each in one.instead_of or (drawn,):
            on_panel(each)
    page = (ASSETS / "page.html").read_text(encoding="utf-8")
    values = {
        "title": escape(data.dashboard.title),
        "span": escape(data.span.describe(style.clock.zone)),
        "variables": "".join(_variable(variable, data) for variable in data.dashboard.variables),
        "problems": f"<p class='problems'>{escape('; '.join(data.problems))}</p>" if data.problems else "",
        "panels": "\n".join(panels),
        "theme": theme_css(style.theme),
        "css": (ASSETS / "panels.css").read_text(encoding="utf-8"),
        "js": (ASSETS / "panels.js").read_text(encoding="utf-8"),
        "charts": json_for_script(charts),
        "plotly": get_plotlyjs().replace("</script", "<\\/script"),
        "regular": _typeface("Inter-Regular.ttf"),
        "bold": _typeface("Inter-SemiBold.ttf"),
    }
    path.write_text(re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], page), encoding="utf-8")


def theme_css(theme: Theme) -> str:
    """Return a theme's colours as the variables that `panels.css` uses."""
    named = {"good": "green", "bad": "red", "link": "blue", "warn": "orange"}
    colours = {
        **{name: getattr(theme, name) for name in ("canvas", "panel", "border", "text", "muted", "grid", "track")},
        **{use: theme.colour(name) for use, name in named.items()},
    }
    return f"color-scheme: {theme.name}; " + " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def _typeface(name: str) -> str:
    return b64encode((FONTS / name).read_bytes()).decode()


def _variable(variable: Json, data: DashboardData) -> str:
    value = data.variables.values.get(str(variable.get("name")))
    if value is None or variable.get("hide") == 2 or variable.get("type") == "datasource":
        return ""
    label = escape(str(variable.get("label") or variable.get("name")))
    return f"<span class='variable'>{label} <b>{escape(value.text or 'none')}</b></span>"


def _panel(one: PanelData, fragment: Fragment) -> str:
    grid = one.panel.grid
    place = f"grid-column:{grid.x + 1}/span {grid.w};grid-row:{grid.y + 1}/span {grid.h}"
    if one.panel.type == "row":
        return f"<h2 class='row' style='{place}'>{escape(one.title)}</h2>"
    kind = " transparent" if one.panel.raw.get("transparent") else ""
    hint = escape(str(one.panel.raw.get("description") or ""), quote=True)
    head = f"<h3 title='{hint}'>{escape(one.title)}</h3>" if one.title else ""
    return f"<section class='panel{kind}' style='{place}'>{head}{fragment.html}</section>"


def fragment_of(one: PanelData, around: Surroundings) -> tuple[PanelData, Fragment]:
    """Return what is inside a panel's frame, and the panel's data, with the error where it could not be drawn."""
    one = judged(one)
    if not one.error:
        try:
            return one, _content(one, around)
        except Exception as error:  # noqa: BLE001 - a panel that cannot be drawn must not cost the others
            one = replace(one, error=f"cannot be drawn: {type(error).__name__}: {error}")
    word, kind = ("Not supported", "unsupported") if one.unsupported else ("Failed", "failed")
    what = f"<b>{word}: {escape(one.panel.type)}</b><br>{escape(one.error)}"
    return one, Fragment(f"<div class='message {kind}'><p>{what}</p></div>")


def _content(one: PanelData, around: Surroundings) -> Fragment:
    if one.panel.type == "row":
        return Fragment("")
    if one.empty and one.panel.type not in ("alertlist", "text"):
        return Fragment(f"<div class='message'><p>{escape(one.no_value)}</p></div>")
    if one.panel.type in _PLAIN:
        return Fragment(_PLAIN[one.panel.type](one, around))
    chart = chart_of(one, around.data, around.style)
    if chart is None:
        return Fragment("<div class='message'></div>")
    traces, layout = chart
    legend = _legend(one, traces, around.style)
    side = " beside" if (one.panel.options.get("legend") or {}).get("placement") == "right" else ""
    name = escape(one.title, quote=True)
    return Fragment(
        f"<div class='with-legend{side}'><div class='chart' role='img' aria-label='{name}'></div>{legend}</div>",
        {"traces": _clean(traces), "layout": _clean(layout), "time": "range" in layout.get("xaxis", {})},
    )


def _legend(one: PanelData, traces: list[Json], style: Style) -> str:
    """Return the legend of a chart; a click on a series hides it."""
    options = one.panel.options.get("legend") or {}
    # Of states always: not each fits into its band. Grafana's would name gaps as a state, so that pages leave it out.
    is_shown = options.get("showLegend", True) or one.panel.type in _STATES
    if not is_shown or one.panel.type not in _WITH_LEGEND:
        return ""
    calculations = [str(name) for name in options.get("calcs") or []] if one.panel.type == "timeseries" else []
    fields = {field.display: field for frame in until(one.span.end * 1000, one.frames) for field in frame.value_fields}
    head = "".join(f"<th>{escape(calculation_name(name))}</th>" for name in calculations)
    rows: dict[Entry, str] = {}
    # What is filled below a line is hidden with it.
    areas = {trace["area"]: place for place, trace in enumerate(traces) if "area" in trace}
    for place, trace in enumerate(traces):
        if "area" in trace:
            continue
        look = trace.get("line") or trace.get("marker") or {}
        field = fields.get(str(trace["name"]))
        values = [calculated(field, name, style) if field else ("", math.nan) for name in calculations]
        texts, numbers = tuple(text for text, _ in values), tuple(number for _, number in values)
        cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
        mark = f"<i data-look='background:{look.get('color')}'></i>"
        name = f"<button type='button' aria-pressed='true'>{mark}{escape(str(trace['name']))}</button>"
        which = f"{place} {areas[place]}" if place in areas else str(place)
        entry = Entry(str(trace["name"]), which, texts, numbers)
        rows[entry] = f"<tr data-trace='{which}'><td>{name}</td>{cells}</tr>"
    kind = "legend" if calculations else "legend plain"
    top = f"<thead><tr><th></th>{head}</tr></thead>" if calculations else ""
    body = "".join(rows[entry] for entry in sorted_entries(list(rows), options))
    return f"<div class='{kind}'><table>{top}<tbody>{body}</tbody></table></div>"


def _clean(value: Any) -> Any:
    """Replace what JSON has no word for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_clean(one) for one in value]
    return value


def _stats(one: PanelData, around: Surroundings) -> str:
    style = around.style
    values, named = written(one, style)
    options = one.panel.options
    mode = str(options.get("colorMode") or "value")
    cells = []
    for value in values:
        if mode.startswith("background"):
            look = f"background:{value.shown.colour};color:{ink_on(value.shown.colour)}"
        else:
            look = f"color:{value.shown.colour if mode == 'value' else style.theme.text}"
        name = f"<small>{escape(value.name)}</small>" if named else ""
        text = value.shown.text
        figure = f"<i>{escape(text.prefix)}</i>{escape(text.text)}<i>{escape(text.suffix)}</i>" if str(text) else ""
        course = _spark(value.field.values) if has_course(value, options, one.panel.grid.h * 30) else ""
        frame = Frame([*([value.times] if value.times else []), value.field])
        cell = Cell(value.field, frame, max(0, frame.length - 1), style)
        content = _linked(f"{name}<b>{figure}</b>", one, cell, around)
        cells.append(f"<div data-look='{look}'>{content}{course}</div>")
    # `panels.js` chooses the sizes of the letters, by the room that there is.
    orientation = escape(str(options.get("orientation") or "auto"), quote=True)
    return f"<div class='stat' data-orientation='{orientation}'>{''.join(cells)}</div>"


def _linked(content: str, one: PanelData, cell: Cell, around: Surroundings) -> str:
    """Return HTML as the text of the first link of its field that can be followed."""
    found = links_of(cell.field.config.get("links"), one.variables, cell, leads=around.leads)
    return next((link.around(content) for link in found), content)


def _spark(values: Sequence[Any]) -> str:
    """Return the course of values as a small drawing in the colour of its surroundings."""
    numbers = [number(value) for value in values]
    finite = [value for value in numbers if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, spread = min(finite), (max(finite) - min(finite)) or 1.0
    last = len(numbers) - 1
    points = " ".join(
        f"{place / last * 100:.1f},{20 - 18 * (value - low) / spread:.1f}"
        for place, value in enumerate(numbers)
        if math.isfinite(value)
    )
    return f"<svg viewBox='0 0 100 22' preserveAspectRatio='none'><polyline points='{points}'/></svg>"


def _table(one: PanelData, around: Surroundings) -> str:
    frames = [frame for frame in one.frames if frame.fields]
    if not frames:
        return "<div class='message'>No data</div>"
    columns = [field for field in frames[0].fields if not (field.config.get("custom") or {}).get("hidden")]
    head = "".join(
        f"<th class='{field.kind}'><button type='button'>{escape(field.display)}</button></th>" for field in columns
    )
    scaled = [(field, ends(field)) for field in columns]
    rows = "".join(
        "<tr>"
        + "".join(_cell(Cell(field, frames[0], row, around.style), limits, one, around) for field, limits in scaled)
        + "</tr>"
        for row in row_order(one, frames[0])
    )
    # To be scrolled by keyboard it has to take the focus.
    name = escape(one.title, quote=True)
    looks = (f" data-look='width:{width:g}px'" if width else "" for width in map(set_width, columns))
    widths = "".join(f"<col{look}>" for look in looks)
    least = sum(set_width(field) or least_width(field) for field in columns)
    table = (
        f"<table data-look='min-width:{least:g}px'><colgroup>{widths}</colgroup>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
    return f"<div class='scroll' tabindex='0' role='region' aria-label='{name}'>{table}</div>"


def _cell(cell: Cell, limits: tuple[float, float], one: PanelData, around: Surroundings) -> str:
    field = cell.field
    value, course = field.values[cell.row], ""
    if field.kind is FieldKind.FRAME and isinstance(value, list):
        course, value = _spark(value[0]), value[1]
    shown = show(value, field, around.style, limits=limits)
    kind = str(cell_options(field).get("type") or "")
    look = ""
    if kind.startswith("color-background") and str(shown):
        look = f" data-look='background:{shown.colour};color:{ink_on(shown.colour)}'"
    elif kind in ("color-text", "gauge", "sparkline"):
        look = f" data-look='color:{shown.colour}'"
    content = _linked(escape(str(shown)), one, cell, around) if str(shown) else ""
    order = "" if math.isnan(shown.number) else f" data-order='{shown.number!r}'"
    return f"<td class='{field.kind}'{look}{order}>{course}{content}</td>"


def _alerts(one: PanelData, around: Surroundings) -> str:
    rows = alert_rows(one)
    if not rows:
        return "<div class='message'>No alerts match the filter</div>"
    colours = {"firing": "red", "pending": "orange", "inactive": "green"}
    items = "".join(
        f"<li data-look='border-color:{around.style.theme.colour(colours[row['state']])}'><b>{escape(row['name'])}</b> "
        f"<i>{escape(row['state'])}</i><br><small>{escape(row['detail'])}</small></li>"
        for row in rows
    )
    return f"<ul class='alerts' tabindex='0'>{items}</ul>"


def _text(one: PanelData, _: Surroundings) -> str:
    return f"<div class='text'>{to_html(content_of(one))}</div>"


_PLAIN: dict[str, Callable[[PanelData, Surroundings], str]] = {
    "stat": _stats,
    "table": _table,
    "logs": _table,
    "text": _text,
    "alertlist": _alerts,
}
