"""Sessions on tables in memory, which somebody else fills."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator, Sequence

from typing_extensions import override

from ml_monitoring.exporter.database.base import Dialect, Row, Session
from ml_monitoring.exporter.database.sqlite import translate, values_of
from ml_monitoring.exporter.errors import Reason, SourceError


class MemorySession(Session):
    """A connection that is open from the beginning to the end.

    Args:
        schema: SQL that makes the tables.

    Attributes:
        database: Where the tables are filled.
    """

    dialect: Dialect = "memory"

    def __init__(self, schema: str) -> None:
        super().__init__()
        # The thread that refreshes is not the one that closes.
        self.database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        # A root that is read-only has no place for temporary files.
        self.database.execute("pragma temp_store = memory")
        self.database.executescript(schema)

    @override
    def rows(self, sql: str, **parameters: object) -> list[Row]:
        return list(self.stream(sql, **parameters))

    @override
    def stream(self, sql: str, **parameters: object) -> Generator[Row, None, None]:
        try:
            yield from self.database.execute(translate(sql) if parameters else sql, values_of(parameters))
        except sqlite3.Error as error:
            raise _of(error) from None

    @override
    def names(self, sql: str) -> tuple[str, ...]:
        try:
            return tuple(column[0] for column in self.database.execute(sql).description)
        except sqlite3.Error as error:
            raise _of(error) from None

    @property
    @override
    def opened(self) -> int:
        return 1

    @override
    def columns(self, tables: Sequence[str]) -> dict[str, frozenset[str]]:
        found = {
            table: frozenset(str(name) for (name,) in self.rows("select name from pragma_table_info(%(t)s)", t=table))
            for table in tables
        }
        return {table: columns for table, columns in found.items() if columns}

    @override
    def readable(self, tables: Sequence[str]) -> frozenset[str]:
        return frozenset(self.columns(tables))

    @override
    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Return a context without an effect, as nothing is written but by the thread that reads."""
        return contextlib.nullcontext()

    @override
    def allow(self, seconds: float) -> None:
        pass

    @override
    def abort(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.database.interrupt()

    @override
    def close(self) -> None:
        """Give the memory back."""
        self.database.close()


def _of(error: sqlite3.Error) -> SourceError:
    reason = Reason.TIMEOUT if "interrupted" in str(error) else Reason.QUERY
    return SourceError(reason, f"tables in memory: {error}")
