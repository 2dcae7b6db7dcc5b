"""Panels made from signals. Title, question, unit, colours and legend come from the signal, not from the page.

Each factory takes signals, or a `Query` where a signal needs a name or a fixed label, and returns a `Panel`; the page
gives it its place, its id and the variables that narrow it.
"""

from __future__ import annotations

from ml_monitoring.dashboards.lib.panels.base import Panel
from ml_monitoring.dashboards.lib.panels.graphs import barchart, heatmap, state_timeline, timeseries
from ml_monitoring.dashboards.lib.panels.logs import log_graph, log_stat, logs
from ml_monitoring.dashboards.lib.panels.numbers import LIGHT_WORDS, bargauge, gauge, light, stat
from ml_monitoring.dashboards.lib.panels.tables import Column, table
from ml_monitoring.dashboards.lib.panels.texts import alert_list, rows, text

__all__ = [
    "LIGHT_WORDS",
    "Column",
    "Panel",
    "alert_list",
    "barchart",
    "bargauge",
    "gauge",
    "heatmap",
    "light",
    "log_graph",
    "log_stat",
    "logs",
    "rows",
    "stat",
    "state_timeline",
    "table",
    "text",
    "timeseries",
]
