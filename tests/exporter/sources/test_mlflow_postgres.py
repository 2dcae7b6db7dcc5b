"""What is of PostgreSQL alone: a big store, of which a refresh scans some pages.

Pages and shares are made so small that a store of some hundred runs is a big one.
"""

from __future__ import annotations

import pytest

from ml_monitoring.exporter.sources.mlflow import MlflowSource
from tests.support.mlflow_source import exposed, freshly_exposed, mlflow_source
from tests.support.mlflow_store import CHURN, write_reference_store
from tests.support.mlflow_workload import RandomWorkload
from tools.postgres import PostgresServer

_CHANGES = "ml_monitoring.exporter.sources.mlflow.postgres_changes"
_RUNS = 300
_FILL = f"""
    insert into runs (run_uuid, name, user_id, artifact_uri, source_type, status, lifecycle_stage, start_time, end_time,
                      experiment_id)
    select md5('run' || i), repeat('n', 200), 'u', '/nonexistent', 'LOCAL', 'FINISHED', 'active', 1000 * i,
           1000 * i + i, e.experiment_id
    from generate_series(1, {_RUNS}) i, experiments e where e.name = '{CHURN}';
    insert into latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
    select md5('run' || i), 'accuracy', i / 1000.0, 0, 0, false from generate_series(1, {_RUNS}) i"""
# Pages of 8 kB hold some 25 of these runs.
_REFRESHES = 40


@pytest.fixture
def big_store(postgres_server: PostgresServer, postgres_store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a store that counts as a big one."""
    monkeypatch.setattr(f"{_CHANGES}._PAGES_A_SHARE", 1)
    monkeypatch.setattr(f"{_CHANGES}._SHARES_AT_ONCE", 2)
    monkeypatch.setattr(f"{_CHANGES}._PAGES_A_SLICE", 1)
    monkeypatch.setattr(f"{_CHANGES}._RUNS_A_SLICE", 30)
    postgres_server.execute(_FILL, postgres_store)
    return postgres_store


_SETTINGS = {"interval": "1s", "reconcile": "1s"}


def _caught_up(source: MlflowSource) -> str:
    for _refresh in range(_REFRESHES):
        source.collect()
    return exposed(source)


@pytest.mark.parametrize("seed", range(2))
def test_all_that_is_written_to_a_big_store_is_found_after_some_refreshes(
    postgres_server: PostgresServer, big_store: str, seed: int
) -> None:
    uri = postgres_server.uri(database=big_store)
    workload = RandomWorkload(uri, seed)
    with mlflow_source(uri, **_SETTINGS) as source:
        source.collect()
        for _operation in range(40):
            workload.step()
            source.collect()
        assert len(source._store._tracker._shares) > 4  # type: ignore[attr-defined]  # of this tracker alone
        assert _caught_up(source) == freshly_exposed(uri)
        assert source._store.loads == 1


def test_a_scan_takes_no_more_than_its_shares(postgres_server: PostgresServer, big_store: str) -> None:
    with mlflow_source(postgres_server.uri(database=big_store), **_SETTINGS) as source:
        source.collect()
        scans = 0
        rows = source._session.rows

        def counted(sql: str, **parameters: object) -> object:
            nonlocal scans
            scans += sql == source._store.reader.queries.changed_runs
            return rows(sql, **parameters)

        source._session.rows = counted  # type: ignore[method-assign,assignment]  # what is measured is the real session
        postgres_server.execute("update runs set end_time = end_time + 1", big_store)
        for _refresh in range(3):
            source.collect()
        assert scans == 6


def test_a_run_at_the_end_of_the_table_shows_at_once(postgres_server: PostgresServer, big_store: str) -> None:
    insert = f"""
        insert into runs (run_uuid, name, source_type, status, lifecycle_stage, start_time, experiment_id)
        select md5('last' || i), repeat('n', 200), 'LOCAL', 'RUNNING', 'active', 1000, e.experiment_id
        from generate_series(1, 10) i, experiments e where e.name = '{CHURN}'"""
    with mlflow_source(postgres_server.uri(database=big_store), **_SETTINGS) as source:
        assert source.collect()["mlflow_runs"].samples[(CHURN, "RUNNING")] == 2
        postgres_server.execute(insert, big_store)
        # The pages that were appended come first.
        assert source.collect()["mlflow_runs"].samples[(CHURN, "RUNNING")] == 12


def test_runs_that_are_removed_from_a_big_store_are_missed(postgres_server: PostgresServer, big_store: str) -> None:
    uri = postgres_server.uri(database=big_store)
    with mlflow_source(uri, **_SETTINGS) as source:
        source.collect()
        postgres_server.execute(
            f"""delete from latest_metrics where run_uuid in (select md5('run' || i) from generate_series(50, 90) i);
                delete from runs where run_uuid in (select md5('run' || i) from generate_series(50, 90) i);
                update latest_metrics set value = 0.999 where run_uuid = md5('run{_RUNS}')""",
            big_store,
        )
        assert _caught_up(source) == freshly_exposed(uri)
        assert source.collect()["mlflow_metric_best"].samples[(CHURN, "accuracy")] == 0.999
        assert source._store.loads == 1


def test_a_table_whose_rows_moved_is_read_again(postgres_server: PostgresServer, big_store: str) -> None:
    uri = postgres_server.uri(database=big_store)
    with mlflow_source(uri, **_SETTINGS) as source:
        source.collect()
        # It keeps the transactions of rows, and puts them on other pages.
        postgres_server.execute(
            f"""delete from latest_metrics where run_uuid in (select md5('run' || i) from generate_series(1, 150) i);
                delete from runs where run_uuid in (select md5('run' || i) from generate_series(1, 150) i);
                update runs set status = 'FAILED' where run_uuid = md5('run{_RUNS}')""",
            big_store,
        )
        postgres_server.execute("vacuum full runs", big_store)
        assert exposed(source) == freshly_exposed(uri)
        assert source._store.loads == 2


def test_numbers_of_transactions_that_begin_again_hide_nothing() -> None:
    # They have 32 bits in rows. Nothing else is to be written, and no old row may need its transaction.
    with PostgresServer(settings={"autovacuum": "off"}) as server:
        uri = server.create_database("mlflow")
        write_reference_store(uri)
        server.execute("update pg_database set datallowconn = true")
        for database in ("mlflow", "postgres", "template0", "template1"):
            server.execute("vacuum freeze", database)
        _leave_transactions(server, 40)
        with mlflow_source(uri, **_SETTINGS) as source:
            source.collect()
            positions = []
            for step in range(8):
                server.execute(f"update runs set end_time = end_time + 1 where run_uuid < '{2 * step}'", "mlflow")
                server.execute(f"update runs set status = 'FAILED' where name = 'b-tie-{step % 3}'", "mlflow")
                for _other in range(8):
                    server.execute("select pg_current_xact_id()", "mlflow")
                assert exposed(source) == freshly_exposed(uri)
                positions.append(source._store._tracker._here.oldest)  # type: ignore[attr-defined]  # of this tracker alone
            assert positions[0] < 2**32 < positions[-1]
            assert source._store.loads == 1


def _leave_transactions(server: PostgresServer, count: int) -> None:
    """Let a server go on with the number of a transaction after which so many follow before the numbers begin again."""
    server.shutdown()
    data = server.directory / "data"
    # The file that says what became of these transactions.
    states = data / "pg_xact" / "0FFF"
    states.write_bytes(bytes(32 * 8192))
    server._give_to_user(states)
    done = server._run([server._bin / "pg_resetwal", "-x", str(2**32 - count), "-D", data])
    assert done.returncode == 0, done.stderr
    server.boot()
