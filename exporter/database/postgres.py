"""Sessions on PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from typing_extensions import override

from ml_monitoring.exporter.database.base import Dialect, Row, Session
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.redaction import redact

APPLICATION_NAME = "ml-monitoring-exporter"
_STREAM_ROWS = 5_000
_MALFORMED = (
    "not a URI that PostgreSQL understands: write special characters of user and password percent-encoded, "
    "such as @ as %40, / as %2F and % as %25"
)


class PostgresSession(Session):
    """A read-only PostgreSQL connection."""

    dialect: Dialect = "postgresql"

    def __init__(self, uri: str, *, timeout: float) -> None:
        # Any driver that SQLAlchemy takes may be named in the scheme; libpq knows none.
        self._uri = "postgresql:" + uri.partition(":")[2]
        self._timeout = timeout
        self._allowed = timeout
        self._connection: psycopg2.extensions.connection | None = None
        self._opened = 0
        self._password = _read_password(self._uri)

    @property
    def connection(self) -> psycopg2.extensions.connection:
        """Return the open connection, opened now when there is none.

        Raises:
            SourceError: The server cannot be reached or refuses.
        """
        if self._connection is None or self._connection.closed:
            self._connection = self._open()
            self._opened += 1
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
                # A streamed query is read to its end, so its plan must not be chosen for the first rows.
                cursor.execute("SET SESSION cursor_tuple_fraction = 1")
            connection.commit()
        except psycopg2.Error as error:
            connection.close()
            raise self._query_error(error) from None
        return connection

    @contextlib.contextmanager
    @override
    def transaction(self) -> Iterator[None]:
        """Read from one snapshot of the database; any error closes the connection."""
        connection = self.connection
        self._allowed = self._timeout
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

    @override
    def rows(self, sql: str, **parameters: object) -> list[Row]:
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall()
        except psycopg2.Error as error:
            self.close()
            raise self._query_error(error) from None

    @override
    def stream(self, sql: str, **parameters: object) -> Iterator[Row]:
        try:
            with self.connection.cursor(name="stream") as cursor:
                cursor.itersize = _STREAM_ROWS
                cursor.execute(sql, parameters)
                yield from cursor
        except psycopg2.Error as error:
            self.close()
            raise self._query_error(error) from None

    @override
    def allow(self, seconds: float) -> None:
        self._allowed = seconds
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = %s", (int(seconds * 1000),))
        except psycopg2.Error as error:
            self.close()
            raise self._query_error(error) from None

    @property
    @override
    def opened(self) -> int:
        return self._opened

    @override
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

    @override
    def readable(self, tables: Sequence[str]) -> frozenset[str]:
        """Return those of the tables that are on the search path and may be read."""
        sql = """
            select relname from pg_catalog.pg_class
            where relname = any(%(tables)s) and relkind in ('r', 'p', 'v', 'm', 'f')
              and pg_catalog.pg_table_is_visible(oid) and has_table_privilege(oid, 'SELECT')"""
        return frozenset(table for (table,) in self.rows(sql, tables=list(tables)))

    @override
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

    @override
    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    def _message(self, error: psycopg2.Error) -> str:
        text = " ".join(str(error).split())
        if self._password:
            text = text.replace(self._password, "***")
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
            setting = "timeout" if self._allowed == self._timeout else "first_timeout"
            hint = f"raise the source's {setting}, or look for locks and load on the server"
            return SourceError(Reason.TIMEOUT, f"query took longer than {self._allowed:g} s: {text}", hint=hint)
        if isinstance(error, psycopg2.errors.UndefinedTable | psycopg2.errors.UndefinedColumn):
            return SourceError(Reason.SCHEMA, text)
        if isinstance(error, psycopg2.errors.InsufficientPrivilege):
            hint = "grant the user USAGE on the schema and SELECT on its tables"
            return SourceError(Reason.AUTH, text, hint=hint)
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            return SourceError(Reason.CONNECT, f"connection lost: {text}")
        return SourceError(Reason.QUERY, text)


def _read_password(uri: str) -> str | None:
    """Return the password, and refuse what libpq would take for a host, port or database and print."""
    try:
        parts: dict[str, str] = psycopg2.extensions.parse_dsn(uri)
    except psycopg2.ProgrammingError:
        raise ValueError(_MALFORMED) from None
    host = parts.get("host", "")
    if "@" in host and not host.startswith("/"):
        raise ValueError(_MALFORMED)
    if not all(port.isdecimal() for port in parts.get("port", "").split(",") if port):
        raise ValueError(_MALFORMED)
    if "@" in uri.partition("?")[0] and not {"user", "password"} & parts.keys():
        raise ValueError(_MALFORMED)
    return parts.get("password")
