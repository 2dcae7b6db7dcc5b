"""The metrics of the latest and of the aliased runs, read again where they may have changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from ml_monitoring.exporter.sources.mlflow.reader import ReadMetrics
from ml_monitoring.exporter.sources.mlflow.sql import STORED_INFINITY

# Metrics are added to a run that ended mostly soon after, or because it serves: these runs are always read.
_NEWEST = 100
_ALIASED = 200


class LatestMetrics:
    """Metrics of the latest and of the aliased runs, NaN left out, by run and key.

    Args:
        read_metrics: Reads the metrics of runs.
        slices: In how many refreshes all of these runs are read again.
    """

    def __init__(self, read_metrics: ReadMetrics, slices: int) -> None:
        self._read_metrics = read_metrics
        self._slices = slices
        self._metrics: dict[str, dict[str, float]] = {}
        self._turn = 0

    def clear(self) -> None:
        """Forget everything, because everything is read again."""
        self._metrics.clear()

    def apply(self, runs: Iterable[str]) -> None:
        """Forget the metrics of runs for which they may have changed."""
        for run in runs:
            self._metrics.pop(run, None)

    def read(self, latest: Sequence[str], aliased: Sequence[str]) -> Mapping[str, dict[str, float]]:
        """Return the metrics of these runs, keys in order.

        Args:
            latest: Latest runs, those of the most recently used experiments first.
            aliased: Runs behind aliased model versions.
        """
        runs = list(dict.fromkeys([*aliased, *latest]))
        size = math.ceil(len(runs) / self._slices)
        self._turn = (self._turn + 1) % self._slices
        due = {*aliased[:_ALIASED], *latest[:_NEWEST], *runs[self._turn * size : (self._turn + 1) * size]}
        due |= {run for run in runs if run not in self._metrics}
        for run, metrics in self._read_metrics(sorted(due)):
            self._metrics[run] = {key: _translate_infinity(value) for key, value in sorted(metrics.items())}
        self._metrics = {run: self._metrics[run] for run in runs}
        return self._metrics


def _translate_infinity(value: float) -> float:
    if abs(value) >= STORED_INFINITY:
        return math.copysign(math.inf, value)
    return value
