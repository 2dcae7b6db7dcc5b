"""A tracking server, read over REST: the values of its store, whatever is done to it."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from ml_monitoring.exporter.sources.mlflow.rest.session import RestSession
from tests.support.mlflow_server import MlflowServer
from tests.support.mlflow_store import CHURN, reference_client
from tests.support.mlflow_workload import RandomWorkload
from tests.support.serving import serving

# So many refreshes take all turns of a round, and a pass through a small store.
_ROUND = 14


@pytest.fixture(scope="module")
def store(_sqlite_reference: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{shutil.copy(_sqlite_reference, tmp_path_factory.mktemp('store') / 'mlflow.db')}"


@pytest.fixture(scope="module")
def server(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with MlflowServer(store, tmp_path_factory.mktemp("server")) as running:
        yield running


@contextlib.contextmanager
def _source(uri: str, **settings: object) -> Iterator[MlflowSource]:
    source = MlflowSource(MlflowSettings.model_validate({"uri": uri, "requests_per_minute": 6000, **settings}))
    try:
        yield source
    finally:
        source.close()


def _requests(source: MlflowSource) -> int:
    session = source._session
    assert isinstance(session, RestSession)
    return session.requests


def _text(source: MlflowSource) -> str:
    return render_text(source.collect()).decode()


def _of_database(uri: str) -> str:
    source = MlflowSource(MlflowSettings.model_validate({"uri": uri}))
    try:
        return _text(source)
    finally:
        source.close()


def _without_rows(text: str) -> str:
    """Leave out how many rows tables have, which a server does not tell."""
    return re.sub(r"(?m)^mlflow_store_rows.*\n", "", text)


def test_a_server_has_the_values_of_its_store(
    store: str, server: MlflowServer, write_config: Callable[..., Path]
) -> None:
    shown = []
    for uri in (store, server.url):
        with serving(write_config(uri)) as exporter:
            exporter.wait_for('ml_monitoring_source_up{source="mlflow"}', 1)
            text = exporter.get("/metrics").text
        shown.append(text[text.index("# HELP mlflow_") :])
    assert _without_rows(shown[1]) == _without_rows(shown[0])
    rows = re.findall(r'^mlflow_store_rows{table="(\w+)"}', shown[1], re.MULTILINE)
    assert rows == ["experiments", "model_versions", "runs"]


def test_whatever_is_done_is_seen_within_a_round(store: str, server: MlflowServer) -> None:
    workload = RandomWorkload(store, 7)
    with _source(server.url) as source:
        source.collect()
        for _ in range(5):
            done = [workload.step() for _ in range(6)]
            for _ in range(_ROUND):
                source.collect()
            assert _without_rows(_text(source)) == _without_rows(_of_database(store)), done


def test_a_refresh_costs_few_requests(store: str, server: MlflowServer) -> None:
    client = reference_client(store)
    experiment = client.get_experiment_by_name(CHURN)
    assert experiment is not None
    with _source(server.url) as source:
        source.collect()
        for _ in range(2 * _ROUND):
            before = _requests(source)
            source.collect()
            assert _requests(source) - before <= 3
        now = client.create_run(experiment.experiment_id).info.start_time
        runs = [client.create_run(experiment.experiment_id, start_time=now).info.run_id for _ in range(99)]
        for run in runs:
            client.set_terminated(run, end_time=now)
        before = _requests(source)
        source.collect()
        assert _requests(source) - before <= 10
        assert _without_rows(_text(source)) == _without_rows(_of_database(store))
