"""Tracks the changes of a store in an SQLite file.

Whether anything was written shows in `PRAGMA data_version`. Nothing shows what: all runs are read and compared with
those that are remembered, which a local file allows. The best values are compared in slices of experiments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from typing_extensions import override

from ml_monitoring.exporter.sources.mlflow.changes import ChangeTracker, StoreChanges
from ml_monitoring.exporter.sources.mlflow.reader import StoreReader
from ml_monitoring.exporter.sources.mlflow.run_cache import RunCache

_LISTED_PROBLEMS = 5


class SqliteChangeTracker(ChangeTracker):
    """Tracks the changes of a store in an SQLite file.

    Args:
        reader: Reads the store.
        runs: The runs as they were at the last refresh.
        slices: In how many refreshes the whole store is compared.
    """

    def __init__(self, reader: StoreReader, runs: RunCache, slices: int) -> None:
        self._reader = reader
        self._runs = runs
        self._slices = slices
        self.problems: Sequence[str] = ()
        # The connection, and the version of the data that it sees.
        self._version: tuple[int, int] | None = None
        self._previous: tuple[int, int] | None = None
        self._compared: tuple[int, int] | None = None
        self._begun: tuple[int, int] | None = None
        self._waiting: list[int] = []
        self._slice = 1

    @property
    @override
    def lost(self) -> bool:
        # On another connection the number says nothing, and the file may be another one.
        return self._previous is None or self._previous[0] != self._reader.session.opened

    @override
    def advance(self) -> bool:
        ((version,),) = self._reader.session.rows("pragma data_version")
        self._previous, self._version = self._version, (self._reader.session.opened, version)
        return self._version != self._previous

    @override
    def restart(self) -> None:
        self._compared = self._begun = self._version
        self._waiting = []
        self.problems = self._find_problems()

    @override
    def changes(self) -> StoreChanges:
        written = self._version != self._previous
        runs = self._runs.differences(self._reader.all_runs()) if written else {}
        problems = self.problems
        if not self._waiting and self._version != self._compared:
            self._begun = self._version
            self._waiting = self._runs.experiments()
            self._slice = max(1, -(-len(self._waiting) // self._slices))
            self.problems = self._find_problems()
        experiments, self._waiting = self._waiting[: self._slice], self._waiting[self._slice :]
        if not self._waiting:
            self._compared = self._begun
        return StoreChanges(runs=runs, experiments=frozenset(experiments), problems=problems != self.problems)

    @override
    def note_metrics_read(self, runs: Iterable[str]) -> None:
        # A pass compares what is there; it does not look for what is new.
        pass

    def _find_problems(self) -> list[str]:
        assert self._reader.queries.bad_values is not None  # noqa: S101  # SQLite's queries have it
        rows = self._reader.session.rows(self._reader.queries.bad_values)
        bad = [f"{key!r} of run {run}" for run, key in rows]
        problems = [f"latest_metrics.value is text, not a number: metric {each}" for each in bad[:_LISTED_PROBLEMS]]
        if len(bad) > _LISTED_PROBLEMS:
            problems.append(f"and {len(bad) - _LISTED_PROBLEMS} more such values")
        return problems
