"""What the exporter knows of itself: the state of each source, and the `exporter_*` metrics made of it."""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from ml_monitoring.exporter import __version__
from ml_monitoring.exporter.catalog import METRICS, REFRESH_BUCKETS
from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.exposition import OPENMETRICS_END, render_openmetrics, render_text
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.snapshot import Snapshot
from ml_monitoring.exporter.version import revision


@dataclass(slots=True)
class SourceStatus:
    """The state of one source; written by the runner under its lock.

    Attributes:
        up: Whether the last refresh succeeded; None before the first one ended.
        last_success: When it last succeeded, seconds since the epoch.
        error: What went wrong in the last refresh, with what can be done; empty when it succeeded.
        last_problem: What went wrong in the last refresh that failed, whatever came after.
        last_failure: When that was, seconds since the epoch.
        notes: What else there was to know of the last refresh that succeeded.
        series: Series exposed at present.
        duration: Seconds the last refresh took.
    """

    name: str
    interval: float
    up: bool | None = None
    last_success: float | None = None
    error: str = ""
    last_problem: str = ""
    last_failure: float | None = None
    notes: tuple[str, ...] = ()
    series: int = 0
    duration: float = 0.0
    errors: Counter[Reason] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    refresh_counts: list[int] = field(default_factory=lambda: [0] * (len(REFRESH_BUCKETS) + 1))
    refresh_seconds: float = 0.0

    def observe_refresh(self, seconds: float) -> None:
        """Count a refresh that took so long."""
        self.duration = seconds
        self.refresh_counts[bisect_left(REFRESH_BUCKETS, seconds)] += 1
        self.refresh_seconds += seconds


@dataclass(slots=True)
class ReloadStatus:
    """Whether the settings in force are those of the files: of the settings, and of `web.config_file`."""

    successful: bool = True
    web_usable: bool = True
    last_success: float = 0.0


class SelfMetrics:
    """Renders the exporter's own metrics."""

    def __init__(self) -> None:
        # Not the default registry: that one is global, and nobody but us may write into this snapshot.
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self, statuses: list[SourceStatus], reload: ReloadStatus) -> Snapshot:
        """Render the state of all sources and of the process."""
        families = FamilySet("exporter")
        families["ml_monitoring_build_info"].add(1, __version__, revision(), platform.python_version())
        families["ml_monitoring_config_last_reload_successful"].add(reload.successful and reload.web_usable)
        families["ml_monitoring_config_last_reload_success_timestamp_seconds"].add(reload.last_success)
        for status in statuses:
            name = status.name
            families["ml_monitoring_source_up"].add(status.up, name)
            families["ml_monitoring_source_last_success_timestamp_seconds"].add(status.last_success, name)
            families["ml_monitoring_source_interval_seconds"].add(status.interval, name)
            families["ml_monitoring_source_series"].add(status.series, name)
            refresh = families["ml_monitoring_source_refresh_duration_seconds"]
            refresh.add_distribution(status.refresh_counts, status.refresh_seconds, name)
            # Counters that exist from the start let rate() see their first increase.
            for reason in Reason:
                families["ml_monitoring_source_errors_total"].add(status.errors[reason], name, reason)
            own = {metric.name for metric in METRICS if metric.origin == name}
            for family in sorted(own | status.dropped.keys()):
                families["ml_monitoring_series_dropped_total"].add(status.dropped[family], name, family)
        process_text = generate_latest(self._registry)
        process_openmetrics = generate_openmetrics(self._registry).removesuffix(OPENMETRICS_END)
        return Snapshot.of(
            render_text(families) + process_text,
            render_openmetrics(families) + process_openmetrics,
            families.series,
        )
