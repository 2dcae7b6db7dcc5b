"""Keeps what is remembered of an MLflow store up to date, at the cost of what changed.

A `Follower` reads everything once. From then on each refresh finds out which runs changed, reads those by id, and
corrects the sums. Not every change shows in the row of its run: a metric or tag can be written to a run that ended
long ago. Such changes are looked for in rounds, a slice of the store at each refresh; a round takes half of the
setting `reconcile`, so that nothing stays hidden for longer than that. While nobody writes there are no rounds.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.sources.mlflow import sql
from ml_monitoring.exporter.sources.mlflow.best import Best, Pair
from ml_monitoring.exporter.sources.mlflow.mirror import Mirror, Run
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings
from ml_monitoring.exporter.sources.mlflow.sql import LabelSource, Queries

# Whatever else goes wrong: what is remembered is thrown away and read anew this often, if anything was written.
_RENEW_SECONDS = 24 * 3600.0
_BATCH = 2_000


@dataclass(slots=True)
class Findings:
    """What a look at the store brought.

    Attributes:
        runs: Ids of runs to read again.
        changes: Runs that were read already, None for those that are gone.
        pairs: Best values to read again.
        touched: Runs whose metrics changed.
        changed: Something else changed that is exposed.
    """

    runs: set[str] = field(default_factory=set)
    changes: dict[str, Run | None] = field(default_factory=dict)
    pairs: set[Pair] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    changed: bool = False

    def __bool__(self) -> bool:
        return bool(self.runs or self.changes or self.pairs or self.touched or self.changed)


class Follower(ABC):
    """Follows one store.

    Attributes:
        mirror: All runs and the sums over them.
        best: The best values.
        columns: Columns of the store's tables.
        queries: The SQL for the store as it is now.
        touched: Runs whose metrics may have changed since the caller last emptied this.
        readings: How many times everything was read.
        reads_all: Whether the last refresh read everything, or the one under way does.
        slices: How many slices, and refreshes, a round has.
    """

    def __init__(self, session: Session, settings: MlflowSettings) -> None:
        self.mirror = Mirror()
        self.best = Best(settings.metrics)
        self.touched: set[str] = set()
        self.readings = 0
        self.reads_all = False
        self._first_limit = settings.first_limit
        self._session = session
        self._labels = [[LabelSource.parse(text) for text in sources] for sources in settings.labels.values()]
        self.slices = max(1, math.ceil(settings.reconcile / 2 / settings.interval))
        self.queries: Queries
        self._children = settings.children
        self.columns: Mapping[str, frozenset[str]] = {}
        self._complete = False
        self._renew_at = 0.0

    def close(self) -> None:
        """Give the memory back."""
        self.mirror.close()

    def forget(self) -> None:
        """Read everything at the next refresh, because a refresh was broken off."""
        self._complete = False

    def refresh(self) -> bool:
        """Take over what changed, inside a transaction; return False when all is as it was.

        Raises:
            SourceError: The store could not be read, or is not one of MLflow's.
        """
        moved = self._moved()
        if moved or not self._complete:
            columns = self._readable()
            if not self._complete or columns != self.columns or self._must_renew():
                self._read_everything(columns)
                return True
        findings = Findings()
        if moved:
            self._find_changes(findings)
        self._reconcile(findings)
        if not moved and not findings:
            return False
        self._take(findings)
        return True

    @abstractmethod
    def _moved(self) -> bool:
        """Look where the store stands; return whether anything may have been written since the last time."""

    @abstractmethod
    def _must_renew(self) -> bool:
        """Tell whether what is remembered cannot be trusted any more."""
        return time.monotonic() > self._renew_at

    @abstractmethod
    def _find_changes(self, findings: Findings) -> None:
        """Find the runs whose rows changed."""

    @abstractmethod
    def _reconcile(self, findings: Findings) -> None:
        """Look through a slice of the store for changes that do not show in the row of a run."""

    @abstractmethod
    def _note_reading(self, runs: Iterable[str]) -> None:
        """Note that the metrics of these runs were read as they are now."""

    @abstractmethod
    def _restart_rounds(self) -> None:
        """Begin the rounds from here, because everything was just read."""

    def _read_everything(self, columns: Mapping[str, frozenset[str]]) -> None:
        self._complete = False
        self.reads_all = True
        self._session.allow(self._first_limit)
        sql.require_schema(columns)
        self.queries = sql.build(self._session.dialect, columns, self._labels, children=self._children)
        self.columns = columns
        self.mirror.load(self._all_runs())
        self.best.load(self._session.rows(self.queries.best))
        self.readings += 1
        self._restart_rounds()
        self._renew_at = time.monotonic() + _RENEW_SECONDS
        self._complete = True

    def _readable(self) -> dict[str, frozenset[str]]:
        columns = self._session.columns(sql.TABLES)
        # Who was given rights on the tables of an older version does without those that are new.
        hidden = set(sql.EXTRA_TABLES) - self._session.readable(sql.EXTRA_TABLES)
        return {table: names for table, names in columns.items() if table not in hidden}

    def _all_runs(self) -> Iterator[Run]:
        parameters = sql.label_parameters(self._labels)
        return map(Run.of_row, self._session.stream(self.queries.runs, **parameters))

    def _take(self, findings: Findings) -> None:
        """Bring sums and best values up to date."""
        changes = findings.changes
        for ids in batches(sorted(findings.runs)):
            parameters = sql.label_parameters(self._labels)
            read = map(Run.of_row, self._session.rows(self.queries.runs_by_id, runs=ids, **parameters))
            changes.update({**dict.fromkeys(ids), **{run.id: run for run in read}})
        self.touched |= findings.touched
        pairs = findings.pairs
        vanished: set[int] = set()
        leaving: dict[str, int] = {}
        results: dict[str, int] = {}
        for old, new in self.mirror.apply(changes):
            counts = new is not None and new.counts_as_result
            if new is not None and counts:
                results[new.id] = new.experiment
            if old is None or not old.counts_as_result:
                continue
            if new is None:
                # Its metrics went along with it.
                vanished.add(old.experiment)
            elif not counts or new.experiment != old.experiment:
                leaving[old.id] = old.experiment
        for ids in batches([*results, *(run for run in leaving if run not in results)]):
            for run, metrics in self.metrics(ids).items():
                if run in leaving:
                    pairs.update(self.best.held(leaving[run], metrics))
                if run in results:
                    self.best.improve(results[run], metrics)
        self.touched.update(results)
        self._read_best(pairs, vanished)

    def _read_best(self, pairs: Collection[Pair], experiments: Collection[int]) -> None:
        if experiments:
            ids = sorted(experiments)
            self.best.replace(ids, self._session.rows(self.queries.best_of_experiments, experiments=ids))
        if pairs:
            ids, keys = sorted({pair[0] for pair in pairs}), sorted({pair[1] for pair in pairs})
            rows = self._session.rows(self.queries.best_of_pairs, experiments=ids, keys=keys)
            self.best.replace_pairs(pairs, rows)

    def metrics(self, runs: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return the last-logged values of runs by key, NaN and what is not wanted left out."""
        found: dict[str, dict[str, float]] = {run: {} for run in runs}
        if runs:
            for run, key, value, is_nan in self._session.rows(self.queries.run_metrics, runs=list(runs)):
                if not is_nan and self.best.wanted(key):
                    found[run][key] = value
        self._note_reading(runs)
        return found


def batches(items: Iterable[str]) -> Iterator[list[str]]:
    """Return items in lists of a length that a query can take."""
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
