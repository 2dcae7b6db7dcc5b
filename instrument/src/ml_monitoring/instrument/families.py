"""ServiceMetric families of a service: declared in the catalog, kept by prometheus_client, bounded in number.

Nothing here raises at the caller's request: a recording that fails is counted and logged, and the program goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial, update_wrapper
from types import SimpleNamespace
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ml_monitoring.instrument.calls import mismatch
from ml_monitoring.instrument.catalog import CATALOG, CELLS, ORIGIN_LABEL, SCORE_BINS, ServiceMetric
from ml_monitoring.instrument.failures import FailureLog, in_one_line
from ml_monitoring.instrument.labels import OTHER, clean
from ml_monitoring.instrument.places import caller, defined_at, raised_at
from ml_monitoring.instrument.shared_folder import check_used, join, shared_folder

_log = logging.getLogger("ml_monitoring.instrument")

# Labels whose values this package makes itself; all others can grow and fall under `OTHER` at the cap.
_CLOSED_LABELS: Final = frozenset(
    {"method", "status", "outcome", "bin", "operation", "family", "cell", "finish_reason", "token_type"}
)
# Values of a label that are there together, at 0, as soon as one of them is: what first shows as 1 has lost that 1 for
# `increase`. Of the statuses those that a failure usually has.
FAILURES: Final = ("500", "503", "502", "504")
OUTCOMES: Final = ("closed", "rejected", "failed", "abandoned")
FINISH_REASONS: Final = ("stop", "length", "tool_calls", "content_filter", "abort", "error")
_TOGETHER: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "ml_http_requests_total": ("status", FAILURES),
    "ml_websocket_connections_total": ("outcome", OUTCOMES),
    "ml_prediction_truths_total": ("outcome", ("correct", "incorrect")),
    "ml_prediction_scores_total": ("bin", SCORE_BINS),
    "ml_gen_ai_responses_total": ("finish_reason", FINISH_REASONS),
    "ml_cache_requests_total": ("outcome", ("hit", "miss")),
    "ab_test_cell_trials_total": ("cell", CELLS),
    "ab_test_cell_value_total": ("cell", CELLS),
    "ab_test_cell_value_squared_total": ("cell", CELLS),
    "ab_test_cell_first_exposures_total": ("cell", CELLS),
    "ab_test_requests_total": ("outcome", ("success", "error", "abandoned")),
}
# For each so many label sets of other metrics one of those that are counted by cell.
_CELL_SETS: Final = 10
# What was registered already, kept at the registry itself, so that a second recorder in the process shares it.
_REGISTERED: Final = "_ml_monitoring_registered"
_registering = threading.RLock()
_in_files: Final = SimpleNamespace()

# What may fail: methods that are guarded, and the hooks of users.
_OPERATIONS: Final = {"get_route", "get_variant", "labels"}

MetricType = TypeVar("MetricType", Counter, Gauge, Histogram)
Shared = TypeVar("Shared")


class Family(Generic[MetricType]):
    """One metric with at most a given number of label sets.

    Args:
        parent: The metric of prometheus_client.
        labels: Its labels, without the constant ones.
        extra: How many of them, the last ones, are the service's own.
        constant: Values of the constant labels, which come last.
        max_label_sets: Beyond so many, the service's own labels are booked under `OTHER`; beyond twice as many, all
            labels that can grow.
        on_overflow: Called for each such booking, with the labels that lost their values.
        together: A label, and those of its values that are made as soon as one of them is.
    """

    def __init__(
        self,
        parent: MetricType,
        labels: Sequence[str],
        constant: tuple[str, ...],
        *,
        extra: int = 0,
        max_label_sets: int,
        on_overflow: Callable[[tuple[str, ...]], None],
        together: tuple[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._parent: MetricType = parent
        self._labels = tuple(labels)
        self._extra = extra
        self._constant = constant
        self._max_label_sets = max_label_sets
        self._on_overflow = on_overflow
        self._together = together
        # Not counted with the others: what may never be used must not take the place of what is.
        self._prepared: dict[tuple[str, ...], MetricType] = {}
        self._prepared_sets = max_label_sets // 2
        # The count of overflows must not overflow itself.
        self._can_grow = not _CLOSED_LABELS.issuperset(labels)
        self._children: dict[tuple[str, ...], MetricType] = {}
        self._lock = threading.Lock()

    def child(self, *values: str) -> MetricType:
        """Return the series of these label values, one for each label in the declared order."""
        found = self._children.get(values)
        return found if found is not None else self._make(values)

    def keeps(self, *values: str) -> bool:
        """Tell whether the series of these values is their own, so that it may be kept."""
        return values in self._children

    def prepare(self, *values: str) -> None:
        """Make the series, at 0, if there is room."""
        key: tuple[str, ...] = tuple(clean(value) for value in values)
        with self._lock:
            self._prepare(key)

    def _prepare(self, key: tuple[str, ...]) -> None:
        if key not in self._children and key not in self._prepared and len(self._prepared) < self._prepared_sets:
            self._prepared[key] = self._new(key)

    def _new(self, key: tuple[str, ...]) -> MetricType:
        everything = (*key, *self._constant)
        return self._parent.labels(*everything) if everything else self._parent

    def _make(self, values: tuple[str, ...]) -> MetricType:
        if len(values) != len(self._labels):
            raise ValueError(f"label values {values!r} for labels {self._labels!r}")
        wanted: tuple[str, ...] = tuple(clean(value) for value in values)
        with self._lock:
            # Not kept under refused values: that would be the growth that the cap is there to stop.
            key: tuple[str, ...] = self._within_cap(wanted)
            found = self._children.get(key)
            if found is None:
                found = self._children[key] = self._prepared.pop(key) if key in self._prepared else self._new(key)
                if self._together is not None:
                    place: int = self._labels.index(self._together[0])
                    for value in self._together[1]:
                        self._prepare((*key[:place], value, *key[place + 1 :]))
        if key != wanted:
            changed = zip(self._labels, key, wanted, strict=True)
            self._on_overflow(tuple(label for label, kept, value in changed if kept != value))
        return found

    def _within_cap(self, key: tuple[str, ...]) -> tuple[str, ...]:
        if not self._can_grow or key in self._children or len(self._children) < self._max_label_sets:
            return key
        if self._extra:
            # Routes are worth more than what the service adds.
            key = key[: -self._extra] + (OTHER,) * self._extra
            if key in self._children or len(self._children) < 2 * self._max_label_sets:
                return key
        return tuple(
            value if label in _CLOSED_LABELS else OTHER for label, value in zip(self._labels, key, strict=True)
        )


class _Nothing:
    """Family and series in one, of a recorder that is switched off."""

    def child(self, *_values: str) -> _Nothing:
        return self

    def keeps(self, *_values: str) -> bool:
        return True

    def prepare(self, *_values: str) -> None:
        """Make nothing."""

    def inc(self, _amount: float = 1, _exemplar: Any = None) -> None:
        """Record nothing."""

    def dec(self, _amount: float = 1) -> None:
        """Record nothing."""

    def set(self, _value: float) -> None:
        """Record nothing."""

    def observe(self, _amount: float, _exemplar: Any = None) -> None:
        """Record nothing."""


_NOTHING: Final = _Nothing()


class Metrics:
    """All metric families of one service.

    Args:
        registry: Where they are registered; those that are there already are shared.
        origin: Value of the label `origin`; without it there is no such label.
        extra_labels: Names of the labels that the service adds to its requests.
        buckets: Bounds that differ from the catalog's, by metric.
        max_label_sets: Cap on the label sets of each metric.
        disabled: Register nothing and record nothing.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        origin: str | None = None,
        extra_labels: Sequence[str] = (),
        buckets: Mapping[str, tuple[float, ...]] | None = None,
        max_label_sets: int = 500,
        disabled: bool = False,
    ) -> None:
        self.registry = registry
        self.disabled = disabled
        self.origin = clean(origin) if origin else ""
        self._constant = {ORIGIN_LABEL: self.origin} if self.origin else {}
        self._extra_labels = tuple(extra_labels)
        self._buckets = buckets or {}
        self._max_label_sets = max_label_sets
        self._log = FailureLog()
        self._gauges: dict[str, Family[Gauge]] = {}
        self._overflowed: set[tuple[str, ...]] = set()
        if not disabled:
            check_used()
            # Before the first metric: it opens a file there.
            join()
        # First: the others report to these two.
        self._errors = self.counter("ml_instrument_errors_total")
        self._overflow = self.counter("ml_instrument_overflow_total")
        for operation in sorted(_OPERATIONS):
            self._errors.child(operation)

    def counter(self, name: str, *optional: str, extra: bool = False) -> Family[Counter]:
        """Return a family of counters.

        Args:
            name: The metric.
            optional: The declared optional labels that it carries.
            extra: Whether it carries the labels that the service adds.
        """
        return self._family(Counter, name, optional, extra=extra)

    def gauge(self, name: str) -> Family[Gauge]:
        """Return a family of gauges, the same each time: its cap is that of all its series."""
        found = self._gauges.get(name)
        # Two threads may both make the first of it; one remains.
        return found if found is not None else self._gauges.setdefault(name, self._gauge(name))

    def _gauge(self, name: str) -> Family[Gauge]:
        return self._family(Gauge, name, (), multiprocess_mode=CATALOG[name].multiprocess_mode)

    def histogram(self, name: str, *, extra: bool = False) -> Family[Histogram]:
        """Return a family of histograms, with the catalog's buckets or the service's own."""
        return self._family(Histogram, name, (), extra=extra, buckets=self._buckets.get(name, CATALOG[name].buckets))

    def _family(
        self,
        kind: type[MetricType],
        name: str,
        optional: tuple[str, ...],
        *,
        extra: bool = False,
        **arguments: Any,
    ) -> Family[MetricType]:
        if self.disabled:
            return cast("Family[MetricType]", _NOTHING)
        metric: ServiceMetric = CATALOG[name]
        added: tuple[str, ...] = self._extra_labels if extra else ()
        labels: tuple[str, ...] = (*metric.labels, *optional, *added)
        described = ((*labels, *self._constant), tuple(sorted(arguments.items())))

        def make() -> tuple[object, MetricType]:
            try:
                return described, kind(name, metric.help, described[0], registry=self.registry, **arguments)
            except ValueError as error:
                if "Duplicated" not in str(error):
                    raise
                raise ValueError(
                    f"{name} is a metric of yours in this registry: rename it, or give the recorder another registry"
                ) from None

        made, parent = self.shared(name, make)
        if shared_folder() is None and parent not in getattr(self.registry, "_collector_to_names", (parent,)):
            # Somebody emptied the registry, as tests do; of what is in files nothing is missing.
            self.registry.register(parent)
        if made != described:
            raise ValueError(
                f"{name} is in this registry with other labels or buckets: recorders that share a registry "
                "need the same labels, buckets and use of `origin`"
            )
        # A bin is a share of one label set of its model, not a label set of its own.
        cap = self._max_label_sets * (len(SCORE_BINS) if "bin" in labels else 1)
        if "cell" in labels:
            # Nor is a cell, and a few metrics of a few variants are all that experiments are decided by.
            cap = max(1, self._max_label_sets // _CELL_SETS) * len(CELLS)
        if not _CLOSED_LABELS.issuperset(labels):
            self._overflow.child(name)
        return Family(
            parent,
            labels,
            tuple(self._constant.values()),
            extra=len(added),
            max_label_sets=cap,
            on_overflow=partial(self._count_overflow, name),
            together=_TOGETHER.get(name) if name in _TOGETHER and _TOGETHER[name][0] in labels else None,
        )

    def _count_overflow(self, name: str, labels: tuple[str, ...]) -> None:
        self._overflow.child(name).inc()
        if labels not in self._overflowed:
            # Once, whatever the number of metrics that have these labels.
            self._overflowed.add(labels)
            _log.warning(
                "%s: there are too many values of %s: further ones are recorded under %r (max_label_sets is %s)",
                name,
                " and ".join(labels),
                OTHER,
                self._max_label_sets,
            )

    def shared(self, name: str, make: Callable[[], Shared]) -> Shared:
        """Return what an earlier recorder put into this registry under the name, or make it."""
        with _registering:
            # Worker processes share files that know no registry: two metrics of one name would write over each other.
            holder = _in_files if shared_folder() is not None else self.registry
            known: dict[str, Any] = getattr(holder, _REGISTERED, None) or {}
            setattr(holder, _REGISTERED, known)
            if name not in known:
                known[name] = make()
            return cast("Shared", known[name])

    def _count_failure(self, operation: str) -> None:
        try:
            self._errors.child(operation).inc()
        except Exception:  # noqa: BLE001  # the counter may be what is broken (a full disk under multi-process files)
            _log.debug("the error counter is broken too", exc_info=True)

    def failed(self, operation: str, error: Exception, mistake: Callable[[], str] = str) -> None:
        """Count and log a recording that raised.

        Args:
            operation: What it was.
            error: What it raised.
            mistake: Returns what the caller did wrong; empty if nothing.
        """
        self._count_failure(operation)
        self._log.recording(operation, error, mistake)

    def note(self, operation: str, problem: str) -> None:
        """Log what the caller most likely did not mean, which is no failure."""
        if not self.disabled:
            self._log.line(operation, caller(), problem)

    def hook_failed(
        self, operation: str, name: str, hook: object, error: Exception | None, value: object = None
    ) -> None:
        """Count and log that a function of the service raised for a request, or returned what no label can have.

        Args:
            operation: What it was asked for.
            name: The same, of which there may be several.
            hook: The function.
            error: What it raised, if it did.
            value: What it returned.
        """
        self._count_failure(operation)
        if error is None:
            place, problem = defined_at(hook), f"it returned a value of type {type(value).__name__}, not text"
        else:
            place, problem = raised_at(error) or defined_at(hook), f"it raised {in_one_line(error)}"
        self._log.line(
            name, place, f"{problem} (return None where there is none); the request is recorded without it", error
        )


def add_operation(name: str) -> str:
    """Return the name of what may fail, which recorders that are made later count from 0 on."""
    _OPERATIONS.add(name)
    return name


class HasMetrics(Protocol):
    """What records into metrics."""

    @property
    def _metrics(self) -> Metrics: ...


_Self = TypeVar("_Self", bound=HasMetrics)
_Arguments = ParamSpec("_Arguments")


def guarded(
    method: Callable[Concatenate[_Self, _Arguments], None],
) -> Callable[Concatenate[_Self, _Arguments], None]:
    """Make a recording method swallow, count and log whatever it raises."""
    operation = add_operation(method.__name__.strip("_"))

    def call(self: _Self, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  # monitoring must never break what it monitors
            self._metrics.failed(operation, error, partial(mismatch, method, (self, *args), kwargs))

    update_wrapper(call, method)
    return call
