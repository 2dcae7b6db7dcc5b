"""Stores that cannot be read: each is named and counted, nothing else is lost, and the exporter recovers by itself."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ml_monitoring.exporter.database import SqliteSession
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tests.support.mlflow_store import write_reference_store
from tests.support.serving import ExporterProcess, serving
from tools.postgres import PostgresServer

_UP = 'ml_monitoring_source_up{source="mlflow"}'
_FINISHED = 'mlflow_runs{experiment="churn",status="FINISHED"}'
WriteConfig = Callable[..., Path]


def _errors(reason: Reason) -> str:
    return f'ml_monitoring_source_errors_total{{reason="{reason}",source="mlflow"}}'


def _assert_down(exporter: ExporterProcess, reason: Reason, *messages: str) -> None:
    """Check what the operator sees of a source that cannot be read."""
    samples = exporter.wait_for(_UP, 0)
    assert samples[_errors(reason)] >= 1
    assert _FINISHED not in samples
    line = exporter.wait_for_log("source failed")
    assert f"reason={reason} " in line
    for message in messages:
        assert message in line
    assert exporter.get("/-/healthy").status_code == 200
    assert samples["process_cpu_seconds_total"] > 0


def _edit(store: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_wrong_password(postgres_server: PostgresServer, postgres_store: str, write_config: WriteConfig) -> None:
    role = f"wrong_{postgres_store}"
    postgres_server.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'right'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        postgres_store,
    )
    config = write_config(postgres_server.uri(role, "s3cr:et@w/ord", postgres_store))
    with serving(config) as exporter:
        _assert_down(
            exporter, Reason.AUTH, f'password authentication failed for user \\"{role}\\"', "check user and password"
        )
        page = exporter.get("/").text
        postgres_server.execute(f"ALTER ROLE {role} PASSWORD 's3cr:et@w/ord'")
        exporter.wait_for(_FINISHED, 7)
        assert exporter.wait_for_log('msg="source up"')
        for text in (exporter.log.read_text(), page, exporter.get("/metrics").text):
            assert "s3cr" not in text
            assert "w/ord" not in text


def test_a_role_without_rights(postgres_server: PostgresServer, postgres_store: str, write_config: WriteConfig) -> None:
    role = f"poor_{postgres_store}"
    postgres_server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    with serving(write_config(postgres_server.uri(role, "x", postgres_store))) as exporter:
        _assert_down(
            exporter, Reason.AUTH, "permission denied for table", "grant the user USAGE on the schema and SELECT"
        )
        postgres_server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", postgres_store)
        exporter.wait_for(_FINISHED, 7)


def test_a_server_that_freezes_stops_and_comes_back(write_config: WriteConfig) -> None:
    with PostgresServer() as server:
        write_reference_store(server.create_database("mlflow"))
        config = write_config(server.uri(database="mlflow"), timeout="2s", staleness="60s")
        with serving(config) as exporter:
            exporter.wait_for(_FINISHED, 7)
            server.pause()
            samples = exporter.wait_for(_UP, 0)
            assert samples[_errors(Reason.TIMEOUT)] >= 1
            # A hiccup is no reason to withdraw what was true a moment ago.
            assert samples[_FINISHED] == 7
            server.resume()
            exporter.wait_for(_UP, 1)
            server.shutdown()
            samples = exporter.wait_for(_UP, 0)
            assert samples[_errors(Reason.CONNECT)] >= 1
            server.boot()
            exporter.wait_for(_UP, 1, timeout=60)


def test_a_host_that_does_not_answer_is_bounded_by_the_timeout(write_config: WriteConfig) -> None:
    with PostgresServer() as server:
        write_reference_store(server.create_database("mlflow"))
        server.pause()
        with serving(write_config(server.uri(database="mlflow"), timeout="2s")) as exporter:
            _assert_down(exporter, Reason.TIMEOUT, "2 s")
            server.resume()
            exporter.wait_for(_FINISHED, 7, timeout=60)


def test_a_port_where_nobody_listens(write_config: WriteConfig) -> None:
    with serving(write_config("postgresql://u:s3cret@127.0.0.1:1/mlflow")) as exporter:
        _assert_down(exporter, Reason.CONNECT, "Connection refused", "check host and port")
        assert "s3cret" not in exporter.log.read_text()


def test_a_missing_database(postgres_server: PostgresServer, write_config: WriteConfig) -> None:
    with serving(write_config(postgres_server.uri(database="nowhere"))) as exporter:
        _assert_down(exporter, Reason.CONNECT, 'database \\"nowhere\\" does not exist', "check the database name")


def test_a_database_without_mlflow_tables(postgres_database: str, write_config: WriteConfig) -> None:
    with serving(write_config(postgres_database)) as exporter:
        _assert_down(exporter, Reason.SCHEMA, "no MLflow tables found", "check which database it is")
        write_reference_store(postgres_database)
        exporter.wait_for(_FINISHED, 7, timeout=60)


def test_a_table_that_lacks_a_column(
    postgres_server: PostgresServer, postgres_store: str, write_config: WriteConfig
) -> None:
    postgres_server.execute("ALTER TABLE runs RENAME COLUMN end_time TO ended", postgres_store)
    with serving(write_config(postgres_server.uri(database=postgres_store))) as exporter:
        _assert_down(exporter, Reason.SCHEMA, "MLflow store lacks column runs.end_time", "mlflow db upgrade")
        postgres_server.execute("ALTER TABLE runs RENAME COLUMN ended TO end_time", postgres_store)
        exporter.wait_for(_FINISHED, 7)


def test_a_missing_table(sqlite_store: Path, write_config: WriteConfig) -> None:
    _edit(sqlite_store, "alter table tags rename to hidden")
    with serving(write_config(f"sqlite:///{sqlite_store}")) as exporter:
        _assert_down(exporter, Reason.SCHEMA, "MLflow store lacks table tags")
        _edit(sqlite_store, "alter table hidden rename to tags")
        exporter.wait_for(_FINISHED, 7)


@pytest.mark.parametrize("kind", ["missing", "directory", "text"])
def test_a_file_that_is_no_database(kind: str, sqlite_store: Path, write_config: WriteConfig) -> None:
    place = sqlite_store.with_name("place.db")
    if kind == "directory":
        place.mkdir()
    elif kind == "text":
        place.write_text("no database " * 1000)
    message = {
        "missing": "No such file or directory",
        "directory": "is a directory, not a regular file",
        "text": "file is not a database",
    }[kind]
    with serving(write_config(f"sqlite:///{place}")) as exporter:
        _assert_down(exporter, Reason.READ, str(place), message)
        if kind == "directory":
            place.rmdir()
        sqlite_store.replace(place)
        exporter.wait_for(_FINISHED, 7)


def test_a_file_that_is_replaced_shows_its_new_content(sqlite_store: Path, write_config: WriteConfig) -> None:
    new = Path(shutil.copy(sqlite_store, sqlite_store.with_name("new.db")))
    _edit(new, "update runs set status = 'FAILED'")
    with serving(write_config(f"sqlite:///{sqlite_store}")) as exporter:
        exporter.wait_for(_FINISHED, 7)
        new.replace(sqlite_store)
        exporter.wait_for(_FINISHED, 0)
        sqlite_store.unlink()
        exporter.wait_for(_UP, 0)


@contextlib.contextmanager
def _unprivileged() -> Iterator[None]:
    """Run as a user whom file modes bind; root passes them all."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Give a folder that other users can reach, too."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_file_that_may_not_be_read(sqlite_store: Path, public_folder: Path) -> None:
    store = Path(shutil.copy(sqlite_store, public_folder / "mlflow.db"))
    store.chmod(0)
    session = SqliteSession(store, timeout=5)
    with _unprivileged():
        with pytest.raises(SourceError, match=f"{store}: Permission denied") as error, session.transaction():
            pass
        assert error.value.reason is Reason.READ
        assert "the rights of the user" in error.value.hint


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_disk_that_may_not_be_written_is_read_all_the_same(
    sqlite_store: Path, public_folder: Path, journal: str
) -> None:
    _edit(sqlite_store, f"pragma journal_mode = {journal}")
    store = Path(shutil.copy(sqlite_store, public_folder / "mlflow.db"))
    store.chmod(0o444)
    public_folder.chmod(0o555)
    session = SqliteSession(store, timeout=5)
    with _unprivileged():
        with session.transaction():
            assert session.rows("select count(*) from runs") == [(18,)]
        session.close()
    assert [path.name for path in public_folder.iterdir()] == ["mlflow.db"]


def test_a_locked_file_is_waited_for_no_longer_than_the_timeout(sqlite_store: Path) -> None:
    session = SqliteSession(sqlite_store, timeout=0.3)
    with contextlib.closing(sqlite3.connect(sqlite_store)) as writer:
        writer.execute("begin exclusive")
        with pytest.raises(SourceError, match="database is locked") as error, session.transaction():
            session.rows("select count(*) from runs")
    assert error.value.reason is Reason.TIMEOUT
    with session.transaction():
        assert session.rows("select count(*) from runs") == [(18,)]
    session.close()


def test_a_metric_value_that_is_text_costs_only_itself(sqlite_store: Path, write_config: WriteConfig) -> None:
    _edit(sqlite_store, "update latest_metrics set value = 'high' where key = 'accuracy' and value = 0.7")
    with serving(write_config(f"sqlite:///{sqlite_store}")) as exporter:
        samples = exporter.wait_for(_UP, 1)
        line = exporter.wait_for_log("left out")
        assert "latest_metrics.value is text: run_uuid '" in line
        assert ", key 'accuracy'" in line
        assert samples[_errors(Reason.INVALID_VALUE)] >= 1
        latest = 'mlflow_metric_latest{{experiment="churn",metric="{}",model_variant="{}"}}'
        assert latest.format("accuracy", "model_a") not in samples
        assert samples[latest.format("val_loss", "model_a")] == 0.6
        assert samples[latest.format("accuracy", "model_d")] == 0.85
        _edit(sqlite_store, "update latest_metrics set value = 0.71 where value = 'high'")
        exporter.wait_for(latest.format("accuracy", "model_a"), 0.71)


def test_ten_thousand_experiments_stay_under_the_cap(sqlite_store: Path, write_config: WriteConfig) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_store)) as connection, connection:
        connection.executemany(
            "insert into experiments (name, lifecycle_stage, workspace) values (?, 'active', 'default')",
            [(f"sweep-{number:05}",) for number in range(10_000)],
        )
    with serving(write_config(f"sqlite:///{sqlite_store}", max_series=500)) as exporter:
        samples = exporter.wait_for(_UP, 1)
        assert sum(series.startswith("mlflow_runs{") for series in samples) == 500
        # What is in use is kept.
        assert samples[_FINISHED] == 7
        assert samples['mlflow_experiments{lifecycle_stage="active"}'] == 10_006
        dropped = samples['ml_monitoring_series_dropped_total{family="mlflow_runs",source="mlflow"}']
        assert dropped % (5 * 10_006 - 500) == 0
        assert dropped > 0
        assert "mlflow_runs is over max_series (500)" in exporter.wait_for_log("left out")


def test_once_prints_what_there_is_and_fails(sqlite_store: Path, write_config: WriteConfig) -> None:
    command = [sys.executable, "-m", "exporter", "once", "--config"]
    good = write_config(f"sqlite:///{sqlite_store}")
    done = subprocess.run([*command, good], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert f"{_FINISHED} 7.0\n" in done.stdout
    bad = write_config("sqlite:////nowhere/mlflow.db")
    done = subprocess.run([*command, bad], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"{_UP} 0.0\n" in done.stdout
    assert "/nowhere/mlflow.db: No such file or directory" in done.stderr


def test_reading_everything_may_take_longer_than_a_refresh(
    postgres_server: PostgresServer, postgres_store: str
) -> None:
    settings = MlflowSettings.model_validate(
        {"uri": postgres_server.uri(database=postgres_store), "timeout": "500ms", "first_timeout": "20s"}
    )
    source = MlflowSource(settings)

    @contextlib.contextmanager
    def locked() -> Iterator[None]:
        with contextlib.closing(postgres_server.connect(postgres_store)) as connection:
            connection.autocommit = False
            with connection.cursor() as cursor:
                cursor.execute("update runs set name = name || '!' where status = 'KILLED'")
                cursor.execute("lock table latest_metrics in access exclusive mode")
            unlocking = threading.Timer(1.5, connection.commit)
            unlocking.start()
            yield
            unlocking.join()

    with contextlib.closing(source):
        with locked():
            assert source.time_limit is None
            families = source.collect()
        assert families["mlflow_runs"].samples[("churn", "FINISHED")] == 7
        assert source.time_limit == ("first_timeout", 20)
        assert source.collect() is not families
        assert source.time_limit is None
        postgres_server.execute("update runs set name = name || '!' where status = 'FAILED'", postgres_store)
        with locked(), pytest.raises(SourceError, match=r"query took longer than 0.5 s") as error:
            source.collect()
        assert error.value.reason is Reason.TIMEOUT
        assert "raise the source's timeout" in error.value.hint
