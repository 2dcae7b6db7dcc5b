"""A tracking server, read over REST: the values of its store, whatever is done to it."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from ml_monitoring.exporter.sources.mlflow.rest.session import RestSession
from tests.support.http_front import FrontAnswer, HttpFront
from tests.support.mlflow_server import MlflowServer
from tests.support.mlflow_store import reference_client
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
    source = MlflowSource(
        MlflowSettings.model_validate({"training": False, "uri": uri, "requests_per_minute": 6000, **settings})
    )
    try:
        yield source
    finally:
        source.close()


def _requests(source: MlflowSource) -> int:
    session = source._session
    assert isinstance(session, RestSession)
    return session.requests


def _go_round(source: MlflowSource) -> None:
    for _ in range(_ROUND):
        source.collect()


def _text(source: MlflowSource) -> str:
    return render_text(source.collect()).decode()


def _of_database(uri: str) -> str:
    source = MlflowSource(MlflowSettings.model_validate({"training": False, "uri": uri}))
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
            _go_round(source)
            assert _without_rows(_text(source)) == _without_rows(_of_database(store)), done


def test_a_refresh_costs_few_requests(store: str, server: MlflowServer) -> None:
    client = reference_client(store)
    experiment = client.create_experiment("busy")
    with _source(server.url) as source:
        source.collect()
        for _ in range(2 * _ROUND):
            before = _requests(source)
            source.collect()
            assert _requests(source) - before <= 3
        now = client.create_run(experiment).info.start_time
        runs = [client.create_run(experiment, start_time=now).info.run_id for _ in range(99)]
        for run in runs:
            client.set_terminated(run, end_time=now)
        before = _requests(source)
        source.collect()
        assert _requests(source) - before <= 10
        assert _without_rows(_text(source)) == _without_rows(_of_database(store))


_PAGE = b"<!doctype html><title>Sign in</title>"
_JSON = {"Content-Type": "application/json"}
FAULTS = {
    "the token ended": (FrontAnswer(401, b"s3cret-token is no good"), Reason.AUTH, "401"),
    "not allowed": (FrontAnswer(403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}'), Reason.AUTH, "no$"),
    "a login that answers": (FrontAnswer(200, _PAGE), Reason.AUTH, "a page for people, not with JSON$"),
    "a login elsewhere": (FrontAnswer(302, b"", {"Location": "/login?s3cret-token"}), Reason.AUTH, "leads elsewhere$"),
    "too many": (FrontAnswer(429, b"", {"Retry-After": "3600"}), Reason.READ, "429$"),
    "broken": (FrontAnswer(500, _PAGE), Reason.READ, "500$"),
    "a gateway": (FrontAnswer(502, _PAGE), Reason.READ, "502$"),
    "another path": (FrontAnswer(404, _PAGE), Reason.SCHEMA, "404$"),
    "a refusal": (FrontAnswer(400, b'{"error_code": "E", "message": "s3cret-token"}'), Reason.QUERY, "withheld"),
    "another program": (
        FrontAnswer(200, b'{"status": "ok"}', _JSON),
        Reason.SCHEMA,
        "something else than MLflow does$",
    ),
    "no object": (FrontAnswer(200, b"[]", _JSON), Reason.SCHEMA, "something else than MLflow does$"),
    "odd runs": (FrontAnswer(200, b'{"runs": [{"id": 1}]}', _JSON), Reason.SCHEMA, "describes runs unlike MLflow$"),
    "odd times": (
        FrontAnswer(200, b'{"runs": [{"info": {"run_id": "a", "experiment_id": "1", "start_time": "x"}}]}', _JSON),
        *(Reason.SCHEMA, "describes runs unlike MLflow$"),
    ),
    "cut off": (FrontAnswer(200, b'{"runs": ', _JSON, cut=10), Reason.CONNECT, "cannot be reached"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("attribute", ["start_time >=", "end_time >="])
def test_a_fault_is_an_error_that_names_the_server_and_no_secret(
    fault: str, attribute: str, store: str, server: MlflowServer
) -> None:
    answer, reason, said = FAULTS[fault]
    with HttpFront(server.url) as front, _source(front.url, token="s3cret-token") as source:
        text = _text(source)
        front.answer = lambda _path, body: answer if attribute.encode() in body else None
        with pytest.raises(SourceError, match=said) as failed:
            source.collect()
        assert failed.value.reason is reason
        assert front.url in str(failed.value)
        assert "s3cret" not in f"{failed.value}{failed.value.hint}"
        front.answer = lambda _path, _body: None
        if answer.status == 429:
            asked = len(front.seen)
            with pytest.raises(SourceError, match="is not asked for another"):
                source.collect()
            assert len(front.seen) == asked
        else:
            assert _text(source) == text == _text(source)
    assert {headers["Authorization"] for headers in front.seen} == {"Bearer s3cret-token"}


def test_a_slow_server_is_given_up(server: MlflowServer) -> None:
    released = threading.Event()
    aborting: list[threading.Thread] = []
    with HttpFront(server.url) as front, _source(front.url) as source:
        source.collect()

        def hold(_path: str, _body: bytes) -> None:
            aborting.append(threading.Thread(target=source.abort))
            aborting[0].start()
            released.wait(30)

        front.answer = hold
        with pytest.raises(SourceError, match="broken off") as failed:
            source.collect()
        assert failed.value.reason is Reason.TIMEOUT
        aborting[0].join()
        front.answer = lambda _path, _body: None
        released.set()
        source.collect()


def test_a_first_read_goes_on_where_it_was_broken_off(store: str, server: MlflowServer) -> None:
    with HttpFront(server.url) as front, _source(front.url) as source:
        front.answer = lambda path, _body: FrontAnswer(500) if "registered-models" in path else None
        for _ in range(2):
            with pytest.raises(SourceError, match="500"):
                source.collect()
            assert source.time_limit == ("first_timeout", 300.0)
        asked = _requests(source)
        front.answer = lambda _path, _body: None
        assert _without_rows(_text(source)) == _without_rows(_of_database(store))
        # The runs are not read once more.
        assert _requests(source) - asked <= 6


def test_another_store_behind_the_address_is_read_from_the_beginning(store: str, server: MlflowServer) -> None:
    with HttpFront(server.url) as front, _source(front.url) as source:
        made = re.compile(rb'"creation_time": \d+')

        def other(path: str, body: bytes) -> FrontAnswer | None:
            if not path.endswith("experiments/search"):
                return None
            answer = front.passed_on("POST", path, body)
            return FrontAnswer(200, made.sub(b'"creation_time": 1', answer.body), _JSON)

        front.answer = other
        source.collect()
        front.answer = lambda _path, _body: None
        with pytest.raises(SourceError, match="shows another store than before"):
            _go_round(source)
        assert _without_rows(_text(source)) == _without_rows(_of_database(store))


def test_a_server_without_experiments_is_no_empty_store(server: MlflowServer) -> None:
    with HttpFront(server.url) as front, _source(front.url) as source:
        front.answer = lambda _path, _body: FrontAnswer(200, b"{}", _JSON)
        with pytest.raises(SourceError, match="lists no experiment, not even the default one"):
            source.collect()
        front.answer = lambda _path, _body: None
        source.collect()
        front.answer = lambda path, _body: FrontAnswer(200, b"{}", _JSON) if "experiments" in path else None
        with pytest.raises(SourceError, match="lists no experiment, and had"):
            _go_round(source)


@pytest.mark.parametrize("date", ["Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT", "nonsense"])
def test_the_servers_clock_may_say_what_it_likes(date: str, store: str, server: MlflowServer) -> None:
    client = reference_client(store)
    experiment = client.create_experiment(f"by a clock of {date}")
    with HttpFront(server.url) as front, _source(front.url) as source:
        front.headers = {"date": date}
        source.collect()
        client.set_terminated(client.create_run(experiment).info.run_id)
        _go_round(source)
        assert _without_rows(_text(source)) == _without_rows(_of_database(store))
