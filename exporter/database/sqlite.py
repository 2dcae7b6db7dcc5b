"""Sessions on SQLite."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from typing_extensions import override

from ml_monitoring.exporter.database.base import Dialect, Row, Session
from ml_monitoring.exporter.errors import Reason, SourceError

_HEADER = 100


class SqliteSession(Session):
    """A read-only SQLite connection."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: Path, *, timeout: float) -> None:
        self._path = path
        self._timeout = self._allowed = timeout
        self._deadline = float("inf")
        self._connection: sqlite3.Connection | None = None
        self._opened = 0
        self._inode = 0
        self._immutable = False

    @property
    def connection(self) -> sqlite3.Connection:
        """Return the open connection, opened now when there is none.

        Raises:
            SourceError: The file is missing, unreadable or not a database.
        """
        if self._connection is None:
            self._connection = self._open()
            self._opened += 1
        return self._connection

    def _open(self) -> sqlite3.Connection:
        # SQLite's own "unable to open database file" does not say why.
        try:
            with self._path.open("rb") as file:
                self._inode = os.fstat(file.fileno()).st_ino
                header = file.read(_HEADER)
        except OSError as error:
            hint = "check the path of the URI and the rights of the user that runs the exporter"
            raise SourceError(Reason.READ, f"{self._path}: {error.strerror}", hint=hint) from None
        self._immutable = self._must_be_immutable(header)
        try:
            connection = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?mode=ro{'&immutable=1' if self._immutable else ''}",
                uri=True,
                timeout=self._timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._error(error) from None
        # A name that is not UTF-8 must not take the source down.
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        connection.set_progress_handler(lambda: time.monotonic() > self._deadline, 10_000)
        return connection

    @contextlib.contextmanager
    @override
    def transaction(self) -> Iterator[None]:
        """Read from one state of the file; any error closes the connection."""
        self.allow(self._timeout)
        self._close_if_replaced()
        try:
            self.connection.execute("begin")
            yield
            self.connection.execute("rollback")
            if self._immutable:
                # Such a connection sees no change, so each transaction opens its own.
                self.close()
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from None
        except BaseException:
            self.close()
            raise

    @override
    def rows(self, sql: str, **parameters: object) -> list[Row]:
        try:
            return self.connection.execute(_translate(sql), _values(parameters)).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from None

    @override
    def stream(self, sql: str, **parameters: object) -> Iterator[Row]:
        try:
            yield from self.connection.execute(_translate(sql), _values(parameters))
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from None

    @override
    def allow(self, seconds: float) -> None:
        self._allowed = seconds
        self._deadline = time.monotonic() + seconds

    @property
    @override
    def opened(self) -> int:
        return self._opened

    @override
    def columns(self, tables: Sequence[str]) -> dict[str, frozenset[str]]:
        found = {
            table: frozenset(str(name) for (name,) in self.rows("select name from pragma_table_info(%(t)s)", t=table))
            for table in tables
        }
        return {table: columns for table, columns in found.items() if columns}

    @override
    def readable(self, tables: Sequence[str]) -> frozenset[str]:
        """Return those of the tables that exist; a file has no rights of its own."""
        return frozenset(self.columns(tables))

    @override
    def abort(self) -> None:
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.interrupt()

    @override
    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _must_be_immutable(self, header: bytes) -> bool:
        """Tell whether the file uses a write-ahead log and lies where SQLite cannot make one, as on a read-only disk.

        Without a log beside it everything is in the file itself.
        """
        write_ahead = header[18:19] == b"\x02"
        folder = self._path.resolve().parent
        log = self._path.resolve().with_name(f"{self._path.name}-wal")
        return write_ahead and not log.exists() and not os.access(folder, os.W_OK, effective_ids=True)

    def _close_if_replaced(self) -> None:
        """Close the connection to a file that was removed or replaced: it would show the old content for ever."""
        try:
            replaced = self._path.stat().st_ino != self._inode
        except OSError:
            replaced = True
        if replaced:
            self.close()

    def _error(self, error: sqlite3.Error) -> SourceError:
        text = f"{self._path}: {error}"
        lowered = str(error).lower()
        if "interrupted" in lowered:
            return SourceError(Reason.TIMEOUT, f"{self._path}: query took longer than {self._allowed:g} s")
        if "locked" in lowered or "busy" in lowered:
            hint = "another process holds a write lock for long; a PostgreSQL store does not have this limit"
            return SourceError(Reason.TIMEOUT, text, hint=hint)
        if "no such table" in lowered or "no such column" in lowered:
            return SourceError(Reason.SCHEMA, text)
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            return SourceError(Reason.READ, text, hint="is this file a SQLite database?")
        if "unable to open" in lowered or "disk" in lowered or "readonly" in lowered:
            return SourceError(Reason.READ, text)
        return SourceError(Reason.QUERY, text)


def _translate(sql: str) -> str:
    sql = re.sub(r"= any\(%\((\w+)\)s\)", r"in (select value from json_each(:\1))", sql)
    return re.sub(r"%\((\w+)\)s", r":\1", sql)


def _values(parameters: Mapping[str, object]) -> dict[str, object]:
    return {key: json.dumps(value) if isinstance(value, list) else value for key, value in parameters.items()}
