"""The alert log's totals as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable

from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.log.store import Total
from ml_monitoring.exporter.catalog import RESOLVE_BUCKETS
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.families import FamilySet

# Whoever can post could name any number of alerts.
_MAX_SERIES = 5000
_NAMES = {
    "notifications": "alert_notifications_total",
    "starts": "alert_starts_total",
    "last_start": "alert_last_start_timestamp_seconds",
    "duplicates": "alert_log_duplicates_total",
    "alerts": "alert_log_alerts",
}


def expected() -> tuple[Total, ...]:
    """Return totals of 0 for every alert and receiver of this project.

    A counter that appears with its first event does not increase, as Prometheus sees it.
    """
    receivers = [receiver["name"] for receiver in alertmanager.build()["receivers"]]
    who = [(alert.name, alert.severity, alert.team) for alert in load_alerts()]
    return (
        Total("duplicates", (), 0),
        *(Total("notifications", (name, status), 0) for name in receivers for status in ("firing", "resolved")),
        *(Total("starts", labels, 0) for labels in who),
        *(Total("resolved_0", labels, 0) for labels in who),
    )


def render(totals: Iterable[Total], at_least: Iterable[Total] = ()) -> bytes:
    """Return the totals in Prometheus's text format.

    Args:
        totals: What happened.
        at_least: Totals that are shown although nothing happened yet.
    """
    families = FamilySet("alertlog", max_series=_MAX_SERIES)
    counts: dict[tuple[str, ...], list[int]] = {}
    sums: dict[tuple[str, ...], float] = {}
    known = {(total.metric, total.labels): total for total in (*at_least, *totals)}
    for total in known.values():
        if total.metric in _NAMES:
            families[_NAMES[total.metric]].add(total.value, *total.labels)
        elif total.metric == "resolved_seconds":
            sums[total.labels] = total.value
        else:
            buckets = counts.setdefault(total.labels, [0] * (len(RESOLVE_BUCKETS) + 1))
            buckets[int(total.metric.removeprefix("resolved_"))] = int(total.value)
    for labels, buckets in counts.items():
        families["alert_time_to_resolve_seconds"].add_distribution(buckets, sums.get(labels, 0.0), *labels)
    return render_text(families)
