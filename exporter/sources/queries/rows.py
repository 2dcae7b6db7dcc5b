"""What the columns of a query's rows become: values and labels."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from ml_monitoring.exporter.database import Dialect

# A label that is longer is left out, and need not be read whole.
_LABEL_CHARACTERS: Final = 1_001

# Behind the query that is asked as a part of ours.
STATEMENT_END: Final = "\n) q"
_FIRST_WORD: Final = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*(\w+)", re.DOTALL)
# Texts, quoted names and comments; and words that change data, which may stand behind a WITH.
QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
_CHANGE: Final = re.compile(r"\b(?:insert\s+into|update\s+\w+\s+set|delete\s+from|merge\s+into)\b", re.IGNORECASE)
_STARTS: Final = ("select", "with", "values", "table")


def statement_of(sql: str, values: list[str], labels: list[str], dialect: Dialect) -> str:
    """Return the query that gives these columns of another one, labels as text.

    As a part of another query, a statement that writes or ends the transaction is an error of syntax.
    """
    columns = [_column(name, dialect) for name in values]
    columns += [_text(_column(name, dialect), dialect) for name in labels]
    # The line break ends a comment at its end.
    return f"select {', '.join(columns)} from (\n{sql.strip().rstrip(';')}{STATEMENT_END}"  # noqa: S608  # it is the settings'


def columns_of(sql: str) -> str:
    """Return the query that has all columns of another one, and no rows."""
    return f"select * from (\n{sql.strip().rstrip(';')}{STATEMENT_END} where 1 = 0"  # noqa: S608  # it is the settings'


def _column(name: str, dialect: Dialect) -> str:
    # As it stands, so that each server folds it as it folds what AS says; SQLite would take some names as keywords.
    return f'q."{name}"' if dialect == "sqlite" else f"q.{name}"


def _text(column: str, dialect: Dialect) -> str:
    if dialect == "sqlite":
        return f"substr(cast({column} as text), 1, {_LABEL_CHARACTERS})"
    return f"left(cast({column} as {'char' if dialect == 'mysql' else 'text'}), {_LABEL_CHARACTERS})"


def number_of(value: Any) -> float | None:
    """Return the value of a sample: times as seconds since the epoch, spans of time as seconds.

    Raises:
        ValueError: It is no number.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float | Decimal | str):
        try:
            return float(value)
        except OverflowError:
            raise ValueError("too large") from None
    raise ValueError("no number")


def problem_of_statement(sql: str) -> str:
    """Return the sentence about a text that is not one SELECT, as far as can be seen; empty where it may be one."""
    start = _FIRST_WORD.match(sql)
    plain = QUOTED.sub("", sql).strip()
    if start and start[1].lower() not in _STARTS:
        odd = f"begins with {start[1]}"
    elif found := _CHANGE.search(plain):
        odd = f"has {found[0]}"
    elif ";" in plain.removesuffix(";"):
        odd = "has several statements"
    else:
        return ""
    return f"sql {odd}: it must be one query that begins with SELECT or WITH"
