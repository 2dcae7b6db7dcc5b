"""Tracking changes: what is kept up to date by what changed equals what a fresh full read finds."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ml_monitoring.exporter.exposition import render_text
from tests.support.mlflow_source import exposed, freshly_exposed, mlflow_source
from tests.support.mlflow_store import CHURN, EPOCH, reference_client, write_reference_store
from tests.support.mlflow_workload import OVERWRITES, RandomWorkload
from tools.mariadb import MariadbServer
from tools.postgres import PostgresServer
from tools.processes import wait_until


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let changes be tracked in stores that are so small that they would be read as a whole."""
    monkeypatch.setattr("ml_monitoring.exporter.sources.mlflow.sqlite_changes._SMALL", 0)


@pytest.mark.parametrize("seed", range(2))
def test_after_any_sequence_of_operations_it_equals_a_full_read(store_uri: str, seed: int) -> None:
    workload = RandomWorkload(store_uri, seed)
    # A pass through the store at each refresh.
    with mlflow_source(store_uri, reconcile="1ms") as source:
        source.collect()
        done = []
        for step in range(45):
            done.append(workload.step())
            if step % 5 == 4:
                assert exposed(source) == freshly_exposed(store_uri), done
        assert source._store.loads == 1


def test_what_shows_in_no_run_is_found_by_the_end_of_a_pass(store_uri: str) -> None:
    workload = RandomWorkload(store_uri, 11)
    with mlflow_source(store_uri, interval="1s", reconcile="6s") as source:
        source.collect()
        for _operation in range(25):
            workload.step()
            source.collect()
        for _refresh in range(6):
            source.collect()
        assert exposed(source) == freshly_exposed(store_uri)
        assert source._store.slices == 3


def test_a_late_metric_of_a_run_on_display_is_the_best_by_the_end_of_a_pass(store_uri: str) -> None:
    client = reference_client(store_uri)
    experiment = client.get_experiment_by_name(CHURN)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "attributes.run_name = 'plain'")
    with mlflow_source(store_uri, interval="1s", reconcile="6s") as source:
        source.collect()
        client.log_metric(run.info.run_id, "accuracy", 0.99, step=7)
        shown = source.collect()["mlflow_metric_latest"].samples
        assert shown[(CHURN, "", "accuracy")] == 0.99
        for _refresh in range(6):
            source.collect()
        assert source.collect()["mlflow_metric_best"].samples[(CHURN, "accuracy")] == 0.99


@pytest.mark.parametrize("overwrite", OVERWRITES)
def test_a_best_value_that_its_run_overwrote_as_it_changed_is_no_longer_shown(
    store_uri: str, overwrite: Callable[[MlflowClient, str], None]
) -> None:
    client = reference_client(store_uri)
    experiment = client.get_experiment_by_name(CHURN)
    assert experiment is not None
    of_best = "metrics.accuracy = 0.95 and attributes.status = 'FINISHED'"
    (run,) = client.search_runs([experiment.experiment_id], of_best)
    with mlflow_source(store_uri, interval="1s", reconcile="6s") as source:
        assert source.collect()["mlflow_metric_best"].samples[(CHURN, "accuracy")] == 0.95
        overwrite(client, run.info.run_id)
        if store_uri.startswith("postgresql"):
            # Its rows say when they were written.
            assert source.collect()["mlflow_metric_best"].samples[(CHURN, "accuracy")] == 0.85
        for _refresh in range(6):
            source.collect()
        assert exposed(source) == freshly_exposed(store_uri)
        assert source.collect()["mlflow_metric_best"].samples[(CHURN, "accuracy")] == 0.85
        assert source._store.loads == 1


def test_while_nothing_changes_the_same_families_are_returned(store_uri: str) -> None:
    with mlflow_source(store_uri) as source:
        # A file that was written a moment ago is looked at once more.
        assert wait_until(lambda: source.collect() is source.collect(), timeout=10)
        first = source.collect()
        assert all(source.collect() is first for _refresh in range(3))


def test_a_transaction_that_was_open_over_a_refresh_is_not_missed(
    postgres_server: PostgresServer, postgres_store: str
) -> None:
    uri = postgres_server.uri(database=postgres_store)
    with mlflow_source(uri) as source, contextlib.closing(postgres_server.connect(postgres_store)) as early:
        source.collect()
        early.autocommit = False
        with early.cursor() as cursor:
            cursor.execute("update runs set status = 'FAILED' where status = 'RUNNING'")
        # Later transactions end first.
        postgres_server.execute("update runs set name = name || '!' where status = 'KILLED'", postgres_store)
        source.collect()
        postgres_server.execute("update runs set name = name || '!' where status = 'KILLED'", postgres_store)
        source.collect()
        early.commit()
        assert exposed(source) == freshly_exposed(uri)
        assert source._store.loads == 1
        assert source.collect()["mlflow_runs"].samples[(CHURN, "FAILED")] == 3


def test_runs_that_are_removed_for_good_are_missed(store_uri: str, request: pytest.FixtureRequest) -> None:
    statements = [
        f"delete from {table} where run_uuid in (select run_uuid from runs where end_time = {(EPOCH + 60) * 1000})"
        for table in ("metrics", "latest_metrics", "params", "tags")
    ]
    statements += [f"delete from runs where end_time = {(EPOCH + 60) * 1000}"]
    with mlflow_source(store_uri) as source:
        before = source.collect()
        assert before["mlflow_metric_best"].samples[(CHURN, "accuracy")] == 0.95
        if store_uri.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(store_uri.removeprefix("sqlite:///"))) as file, file:
                for statement in statements:
                    file.execute(statement)
        else:
            kind = "mariadb" if store_uri.startswith("mysql") else "postgres"
            server: PostgresServer | MariadbServer = request.getfixturevalue(f"{kind}_server")
            server.execute(";".join(statements), store_uri.rsplit("/", 1)[1])
        after = source.collect()
        assert after["mlflow_metric_best"].samples[(CHURN, "accuracy")] == 0.85
        assert render_text(after).decode() == freshly_exposed(store_uri)
        # Of a file, it may mean that it is another store.
        assert source._store.loads == (2 if store_uri.startswith("sqlite") else 1)


def test_a_metric_of_a_run_on_display_is_seen_at_the_next_refresh(store_uri: str) -> None:
    client: MlflowClient = reference_client(store_uri)
    with mlflow_source(store_uri, reconcile="1h") as source:
        source.collect()
        run = client.get_model_version_by_alias("churn-model", "candidate").run_id
        assert run
        client.log_metric(run, "accuracy", 0.71, step=9)
        families = source.collect()
        assert families["mlflow_metric_latest"].samples[(CHURN, "model_a", "accuracy")] == 0.71
        assert families["mlflow_model_metric"].samples[("churn-model", "candidate", "accuracy")] == 0.71


def test_a_server_that_was_restarted_is_read_again() -> None:
    with PostgresServer() as server:
        uri = server.create_database("mlflow")
        write_reference_store(uri)
        with mlflow_source(uri) as source:
            before = exposed(source)
            server.restart()
            # The connection that was kept is replaced at once.
            assert exposed(source) == before
            assert source._store.loads == 2


def test_a_schema_that_changes_under_a_running_exporter_is_read_again(sqlite_store: Path) -> None:
    uri = f"sqlite:///{sqlite_store}"
    with mlflow_source(uri) as source:
        source.collect()
        with contextlib.closing(sqlite3.connect(sqlite_store)) as file, file:
            file.execute("drop table registered_model_aliases")
        assert exposed(source) == freshly_exposed(uri)


def test_rights_that_are_taken_and_given_back_lose_nothing(
    postgres_server: PostgresServer, postgres_store: str
) -> None:
    role = f"shy_{postgres_store}"
    grant = f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    postgres_server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'; {grant}", postgres_store)
    with mlflow_source(postgres_server.uri(role, "x", postgres_store)) as source:
        before = exposed(source)
        postgres_server.execute(f"REVOKE SELECT ON runs FROM {role}", postgres_store)
        with pytest.raises(Exception, match="permission denied for table runs"):
            source.collect()
        postgres_server.execute(grant, postgres_store)
        assert exposed(source) == before
