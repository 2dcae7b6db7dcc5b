"""The alert log's totals as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable

from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.log.totals import Total
from ml_monitoring.exporter.catalog import NOTIFY_BUCKETS, RESOLVE_BUCKETS
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.families import FamilySet

_NAMES = {
    "notifications": "alert_notifications_total",
    "starts": "alert_starts_total",
    "last_start": "alert_last_start_timestamp_seconds",
    "duplicates": "alert_log_duplicates_total",
    "names_dropped": "alert_log_names_dropped_total",
    "left_out": "alert_log_alerts_left_out_total",
    "writable": "alert_log_writable",
    "write_errors": "alert_log_write_errors_total",
    "damaged_files": "alert_log_damaged_files",
    "refused": "alert_log_refused_total",
    "alerts": "alert_log_alerts",
}
_DISTRIBUTIONS = {
    "notified": ("alert_time_to_notify_seconds", NOTIFY_BUCKETS),
    "resolved": ("alert_time_to_resolve_seconds", RESOLVE_BUCKETS),
}


def expected() -> tuple[Total, ...]:
    """Return totals of 0 for every alert and receiver of this project.

    A counter that appears with its first event does not increase, as Prometheus sees it.
    """
    receivers = [receiver["name"] for receiver in alertmanager.build()["receivers"]]
    who = [(alert.name, alert.severity, alert.team) for alert in load_alerts()]
    return (
        *(Total(metric, (), 0) for metric in ("duplicates", "names_dropped", "left_out")),
        *(Total("notifications", (name, status), 0) for name in receivers for status in ("firing", "resolved")),
        *(Total("starts", labels, 0) for labels in who),
        *(Total(f"{what}_0", labels, 0) for what in _DISTRIBUTIONS for labels in who),
    )


def render(totals: Iterable[Total], at_least: Iterable[Total] = ()) -> bytes:
    """Return the totals in Prometheus's text format.

    Args:
        totals: What happened.
        at_least: Totals that are shown although nothing happened yet.
    """
    families = FamilySet("alertlog")
    counts: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    sums: dict[tuple[str, tuple[str, ...]], float] = {}
    known = {(total.metric, total.labels): total for total in (*at_least, *totals)}
    for total in known.values():
        if total.metric in _NAMES:
            families[_NAMES[total.metric]].add(total.value, *total.labels)
            continue
        what, _, part = total.metric.partition("_")
        if part == "seconds":
            sums[what, total.labels] = total.value
        elif what in _DISTRIBUTIONS:
            buckets = counts.setdefault((what, total.labels), [0] * (len(_DISTRIBUTIONS[what][1]) + 1))
            buckets[int(part)] = int(total.value)
    for (what, labels), buckets in counts.items():
        name, _ = _DISTRIBUTIONS[what]
        families[name].add_distribution(buckets, sums.get((what, labels), 0.0), *labels)
    return render_text(families)
