"""Read-only sessions on PostgreSQL and SQLite.

SQL is written once, for PostgreSQL with psycopg2's named parameters; for SQLite two constructs are translated:
`%(name)s` and `= any(%(name)s)`. What differs beyond that, the caller chooses by `Session.dialect`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras

from exporter.errors import Reason, SourceError

Dialect = Literal["postgresql", "sqlite"]
Row = tuple[Any, ...]

_SQLITE_HEADER = 100
APPLICATION_NAME = "ml-monitoring-exporter"
_SCHEME = re.compile(r"^(?P<dialect>postgresql|postgres|sqlite)(?:\+\w+)?:(?P<rest>//.*)$", re.DOTALL)
_PASSWORD = re.compile(r"(?<=://)(?P<user>[^:/?#\s]*):(?P<password>[^\s]*)@")
_PASSWORD_PARAMETER = re.compile(r"(?i)\b(password|sslpassword)=[^&\s]*")


class Session(ABC):
    """One read-only connection; any error closes it, and the next use opens a new one."""

    dialect: Dialect

    @abstractmethod
    def rows(self, sql: str, **parameters: object) -> list[Row]:
        """Run a query and return all rows.

        Raises:
            SourceError: The query failed or took longer than the timeout.
        """

    @abstractmethod
    def columns(self, tables: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the columns of those of the tables that exist.

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
    def abort(self) -> None:
        """Break off a running query; to be called from another thread."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""


def connect(uri: str, *, timeout: float) -> Session:
    """Return a session for a URI as SQLAlchemy and MLflow write it; nothing is opened yet.

    Args:
        uri: `postgresql://`, `postgresql+psycopg2://` (any driver), `postgres://` or `sqlite:///path`.
        timeout: Limit in seconds for connecting and for each statement.

    Raises:
        ValueError: The URI names another kind of database or is malformed; the message holds no password.
    """
    match = _SCHEME.match(uri)
    if match is None:
        scheme = uri.split(":", 1)[0] if "://" in uri else "no scheme"
        raise ValueError(f"must begin with postgresql:// or sqlite:///, not with {scheme[:40]}")
    if match["dialect"] == "sqlite":
        return SqliteSession(_sqlite_path(match["rest"]), timeout=timeout)
    return PostgresSession("postgresql:" + match["rest"], timeout=timeout)


def redact(text: str) -> str:
    """Replace the passwords of all URIs and DSNs in a text."""
    return _PASSWORD_PARAMETER.sub(r"\1=***", _PASSWORD.sub(r"\g<user>:***@", text))


def _sqlite_path(rest: str) -> Path:
    # SQLAlchemy: three slashes for a relative path, four for an absolute one.
    path = unquote(rest.removeprefix("//").partition("?")[0])
    if not path.startswith("/") or path == "/":
        raise ValueError("a SQLite URI is sqlite:///relative/path or sqlite:////absolute/path")
    return Path(path[1:])


class PostgresSession(Session):
    """A read-only PostgreSQL connection."""

    dialect: Dialect = "postgresql"

    def __init__(self, uri: str, *, timeout: float) -> None:
        self._uri = uri
        self._timeout = timeout
        self._connection: psycopg2.extensions.connection | None = None
        password = urlsplit(uri).password if "@" in uri else None
        self._secrets = {password, unquote(password)} if password else set()

    @property
    def connection(self) -> psycopg2.extensions.connection:
        """Return the open connection, opened now when there is none.

        Raises:
            SourceError: The server cannot be reached or refuses.
        """
        if self._connection is None or self._connection.closed:
            self._connection = self._open()
        return self._connection

    def _open(self) -> psycopg2.extensions.connection:
        try:
            connection = psycopg2.connect(
                self._uri,
                # libpq counts whole seconds and takes less than two as two.
                connect_timeout=max(2, round(self._timeout)),
                application_name=APPLICATION_NAME,
                keepalives=1,
                keepalives_idle=30,
                keepalives_interval=5,
                keepalives_count=3,
            )
        except psycopg2.Error as error:
            raise self._connect_error(error) from None
        try:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            with connection.cursor() as cursor:
                # SET instead of start-up options, which connection poolers refuse. Compiling (jit) costs more than
                # these queries take.
                cursor.execute("SET SESSION statement_timeout = %s", (int(self._timeout * 1000),))
                cursor.execute("SET SESSION jit = off")
            connection.commit()
        except psycopg2.Error as error:
            connection.close()
            raise self._query_error(error) from None
        return connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Read from one snapshot of the database; any error closes the connection."""
        connection = self.connection
        try:
            yield
            # Nothing was written; this only ends the snapshot, so that vacuum is not held up.
            connection.rollback()
        except psycopg2.Error as error:
            self.close()
            raise self._query_error(error) from None
        except BaseException:
            self.close()
            raise

    def rows(self, sql: str, **parameters: object) -> list[Row]:
        """Run a query and return all rows."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall()
        except psycopg2.Error as error:
            self.close()
            raise self._query_error(error) from None

    def columns(self, tables: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the columns of those of the tables that are on the search path."""
        found: dict[str, set[str]] = {}
        sql = """
            select c.relname, a.attname
            from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid
            where c.relname = any(%(tables)s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
              and pg_catalog.pg_table_is_visible(c.oid) and a.attnum > 0 and not a.attisdropped"""
        for table, column in self.rows(sql, tables=list(tables)):
            found.setdefault(table, set()).add(column)
        return {table: frozenset(columns) for table, columns in found.items()}

    def abort(self) -> None:
        """Break off whatever the connection waits for, also when the server does not answer at all."""
        connection = self._connection
        if connection is None or connection.closed:
            return
        # A cancel request needs a server that answers. Shutting the socket down does not: libpq sees the end of the
        # stream and raises in the thread that waits.
        with contextlib.suppress(OSError, psycopg2.Error):
            duplicate = socket.socket(fileno=os.dup(connection.fileno()))
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            finally:
                duplicate.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    def _message(self, error: psycopg2.Error) -> str:
        text = " ".join(str(error).split())
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return redact(text) or type(error).__name__

    def _connect_error(self, error: psycopg2.Error) -> SourceError:
        text = self._message(error)
        lowered = text.lower()
        if "timeout expired" in lowered:
            hint = "check host and port, and that a firewall lets the connection through"
            return SourceError(Reason.TIMEOUT, f"cannot connect within {self._timeout:g} s: {text}", hint=hint)
        if any(sign in lowered for sign in ("password", "authentication", "pg_hba.conf", "role ", "permission denied")):
            return SourceError(Reason.AUTH, f"access refused: {text}", hint="check user and password of the URI")
        if "database" in lowered and "does not exist" in lowered:
            return SourceError(Reason.CONNECT, text, hint="check the database name of the URI")
        return SourceError(Reason.CONNECT, f"cannot connect: {text}", hint="check host and port of the URI")

    def _query_error(self, error: psycopg2.Error) -> SourceError:
        text = self._message(error)
        if isinstance(error, psycopg2.errors.QueryCanceled):
            hint = "raise the source's timeout, or look for locks and load on the server"
            return SourceError(Reason.TIMEOUT, f"query took longer than {self._timeout:g} s: {text}", hint=hint)
        if isinstance(error, psycopg2.errors.UndefinedTable | psycopg2.errors.UndefinedColumn):
            return SourceError(Reason.SCHEMA, text)
        if isinstance(error, psycopg2.errors.InsufficientPrivilege):
            hint = "grant the user USAGE on the schema and SELECT on its tables"
            return SourceError(Reason.AUTH, text, hint=hint)
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            return SourceError(Reason.CONNECT, f"connection lost: {text}")
        return SourceError(Reason.QUERY, text)


class SqliteSession(Session):
    """A read-only SQLite connection."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: Path, *, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._deadline = float("inf")
        self._connection: sqlite3.Connection | None = None
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
        return self._connection

    def _open(self) -> sqlite3.Connection:
        # SQLite's own "unable to open database file" does not say why.
        try:
            with self._path.open("rb") as file:
                self._inode = os.fstat(file.fileno()).st_ino
                header = file.read(_SQLITE_HEADER)
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
    def transaction(self) -> Iterator[None]:
        """Read from one state of the file; any error closes the connection."""
        self._deadline = time.monotonic() + self._timeout
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

    def rows(self, sql: str, **parameters: object) -> list[Row]:
        """Run a query and return all rows."""
        values = {key: json.dumps(value) if isinstance(value, list) else value for key, value in parameters.items()}
        try:
            return self.connection.execute(_sqlite_sql(sql), values).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from None

    def columns(self, tables: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the columns of those of the tables that exist."""
        found = {
            table: frozenset(str(name) for (name,) in self.rows("select name from pragma_table_info(%(t)s)", t=table))
            for table in tables
        }
        return {table: columns for table, columns in found.items() if columns}

    def abort(self) -> None:
        """Break off a running query."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.interrupt()

    def close(self) -> None:
        """Close the connection."""
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
            return SourceError(Reason.TIMEOUT, f"{self._path}: query took longer than {self._timeout:g} s")
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


def _sqlite_sql(sql: str) -> str:
    sql = re.sub(r"= any\(%\((\w+)\)s\)", r"in (select value from json_each(:\1))", sql)
    return re.sub(r"%\((\w+)\)s", r":\1", sql)
