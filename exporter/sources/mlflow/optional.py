"""Collectors of what MLflow keeps besides runs and their metrics; each can be switched off.

None of it can be tracked by what changed, so it is counted again; what takes long is counted less often.
"""

from __future__ import annotations

import math
import re
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar

from typing_extensions import override

from ml_monitoring.exporter.database import Row, Session
from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow import optional_sql as sql

# What takes longer than this is read so rarely that it keeps the database busy for this share of the time.
_CHEAP_SECONDS = 0.1
_SHARE = 0.01
# What stands for all values that are not among the most common ones.
_OTHERS = "(other)"
# Of runs whose cost is none, so many are named.
_NAMED_RUNS = 5
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LOGGED_MODEL_STATUS = {1: "PENDING", 2: "READY", 3: "FAILED"}


def most_common(counts: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """Return so many values with the highest counts at most, the highest first, and the sum of all others' counts."""
    named = [item for item in counts.items() if item[0] != _OTHERS]
    shown = sorted(named, key=lambda item: (-item[1], item[0]))[:most]
    others = sum(counts.values()) - sum(count for _value, count in shown)
    return [*shown, *([(_OTHERS, others)] if others else [])]


class OptionalCollector(ABC):
    """Reads one table as a whole, in stores that have it.

    Attributes:
        table: The table.
        needs: Other tables without which it cannot be read.
    """

    table: ClassVar[str]
    needs: ClassVar[Sequence[str]] = ()

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
        self._available = [each for each in self._collectors if {each.table, *each.needs} <= columns.keys()]
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
        most: So many values of a tag at most.
    """

    table = "tags"

    def __init__(self, keys: Sequence[str], *, exposes: bool, most: int) -> None:
        super().__init__()
        self._keys = list(keys)
        self._exposes = exposes
        self._most = most
        self._counts: Mapping[str, Mapping[str, int]] = {}

    @override
    def read(self, session: Session, columns: frozenset[str]) -> None:
        rows = session.rows(sql.tagged_runs(session.dialect), keys=self._keys)
        counts: dict[str, dict[str, int]] = {key: {} for key in self._keys}
        for key, value, runs in rows:
            # MySQL finds keys of other case as well.
            if key in counts:
                counts[key][value or ""] = counts[key].get(value or "", 0) + runs
        self._counts = counts

    @override
    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        if self._exposes:
            for tag, counts in sorted(self._counts.items()):
                families["mlflow_tag_values"].add(len(counts), tag)
                for value, runs in most_common(counts, self._most):
                    families["mlflow_tagged_runs"].add(runs, tag, value)


class TaggedCosts(OptionalCollector):
    """Adds up the numbers that tags of runs hold, such as what each cost, by experiment.

    Args:
        keys: The tags.
    """

    table = "tags"

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__()
        self._keys = list(keys)
        # By experiment and tag.
        self._costs: Mapping[tuple[int, str], float] = {}
        # Runs without a number by experiment, the first of them by name.
        self._others: Mapping[int, tuple[int, Sequence[str]]] = {}

    @override
    def read(self, session: Session, columns: frozenset[str]) -> None:
        costs: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
        others: defaultdict[int, tuple[int, Sequence[str]]] = defaultdict(lambda: (0, ()))
        for experiment, run, key, value in session.stream(sql.RUN_COSTS, keys=self._keys):
            # MySQL finds keys of other case as well.
            if key not in self._keys:
                continue
            text = (value or "").strip()
            if _NUMBER.fullmatch(text) and math.isfinite(cost := float(text)):
                costs[experiment, key].append(cost)
            else:
                count, named = others[experiment]
                others[experiment] = count + 1, sorted([*named, f"run {run}, tag {key}"])[:_NAMED_RUNS]
        # The same sum in whatever order a database returns the rows.
        self._costs = {pair: math.fsum(values) for pair, values in costs.items()}
        self._others = others

    @override
    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        for (experiment, key), cost in sorted(self._costs.items()):
            if experiment in experiments:
                families["mlflow_tagged_cost"].add(cost, experiments[experiment], key)
        others = [self._others[experiment] for experiment in experiments if experiment in self._others]
        named = sorted(place for _count, places in others for place in places)[:_NAMED_RUNS]
        for place in named:
            families.skip(Reason.INVALID_VALUE, f"tags.value is no number: {place}")
        if more := sum(count for count, _places in others) - len(named):
            families.skip(Reason.INVALID_VALUE, f"and {more} more such tags")
