"""Connections to PostgreSQL as others provide them: poolers, idle limits, odd encodings, passwords that change."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml_monitoring.exporter.database import PostgresSession
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.values import FileSecret
from tests.support.pgbouncer import other_client, pooled
from tools.postgres import PostgresServer
from tools.processes import wait_until

_SETTINGS = (
    *("statement_timeout", "application_name", "jit", "cursor_tuple_fraction", "TimeZone", "client_encoding"),
    *(
        "idle_in_transaction_session_timeout",
        "lock_timeout",
        "role",
        "DateStyle",
        "IntervalStyle",
        "extra_float_digits",
    ),
    "search_path",
)
# What changes answers or breaks them off.
_ODD = {
    "DateStyle": "'SQL, DMY'",
    "IntervalStyle": "'sql_standard'",
    "extra_float_digits": "-10",
    "bytea_output": "'escape'",
    "lock_timeout": "'1ms'",
    "statement_timeout": "'10s'",
    "idle_in_transaction_session_timeout": "'10s'",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "'read committed'",
}
_ANSWER = """
    select 0.1::float8 + 0.2, interval '1 day -2 hours', timestamptz '2026-03-04 12:00+00',
      current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'),
      current_setting('statement_timeout'), current_setting('transaction_isolation'), (select name from place)"""
_ANSWERED = [
    0.30000000000000004,
    timedelta(days=1, hours=-2),
    datetime(2026, 3, 4, 12, tzinfo=UTC),
    *("0", "5s", "5s", "repeatable read", "public"),
]


@pytest.fixture
def pool(postgres_server: PostgresServer, postgres_database: str) -> Iterator[str]:
    """Give the URI of a pool of one connection in front of an empty database."""
    with pooled(postgres_server, postgres_database) as uri:
        yield uri


@contextlib.contextmanager
def _session(uri: str, *, timeout: float = 5) -> Iterator[PostgresSession]:
    with contextlib.closing(PostgresSession(uri, timeout=timeout)) as session:
        yield session


def _settings(uri: str) -> list[str]:
    with other_client(uri) as cursor:
        found: list[str] = []
        for name in _SETTINGS:
            cursor.execute(f"show {name}")
            found += cursor.fetchone() or ()
        return found


def test_nothing_of_a_session_stays_on_a_pooled_connection(pool: str) -> None:
    before = _settings(pool)
    with _session(pool, timeout=3) as session:
        with session.transaction():
            assert session.rows("show statement_timeout") == [("3s",)]
            session.allow(7)
            assert session.rows("show statement_timeout") == [("7s",)]
        assert _settings(pool) == before
        with session.transaction():
            assert list(session.stream("select current_setting('jit'), current_setting('transaction_read_only')")) == [
                ("off", "on")
            ]
        with pytest.raises(SourceError), session.transaction():
            session.rows("select 1 / 0")
        assert _settings(pool) == before


def test_limits_hold_on_a_server_connection_that_the_pooler_made_anew(
    pool: str, postgres_server: PostgresServer
) -> None:
    with _session(pool, timeout=3) as session:
        with session.transaction():
            ((first,),) = session.rows("select pg_backend_pid()")
        postgres_server.execute(f"select pg_terminate_backend({first})")
        with session.transaction():
            assert session.rows(
                "select pg_backend_pid() <> %(first)s, current_setting('statement_timeout')", first=first
            ) == [(True, "3s")]


def test_what_another_client_set_is_not_ours(pool: str) -> None:
    with other_client(pool) as cursor, _session(pool, timeout=3) as session:
        cursor.execute("set statement_timeout = '1min'")
        with session.transaction():
            assert session.rows("select current_setting('statement_timeout')") == [("3s",)]


@pytest.fixture
def places(postgres_server: PostgresServer, postgres_database: str) -> str:
    """Return the name of a database with a table in each of two schemas."""
    name = postgres_database.rpartition("/")[2]
    postgres_server.execute(
        "create table place as select 'public' as name; create schema other;"
        "create table other.place as select 'other' as name; grant select on place to public",
        name,
    )
    return name


def test_what_a_role_is_set_to_changes_no_answer(postgres_server: PostgresServer, places: str) -> None:
    postgres_server.execute("create role odd login password 'x'")
    for name, value in _ODD.items():
        postgres_server.execute(f"alter role odd set {name} = {value}")
    with _session(postgres_server.uri("odd", "x", places)) as session, session.transaction():
        assert list(session.rows(_ANSWER)[0]) == _ANSWERED


@pytest.mark.usefixtures("places")
def test_no_setting_of_another_client_changes_an_answer(pool: str, postgres_server: PostgresServer) -> None:
    postgres_server.execute("drop role if exists nothing; create role nothing")
    leaked = {**_ODD, "search_path": "other", "TimeZone": "'Pacific/Apia'", "role": "nothing"}
    with other_client(pool) as cursor, _session(pool) as session:
        with session.transaction():
            ((zone,),) = session.rows("select current_setting('TimeZone')")
        for name, value in leaked.items():
            cursor.execute(f"set {name} = {value}")
        with session.transaction():
            assert list(session.rows(_ANSWER)[0]) == _ANSWERED
            assert session.rows("select current_setting('TimeZone'), current_setting('role')") == [(zone, "none")]


def test_the_search_path_of_a_uri_stays(postgres_server: PostgresServer, places: str) -> None:
    uri = f"{postgres_server.uri(database=places)}?options=-csearch_path%3Dother"
    with _session(uri) as session, session.transaction():
        assert session.rows("select name from place") == [("other",)]


def test_nobody_listens_through_a_pooler(pool: str) -> None:
    with _session(pool) as session:
        with pytest.raises(SourceError, match="a connection pooler passes no notifications on") as error:
            session.listen("variant_changes")
        assert "listen_uri" in error.value.hint
    with other_client(pool) as cursor:
        cursor.execute("select count(*) from pg_listening_channels()")
        assert cursor.fetchone() == (0,)


def _terminate(server: PostgresServer, session: PostgresSession) -> None:
    pid = session.connection.info.backend_pid
    server.execute(f"select pg_terminate_backend({pid})")
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:

        def gone() -> bool:
            cursor.execute("select from pg_stat_activity where pid = %s", (pid,))
            return cursor.rowcount == 0

        assert wait_until(gone, timeout=20)


def test_a_kept_connection_that_was_ended_is_replaced_at_once(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    with _session(postgres_database) as session:
        for opened in (1, 2, 3):
            with session.transaction():
                assert session.rows("select 1") == [(1,)]
            assert session.opened == opened
            _terminate(postgres_server, session)


def test_an_idle_limit_of_the_role_costs_no_refresh(postgres_server: PostgresServer, postgres_database: str) -> None:
    role, name = "idler", postgres_database.rpartition("/")[2]
    postgres_server.execute(f"create role {role} login password 'x'; alter role {role} set idle_session_timeout = '1s'")
    with _session(postgres_server.uri(role, "x", name)) as session, other_client(postgres_server.uri()) as cursor:

        def gone() -> bool:
            cursor.execute("select from pg_stat_activity where usename = %s", (role,))
            return cursor.rowcount == 0

        for _ in range(3):
            with session.transaction():
                assert session.rows("select 1") == [(1,)]
            assert wait_until(gone, timeout=20)


def test_a_socket_that_something_between_closed_is_replaced_at_once(postgres_database: str) -> None:
    with _session(postgres_database) as session:
        with session.transaction():
            session.rows("select 1")
        with socket.socket(fileno=session.connection.fileno()) as borrowed:
            borrowed.shutdown(socket.SHUT_RDWR)
            borrowed.detach()
        with session.transaction():
            assert session.rows("select 1") == [(1,)]


def test_a_firewall_that_forgot_a_connection_is_noticed_within_the_timeout(postgres_database: str) -> None:
    with _session(postgres_database, timeout=8) as session:
        borrowed = socket.socket(fileno=session.connection.fileno())
        assert borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4000
        borrowed.detach()


def test_a_server_that_stays_away_is_tried_once_more_and_then_an_error(postgres_database: str) -> None:
    with PostgresServer() as server, _session(server.uri()) as session:
        with session.transaction():
            session.rows("select 1")
        server.shutdown()
        with pytest.raises(SourceError) as error, session.transaction():
            session.rows("select 1")
        assert error.value.reason is Reason.CONNECT
        assert session.opened == 1


def test_a_loss_in_the_middle_of_a_transaction_is_an_error(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    with _session(postgres_database) as session:

        def lose() -> None:
            with session.transaction():
                session.rows("select 1")
                _terminate(postgres_server, session)
                session.rows("select 1")

        with pytest.raises(SourceError) as error:
            lose()
        assert error.value.reason is Reason.CONNECT


@pytest.fixture
def ascii_database(postgres_server: PostgresServer, postgres_database: str) -> str:
    """Return the URI of a database that holds any bytes."""
    name = f"{postgres_database.rpartition('/')[2]}_ascii"
    postgres_server.execute(f"create database {name} template template0 encoding 'SQL_ASCII'")
    return postgres_server.uri(database=name)


def test_a_database_of_any_bytes_is_read_as_utf_8(ascii_database: str) -> None:
    with _session(ascii_database) as session, session.transaction():
        assert session.rows("select %(name)s, 'é', E'caf\\xe9'", name="検") == [("検", "é", "caf\ufffd")]
        assert session.replaced.problems == ["1 text is not UTF-8 and shown with �, as 'caf�'"]
        # The very bytes go back.
        assert session.rows(
            "select %(name)s = E'caf\\xe9', %(list)s = array[E'caf\\xe9']", name="caf�", list=["caf�"]
        ) == [(True, True)]
        assert list(session.stream("select E'\\xff' from generate_series(1, 2)")) == [("�",), ("�",)]


@pytest.mark.parametrize("encoding", ["LATIN1", "SJIS", "SQL_ASCII", "UTF8"])
def test_the_client_encoding_of_a_role_changes_nothing(
    postgres_server: PostgresServer, postgres_database: str, encoding: str
) -> None:
    role, name = f"of_{encoding.lower()}", postgres_database.rpartition("/")[2]
    postgres_server.execute(
        f"create role {role} login password 'x'; alter role {role} set client_encoding = '{encoding}'"
    )
    with _session(postgres_server.uri(role, "x", name)) as session, session.transaction():
        assert session.rows("select 'é 検 🚀', %(text)s", text="ü 🚀") == [("é 検 🚀", "ü 🚀")]
    with pooled(postgres_server, postgres_database) as pool, _session(pool) as session, session.transaction():
        assert session.rows("select 'é 検 🚀'") == [("é 検 🚀",)]


def test_a_database_of_another_encoding_is_converted_by_the_server(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    name = f"{postgres_database.rpartition('/')[2]}_latin"
    postgres_server.execute(f"create database {name} template template0 encoding 'LATIN1'")
    with _session(postgres_server.uri(database=name)) as session, session.transaction():
        assert session.rows("select 'é', %(text)s, octet_length('é')", text="ü") == [("é", "ü", 1)]
        assert session.replaced.problems == []


def test_a_byte_that_is_no_utf_8_in_a_database_of_utf_8_is_replaced(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    name = postgres_database.rpartition("/")[2]
    # As found after restores from databases that checked nothing.
    of = f"update pg_database set encoding = pg_char_to_encoding('%s') where datname = '{name}'"
    postgres_server.execute(of % "SQL_ASCII")
    postgres_server.execute("create table t (name text); insert into t values (E'caf\\xe9'), ('good')", name)
    postgres_server.execute(of % "UTF8")
    with _session(postgres_database) as session, session.transaction():
        assert session.rows("select name from t") == [("caf�",), ("good",)]


def test_a_password_that_was_rotated_is_read_again_when_the_connection_is_refused(
    postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    name = postgres_database.rpartition("/")[2]
    postgres_server.execute("create role rotated login password 'first'")
    file = tmp_path / "uri"
    file.write_text(postgres_server.uri("rotated", "first", name) + "\n")
    secret = FileSecret(file)
    with contextlib.closing(
        PostgresSession(secret.get_secret_value(), timeout=5, read_again=secret.read_again)
    ) as session:
        with session.transaction():
            session.rows("select 1")
        postgres_server.execute("alter role rotated password 'second'")
        # A connection that is open goes on; the next one is refused while the file has the old word.
        session.close()
        for content in ("", "postgresql://x:y@z@h/d", postgres_server.uri("rotated", "first", name)):
            file.write_text(content)
            with pytest.raises(SourceError) as error, session.transaction():
                pass
            assert error.value.reason is Reason.AUTH
        file.write_text(postgres_server.uri("rotated", "second", name))
        with session.transaction():
            assert session.rows("select 1") == [(1,)]
        # The file that is gone meanwhile changes nothing.
        file.unlink()
        session.close()
        with session.transaction():
            assert session.rows("select 1") == [(1,)]
