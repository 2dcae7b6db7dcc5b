"""The page `Logs`: what do the services say, how much, and where do errors come from?"""

from __future__ import annotations

from ml_monitoring.alerting.logs.signals import (
    LOG_COLLECTOR_FAILURES,
    LOG_LINES_KEPT,
    LOG_LINES_LOST,
    LOG_SERVICES_UP,
    PAGE,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Panel, log_graph, log_ranking, logs, stat, text, timeseries
from ml_monitoring.dashboards.lib.style import LOG_LEVEL
from ml_monitoring.dashboards.lib.variables import datasource, log_label, loki_datasource, typed
from ml_monitoring.dashboards.pages.common import firing_alerts, verdict
from ml_monitoring.exporter.catalog import Unit

_OFF = "no data from Loki and Alloy"
_NONE = "no matching lines, or no data from Loki"
_HOW = """\
Logs are collected when the stack is deployed with `WITH=logs`; without it there is no Loki to choose at **Logs** above,
and only this page has nothing to show. *Text* is a regular expression, without regard to case."""

_CHOSEN = '{service=~"$service",level=~"$level"} |~ `(?i)$text`'
_ERRORS = '{service=~"$service",level=~"error|critical"}'


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="Logs",
        description="For root cause analysis: what do the services log, how much, and where are the errors?",
        folder="Platform",
        tags=("operations",),
        since="now-1h",
        refresh="1m",
        variables=(
            datasource(),
            loki_datasource(),
            log_label("service", title="Service"),
            log_label("level", title="Level"),
            typed("text", title="Text"),
        ),
        rows=(
            verdict(
                "What do the services log, and where are the errors?",
                stat(LOG_SERVICES_UP, width=6, states=("down", "up"), empty=_OFF),
                stat(LOG_LINES_KEPT, width=5, trend=True, empty=_OFF),
                stat(LOG_COLLECTOR_FAILURES, width=5, empty=_OFF),
                page=PAGE,
            ),
            Row(
                "Errors and lines",
                (
                    *_errors(),
                    firing_alerts(context, PAGE, width=24, height=4),
                    logs(
                        "Log lines",
                        "Which lines do the selected services log, at the selected levels, that match the text?",
                        _CHOSEN,
                        height=12,
                        empty=_NONE,
                    ),
                ),
            ),
            Row(
                "Dropped log lines",
                (timeseries(LOG_LINES_LOST, width=24, legend="list", empty=_OFF),),
                collapsed=True,
            ),
            Row("Log volume", (*_volume(), text("Log collection", _HOW, height=4)), collapsed=True),
        ),
    )


def _volume() -> tuple[Panel, ...]:
    return (
        log_graph(
            "Log lines by service",
            "How many lines does each service log?",
            f"sum by (service) (count_over_time({_CHOSEN} [$__interval]))",
            legend="{{service}}",
            bars=True,
            empty=_NONE,
        ),
        log_graph(
            "Log lines by level",
            "How many lines are there of each level?",
            f"sum by (level) (count_over_time({_CHOSEN} [$__interval]))",
            legend="{{level}}",
            bars=True,
            colours=LOG_LEVEL,
            empty=_NONE,
        ),
    )


def _errors() -> tuple[Panel, ...]:
    return (
        log_ranking(
            "Errors by service",
            "Which services logged the most errors, critical ones included?",
            f"sum by (service) (count_over_time({_ERRORS} [$__range]))",
            legend="{{service}}",
            empty=_NONE,
        ),
        log_graph(
            "Errors per second",
            "Since when does a service log errors?",
            f"sum by (service) (rate({_ERRORS} [5m]))",
            legend="{{service}}",
            unit=Unit.ANY,
            width=8,
            empty=_NONE,
        ),
        log_graph(
            "Error ratio by service",
            "What share of a service's lines are errors?",
            f'sum by (service) (rate({_ERRORS} [5m])) / sum by (service) (rate({{service=~"$service"}} [5m]))',
            legend="{{service}}",
            unit=Unit.RATIO,
            width=8,
            empty=_NONE,
        ),
    )
