"""The page `Fleet server`: everything that is measured of one server, or of a few side by side."""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.fleet import CONDITIONS, SERVER_PAGE
from dashboards.lib.page import Mark, Page, Row
from dashboards.lib.panels import stat, state_timeline, timeseries
from dashboards.lib.queries import Query
from dashboards.lib.style import SERVER_STATE, Colour
from dashboards.lib.variables import datasource, label_values

_CONDITIONS = {str(code): (state, SERVER_STATE[state]) for code, state in enumerate(CONDITIONS)}


def build() -> Page:
    """Return the page."""
    return Page(
        uid=SERVER_PAGE,
        title="Fleet server",
        description="For those who mend a server: what is wrong with it, and since when?",
        folder="Platform",
        tags=("fleet",),
        since="now-15m",
        refresh="15s",
        variables=(
            datasource(),
            label_values("profile", "fleet_server_risk_ratio", title="Profile"),
            label_values("server", "fleet_server_risk_ratio", title="Server", within=("profile",), first_only=True),
        ),
        marks=(Mark(Query(SIGNAL["fleet_phase_begins"]), "{{phase}}", Colour.NEUTRAL),),
        rows=(
            Row(
                "How close is it to failing?",
                (
                    stat(SIGNAL["fleet_server_risk"], width=8, height=6),
                    timeseries(SIGNAL["fleet_server_risk"], title="Risk over time", width=16, height=6),
                    state_timeline(SIGNAL["fleet_server_condition"], values=_CONDITIONS, height=8),
                ),
            ),
            Row(
                "What is short?",
                (
                    timeseries(
                        SIGNAL["fleet_server_cpu"],
                        Query(SIGNAL["fleet_server_memory"], dashed=True),
                        title="CPU and memory",
                    ),
                    timeseries(SIGNAL["fleet_server_latency"]),
                    timeseries(SIGNAL["fleet_server_errors"]),
                    timeseries(SIGNAL["fleet_server_gc_pause"]),
                ),
            ),
            Row(
                "What does it move?",
                (
                    timeseries(SIGNAL["fleet_server_disk_io"]),
                    timeseries(
                        SIGNAL["fleet_server_received"],
                        Query(SIGNAL["fleet_server_sent"], dashed=True),
                        title="Network",
                    ),
                ),
            ),
        ),
    )
