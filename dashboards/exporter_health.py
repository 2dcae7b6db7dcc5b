"""The page `Exporter health`: can the numbers on all other pages be trusted?"""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.exporter import PAGE
from dashboards.common import firing_alerts
from dashboards.lib.links import cell, page_url
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import Column, Panel, stat, state_timeline, table, timeseries
from dashboards.lib.queries import Query
from dashboards.lib.variables import datasource, label_values

UP = ("down", "up")


def build() -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="Exporter health",
        description="For those who run the monitoring: can the numbers on all other pages be trusted?",
        folder="Platform",
        tags=("exporter",),
        since="now-1h",
        variables=(
            datasource(),
            label_values("instance", "exporter_build_info", title="Exporter"),
            label_values("source", "exporter_source_up", title="Source", within=("instance",)),
        ),
        rows=(
            Row(
                "Can the numbers be trusted?",
                (
                    stat(SIGNAL["exporter_up"]),
                    stat(SIGNAL["alert_rules_evaluated"]),
                    stat(SIGNAL["config_reload_ok"]),
                    stat(SIGNAL["config_age"]),
                    stat(SIGNAL["exporter_version"]),
                    stat(SIGNAL["exporter_memory"], title="Memory", trend=True),
                    _sources(),
                    firing_alerts(width=7, height=6),
                ),
            ),
            Row(
                "Sources",
                (
                    state_timeline(SIGNAL["source_up"], states=UP, height=4),
                    timeseries(SIGNAL["source_age_intervals"], width=8, legend="list"),
                    timeseries(SIGNAL["source_errors"], width=8, bars=True, stacked=True),
                    timeseries(
                        SIGNAL["series_dropped"], width=8, bars=True, stacked=True, empty="no series was dropped"
                    ),
                    timeseries(
                        SIGNAL["source_refresh_duration_p50"],
                        SIGNAL["source_refresh_duration_p95"],
                        title="Refresh duration",
                        width=8,
                        legend="list",
                    ),
                    timeseries(SIGNAL["source_refreshes"], width=8, legend="list"),
                    timeseries(SIGNAL["source_series"], width=8, legend="list"),
                ),
            ),
            Row(
                "Exporter process",
                (
                    state_timeline(SIGNAL["exporter_target_up"], states=UP, height=4),
                    timeseries(SIGNAL["exporter_scrape_duration"], width=6, legend="list"),
                    timeseries(SIGNAL["exporter_scrape_samples"], width=6, legend="list"),
                    timeseries(SIGNAL["exporter_memory"], title="Memory over time", width=6, legend="list"),
                    timeseries(SIGNAL["exporter_cpu"], width=6, legend="list"),
                ),
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
        Query(SIGNAL["source_up"], name="State"),
        Query(SIGNAL["source_last_success_age"], name="Since last success"),
        Query(SIGNAL["source_age_intervals"], name="Intervals since"),
        Query(SIGNAL["source_interval"], name="Interval"),
        Query(SIGNAL["source_series"], name="Series"),
        title="Sources",
        states=UP,
        width=17,
        height=6,
    )
