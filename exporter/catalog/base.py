"""What a declared metric is, and short ways to declare one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
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
    kind: MetricKind
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
        if self.kind is MetricKind.HISTOGRAM:
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)

    def sample_labels(self, sample_name: str) -> frozenset[str]:
        """Return every label that a series of this metric may carry (`le` only on buckets)."""
        labels = {*self.labels, *self.optional_labels}
        if self.kind is MetricKind.HISTOGRAM and sample_name.endswith("_bucket"):
            labels.add("le")
        return frozenset(labels)


def gauge(name: str, help: str, unit: Unit, *labels: str, origin: str, extensible: bool = False) -> Metric:
    """Declare a gauge."""
    return Metric(name, MetricKind.GAUGE, help, unit, labels, origin, extensible=extensible)


def counter(name: str, help: str, unit: Unit, *labels: str, origin: str) -> Metric:
    """Declare a counter."""
    return Metric(name, MetricKind.COUNTER, help, unit, labels, origin)


def histogram(name: str, help: str, unit: Unit, *labels: str, origin: str, buckets: tuple[float, ...]) -> Metric:
    """Declare a histogram."""
    return Metric(name, MetricKind.HISTOGRAM, help, unit, labels, origin, buckets=buckets)
