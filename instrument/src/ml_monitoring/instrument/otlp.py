"""Metrics by OTLP, to an OpenTelemetry collector or to Prometheus itself, under the names that a scrape has.

Needs the extra `otlp`. Sending is OpenTelemetry's own: this only says in its words what the registry holds. Names go
out whole and without a unit, so that neither Prometheus nor a collector has a suffix to add, whatever is set there.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as SentMetric
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from ml_monitoring.instrument.calls import explained
from ml_monitoring.instrument.catalog import EXPORTER_LABEL
from ml_monitoring.instrument.exporters import JobSamples
from ml_monitoring.instrument.mistakes import shown
from ml_monitoring.instrument.options import checked_type
from ml_monitoring.instrument.shared_folder import VARIABLE, shared_folder

_SCOPE: Final = InstrumentationScope("ml_monitoring.instrument")
_STARTED: Final = time.time_ns()
_INTERVAL_VARIABLE: Final = "OTEL_METRIC_EXPORT_INTERVAL"
# As often as most are scraped: windows of rules are made for it. OpenTelemetry's own default is a minute.
_INTERVAL: Final = 15.0
# Sent when something happens to them, see `Otlp._push_job`.
_JOBS: Final = "ml_job_"

_Labels = frozenset[tuple[str, str]]


class Otlp:
    """Sends everything that a recorder's registry holds, again and again, and jobs as they start and end.

    Where to, with which headers and certificates, and the service's name say OpenTelemetry's own variables
    (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, ...). Each process sends for itself.

    Args:
        exporter: OpenTelemetry's, by default the one that speaks HTTP.
        interval: Seconds between two sendings; by default what `OTEL_METRIC_EXPORT_INTERVAL` says, or 15.

    Raises:
        ValueError: The interval is none.
    """

    @explained
    def __init__(self, exporter: MetricExporter | None = None, *, interval: float | None = None) -> None:
        if exporter is not None and not hasattr(exporter, "export"):
            raise ValueError(
                f"exporter: {shown(exporter)} is no exporter of OpenTelemetry; "
                "an address is the value of OTEL_EXPORTER_OTLP_ENDPOINT"
            )
        if interval is None:
            interval = _interval(os.environ.get(_INTERVAL_VARIABLE, ""))
        checked_type("interval", interval, (int, float), "a number of seconds")
        if not interval > 0:
            raise ValueError(f"interval: {interval!r} is not a positive number of seconds")
        self._exporter = exporter or _http_exporter()
        self._interval = interval
        self._send_metrics: Callable[[], None] | None = None
        self._resource = Resource.create()

    def _start(self, send: Callable[[], None]) -> None:
        """Send now and then, until the process ends.

        Args:
            send: Calls `_send` with what there is.

        Raises:
            ValueError: Worker processes share their metrics, of which each would send the sum.
        """
        if shared_folder() is not None:
            raise ValueError(f"{VARIABLE} and OTLP exclude each other: each worker sends what it counted itself")
        if self._send_metrics is not None:
            return
        self._send_metrics = send
        self._begin()
        # A forked worker has no thread of its parent's.
        os.register_at_fork(after_in_child=self._begin)
        atexit.register(send)

    def _begin(self) -> None:
        # Of each process: those that count the same must not be taken for one another.
        instance = Resource.create().attributes.get(SERVICE_INSTANCE_ID) or str(uuid.uuid4())
        self._resource = Resource.create({SERVICE_INSTANCE_ID: instance})
        threading.Thread(target=self._run, name="ml-monitoring-otlp", daemon=True).start()

    def _run(self) -> None:
        while self._send_metrics is not None:
            time.sleep(self._interval)
            self._send_metrics()

    def _send(self, families: Iterable[Metric]) -> None:
        """Send what a registry holds.

        Raises:
            ConnectionError: It did not arrive.
        """
        self._export(self._resource, [sent for family in families for sent in converted(family, time.time_ns())])

    def _push_job(self, samples: JobSamples) -> None:
        """Send what a job says, whichever process it runs in: the next one's series are the same.

        Raises:
            ConnectionError: It did not arrive.
        """
        attributes = {**samples.labels, EXPORTER_LABEL: "otlp"}
        now = time.time_ns()
        metrics = [
            SentMetric(name, "", "", Gauge([NumberDataPoint(attributes, _STARTED, now, value)]))
            for name, value in samples.values.items()
        ]
        known = Resource.create().attributes
        self._export(Resource({key: value for key, value in known.items() if key != SERVICE_INSTANCE_ID}), metrics)

    def _export(self, resource: Resource, metrics: list[SentMetric]) -> None:
        scope = ScopeMetrics(_SCOPE, metrics, "")
        result = self._exporter.export(MetricsData([ResourceMetrics(resource, [scope], "")]))
        if result is not MetricExportResult.SUCCESS:
            raise ConnectionError("the metrics did not arrive; OpenTelemetry's log says why")


def _interval(milliseconds: str) -> float:
    """Return the seconds that OpenTelemetry's variable says; the default where it says nothing."""
    try:
        return float(milliseconds or _INTERVAL * 1000) / 1000
    except ValueError:
        raise ValueError(f"{_INTERVAL_VARIABLE}: {milliseconds!r} is not a number of milliseconds") from None


def _http_exporter() -> MetricExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415  # another may be given
            OTLPMetricExporter,
        )
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Otlp needs {error.name}: pip install 'ml-monitoring-instrument[otlp]'", name=error.name
        ) from None

    exporter: MetricExporter = OTLPMetricExporter()
    return exporter


def converted(family: Metric, now: int) -> Iterator[SentMetric]:
    """Yield a metric of prometheus_client as OpenTelemetry's.

    Args:
        family: The metric.
        now: Nanoseconds of the Unix epoch.
    """
    if family.name.startswith(_JOBS):
        return
    data: Sum | Gauge | Histogram
    if family.type in ("histogram", "summary"):
        data = Histogram(list(_distributions(family, now)), AggregationTemporality.CUMULATIVE)
        yield SentMetric(family.name, family.documentation, "", data)
        return
    by_name: dict[str, list[NumberDataPoint]] = defaultdict(list)
    for sample in family.samples:
        if not sample.name.endswith("_created"):
            by_name[sample.name].append(NumberDataPoint(dict(sample.labels), _STARTED, now, sample.value))
    for name, points in by_name.items():
        if family.type == "counter":
            data = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
        else:
            data = Gauge(points)
        yield SentMetric(name, family.documentation, "", data)


def _distributions(family: Metric, now: int) -> Iterator[HistogramDataPoint]:
    """Yield the points of a histogram; a summary is one without bounds, its quantiles are left out."""
    groups: dict[_Labels, list[Sample]] = defaultdict(list)
    for sample in family.samples:
        labels = frozenset((key, value) for key, value in sample.labels.items() if key not in ("le", "quantile"))
        groups[labels].append(sample)
    for labels, samples in groups.items():
        values = {each.name.removeprefix(family.name): each.value for each in samples if "le" not in each.labels}
        buckets = sorted((float(each.labels["le"]), int(each.value)) for each in samples if "le" in each.labels)
        below = [0, *(count for _, count in buckets)]
        total = int(values["_count"])
        # Of a summary all are in one bucket, that of everything.
        counts = [here - before for before, here in pairwise(below)] or [total]
        unknown: Any = None
        yield HistogramDataPoint(
            attributes=dict(labels),
            start_time_unix_nano=_STARTED,
            time_unix_nano=now,
            count=total,
            sum=values["_sum"],
            bucket_counts=counts,
            explicit_bounds=[bound for bound, _ in buckets[:-1]],
            min=unknown,
            max=unknown,
        )
