"""Tracks the changes of a tracking server: what its answers said that was not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from typing_extensions import override

from ml_monitoring.exporter.sources.mlflow.best import BestMetrics
from ml_monitoring.exporter.sources.mlflow.changes import ChangeTracker, StoreChanges
from ml_monitoring.exporter.sources.mlflow.reader import Pair, StoreReader
from ml_monitoring.exporter.sources.mlflow.rest.rounds import Findings
from ml_monitoring.exporter.sources.mlflow.run_cache import Run


class RestChangeTracker(ChangeTracker):
    """Tracks the changes of a tracking server.

    Args:
        reader: Reads the tables of what was answered.
        refresh: Asks the server; returns what it found.
        best: The best values as they were at the last refresh.
    """

    # What a server answers is checked as it comes in.
    problems: Sequence[str] = ()

    def __init__(self, reader: StoreReader, refresh: Callable[[], Findings], best: BestMetrics) -> None:
        self._reader = reader
        self._refresh = refresh
        self._best = best
        self._found = Findings()

    @property
    @override
    def lost(self) -> bool:
        return self._found.everything

    @override
    def advance(self) -> bool:
        self._found = self._refresh()
        return bool(self._found)

    @override
    def restart(self) -> None:
        self._found = Findings()

    @override
    def changes(self) -> StoreChanges:
        runs = self._reader.runs(self._found.runs)
        return StoreChanges(
            runs={**runs, **dict.fromkeys(self._found.gone)},
            metrics=frozenset(self._found.runs),
            best=frozenset(self._late_values(runs.values())),
            registry=self._found.others,
        )

    def _late_values(self, runs: Iterable[Run | None]) -> Iterable[Pair]:
        """Return the best values that may be others because metrics of runs are."""
        states = {run: state for run, state in self._found.runs.items() if state is not None}
        now = {run.id: run for run in runs if run is not None and run.id in states}
        for run, metrics in self._reader.metrics(now):
            experiment = now[run].experiment
            before, known = states[run].metrics, self._best.get(experiment)
            for key in before.keys() | metrics.keys():
                old, new = before.get(key), metrics.get(key)
                better = now[run].counts_as_result and new is not None and self._best.improves(experiment, key, new)
                # A run that does not count any more held a value that it has overwritten since.
                if old != new and (better or (old is not None and known.get(key) == old)):
                    yield experiment, key

    @override
    def note_metrics_read(self, runs: Iterable[str]) -> None:
        # What changes afterwards is in the answers.
        pass
