"""Drawing panels with matplotlib: one module a kind of panel, and the list of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ml_monitoring.dashboards.render.draw import bars, gauge, heatmap, lists, stat, states, table, timeseries
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.events import Annotation

DRAWERS: dict[str, Callable[[PanelData, Area], None]] = {
    "stat": stat.draw,
    "gauge": gauge.draw_gauge,
    "bargauge": gauge.draw_bargauge,
    "table": table.draw,
    "heatmap": heatmap.draw,
    "barchart": bars.draw_barchart,
    "histogram": bars.draw_histogram,
    "piechart": bars.draw_pie,
    "text": lists.draw_text,
    "alertlist": lists.draw_alerts,
    "logs": lists.draw_logs,
    "dashlist": lists.draw_links,
}
# Panels with a time axis, on which events are marked.
WITH_EVENTS: dict[str, Callable[[PanelData, Area, Sequence[Annotation]], None]] = {
    "timeseries": timeseries.draw,
    "state-timeline": states.draw,
    "status-history": states.draw,
}


def is_known(panel_type: str) -> bool:
    """Return whether panels of the type can be drawn."""
    return panel_type in DRAWERS or panel_type in WITH_EVENTS or panel_type == "row"


def judged(data: PanelData) -> PanelData:
    """Return the panel's data, as unsupported where panels of its type cannot be drawn."""
    if is_known(data.panel.type) or data.error:
        return data
    return replace(data, error=f"panels of type {data.panel.type} are not drawn here", unsupported=True)


def draw_content(data: PanelData, area: Area, events: Sequence[Annotation]) -> None:
    """Draw what is inside a panel's frame."""
    if data.panel.type in WITH_EVENTS:
        WITH_EVENTS[data.panel.type](data, area, events)
    else:
        DRAWERS[data.panel.type](data, area)
