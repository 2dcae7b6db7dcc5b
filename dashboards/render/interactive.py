"""A dashboard as one HTML file that needs no network: Plotly is inside, charts can be zoomed, tables sorted."""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from ml_monitoring.dashboards.render import fonts
from ml_monitoring.dashboards.render.colours import ink_on
from ml_monitoring.dashboards.render.display import Style, show
from ml_monitoring.dashboards.render.draw import judged
from ml_monitoring.dashboards.render.draw.lists import alert_rows
from ml_monitoring.dashboards.render.draw.single import singles_of
from ml_monitoring.dashboards.render.draw.stat import has_course
from ml_monitoring.dashboards.render.draw.table import cell_options, row_order
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.frames import Field, FieldKind, number
from ml_monitoring.dashboards.render.markdown import content_of, to_html
from ml_monitoring.dashboards.render.reduce import calculation_name, reduce_field
from ml_monitoring.dashboards.render.traces import chart_of

Json = dict[str, Any]

_WITH_LEGEND = frozenset({"timeseries", "state-timeline", "status-history", "barchart"})


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
    drawn = [judged(one) for one in data.panels]
    panels = "\n".join(_panel(one, data, style, charts) for one in drawn)
    for one in drawn:
        on_panel(one)
    page = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    theme = style.theme
    values = {
        "title": escape(data.dashboard.title),
        "span": escape(data.span.describe(style.clock.zone)),
        "variables": "".join(_variable(variable, data) for variable in data.dashboard.variables),
        "problems": f"<p class='problems'>{escape('; '.join(data.problems))}</p>" if data.problems else "",
        "panels": panels,
        # A closing tag inside a text would end the script.
        "charts": json.dumps(charts, ensure_ascii=False, allow_nan=False, default=str).replace("</", "<\\/"),
        "plotly": get_plotlyjs().replace("</script", "<\\/script"),
        **{name: getattr(theme, name) for name in ("canvas", "panel", "border", "text", "muted", "grid", "track")},
        "regular": _typeface("Inter-Regular.ttf"),
        "bold": _typeface("Inter-SemiBold.ttf"),
        "link": theme.colour("blue"),
        "scheme": theme.name,
    }
    path.write_text(re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], page), encoding="utf-8")


def _typeface(name: str) -> str:
    return b64encode((Path(fonts.__file__).parent / name).read_bytes()).decode()


def _variable(variable: Json, data: DashboardData) -> str:
    value = data.variables.values.get(str(variable.get("name")))
    if value is None or variable.get("hide") == 2 or variable.get("type") == "datasource":
        return ""
    label = escape(str(variable.get("label") or variable.get("name")))
    return f"<span class='variable'>{label} <b>{escape(value.text or 'none')}</b></span>"


def _panel(one: PanelData, data: DashboardData, style: Style, charts: list[Json]) -> str:
    grid = one.panel.grid
    place = f"grid-column:{grid.x + 1}/span {grid.w};grid-row:{grid.y + 1}/span {grid.h}"
    if one.panel.type == "row":
        return f"<h2 class='row' style='{place}'>{escape(one.title)}</h2>"
    kind = " transparent" if one.panel.raw.get("transparent") else ""
    hint = escape(str(one.panel.raw.get("description") or ""), quote=True)
    head = f"<h3 title='{hint}'>{escape(one.title)}</h3>" if one.title else ""
    return f"<section class='panel{kind}' style='{place}'>{head}{_content(one, data, style, charts)}</section>"


def _content(one: PanelData, data: DashboardData, style: Style, charts: list[Json]) -> str:
    if one.error:
        word = "Not supported" if one.unsupported else "Failed"
        return f"<div class='message'><b>{word}: {escape(one.panel.type)}</b><br>{escape(one.error)}</div>"
    if one.empty and one.panel.type not in ("alertlist", "text"):
        return f"<div class='message'>{escape(one.no_value)}</div>"
    if one.panel.type in _PLAIN:
        return _PLAIN[one.panel.type](one, style)
    chart = chart_of(one, data, style)
    if chart is None:
        return "<div class='message'></div>"
    traces, layout = chart
    charts.append({"traces": _clean(traces), "layout": _clean(layout), "time": "range" in layout.get("xaxis", {})})
    legend = _legend(one, traces, style)
    side = " beside" if (one.panel.options.get("legend") or {}).get("placement") == "right" else ""
    return f"<div class='with-legend{side}'><div class='chart' data-chart='{len(charts) - 1}'></div>{legend}</div>"


def _legend(one: PanelData, traces: list[Json], style: Style) -> str:
    """Return the legend of a chart; a click on a series hides it."""
    options = one.panel.options.get("legend") or {}
    if not options.get("showLegend", True) or one.panel.type not in _WITH_LEGEND:
        return ""
    calculations = [str(name) for name in options.get("calcs") or []] if one.panel.type == "timeseries" else []
    fields = {field.display: field for frame in one.frames for field in frame.value_fields}
    head = "".join(f"<th>{escape(calculation_name(name))}</th>" for name in calculations)
    rows = []
    for place, trace in enumerate(traces):
        look = trace.get("line") or trace.get("marker") or {}
        field = fields.get(str(trace["name"]))
        cells = "".join(
            f"<td>{escape(str(show(reduce_field(field, name), field, style)))}</td>" for name in calculations if field
        )
        mark = f"<i style='background:{look.get('color')}'></i>"
        rows.append(f"<tr data-trace='{place}'><td>{mark}{escape(str(trace['name']))}</td>{cells}</tr>")
    kind = "legend" if calculations else "legend plain"
    top = f"<thead><tr><th></th>{head}</tr></thead>" if calculations else ""
    return f"<div class='{kind}'><table>{top}<tbody>{''.join(rows)}</tbody></table></div>"


def _clean(value: Any) -> Any:
    """Replace what JSON has no word for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_clean(one) for one in value]
    return value


def _stats(one: PanelData, style: Style) -> str:
    values = singles_of(one, style)
    mode = str(one.panel.options.get("colorMode") or "value")
    named = one.panel.options.get("textMode") in ("value_and_name", "name") or len(values) > 1
    cells = []
    for value in values:
        if mode.startswith("background"):
            look = f"background:{value.shown.colour};color:{ink_on(value.shown.colour)}"
        else:
            look = f"color:{value.shown.colour if mode == 'value' else style.theme.text}"
        name = f"<small>{escape(value.name)}</small>" if named else ""
        text = value.shown.text
        figure = f"<i>{escape(text.prefix)}</i>{escape(text.text)}<i>{escape(text.suffix)}</i>"
        course = _spark(value.field.values) if has_course(value, one.panel.options, one.panel.grid.h * 30) else ""
        cells.append(f"<div style='{look}'>{name}<b>{figure}</b>{course}</div>")
    return f"<div class='stat'>{''.join(cells)}</div>"


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


def _table(one: PanelData, style: Style) -> str:
    frames = [frame for frame in one.frames if frame.fields]
    if not frames:
        return "<div class='message'>No data</div>"
    columns = [field for field in frames[0].fields if not (field.config.get("custom") or {}).get("hidden")]
    head = "".join(f"<th class='{field.kind}'>{escape(field.display)}</th>" for field in columns)
    rows = "".join(
        "<tr>" + "".join(_cell(field, row, style) for field in columns) + "</tr>" for row in row_order(one, frames[0])
    )
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _cell(field: Field, row: int, style: Style) -> str:
    value, course = field.values[row], ""
    if field.kind is FieldKind.FRAME and isinstance(value, list):
        course, value = _spark(value[0]), value[1]
    shown = show(value, field, style)
    kind = str(cell_options(field).get("type") or "")
    look = ""
    if kind.startswith("color-background") and str(shown):
        look = f" style='background:{shown.colour};color:{ink_on(shown.colour)}'"
    elif kind in ("color-text", "gauge", "sparkline"):
        look = f" style='color:{shown.colour}'"
    order = "" if math.isnan(shown.number) else f" data-order='{shown.number!r}'"
    return f"<td class='{field.kind}'{look}{order}>{course}{escape(str(shown))}</td>"


def _alerts(one: PanelData, style: Style) -> str:
    rows = alert_rows(one)
    if not rows:
        return "<div class='message'>No alerts match the filter</div>"
    colours = {"firing": "red", "pending": "orange", "inactive": "green"}
    items = "".join(
        f"<li style='border-color:{style.theme.colour(colours[row['state']])}'><b>{escape(row['name'])}</b> "
        f"<i>{escape(row['state'])}</i><br><small>{escape(row['detail'])}</small></li>"
        for row in rows
    )
    return f"<ul class='alerts'>{items}</ul>"


def _text(one: PanelData, _: Style) -> str:
    return f"<div class='text'>{to_html(content_of(one))}</div>"


_PLAIN: dict[str, Callable[[PanelData, Style], str]] = {
    "stat": _stats,
    "table": _table,
    "logs": _table,
    "text": _text,
    "alertlist": _alerts,
}
