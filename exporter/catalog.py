"""Every metric that this project exposes, declared once.

The family builder refuses what is not declared here, and the contract tests refuse a panel, recording rule or
alert that names a metric or label that is not declared here. To add a metric, add one entry to the tuple of its
domain; the README's table and the tests follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """Prometheus metric types that this project uses."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """Base units; the value is what a dashboard derives its axis from."""

    COUNT = "count"
    SECONDS = "seconds"
    TIMESTAMP = "timestamp_seconds"
    BYTES = "bytes"
    BYTES_PER_SECOND = "bytes_per_second"
    RATIO = "ratio"
    CURRENCY = "currency"
    FLAG = "flag"
    INFO = "info"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as Prometheus sees it.

    Attributes:
        name: Full name; a counter's ends in `_total`.
        kind: Prometheus type.
        help: One sentence for the `# HELP` line; names the table or column the value comes from.
        unit: Base unit of the sample values.
        labels: Label names, in the order in which sample label values are given.
        origin: Who emits it: a source's name, `exporter`, or `service` for instrumented services.
        buckets: Upper bounds of a histogram without +Inf, ascending, in the base unit.
        optional_labels: Labels that an emitter may leave out.
        extensible: Whether settings may append labels of their own (see `sources.mlflow.labels`).
    """

    name: str
    kind: Kind
    help: str
    unit: Unit
    labels: tuple[str, ...]
    origin: str
    buckets: tuple[float, ...] = ()
    optional_labels: tuple[str, ...] = ()
    extensible: bool = False

    @property
    def sample_names(self) -> tuple[str, ...]:
        """Return the series names that queries may use."""
        if self.kind is Kind.HISTOGRAM:
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)

    def sample_labels(self, sample_name: str) -> frozenset[str]:
        """Return every label that a series of this metric may carry (`le` only on buckets)."""
        labels = {*self.labels, *self.optional_labels}
        if self.kind is Kind.HISTOGRAM and sample_name.endswith("_bucket"):
            labels.add("le")
        return frozenset(labels)


def _gauge(name: str, help: str, unit: Unit, *labels: str, origin: str, extensible: bool = False) -> Metric:
    return Metric(name, Kind.GAUGE, help, unit, labels, origin, extensible=extensible)


def _counter(name: str, help: str, unit: Unit, *labels: str, origin: str) -> Metric:
    return Metric(name, Kind.COUNTER, help, unit, labels, origin)


def _histogram(name: str, help: str, unit: Unit, *labels: str, origin: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(name, Kind.HISTOGRAM, help, unit, labels, origin, buckets=buckets)


# A refresh takes milliseconds on a small store and seconds on a huge one.
REFRESH_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# A run lasts seconds (a smoke test) to days (training from scratch).
RUN_BUCKETS = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 10800.0, 21600.0, 43200.0, 86400.0, 259200.0, 604800.0)

_EXPORTER = (
    _gauge(
        "exporter_build_info",
        "Always 1; the labels carry the version of the exporter and of Python.",
        Unit.INFO,
        "version",
        "python_version",
        origin="exporter",
    ),
    _gauge(
        "exporter_config_last_reload_successful",
        "Whether the settings file was usable when it was last read; 0 means that older settings are in force.",
        Unit.FLAG,
        origin="exporter",
    ),
    _gauge(
        "exporter_config_last_reload_success_timestamp_seconds",
        "When settings were last taken into force.",
        Unit.TIMESTAMP,
        origin="exporter",
    ),
    _gauge(
        "exporter_source_up",
        "Whether the last refresh of the source succeeded.",
        Unit.FLAG,
        "source",
        origin="exporter",
    ),
    _gauge(
        "exporter_source_last_success_timestamp_seconds",
        "When the source was last read successfully.",
        Unit.TIMESTAMP,
        "source",
        origin="exporter",
    ),
    _gauge(
        "exporter_source_interval_seconds",
        "Configured time between two refreshes of the source.",
        Unit.SECONDS,
        "source",
        origin="exporter",
    ),
    _histogram(
        "exporter_source_refresh_duration_seconds",
        "Time that a refresh of the source took, failed ones included.",
        Unit.SECONDS,
        "source",
        origin="exporter",
        buckets=REFRESH_BUCKETS,
    ),
    _counter(
        "exporter_source_errors_total",
        "Failed refreshes and skipped rows of the source by reason.",
        Unit.COUNT,
        "source",
        "reason",
        origin="exporter",
    ),
    _gauge(
        "exporter_source_series",
        "Series that the source exposes at present; 0 when they are withdrawn.",
        Unit.COUNT,
        "source",
        origin="exporter",
    ),
    _counter(
        "exporter_series_dropped_total",
        "Series left out because their family reached the cap, summed over refreshes.",
        Unit.COUNT,
        "source",
        "family",
        origin="exporter",
    ),
)

_MLFLOW = (
    _gauge(
        "mlflow_experiments",
        "Experiments in the store by lifecycle stage.",
        Unit.COUNT,
        "lifecycle_stage",
        origin="mlflow",
    ),
    _gauge(
        "mlflow_runs",
        "Active runs of active experiments by status.",
        Unit.COUNT,
        "experiment",
        "status",
        origin="mlflow",
    ),
    _histogram(
        "mlflow_run_duration_seconds",
        "Duration of finished runs, deleted ones included so that the counts do not fall.",
        Unit.SECONDS,
        "experiment",
        origin="mlflow",
        buckets=RUN_BUCKETS,
    ),
    _gauge(
        "mlflow_last_run_timestamp_seconds",
        "When a run of this status last ended, or started while it has not ended.",
        Unit.TIMESTAMP,
        "experiment",
        "status",
        origin="mlflow",
    ),
    _gauge(
        "mlflow_running_run_start_timestamp_seconds",
        "When the oldest run that is still running was started.",
        Unit.TIMESTAMP,
        "experiment",
        origin="mlflow",
    ),
    _gauge(
        "mlflow_metric_latest",
        "Last logged value of the metric in the latest finished run of the experiment and variant.",
        Unit.ANY,
        "experiment",
        "model_variant",
        "metric",
        origin="mlflow",
        extensible=True,
    ),
    _gauge(
        "mlflow_metric_best",
        "Best last-logged value of the metric over all finished runs; lowest for metrics where lower is better.",
        Unit.ANY,
        "experiment",
        "metric",
        origin="mlflow",
    ),
    _gauge(
        "mlflow_model_version_info",
        "Always 1; one series a registered version and alias, alias empty when the version has none.",
        Unit.INFO,
        "model",
        "version",
        "alias",
        "run_status",
        origin="mlflow",
    ),
    _gauge(
        "mlflow_model_metric",
        "Last logged value of the metric in the run behind the aliased model version.",
        Unit.ANY,
        "model",
        "alias",
        "metric",
        origin="mlflow",
    ),
    _gauge(
        "mlflow_store_rows",
        "Estimated rows of the store's table, from the database's own statistics.",
        Unit.COUNT,
        "table",
        origin="mlflow",
    ),
)

METRICS: tuple[Metric, ...] = (*_EXPORTER, *_MLFLOW)

CATALOG: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in METRICS})
