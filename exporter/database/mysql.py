"""Sessions on MySQL and MariaDB.

The driver is PyMySQL, an extra: only `connect` imports this module. The socket is opened here, so that another thread
can break off whatever waits for it.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pymysql
from pymysql.constants import CR, ER
from pymysql.cursors import SSCursor
from typing_extensions import override

from ml_monitoring.exporter import tls_files
from ml_monitoring.exporter.database.base import Dialect, Row
from ml_monitoring.exporter.database.server import APPLICATION_NAME, ServerSession
from ml_monitoring.exporter.database.uri import DatabaseUri, Tls
from ml_monitoring.exporter.errors import Reason, SourceError

# Codes that the driver has no names for: of MariaDB, of MySQL, and of users that the operating system must know.
_MARIADB_STATEMENT_TIMEOUT, _MYSQL_STATEMENT_TIMEOUT = 1969, 3024
_MARIADB_KILLED, _MYSQL_IDLE = 1927, 4031
_NOT_THIS_SYSTEM_USER = 1698
_LOST = frozenset({CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, ER.SERVER_SHUTDOWN, _MARIADB_KILLED, _MYSQL_IDLE})
_REFUSED = frozenset({ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.HOST_NOT_PRIVILEGED, _NOT_THIS_SYSTEM_USER})
_NOT_GRANTED = frozenset({ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR})
_TOO_LONG = frozenset({_MARIADB_STATEMENT_TIMEOUT, _MYSQL_STATEMENT_TIMEOUT, ER.QUERY_INTERRUPTED})
_UNKNOWN = frozenset({ER.NO_SUCH_TABLE, ER.BAD_FIELD_ERROR})
# What the driver raises at answers of something that is no such server.
_NO_SERVER = (struct.error, IndexError, ValueError, AssertionError)
_AT_CONNECTING: tuple[type[Exception], ...] = (pymysql.Error, OSError, *_NO_SERVER)
# What the queries are written for, whatever the server is set to.
_MODES = "sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"
_STREAM_ROWS = 5_000
_ANY = re.compile(r"= any\(%\((\w+)\)s\)")


class MysqlSession(ServerSession["pymysql.Connection[Any]"]):
    """A read-only connection to MySQL or MariaDB; each transaction sets its limits, as a proxy may lie between."""

    dialect: Dialect = "mysql"
    errors: ClassVar[tuple[type[Exception], ...]] = (pymysql.Error,)

    @override
    def _take(self, uri: str) -> None:
        parsed = DatabaseUri.parse(uri)
        self._arguments, self._tls = parsed.mysql_arguments(), parsed.mysql_tls()
        self._socket: socket.socket | None = None
        self._is_mariadb = True

    @override
    def _connect(self) -> pymysql.Connection[Any]:
        tls = self._tls_arguments()
        began = time.monotonic()
        limit = threading.Timer(self._timeout, self._shut_down)
        limit.daemon = True
        try:
            connection = pymysql.Connection(
                **self._arguments,
                **tls,
                charset="utf8mb4",
                program_name=APPLICATION_NAME,
                autocommit=True,
                defer_connect=True,
            )
            opened = self._open_socket()
            # The driver wraps it for TLS; a duplicate that is shut down ends both.
            self._socket = opened.dup()
            limit.start()
            connection.connect(opened)
        except _AT_CONNECTING as error:
            raise self._connect_error(error, too_long=time.monotonic() - began >= self._timeout) from None
        finally:
            limit.cancel()
        version: str = connection.get_server_info()  # type: ignore[no-untyped-call]  # the stubs leave its type out
        self._is_mariadb = "mariadb" in version.lower()
        return connection

    @override
    def _trusted_files(self) -> Iterable[str]:
        tls = self._tls
        return filter(None, (tls.ca, tls.capath, tls.cert, tls.key)) if tls is not None else ()

    def _tls_arguments(self) -> dict[str, Any]:
        try:
            return _tls_arguments(self._tls)
        except (OSError, ValueError) as error:
            hint = "check the files that the ssl_ parameters of the URI name"
            said = error.strerror or error.args[0] if isinstance(error, OSError) else error
            raise SourceError(Reason.CONNECT, f"no TLS: {said}", hint=hint) from None

    def _open_socket(self) -> socket.socket:
        path = self._arguments.get("unix_socket")
        if path:
            opened = socket.socket(socket.AF_UNIX)
            opened.settimeout(self._timeout)
            try:
                opened.connect(path)
            except OSError:
                opened.close()
                raise
            return opened
        address = (self._arguments["host"], self._arguments["port"])
        opened = socket.create_connection(address, timeout=self._timeout)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
            opened.setsockopt(socket.IPPROTO_TCP, option, seconds)
        # A connection that a firewall forgot is found dead while there is time for another one.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._timeout * 500))
        return opened

    @override
    def _is_usable(self, connection: pymysql.Connection[Any]) -> bool:
        return bool(connection.open)

    @override
    def _begin_on(self, connection: pymysql.Connection[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"set session {self._limit(self._timeout)}, time_zone = '+00:00', {_MODES}")
            cursor.execute("set session transaction isolation level repeatable read")
            cursor.execute("start transaction with consistent snapshot, read only")

    @override
    def _end_on(self, connection: pymysql.Connection[Any]) -> None:
        connection.rollback()

    def _limit(self, seconds: float) -> str:
        """Return the assignment that limits each statement."""
        if self._is_mariadb:
            return f"max_statement_time = {seconds:.3f}"
        return f"max_execution_time = {int(seconds * 1000)}"

    @override
    def rows(self, sql: str, **parameters: object) -> list[Row]:
        statement, values = _translate(sql, parameters)
        with self._closed_by_errors(), self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    @override
    def stream(self, sql: str, **parameters: object) -> Generator[Row, None, None]:
        statement, values = _translate(sql, parameters)
        with self._closed_by_errors():
            cursor = self.connection.cursor(SSCursor)
            cursor.execute(statement, values)
            try:
                while some := cursor.fetchmany(_STREAM_ROWS):
                    yield from some
            finally:
                # Of rows that nobody wants, the driver would read the rest when it forgets the cursor.
                cursor._result.unbuffered_active = False  # type: ignore[attr-defined]  # the stubs leave it out

    @override
    def names(self, sql: str) -> tuple[str, ...]:
        with self._closed_by_errors(), self.connection.cursor() as cursor:
            cursor.execute(sql)
            return tuple(column[0] for column in cursor.description or ())

    @override
    def allow(self, seconds: float) -> None:
        self._allowed = seconds
        self.rows(f"set session {self._limit(seconds)}")

    @override
    def columns(self, tables: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the columns of those of the tables that the user may do anything with."""
        found: dict[str, set[str]] = {}
        for table, column, _privileges in self._described(tables):
            found.setdefault(table, set()).add(column)
        return {table: frozenset(columns) for table, columns in found.items()}

    @override
    def readable(self, tables: Sequence[str]) -> frozenset[str]:
        hidden = {table for table, _column, privileges in self._described(tables) if "select" not in privileges}
        return frozenset(table for table, _column, _privileges in self._described(tables)) - hidden

    def _described(self, tables: Sequence[str]) -> list[Row]:
        """Return table, column and the user's rights on it."""
        sql = """
            select table_name, column_name, lower(privileges) from information_schema.columns
            where table_schema = database() and table_name = any(%(tables)s)"""
        return self.rows(sql, tables=list(tables))

    @override
    def abort(self) -> None:
        """Break off whatever the connection waits for, also when the server does not answer at all."""
        self._aborted = True
        self._shut_down()

    def _shut_down(self) -> None:
        waiting = self._socket
        if waiting is not None:
            with contextlib.suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)

    @override
    def close(self) -> None:
        connection, self._connection = self._connection, None
        duplicate, self._socket = self._socket, None
        if duplicate is not None:
            # Without a word to the server, which may still be sending rows; it rolls back by itself.
            with contextlib.suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)
            duplicate.close()
        if connection is not None and connection.open:
            with contextlib.suppress(*self.errors):
                connection.close()

    def _connect_error(self, error: Exception, *, too_long: bool) -> SourceError:
        self.close()
        text, code = self.describe(error), _code(error)
        if too_long or isinstance(error, TimeoutError):
            hint = "check host and port, and that a firewall lets the connection through"
            return SourceError(Reason.TIMEOUT, f"cannot connect within {self._timeout:g} s: {text}", hint=hint)
        if code in _REFUSED:
            hint = "check user and password of the URI; a % in them is written as %25"
            return SourceError(Reason.AUTH, f"access refused: {text}", hint=hint)
        if code == ER.BAD_DB_ERROR:
            hint = "check the database name of the URI"
            return SourceError(Reason.CONNECT, f"the database does not exist: {text}", hint=hint)
        if "ssl" in text.lower() or "certificate" in text.lower():
            hint = "check the ssl_ parameters of the URI and the files that they name"
            return SourceError(Reason.CONNECT, f"no TLS that is trusted: {text}", hint=hint)
        if isinstance(error, _NO_SERVER):
            return SourceError(Reason.CONNECT, "what answers is neither MySQL nor MariaDB", hint="check host and port")
        return SourceError(Reason.CONNECT, f"cannot connect: {text}", hint="check host and port of the URI")

    @override
    def _is_lost(self, error: Exception) -> bool:
        return isinstance(error, pymysql.InterfaceError) or _code(error) in _LOST

    @override
    def _query_error(self, error: Exception) -> SourceError:
        text, code = self.describe(error), _code(error)
        if code in _TOO_LONG:
            setting = "timeout" if self._allowed == self._timeout else "first_timeout"
            hint = f"raise the source's {setting}, or look for locks and load on the server"
            return SourceError(
                Reason.TIMEOUT, f"query took longer than {self._allowed:g} s: {text}", hint=hint, setting=(setting,)
            )
        if code in _UNKNOWN:
            return SourceError(Reason.SCHEMA, text)
        if code in _NOT_GRANTED:
            return SourceError(Reason.AUTH, text, hint="grant the user SELECT on the tables of the database")
        if self._is_lost(error):
            return SourceError(Reason.CONNECT, f"connection lost: {text}")
        return SourceError(Reason.QUERY, text)


def _tls_arguments(tls: Tls | None) -> dict[str, Any]:
    """Return PyMySQL's arguments for TLS; the files are read at each connection, as they are replaced now and then."""
    if tls is None:
        return {"ssl_disabled": True}
    if not tls.required:
        # Encrypted where the server offers it.
        return {}
    for file in filter(None, (tls.ca, tls.cert)):
        tls_files.require_pem(Path(file))
    context = ssl.create_default_context(cafile=tls.ca, capath=tls.capath)
    # Certificates that MySQL makes for itself lack what Python 3.13 asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = tls.names_host
    context.verify_mode = ssl.CERT_REQUIRED if tls.verifies else ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(tls.cert, keyfile=tls.key, password=tls.key_password)
    if tls.cipher:
        context.set_ciphers(tls.cipher)
    return {"ssl": context}


def _code(error: Exception) -> int:
    """Return the number of an error of the server's or the driver's, 0 where it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _translate(sql: str, parameters: Mapping[str, object]) -> tuple[str, dict[str, object] | None]:
    """Return a query with `= any(...)` written out, and its parameters; None where it has none."""
    if not parameters:
        return sql, None
    values = dict(parameters)

    def listed(found: re.Match[str]) -> str:
        name = found[1]
        items = values.get(name)
        assert isinstance(items, list)  # noqa: S101  # `any` is of a list
        values.update((f"{name}_{number}", item) for number, item in enumerate(items))
        return f"in ({', '.join(f'%({name}_{number})s' for number in range(len(items))) or 'null'})"

    statement = _ANY.sub(listed, sql)
    return statement, {name: value for name, value in values.items() if not isinstance(value, list)}
