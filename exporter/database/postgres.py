"""Sessions on PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import ClassVar

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from typing_extensions import override

from ml_monitoring.exporter.database.base import Dialect, Row
from ml_monitoring.exporter.database.server import APPLICATION_NAME, ServerSession
from ml_monitoring.exporter.database.text import RAW
from ml_monitoring.exporter.database.uri import DatabaseUri
from ml_monitoring.exporter.errors import Reason, SourceError

_STREAM_ROWS = 5_000
# What libpq says of parameters before it connects.
_BAD_PARAMETER = re.compile(r"invalid \w+ value|weak sslmode")
# What libpq asks after some of its sentences, for which our hint stands.
_QUESTION = re.compile(r" Is the server running [^?]*\?")
# Encodings in which the bytes of a database are sent as they are; any other is converted by the server.
_AS_STORED = frozenset({"UTF8", RAW})
# What psycopg2 takes besides what libpq knows.
_NOT_OF_LIBPQ = frozenset({"dsn", "connection_factory", "cursor_factory", "async", "async_"})
# The files by which libpq trusts a server, and by which the server trusts this client, and where they are by default.
_TRUST = {
    "sslrootcert": "root.crt",
    "sslcrl": "root.crl",
    "sslcrldir": "",
    "sslcert": "postgresql.crt",
    "sslkey": "postgresql.key",
}


# Whatever the role, the database or, behind a pooler, another client has set. Compiling (jit) costs more than these
# queries take, and a streamed query is read to its end, so its plan must not be chosen for the first rows.
_LOCAL = """
    SET LOCAL statement_timeout = %s; SET LOCAL idle_in_transaction_session_timeout = %s; SET LOCAL lock_timeout = 0;
    SET LOCAL application_name = %s; SET LOCAL jit = off; SET LOCAL cursor_tuple_fraction = 1;
    SET LOCAL role TO DEFAULT; SET LOCAL TimeZone TO DEFAULT;
    SET LOCAL DateStyle = ISO; SET LOCAL IntervalStyle = postgres; SET LOCAL extra_float_digits = 1;"""
_SEARCH_PATH = "SET LOCAL search_path TO DEFAULT"


class PostgresSession(ServerSession[psycopg2.extensions.connection]):
    """A read-only PostgreSQL connection, which may lead through a pooler that gives each transaction another server's.

    So nothing is set for longer than a transaction, and each transaction sets its limits.
    """

    dialect: Dialect = "postgresql"
    errors: ClassVar[tuple[type[Exception], ...]] = (psycopg2.Error,)
    _encoding = RAW

    @override
    def _take(self, uri: str) -> None:
        """Make what libpq is given for a URI, with any driver of SQLAlchemy's in the scheme."""
        self._dsn = _dsn(uri)
        # A pooler may give the one of the URI to the connection as any client would set it.
        self._search_path = "" if "search_path" in self._dsn else _SEARCH_PATH

    @override
    def _trusted_files(self) -> Iterator[str]:
        named = psycopg2.extensions.parse_dsn(self._dsn)
        for key, default in _TRUST.items():
            yield named.get(key) or os.environ.get(f"PG{key.upper()}") or f"~/.postgresql/{default}"

    @override
    def _connect(self) -> psycopg2.extensions.connection:
        try:
            connection = self._connect_with(self._encoding)
            if self._encoding == RAW and connection.get_parameter_status("server_encoding") not in _AS_STORED:
                # Asked for at the start, as poolers know that it belongs to this client.
                connection.close()
                self._encoding = "UTF8"
                connection = self._connect_with(self._encoding)
        except psycopg2.Error as error:
            raise self._connect_error(error) from None
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        return connection

    def _connect_with(self, encoding: str) -> psycopg2.extensions.connection:
        return psycopg2.connect(
            self._dsn,
            # libpq counts whole seconds and takes less than two as two.
            connect_timeout=max(2, round(self._timeout)),
            client_encoding=encoding,
            keepalives=1,
            keepalives_idle=30,
            keepalives_interval=5,
            keepalives_count=3,
            # A connection that a firewall forgot is found dead while there is time for another one.
            tcp_user_timeout=int(self._timeout * 500),
        )

    @override
    def _is_usable(self, connection: psycopg2.extensions.connection) -> bool:
        return not connection.closed

    @override
    def _is_lost(self, error: Exception) -> bool:
        return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)

    @override
    def _begin_on(self, connection: psycopg2.extensions.connection) -> None:
        limit = int(self._timeout * 1000)
        with connection.cursor() as cursor:
            cursor.execute(_LOCAL + self._search_path, (limit, limit, APPLICATION_NAME))

    @override
    def _end_on(self, connection: psycopg2.extensions.connection) -> None:
        connection.rollback()

    def listen(self, channel: str) -> psycopg2.extensions.connection:
        """Listen to a channel; the connection is outside of any transaction from then on.

        Raises:
            SourceError: The server cannot be reached, or a pooler lies between, which would keep the registration and
                pass no notification on.
        """
        connection = self._begin()
        with self._closed_by_errors():
            with connection.cursor() as cursor:
                cursor.execute("select pg_backend_pid()")
                if cursor.fetchone() != (connection.info.backend_pid,):
                    raise SourceError(
                        Reason.CONNECT,
                        "a connection pooler passes no notifications on",
                        hint="set listen_uri to the server itself",
                    )
                cursor.execute(f"LISTEN {channel}")
            connection.commit()
            connection.set_session(autocommit=True)
        return connection

    @override
    def rows(self, sql: str, **parameters: object) -> list[Row]:
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall()
        except psycopg2.Error as error:
            self.close()
            raise self._query_error(error) from None

    @override
    def stream(self, sql: str, **parameters: object) -> Generator[Row, None, None]:
        try:
            with self.connection.cursor(name="stream") as cursor:
                cursor.itersize = _STREAM_ROWS
                cursor.execute(sql, parameters or None)
                yield from cursor
        except psycopg2.Error as error:
            self.close()
            raise self._query_error(error) from None

    @override
    def names(self, sql: str) -> tuple[str, ...]:
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql)
                return tuple(column.name for column in cursor.description or ())
        except psycopg2.Error as error:
            self.close()
            raise self._query_error(error) from None

    def copy(self, sql: str, take: Callable[[bytes], object], **parameters: object) -> None:
        """Run a query whose rows are given to a function one by one, as lines of PostgreSQL's text format.

        Raises:
            SourceError: The query failed or took longer than the timeout.
        """
        try:
            with self.connection.cursor() as cursor:
                query = cursor.mogrify(sql, parameters or None)
                cursor.copy_expert(b"copy (" + query + b") to stdout", _Lines(take))
        except psycopg2.Error as error:
            self.close()
            raise self._query_error(error) from None

    @override
    def allow(self, seconds: float) -> None:
        self._allowed = seconds
        try:
            with self.connection.cursor() as cursor:
                limit = int(seconds * 1000)
                cursor.execute(
                    "SET LOCAL statement_timeout = %s; SET LOCAL idle_in_transaction_session_timeout = %s",
                    (limit, limit),
                )
        except psycopg2.Error as error:
            self.close()
            raise self._query_error(error) from None

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
        self._aborted = True
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

    def _connect_error(self, error: psycopg2.Error) -> SourceError:
        text, lowered = _QUESTION.sub("", self.describe(error)), str(error).lower()
        if "timeout expired" in lowered:
            hint = "check host and port, and that a firewall lets the connection through"
            return SourceError(Reason.TIMEOUT, f"cannot connect within {self._timeout:g} s: {text}", hint=hint)
        if any(sign in lowered for sign in ("password", "authentication", "pg_hba.conf", "role ", "permission denied")):
            hint = "check user and password of the URI; a % in them is written as %25"
            return SourceError(Reason.AUTH, f"access refused: {text}", hint=hint)
        if "database" in lowered and "does not exist" in lowered:
            hint = "check the database name of the URI"
            return SourceError(Reason.CONNECT, f"the database does not exist: {text}", hint=hint)
        if _BAD_PARAMETER.search(lowered):
            return SourceError(Reason.CONNECT, text, hint="check the parameters of the URI")
        if "certificate" in lowered or "ssl" in lowered:
            hint = "check sslmode of the URI, and what its sslrootcert, sslcert, sslkey and sslcrl name"
            return SourceError(Reason.CONNECT, f"no TLS that is trusted: {text}", hint=hint)
        return SourceError(Reason.CONNECT, f"cannot connect: {text}", hint="check host and port of the URI")

    @override
    def _query_error(self, error: Exception) -> SourceError:
        text = self.describe(error)
        if isinstance(error, psycopg2.errors.QueryCanceled):
            setting = "timeout" if self._allowed == self._timeout else "first_timeout"
            hint = f"raise the source's {setting}, or look for locks and load on the server"
            return SourceError(
                Reason.TIMEOUT, f"query took longer than {self._allowed:g} s: {text}", hint=hint, setting=(setting,)
            )
        if isinstance(error, psycopg2.errors.UndefinedTable | psycopg2.errors.UndefinedColumn):
            return SourceError(Reason.SCHEMA, text)
        if isinstance(error, psycopg2.errors.InsufficientPrivilege):
            hint = "grant the user USAGE on the schema and SELECT on its tables"
            return SourceError(Reason.AUTH, text, hint=hint)
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            return SourceError(Reason.CONNECT, f"connection lost: {text}")
        return SourceError(Reason.QUERY, text)


class _Lines:
    """The file that psycopg2 writes rows to."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self.write = take


def _dsn(uri: str) -> str:
    """Return what libpq is given for a URI."""
    arguments = DatabaseUri.parse(uri).libpq_arguments()
    if any("\0" in value for value in arguments.values()):
        # To libpq it is the end: without what follows, such as the port, it would ask another server.
        raise ValueError("it holds a NUL (%00), which PostgreSQL takes nowhere")
    try:
        if arguments.keys() & _NOT_OF_LIBPQ:
            raise psycopg2.ProgrammingError
        return psycopg2.extensions.make_dsn(**arguments)
    except (psycopg2.Error, ValueError):
        # Its message quotes what it does not know, which may be a part of the password.
        raise ValueError("a parameter after ? is none that PostgreSQL's client library knows") from None
