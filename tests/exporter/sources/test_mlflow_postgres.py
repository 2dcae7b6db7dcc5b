"""What is of PostgreSQL alone: a big store, of which a refresh scans some pages.

Pages and shares are made so small that a store of some hundred runs is a big one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tests.support.mlflow_store import CHURN
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


@contextlib.contextmanager
def _source(uri: str) -> Iterator[MlflowSource]:
    source = MlflowSource(
        MlflowSettings.model_validate({"training": False, "uri": uri, "interval": "1s", "reconcile": "1s"})
    )
    try:
        yield source
    finally:
        source.close()


def _text(source: MlflowSource) -> str:
    return render_text(source.collect()).decode()


def _fresh(uri: str) -> str:
    with _source(uri) as source:
        return _text(source)


def _caught_up(source: MlflowSource) -> str:
    for _refresh in range(_REFRESHES):
        source.collect()
    return _text(source)


@pytest.mark.parametrize("seed", range(2))
def test_all_that_is_written_to_a_big_store_is_found_after_some_refreshes(
    postgres_server: PostgresServer, big_store: str, seed: int
) -> None:
    uri = postgres_server.uri(database=big_store)
    workload = RandomWorkload(uri, seed)
    with _source(uri) as source:
        source.collect()
        for _operation in range(40):
            workload.step()
            source.collect()
        assert len(source._store._tracker._shares) > 4  # type: ignore[attr-defined]  # of this tracker alone
        assert _caught_up(source) == _fresh(uri)
        assert source._store.loads == 1


def test_a_scan_takes_no_more_than_its_shares(postgres_server: PostgresServer, big_store: str) -> None:
    with _source(postgres_server.uri(database=big_store)) as source:
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
    with _source(postgres_server.uri(database=big_store)) as source:
        assert source.collect()["mlflow_runs"].samples[(CHURN, "RUNNING")] == 2
        postgres_server.execute(insert, big_store)
        # The pages that were appended come first.
        assert source.collect()["mlflow_runs"].samples[(CHURN, "RUNNING")] == 12


def test_runs_that_are_removed_from_a_big_store_are_missed(postgres_server: PostgresServer, big_store: str) -> None:
    uri = postgres_server.uri(database=big_store)
    with _source(uri) as source:
        source.collect()
        postgres_server.execute(
            f"""delete from latest_metrics where run_uuid in (select md5('run' || i) from generate_series(50, 90) i);
                delete from runs where run_uuid in (select md5('run' || i) from generate_series(50, 90) i);
                update latest_metrics set value = 0.999 where run_uuid = md5('run{_RUNS}')""",
            big_store,
        )
        assert _caught_up(source) == _fresh(uri)
        assert source.collect()["mlflow_metric_best"].samples[(CHURN, "accuracy")] == 0.999
        assert source._store.loads == 1


def test_a_table_whose_rows_moved_is_read_again(postgres_server: PostgresServer, big_store: str) -> None:
    uri = postgres_server.uri(database=big_store)
    with _source(uri) as source:
        source.collect()
        # It keeps the transactions of rows, and puts them on other pages.
        postgres_server.execute(
            f"""delete from latest_metrics where run_uuid in (select md5('run' || i) from generate_series(1, 150) i);
                delete from runs where run_uuid in (select md5('run' || i) from generate_series(1, 150) i);
                update runs set status = 'FAILED' where run_uuid = md5('run{_RUNS}')""",
            big_store,
        )
        postgres_server.execute("vacuum full runs", big_store)
        assert _text(source) == _fresh(uri)
        assert source._store.loads == 2
