"""Exemplars: from OpenTelemetry and the W3C header, through OpenMetrics, into a real Prometheus and out of it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ml_monitoring.alerting.services.signals import API_ROUTE_P95
from ml_monitoring.instrument import Recorder, instrument
from ml_monitoring.instrument.tracing import of_traceparent
from tests.support.wsgi_servers import PATIENCE, asgi_server, wait_for, wsgi_server
from tools.processes import Process, free_port, http_ok

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED, UNSAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01", f"00-{TRACE}-00f067aa0ba902b7-00"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
DURATION = "ml_http_request_duration_seconds"


def recorder(**options: Any) -> Recorder:
    return Recorder(registry=CollectorRegistry(), **{"exemplars": True, **options})


def traces(kept: Recorder) -> dict[str, set[str]]:
    """Return the traces of the exemplars in the exposition, by metric."""
    text = kept.exposition(OPENMETRICS["Accept"]).body.decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.exemplar:
                found.setdefault(family.name, set()).add(sample.exemplar.labels["trace_id"])
    return found


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (SAMPLED, TRACE),
        (f" {SAMPLED} ", TRACE),
        (f"cc-{TRACE}-00f067aa0ba902b7-01-what-later-versions-add", TRACE),
        (UNSAMPLED, None),
        (SAMPLED.replace(TRACE, "0" * 32), None),
        (f"ff{SAMPLED[2:]}", None),
        (SAMPLED.upper(), None),
        ("", None),
        ("nonsense" * 1000, None),
    ],
)
def test_only_a_sampled_trace_of_a_valid_header_counts(header: str, trace: str | None) -> None:
    assert of_traceparent(header) == (None if trace is None else {"trace_id": trace})


def fastapi_app(kept: Recorder) -> FastAPI:
    app, model = FastAPI(), kept.model("m", "1", variant="A")

    @app.get("/predict")
    def predict() -> str:
        with model.track_prediction():
            return "1"

    return app


def flask_app(kept: Recorder) -> Flask:
    app, model = Flask(__name__), kept.model("m", "1", variant="A")

    @app.get("/predict")
    def predict() -> str:
        with model.track_prediction():
            return "1"

    return app


BOTH = pytest.mark.parametrize(("make", "serve"), [(fastapi_app, asgi_server), (flask_app, wsgi_server)])


@BOTH
def test_the_clients_trace_is_beside_all_its_times(make: Callable[..., Any], serve: Callable[..., Any]) -> None:
    kept = recorder()
    app = make(kept)
    instrument(app, kept)
    with serve(app) as client:
        client.get("/predict")
        client.get("/predict", headers={"traceparent": UNSAMPLED})
        wait_for(lambda: b"_count{" in kept.exposition().body)
        assert traces(kept) == {}
        client.get("/predict", headers={"traceparent": SAMPLED})
        wait_for(lambda: DURATION in traces(kept))
        times = (DURATION, "ab_test_response_time_seconds", "ml_prediction_duration_seconds")
        assert traces(kept) == {name: {TRACE} for name in times}
        # Other formats cannot carry them, and stay as they are.
        assert "trace_id" not in client.get("/metrics").text


@pytest.mark.parametrize(("sampler", "seen"), [(ALWAYS_ON, True), (ALWAYS_OFF, False)])
@pytest.mark.parametrize("outside", [True, False])
def test_opentelemetrys_own_span_goes_first(sampler: Any, seen: bool, outside: bool) -> None:
    """A span that a middleware opens, around this library's middleware or inside of it."""
    tracer = TracerProvider(sampler=sampler).get_tracer("test")
    opened: list[str] = []

    def spans(inner: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            with tracer.start_as_current_span("request") as span:
                if scope["type"] == "http":
                    opened.append(f"{span.get_span_context().trace_id:032x}")
                await inner(scope, receive, send)

        return app

    kept = recorder()
    app = fastapi_app(kept)
    if outside:
        instrument(app, kept, metrics_path=None)
        app.add_middleware(spans)
    else:
        app.add_middleware(spans)
        instrument(app, kept, metrics_path=None)
    with asgi_server(app) as client:
        client.get("/predict")
        wait_for(lambda: b"_count{" in kept.exposition().body)
        assert traces(kept).get(DURATION, set()) == (set(opened) if seen else set())
        assert traces(kept).get("ml_prediction_duration_seconds", set()) == (set(opened) if seen else set())


def test_without_the_option_there_are_none() -> None:
    kept = recorder(exemplars=False)
    app = fastapi_app(kept)
    instrument(app, kept)
    with asgi_server(app) as client:
        client.get("/predict", headers={"traceparent": SAMPLED})
        wait_for(lambda: b"_count{" in kept.exposition().body)
    assert traces(kept) == {}


@pytest.fixture
def prometheus(programs: dict[str, Path], tmp_path: Path) -> Iterator[Callable[[int], str]]:
    """Give what starts a Prometheus that keeps exemplars and scrapes a port."""
    started: list[Process] = []

    def start(port: int) -> str:
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: api, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n",
            encoding="utf-8",
        )
        address = f"127.0.0.1:{free_port()}"
        process = Process(
            "prometheus",
            [
                programs["prometheus"],
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address={address}",
                "--enable-feature=exemplar-storage",
            ],
            log=tmp_path / "prometheus.log",
            healthy=functools.partial(http_ok, f"http://{address}/-/ready"),
        )
        started.append(process.__enter__())
        return f"http://{address}"

    yield start
    for process in started:
        process.__exit__(None, None, None)


def test_prometheus_stores_them_and_the_latency_panels_query_finds_them(
    prometheus: Callable[[int], str],
) -> None:
    kept = recorder()
    app = fastapi_app(kept)
    instrument(app, kept)
    with asgi_server(app) as client, httpx.Client(base_url=prometheus(client.base_url.port or 0)) as store:
        query = API_ROUTE_P95.promql({}, matchers='job="api"', window="5m")

        def found() -> list[dict[str, Any]]:
            client.get("/predict", headers={"traceparent": SAMPLED})
            now = time.time()
            parameters: dict[str, Any] = {"query": query, "start": now - 300, "end": now + 300}
            answer = store.get("/api/v1/query_exemplars", params=parameters).json()
            assert answer["status"] == "success"
            return list(answer["data"])

        wait_for(lambda: bool(found()))
        (series, *_others) = found()
    assert series["seriesLabels"]["__name__"] == f"{DURATION}_bucket"
    assert series["seriesLabels"]["route"] == "/predict"
    assert {exemplar["labels"]["trace_id"] for exemplar in series["exemplars"]} == {TRACE}
    assert 0 < float(series["exemplars"][0]["value"]) < PATIENCE
