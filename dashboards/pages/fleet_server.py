"""The page `Fleet server`: everything that is measured of one server, or of a few side by side."""

from __future__ import annotations

from ml_monitoring.alerting.fleet.signals import (
    CONDITIONS,
    FLEET_PHASE_BEGINS,
    FLEET_SERVER_CONDITION,
    FLEET_SERVER_CPU,
    FLEET_SERVER_DISK_IO,
    FLEET_SERVER_ERRORS,
    FLEET_SERVER_GC_PAUSE,
    FLEET_SERVER_LATENCY,
    FLEET_SERVER_MEMORY,
    FLEET_SERVER_RECEIVED,
    FLEET_SERVER_RISK,
    FLEET_SERVER_SENT,
    PAGE,
    SERVER_PAGE,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Mark, Page, Row
from ml_monitoring.dashboards.lib.panels import stat, state_timeline, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import SERVER_STATE, Colour
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import FAILING, RISK, USED, firing_alerts, oom_events, verdict

_CONDITIONS = {str(code): (state, SERVER_STATE[state]) for code, state in enumerate(CONDITIONS)}

# Alerts of the chosen server.
_THIS = 'server=~"$one_server"'


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=SERVER_PAGE,
        title="Fleet server",
        description="For those who repair a server: what is wrong with it, and since when?",
        folder="Platform",
        tags=("fleet",),
        since="now-15m",
        refresh="15s",
        variables=(
            datasource(),
            label_values("profile", "fleet_server_risk_ratio", title="Profile"),
            label_values(
                "server",
                "fleet_server_risk_ratio",
                name="one_server",
                title="Server",
                within=("profile",),
                first_only=True,
                first="max by (server) (fleet_server_risk_ratio{<filter>})",
            ),
        ),
        back=("Fleet incident", PAGE),
        marks=(Mark(Query(FLEET_PHASE_BEGINS), "{{phase}}", Colour.NEUTRAL),),
        rows=(
            verdict(
                context,
                "What is wrong with this server, and since when?",
                stat(Query(FLEET_SERVER_RISK, limits=RISK), width=4),
                stat(Query(FLEET_SERVER_CPU, limits=USED), title="CPU", width=3),
                stat(Query(FLEET_SERVER_MEMORY, limits=USED), title="Memory", width=3),
                stat(FLEET_SERVER_LATENCY, title="Latency", width=3),
                stat(Query(FLEET_SERVER_ERRORS, limits=FAILING), title="Error ratio", width=3),
                page=PAGE,
                only=_THIS,
                state=stat(FLEET_SERVER_CONDITION, title="State", values=_CONDITIONS),
            ),
            Row(
                "State and risk over time",
                (
                    state_timeline(FLEET_SERVER_CONDITION, values=_CONDITIONS, height=4),
                    timeseries(Query(FLEET_SERVER_RISK, limits=RISK), title="Risk over time", height=7),
                    firing_alerts(context, PAGE, only=_THIS),
                ),
            ),
            Row(
                "Saturation",
                (
                    timeseries(
                        Query(FLEET_SERVER_CPU, limits=USED),
                        Query(FLEET_SERVER_MEMORY, dashed=True),
                        title="CPU and memory",
                    ),
                    timeseries(FLEET_SERVER_LATENCY),
                    timeseries(Query(FLEET_SERVER_ERRORS, limits=FAILING)),
                    timeseries(FLEET_SERVER_GC_PAUSE),
                    oom_events(),
                ),
                collapsed=True,
            ),
            Row(
                "Disk and network I/O",
                (
                    timeseries(FLEET_SERVER_DISK_IO),
                    timeseries(
                        FLEET_SERVER_RECEIVED,
                        Query(FLEET_SERVER_SENT, dashed=True),
                        title="Network",
                    ),
                ),
                collapsed=True,
            ),
        ),
    )
