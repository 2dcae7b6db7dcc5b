"""The page `Fleet incident`: is there an incident, how bad is it, and which servers are in it?"""

from __future__ import annotations

from ml_monitoring.alerting.exporter.signals import PAGE as EXPORTER_PAGE
from ml_monitoring.alerting.exporter.signals import SOURCE_UP
from ml_monitoring.alerting.fleet.signals import (
    FLEET_BAD_ROWS_SHARE,
    FLEET_CPU_WORST,
    FLEET_DATA_AGE,
    FLEET_DEGRADED_SHARE,
    FLEET_ERROR_WORST,
    FLEET_FILE_ADVANCES,
    FLEET_INCIDENT_PROBABILITY,
    FLEET_LATENCY_WORST,
    FLEET_PHASE,
    FLEET_PHASE_BEGINS,
    FLEET_REPLAY_PROGRESS,
    FLEET_RISK_MODEL_FAILURES,
    FLEET_RISK_STRIP,
    FLEET_SERVER_CAUSE,
    FLEET_SERVER_CPU,
    FLEET_SERVER_ERRORS,
    FLEET_SERVER_IN_TROUBLE,
    FLEET_SERVER_LATENCY,
    FLEET_SERVER_MEMORY,
    FLEET_SERVER_RISK,
    FLEET_SERVER_SINCE,
    FLEET_SERVERS_BY_STATE,
    PAGE,
    SERVER_PAGE,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell, page_url
from ml_monitoring.dashboards.lib.page import Mark, Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, state_timeline, table, timeseries
from ml_monitoring.dashboards.lib.queries import SHOWN_RANGE, Query, of_source
from ml_monitoring.dashboards.lib.style import SERVER_STATE, Colour
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import FAILING, RISK, USED, chosen, firing_alerts, oom_events, verdict

# Alerts of what is chosen above.
_CHOSEN = chosen(profile="profile", server="server", file="file")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="Fleet incident",
        description="For those on call for a fleet of servers: is there an incident, and which servers are in it?",
        folder="Platform",
        tags=("fleet",),
        since="now-15m",
        refresh="15s",
        variables=(
            datasource(),
            label_values("profile", "fleet_server_risk_ratio", title="Profile"),
            label_values("server", "fleet_server_risk_ratio", title="Server", within=("profile",)),
            label_values("file", "fleet_file_info", title="File"),
        ),
        marks=(Mark(Query(FLEET_PHASE_BEGINS), "{{phase}}", Colour.NEUTRAL),),
        rows=(
            verdict(
                context,
                "Is there an incident, and which servers are in it?",
                stat(FLEET_INCIDENT_PROBABILITY, width=4),
                stat(FLEET_PHASE, width=3),
                _by_state(),
                page=PAGE,
                only=_CHOSEN,
            ),
            Row(
                "Servers by risk",
                (
                    _servers(),
                    firing_alerts(context, PAGE, only=_CHOSEN, width=10),
                    timeseries(FLEET_INCIDENT_PROBABILITY, title="Incident probability over time", width=14, height=7),
                ),
            ),
            Row(
                "Servers over time",
                (
                    state_timeline(Query(FLEET_RISK_STRIP, window=SHOWN_RANGE), height=14),
                    state_timeline(
                        FLEET_SERVER_IN_TROUBLE,
                        height=8,
                        empty="no critical or offline servers, or no data from Prometheus",
                    ),
                    timeseries(FLEET_DEGRADED_SHARE, width=12),
                    timeseries(
                        FLEET_SERVERS_BY_STATE,
                        title="Servers by state over time",
                        width=12,
                        stacked=True,
                        colours=SERVER_STATE,
                    ),
                ),
                collapsed=True,
            ),
            Row(
                "Saturation and errors",
                (
                    timeseries(FLEET_CPU_WORST, title="CPU utilization: max by profile", width=8),
                    timeseries(FLEET_LATENCY_WORST, title="Latency: max by profile", width=8),
                    timeseries(FLEET_ERROR_WORST, title="Error ratio: max by profile", width=8),
                    oom_events(),
                ),
                collapsed=True,
            ),
            Row(
                "Data source health",
                (
                    stat(of_source(SOURCE_UP, "fleet"), title="Source up", width=3).linked(
                        "Exporter health", page_url(EXPORTER_PAGE, {})
                    ),
                    stat(FLEET_REPLAY_PROGRESS, width=3),
                    stat(FLEET_DATA_AGE, width=3),
                    stat(FLEET_FILE_ADVANCES, title="Updates (5m)", width=3),
                    timeseries(FLEET_BAD_ROWS_SHARE, width=8),
                    stat(
                        Query(FLEET_RISK_MODEL_FAILURES, window=SHOWN_RANGE),
                        height=8,
                        empty="no failures, or no data from Prometheus",
                    ),
                ),
                collapsed=True,
            ),
        ),
    )


def _by_state() -> Panel:
    """Return how many servers are in each state, the worst first."""
    words = (("critical_issue", "critical"), *((word, word) for word in ("offline", "warning", "online")))
    return stat(
        *(Query(FLEET_SERVERS_BY_STATE, name=word, matchers=f'state="{state}"') for state, word in words),
        width=9,
        show="value_and_name",
        colours=SERVER_STATE,
    )


def _servers() -> Panel:
    details = page_url(SERVER_PAGE, {"profile": cell("Profile"), "server": cell("Server")})
    return table(
        (
            Column("server", "Server", link=("Show this server", details)),
            Column("profile", "Profile"),
            Column("cause", "Cause", width=100),
        ),
        FLEET_SERVER_CAUSE,
        Query(FLEET_SERVER_RISK, name="Risk", limits=RISK),
        Query(FLEET_SERVER_SINCE, name="Critical since"),
        Query(FLEET_SERVER_CPU, name="CPU", limits=USED),
        Query(FLEET_SERVER_MEMORY, name="Memory", limits=USED),
        Query(FLEET_SERVER_LATENCY, name="Latency"),
        Query(FLEET_SERVER_ERRORS, name="Errors", limits=FAILING),
        title="Servers by risk",
        sort_by="Risk",
        descending=True,
        height=10,
    )
