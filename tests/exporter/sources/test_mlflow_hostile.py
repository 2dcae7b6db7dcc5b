"""What is written behind MLflow's back, in any order: each refresh says what a fresh full read says."""

from __future__ import annotations

import contextlib

import pytest

from tests.support.mlflow_hostile import HostileWorkload
from tests.support.mlflow_source import exposed, freshly_exposed, mlflow_source
from tools.mariadb import MariadbServer
from tools.postgres import PostgresServer

_CHANGES = "ml_monitoring.exporter.sources.mlflow"
# A big store is made of one with pages of 8 kB and shares of a few runs.
_BIG = {
    "postgresql": {
        "postgres_changes._PAGES_A_SHARE": 1,
        "postgres_changes._SHARES_AT_ONCE": 2,
        "postgres_changes._PAGES_A_SLICE": 1,
        "postgres_changes._RUNS_A_SLICE": 30,
        "postgres_registry._MOST_PAGES": 1,
    },
    "mariadb": {
        "mysql_changes._RUNS_A_SHARE": 10,
        "mysql_changes._RUNS_A_SLICE": 10,
        "mysql_changes._MANY_CHANGES": 2,
        "mysql_changes._RANGES_AT_ONCE": 2,
    },
}


@pytest.fixture(params=["postgresql", "mariadb"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return a kind of server."""
    kind: str = request.param
    return kind


@pytest.fixture
def stored(kind: str, request: pytest.FixtureRequest) -> tuple[PostgresServer | MariadbServer, str]:
    """Return a server of this kind, and the name of a store on it with the reference content."""
    name = "mariadb" if kind == "mariadb" else "postgres"
    return request.getfixturevalue(f"{name}_server"), request.getfixturevalue(f"{name}_store")


def _without_estimates(text: str) -> str:
    """Return what is exposed but for the estimates of rows, which come from the database's own statistics."""
    return text.partition("# HELP mlflow_store_rows")[0]


@pytest.mark.parametrize("seed", range(3))
def test_each_refresh_equals_a_full_read(stored: tuple[PostgresServer | MariadbServer, str], seed: int) -> None:
    server, store = stored
    uri = server.uri(database=store)
    done: list[str] = []
    # A pass through the store at each refresh.
    with (
        contextlib.closing(HostileWorkload(server, store, seed)) as workload,
        mlflow_source(uri, reconcile="1ms") as source,
    ):
        source.collect()
        for _step in range(60):
            done.append(workload.step())
            assert _without_estimates(exposed(source)) == _without_estimates(freshly_exposed(uri)), done


@pytest.mark.parametrize("seed", range(2))
def test_a_big_store_is_caught_up_with(
    kind: str, stored: tuple[PostgresServer | MariadbServer, str], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in _BIG[kind].items():
        monkeypatch.setattr(f"{_CHANGES}.{name}", value)
    server, store = stored
    uri = server.uri(database=store)
    done: list[str] = []
    with (
        contextlib.closing(HostileWorkload(server, store, seed)) as workload,
        mlflow_source(uri, interval="1s", reconcile="2s") as source,
    ):
        workload.imported()
        workload.imported()
        source.collect()
        for _step in range(60):
            done.append(workload.step())
            source.collect()
        for _refresh in range(60):
            source.collect()
        assert _without_estimates(exposed(source)) == _without_estimates(freshly_exposed(uri)), done
