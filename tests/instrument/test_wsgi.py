"""The WSGI middleware with real Flask applications, under werkzeug's server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, abort
from prometheus_client import CollectorRegistry

from ml_monitoring.instrument import Recorder, instrument
from tests.support.wsgi_servers import lines, parse, scrape, wait_for, wsgi_server


def flask_app() -> tuple[Flask, Recorder]:
    app = Flask(__name__)
    recorder = instrument(app, Recorder(registry=CollectorRegistry()))
    model = recorder.model("iris", "1", variant="B")

    @app.get("/users/<int:user>")
    def user(user: int) -> str:
        with model.track_prediction() as prediction:
            prediction.confidence = 0.8
        return str(user)

    @app.get("/refused")
    def refused() -> str:
        abort(429)

    @app.get("/broken")
    def broken() -> str:
        recorder.set_variant("B")
        raise RuntimeError("the model is gone")

    @app.get("/stream")
    def stream() -> Response:
        def parts() -> Iterator[bytes]:
            for _ in range(20):
                yield b"part" * 10_000
                time.sleep(0.01)

        return Response(parts())

    return app, recorder


_REFUSED_METHOD = (("method", "PUT"), ("route", "unmatched"), ("status", "405"))


def test_routes_statuses_and_variants_are_booked() -> None:
    app, _recorder = flask_app()
    with wsgi_server(app) as client:
        for path in ("/users/1", "/users/2", "/refused", "/broken", "/nowhere", "/users/none"):
            client.get(path)
        client.put("/users/1")
        # A request is booked just after its client has the last byte.
        wait_for(lambda: scrape(client).get(("ml_http_requests_total", _REFUSED_METHOD)) == 1)
        assert lines(client, "ml_http_requests_total", "ml_http_requests_in", "ab_test_requests_total") == [
            'ab_test_requests_total{outcome="error",variant="B"} 1.0',
            'ab_test_requests_total{outcome="success",variant="B"} 2.0',
            "ml_http_requests_in_progress 0.0",
            'ml_http_requests_total{method="GET",route="/broken",status="500"} 1.0',
            'ml_http_requests_total{method="GET",route="/refused",status="429"} 1.0',
            'ml_http_requests_total{method="GET",route="/users/<int:user>",status="200"} 2.0',
            'ml_http_requests_total{method="GET",route="unmatched",status="404"} 2.0',
            'ml_http_requests_total{method="PUT",route="unmatched",status="405"} 1.0',
        ]


def test_a_stream_counts_once_and_lasts_until_its_last_part() -> None:
    app, _recorder = flask_app()
    with wsgi_server(app) as client:
        assert len(client.get("/stream").content) == 800_000
        wait_for(lambda: any(name == "ml_http_requests_total" for name, _labels in scrape(client)))
        samples = scrape(client)
    labels = (("method", "GET"), ("route", "/stream"))
    assert samples["ml_http_requests_total", (*labels, ("status", "200"))] == 1
    assert 0.19 <= samples["ml_http_request_duration_seconds_sum", labels] < 1.0


def test_a_client_that_hangs_up_in_mid_stream_is_counted_as_such() -> None:
    app, recorder = flask_app()
    with wsgi_server(app) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
            connection.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(1000)
        wait_for(lambda: b'status="499"} 1.0' in recorder.exposition().body)


def test_an_exception_that_goes_past_the_framework_is_an_error() -> None:
    app, _recorder = flask_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with wsgi_server(app) as client:
        assert client.get("/broken").status_code == 500
        assert 'ml_http_requests_total{method="GET",route="unmatched",status="500"} 1.0' in lines(client, "ml_http")


def test_a_broken_hook_breaks_no_request() -> None:
    app = Flask(__name__)

    @app.get("/")
    def root() -> str:
        return "fine"

    def broken(environ: Any) -> str:
        raise LookupError

    recorder = instrument(app, Recorder(registry=CollectorRegistry()), get_variant=broken)
    with wsgi_server(app) as client:
        assert client.get("/").text == "fine"
    assert b'ml_instrument_errors_total{operation="get_variant"} 1.0' in recorder.exposition().body


def test_flasks_test_client_leaves_the_samples_that_a_server_would() -> None:
    app, recorder = flask_app()
    client = app.test_client()
    # What tests do: they read the status, sometimes the body, and close nothing.
    kept = [client.get(path) for path in ("/users/1", "/users/2", "/refused", "/broken", "/nowhere")]
    kept.append(client.head("/users/3"))
    kept.append(client.get("/stream"))
    assert len(kept[-1].data) == 800_000
    with app.test_client() as inner:
        assert inner.get("/users/4").text == "4"
    assert [response.status_code for response in kept] == [200, 200, 429, 500, 404, 200, 200]
    samples = parse(client.get("/metrics").text)
    found = {
        " ".join(value for _, value in labels): count
        for (name, labels), count in samples.items()
        if name == "ml_http_requests_total" and count
    }
    assert found == {
        "GET /users/<int:user> 200": 3,
        "HEAD /users/<int:user> 200": 1,
        "GET /refused 429": 1,
        "GET /broken 500": 1,
        "GET unmatched 404": 1,
        "GET /stream 200": 1,
    }
    assert samples["ml_http_requests_in_progress", ()] == 0
    assert b"ab_test_requests_total" in recorder.exposition().body
