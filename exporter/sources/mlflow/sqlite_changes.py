"""Tracks the changes of a store in an SQLite file.

Whether anything was written shows in the file's state and its header, and so does, mostly, whether it was another
program than SQLite that wrote: a backup that was restored, or another store in its place. Then everything is read, and
so it is in a small store whenever anything was written, where that costs nothing.

Nothing shows what was written: all runs are read and compared with those that are remembered, which a local file
allows. The best values are compared in slices of experiments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from typing_extensions import override

from ml_monitoring.exporter.database.sqlite import FileVersion, SqliteSession
from ml_monitoring.exporter.sources.mlflow.changes import ChangeTracker, StoreChanges
from ml_monitoring.exporter.sources.mlflow.reader import StoreReader
from ml_monitoring.exporter.sources.mlflow.run_cache import Run, RunCache

_LISTED_PROBLEMS = 5
# Reading so many runs and values takes a few hundredths of a second.
_SMALL = 20_000


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
        assert isinstance(reader.session, SqliteSession)  # noqa: S101  # who makes the tracker looks
        self._session = reader.session
        self._version: FileVersion | None = None
        self._previous: FileVersion | None = None
        # Whether the pass under way, or the one before it, has seen everything that was written.
        self._compared = True
        self._small = True
        self._waiting: list[int] = []
        self._slice = 1

    @property
    @override
    def lost(self) -> bool:
        if self._previous is None or self._version is None or self._small:
            return True
        return not self._version.continues(self._previous)

    @override
    def advance(self) -> bool:
        self._previous, self._version = self._version, self._session.version
        return self._written

    @property
    def _written(self) -> bool:
        if self._previous is None or self._version is None:
            return True
        return not self._version.holds_same(self._previous)

    @override
    def restart(self) -> None:
        self._compared = True
        self._waiting = []
        self.problems = self._reader.unsound_rows(_LISTED_PROBLEMS)
        # Not all are counted, which would take long.
        limited = "select count(*) from (select 1 from latest_metrics limit %(most)s)"
        ((values,),) = self._session.rows(limited, most=_SMALL + 1)
        self._small = len(self._runs) + values <= _SMALL

    @override
    def changes(self) -> StoreChanges:
        runs: Mapping[str, Run | None] = {}
        if self._written:
            runs = self._runs.differences(self._reader.all_runs())
            if None in runs.values():
                # MLflow keeps what is deleted; without a run this may be another store.
                return StoreChanges(replaced=True)
            self._compared = False
        problems = self.problems
        if not self._waiting and not self._compared:
            self._compared = True
            self._waiting = self._runs.experiments()
            self._slice = max(1, -(-len(self._waiting) // self._slices))
            self.problems = self._reader.unsound_rows(_LISTED_PROBLEMS)
        experiments, self._waiting = self._waiting[: self._slice], self._waiting[self._slice :]
        return StoreChanges(
            runs=runs,
            experiments=frozenset(experiments),
            registry=self._written,
            problems=problems != self.problems,
        )

    @override
    def note_metrics_read(self, runs: Iterable[str]) -> None:
        # A pass compares what is there; it does not look for what is new.
        pass
