"""Metrics of the alert log (`ml-monitoring alerts log`): notifications sent, and how long alerts lasted."""

from __future__ import annotations

from ml_monitoring.exporter.catalog.base import Unit, counter, gauge, histogram

_ORIGIN = "alertlog"
# From the shortest wait for a group to what comes too late to help; and from a glitch to a day.
NOTIFY_BUCKETS = (30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
RESOLVE_BUCKETS = (60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 43200.0, 86400.0)

ALERTLOG_METRICS = (
    counter(
        "alert_notifications_total",
        "Notifications that Alertmanager sent to a receiver, those sent twice by mistake counted once.",
        Unit.COUNT,
        "receiver",
        "status",
        origin=_ORIGIN,
    ),
    counter(
        "alert_starts_total",
        "Alerts that began, each counted once however many notifications it had.",
        Unit.COUNT,
        "alertname",
        "severity",
        "team",
        origin=_ORIGIN,
    ),
    gauge(
        "alert_last_start_timestamp_seconds",
        "When an alert of this name last began.",
        Unit.TIMESTAMP,
        "alertname",
        "severity",
        "team",
        origin=_ORIGIN,
    ),
    histogram(
        "alert_time_to_resolve_seconds",
        "Time from an alert's beginning to its end.",
        Unit.SECONDS,
        "alertname",
        "severity",
        "team",
        origin=_ORIGIN,
        buckets=RESOLVE_BUCKETS,
    ),
    histogram(
        "alert_time_to_notify_seconds",
        "Time from an alert's beginning to its first notification.",
        Unit.SECONDS,
        "alertname",
        "severity",
        "team",
        origin=_ORIGIN,
        buckets=NOTIFY_BUCKETS,
    ),
    counter(
        "alert_log_duplicates_total",
        "Notifications that came a second time, because Alertmanager had no answer to the first.",
        Unit.COUNT,
        origin=_ORIGIN,
    ),
    gauge("alert_log_alerts", "Alerts in the history.", Unit.COUNT, origin=_ORIGIN),
    gauge(
        "alert_log_writable",
        "Whether the alert log could write when it last tried, at most a minute ago.",
        Unit.FLAG,
        origin=_ORIGIN,
    ),
    counter("alert_log_write_errors_total", "Attempts to write that failed.", Unit.COUNT, origin=_ORIGIN),
    gauge(
        "alert_log_damaged_files",
        "Damaged databases that were replaced and are kept beside their successor.",
        Unit.COUNT,
        origin=_ORIGIN,
    ),
    counter(
        "alert_log_names_dropped_total",
        "Events that no counter shows, because there are too many names of alerts or receivers.",
        Unit.COUNT,
        origin=_ORIGIN,
    ),
    counter(
        "alert_log_alerts_left_out_total",
        "Alerts of large groups that Alertmanager left out of its notifications to the log (`max_alerts`).",
        Unit.COUNT,
        origin=_ORIGIN,
    ),
    counter(
        "alert_log_refused_total",
        "Requests that were refused, by reason: host, origin, token, password, certificate, size, busy, or what is no "
        "notification.",
        Unit.COUNT,
        "reason",
        origin=_ORIGIN,
    ),
)
