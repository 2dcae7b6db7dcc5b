"""What clients, models and broken recordings may do without harm: series stay bounded, requests go on."""

from __future__ import annotations

import random
import socket
import string
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from ml_monitoring.instrument import ModelRecorder, Recorder, instrument
from ml_monitoring.instrument.catalog import SERVICE_METRICS
from ml_monitoring.instrument.labels import MAX_LENGTH, clean
from ml_monitoring.instrument.requests import RequestContext
from tests.support.wsgi_servers import PATIENCE, asgi_server, lines, parse, scrape, wait_for


def app_with_one_route() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: str) -> str:
        return item

    return app


def raw_request(port: int, method: str, path: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        while connection.recv(4096):
            pass


def test_random_paths_and_methods_make_no_series() -> None:
    chance = random.Random(42)
    app = app_with_one_route()
    instrument(app, Recorder(registry=CollectorRegistry()))
    with asgi_server(app) as client:
        port = client.base_url.port or 0
        for _ in range(150):
            word = "".join(chance.choices(string.ascii_letters, k=12))
            raw_request(port, "GET", f"/{word}?{word}={word}")
            raw_request(port, "".join(chance.choices(string.ascii_uppercase, k=8)), f"/items/{word}")
            raw_request(port, "GET", f"/items/{word}%F0%9F%92%A5%FF")
        assert lines(client, "ml_http_requests_total") == [
            'ml_http_requests_total{method="GET",route="/items/{item}",status="200"} 150.0',
            'ml_http_requests_total{method="GET",route="unmatched",status="404"} 150.0',
            'ml_http_requests_total{method="OTHER",route="/items/{item}",status="405"} 150.0',
        ]


def test_label_sets_over_the_cap_are_booked_under_other() -> None:
    recorder = Recorder(registry=CollectorRegistry(), max_label_sets=5)
    for number in range(50):
        recorder.model(f"model-{number}").record_outcome(True)
        recorder.cache(f"cache-{number}").record_hit()
    samples = parse(recorder.exposition().body.decode())
    caches = {
        dict(labels)["cache"]: value
        for (name, labels), value in samples.items()
        if name == "ml_cache_requests_total" and value
    }
    assert caches == {**{f"cache-{number}": 1 for number in range(5)}, "other": 45}
    overflow = samples["ml_instrument_overflow_total", (("family", "ml_cache_requests_total"),)]
    assert overflow == 45
    truths = [labels for name, labels in samples if name == "ml_prediction_truths_total"]
    assert len(truths) <= 5 + 2 + 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Zürich 東京 🚀", "Zürich 東京 🚀"),
        ('quote " backslash \\ newline \n tab \t', 'quote " backslash \\ newline \n tab \t'),
        ("undecodable \udcff byte", "undecodable ? byte"),
        ("nul \x00", "nul \x00"),
    ],
)
def test_any_text_can_be_a_label_value(value: str, shown: str) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    recorder.cache(value).record_hit()
    samples = parse(recorder.exposition().body.decode("utf-8"))
    assert samples["ml_cache_requests_total", (("cache", shown), ("outcome", "hit"))] == 1


def test_huge_values_are_cut_and_stay_apart() -> None:
    first, second = clean("x" * 1_000_000 + "1"), clean("x" * 1_000_000 + "2")
    assert len(first) == len(second) == MAX_LENGTH
    assert first != second
    assert first == clean("x" * 1_000_000 + "1")


def test_a_recording_that_raises_breaks_no_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with_one_route()
    recorder = Recorder(registry=CollectorRegistry())
    model = recorder.model("m", variant="A")

    @app.get("/predict")
    def predict() -> str:
        with model.track_prediction() as prediction:
            prediction.confidence = "high"  # type: ignore[assignment]  # what a careless caller does
        model.record_regression("1", 2.0)  # type: ignore[arg-type]  # the same
        recorder.cache("c").set_size(size_bytes="much")  # type: ignore[arg-type]  # the same
        return "fine"

    tried: list[str] = []

    def no_space(family: str) -> Callable[..., None]:
        def child(*_: object) -> None:
            tried.append(family)
            raise OSError(28, "No space left on device")

        return child

    instrument(app, recorder, get_variant=lambda scope: scope["no such key"])
    with asgi_server(app) as client:
        assert client.get("/predict").text == '"fine"'
        assert client.get("/items/1").status_code == 200
        errors = {
            dict(labels)["operation"]: value
            for (name, labels), value in scrape(client).items()
            if "_errors_total" in name and "operation" in dict(labels) and value
        }
        assert errors == {"record_prediction": 1, "set_size": 1, "record_regression": 1, "get_variant": 1}
        logged = [record.message for record in caplog.records if record.name == "ml_monitoring.instrument"]
        assert [message.partition(" ")[0] for message in logged] == [
            *("record_prediction", "record_regression", "set_size", "get_variant")
        ]
        monkeypatch.setattr(recorder._requests._requests, "child", no_space("requests"))
        monkeypatch.setattr(recorder._requests._in_progress, "child", no_space("in progress"))
        monkeypatch.setattr(recorder._metrics._errors, "child", no_space("errors"))
        assert client.get("/items/2").status_code == 200
        # The response is there before it is recorded.
        wait_for(lambda: "requests" in tried and tried[-1] == "errors")
        monkeypatch.undo()
        assert lines(client, "ml_http_requests_total") == [
            'ml_http_requests_total{method="GET",route="/items/{item}",status="200"} 1.0',
            'ml_http_requests_total{method="GET",route="/predict",status="200"} 1.0',
        ]


@pytest.mark.parametrize(
    ("record", "counted"),
    [
        (lambda model: model.record_outcome("false"), {}),
        (lambda model: model.record_outcome(None), {}),
        (lambda model: model.record_outcome(False), {("truths", "incorrect"): 1.0}),
        # The prediction itself counts.
        (lambda model: model.record_prediction(0.1, confidence=95), {("duration", ""): 0.1}),
        (lambda model: model.record_prediction(-1.0), {}),
    ],
)
def test_a_value_that_cannot_be_is_an_error_and_no_measurement(
    record: Callable[[ModelRecorder], None], counted: dict[tuple[str, str], float]
) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    record(recorder.model("m"))
    found = parse(recorder.exposition().body.decode())
    shown = {
        ("truths", dict(labels)["outcome"]): value
        for (name, labels), value in found.items()
        if name == "ml_prediction_truths_total" and value
    } | {
        (part, ""): value
        for (name, _), value in found.items()
        for part, of in (
            ("duration", "ml_prediction_duration_seconds_sum"),
            ("confidence", "ml_prediction_confidence_ratio_sum"),
        )
        if name == of and value
    }
    assert shown == counted
    errors = sum(value for (name, labels), value in found.items() if name == "ml_instrument_errors_total")
    assert errors == (("truths", "incorrect") not in counted)


def test_a_slow_recording_does_not_delay_the_response() -> None:
    app, answered = app_with_one_route(), threading.Event()

    def slow(scope: Any) -> str:
        answered.wait(PATIENCE)
        return "A"

    recorder = instrument(app, Recorder(registry=CollectorRegistry()), get_variant=slow)
    with asgi_server(app) as client:
        assert client.get("/items/1").text == '"1"'
        answered.set()
        wait_for(lambda: b'ab_test_requests_total{outcome="success",variant="A"} 1.0' in recorder.exposition().body)


def test_an_exception_of_the_model_reaches_the_caller() -> None:
    model = Recorder(registry=CollectorRegistry()).model("m")
    with pytest.raises(ZeroDivisionError), model.track_prediction():
        _ = 1 / 0
    with pytest.raises(ZeroDivisionError), model.track_load():
        _ = 1 / 0


def test_nothing_but_the_client_library_is_imported() -> None:
    script = """
import sys
class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("ml_monitoring", "prometheus_client"):
            return None
        raise ModuleNotFoundError(f"imports {name}")
sys.meta_path.insert(0, Only())
import ml_monitoring.instrument, ml_monitoring.instrument.multiprocess
recorder = ml_monitoring.instrument.Recorder()
recorder.model("m", "1", variant="A").record_outcome(True)
assert b'ab_test_model_accuracy{variant="A"} 1.0' in recorder.exposition().body
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_every_declared_metric_is_emitted_with_its_declared_labels() -> None:
    recorder = Recorder(registry=CollectorRegistry(), origin="simulated", max_label_sets=1, sizes=True)
    model = recorder.model("m", "1", variant="A")
    with model.track_load(), model.track_prediction() as prediction:
        prediction.confidence, prediction.score = 0.9, 0.2
    model.record_outcome(True)
    model.record_prediction(0.1, failed=True)
    for predicted in (1.0, 2.0):
        model.record_regression(predicted, predicted + 0.5)
        model._next_r2 = 0.0
    model.record_generation(2.0, input_tokens=3, output_tokens=5, first_token_seconds=0.5)
    model.set_queue(1)
    model.set_kv_cache(0.5)
    with recorder.track_request("A"):
        recorder.set_business_impact("A", 12.5)
    for name in ("c", "one too many"):
        recorder.cache(name).record_hit()
        recorder.cache(name).set_size(size_bytes=10, entries=1)
    with recorder.job("j"):
        pass
    with suppress(ValueError), recorder.job("j"):
        raise ValueError
    experiment = recorder.experiment("e")
    experiment.record_exposure("A", "u")
    experiment.record_value("basket", "A", "u", 2.5)
    context = RequestContext()
    context.variant = "A"
    requests = recorder._requests
    requests.started()
    requests.record({}, context, method="GET", route="/x", status=200, seconds=0.01, received=0)
    requests.connection_opened()
    requests.connection_closed({}, "/ws", "closed", was_open=True)
    recorder.cache("c").set_size(size_bytes="much")  # type: ignore[arg-type]  # so that there is an error to count
    emitted: dict[str, set[frozenset[str]]] = {}
    for name, pairs in parse(recorder.exposition().body.decode()):
        emitted.setdefault(name, set()).add(frozenset(dict(pairs)))
    declared: dict[str, set[frozenset[str]]] = {}
    for metric in SERVICE_METRICS:
        # What pushes names itself; this one is scraped.
        labels = {*metric.labels, *metric.optional_labels} - {"exporter"}
        if metric.kind == "histogram":
            declared[f"{metric.name}_bucket"] = {frozenset(labels | {"le"})}
            declared |= {f"{metric.name}_{part}": {frozenset(labels)} for part in ("sum", "count")}
        else:
            declared[metric.name] = {frozenset(labels)}
    assert emitted == declared
