"""What a session is."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Literal

from ml_monitoring.exporter.database.text import Replaced

# The last one is SQLite's, of tables in memory.
Dialect = Literal["postgresql", "mysql", "sqlite", "memory"]
Row = tuple[Any, ...]


class Session(ABC):
    """One read-only connection; any error closes it, and the next use opens a new one.

    Attributes:
        replaced: The texts in which something that is not UTF-8 was replaced, since that was last cleared.
    """

    dialect: Dialect

    def __init__(self) -> None:
        self.replaced = Replaced()

    @abstractmethod
    def rows(self, sql: str, **parameters: object) -> list[Row]:
        """Run a query and return all rows; one without parameters is sent as it stands.

        Raises:
            SourceError: The query failed or took longer than the timeout.
        """

    @abstractmethod
    def stream(self, sql: str, **parameters: object) -> Generator[Row, None, None]:
        """Run a query whose rows must not all be in memory at once; to be read or closed inside the transaction.

        Raises:
            SourceError: The query failed or took longer than the timeout.
        """

    @abstractmethod
    def names(self, sql: str) -> tuple[str, ...]:
        """Return the names of the columns of a query, which is run.

        Raises:
            SourceError: The query failed or took longer than the timeout.
        """

    @property
    @abstractmethod
    def opened(self) -> int:
        """Return how many connections were opened so far; another number means another connection."""

    @abstractmethod
    def columns(self, tables: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the columns of those of the tables that exist.

        Raises:
            SourceError: The database could not be read.
        """

    @abstractmethod
    def readable(self, tables: Sequence[str]) -> frozenset[str]:
        """Return those of the tables that exist and may be read.

        Raises:
            SourceError: The database could not be read.
        """

    def narrow(self, conditions: Mapping[str, str]) -> None:  # noqa: B027  # a server's columns are of their types
        """Leave out the rows of tables that do not meet a condition, from now on.

        Raises:
            SourceError: The database could not be read.
        """

    @abstractmethod
    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Read everything inside from one consistent state of the database.

        Raises:
            SourceError: No connection could be made.
        """

    @abstractmethod
    def allow(self, seconds: float) -> None:
        """Let each statement take this long, until the transaction ends.

        Raises:
            SourceError: The database could not be reached.
        """

    @abstractmethod
    def abort(self) -> None:
        """Break off a running query; to be called from another thread."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""
