"""Sessions on SQLite.

Anybody may restore a file from a backup, copy over it, move it away, or remove the files beside it, all under a reader.
A connection that was open by then goes on to show what it holds in memory, or in files that are gone. So each
transaction opens a connection of its own, and `FileVersion` tells whether anything was written.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from typing_extensions import override

from ml_monitoring.exporter.database.base import Dialect, Row, Session
from ml_monitoring.exporter.database.text import decode, noting
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.regular_files import Identity, open_regular, require_regular

_HEADER = 100
_LOG_HEADER = 32
# Times of files are this exact, in ns: what was written so shortly before a look may be followed by more of the same
# time. Old file systems know whole seconds, or every other one.
_EXACT, _COARSE = 50_000_000, 2_000_000_000
# How often the write-ahead log may have begun again between two looks.
_RESTARTS = 1_000_000


class FileVersion(NamedTuple):
    """A state of a database file and the write-ahead log beside it.

    Attributes:
        file: The file itself.
        header: Its first bytes.
        log: The write-ahead log, None when there is none or it is empty.
        log_header: Its first bytes.
        settled: Whether a later change has another time.
    """

    file: Identity
    header: bytes
    log: Identity | None
    log_header: bytes
    settled: bool

    def holds_same(self, before: FileVersion) -> bool:
        """Tell whether nothing was written since."""
        return before.settled and self[:4] == before[:4]

    @property
    def uses_log(self) -> bool:
        """Tell whether what is written goes to a write-ahead log first."""
        return self.header[18:19] == b"\x02"

    def continues(self, before: FileVersion) -> bool:
        """Tell whether SQLite itself may have written all that differs; otherwise the content is another one."""
        if not self.file.same_file(before.file) or self.uses_log is not before.uses_log:
            return False
        if not self.uses_log:
            # Each transaction counts one up.
            unchanged = self.file == before.file
            return unchanged if self._counter == before._counter else self._counter > before._counter
        if self._counter < before._counter:
            return False
        if self.log is None or before.log is None:
            # A log that begins leaves the file as it was; what one that ended brought cannot be known.
            return self.file == before.file and before.log is None
        # A log that begins again counts one up.
        return self.log.same_file(before.log) and 0 <= self._restarts - before._restarts < _RESTARTS

    @property
    def _counter(self) -> int:
        return int.from_bytes(self.header[24:28], "big")

    @property
    def _restarts(self) -> int:
        return int.from_bytes(self.log_header[16:20], "big")


class SqliteSession(Session):
    """Read-only connections to an SQLite file, one for each transaction."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: Path, *, timeout: float) -> None:
        super().__init__()
        self._conditions: Mapping[str, str] = {}
        self._path = path
        self._timeout = self._allowed = timeout
        self._deadline = float("inf")
        self._connection: sqlite3.Connection | None = None
        self._opened = 0
        self._version: FileVersion | None = None

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

    @property
    def version(self) -> FileVersion:
        """Return which state of the file the transaction reads, or an older one."""
        assert self._version is not None  # noqa: S101  # asked for inside of a transaction
        return self._version

    def _open(self) -> sqlite3.Connection:
        # SQLite's own "unable to open database file" does not say why, and opening a FIFO waits for ever.
        path = Path(os.path.realpath(self._path))
        try:
            self._version = _look_at(path)
        except OSError as error:
            hint = "check the path of the URI and the rights of the user that runs the exporter"
            given = Path(self._path)
            if not given.is_absolute():
                hint = (
                    f"with three slashes the path is relative to {Path.cwd()}, where the exporter runs; an absolute "
                    f"path has four: sqlite:////{given}"
                )
            message = f"{error.filename or self._path}: {error.strerror}"
            raise SourceError(Reason.READ, message, hint=hint) from None
        immutable = self._must_be_immutable(path)
        try:
            connection = sqlite3.connect(
                f"{path.as_uri()}?mode=ro{'&immutable=1' if immutable else ''}",
                uri=True,
                timeout=self._timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._error(error) from None
        connection.text_factory = decode
        connection.set_progress_handler(lambda: time.monotonic() > self._deadline, 10_000)
        # The root of a container is read-only, with no place for temporary files.
        connection.execute("pragma temp_store = memory")
        return connection

    @contextlib.contextmanager
    @override
    def transaction(self) -> Iterator[None]:
        """Read from one state of the file, over a connection of its own."""
        self.allow(self._timeout)
        self.close()
        try:
            self.connection.execute("begin")
            self._lay_views()
            with noting(self.replaced), self._undisturbed():
                yield
        except sqlite3.Error as error:
            raise self._error(error) from None
        finally:
            self.close()

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Refuse what was read while another program than SQLite wrote over the file: half old, half new."""
        # From here on SQLite keeps its own writers away from the file, unless they write a log.
        self.connection.execute("select 1 from sqlite_master limit 1").fetchone()
        before = None if self.version.uses_log else self._stat()
        yield
        now = None if before is None else self._stat()
        # Another file in its place does not matter: the one that is open stays whole.
        if before and now and now.same_file(before) and now[:4] != before[:4]:
            raise SourceError(Reason.READ, f"{self._path}: was written over while it was read")

    def _stat(self) -> Identity | None:
        try:
            return Identity.of(self._path.stat())
        except OSError:
            return None

    @override
    def rows(self, sql: str, **parameters: object) -> list[Row]:
        try:
            return self._execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from None

    @override
    def stream(self, sql: str, **parameters: object) -> Generator[Row, None, None]:
        try:
            yield from self._execute(sql, parameters)
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from None

    @override
    def names(self, sql: str) -> tuple[str, ...]:
        try:
            return tuple(column[0] for column in self._execute(sql, {}).description)
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from None

    def _execute(self, sql: str, parameters: Mapping[str, object]) -> sqlite3.Cursor:
        return self.connection.execute(translate(sql) if parameters else sql, values_of(parameters))

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
            table: frozenset(
                str(name) for (name,) in self.rows("select name from pragma_table_info(%(t)s, 'main')", t=table)
            )
            for table in tables
        }
        return {table: columns for table, columns in found.items() if columns}

    @override
    def readable(self, tables: Sequence[str]) -> frozenset[str]:
        """Return those of the tables that exist; a file has no rights of its own."""
        return frozenset(self.columns(tables))

    @override
    def narrow(self, conditions: Mapping[str, str]) -> None:
        self._conditions = conditions
        for (view,) in self.rows("select name from temp.sqlite_schema where type = 'view'"):
            self.rows(f"drop view temp.{view}")
        self._lay_views()

    def _lay_views(self) -> None:
        """Lay views over tables; they are the connection's own, and nothing is written to the file."""
        for table, condition in self._conditions.items():
            sql = f"create temp view {table} as select * from main.{table} where {condition}"  # noqa: S608  # constants
            self.connection.execute(sql)

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

    def _must_be_immutable(self, path: Path) -> bool:
        """Tell whether the file uses a write-ahead log and lies where SQLite cannot make one, as on a read-only disk.

        Without a log beside it everything is in the file itself.
        """
        log = path.with_name(f"{path.name}-wal")
        return self.version.uses_log and not log.exists() and not os.access(path.parent, os.W_OK, effective_ids=True)

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
        # Those that are left out are of the statement, such as of a parameter in it.
        of_statement = sqlite3.OperationalError | sqlite3.ProgrammingError
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, of_statement):
            return SourceError(Reason.READ, text, hint="is this file a SQLite database?")
        if "unable to open" in lowered or "disk" in lowered or "readonly" in lowered:
            return SourceError(Reason.READ, text)
        return SourceError(Reason.QUERY, text)


def _look_at(path: Path) -> FileVersion:
    """Return the version of a file, before a connection is open: closing a file gives up the locks on it.

    Raises:
        OSError: It, or a file that SQLite would open beside it, is not a regular file or cannot be read.
    """
    now = time.time_ns()
    with open_regular(path) as file:
        header = file.read(_HEADER)
        stamp = Identity.of(os.fstat(file.fileno()))
    for suffix in ("-journal", "-shm", "-wal"):
        beside = path.with_name(path.name + suffix)
        try:
            require_regular(beside)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(beside)) from None
    log, log_header = _look_at_log(path.with_name(f"{path.name}-wal"))
    times = [stamp.changed, *([log.changed] if log is not None else [])]
    settled = all(time < now - (_EXACT if time % 1_000_000_000 else _COARSE) for time in times)
    return FileVersion(stamp, header, log, log_header, settled)


def _look_at_log(path: Path) -> tuple[Identity | None, bytes]:
    try:
        with open_regular(path) as file:
            header = file.read(_LOG_HEADER)
            return (Identity.of(os.fstat(file.fileno())), header) if header else (None, b"")
    except OSError:
        # None, or one that SQLite will complain of itself.
        return None, b""


def translate(sql: str) -> str:
    """Return a query in SQLite's words."""
    sql = re.sub(r"= any\(%\((\w+)\)s\)", r"in (select value from json_each(:\1))", sql)
    return re.sub(r"%\((\w+)\)s", r":\1", sql)


def values_of(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters of a query as SQLite takes them."""
    return {key: json.dumps(value) if isinstance(value, list) else value for key, value in parameters.items()}
