"""Reads the metrics of one experiment by SQL: rows of arm, time, trials, sum, and maybe squares and cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration, ExperimentMetric
from ml_monitoring.exporter.sources.experiments.history import BatchHistory, Counter, Increments
from ml_monitoring.exporter.sources.experiments.prometheus import ExperimentError
from ml_monitoring.exporter.sources.experiments.reading import complete_batches

# Arm, time, trials and sum at least; squares and cell at most.
_COLUMNS: Final = range(4, 7)
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
            counter = Counter(what, row.arm, row.cell)
            batches[index][counter] = batches[index].get(counter, 0.0) + amount


class CountedRow(NamedTuple):
    """A row of a query.

    Attributes:
        arm: As it stands there.
        moment: Seconds since the epoch.
        amounts: Trials, sum and sum of squares.
        cell: Of the units; empty without.
    """

    arm: str
    moment: float
    amounts: tuple[float, float, float]
    cell: str


def read_rows(
    session: Session, name: str, metric: ExperimentMetric, since: float, until: float
) -> Iterator[CountedRow]:
    """Yield the rows of a metric's query, inside a transaction.

    Raises:
        ExperimentError: A row cannot be counted.
        SourceError: The query fails.
    """
    moments = {"since": _moment(session, since), "until": _moment(session, until)}
    for row in session.rows(metric.query or "", **moments):
        if len(row) not in _COLUMNS:
            raise ExperimentError(
                Reason.SCHEMA,
                f"metrics.{name}.query gives {len(row)} columns",
                hint="it must give arm, time, trials, sum, and maybe squares and cell",
            )
        arm, moment, trials, total, squares, cell = (*row, None, None)[:6]
        amounts = _amount(trials, name), _amount(total, name), _amount(squares, name)
        if amounts[0] < 0 or (metric.kind != "mean" and amounts[1] < 0):
            raise ExperimentError(Reason.INVALID_VALUE, f"metrics.{name}.query gives a count below 0")
        if metric.kind == "proportion" and amounts[1] > amounts[0]:
            raise ExperimentError(Reason.INVALID_VALUE, f"metrics.{name}.query gives more successes than trials")
        yield CountedRow(str(arm), _epoch(moment, name), amounts, "" if cell is None else str(cell))


def _moment(session: Session, moment: float) -> object:
    """Return a time as the database compares it with its own."""
    value = datetime.fromtimestamp(moment, UTC)
    # SQLite has no times; this is how its own functions write them.
    return value.strftime("%Y-%m-%d %H:%M:%S") if session.dialect == "sqlite" else value


def _epoch(value: Any, name: str) -> float:
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
        if math.isfinite(seconds := float(value)):
            return seconds
    except (TypeError, ValueError, OverflowError):
        pass
    raise ExperimentError(Reason.INVALID_VALUE, f"metrics.{name}.query gives a row whose second column is no time")


def _amount(value: Any, name: str) -> float:
    try:
        if math.isfinite(amount := float(value if value is not None else 0)):
            return amount
    except (TypeError, ValueError, OverflowError):
        pass
    raise ExperimentError(Reason.INVALID_VALUE, f"metrics.{name}.query gives what is no number")
