"""What happens for the first time in a process is an increase: its series was there before, at 0."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI, HTTPException
from flask import Flask
from prometheus_client import REGISTRY, CollectorRegistry

from ml_monitoring.instrument import Recorder, from_header, instrument
from tests.support.wsgi_servers import Samples, ask_asgi, parse

TOTAL = "ml_http_requests_total"


def shown(recorder: Recorder) -> Samples:
    return parse(recorder.exposition().body.decode())


def statuses(samples: Samples, route: str) -> dict[str, float]:
    return {
        f"{dict(labels)['method']} {dict(labels)['status']}": value
        for (name, labels), value in samples.items()
        if name == TOTAL and dict(labels)["route"] == route
    }


def test_each_route_has_its_success_and_its_failures_before_the_first_request() -> None:
    app = FastAPI()
    recorder = instrument(app, Recorder(registry=CollectorRegistry(), labels={"region": "eu"}), exclude=["/healthz"])

    @app.post("/predict", status_code=201, responses={507: {}, 404: {}})
    def predict() -> None:
        raise HTTPException(503)

    app.get("/healthz")(lambda: "ok")
    before = statuses(shown(recorder), "/predict")
    assert before == {f"POST {status}": 0 for status in (201, 507, 500, 502, 503, 504)}
    assert statuses(shown(recorder), "/healthz") == {}
    assert ask_asgi(app, "/predict", "POST") == 503
    assert statuses(shown(recorder), "/predict") == {**before, "POST 503": 1}


def test_flasks_routes_are_known_too() -> None:
    app = Flask(__name__)
    recorder = instrument(app, Recorder(registry=CollectorRegistry()))
    app.post("/predict/<model>")(lambda model: model)
    assert statuses(shown(recorder), "/predict/<model>") == {
        f"POST {status}": 0 for status in (200, 500, 502, 503, 504)
    }


def test_failures_join_the_first_request_where_labels_come_from_requests() -> None:
    app = FastAPI()
    recorder = instrument(app, Recorder(registry=CollectorRegistry(), labels={"tenant": from_header("x-tenant")}))
    app.get("/items")(lambda: 1)
    assert statuses(shown(recorder), "/items") == {}
    ask_asgi(app, "/items")
    assert statuses(shown(recorder), "/items") == {"GET 200": 1, **{f"GET {s}": 0 for s in (500, 502, 503, 504)}}


def test_models_variants_caches_and_errors_of_recording_begin_at_0() -> None:
    recorder = Recorder(registry=CollectorRegistry())
    recorder.model("m", "1", variant="B")
    recorder.cache("c")
    samples = shown(recorder)
    model = (("model", "m"), ("model_version", "1"), ("variant", "B"))
    for name, labels in (
        ("ml_predictions_total", model),
        ("ml_prediction_errors_total", model),
        *(("ml_prediction_truths_total", (*model[:2], ("outcome", o), model[2])) for o in ("correct", "incorrect")),
        ("ab_test_errors_total", (model[2],)),
        *(("ml_cache_requests_total", (("cache", "c"), ("outcome", outcome))) for outcome in ("hit", "miss")),
        *(("ml_instrument_errors_total", (("operation", o),)) for o in ("record", "labels", "get_variant")),
        ("ml_instrument_overflow_total", (("family", TOTAL),)),
    ):
        assert samples[name, labels] == 0


def test_what_waits_at_0_takes_no_room_and_has_a_bound() -> None:
    app = FastAPI()
    recorder = instrument(app, Recorder(registry=CollectorRegistry(), max_label_sets=40))
    for number in range(30):
        app.get(f"/route/{number}")(lambda: 1)
    waiting = [labels for name, labels in shown(recorder) if name == TOTAL]
    assert len(waiting) == 20
    # What matters most goes first.
    assert {dict(labels)["status"] for labels in waiting} == {"500"}
    for number in range(30):
        ask_asgi(app, f"/route/{number}")
    samples = shown(recorder)
    assert samples["ml_instrument_overflow_total", (("family", TOTAL),)] == 0
    assert sum(value for (name, _), value in samples.items() if name == TOTAL) == 30


@pytest.mark.parametrize("own", [True, False], ids=["registries of their own", "one registry"])
def test_an_application_can_be_made_twice(own: bool) -> None:
    def create_app() -> tuple[FastAPI, Recorder]:
        app = FastAPI()
        recorder = instrument(app, Recorder(registry=CollectorRegistry()) if own else None)
        app.get("/twice")(lambda: 1)
        return app, recorder

    before = statuses(parse(Recorder(registry=REGISTRY).exposition().body.decode()), "/twice").get("GET 200", 0)
    applications = [create_app() for _ in range(3)]
    for app, _recorder in applications:
        ask_asgi(app, "/twice")
    for _app, recorder in applications:
        assert statuses(shown(recorder), "/twice")["GET 200"] == (1 if own else before + 3)


def test_what_the_library_counts_of_itself_comes_last() -> None:
    recorder = Recorder(registry=CollectorRegistry())
    families = re.findall(r"^# HELP (\S+)", recorder.exposition().body.decode(), re.MULTILINE)
    assert [name for name in families if not name.startswith("ml_instrument_")] == families[:-2]
    assert len(families) > 2
