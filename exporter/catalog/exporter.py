"""Metrics about the exporter itself."""

from __future__ import annotations

from ml_monitoring.exporter.catalog.base import Unit, counter, gauge, histogram

# A refresh takes milliseconds on a small store and seconds on a huge one.
REFRESH_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

EXPORTER_METRICS = (
    gauge(
        "ml_monitoring_build_info",
        "Always 1; the labels carry the version and git revision of the exporter, and the version of Python.",
        Unit.INFO,
        "version",
        "revision",
        "python_version",
        origin="exporter",
    ),
    gauge(
        "ml_monitoring_config_last_reload_successful",
        "Whether the settings and web.config_file were usable when last read; 0 means that older ones are in force.",
        Unit.FLAG,
        origin="exporter",
    ),
    gauge(
        "ml_monitoring_config_last_reload_success_timestamp_seconds",
        "When settings were last taken into force.",
        Unit.TIMESTAMP,
        origin="exporter",
    ),
    gauge(
        "ml_monitoring_source_up",
        "Whether the last refresh of the source succeeded.",
        Unit.FLAG,
        "source",
        origin="exporter",
    ),
    gauge(
        "ml_monitoring_source_last_success_timestamp_seconds",
        "When the source was last read successfully.",
        Unit.TIMESTAMP,
        "source",
        origin="exporter",
    ),
    gauge(
        "ml_monitoring_source_interval_seconds",
        "Configured time between two refreshes of the source.",
        Unit.SECONDS,
        "source",
        origin="exporter",
    ),
    histogram(
        "ml_monitoring_source_refresh_duration_seconds",
        "Time that a refresh of the source took, failed ones included.",
        Unit.SECONDS,
        "source",
        origin="exporter",
        buckets=REFRESH_BUCKETS,
    ),
    counter(
        "ml_monitoring_source_errors_total",
        "Failed refreshes and skipped rows of the source by reason.",
        Unit.COUNT,
        "source",
        "reason",
        origin="exporter",
    ),
    gauge(
        "ml_monitoring_source_series",
        "Series that the source exposes at present; 0 when they are withdrawn.",
        Unit.COUNT,
        "source",
        origin="exporter",
    ),
    counter(
        "ml_monitoring_series_dropped_total",
        "Series left out because their family reached the cap, summed over refreshes.",
        Unit.COUNT,
        "source",
        "family",
        origin="exporter",
    ),
)
