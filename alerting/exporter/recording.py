"""Recorded series about the exporter itself."""

from __future__ import annotations

from ml_monitoring.alerting.model.recording import Record

RECORDS: tuple[Record, ...] = (
    Record(
        name="instance:up:service",
        meaning="Whether an instance of a service answered its last scrape: one with the library, or that is named.",
        # A service is one of ours when it had the metrics of the library within a week, whatever its job is.
        expr="""
            <service_targets>
            or
            up and ignoring (origin) last_over_time(ml_process_start_timestamp_seconds[7d])
        """,
        by=("instance",),
    ),
    Record(
        name="instance:up:own",
        meaning="Whether a target that is watched answered its last scrape; others' targets are left out.",
        expr="""
            <targets>
            or
            instance:up:service
        """,
        by=("instance",),
    ),
    Record(
        name="instance_source:ml_monitoring_source_age_per_interval:ratio",
        meaning="Age of a source's numbers in its own refresh intervals, so that one threshold fits every source.",
        # At the scrape, not now: between two scrapes, and when scrapes fail, the numbers that were scraped last do not
        # get older by themselves, and a source that is read more often than scraped would seem to be late.
        expr=(
            "(\n"
            "  timestamp(ml_monitoring_source_last_success_timestamp_seconds)\n"
            "  - ml_monitoring_source_last_success_timestamp_seconds\n"
            ")\n"
            "/ ml_monitoring_source_interval_seconds"
        ),
        by=("instance", "source"),
    ),
)
