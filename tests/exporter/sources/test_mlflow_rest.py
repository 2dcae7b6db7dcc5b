"""A tracking server, read over REST: the values of its store, whatever is done to it."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from math import nan
from pathlib import Path

import pytest
from mlflow.entities import AssessmentSource, Feedback
from mlflow.entities.trace_info import TraceInfo
from mlflow.entities.trace_location import TraceLocation
from mlflow.entities.trace_state import TraceState
from mlflow.tracing.client import TracingClient

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from ml_monitoring.exporter.sources.mlflow.rest.session import RestSession
from ml_monitoring.exporter.sources.mlflow.settings import is_server
from tests.support.http_front import FrontAnswer, HttpFront
from tests.support.mlflow_server import MlflowServer
from tests.support.mlflow_store import reference_client
from tests.support.mlflow_workload import OVERWRITES, RandomWorkload
from tests.support.nginx import Nginx
from tests.support.serving import ExporterProcess, serving
from tools.processes import free_port

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
    limits = {"requests_per_minute": 6000} if is_server(uri) else {}
    source = MlflowSource(MlflowSettings.model_validate({"training": False, "uri": uri, **limits, **settings}))
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


def test_a_best_value_that_its_run_overwrote_as_it_changed_is_no_longer_shown(store: str, server: MlflowServer) -> None:
    client = reference_client(store)
    best: dict[str, str] = {}
    for overwrite in OVERWRITES:
        experiment = client.create_experiment(overwrite.__name__)
        for accuracy in (0.8, 0.9):
            run = client.create_run(experiment).info.run_id
            client.log_metric(run, "accuracy", accuracy)
            client.set_terminated(run)
            best[overwrite.__name__] = run
    with _source(server.url) as source:
        shown = source.collect()["mlflow_metric_best"].samples
        assert {shown[name, "accuracy"] for name in best} == {0.9}
        for overwrite in OVERWRITES:
            overwrite(client, best[overwrite.__name__])
        _go_round(source)
        shown = source.collect()["mlflow_metric_best"].samples
        assert {shown[name, "accuracy"] for name in best} == {0.8}


def test_runs_under_way_have_the_values_of_the_store(store: str, server: MlflowServer) -> None:
    client = reference_client(store)
    experiment = client.create_experiment("under way")
    for user, gpu in (("ana", 80.0), ("bo", 20.0), ("bo", 5.0)):
        tags = {
            "mlflow.user": user,
            "mlflow.source.name": "train.py",
            "mlflow.source.type": "LOCAL",
            "cost": f"{gpu / 3}",
        }
        run = client.create_run(experiment, tags=tags).info.run_id
        client.log_metric(run, "loss", nan if user == "ana" else 0.5, step=3)
        client.log_metric(run, f"system/of-{user}/gpu_0_utilization_percentage", gpu)
        client.log_metric(run, "system/cpu_utilization_percentage", gpu)
    shown = [_training(uri) for uri in (store, server.url)]
    assert 'mlflow_tagged_cost{experiment="under way",tag="cost"} 35.0' in shown[0]
    assert "mlflow_training_node_utilization_ratio{" in shown[0]
    assert 'mlflow_training_user_runs{user="bo"} 2.0' in shown[0]
    assert shown[1] == shown[0]
    for run in client.search_runs([experiment]):
        client.set_terminated(run.info.run_id)


def _training(uri: str) -> str:
    with _source(uri, training=True, cost_tags="cost") as source:
        return _without_rows(_text(source))


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


# What stands before a server, in nginx's words; why nothing can be read then, and what the log says.
IN_FRONT = {
    "the token ended": ('if ($http_authorization != "Bearer another") {{ return 401; }}', Reason.AUTH, ": 401"),
    "too many": ("add_header Retry-After 1 always; return 429;", Reason.READ, ": 429"),
    "broken": ("return 500;", Reason.READ, ": 500"),
    "MLflow is not there": ("proxy_pass http://127.0.0.1:{nobody};", Reason.READ, ": 502"),
    "MLflow does not answer": (
        "proxy_pass http://127.0.0.1:{silent}; proxy_read_timeout 1s;",
        *(Reason.TIMEOUT, ": 504"),
    ),
    "a login that answers": (
        "default_type text/html; return 200 '<!doctype html><title>Sign in</title>';",
        *(Reason.AUTH, " answers with a page for people, not with JSON"),
    ),
    "a login elsewhere": ("return 302 /login?s3cret-token;", Reason.AUTH, ": 302: leads elsewhere"),
}
_LOCATION = """
server {{
    listen 127.0.0.1:{port};
    location / {{
        {fault}
    }}
}}
"""
_IN_ORDER = """
        if ($http_authorization != "Bearer {token}") {{ return 401; }}
        proxy_pass {server};
        proxy_set_header Host localhost;"""


class _Gate:
    """An nginx before a server, what an exporter shows of it, and of another store beside it."""

    def __init__(self, server: str, store: str, folder: Path) -> None:
        self._folder = folder
        self._places = {"server": server, "nobody": free_port()}
        self._port = free_port()
        self._nginx: Nginx | None = None
        self.token_file = folder / "token"
        self.config = folder / "ml-monitoring.yml"
        self.url = f"http://127.0.0.1:{self._port}"
        self.config.write_text(f"""
web: {{port: 0}}
sources:
  mlflow:
    gate: {{uri: '{self.url}', token_file: '{self.token_file}', interval: 200ms, requests_per_minute: 6000}}
    beside: {{uri: '{store}', interval: 200ms}}
""")

    def stand(self, location: str, token: str, **places: object) -> None:
        """Let nginx do so; the exporter has the token."""
        self.close()
        self.token_file.write_text(token)
        fault = location.format(token=token, **self._places, **places)
        self._nginx = Nginx(_LOCATION.format(port=self._port, fault=fault), self._folder, self._port)
        self._nginx.start()

    def close(self) -> None:
        if self._nginx is not None:
            self._nginx.stop()


def test_what_stands_before_a_server_costs_its_source_alone_and_no_secret(
    store: str, server: MlflowServer, tmp_path: Path
) -> None:
    gate = _Gate(server.url, store, tmp_path)
    up = 'ml_monitoring_source_up{{source="mlflow/{}"}}'.format
    with contextlib.closing(gate), socket.create_server(("127.0.0.1", 0)) as silent:
        gate.stand(_IN_ORDER, "s3cret-token-0")
        with serving(gate.config) as exporter:
            expected = _of_store(exporter.wait_for(up("gate"), 1), "gate")
            for number, (fault, (location, reason, said)) in enumerate(IN_FRONT.items(), 1):
                gate.stand(location, f"s3cret-token-{number}", silent=silent.getsockname()[1])
                samples = exporter.wait_for(up("gate"), 0)
                # The last good values, for which it is said that they are not of now, until they are withdrawn.
                assert _of_store(samples, "gate") in (expected, {}), fault
                exporter.wait_for_log(gate.url, said)
                errors = f'ml_monitoring_source_errors_total{{reason="{reason.value}",source="mlflow/gate"}}'
                assert exporter.samples()[errors] > 0, fault
                _wait_for_refreshes(exporter, "beside")
                assert exporter.samples()[up("beside")] == 1, fault
                gate.stand(_IN_ORDER, f"s3cret-token-{number}")
                assert _of_store(exporter.wait_for(up("gate"), 1), "gate") == expected, fault
            assert "s3cret" not in exporter.log.read_text() + exporter.get("/metrics").text + exporter.get("/").text


def _of_store(samples: dict[str, float], name: str) -> dict[str, float]:
    return {series: value for series, value in samples.items() if f'store="{name}"' in series and "mlflow_" in series}


def _wait_for_refreshes(exporter: ExporterProcess, name: str) -> None:
    count = f'ml_monitoring_source_refresh_duration_seconds_count{{source="mlflow/{name}"}}'
    before, deadline = exporter.samples()[count], time.monotonic() + 60
    while exporter.samples()[count] <= before + 1:
        assert time.monotonic() < deadline


def test_a_listing_that_a_server_fails_at_costs_nothing_else(store: str, server: MlflowServer) -> None:
    client, traces = reference_client(store), TracingClient(store)
    experiment = client.create_experiment("judged with no number")

    def trace(number: int) -> None:
        location = TraceLocation.from_experiment_id(experiment)
        now = round(time.time() * 1000)
        traces.start_trace(TraceInfo(f"tr-{number}", location, now, TraceState.OK, execution_duration=5))

    with _source(server.url) as source:
        trace(1)
        _go_round(source)
        ended = ("judged with no number", "OK")
        assert ended in source.collect()["mlflow_traces_total"].samples
        # The real server cannot answer with it.
        feedback = traces.log_assessment(
            "tr-1", Feedback(name="relevance", value=nan, source=AssessmentSource("CODE", "x"))
        )
        _go_round(source)
        families = source.collect()
        assert families["mlflow_runs"].samples
        assert not families["mlflow_traces_total"].samples
        said = f"trace_info cannot be read: {server.url}/api/3.0/mlflow/traces/search: 500"
        assert said in families.describe_problems(Reason.READ)
        with _source(server.url) as late:
            assert said in late.check()
        assert feedback.assessment_id
        traces.delete_assessment("tr-1", feedback.assessment_id)
        _go_round(source)
        families = source.collect()
        assert ended in families["mlflow_traces_total"].samples
        assert not families.describe_problems(Reason.READ)


def _later(seconds: float) -> float:
    return time.time() + seconds


def test_traces_are_counted_whatever_the_exporters_clock_says(store: str, server: MlflowServer) -> None:
    client, traces = reference_client(store), TracingClient(store)
    experiment = client.create_experiment("by the server's clock")
    settings = MlflowSettings.model_validate({"uri": server.url, "requests_per_minute": 6000, "interval": "100ms"})
    for wrong in (-7200, 7200):
        with contextlib.closing(MlflowSource(settings, now=partial(_later, wrong))) as source:
            source.collect()
            location = TraceLocation.from_experiment_id(experiment)
            now = round(time.time() * 1000)
            traces.start_trace(TraceInfo(f"tr-{wrong}", location, now, TraceState.OK, execution_duration=5))
            deadline = time.monotonic() + 60
            while source.collect()["mlflow_traces_total"].samples.get(("by the server's clock", "OK")) != 1:
                assert time.monotonic() < deadline


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
    with contextlib.ExitStack() as stack:
        front = stack.enter_context(HttpFront(server.url))
        # Which traces are recent is for that clock to say.
        source, database = (stack.enter_context(_source(uri, traces=False)) for uri in (front.url, store))
        front.headers = {"date": date}
        source.collect()
        client.set_terminated(client.create_run(experiment).info.run_id)
        _go_round(source)
        assert _without_rows(_text(source)) == _without_rows(_text(database))


@pytest.mark.parametrize("listing", ["runs", "experiments", "registered-models", "model-versions"])
def test_a_page_whose_token_is_not_known_any_more_is_an_error_and_the_next_refresh_goes_on(
    listing: str, store: str, server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in ("_NEW", "_LISTED"):
        monkeypatch.setattr(f"ml_monitoring.exporter.sources.mlflow.rest.rounds.{size}", 2)
    client = reference_client(store)
    spoiled = re.compile(r'(page_token(?:=|": "))[^"&]*')
    first_pages: list[str] = []
    with HttpFront(server.url) as front, _source(front.url) as source:
        source.collect()
        for number in range(5):
            name = f"{listing} {number}"
            client.set_terminated(client.create_run(client.create_experiment(name)).info.run_id)
            client.create_registered_model(name)
            client.create_model_version(name, "/nonexistent")

        # The real server refuses it, as one that was started again with other keys would.
        def spoil(path: str, body: bytes) -> FrontAnswer | None:
            if f"/{listing}/search" not in path:
                return None
            other = [spoiled.sub(r"\1bm9uc2Vuc2U=", text) for text in (path, body.decode())]
            if other == [path, body.decode()]:
                first_pages.append(path)
                return None
            return front.passed_on("POST" if body else "GET", other[0], other[1].encode())

        front.answer = spoil
        with pytest.raises(SourceError, match=f"{listing}/search: 400") as failed:
            _go_round(source)
        assert failed.value.reason is Reason.QUERY
        assert first_pages
        front.answer = lambda _path, _body: None
        _go_round(source)
        assert _without_rows(_text(source)) == _without_rows(_of_database(store))


def test_workspaces_are_read_as_the_settings_list_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    with MlflowServer(store, tmp_path, options=("--enable-workspaces",)) as server:
        client = reference_client(server.url)
        client.create_workspace("team-a")
        client.create_workspace("team-b")
        for workspace in ("default", "team-a", "team-b"):
            monkeypatch.setenv("MLFLOW_WORKSPACE", workspace)
            experiment = client.create_experiment("churn")
            run = client.create_run(experiment).info.run_id
            client.log_metric(run, "accuracy", 0.5)
            client.set_terminated(run)
            client.create_registered_model("model")
            client.create_model_version("model", f"runs:/{run}/model", run)
            client.set_registered_model_alias("model", "champion", "1")
        monkeypatch.delenv("MLFLOW_WORKSPACE")
        everything = _without_rows(_of_database(store))
        assert 'mlflow_model_metric{alias="champion",metric="accuracy",model="team-a/model"} 0.5' in everything
        with _source(server.url, workspaces="default,team-a,team-b") as source:
            assert _without_rows(_text(source)) == everything
        with _source(server.url, workspaces="team-a") as source:
            assert set(source.collect()["mlflow_runs"].samples) >= {("team-a/churn", "FINISHED")}
            assert not [labels for labels in source.collect()["mlflow_runs"].samples if "team-b" in labels[0]]
        with _source(server.url) as source:
            assert ("churn", "FINISHED") in source.collect()["mlflow_runs"].samples
        with _source(server.url, workspaces="team-z") as source, pytest.raises(SourceError, match="team-z"):
            source.collect()
