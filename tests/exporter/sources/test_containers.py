"""The source `containers`, against an HTTP server that gives what a Docker engine (20.10) gave of three containers.

A real engine is asked in tests/docker/test_containers.py.
"""

from __future__ import annotations

import contextlib
import copy
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from pydantic import ValidationError

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.containers import ContainersSettings, ContainersSource
from ml_monitoring.exporter.sources.containers.engine import Engine as EngineClient
from tests.support.fleet_files import messages, samples

# Only a defect takes as long.
_PATIENCE = 20.0

HERE = Path(__file__).parent
GOLDEN = HERE.parents[1] / "golden" / "containers.txt"
ANSWERS: dict[str, Any] = json.loads((HERE / "containers_engine.json").read_text(encoding="utf-8"))
API = "/containers/111111111111"
RUNNING = 'docker_container_running{compose_service="api",container_name="rec-api"}'


class Engine:
    """What an engine would answer; tests change it.

    Attributes:
        answers: JSON by path, without the query.
        status: Statuses other than 200, by path.
        asked: Paths with their queries.
        asking: Set when a request has come.
        answering: Not set: each request waits for it.
        url: Where it listens.
    """

    def __init__(self) -> None:
        self.answers = copy.deepcopy(ANSWERS)
        self.status: dict[str, int] = {}
        self.asked: list[str] = []
        self.asking = threading.Event()
        self.answering = threading.Event()
        self.answering.set()
        self.url = ""


@pytest.fixture
def engine() -> Iterator[Engine]:
    state = Engine()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            state.asking.set()
            state.answering.wait(_PATIENCE)
            path = urlsplit(self.path).path
            status = state.status.get(path, 200 if path in state.answers else 404)
            answer = state.answers.get(path)
            # The client may have gone by now.
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(answer.encode() if isinstance(answer, str) else json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()


def source(engine: Engine, **settings: Any) -> ContainersSource:
    return ContainersSource(ContainersSettings.model_validate({"url": engine.url, **settings}))


def test_three_containers_look_like_this(engine: Engine, programs: dict[str, Path]) -> None:
    families = source(engine).collect()
    text = render_text(families)
    assert messages(families) == []
    assert text.decode() == GOLDEN.read_text(encoding="utf-8")
    checked = subprocess.run([programs["promtool"], "check", "metrics"], check=False, input=text, capture_output=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_only_what_the_proxy_lets_through_is_asked(engine: Engine) -> None:
    one = source(engine, project="shop")
    one.collect()
    assert one.check() == "3 containers of the project shop, 2 running"
    listed = [path for path in engine.asked if path.startswith("/containers/json?")]
    assert json.loads(unquote(parse_qs(urlsplit(listed[0]).query)["filters"][0])) == {
        "label": ["com.docker.compose.project=shop"]
    }
    # Of a container that has ended there are no statistics.
    assert {path.split("?")[0].split("/")[-1] for path in engine.asked} == {"json", "stats"}
    assert sum("/stats" in path for path in engine.asked) == 2


def test_a_container_that_is_gone_meanwhile_is_left_out(engine: Engine) -> None:
    del engine.answers[f"{API}/json"]
    shown = samples(source(engine).collect())
    assert RUNNING not in shown
    assert shown['docker_container_running{compose_service="rec-other",container_name="rec-other"}'] == 1


def test_a_container_that_ends_between_two_questions_has_no_statistics(engine: Engine) -> None:
    del engine.answers[f"{API}/stats"]
    shown = samples(source(engine).collect())
    assert shown[RUNNING] == 1
    assert 'docker_container_memory_bytes{compose_service="api",container_name="rec-api"}' not in shown


def test_what_is_odd_in_one_container_leaves_the_others(engine: Engine) -> None:
    engine.answers[f"{API}/json"]["RestartCount"] = "many"
    families = source(engine).collect()
    (message,) = messages(families)
    assert "container rec-api" in message
    assert samples(families)['docker_container_running{compose_service="rec-other",container_name="rec-other"}'] == 1


def test_memory_is_reported_without_unused_files_whatever_the_version_of_cgroups(engine: Engine) -> None:
    stats = engine.answers[f"{API}/stats"]["memory_stats"]
    stats["usage"] = 1000
    shown = []
    for detail in (
        {"total_inactive_file": 100, "inactive_file": 1},
        {"inactive_file": 200},
        {},
        {"inactive_file": 2000},
    ):
        stats["stats"] = detail
        shown.append(
            samples(source(engine).collect())[
                'docker_container_memory_bytes{compose_service="api",container_name="rec-api"}'
            ]
        )
    assert shown == [900, 800, 1000, 0]


def status(code: int) -> Callable[[Engine], None]:
    return lambda engine: engine.status.update({"/containers/json": code})


def answer(value: Any) -> Callable[[Engine], None]:
    return lambda engine: engine.answers.update({"/containers/json": value})


@pytest.mark.parametrize(
    ("spoil", "reason", "message"),
    [
        (status(403), Reason.AUTH, "answers 403 Forbidden"),
        (status(500), Reason.READ, "answers 500"),
        (status(404), Reason.SCHEMA, "is it a Docker engine?"),
        (answer("<html>"), Reason.SCHEMA, "answers no JSON"),
        (answer({"message": "page"}), Reason.SCHEMA, "is it a Docker engine?"),
        (lambda engine: engine.answering.clear(), Reason.TIMEOUT, "no answer within 0.2 s"),
        (lambda engine: setattr(engine, "url", "http://127.0.0.1:1"), Reason.CONNECT, "refused"),
    ],
)
def test_an_engine_that_cannot_be_read_is_reported_with_the_reason(
    engine: Engine, spoil: Callable[[Engine], None], reason: Reason, message: str
) -> None:
    spoil(engine)
    with pytest.raises(SourceError) as raised:
        source(engine, timeout="200ms").collect()
    assert raised.value.reason is reason
    assert message in str(raised.value)


def test_what_takes_too_long_is_broken_off_and_the_next_refresh_works(engine: Engine) -> None:
    one = source(engine, timeout="20s")
    engine.answering.clear()

    def abort_once_asked() -> None:
        assert engine.asking.wait(_PATIENCE)
        one.abort()

    thread = threading.Thread(target=abort_once_asked)
    thread.start()
    with pytest.raises(SourceError) as raised:
        one.collect()
    thread.join()
    assert raised.value.reason is Reason.TIMEOUT
    engine.answering.set()
    assert samples(one.collect())[RUNNING] == 1


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("/var/run/docker.sock", "; did you mean unix:///var/run/docker.sock?"),
        ("unix:/var/run/docker.sock", "; did you mean unix:///var/run/docker.sock?"),
        ("tcp://docker:2375", "; write http:// in place of tcp://"),
        ("docker", ""),
    ],
)
def test_an_address_of_another_form_is_answered_with_the_right_one(url: str, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ContainersSettings(url=url)
    said = "must be http://host:port or unix:///path/of/docker.sock"
    assert [each["msg"] for each in caught.value.errors()] == [f"Value error, {said}{hint}"]


@pytest.mark.parametrize("url", ["https://docker:2376", "tcp://docker:2375", "unix://docker.sock", "docker:2375", ""])
def test_an_address_that_is_no_engines_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="must be http://host:port or unix:///path"):
        ContainersSettings(url=url)


def test_a_container_that_waits_for_its_next_start_does_not_run(engine: Engine) -> None:
    engine.answers[f"{API}/json"]["State"] |= {"Restarting": True, "Status": "restarting", "ExitCode": 7}
    shown = samples(source(engine).collect())
    assert shown[RUNNING] == 0
    assert shown['docker_container_exit_code{compose_service="api",container_name="rec-api"}'] == 7


def test_a_socket_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/docker.sock"
    with pytest.raises(SourceError) as failed:
        EngineClient(url, 1).ask("/version")
    assert str(failed.value) == f"{url}: No such file or directory"
