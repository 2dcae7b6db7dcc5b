from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from ml_monitoring.exporter.database import PostgresSession, SqliteSession, connect
from ml_monitoring.exporter.database.mysql import MysqlSession
from ml_monitoring.exporter.errors import Reason, SourceError
from tools.postgres import PostgresServer
from tools.processes import wait_until


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("postgresql://u:p@h/d", PostgresSession),
        ("postgresql+psycopg2://u:p@h/d", PostgresSession),
        ("postgres://u:p@h/d", PostgresSession),
        ("mysql://u:p@h/d", MysqlSession),
        ("mysql+mysqldb://u:p@h/d", MysqlSession),
        ("mariadb+mariadbconnector://u:p@h/d", MysqlSession),
        ("sqlite:///mlflow.db", SqliteSession),
        ("sqlite:////data/mlflow.db", SqliteSession),
    ],
)
def test_uris_are_taken_as_sqlalchemy_writes_them(uri: str, kind: type) -> None:
    assert isinstance(connect(uri, timeout=1), kind)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("mssql://root:s3cret@h/d", "must begin with postgresql://, mysql:// or sqlite:///, not with mssql"),
        ("http://mlflow:5000", "not with http"),
        ("./mlruns", "not with no scheme"),
        ("/data/mlflow.db", ": a SQLite URI is sqlite:///relative/path"),
        (r"C:\data\mlflow.db", ": a SQLite URI is sqlite:///relative/path"),
        ("host=h password=s3cret", "not with no scheme"),
        ("password=s3cret://", "not with something else"),
        ("sqlite://", "sqlite:///relative/path"),
        ("sqlite:///", "sqlite:///relative/path"),
    ],
)
def test_other_stores_are_refused_without_their_password(uri: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        connect(uri, timeout=1)
    assert "s3cret" not in str(error.value)


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
