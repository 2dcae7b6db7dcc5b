"""The page `Logs`: what do the services say, how much, and where do errors come from?"""

from __future__ import annotations

from ml_monitoring.alerting.logs.signals import (
    LOG_COLLECTOR_FAILURES,
    LOG_LINES_KEPT,
    LOG_LINES_LOST,
    LOG_SERVICES_UP,
    PAGE,
)
from ml_monitoring.alerting.model.links import runbook_url
from ml_monitoring.alerting.monitoring.signals import ALERTS_PAGE
from ml_monitoring.alerting.overview.signals import state
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Panel, light, log_graph, log_stat, logs, stat, text, timeseries
from ml_monitoring.dashboards.lib.style import LOG_LEVEL, Colour
from ml_monitoring.dashboards.lib.variables import datasource, log_label, loki_datasource, typed
from ml_monitoring.dashboards.pages.common import firing_alerts, verdict
from ml_monitoring.exporter.catalog import Unit

_OFF = "no data from Loki and Alloy"
_NONE = "no matching lines, or no data from Loki"
_NO_ERRORS = "no errors, or no data from Loki"
_HOW = """\
Logs are collected when the stack is deployed with `WITH=logs`; without it there is no Loki to choose at **Logs** above,
and only this page has nothing to show. *Text* is a regular expression, without regard to case."""

_CHOSEN = '{service=~"$service",level=~"$level"} |~ `(?i)$text`'
_LINES = '{service=~"$service"}'
_ERRORS = '{service=~"$service",level=~"error|critical"}'
_ERRORS_BY_SERVICE = f"sum by (service) (count_over_time({_ERRORS} [$__range]))"


def build(context: PageContext) -> Page:
    """Return the page."""
    how = runbook_url("LogCollectorFailing", runbooks=context.links.runbooks)
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
                context,
                "What do the services log, and where are the errors?",
                log_stat(
                    "Most errors (selected range)",
                    "Which services logged the most errors?",
                    f"topk(3, {_ERRORS_BY_SERVICE})",
                    width=8,
                    empty=_NO_ERRORS,
                ).linked("How to collect logs", how),
                light(state(PAGE, context.own_alerts), page=ALERTS_PAGE, title="Log collection", width=3, height=4),
                stat(LOG_LINES_KEPT, width=4, empty=_OFF),
                page=PAGE,
                # Whether services log errors is Loki's to say, not an alert's.
                state=log_stat(
                    "Errors (selected range)",
                    "How many errors did the services log, critical ones included? 0 only where there are lines.",
                    f"sum({_ERRORS_BY_SERVICE}) or 0 * sum(count_over_time({_LINES} [$__range]))",
                    values={"0": ("none", Colour.GOOD)},
                    width=5,
                    empty="no data from Loki",
                ).linked("How to collect logs", how),
            ),
            Row(
                "Errors and lines",
                (
                    # All that Loki answers is together, so that one sentence can stand for it where there is none.
                    *(panel.linked("How to collect logs", how) for panel in _errors()),
                    logs(
                        "Log lines",
                        "Which lines do the selected services log, at the selected levels, that match the text?",
                        f"{_CHOSEN} | line_format `{{{{.service}}}}: {{{{__line__}}}}`",
                        height=12,
                        empty=_NONE,
                    ),
                    firing_alerts(context, PAGE, width=24, height=4),
                ),
            ),
            Row(
                "Log collection",
                (
                    stat(LOG_SERVICES_UP, width=6, height=8, states=("down", "up"), empty=_OFF),
                    stat(LOG_COLLECTOR_FAILURES, width=6, height=8, empty=_OFF),
                    timeseries(LOG_LINES_LOST, width=12, legend="list", empty=_OFF),
                ),
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
        log_graph(
            "Errors per second",
            "Since when does a service log errors?",
            f"sum by (service) (rate({_ERRORS} [5m]))",
            legend="{{service}}",
            unit=Unit.ANY,
            empty=_NO_ERRORS,
        ),
        log_graph(
            "Error ratio by service",
            "What share of a service's lines are errors?",
            f"sum by (service) (rate({_ERRORS} [5m])) / sum by (service) (rate({_LINES} [5m]))",
            legend="{{service}}",
            unit=Unit.RATIO,
            empty=_NO_ERRORS,
        ),
    )
