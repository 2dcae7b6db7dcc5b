"""The page `Alerts`: what fires, what fired, who was notified, and how long it took to resolve."""

from __future__ import annotations

from ml_monitoring.alerting.monitoring.signals import (
    ALERT_LAST_START,
    ALERT_LOG_DAMAGED,
    ALERT_LOG_DUPLICATES,
    ALERT_LOG_REFUSED,
    ALERT_LOG_WRITABLE,
    ALERT_NOTIFICATIONS,
    ALERT_NOTIFY_P90,
    ALERT_NOTIFY_TIME,
    ALERT_RESOLVE_P90,
    ALERT_RESOLVE_TIME,
    ALERT_STARTS,
    ALERTMANAGER_CONFIG_OK,
    ALERTMANAGER_FAILED,
    ALERTMANAGER_SILENCES,
    ALERTS_PAGE,
    ALERTS_SUPPRESSED,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import SHOWN_RANGE, Query
from ml_monitoring.dashboards.lib.style import OUTCOME, SEVERITY
from ml_monitoring.dashboards.lib.variables import datasource
from ml_monitoring.dashboards.pages.common import alert_timeline, firing_alerts, firing_by_severity, verdict

_SEVERITIES = {severity: (severity, colour) for severity, colour in SEVERITY.items()}


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=ALERTS_PAGE,
        title="Alerts",
        description="For on-call engineers and post-incident reviews: what fires, what fired, who was notified?",
        folder="Platform",
        tags=("operations",),
        since="now-24h",
        variables=(datasource(),),
        rows=(
            verdict(
                context,
                "What fires, since when, and how soon are people notified?",
                firing_by_severity(width=6),
                stat(
                    Query(ALERT_NOTIFY_P90, window=SHOWN_RANGE),
                    empty="no data from the alert log",
                ),
                stat(ALERTS_SUPPRESSED, title="Suppressed", width=3),
                stat(ALERTMANAGER_SILENCES, title="Silences", width=3),
                page=ALERTS_PAGE,
            ),
            Row(
                "Firing and fired alerts",
                (
                    firing_alerts(context, width=12, height=14),
                    alert_timeline(width=12, height=14),
                ),
            ),
            Row(
                "Alert history",
                (
                    table(
                        (
                            Column("alertname", "Alert"),
                            Column("severity", "Severity", width=90, values=_SEVERITIES),
                            Column("team", "Team", width=90),
                        ),
                        Query(ALERT_STARTS, name="Times fired", window=SHOWN_RANGE),
                        Query(ALERT_LAST_START, name="Last fired"),
                        Query(ALERT_NOTIFY_TIME, name="Mean time to notify", window=SHOWN_RANGE),
                        Query(ALERT_RESOLVE_TIME, name="Mean time to resolve", window=SHOWN_RANGE),
                        title="Alert history",
                        empty="no data from the alert log",
                        sort_by="Times fired",
                        descending=True,
                        width=24,
                        height=10,
                    ),
                ),
                collapsed=True,
            ),
            Row(
                "Notifications",
                (
                    timeseries(
                        ALERT_NOTIFICATIONS,
                        bars=True,
                        stacked=True,
                        colours=OUTCOME,
                        empty="no notifications sent, or no data from Prometheus",
                    ),
                    timeseries(
                        Query(ALERT_RESOLVE_P90, window=SHOWN_RANGE),
                        legend="list",
                        empty="no resolved alerts, or no data from the alert log",
                    ),
                    timeseries(
                        ALERTMANAGER_FAILED,
                        legend="list",
                        empty="no notifications sent, or no data from Prometheus",
                    ),
                    stat(ALERT_LOG_WRITABLE, width=6),
                    stat(ALERTMANAGER_CONFIG_OK, title="Alertmanager config", width=6),
                    stat(ALERT_LOG_DAMAGED, width=8),
                    stat(Query(ALERT_LOG_DUPLICATES, window=SHOWN_RANGE), width=8),
                    stat(
                        Query(ALERT_LOG_REFUSED, window=SHOWN_RANGE),
                        width=8,
                        empty="no refused requests, or no data from Prometheus",
                    ),
                ),
                collapsed=True,
            ),
        ),
    )
