"""The best value of each metric in each experiment, kept up to date by what changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ml_monitoring.exporter.sources.mlflow.reader import BestValues, Pair, ReadMetrics, StoreReader
from ml_monitoring.exporter.sources.mlflow.run_cache import Run
from ml_monitoring.exporter.sources.mlflow.sql import STORED_INFINITY


class BestMetrics:
    """The best finite value by experiment and key, over the runs that count as results.

    Args:
        reader: Where values are read again whose run is gone.
        read_metrics: Reads the metrics of runs.
    """

    def __init__(self, reader: StoreReader, read_metrics: ReadMetrics) -> None:
        self._reader = reader
        self._read_metrics = read_metrics
        self._values: BestValues = {}

    def get(self, experiment: int) -> Mapping[str, float]:
        """Return the best values of an experiment by key."""
        return self._values.get(experiment, {})

    def pairs(self) -> dict[Pair, float]:
        """Return all best values as they are now, by experiment and key."""
        return {(of, key): value for of, values in self._values.items() for key, value in values.items()}

    def load(self) -> None:
        """Read everything."""
        self._values = self._reader.best()

    def apply(
        self,
        changes: Iterable[tuple[Run | None, Run | None]],
        *,
        pairs: Collection[Pair],
        experiments: Collection[int],
    ) -> bool:
        """Take changes over.

        Args:
            changes: Runs as they were before and as they are now.
            pairs: Values to read again besides.
            experiments: Experiments to read again besides.

        Returns:
            Whether an experiment that was read again differs from what was known.
        """
        pairs, experiments = set(pairs), set(experiments)
        results: dict[str, int] = {}
        leaving: dict[str, int] = {}
        for old, new in changes:
            if new is not None and new.counts_as_result:
                results[new.id] = new.experiment
            if old is None or not old.counts_as_result:
                continue
            if new is None:
                # Its metrics went along with it.
                experiments.add(old.experiment)
            elif results.get(old.id) != old.experiment:
                leaving[old.id] = old.experiment
        for run, metrics in self._read_metrics(dict.fromkeys([*results, *leaving])):
            if run in leaving:
                pairs.update(self._held(leaving[run], metrics))
            if run in results:
                self._improve(results[run], metrics)
        differs = bool(experiments) and self._replace(experiments)
        if pairs:
            self._replace_pairs(pairs)
        return differs

    def improves(self, experiment: int, key: str, value: float) -> bool:
        """Tell whether a value is better than what is known."""
        known = self.get(experiment).get(key)
        return known is None or (value < known if self._reader.lower_wins(key) else value > known)

    def _improve(self, experiment: int, metrics: Mapping[str, float]) -> None:
        """Take the values of a run into account."""
        values = self._values.setdefault(experiment, {})
        for key, value in metrics.items():
            if not abs(value) < STORED_INFINITY:
                continue
            if self.improves(experiment, key, value):
                values[key] = value

    def _held(self, experiment: int, metrics: Mapping[str, float]) -> list[Pair]:
        """Return the pairs whose best value a run with these values may hold."""
        values = self.get(experiment)
        return [(experiment, key) for key, value in metrics.items() if values.get(key) == value]

    def _replace(self, experiments: Collection[int]) -> bool:
        new = self._reader.best_of_experiments(experiments)
        before = {experiment: self._values.pop(experiment, {}) for experiment in experiments}
        after = {experiment: new.get(experiment, {}) for experiment in experiments}
        self._values.update((experiment, values) for experiment, values in after.items() if values)
        return before != after

    def _replace_pairs(self, pairs: Collection[Pair]) -> None:
        new = self._reader.best_of_pairs(pairs)
        for experiment, key in pairs:
            value = new.get(experiment, {}).get(key)
            if value is not None:
                self._values.setdefault(experiment, {})[key] = value
            else:
                self._values.get(experiment, {}).pop(key, None)
