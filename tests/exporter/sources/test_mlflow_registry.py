"""The model registry is read where something in it changed, whatever that was, and only there."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow import MlflowSource
from ml_monitoring.exporter.sources.mlflow.sql import REGISTRY_TABLES
from tests.support.mlflow_source import exposed, freshly_exposed, mlflow_source
from tests.support.mlflow_store import CHURN, reference_client
from tools.mariadb import MariadbServer
from tools.postgres import PostgresServer

MODEL = "churn-model"


# Of SQLite the registry is read whenever its file was written.
on_each_server = pytest.mark.parametrize("store_uri", ["postgresql", "mariadb"], indirect=True)


def _counting(source: MlflowSource, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets longer each time the registry is read."""
    reads: list[int] = []
    load = source._store.registry.load

    def counted() -> None:
        reads.append(len(reads))
        load()

    monkeypatch.setattr(source._store.registry, "load", counted)
    return reads


def _versions(families: FamilySet) -> set[tuple[str, ...]]:
    return set(families["mlflow_model_version_info"].samples)


def _another_stage(client: MlflowClient) -> None:
    with warnings.catch_warnings():
        # MLflow has stages for as long as their users do not change to aliases.
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(MODEL, "1", "Production")


def _one_alias_less(client: MlflowClient) -> None:
    client.set_registered_model_alias(MODEL, "champion", "3")
    client.delete_registered_model_alias(MODEL, "candidate")


_CHANGES: dict[str, Callable[[MlflowClient], object]] = {
    "alias moved": lambda client: client.set_registered_model_alias(MODEL, "champion", "3"),
    "alias deleted": lambda client: client.delete_registered_model_alias(MODEL, "candidate"),
    "alias moved and another deleted": _one_alias_less,
    "version registered": lambda client: client.create_model_version(MODEL, "/nonexistent/artifacts/model"),
    "version deleted": lambda client: client.delete_model_version(MODEL, "1"),
    "another stage": _another_stage,
    "model renamed": lambda client: client.rename_registered_model(MODEL, "renamed"),
    "model deleted": lambda client: client.delete_registered_model(MODEL),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_each_change_of_the_registry_is_seen_at_the_next_refresh(
    store_uri: str, change: str, request: pytest.FixtureRequest
) -> None:
    with mlflow_source(store_uri, reconcile="1h") as source:
        before = exposed(source)
        _CHANGES[change](reference_client(store_uri))
        if change == "model renamed" and store_uri.startswith("mysql"):
            # Copies of a database there have no foreign keys, which would pass the name on.
            server: MariadbServer = request.getfixturevalue("mariadb_server")
            renames = [f"update {table} set name = 'renamed' where name = '{MODEL}'" for table in REGISTRY_TABLES]
            server.execute(";".join(renames), store_uri.rsplit("/", 1)[1])
        after = exposed(source)
        assert after == freshly_exposed(store_uri)
        assert after != before


def test_the_status_of_a_run_behind_a_version_is_followed(store_uri: str) -> None:
    client = reference_client(store_uri)
    run = client.get_model_version_by_alias(MODEL, "champion").run_id
    assert run
    with mlflow_source(store_uri, reconcile="1h") as source:
        assert (MODEL, "1", "champion", "FINISHED") in _versions(source.collect())
        client.delete_run(run)
        assert (MODEL, "1", "champion", "DELETED") in _versions(source.collect())
        client.restore_run(run)
        assert (MODEL, "1", "champion", "FINISHED") in _versions(source.collect())


@on_each_server
def test_what_is_not_of_the_registry_does_not_cause_it_to_be_read(
    store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = reference_client(store_uri)
    experiment = client.get_experiment_by_name(CHURN)
    assert experiment is not None
    with mlflow_source(store_uri) as source:
        # MariaDB tells when a table was written to in whole seconds.
        while source.collect() is not source.collect():
            pass
        reads = _counting(source, monkeypatch)
        client.set_terminated(client.create_run(experiment.experiment_id).info.run_id)
        source.collect()
        client.set_model_version_tag(MODEL, "1", "reviewed", "yes")
        client.set_registered_model_tag(MODEL, "team", "growth")
        source.collect()
        assert reads == []
        client.set_registered_model_alias(MODEL, "champion", "3")
        assert exposed(source) == freshly_exposed(store_uri)
        assert len(reads) == 1


@on_each_server
def test_a_registry_that_is_restored_from_a_backup_is_read(store_uri: str, request: pytest.FixtureRequest) -> None:
    kind = "mariadb" if store_uri.startswith("mysql") else "postgres"
    server: PostgresServer | MariadbServer = request.getfixturevalue(f"{kind}_server")
    store = store_uri.rsplit("/", 1)[1]
    client = reference_client(store_uri)
    for table in REGISTRY_TABLES:
        server.execute(f"create table saved_{table} as select * from {table}", store)
    with mlflow_source(store_uri, reconcile="1h") as source:
        before = _versions(source.collect())
        client.set_registered_model_alias(MODEL, "champion", "3")
        client.delete_model_version(MODEL, "2")
        client.create_model_version(MODEL, "/nonexistent/artifacts/model")
        assert _versions(source.collect()) != before
        for table in reversed(REGISTRY_TABLES):
            server.execute(f"delete from {table}", store)
        for table in REGISTRY_TABLES:
            server.execute(f"insert into {table} select * from saved_{table}", store)
        assert exposed(source) == freshly_exposed(store_uri)
        assert _versions(source.collect()) == before


def test_of_more_versions_than_may_be_shown_those_with_an_alias_and_the_newest_are(store_uri: str) -> None:
    client = reference_client(store_uri)
    client.create_registered_model("many")
    for _version in range(8):
        client.create_model_version("many", "/nonexistent/artifacts/model")
    client.set_registered_model_alias("many", "first", "1")
    with mlflow_source(store_uri) as source:
        everything = source.collect()
    aliased = {version for version in _versions(everything) if version[2]}
    most = len(aliased) + 3
    with mlflow_source(store_uri, max_series=most) as source:
        families = source.collect()
        assert len(source._store.registry.versions) == most
        shown = _versions(families)
        assert shown == aliased | {("many", version, "", "") for version in ("6", "7", "8")}
        assert families["mlflow_model_version_info"].dropped == len(_versions(everything)) - most
        assert families["mlflow_model_versions"].samples["many", "None"] == 8


def test_a_registry_too_big_to_be_scanned_is_read_again_after_some_refreshes(
    postgres_server: PostgresServer, postgres_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_monitoring.exporter.sources.mlflow.postgres_registry._MOST_PAGES", 0)
    uri = postgres_server.uri(database=postgres_store)
    with mlflow_source(uri, interval="1s", reconcile="6s") as source:
        source.collect()
        assert source._store.slices == 3
        postgres_server.execute(f"delete from registered_model_aliases where name = '{MODEL}'", postgres_store)
        texts = []
        for _refresh in range(3):
            texts.append(exposed(source) == freshly_exposed(uri))
            postgres_server.execute("update experiments set last_update_time = 1", postgres_store)
        assert texts == [False, False, True]


def test_a_registry_that_is_a_view_counts_as_changed_whenever_something_was_written(
    postgres_server: PostgresServer, postgres_store: str
) -> None:
    uri = postgres_server.uri(database=postgres_store)
    postgres_server.execute(
        "alter table registered_model_aliases rename to hidden;"
        "create view registered_model_aliases as select * from hidden where alias = 'champion'",
        postgres_store,
    )
    with mlflow_source(uri) as source:
        assert {version[2] for version in _versions(source.collect())} == {"", "champion"}
        postgres_server.execute("delete from hidden", postgres_store)
        assert {version[2] for version in _versions(source.collect())} == {""}
        assert source._store.loads == 1
