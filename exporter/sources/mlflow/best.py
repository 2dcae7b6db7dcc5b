"""The best value of each metric in each experiment, kept up to date."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from ml_monitoring.exporter.database import Row
from ml_monitoring.exporter.sources.mlflow.settings import MetricPatterns
from ml_monitoring.exporter.sources.mlflow.sql import STORED_INFINITY

Pair = tuple[int, str]


class Best:
    """The best finite value by experiment and key, over the runs that count as results.

    Attributes:
        values: By experiment id, then by key.
    """

    def __init__(self, metrics: MetricPatterns) -> None:
        self.wanted = lru_cache(maxsize=10_000)(metrics.matches)
        self.lower_wins = lru_cache(maxsize=10_000)(metrics.lower_wins)
        self.values: dict[int, dict[str, float]] = {}

    def load(self, rows: Iterable[Row]) -> None:
        """Replace everything by rows of `Queries.best`."""
        self.values = self._by_experiment(rows)

    def replace(self, experiments: Collection[int], rows: Iterable[Row]) -> bool:
        """Replace what is known of some experiments; return whether anything changed."""
        new = self._by_experiment(rows)
        before = {experiment: self.values.pop(experiment, {}) for experiment in experiments}
        after = {experiment: new.get(experiment, {}) for experiment in experiments}
        self.values.update((experiment, values) for experiment, values in after.items() if values)
        return before != after

    def replace_pairs(self, pairs: Collection[Pair], rows: Iterable[Row]) -> None:
        """Replace what is known of some pairs of experiment and key."""
        new = self._by_experiment(rows)
        for experiment, key in pairs:
            value = new.get(experiment, {}).get(key)
            if value is not None:
                self.values.setdefault(experiment, {})[key] = value
            else:
                self.values.get(experiment, {}).pop(key, None)

    def improve(self, experiment: int, metrics: Mapping[str, float]) -> None:
        """Take the values of a run into account."""
        values = self.values.setdefault(experiment, {})
        for key, value in metrics.items():
            if not abs(value) < STORED_INFINITY:
                continue
            known = values.get(key)
            if known is None or (value < known if self.lower_wins(key) else value > known):
                values[key] = value

    def held(self, experiment: int, metrics: Mapping[str, float]) -> list[Pair]:
        """Return the pairs whose best value a run with these values may hold."""
        values = self.values.get(experiment, {})
        return [(experiment, key) for key, value in metrics.items() if values.get(key) == value]

    def _by_experiment(self, rows: Iterable[Row]) -> dict[int, dict[str, float]]:
        found: dict[int, dict[str, float]] = {}
        for experiment, key, highest, lowest in rows:
            if self.wanted(key):
                found.setdefault(experiment, {})[key] = lowest if self.lower_wins(key) else highest
        return found
