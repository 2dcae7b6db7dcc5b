"""Metric families of a service: declared in the catalog, kept by prometheus_client, bounded in number.

Nothing here raises at the caller's request: a recording that fails is counted and logged, and the request goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import update_wrapper
from time import monotonic
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ml_monitoring.exporter.catalog import CATALOG, Metric
from ml_monitoring.exporter.catalog.services import ORIGIN_LABEL, SCORE_BINS
from ml_monitoring.instrument.labels import OTHER, clean

_log = logging.getLogger("ml_monitoring.instrument")
# The first failure is logged at once, a storm of them once a minute.
_LOG_INTERVAL: Final = 60.0

# Labels whose values this package makes itself; all others can grow and fall under `OTHER` at the cap.
_CLOSED_LABELS: Final = frozenset({"method", "status", "outcome", "bin", "operation", "family"})

# How one value is made out of those of several worker processes (prometheus_client's multi-process mode).
_GAUGE_MODES: Final = {
    "ab_test_model_accuracy": "mostrecent",
    "ab_test_business_impact": "mostrecent",
    "ml_http_requests_in_progress": "livesum",
    "ml_websocket_connections_open": "livesum",
    "ml_model_r2_ratio": "mostrecent",
    "ml_last_prediction_timestamp_seconds": "max",
    "ml_model_load_duration_seconds": "mostrecent",
    "ml_model_loaded_timestamp_seconds": "max",
    "ml_cache_size_bytes": "livesum",
    "ml_cache_entries": "livesum",
    "ml_process_start_timestamp_seconds": "livemin",
    "ml_process_cpu_limit_cores": "livemax",
    "ml_process_memory_bytes": "livesum",
    "ml_process_memory_limit_bytes": "livemax",
    "ml_process_disk_used_bytes": "livemax",
    "ml_process_disk_limit_bytes": "livemax",
}

MetricType = TypeVar("MetricType", Counter, Gauge, Histogram)


class Family(Generic[MetricType]):
    """One metric with at most a given number of label sets.

    Args:
        parent: The metric of prometheus_client.
        labels: Its labels, without the constant ones.
        constant: Values of the constant labels, which come last.
        max_label_sets: Further label sets are booked under `OTHER`.
        on_overflow: Called for each such booking.
    """

    def __init__(
        self,
        parent: MetricType,
        labels: Sequence[str],
        constant: tuple[str, ...],
        *,
        max_label_sets: int,
        on_overflow: Callable[[], None],
    ) -> None:
        self._parent: MetricType = parent
        self._labels = tuple(labels)
        self._constant = constant
        self._max_label_sets = max_label_sets
        self._on_overflow = on_overflow
        # The count of overflows must not overflow itself.
        self._can_grow = not _CLOSED_LABELS.issuperset(labels)
        self._children: dict[tuple[str, ...], MetricType] = {}
        self._lock = threading.Lock()

    def child(self, *values: str) -> MetricType:
        """Return the series of these label values, one for each label in the declared order."""
        found = self._children.get(values)
        return found if found is not None else self._make(values)

    def _make(self, values: tuple[str, ...]) -> MetricType:
        if len(values) != len(self._labels):
            raise ValueError(f"label values {values!r} for labels {self._labels!r}")
        key: tuple[str, ...] = tuple(clean(value) for value in values)
        with self._lock:
            overflows = self._can_grow and key not in self._children and len(self._children) >= self._max_label_sets
            if overflows:
                # Not kept under the refused values: that would be the growth that the cap is there to stop.
                key = tuple(
                    value if label in _CLOSED_LABELS else OTHER for label, value in zip(self._labels, key, strict=True)
                )
            found = self._children.get(key)
            if found is None:
                everything = (*key, *self._constant)
                found = self._parent.labels(*everything) if everything else self._parent
                self._children[key] = found
        if overflows:
            self._on_overflow()
        return found


class Store:
    """All metric families of one service.

    Args:
        registry: Where they are registered.
        origin: Value of the label `origin`; without it there is no such label.
        max_label_sets: Cap on the label sets of each metric.
    """

    def __init__(self, registry: CollectorRegistry, *, origin: str | None, max_label_sets: int) -> None:
        self.registry = registry
        self._constant = {ORIGIN_LABEL: clean(origin)} if origin else {}
        self._max_label_sets = max_label_sets
        self._quiet_until = 0.0
        # First: the others report to these two.
        self._errors = self.counter("ml_instrument_errors_total")
        self._overflow = self.counter("ml_instrument_overflow_total")

    def counter(self, name: str, *optional: str) -> Family[Counter]:
        """Return a new family of counters; `optional` names the declared optional labels that it carries."""
        return self._family(Counter, name, optional)

    def gauge(self, name: str) -> Family[Gauge]:
        """Return a new family of gauges."""
        return self._family(Gauge, name, (), multiprocess_mode=_GAUGE_MODES[name])

    def histogram(self, name: str) -> Family[Histogram]:
        """Return a new family of histograms, with the buckets that the catalog declares."""
        return self._family(Histogram, name, (), buckets=CATALOG[name].buckets)

    def _family(
        self, kind: type[MetricType], name: str, optional: tuple[str, ...], **arguments: Any
    ) -> Family[MetricType]:
        metric: Metric = CATALOG[name]
        labels: tuple[str, ...] = (*metric.labels, *optional)
        constant = tuple(self._constant.values())
        parent = kind(name, metric.help, (*labels, *self._constant), registry=self.registry, **arguments)
        # A bin is a share of one label set of its model, not a label set of its own.
        cap = self._max_label_sets * (len(SCORE_BINS) if "bin" in labels else 1)
        return Family(
            parent, labels, constant, max_label_sets=cap, on_overflow=lambda: self._overflow.child(name).inc()
        )

    def failed(self, operation: str, error: Exception) -> None:
        """Count and log a recording that raised."""
        try:
            self._errors.child(operation).inc()
        except Exception:  # noqa: BLE001  # the counter may be what is broken (a full disk under multi-process files)
            _log.debug("the error counter is broken too", exc_info=True)
        now = monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _LOG_INTERVAL
            _log.warning("%s could not be recorded; the request goes on", operation, exc_info=error)


class HasStore(Protocol):
    """Whatever records into a store."""

    @property
    def store(self) -> Store:
        """Return the store."""


_Self = TypeVar("_Self", bound=HasStore)
_Arguments = ParamSpec("_Arguments")


def guarded(
    method: Callable[Concatenate[_Self, _Arguments], None],
) -> Callable[Concatenate[_Self, _Arguments], None]:
    """Make a recording method swallow, count and log whatever it raises."""

    def call(self: _Self, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  # monitoring must never break what it monitors
            self.store.failed(method.__name__.strip("_"), error)

    update_wrapper(call, method)
    return call
