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
from ml_monitoring.dashboards.pages.common import firing_alerts
from ml_monitoring.exporter.catalog import Unit

_OFF = "logs are not collected"
_NONE = "no such line"
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
        description="For whoever looks for the cause: what do the services say, how much, and where are the errors?",
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
            Row(
                "Are logs collected?",
                (
                    text("Where logs come from", _HOW, width=8, height=4),
                    stat(LOG_SERVICES_UP, width=6, states=("down", "up"), empty=_OFF),
                    stat(LOG_LINES_KEPT, width=5, trend=True, empty=_OFF),
                    stat(LOG_COLLECTOR_FAILURES, width=5, empty=_OFF),
                ),
            ),
            Row("How much is said?", _volume()),
            Row("Where are the errors?", _errors()),
            Row(
                "What is said?",
                (
                    logs(
                        "Lines",
                        "What do the chosen services say, of the chosen levels, with the text?",
                        _CHOSEN,
                        height=18,
                        empty=_NONE,
                    ),
                ),
            ),
            Row(
                "Is any lost?",
                (
                    timeseries(LOG_LINES_LOST, width=16, legend="list", empty=_OFF),
                    firing_alerts(context.links, width=8),
                ),
            ),
        ),
    )


def _volume() -> tuple[Panel, ...]:
    return (
        log_graph(
            "Lines by service",
            "Which service writes how much?",
            f"sum by (service) (count_over_time({_CHOSEN} [$__interval]))",
            legend="{{service}}",
            bars=True,
            empty=_NONE,
        ),
        log_graph(
            "Lines by level",
            "How much of it is an error?",
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
            "Errors in this time range",
            "Which service wrote most errors, critical ones included?",
            f"sum by (service) (count_over_time({_ERRORS} [$__range]))",
            legend="{{service}}",
            empty=_NONE,
        ),
        log_graph(
            "Errors per second",
            "Since when does a service write errors?",
            f"sum by (service) (rate({_ERRORS} [5m]))",
            legend="{{service}}",
            unit=Unit.ANY,
            width=8,
            empty=_NONE,
        ),
        log_graph(
            "Errors of all lines",
            "What share of what a service writes are errors?",
            f'sum by (service) (rate({_ERRORS} [5m])) / sum by (service) (rate({{service=~"$service"}} [5m]))',
            legend="{{service}}",
            unit=Unit.RATIO,
            width=8,
            empty=_NONE,
        ),
    )
