"""Recorded series about the exporter itself."""

from __future__ import annotations

from alerting.recording.base import Record

RECORDS: tuple[Record, ...] = (
    Record(
        name="instance_source:exporter_source_age_per_interval:ratio",
        meaning="Age of a source's numbers in its own refresh intervals, so that one threshold fits every source.",
        expr="(time() - exporter_source_last_success_timestamp_seconds) / exporter_source_interval_seconds",
        by=("instance", "source"),
    ),
)
