"""Counts by cell of users, from which experiments know how much users vary without knowing any of them.

Where a user makes many requests, requests are not independent: a test that counts them as if they were finds
differences where there are none. A unit (a user, a session) is hashed into one of 32 cells, and counts are kept by
cell: the spread between cells is the variance of any mean or ratio, whatever the correlation within a unit. No id
leaves the process, and none can be recovered from a cell. The number of series is fixed: cells times what is counted of
each variant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from hashlib import blake2b
from typing import Final, NamedTuple

from ml_monitoring.instrument.attributes import WithoutAttributes
from ml_monitoring.instrument.catalog import CELLS
from ml_monitoring.instrument.families import Metrics, guarded
from ml_monitoring.instrument.mistakes import WrongValueError, finite, is_true, text

# Units that are remembered as seen, at most, for each experiment and process: some 10 MB.
_REMEMBERED: Final = 100_000
# Keyed, so that cells have nothing in common with whatever assigns variants by a hash of the same id. The same in all
# processes, after all restarts.
_KEY: Final = b"ml-monitoring cells"
_DIGEST: Final = 8

# What is counted of requests with a unit, and of predictions for one.
REQUEST: Final = "request"
ERROR: Final = "error"
SECONDS: Final = "seconds"
ACCURACY: Final = "accuracy"


def _unit_hash(unit: Hashable) -> bytes:
    """Return the keyed hash of a unit, the same everywhere: its text is what counts.

    Raises:
        WrongValueError: There is none: all that have none would be one.
    """
    if unit is None:
        raise WrongValueError("unit is None, not an id: leave the call out where there is none")
    if not isinstance(unit, Hashable):
        raise WrongValueError(f"unit is of type {type(unit).__name__}, not an id")
    return blake2b(str(unit).encode("utf-8", "replace"), digest_size=_DIGEST, key=_KEY).digest()


def cell_of(unit: Hashable) -> str:
    """Return the cell of a unit, as the label says it."""
    return CELLS[_unit_hash(unit)[-1] % len(CELLS)]


class CellMetrics:
    """The `ab_test_cell_*` metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self._trials = metrics.counter("ab_test_cell_trials_total")
        self._sums = metrics.counter("ab_test_cell_value_total")
        self._squares = metrics.counter("ab_test_cell_value_squared_total")
        self.units = metrics.counter("ab_test_cell_first_exposures_total")

    def add(self, experiment: str, variant: str, metric: str, cell: str, value: float) -> None:
        """Add an observation.

        Raises:
            WrongValueError: The value is negative or no number: counters cannot hold it.
        """
        value = finite("value", value, 0)
        self._trials.child(experiment, variant, metric, cell).inc()
        self._sums.child(experiment, variant, metric, cell).inc(value)
        self._squares.child(experiment, variant, metric, cell).inc(value * value)

    def of_requests(self, variant: str, cell: str) -> tuple[CellSeries, bool]:
        """Return what counts the requests of a variant's cell, and whether that may be kept.

        There are as many times and possible errors as requests, so that these are the only trials.
        """
        requests, errors, seconds = (("", variant, metric, cell) for metric in (REQUEST, ERROR, SECONDS))
        series = CellSeries(
            self._trials.child(*requests).inc,
            self._sums.child(*errors).inc,
            self._sums.child(*seconds).inc,
            self._squares.child(*seconds).inc,
        )
        own = self._trials.keeps(*requests) and self._sums.keeps(*errors) and self._sums.keeps(*seconds)
        return series, own and self._squares.keeps(*seconds)


class CellSeries(NamedTuple):
    """What counts the requests of one variant's cell."""

    requests: Callable[[], None]
    errors: Callable[[], None]
    seconds: Callable[[float], None]
    squares: Callable[[float], None]


class ExperimentRecorder(WithoutAttributes):
    """Records what units do in one experiment; `Recorder.experiment` makes it."""

    def __init__(self, cells: CellMetrics, name: str) -> None:
        self._metrics = cells.metrics
        self._cells = cells
        self._name = name
        self._lock = threading.Lock()
        # Two generations: the older one is forgotten when the newer one is full.
        self._seen: set[tuple[str, bytes]] = set()
        self._seen_before: set[tuple[str, bytes]] = set()

    @guarded
    def record_exposure(self, variant: str, unit: Hashable) -> None:
        """Note that a unit was shown a variant; only its first time counts, as far as this process remembers."""
        variant, hashed = text("variant", variant), _unit_hash(unit)
        key = (variant, hashed)
        with self._lock:
            if key in self._seen:
                return
            known = key in self._seen_before
            self._seen.add(key)
            if len(self._seen) >= _REMEMBERED // 2:
                self._seen_before, self._seen = self._seen, set()
        if not known:
            self._cells.units.child(self._name, variant, CELLS[hashed[-1] % len(CELLS)]).inc()

    @guarded
    def record_success(self, metric: str, variant: str, unit: Hashable, success: bool) -> None:
        """Count a trial: whether what the metric names happened, such as a sale.

        Args:
            metric: A short name from a closed set.
            variant: The variant that the unit has.
            unit: Its id, such as a user's or a session's; only its cell is kept.
            success: Whether it happened.
        """
        value = 1.0 if is_true("success", success) else 0.0
        self._add(metric, variant, unit, value)

    @guarded
    def record_value(self, metric: str, variant: str, unit: Hashable, value: float) -> None:
        """Add a value of 0 or more, such as money or seconds.

        Args:
            metric: A short name from a closed set.
            variant: The variant that the unit has.
            unit: Its id, such as a user's or a session's; only its cell is kept.
            value: What is averaged.
        """
        self._add(metric, variant, unit, value)

    def _add(self, metric: str, variant: str, unit: Hashable, value: float) -> None:
        self._cells.add(self._name, text("variant", variant), text("metric", metric), cell_of(unit), value)
