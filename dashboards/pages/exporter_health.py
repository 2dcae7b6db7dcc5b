"""The page `Exporter health`: is the data on all other pages current and complete?"""

from __future__ import annotations

from ml_monitoring.alerting.exporter.signals import (
    ALERT_RULES_EVALUATED,
    CONFIG_AGE,
    CONFIG_RELOAD_OK,
    EXPORTER_CPU,
    EXPORTER_MEMORY,
    EXPORTER_SCRAPE_DURATION,
    EXPORTER_TARGET_UP,
    EXPORTER_UP,
    EXPORTER_VERSION,
    PAGE,
    SERIES_DROPPED,
    SOURCE_AGE_INTERVALS,
    SOURCE_ERRORS,
    SOURCE_INTERVAL,
    SOURCE_LAST_SUCCESS_AGE,
    SOURCE_MISSED,
    SOURCE_REFRESH_DURATION_P50,
    SOURCE_REFRESH_DURATION_P95,
    SOURCE_SERIES,
    SOURCE_UP,
    SOURCES_AND_PAGES,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell, page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, state_timeline, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import firing_alerts, verdict

UP = ("down", "up")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="Exporter health",
        description="For those who run the monitoring: is the data on all other pages current and complete?",
        folder="Platform",
        tags=("exporter",),
        since="now-1h",
        variables=(
            datasource(),
            label_values("instance", "ml_monitoring_build_info", name="exporter", title="Exporter"),
            label_values("source", "ml_monitoring_source_up", title="Source", through={"instance": "exporter"}),
        ),
        rows=(
            verdict(
                context,
                "Is the data on all other pages current and complete?",
                stat(
                    Query(SOURCES_AND_PAGES, limits=(("<", 1, "critical"),)),
                    width=16,
                    states=UP,
                    show="value_and_name",
                ),
                stat(EXPORTER_UP, title="Exporters", width=6, states=UP),
                stat(ALERT_RULES_EVALUATED, title="Alert rules", width=6, states=("not evaluated", "OK")),
                stat(CONFIG_RELOAD_OK, title="Config", width=6, states=("invalid", "OK")),
                stat(EXPORTER_VERSION, width=6),
                page=PAGE,
            ),
            Row(
                "Sources and their age",
                (
                    _sources(),
                    firing_alerts(context, PAGE, height=6),
                    state_timeline(SOURCE_UP, states=UP, width=12, height=6),
                ),
            ),
            Row(
                "Refreshes",
                (
                    timeseries(SOURCE_AGE_INTERVALS, width=8, legend="list"),
                    timeseries(SOURCE_ERRORS, width=8, bars=True, stacked=True),
                    timeseries(
                        SERIES_DROPPED,
                        width=8,
                        bars=True,
                        stacked=True,
                        empty="no dropped series, or no data from Prometheus",
                    ),
                    timeseries(
                        SOURCE_REFRESH_DURATION_P50,
                        SOURCE_REFRESH_DURATION_P95,
                        title="Refresh duration",
                        width=24,
                        legend="list",
                    ),
                ),
                collapsed=True,
            ),
            Row(
                "Exporter process",
                (
                    state_timeline(EXPORTER_TARGET_UP, states=UP, height=4),
                    timeseries(EXPORTER_SCRAPE_DURATION, width=8, legend="list"),
                    timeseries(EXPORTER_MEMORY, width=8, legend="list"),
                    timeseries(EXPORTER_CPU, width=8, legend="list"),
                    stat(CONFIG_AGE, title="Time since reload", width=24),
                ),
                collapsed=True,
            ),
        ),
    )


def _sources() -> Panel:
    only_this = page_url(PAGE, {"source": cell("Source")})
    return table(
        (
            Column("source", "Source", link=("Show only this source", only_this)),
            Column("instance", "Exporter"),
        ),
        Query(SOURCE_UP, name="State"),
        Query(SOURCE_LAST_SUCCESS_AGE, name="Since last success"),
        SOURCE_MISSED,
        Query(SOURCE_INTERVAL, name="Interval"),
        Query(SOURCE_SERIES, name="Series"),
        title="Sources",
        states=UP,
        height=6,
    )
