"""The metrics of the runs on display, re-read where they may have changed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ml_monitoring.exporter.sources.mlflow.follow import Follower, batches
from ml_monitoring.exporter.sources.mlflow.sql import STORED_INFINITY

# Metrics are added to a run that ended mostly soon after, or because it serves: these runs are always looked at.
_NEWEST = 100
_ALIASED = 200


class ShownMetrics:
    """Metrics of the latest and of the aliased runs, NaN left out, by run and key."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._metrics: dict[str, dict[str, float]] = {}
        self._reading = 0
        self._turn = 0

    def read(self, latest: Sequence[str], aliased: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return the metrics of these runs, keys in order.

        Args:
            latest: Latest runs, those of the most recently used experiments first.
            aliased: Runs behind aliased model versions.
        """
        if self._reading != self._follower.readings:
            self._reading = self._follower.readings
            self._metrics.clear()
        shown = list(dict.fromkeys([*aliased, *latest]))
        slices = self._follower.slices
        size = math.ceil(len(shown) / slices)
        self._turn = (self._turn + 1) % slices
        due = {*aliased[:_ALIASED], *latest[:_NEWEST], *shown[self._turn * size : (self._turn + 1) * size]}
        due |= {run for run in shown if run not in self._metrics} | (self._follower.touched & set(shown))
        self._follower.touched.clear()
        for runs in batches(sorted(due)):
            for run, metrics in self._follower.metrics(runs).items():
                self._metrics[run] = {key: _translate_infinity(value) for key, value in sorted(metrics.items())}
        self._metrics = {run: self._metrics[run] for run in shown}
        return self._metrics


def _translate_infinity(value: float) -> float:
    if abs(value) >= STORED_INFINITY:
        return math.copysign(math.inf, value)
    return value
