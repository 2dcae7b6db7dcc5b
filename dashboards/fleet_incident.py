"""The page `Fleet incident`: is there an incident, how bad is it, and which servers are in it?"""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.exporter import PAGE as EXPORTER_PAGE
from alerting.signals.fleet import PAGE, SERVER_PAGE
from dashboards.common import firing_alerts
from dashboards.lib.links import cell, page_url
from dashboards.lib.page import Mark, Page, Row
from dashboards.lib.panels import Column, Panel, bargauge, stat, state_timeline, table, timeseries
from dashboards.lib.queries import SHOWN_RANGE, Query
from dashboards.lib.style import SERVER_STATE, Colour
from dashboards.lib.variables import datasource, label_values


def build() -> Page:
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
        marks=(Mark(Query(SIGNAL["fleet_phase_begins"]), "{{phase}}", Colour.NEUTRAL),),
        rows=(
            Row(
                "Is there an incident?",
                (
                    stat(SIGNAL["fleet_health"], width=3),
                    stat(SIGNAL["fleet_incident_probability"], width=4),
                    stat(SIGNAL["fleet_incident_probability_change"], width=4),
                    stat(SIGNAL["fleet_phase"], width=3),
                    stat(SIGNAL["fleet_servers_by_state"], width=10, colours=SERVER_STATE),
                    timeseries(SIGNAL["fleet_incident_probability"], title="Incident probability over time", width=17),
                    firing_alerts(width=7),
                ),
            ),
            Row(
                "Which servers are in it?",
                (
                    bargauge(SIGNAL["fleet_top_risk"], width=8, height=10).linked(
                        "Details of the servers", page_url(SERVER_PAGE, {})
                    ),
                    _servers(),
                    state_timeline(Query(SIGNAL["fleet_risk_strip"], window=SHOWN_RANGE), height=14),
                    state_timeline(
                        SIGNAL["fleet_server_in_trouble"], height=8, empty="no server is critical or offline"
                    ),
                    timeseries(SIGNAL["fleet_degraded_share"], width=12),
                    timeseries(
                        SIGNAL["fleet_servers_by_state"],
                        title="Servers by state over time",
                        width=12,
                        stacked=True,
                        colours=SERVER_STATE,
                    ),
                ),
            ),
            Row(
                "How are they hit?",
                (
                    timeseries(SIGNAL["fleet_cpu_worst"], title="CPU, worst server of each profile", width=8),
                    timeseries(SIGNAL["fleet_latency_worst"], title="Latency, worst server of each profile", width=8),
                    timeseries(SIGNAL["fleet_error_worst"], title="Errors, worst server of each profile", width=8),
                    timeseries(
                        SIGNAL["fleet_oom_events"], width=24, height=6, bars=True, empty="no server ran out of memory"
                    ),
                ),
            ),
            Row(
                "Can the numbers be trusted?",
                (
                    stat(Query(SIGNAL["source_up"], where={"source": "fleet"}), title="File readable", width=3).linked(
                        "Exporter health", page_url(EXPORTER_PAGE, {"source": "fleet"})
                    ),
                    stat(SIGNAL["fleet_replay_progress"], width=3),
                    stat(SIGNAL["fleet_data_age"], width=3),
                    stat(SIGNAL["fleet_file_advances"], width=3),
                    timeseries(SIGNAL["fleet_bad_rows_share"], width=6),
                    timeseries(
                        SIGNAL["fleet_risk_model_failures"], width=6, bars=True, empty="the built-in model scores"
                    ),
                    timeseries(SIGNAL["fleet_rows"], width=24, bars=True, stacked=True),
                ),
            ),
        ),
    )


def _servers() -> Panel:
    details = page_url(SERVER_PAGE, {"profile": cell("Profile"), "server": cell("Server")})
    return table(
        (Column("server", "Server", link=("Show this server", details)), Column("profile", "Profile")),
        Query(SIGNAL["fleet_server_risk"], name="Risk"),
        Query(SIGNAL["fleet_server_cpu"], name="CPU"),
        Query(SIGNAL["fleet_server_memory"], name="Memory"),
        Query(SIGNAL["fleet_server_latency"], name="Latency"),
        Query(SIGNAL["fleet_server_errors"], name="Errors"),
        title="Servers, riskiest first",
        sort_by="Risk",
        descending=True,
        width=16,
        height=10,
    )
