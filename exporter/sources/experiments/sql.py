"""Reads the metrics of one experiment by SQL: rows of arm, time, trials, sum, and maybe squares and cell."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration, ExperimentMetric
from ml_monitoring.exporter.sources.experiments.history import BatchHistory, Counter, Increments
from ml_monitoring.exporter.sources.experiments.prometheus import ExperimentError
from ml_monitoring.exporter.sources.experiments.reading import complete_batches

# Arm, time, trials and sum at least; squares and cell at most.
_COLUMNS: Final = range(4, 7)
# Seconds up to which a number is a time; milliseconds since the epoch are beyond.
_LAST: Final = 1e11
# What can fail for one query and not for others.
_OF_THE_QUERY: Final = frozenset({Reason.QUERY, Reason.SCHEMA, Reason.TIMEOUT, Reason.INVALID_VALUE})


def columns_of(metric: str) -> tuple[str, str, str]:
    """Return what trials, sums and squares of a metric by SQL are counted as."""
    return f"{metric} trials", f"{metric} sum", f"{metric} squares"


class QueryReader:
    """Follows the rows of one experiment over the batches of its history.

    Args:
        declaration: What is read.
        history: What was read before.
        append: Takes the increments of the next batch.
    """

    def __init__(
        self, declaration: ExperimentDeclaration, history: BatchHistory, append: Callable[[Increments], None]
    ) -> None:
        self._declaration = declaration
        self._append = append
        self.history = history

    def advance(self, session: Session, until: float) -> bool:
        """Read all batches that end before a moment; return False, as there are none left.

        Raises:
            ExperimentError: A query fails, or gives what cannot be counted.
            SourceError: The database cannot be reached.
        """
        history = self.history
        complete = complete_batches(history, until)
        if complete <= 0:
            return False
        since, end = history.end, history.end + complete * history.step
        batches: list[dict[Counter, float]] = [{} for _batch in range(complete)]
        try:
            with session.transaction():
                in_utc(session)
                for name, metric in self._declaration.metrics.items():
                    for row in read_rows(session, name, metric, since, end):
                        self._count(name, row, batches)
        except ExperimentError:
            raise
        except SourceError as error:
            kind = ExperimentError if error.reason in _OF_THE_QUERY else SourceError
            raise kind(error.reason, str(error), hint=error.hint) from None
        for increments in batches:
            self._append(increments)
        return False

    def _count(self, name: str, row: CountedRow, batches: Sequence[dict[Counter, float]]) -> None:
        index = math.floor((row.moment - self.history.end) / self.history.step)
        if row.arm not in self._declaration.arms or not 0 <= index < len(batches):
            return
        for what, amount in zip(columns_of(name), row.amounts, strict=True):
            if amount is not None:
                counter = Counter(what, row.arm, row.cell)
                batches[index][counter] = batches[index].get(counter, 0.0) + amount


class CountedRow(NamedTuple):
    """A row of a query.

    Attributes:
        arm: As it stands there.
        moment: Seconds since the epoch.
        amounts: Trials, sum, and sum of squares; None without.
        cell: Of the units; empty without.
    """

    arm: str
    moment: float
    amounts: tuple[float, float, float | None]
    cell: str


def read_rows(
    session: Session, name: str, metric: ExperimentMetric, since: float, until: float
) -> Iterator[CountedRow]:
    """Yield the rows of a metric's query, inside a transaction.

    Raises:
        ExperimentError: A row cannot be counted.
        SourceError: The query fails.
    """
    # In any zone the day may be the one before or after.
    moments = {"since": _moment(session, since, -1), "until": _moment(session, until, 2)}
    for number, row in enumerate(session.rows(metric.query or "", **moments), 1):
        if len(row) not in _COLUMNS:
            raise ExperimentError(
                Reason.SCHEMA,
                f"metrics.{name}.query gives {len(row)} columns",
                hint="it must give arm, time, trials, sum, and maybe squares and cell",
            )
        try:
            yield _counted(row, metric.kind)
        except ValueError as error:
            raise ExperimentError(Reason.INVALID_VALUE, f"metrics.{name}.query, row {number}: {error}") from None


def _counted(row: Sequence[Any], kind: str) -> CountedRow:
    """Return what a row counts.

    Raises:
        ValueError: It cannot be counted.
    """
    arm, moment, trials, total, squares, cell = (*row, None, None)[:6]
    amounts = _amount(trials, "trials"), _amount(total, "sum"), None if squares is None else _amount(squares, "squares")
    if amounts[0] < 0 or (kind != "mean" and amounts[1] < 0):
        raise ValueError("a count below 0")
    if kind == "proportion" and amounts[1] > amounts[0]:
        raise ValueError("more successes than trials")
    # No arm has the empty name.
    arm, cell = ("" if each is None else str(each) for each in (arm, cell))
    return CountedRow(arm, _epoch(moment), amounts, cell)


def in_utc(session: Session) -> None:
    """Let times without a zone be in UTC for the rest of a transaction, wherever the server is."""
    if session.dialect == "postgresql":
        session.rows("select set_config('TimeZone', 'UTC', true)")


def _moment(session: Session, moment: float, days: int) -> object:
    """Return a time as the database compares it with its own.

    SQLite has no times but texts, whose forms (`2026-03-02 08:00:00`, `2026-03-02T08:00:00+01:00`) cannot be compared
    with each other. Days can, and what is read beyond is left out when it is counted.
    """
    value = datetime.fromtimestamp(moment, UTC)
    return f"{value + timedelta(days=days):%Y-%m-%d}" if session.dialect == "sqlite" else value


def _epoch(value: Any) -> float:
    try:
        if isinstance(value, str) and not (value.isdigit() and len(value) > len("20260302")):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
        if abs(seconds := float(value)) < _LAST:
            return seconds
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{_shown(value)} is no time")


def _amount(value: Any, column: str) -> float:
    if value is None:
        # Nothing is not 0, and only who wrote the query knows whether it is meant.
        raise ValueError(f"{column} is NULL; where that means nothing, write coalesce(..., 0)")
    try:
        if math.isfinite(amount := float(value)):
            return amount
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{column} is {_shown(value)}, no number")


def _shown(value: Any) -> str:
    return "NULL" if value is None else textwrap.shorten(repr(value), 60)
