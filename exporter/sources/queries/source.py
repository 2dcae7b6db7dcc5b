"""One query of the source `queries`, which is refreshed, limited and judged like any other source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar, Final

from typing_extensions import override

from ml_monitoring.exporter.catalog import Metric, MetricKind, Unit
from ml_monitoring.exporter.database import Row, connect
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.base import Source, SourceSettings
from ml_monitoring.exporter.sources.queries.rows import (
    QUOTED,
    STATEMENT_END,
    columns_of,
    number_of,
    problem_of_statement,
    statement_of,
)
from ml_monitoring.exporter.sources.queries.settings import QueriesSettings, QueryMetric
from ml_monitoring.exporter.suggestions import suggestion
from ml_monitoring.exporter.values import rereading

_MOST_ROWS: Final = 100_000
# A connection is kept where it is needed again within so many seconds: to make one costs more than most queries.
_KEPT_FOR: Final = 30.0
_TIME: Final = re.compile(r"\s*\d{4}-\d\d-\d\d")
# How a time as text becomes a number.
_SECONDS: Final = {
    "sqlite": "strftime('%s', {})",
    "postgresql": "extract(epoch from {}::timestamptz)",
    "mysql": "unix_timestamp({})",
}
_SHOWN_LINES: Final = 20
_LONGEST_EXPRESSION: Final = 60
# Where PostgreSQL shows the statement, which is not the settings' alone.
_STATEMENT: Final = re.compile(r"\s*\bLINE \d+: .*", re.DOTALL)
_COLUMN: Final = re.compile(r"\bq\.\"?(\w+)")
# What servers call what is not closed.
_SYNTAX: Final = re.compile(r"unrecognized token|unterminated|incomplete|syntax", re.IGNORECASE)


@dataclass
class _LeftOut:
    """Rows that gave a metric no sample, for one reason."""

    first: int
    rows: int = 0


class QueriesSource(Source):
    """Reads the metrics of one query.

    It keeps no connection between rare refreshes, so that any number of queries leaves a server its connections.

    Args:
        settings: What to read.
    """

    name: ClassVar[str] = "queries"
    Settings: ClassVar[type[SourceSettings]] = QueriesSettings
    are_named: ClassVar[bool] = True

    def __init__(self, settings: QueriesSettings) -> None:
        assert settings.uri is not None  # noqa: S101  # settings are completed by now
        self._settings = settings
        uri = settings.uri
        self._session = connect(uri.get_secret_value(), timeout=settings.timeout, read_again=rereading(uri))
        self._catalog = {name: _metric(name, metric) for name, metric in settings.metrics.items()}
        self._values = _distinct(metric.value for metric in settings.metrics.values())
        self._labels = _distinct(label for metric in settings.metrics.values() for label in metric.labels)
        self._statement = statement_of(settings.sql, self._values, self._labels, self._session.dialect)

    @override
    def collect(self) -> FamilySet:
        """Ask once."""
        families = FamilySet(self.name, catalog=self._catalog, max_series=self._settings.max_series)
        left_out: dict[str, _LeftOut] = {}
        try:
            with self._session.transaction(), closing(self._session.stream(self._statement)) as rows:
                for number, row in enumerate(rows, 1):
                    if number > _MOST_ROWS:
                        raise SourceError(
                            Reason.QUERY, f"gives more than {_MOST_ROWS:,} rows", hint="aggregate with GROUP BY"
                        )
                    self._add(families, row, number, left_out)
        except SourceError as error:
            raise self._of_settings(error) from None
        finally:
            if self._settings.interval > _KEPT_FOR:
                self._session.close()
        for problem, rows_of_it in left_out.items():
            families.skip(Reason.INVALID_VALUE, f"{problem}: {rows_of_it.rows} rows, first row {rows_of_it.first}")
        return families

    def _of_settings(self, error: SourceError) -> SourceError:
        """Return an error in the words of the settings: nobody wrote the statement that is made of them."""
        if error.reason not in (Reason.QUERY, Reason.SCHEMA):
            return error
        if problem := problem_of_statement(self._settings.sql):
            return SourceError(Reason.QUERY, problem)
        said = _STATEMENT.sub("", str(error)).replace(STATEMENT_END, "")
        if _SYNTAX.search(said) and re.search("['\"`]|/\\*", QUOTED.sub("", self._settings.sql)):
            return SourceError(Reason.QUERY, "sql: a quote or a comment is not closed", setting=("sql",))
        if (column := _COLUMN.search(said)) and (setting := self._setting_of(column[1])):
            found = self._names()
            names = [name for name in found if name.isidentifier()]
            has = f"; it has: {', '.join(names)}" if names else ""
            if nameless := _distinct(filter(None, (_expression(name, self._settings.sql) for name in found))):
                has += f"; write {' or '.join(nameless)} AS {column[1]}"
            known = {name.lower() for name in found} | {column[1].lower()}
            # The server names the first one alone.
            others = [name for name in (*self._values, *self._labels) if found and name.lower() not in known]
            said = "; ".join(
                f"{'.'.join(self._setting_of(name))}: the query has no column {name}{suggestion(name, names) or has}"
                for name in (column[1], *_distinct(others))
            )
            return SourceError(error.reason, said, hint=error.hint, setting=setting)
        return SourceError(error.reason, said, hint=error.hint)

    def _names(self) -> Sequence[str]:
        """Return the columns that the query has; none where they cannot be found out."""
        try:
            with self._session.transaction():
                return self._session.names(columns_of(self._settings.sql))
        except SourceError:
            return ()

    def _setting_of(self, column: str) -> tuple[str, ...]:
        """Return the setting that names a column, as the server spells it; empty where none does."""
        for name, metric in self._settings.metrics.items():
            if metric.value.lower() == column.lower():
                return "metrics", name, "value"
            if column.lower() in map(str.lower, metric.labels):
                return "metrics", name, "labels"
        return ()

    def _add(self, families: FamilySet, row: Row, number: int, left_out: dict[str, _LeftOut]) -> None:
        values = dict(zip(self._values, row, strict=False))
        texts = ("" if text is None else str(text) for text in row[len(self._values) :])
        labels = dict(zip(self._labels, texts, strict=True))
        for name, metric in self._settings.metrics.items():
            problem = ""
            try:
                value = number_of(values[metric.value])
            except ValueError:
                problem = f"{name}: {metric.value} is no number"
                if isinstance(text := values[metric.value], str) and _TIME.match(text):
                    made = _SECONDS[self._session.dialect].format(metric.value)
                    problem += f" but a time as text: write {made} AS {metric.value}"
            else:
                family, chosen = families[name], tuple(labels[label] for label in metric.labels)
                if chosen in family.samples:
                    problem = f"{name}: the same labels again"
                else:
                    family.add(value, *chosen)
            if problem:
                left_out.setdefault(problem, _LeftOut(number)).rows += 1

    @override
    def check(self) -> str:
        """Ask once, and show what becomes of it; a metric of which every row is left out is a mistake."""
        families = self.collect()
        useless: list[str] = []
        settings: list[tuple[str, ...]] = []
        for name, metric in self._settings.metrics.items():
            said = [problem.message for problem in families.problems if problem.message.startswith(f"{name}: ")]
            if said and not families[name].samples:
                of_value = not metric.labels or f"{metric.value} is no number" in said[0]
                useless += said
                settings.append(("metrics", name, "value" if of_value else "labels"))
        if useless:
            raise SourceError(Reason.INVALID_VALUE, f"no row can be used: {'; '.join(useless)}", setting=settings[0])
        shown = render_text(families).decode().splitlines()
        if len(shown) > _SHOWN_LINES:
            shown[_SHOWN_LINES:] = [f"... {len(shown) - _SHOWN_LINES} more lines"]
        problems = families.describe_problems(Reason.INVALID_VALUE)
        return "\n      ".join([f"{families.series} series{problems}", *shown])

    @override
    def abort(self) -> None:
        self._session.abort()

    @override
    def close(self) -> None:
        self._session.close()


def _expression(name: str, sql: str) -> str:
    """Return how a column can be written in a message that no AS names; empty where one seems to do.

    It is called by its expression, by PostgreSQL by the function in it or `?column?`.
    """
    if name.isidentifier():
        return f"{name}(...)" if re.search(rf"\b{name}\s*\(", sql, re.IGNORECASE) else ""
    return "..." if name == "?column?" or len(name) > _LONGEST_EXPRESSION else " ".join(name.split())


def _metric(name: str, metric: QueryMetric) -> Metric:
    return Metric(name, MetricKind(metric.type), metric.help, Unit.ANY, metric.labels, QueriesSource.name)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
