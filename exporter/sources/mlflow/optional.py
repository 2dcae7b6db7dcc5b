"""Collectors of what MLflow keeps besides runs and their metrics; each can be switched off.

None of it can be tracked by what changed, so it is counted again; what takes long is counted less often.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar

from typing_extensions import override

from ml_monitoring.exporter.database import Row, Session
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow import optional_sql as sql

# What takes longer than this is read so rarely that it keeps the database busy for this share of the time.
_CHEAP_SECONDS = 0.1
_SHARE = 0.01
_LOGGED_MODEL_STATUS = {1: "PENDING", 2: "READY", 3: "FAILED"}


class OptionalCollector(ABC):
    """Reads one table as a whole, in stores that have it."""

    table: ClassVar[str]

    def __init__(self) -> None:
        self._due_at = 0.0
        self._outdated = True

    @property
    def due(self) -> bool:
        """Tell whether a change waits to be read, and may be read now."""
        return self._outdated and time.monotonic() >= self._due_at

    def mark_outdated(self) -> None:
        """Note that something was written."""
        self._outdated = True

    def refresh(self, session: Session, columns: frozenset[str]) -> None:
        """Read the table if that is due."""
        if not self.due:
            return
        started = time.monotonic()
        self.read(session, columns)
        ended = time.monotonic()
        self._outdated = False
        self._due_at = ended + (ended - started) / _SHARE if ended - started > _CHEAP_SECONDS else 0.0

    @abstractmethod
    def read(self, session: Session, columns: frozenset[str]) -> None:
        """Read the table, which has these columns."""

    @abstractmethod
    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        """Expose what was read about these experiments."""


class OptionalCollectors:
    """The collectors that are switched on, as far as the store has their tables."""

    def __init__(self, session: Session, collectors: Sequence[OptionalCollector]) -> None:
        self._session = session
        self._collectors = collectors
        self._available: Sequence[OptionalCollector] = ()

    @property
    def due(self) -> bool:
        """Tell whether something waits to be read although nothing was written since the last refresh."""
        return any(collector.due for collector in self._available)

    def refresh(self, columns: Mapping[str, frozenset[str]], *, changed: bool) -> None:
        """Read what is due.

        Args:
            columns: What the store has.
            changed: Whether anything was written since the last time.
        """
        self._available = [collector for collector in self._collectors if collector.table in columns]
        for collector in self._collectors:
            if changed:
                collector.mark_outdated()
        for collector in self._available:
            collector.refresh(self._session, columns[collector.table])

    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        """Expose what was read about these experiments."""
        for collector in self._available:
            collector.add(families, experiments)


class Datasets(OptionalCollector):
    """Counts datasets."""

    table = "datasets"
    _counts: Mapping[int, int]

    @override
    def read(self, session: Session, columns: frozenset[str]) -> None:
        self._counts = dict(session.rows(sql.DATASETS))

    @override
    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        for experiment, name in experiments.items():
            families["mlflow_datasets"].add(self._counts.get(experiment), name)


class LoggedModels(OptionalCollector):
    """Counts the logged models of MLflow 3."""

    table = "logged_models"
    _rows: Mapping[int, Sequence[Row]]

    @override
    def read(self, session: Session, columns: frozenset[str]) -> None:
        rows: dict[int, list[Row]] = defaultdict(list)
        for experiment, *row in session.rows(sql.LOGGED_MODELS):
            rows[experiment].append(tuple(row))
        self._rows = rows

    @override
    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        counts, last = families["mlflow_logged_models"], families["mlflow_last_logged_model_timestamp_seconds"]
        for experiment, name in experiments.items():
            rows = self._rows.get(experiment, ())
            for status, count, _created in sorted(rows):
                counts.add(count, name, _LOGGED_MODEL_STATUS.get(status, str(status)))
            if rows:
                last.add(max(created for _status, _count, created in rows) / 1000, name)


class TaggedRuns(OptionalCollector):
    """Counts runs by the values of some tags, in the whole store.

    Args:
        keys: The tags.
        exposes: Whether this exporter is the one of several that exposes them.
    """

    table = "tags"

    def __init__(self, keys: Sequence[str], *, exposes: bool) -> None:
        super().__init__()
        self._keys = list(keys)
        self._exposes = exposes
        self._rows: Sequence[Row] = ()

    @override
    def read(self, session: Session, columns: frozenset[str]) -> None:
        rows = session.rows(sql.tagged_runs(session.dialect), keys=self._keys)
        # MySQL finds keys of other case as well.
        self._rows = [row for row in rows if row[0] in self._keys]

    @override
    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        if self._exposes:
            for tag, value, runs in sorted(self._rows):
                families["mlflow_tagged_runs"].add(runs, tag, value or "")
