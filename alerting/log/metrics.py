"""The alert log's totals as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable

from alerting.log.store import Total
from exporter.catalog import RESOLVE_BUCKETS
from exporter.exposition import render_text
from exporter.families import FamilySet

# Whoever can post could name any number of alerts.
_MAX_SERIES = 5000
_NAMES = {
    "notifications": "alert_notifications_total",
    "starts": "alert_starts_total",
    "last_start": "alert_last_start_timestamp_seconds",
    "duplicates": "alert_log_duplicates_total",
    "alerts": "alert_log_alerts",
}


def render(totals: Iterable[Total]) -> bytes:
    """Return the totals in Prometheus's text format."""
    families = FamilySet("alertlog", max_series=_MAX_SERIES)
    counts: dict[tuple[str, ...], list[int]] = {}
    sums: dict[tuple[str, ...], float] = {}
    # A counter without events begins at 0, or its first event would not be seen as an increase.
    duplicates = 0.0
    for total in totals:
        if total.metric == "duplicates":
            duplicates = total.value
        elif total.metric in _NAMES:
            families[_NAMES[total.metric]].add(total.value, *total.labels)
        elif total.metric == "resolved_seconds":
            sums[total.labels] = total.value
        else:
            buckets = counts.setdefault(total.labels, [0] * (len(RESOLVE_BUCKETS) + 1))
            buckets[int(total.metric.removeprefix("resolved_"))] = int(total.value)
    families[_NAMES["duplicates"]].add(duplicates)
    for labels, buckets in counts.items():
        families["alert_time_to_resolve_seconds"].add_distribution(buckets, sums.get(labels, 0.0), *labels)
    return render_text(families)
