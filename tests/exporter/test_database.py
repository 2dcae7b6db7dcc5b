from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from ml_monitoring.exporter.database import PostgresSession, SqliteSession, connect
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.redaction import redact
from tools.postgres import PostgresServer
from tools.processes import wait_until


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("postgresql://u:p@h/d", PostgresSession),
        ("postgresql+psycopg2://u:p@h/d", PostgresSession),
        ("postgres://u:p@h/d", PostgresSession),
        ("sqlite:///mlflow.db", SqliteSession),
        ("sqlite:////data/mlflow.db", SqliteSession),
    ],
)
def test_uris_are_taken_as_sqlalchemy_writes_them(uri: str, kind: type) -> None:
    assert isinstance(connect(uri, timeout=1), kind)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("mysql://root:s3cret@h/d", "must begin with postgresql:// or sqlite:///, not with mysql"),
        ("http://mlflow:5000", "not with http"),
        ("./mlruns", "not with no scheme"),
        ("sqlite://", "sqlite:///relative/path"),
        ("sqlite:///", "sqlite:///relative/path"),
    ],
)
def test_other_stores_are_refused_without_their_password(uri: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        connect(uri, timeout=1)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("password", ["s3cr@et", "s3cr/et", "12/s3cret", "s3cr%et", "s3cr?e%t", "s3cr:a/b"])
def test_a_password_that_must_be_encoded_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded") as error:
        connect(f"postgresql://u:{password}@127.0.0.1:1/d", timeout=1)
    assert "s3cr" not in str(error.value)


@pytest.mark.parametrize("uri", ["postgresql://h:s3cret/d", "postgresql://u@h/d?password=a&s3cret"])
def test_a_password_in_a_wrong_place_is_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded") as error:
        connect(uri, timeout=1)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://u:s3cr%40%2F%25@h/d",
        "postgresql://u:s3cr[e:t#?@h/d",
        "postgresql://u:p@[::1]:5432/d",
        "postgresql://u:p@h1:5432,h2/d",
        "postgresql:///d?host=/run/a@b&user=u",
        "postgresql:///d",
    ],
)
def test_what_libpq_understands_is_taken(uri: str) -> None:
    assert isinstance(connect(uri, timeout=1), PostgresSession)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("at postgresql+psycopg2://u:p@w:rd/@h/d now", "at postgresql+psycopg2://u:***@h/d now"),
        ("host=h password=secret user=u", "host=h password=*** user=u"),
        ("http://h:5000/path", "http://h:5000/path"),
        ("nothing here", "nothing here"),
    ],
)
def test_passwords_are_taken_out_of_texts(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_a_transaction_sees_one_state(postgres_server: PostgresServer, postgres_database: str) -> None:
    name = postgres_database.rpartition("/")[2]
    postgres_server.execute("CREATE TABLE t (n int)", name)
    session = connect(postgres_database, timeout=5)
    with session.transaction():
        assert session.rows("select count(*) from t") == [(0,)]
        postgres_server.execute("INSERT INTO t VALUES (1)", name)
        assert session.rows("select count(*) from t") == [(0,)]
    with session.transaction():
        assert session.rows("select count(*) from t") == [(1,)]
    session.close()


def test_a_driver_in_the_scheme_reaches_no_libpq(postgres_database: str) -> None:
    session = PostgresSession(postgres_database.replace("postgresql:", "postgresql+psycopg2:"), timeout=5)
    with contextlib.closing(session), session.transaction():
        assert session.rows("select 1") == [(1,)]


def test_nothing_can_be_written(postgres_server: PostgresServer, postgres_database: str, tmp_path: Path) -> None:
    session = connect(postgres_database, timeout=5)
    with pytest.raises(SourceError, match="read-only transaction"), session.transaction():
        session.rows("create table t (n int)")
    (tmp_path / "m.db").touch()
    session = connect(f"sqlite:///{tmp_path}/m.db", timeout=5)
    with pytest.raises(SourceError, match="readonly database"), session.transaction():
        session.rows("create table t (n int)")


def test_a_slow_statement_is_ended_by_the_server(postgres_database: str) -> None:
    session = connect(postgres_database, timeout=0.2)
    with pytest.raises(SourceError, match=r"query took longer than 0.2 s") as error, session.transaction():
        session.rows("select pg_sleep(10)")
    assert error.value.reason is Reason.TIMEOUT
    with session.transaction():
        assert session.rows("select 1") == [(1,)]
    session.close()


def test_a_query_can_be_broken_off_from_another_thread(postgres_server: PostgresServer, postgres_database: str) -> None:
    session = connect(postgres_database, timeout=60)

    def abort_once_asked() -> None:
        with contextlib.closing(postgres_server.connect()) as other, other.cursor() as cursor:

            def asked() -> bool:
                cursor.execute("select 1 from pg_stat_activity where query = 'select pg_sleep(30)'")
                return cursor.rowcount > 0

            assert wait_until(asked, timeout=20)
        session.abort()

    thread = threading.Thread(target=abort_once_asked)
    thread.start()
    with pytest.raises(SourceError) as error, session.transaction():
        session.rows("select pg_sleep(30)")
    thread.join()
    assert error.value.reason is Reason.CONNECT
    session.close()


def test_a_slow_sqlite_query_is_ended(tmp_path: Path) -> None:
    (tmp_path / "m.db").touch()
    session = connect(f"sqlite:///{tmp_path}/m.db", timeout=0.2)
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    with pytest.raises(SourceError, match="query took longer than") as error, session.transaction():
        session.rows(endless)
    assert error.value.reason is Reason.TIMEOUT
