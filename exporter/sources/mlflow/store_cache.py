"""What is remembered of an MLflow store, kept up to date at the cost of what changed.

Everything is read once. From then on a change tracker finds what was written since the last refresh, and each part of
the cache takes that over.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.sources.mlflow.aggregates import Aggregates
from ml_monitoring.exporter.sources.mlflow.best import BestMetrics
from ml_monitoring.exporter.sources.mlflow.changes import ChangeTracker, StoreChanges
from ml_monitoring.exporter.sources.mlflow.latest import LatestMetrics
from ml_monitoring.exporter.sources.mlflow.mysql_changes import MysqlChangeTracker
from ml_monitoring.exporter.sources.mlflow.postgres_changes import PostgresChangeTracker
from ml_monitoring.exporter.sources.mlflow.reader import StoreReader
from ml_monitoring.exporter.sources.mlflow.registry import Registry
from ml_monitoring.exporter.sources.mlflow.rest.changes import RestChangeTracker
from ml_monitoring.exporter.sources.mlflow.rest.session import RestSession
from ml_monitoring.exporter.sources.mlflow.run_cache import RunCache
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings
from ml_monitoring.exporter.sources.mlflow.sqlite_changes import SqliteChangeTracker

# Whatever else goes wrong: everything is read again this often, if anything was written.
_RELOAD_SECONDS = 24 * 3600.0


class StoreCache:
    """What is remembered of one store.

    Attributes:
        reader: Reads the store.
        runs: All runs.
        aggregates: The sums over the runs of each experiment.
        best: The best value of each metric in each experiment.
        latest: The metrics of the latest and of the aliased runs.
        registry: The registered model versions.
        slices: In how many refreshes a pass through the store finds what shows in no run.
        loads: How many times everything was read.
        loading: Whether the last refresh read everything, or the one under way does.
    """

    def __init__(self, session: Session, settings: MlflowSettings) -> None:
        self.reader = StoreReader(session, settings)
        self.runs = RunCache()
        self.aggregates = Aggregates(self.runs, settings.max_series)
        self.best = BestMetrics(self.reader, self._read_metrics)
        self.slices = max(1, math.ceil(settings.reconcile / 2 / settings.interval))
        # What is read for it alone does not count as read: the best values may not know of it yet.
        self.latest = LatestMetrics(self.reader.metrics, self.slices)
        self.registry = Registry(self.reader, self.runs, settings.shard.owns, settings.max_series)
        self.loads = 0
        self.loading = False
        self._tracker: ChangeTracker
        if isinstance(session, RestSession):
            self._tracker = RestChangeTracker(self.reader, session.refresh, self.best)
        elif session.dialect == "postgresql":
            self._tracker = PostgresChangeTracker(self.reader, self.runs, self.slices)
        elif session.dialect == "mysql":
            self._tracker = MysqlChangeTracker(self.reader, self.runs, self.best, self.slices)
        else:
            self._tracker = SqliteChangeTracker(self.reader, self.runs, self.slices)
        self._first_limit = settings.first_limit
        self._complete = False
        self._reload_at = 0.0

    @property
    def problems(self) -> Sequence[str]:
        """Return which values of the store are not what their column is for."""
        return self._tracker.problems

    def close(self) -> None:
        """Give the memory back."""
        self.runs.clear()

    @contextlib.contextmanager
    def refreshed(self) -> Iterator[bool]:
        """Take over what changed; what is done inside sees the same state of the database.

        Yields:
            Whether anything changed.

        Raises:
            SourceError: The store could not be read, or is not one of MLflow's.
        """
        self.loading = False
        try:
            with self.reader.session.transaction():
                yield self._refresh()
        except BaseException:
            # It is not known how far it came.
            self._complete = False
            raise

    def _refresh(self) -> bool:
        written = self._tracker.advance()
        if written or not self._complete:
            columns = self.reader.readable_columns()
            known = self._complete and columns == self.reader.columns and time.monotonic() < self._reload_at
            if not known or self._tracker.lost:
                self._load(columns)
                return True
        changes = self._tracker.changes()
        if changes.replaced:
            self._load(self.reader.columns)
            return True
        return self._apply(changes) or written

    def _load(self, columns: Mapping[str, frozenset[str]]) -> None:
        self.loading = True
        self._complete = False
        self.reader.session.allow(self._first_limit)
        self.reader.fit(columns)
        self.reader.load_runs(self.runs)
        self.aggregates.load()
        self.best.load()
        self.latest.clear()
        self.registry.load()
        self.loads += 1
        self._tracker.restart()
        self._reload_at = time.monotonic() + _RELOAD_SECONDS
        self._complete = True

    def _apply(self, changes: StoreChanges) -> bool:
        """Take changes over; return whether there were any."""
        runs = self.runs.apply(changes.runs)
        self.aggregates.apply(runs)
        self.latest.apply({*changes.metrics, *(new.id for _old, new in runs if new and new.counts_as_result)})
        self.registry.apply(runs)
        if changes.registry:
            self.registry.load()
        best_differs = self.best.apply(runs, pairs=changes.best, experiments=changes.experiments)
        return bool(changes) or best_differs

    def _read_metrics(self, runs: Iterable[str]) -> Iterator[tuple[str, dict[str, float]]]:
        for run, metrics in self.reader.metrics(runs):
            self._tracker.note_metrics_read([run])
            yield run, metrics
