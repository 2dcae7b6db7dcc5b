"""The page `Alerts`: what fires, what fired, who was told, and how long it took to mend."""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.logs import PAGE as LOGS
from alerting.signals.monitoring import ALERTS_PAGE
from dashboards.common import firing_alerts
from dashboards.lib.links import cell, page_url
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import Column, stat, state_timeline, table, timeseries
from dashboards.lib.queries import SHOWN_RANGE, Query
from dashboards.lib.style import SEVERITY, Colour
from dashboards.lib.variables import datasource

_SEVERITIES = {severity: (severity, colour) for severity, colour in SEVERITY.items()}


def build() -> Page:
    """Return the page."""
    return Page(
        uid=ALERTS_PAGE,
        title="Alerts",
        description="For whoever is on call, and for the review afterwards: what fires, what fired, who was told?",
        folder="Platform",
        tags=("operations",),
        since="now-24h",
        variables=(datasource(),),
        rows=(
            Row(
                "What fires?",
                (
                    stat(
                        SIGNAL["firing_by_severity"],
                        width=8,
                        show="value_and_name",
                        colours=SEVERITY,
                        empty="no alert fires",
                    ),
                    stat(SIGNAL["alerts_suppressed"]),
                    stat(SIGNAL["alertmanager_silences"]),
                    stat(SIGNAL["alertmanager_config_ok"]),
                    stat(SIGNAL["alert_log_size"]),
                    firing_alerts(width=12, height=8),
                    table(
                        (
                            Column("job", "Service", link=("Its logs", page_url(LOGS, {"service": cell("Service")}))),
                            Column("alertname", "Alert"),
                            Column("severity", "Severity", width=90, values=_SEVERITIES),
                        ),
                        Query(SIGNAL["alert_jobs"], name="Series"),
                        title="Services with firing alerts",
                        empty="no alert fires",
                        width=12,
                        height=8,
                    ),
                ),
            ),
            Row(
                "What fired?",
                (
                    state_timeline(
                        SIGNAL["alert_history"],
                        height=10,
                        values={"1": ("fires", Colour.WARNING)},
                        empty="no alert fired",
                    ),
                    table(
                        (
                            Column("alertname", "Alert"),
                            Column("severity", "Severity", width=90, values=_SEVERITIES),
                            Column("team", "Team", width=90),
                        ),
                        Query(SIGNAL["alert_starts"], name="Began so often", window=SHOWN_RANGE),
                        Query(SIGNAL["alert_last_start"], name="Last began"),
                        Query(SIGNAL["alert_resolve_time"], name="Mean time to resolve", window=SHOWN_RANGE),
                        title="History by alert, in the time range",
                        empty="no alert fired",
                        sort_by="Began so often",
                        descending=True,
                        width=14,
                        height=10,
                    ),
                    timeseries(
                        Query(SIGNAL["alert_resolve_p90"], window=SHOWN_RANGE),
                        width=10,
                        height=10,
                        legend="list",
                        empty="no alert ended",
                    ),
                ),
            ),
            Row(
                "Who was told?",
                (
                    timeseries(SIGNAL["alert_notifications"], bars=True, stacked=True, empty="nobody was told"),
                    timeseries(SIGNAL["alertmanager_failed"], width=8, legend="list", empty="nothing was sent"),
                    stat(Query(SIGNAL["alert_log_duplicates"], window=SHOWN_RANGE)),
                ),
            ),
        ),
    )
