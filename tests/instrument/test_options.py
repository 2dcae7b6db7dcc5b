"""Options of recorders and middleware, on both kinds of servers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas
import prometheus_client
import pytest
from django.core.wsgi import get_wsgi_application
from fastapi import BackgroundTasks, FastAPI
from flask import Flask
from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from ml_monitoring.instrument import (
    HEALTH_CHECKS,
    ASGIMiddleware,
    Pushgateway,
    Recorder,
    Textfile,
    WSGIMiddleware,
    from_header,
    instrument,
)
from ml_monitoring.instrument.options import DISABLED_VARIABLE
from tests.support.wsgi_servers import asgi_server, lines, parse, scrape, wait_for, wsgi_server

TOTAL = "ml_http_requests_total"
PATHS = ("/items/1", "/healthz", "/livez/", "/api/secret")


def fastapi_app() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: str) -> str:
        return item

    for path in ("/healthz", "/livez/", "/api/secret"):
        app.get(path)(lambda: "ok")
    return app


def flask_app() -> Flask:
    app = Flask(__name__)
    app.get("/items/<item>")(lambda item: item)
    for path in ("/healthz", "/livez/", "/api/secret"):
        app.get(path, endpoint=path.replace("/", "_"))(lambda: "ok")
    return app


BOTH = pytest.mark.parametrize(
    ("make", "serve", "template"),
    [(fastapi_app, asgi_server, "/items/{item}"), (flask_app, wsgi_server, "/items/<item>")],
    ids=["asgi", "wsgi"],
)
Make = Callable[[], Any]
Serve = Callable[..., Any]


def counted(client: Any, *, total: float) -> list[str]:
    """Return the requests once so many are counted."""

    def value() -> float:
        return sum(count for (name, _), count in scrape(client).items() if name == TOTAL)

    wait_for(lambda: value() >= total)
    return [line.removeprefix(TOTAL) for line in lines(client, TOTAL)]


@BOTH
def test_excluded_paths_are_answered_and_not_recorded(make: Make, serve: Serve, template: str) -> None:
    app, recorder = make(), Recorder(registry=CollectorRegistry())
    instrument(app, recorder, exclude=(*HEALTH_CHECKS, "/api/.*"))
    with serve(app) as client:
        for path in (*reversed(PATHS), "/healthz/more"):
            client.get(path)
        assert counted(client, total=2) == [
            f'{{method="GET",route="{template}",status="200"}} 1.0',
            '{method="GET",route="unmatched",status="404"} 1.0',
        ]
        assert lines(client, "ml_http_requests_in_progress") == ["ml_http_requests_in_progress 0.0"]


@BOTH
def test_without_options_health_checks_are_recorded_as_the_neighbours_do(
    make: Make, serve: Serve, template: str
) -> None:
    app, recorder = make(), Recorder(registry=CollectorRegistry())
    instrument(app, recorder)
    with serve(app) as client:
        client.get("/healthz")
        assert counted(client, total=1) == ['{method="GET",route="/healthz",status="200"} 1.0']


@BOTH
def test_own_labels_are_constants_or_read_from_the_request(make: Make, serve: Serve, template: str) -> None:
    def broken(request: Any) -> str:
        raise LookupError

    app = make()
    recorder = Recorder(
        registry=CollectorRegistry(),
        labels={"region": "eu", "tenant": from_header("X-Tenant", "nobody"), "odd": broken},
        sizes=True,
    )
    instrument(app, recorder)
    with serve(app) as client:
        client.get("/items/1", headers={"X-TENANT": "acme"})
        client.get("/items/2")
        labels = f'method="GET",odd="",region="eu",route="{template}",status="200"'
        assert counted(client, total=2) == [
            f'{{{labels},tenant="acme"}} 1.0',
            f'{{{labels},tenant="nobody"}} 1.0',
        ]
        samples = scrape(client)
    assert samples["ml_instrument_errors_total", (("operation", "labels"),)] == 2
    key = (("method", "GET"), ("odd", ""), ("region", "eu"), ("route", template), ("tenant", "acme"))
    assert samples["ml_http_request_duration_seconds_count", key] == 1
    assert samples["ml_http_response_size_bytes_count", key] == 1


def test_own_labels_over_the_cap_become_other_and_routes_stay() -> None:
    app = fastapi_app()
    recorder = Recorder(registry=CollectorRegistry(), labels={"user": from_header("x-user")}, max_label_sets=10)
    instrument(app, recorder)
    with asgi_server(app) as client:
        for number in range(40):
            client.get("/items/1", headers={"x-user": str(number)})
            client.get("/healthz", headers={"x-user": str(number)})
        samples = scrape(client)
    found = {
        (dict(labels)["route"], dict(labels)["user"]): v for (name, labels), v in samples.items() if name == TOTAL and v
    }
    assert len(found) == 10 + 2
    assert found["/items/{item}", "other"] == found["/healthz", "other"] == 35
    assert sum(found.values()) == 80
    assert samples["ml_instrument_overflow_total", (("family", TOTAL),)] == 70


def test_routes_are_given_up_last() -> None:
    registry = CollectorRegistry()
    metrics = Recorder(registry=registry, labels={"user": from_header("x-user")}, max_label_sets=3)._metrics
    family = metrics.counter(TOTAL, extra=True)
    for number in range(20):
        family.child("GET", f"/{number}", "200", f"user {number}").inc()
    samples = parse(Recorder(registry=registry, labels={"user": "x"}).exposition().body.decode())
    routes = {
        (dict(labels)["route"], dict(labels)["user"]): v for (name, labels), v in samples.items() if name == TOTAL and v
    }
    assert routes == {
        **{(f"/{number}", f"user {number}"): 1 for number in range(3)},
        **{(f"/{number}", "other"): 1 for number in range(3, 6)},
        ("other", "other"): 14,
    }


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"method": "x"}, "labels: 'method' is a label of these metrics already"),
        ({"job": "x"}, "labels: 'job' is a label of these metrics already"),
        ({"two words": "x"}, "labels: 'two words' is not the name of a label; did you mean 'two_words'?"),
        ({"__name": "x"}, "labels: '__name' is not the name of a label; did you mean 'name'?"),
    ],
)
def test_labels_that_cannot_be_are_refused(labels: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recorder(registry=CollectorRegistry(), labels=labels)


def test_buckets_are_the_services_own() -> None:
    recorder = Recorder(
        registry=CollectorRegistry(), response_buckets=[1, 10, 60, math.inf], inference_buckets=(0.5, 20)
    )
    recorder.model("m", variant="A").record_prediction(12.0)
    with recorder.track_request("A"):
        pass
    bounds: dict[str, list[str]] = {}
    for name, labels in parse(recorder.exposition().body.decode()):
        if "le" in dict(labels):
            bounds.setdefault(name, []).append(dict(labels)["le"])
    assert bounds["ab_test_response_time_seconds_bucket"] == ["1.0", "10.0", "60.0", "+Inf"]
    assert bounds["ml_prediction_duration_seconds_bucket"] == ["0.5", "20.0", "+Inf"]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([], "give at least one bound"),
        ([math.inf], "give at least one bound"),
        ([0.1, 0.1], "must ascend"),
        ([1, 0.5], "must ascend"),
        ([0, 1], "positive seconds"),
        ([1, math.inf, 2], "positive seconds"),
        ([math.nan], "positive seconds"),
        (["much"], "not a sequence of numbers"),
        (5, "not a sequence of numbers"),
    ],
)
def test_buckets_that_cannot_be_are_refused(bounds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"response_buckets: .*{message}"):
        Recorder(registry=CollectorRegistry(), response_buckets=bounds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["region"]}, "labels: ['region'] has no values: give each name its own, or from_header"),
        ({"labels": {"t": from_header}}, 'labels: t: from_header is not called: write from_header("X-Name")'),
        ({"max_label_sets": 0}, "max_label_sets: 0 is less than 1"),
        ({"max_label_sets": "500"}, "max_label_sets: '500' is not a whole number"),
        ({"max_label_sets": True}, "max_label_sets: True is not a whole number"),
        ({"registry": "default"}, "registry: 'default' is not a CollectorRegistry"),
        ({"origin": 5}, "origin: 5 is not text"),
        ({"exemplars": "no"}, "exemplars: 'no' is not True or False"),
        ({"sizes": None}, "sizes: None is not True or False"),
        ({"labels": {"team": None}}, "labels: team: None is not text or a number, nor a function of the request"),
        ({"labels": {"team": ["a"]}}, "labels: team: ['a'] is not text or a number, nor a function of the request"),
        ({"response_buckets": "123"}, "response_buckets: '123' is not a sequence of numbers"),
        (
            {"exporter": pandas.DataFrame()},
            "exporter: this DataFrame is none: give 'otlp', an Otlp, a Pushgateway or a Textfile",
        ),
        ({"labels": {5: "x"}}, "labels: 5 is not the name of a label"),
        ({"registry": CollectorRegistry}, "registry: CollectorRegistry is a class: call it, CollectorRegistry()"),
        ({"exporter": Textfile}, "exporter: Textfile is a class: call it, Textfile(...)"),
        (
            {"exporter": "http://user:p@ss@x"},
            "exporter: 'http://...@x' is none: give 'otlp', an Otlp, a Pushgateway or a Textfile",
        ),
        ({"exporter": "http://x"}, "exporter: 'http://x' is none: give 'otlp', an Otlp, a Pushgateway or a Textfile"),
    ],
)
def test_options_of_a_recorder_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Recorder(**{"registry": CollectorRegistry(), **options})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pushgateway("http://gateway:9091", timeout="5"), "timeout: '5' is not a number of seconds"),  # type: ignore[arg-type]
        (lambda: Pushgateway(None), "url: None is not the address of a Pushgateway"),  # type: ignore[arg-type]
        (lambda: Pushgateway("http://g:9091", timeout=-1), "timeout: -1 is not a positive number of seconds"),
        (
            lambda: Pushgateway("http://g:9091", handler=len),  # type: ignore[arg-type]
            "handler: len is no function of url, method, timeout, headers, data",
        ),
        *(
            (
                partial(Pushgateway, url),
                f"url: {shown!r} is no address of a Pushgateway, such as http://pushgateway:9091",
            )
            for url, shown in (
                ("", ""),
                ("http://a b:9091", "http://a b:9091"),
                ("http://u:secret@host:port", "http://host:port"),
                ("http://[", "http://["),
                ("ftp://gateway", "ftp://gateway"),
            )
        ),
        (lambda: Textfile(""), "folder: it is empty"),
        (lambda: Textfile(None), "folder: None is not a folder"),  # type: ignore[arg-type]
    ],
)
def test_options_of_an_exporter_that_cannot_be_are_refused(make: Make, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    ("bounds", "warned"),
    [
        ((50, 100, 500), True),
        ((5, 50, 500), True),
        ((1, 5, 10, 50, 100, 500, 1000), True),
        ((0.05, 0.1, 0.5), False),
        ((1, 5, 30, 60, 300, 600), False),
    ],
)
def test_buckets_that_look_like_milliseconds_are_taken_with_a_warning(
    bounds: tuple[float, ...], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    Recorder(registry=CollectorRegistry(), response_buckets=bounds)
    assert caplog.messages == warned * [
        f"response_buckets: bounds are seconds, here from {bounds[0]:g}s to {bounds[-1]:g}s; "
        "if milliseconds are meant, write 50 ms as 0.05"
    ]


async def answer(_request: Any, *, _with: int = 1) -> str:
    return "B"


def each_answer(_request: Any) -> Iterator[str]:
    yield "B"


class AsyncAnswer:
    """An object that is called as a coroutine function is."""

    async def __call__(self, _request: Any) -> str:
        return "B"


@pytest.mark.parametrize("make", [FastAPI, lambda: Flask("app")], ids=["asgi", "wsgi"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics_path": "/metrics?all=1"}, "metrics_path: '/metrics?all=1' is a path only without '?'"),
        ({"exclude": ""}, "exclude: it is empty; leave it out to exclude nothing"),
        ({"metrics_path": "metrics"}, "metrics_path: 'metrics' does not begin with /; None serves no metrics here"),
        (
            {"get_variant": from_header},
            'get_variant: from_header is not called: write from_header("X-Name")',
        ),
        (
            {"get_variant": "X-Variant"},
            "get_variant: 'X-Variant' is no function of the request; from_header makes one that reads a header",
        ),
        ({"get_variant": str.center}, "get_variant: center does not take the request as its only argument"),
        *(
            (
                {"get_variant": hook},
                f"get_variant: {name} is a coroutine function: write it with def, it is not awaited",
            )
            for hook, name in (
                (answer, "answer"),
                (partial(answer, _with=2), "answer"),
                (AsyncAnswer(), "this AsyncAnswer"),
            )
        ),
        *(
            ({"get_variant": hook}, "get_variant: each_answer is a generator: write it with return in place of yield")
            for hook in (each_answer, partial(each_answer))
        ),
    ],
)
def test_options_of_an_application_that_cannot_be_are_refused(
    make: Make, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        instrument(make(), Recorder(registry=CollectorRegistry()), **options)
    for middleware in (ASGIMiddleware, WSGIMiddleware):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            middleware(make(), Recorder(registry=CollectorRegistry()), **options)


@pytest.mark.parametrize("app", [FastAPI, Flask])
def test_a_class_is_no_application(app: Any) -> None:
    with pytest.raises(TypeError, match=f"^{app.__name__} is a class: give the application that it makes$"):
        instrument(app, Recorder(registry=CollectorRegistry()))


def test_a_function_that_makes_an_application_is_to_be_called() -> None:
    message = "get_wsgi_application is a function: call it, instrument(get_wsgi_application())"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        instrument(get_wsgi_application)


@pytest.mark.parametrize(
    ("middleware", "app", "message"),
    [
        (ASGIMiddleware, Flask("app"), "this Flask is an application of WSGI, not of ASGI: wrap it in WSGIMiddleware"),
        (WSGIMiddleware, FastAPI(), "this FastAPI is an application of ASGI, not of WSGI: wrap it in ASGIMiddleware"),
        (
            ASGIMiddleware,
            Flask("app").wsgi_app,
            "Flask.wsgi_app is an application of WSGI, not of ASGI: wrap it in WSGIMiddleware",
        ),
    ],
)
def test_an_application_of_the_other_kind_is_refused(middleware: Any, app: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^app: {message}$"):
        middleware(app, Recorder(registry=CollectorRegistry()))


@pytest.mark.parametrize("disabled", ["", "1"])
def test_an_application_that_is_wrapped_in_its_own_place_is_refused(
    disabled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_MONITORING_INSTRUMENT_DISABLED", disabled)
    app = Flask("app")
    app.wsgi_app = WSGIMiddleware(app, Recorder(registry=CollectorRegistry()))  # type: ignore[method-assign]
    message = "app.wsgi_app: WSGIMiddleware(app, ...) calls itself there: wrap app.wsgi_app, not app"
    for path in ("/", "/metrics"):
        with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
            app.test_client().get(path)


@pytest.mark.parametrize("name", [5, None, "X Variant", "", "X-Variant:"])
def test_a_name_that_no_header_has_is_refused(name: Any) -> None:
    message = f"from_header: name: {name!r} is not the name of a header, such as X-Variant"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        from_header(name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda recorder: recorder.model(None, None), "model: name: None is not text or a number"),
        (lambda recorder: recorder.model(["churn"]), "model: name: ['churn'] is not text or a number"),
        (lambda recorder: recorder.model("m", {"v": 3}), "model: version: {'v': 3} is not text or a number"),
        (lambda recorder: recorder.model("m", variant=["B"]), "model: variant: ['B'] is not text or a number"),
        (lambda recorder: recorder.cache(None), "cache: name: None is not text or a number"),
        (lambda recorder: recorder.model(""), "model: name: it is empty"),
        (lambda recorder: recorder.cache(""), "cache: name: it is empty"),
        (lambda recorder: recorder.job(""), "job: name: it is empty"),
        (lambda recorder: recorder.experiment([5]), "experiment: name: [5] is not text or a number"),
        (
            lambda recorder: recorder.model(pandas.DataFrame({"a": [1, 2]})),
            "model: name: this DataFrame is not text or a number",
        ),
        (lambda recorder: recorder.job("n", every=len), "every: len is not a duration such as 30m, 1d or 1d12h"),
        (
            lambda recorder: recorder.track_request(answer),
            'track_request: give a variant: @recorder.track_request("...")',
        ),
        (lambda recorder: recorder.job(answer), 'job: give a name: @recorder.job("answer")'),
        (
            lambda recorder: recorder.job("n", every="daily"),
            "every: 'daily' is not a duration such as 30m, 1d or 1d12h",
        ),
    ],
)
def test_what_is_recorded_has_a_name(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make(Recorder(registry=CollectorRegistry()))


def test_a_version_may_be_a_number_and_none_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    assert [recorder.model("m", version)._key for version in (3, 1.5, None)] == [  # type: ignore[arg-type]
        ("m", "3", ""),
        ("m", "1.5", ""),
        ("m", "", ""),
    ]
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "the version of 'm' is None; it is recorded without one, and the program goes on"
    ]


def test_a_variant_without_a_request_is_noticed_and_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    for _ in range(2):
        recorder.set_variant("B")
    line = test_a_variant_without_a_request_is_noticed_and_no_failure.__code__.co_firstlineno + 3
    assert caplog.messages == [
        f"set_variant at {__file__}:{line}: no request is recorded here, or it is excluded or over: use track_request "
        "where there is no HTTP, and copy_context().run for a thread; it is not recorded, and the program goes on"
    ]
    failures = {"operation": "set_variant"}
    assert recorder._metrics.registry.get_sample_value("ml_instrument_errors_total", failures) == 0


def test_a_variant_after_the_end_of_a_request_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    app, recorder = FastAPI(), Recorder(registry=CollectorRegistry())
    instrument(app, recorder)

    @app.get("/x")
    def answer(tasks: BackgroundTasks) -> str:
        recorder.set_variant("A")
        tasks.add_task(lambda: recorder.set_variant("B"))
        return "x"

    with asgi_server(app) as client:
        assert client.get("/x").status_code == 200
        wait_for(lambda: bool(caplog.messages))
    line = answer.__code__.co_firstlineno + 3
    assert [message.partition(", ")[0] for message in caplog.messages] == [
        f"set_variant at {__file__}:{line}: no request is recorded here"
    ]


def test_a_metric_of_the_user_with_a_name_of_ours_is_named() -> None:
    registry = CollectorRegistry()
    Counter("ml_predictions_total", "Mine.", registry=registry)
    message = (
        "ml_predictions_total is a metric of yours in this registry: rename it, or give the recorder another registry"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        Recorder(registry=registry)


def test_what_is_no_recorder_is_refused() -> None:
    options: Any = True
    with pytest.raises(TypeError, match=r"^recorder: True is no Recorder$"):
        instrument(FastAPI(), options)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["("], "'(' is not a regular expression: missing ), unterminated subpattern at position 0"),
        (["/ok", "health"], "'health' does not begin with /, as all paths do; did you mean '/health'?"),
        ("^api/.*", "'^api/.*' does not begin with /, as all paths do; did you mean '/api/.*'?"),
        ([("/a", "/b")], "('/a', '/b') stands in a list; put * in front of it"),
        ("GET /health", "'GET /health' does not begin with /, as all paths do; did you mean '/health'?"),
        ("/a/{id}/b", "'/a/{id}/b' is not a regular expression of paths; did you mean '/a/[^/]+/b'?"),
        ("/a/<int:id>", "'/a/<int:id>' is not a regular expression of paths; did you mean '/a/[^/]+'?"),
        (["/static/*"], "'/static/*' is not a regular expression of paths; did you mean '/static/.*'?"),
        (None, "None is not a regular expression written as text"),
        ([5], "5 is not a regular expression written as text"),
    ],
)
def test_a_pattern_that_is_none_is_refused(patterns: Any, message: str) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    with pytest.raises(ValueError, match=f"^exclude: {re.escape(message)}$"):
        instrument(Flask(__name__), recorder, exclude=patterns)
    with pytest.raises(ValueError, match=f"^exclude: {re.escape(message)}$"):
        ASGIMiddleware(FastAPI(), recorder, exclude=patterns)


@pytest.mark.parametrize("pattern", ["/a{2}", "/a/[0-9]{1,3}", "/static/.*", "/(?P<name>x)", "/x/?", "/a/.*/b"])
def test_a_regular_expression_is_taken(pattern: str) -> None:
    instrument(Flask(__name__), Recorder(registry=CollectorRegistry()), exclude=pattern)


def test_a_request_of_a_mounted_application_is_counted_once() -> None:
    recorder = Recorder(registry=CollectorRegistry())
    inner = FastAPI()
    inner.get("/x")(lambda: "x")
    outer = FastAPI()
    outer.mount("/sub", inner)
    for app in (inner, outer):
        instrument(app, recorder)
    outer.add_middleware(ASGIMiddleware, recorder=recorder)
    flask = Flask("outer")
    inside = Flask("inner")
    inside.route("/x")(lambda: "x")
    flask.wsgi_app = DispatcherMiddleware(flask.wsgi_app, {"/sub": inside})  # type: ignore[method-assign]
    for served in (inside, flask):
        instrument(served, recorder)
    with asgi_server(outer) as client, wsgi_server(flask) as other:
        client.get("/sub/x")
        other.get("/sub/x")
        assert counted(client, total=2) == ['{method="GET",route="/sub/x",status="200"} 2.0']


def test_a_header_that_a_scraper_does_not_send_is_none() -> None:
    recorder = Recorder(registry=CollectorRegistry())
    without, empty = recorder.exposition(None, None), recorder.exposition("", "")
    assert without.headers[0] == empty.headers[0]
    assert b"ml_instrument_errors_total" in without.body


def test_a_folder_of_workers_that_is_set_too_late_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    late = "PROMETHEUS_MULTIPROC_DIR is set too late: set it before prometheus_client is imported"
    with pytest.raises(ValueError, match=f"^{late}$"):
        Recorder(registry=CollectorRegistry())


def flask_with_a_dispatcher() -> Flask:
    app = Flask("app")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": app.wsgi_app})  # type: ignore[method-assign]
    return app


def fastapi_with_a_mount() -> FastAPI:
    app = FastAPI()
    app.mount("/metrics", prometheus_client.make_asgi_app(registry=CollectorRegistry()))
    return app


def with_a_route(app: Any) -> Any:
    app.get("/metrics")(lambda: "own")
    return app


@pytest.mark.parametrize(
    ("make", "path", "warned"),
    [
        (lambda: with_a_route(FastAPI()), "/metrics", True),
        (lambda: with_a_route(Flask("app")), "/metrics", True),
        (fastapi_with_a_mount, "/metrics", True),
        (flask_with_a_dispatcher, "/metrics", True),
        (lambda: with_a_route(FastAPI()), "/own/metrics", False),
        (lambda: with_a_route(Flask("app")), None, False),
    ],
)
def test_a_route_that_the_scrape_endpoint_covers_is_named_once(
    make: Make, path: str | None, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = instrument(make(), Recorder(registry=CollectorRegistry()), metrics_path=path)
    said = warned * [
        f"{path} is a route of the application too: requests of it get the metrics of the recorder; "
        "give instrument another metrics_path, or None to keep the route"
    ]
    assert caplog.messages == said
    recorder.exposition()
    assert caplog.messages == said


def test_a_covered_route_that_comes_later_is_named_at_the_first_scrape(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    recorder = instrument(app, Recorder(registry=CollectorRegistry()))
    with_a_route(app)
    assert caplog.messages == []
    recorder.exposition()
    assert [message.split(" ", 1)[0] for message in caplog.messages] == ["/metrics"]


@BOTH
def test_sizes_are_recorded_on_request(make: Make, serve: Serve, template: str) -> None:
    app, registry = make(), CollectorRegistry()
    instrument(app, Recorder(registry=registry, sizes=True))
    with serve(app) as client:
        body = client.request("GET", "/items/abc", content=b"x" * 500).content
        counted(client, total=1)
        samples = scrape(client)
    key = (("method", "GET"), ("route", template))
    assert samples["ml_http_request_size_bytes_sum", key] == 500
    assert samples["ml_http_response_size_bytes_sum", key] == len(body)


def test_two_applications_share_a_registry() -> None:
    registry = CollectorRegistry()
    first, second = fastapi_app(), flask_app()
    recorders = [instrument(app, Recorder(registry=registry)) for app in (first, second)]
    with asgi_server(first) as client, wsgi_server(second) as other:
        client.get("/healthz")
        other.get("/healthz")
        assert counted(client, total=2) == ['{method="GET",route="/healthz",status="200"} 2.0']
        samples = [parse(recorder.exposition().body.decode()) for recorder in recorders]
    assert samples[0].keys() == samples[1].keys()
    cpu = ("ml_process_cpu_seconds_total", ())
    # Counted once, not once for each recorder.
    assert samples[1][cpu] - samples[0][cpu] < samples[0][cpu]


def test_recorders_of_one_registry_need_the_same_options() -> None:
    registry = CollectorRegistry()
    Recorder(registry=registry, labels={"app": "a"})
    Recorder(registry=registry, labels={"app": "b"})
    for options in ({"labels": {"other": "x"}}, {"labels": {"app": "a"}, "response_buckets": [1.0]}):
        with pytest.raises(ValueError, match="is in this registry with other labels or buckets"):
            Recorder(registry=registry, **options)


def test_an_application_is_instrumented_once() -> None:
    app, registry = fastapi_app(), CollectorRegistry()
    instrument(app, Recorder(registry=registry))
    with pytest.raises(ValueError, match="this FastAPI is instrumented already"):
        instrument(app, Recorder(registry=registry))


@pytest.mark.parametrize("before", [False, True])
def test_flask_is_not_instrumented_by_its_requests(before: bool, caplog: pytest.LogCaptureFixture) -> None:
    app, registry, refused = flask_app(), CollectorRegistry(), []
    if before:
        instrument(app, Recorder(registry=registry))

    @app.before_request
    def each_time() -> None:
        try:
            instrument(app, Recorder(registry=registry))
        except RuntimeError as error:
            refused.append(str(error))

    client = app.test_client()
    assert [client.get("/items/1").status_code for _ in range(2)] == [200, 200]
    started = (
        "this Flask has started: call instrument right after it is made, not in its lifespan, an event or a request"
    )
    assert refused == ([] if before else [started, started])
    said = [each for each in caplog.messages if each.startswith("instrument at")]
    assert [each.partition(": ")[2] for each in said] == before * [
        "this Flask is instrumented already: its requests would count twice, and the program goes on"
    ]


def test_a_registry_that_a_test_emptied_gets_the_metrics_again() -> None:
    registry = CollectorRegistry()
    Recorder(registry=registry).cache("c").record_hit()
    for collector in list(registry._collector_to_names):
        registry.unregister(collector)
    recorder = Recorder(registry=registry)
    recorder.cache("d").record_hit()
    assert b'ml_cache_requests_total{cache="d",outcome="hit"} 1.0' in recorder.exposition().body


def test_an_application_of_an_unknown_framework_is_refused() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise NotImplementedError

    message = "app is of none of FastAPI, Starlette, Flask and Django: wrap it, WSGIMiddleware(app, recorder)"
    with pytest.raises(TypeError, match=re.escape(message)):
        instrument(app, Recorder(registry=CollectorRegistry()))


@BOTH
def test_the_environment_switches_everything_off(
    make: Make, serve: Serve, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DISABLED_VARIABLE, "1")
    app, registry = make(), CollectorRegistry()
    recorder = instrument(app, Recorder(registry=registry, labels={"a": "b"}, sizes=True, exemplars=True))
    model, cache = recorder.model("m", variant="A"), recorder.cache("c")
    with model.track_load(), model.track_prediction() as prediction, recorder.track_request("A"):
        prediction.confidence = prediction.score = 0.5
        recorder.set_variant("A")
    model.record_outcome(True)
    model.record_regression(1, 2)
    cache.record_hit()
    cache.record_miss()
    cache.set_size(entries=1)
    recorder.set_business_impact("A", 1)
    own = Counter("own", "of the service", registry=registry)
    own.inc()
    with serve(app) as client:
        assert client.get("/items/1").status_code == 200
        assert client.get("/metrics").status_code == 404
    # What others registered is still theirs.
    assert {name for name, _ in parse(recorder.exposition().body.decode())} == {"own_total", "own_created"}


@pytest.mark.parametrize("value", ["", "0", "false", "No", "off"])
def test_other_words_leave_it_on(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLED_VARIABLE, value)
    recorder = Recorder(registry=CollectorRegistry())
    recorder.cache("c").record_hit()
    assert b'ml_cache_requests_total{cache="c",outcome="hit"} 1.0' in recorder.exposition().body


def test_a_word_that_is_neither_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLED_VARIABLE, "perhaps")
    with pytest.raises(ValueError, match=f"{DISABLED_VARIABLE}: 'perhaps' is neither 1 nor 0"):
        Recorder(registry=CollectorRegistry())


def test_a_mounted_application_is_excluded_by_its_whole_path() -> None:
    inner = Starlette(routes=[Route("/healthz", lambda request: PlainTextResponse("ok"))])
    app = FastAPI()
    app.mount("/models", inner)
    instrument(app, Recorder(registry=CollectorRegistry()), exclude=["/models/healthz"])
    with asgi_server(app, root_path="/proxy") as client:
        assert client.get("/models/healthz").text == "ok"
        assert lines(client, TOTAL) == []
