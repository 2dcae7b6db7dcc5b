"""Reads an MLflow store, whatever version of MLflow it is of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from ml_monitoring.exporter.database import Row, Session
from ml_monitoring.exporter.database.postgres import PostgresSession
from ml_monitoring.exporter.sources.mlflow import contents, sql
from ml_monitoring.exporter.sources.mlflow.run_cache import Run, RunCache
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings
from ml_monitoring.exporter.sources.mlflow.sql import LabelSource, Queries

# An experiment's id and the key of a metric.
Pair = tuple[int, str]
BestValues = dict[int, dict[str, float]]
# Gives the metrics of each of some runs, as `StoreReader.metrics` does.
ReadMetrics = Callable[[Iterable[str]], Iterator[tuple[str, dict[str, float]]]]
_BATCH = 2_000


class StoreReader:
    """Runs the queries of one store.

    Attributes:
        session: The connection.
        columns: Columns of the store's tables, as far as they may be read.
        queries: The SQL for the store as it is now.
        labels: For each label of the settings the places to look at, first found counts.
        children: Whether it matters which runs have a parent.
        exposes: Tells whether metrics of a key are wanted.
        lower_wins: Tells whether the lowest value of a metric is the best one.
    """

    queries: Queries

    def __init__(self, session: Session, settings: MlflowSettings) -> None:
        self.session = session
        self.columns: Mapping[str, frozenset[str]] = {}
        self.labels = [[LabelSource.parse(text) for text in sources] for sources in settings.labels.values()]
        self.children = settings.children
        self.exposes = lru_cache(maxsize=10_000)(settings.metrics.matches)
        self.lower_wins = lru_cache(maxsize=10_000)(settings.metrics.lower_wins)
        self._label_keys = sql.label_parameters(self.labels)

    def readable_columns(self) -> dict[str, frozenset[str]]:
        """Look up what the store has and may be read."""
        columns = self.session.columns(sql.TABLES)
        # Who was given rights on the tables of an older version does without those that are new.
        hidden = set(sql.EXTRA_TABLES) - self.session.readable(sql.EXTRA_TABLES)
        return {table: names for table, names in columns.items() if table not in hidden}

    def fit(self, columns: Mapping[str, frozenset[str]]) -> None:
        """Make the queries for a store that has these columns.

        Raises:
            SourceError: The store is not one of MLflow's.
        """
        sql.require_schema(columns)
        self.session.replaced.clear()
        self.session.narrow(contents.sound(columns))
        self.queries = sql.build(self.session.dialect, columns, self.labels, children=self.children)
        self.columns = columns

    def all_runs(self) -> Iterator[Run]:
        """Read all runs, to be read to its end inside the transaction."""
        return map(Run.of_row, self.session.stream(self.queries.runs, **self._label_keys))

    def load_runs(self, runs: RunCache) -> None:
        """Read all runs into a cache in place of what it holds."""
        if isinstance(self.session, PostgresSession):
            runs.clear()
            self.session.copy(self.queries.runs, runs.add_line, **self._label_keys)
        else:
            runs.load(self.all_runs())

    def runs(self, ids: Iterable[str]) -> dict[str, Run | None]:
        """Read some runs, None for those that are gone."""
        found: dict[str, Run | None] = {}
        for some in _batches(sorted(ids)):
            rows = self.session.rows(self.queries.runs_by_id, runs=some, **self._label_keys)
            found.update({**dict.fromkeys(some), **{run.id: run for run in map(Run.of_row, rows)}})
        return found

    def run_rows(self, ranges: Sequence[tuple[str, str]]) -> list[Row]:
        """Read the rows of `runs` in ranges of ids, each with its first id and the one that comes after its last."""
        parts: list[str] = []
        ids: dict[str, str] = {}
        for number, (first, last) in enumerate(ranges):
            parts.append(f"({self.queries.run_rows.format(first=f'%(first_{number})s', last=f'%(last_{number})s')})")
            ids.update({f"first_{number}": first, f"last_{number}": last})
        return self.session.rows(" union all ".join(parts), **ids)

    def metrics(self, runs: Iterable[str]) -> Iterator[tuple[str, dict[str, float]]]:
        """Read the last-logged values of each run by key, NaN and what is not exposed left out."""
        for some in _batches(runs):
            found: dict[str, dict[str, float]] = {run: {} for run in some}
            for run, key, value, is_nan in self.session.rows(self.queries.run_metrics, runs=some):
                if not is_nan and self.exposes(key):
                    found[run][key] = value
            yield from found.items()

    def texts(self, runs: Iterable[str], keys: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Read the params and tags of these keys: run, key and value of each."""
        for some in _batches(runs):
            for query in self.queries.run_texts:
                for run, key, value in self.session.rows(query, runs=some, keys=list(keys)):
                    yield run, key, value or ""

    def unsound_rows(self, listed: int) -> list[str]:
        """Return which rows of an SQLite file are left out, as one of their columns holds something it is not for."""
        problems: list[str] = []
        for query in contents.unsound(self.columns, listed):
            rows = self.session.rows(query, keys=[*self._label_keys.values(), sql.PARENT_TAG])
            problems += [f"{what}: {which}" for what, which, _count in rows]
            if rows and rows[0][2] > len(rows):
                problems.append(f"and {rows[0][2] - len(rows)} more such rows of {rows[0][0].partition('.')[0]}")
        return problems

    def best(self) -> BestValues:
        """Read the best finite values by experiment and key, over the runs that count as results."""
        return self._best(self.session.rows(self.queries.best))

    def best_of_experiments(self, experiments: Collection[int]) -> BestValues:
        """Read the best values of some experiments."""
        return self._best(self.session.rows(self.queries.best_of_experiments, experiments=sorted(experiments)))

    def best_of_pairs(self, pairs: Collection[Pair]) -> BestValues:
        """Read the best values of at least these pairs."""
        ids, keys = sorted({pair[0] for pair in pairs}), sorted({pair[1] for pair in pairs})
        # A key in which something was replaced cannot be asked for.
        if any("\ufffd" in key for key in keys):
            return self.best_of_experiments(ids)
        return self._best(self.session.rows(self.queries.best_of_pairs, experiments=ids, keys=keys))

    def best_between(self, first: str, last: str) -> BestValues:
        """Read the best values over the runs whose ids begin so, or come after it but before the other one."""
        return self._best(self.session.rows(self.queries.best_between, first=first, last=last))

    def _best(self, rows: Sequence[Row]) -> BestValues:
        found: BestValues = {}
        for experiment, key, highest, lowest in rows:
            if self.exposes(key):
                found.setdefault(experiment, {})[key] = lowest if self.lower_wins(key) else highest
        return found


def _batches(items: Iterable[str]) -> Iterator[list[str]]:
    """Return items in lists of a length that a query can take."""
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
