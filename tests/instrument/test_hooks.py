"""Functions of the service that are asked of each request: what is said of one that fails, and that requests go on."""

from __future__ import annotations

import asyncio
import inspect
import operator
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask
from prometheus_client import CollectorRegistry

from ml_monitoring.instrument import ASGIMiddleware, Pushgateway, Recorder, WSGIMiddleware, instrument
from tests.support.wsgi_servers import parse

Hook = Callable[[Any], Any]
WITHOUT = "(return None where there is none); the request is recorded without it, and the program goes on"


def key_of(request: Any) -> Any:
    return request["no such key"]


def of_another(request: Any) -> Any:
    return key_of(request)


def of_a_library(request: Any) -> Any:
    return inspect.getattr_static(request, "no_such_attribute")


class Hooks:
    """A hook that is an object."""

    def __call__(self, request: Any) -> Any:
        return [request]


def line_of(function: Any, offset: int = 0) -> str:
    return f"{__file__}:{inspect.getsourcelines(function)[1] + offset}"


FAILURES: list[tuple[Hook, str, str]] = [
    (key_of, line_of(key_of, 1), "it raised KeyError: 'no such key'"),
    (of_another, line_of(key_of, 1), "it raised KeyError: 'no such key'"),
    (of_a_library, line_of(of_a_library, 1), "it raised AttributeError: no_such_attribute"),
    (operator.itemgetter("no such key"), "itemgetter", "it raised KeyError: 'no such key'"),
    (Hooks(), line_of(Hooks, 3), "it returned a value of type list, not text"),
    *(
        (hook, line_of(hook), f"it returned a value of type {kind}, not text")
        for hook, kind in (
            (lambda _: b"B", "bytes"),
            (lambda _: {"variant": "B"}, "dict"),
            (lambda _: object(), "object"),
            (lambda _: key_of, "function"),
        )
    ),
]


def asgi(recorder: Recorder, **hooks: Any) -> None:
    app: Any = FastAPI()
    app.get("/x")(lambda: "x")
    if "get_route" in hooks:
        app = ASGIMiddleware(app, recorder, **hooks)
    else:
        instrument(app, recorder, **hooks)

    async def ask() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return [(await client.get("/x")).status_code for _ in range(3)]

    assert asyncio.run(ask()) == [200, 200, 200]


def wsgi(recorder: Recorder, **hooks: Any) -> None:
    app = Flask("app")
    app.route("/x")(lambda: "x")
    if "get_route" in hooks:
        app.wsgi_app = WSGIMiddleware(app.wsgi_app, recorder, **hooks)  # type: ignore[method-assign]
    else:
        instrument(app, recorder, **hooks)
    client = app.test_client()
    assert [client.get("/x").status_code for _ in range(3)] == [200, 200, 200]


def requests(recorder: Recorder) -> list[float]:
    samples = parse(recorder.exposition().body.decode())
    return [value for (name, _), value in samples.items() if name == "ml_http_requests_total" and value]


@pytest.mark.parametrize("serve", [asgi, wsgi])
@pytest.mark.parametrize(("hook", "place", "problem"), FAILURES)
@pytest.mark.parametrize("name", ["get_variant", "get_route"])
def test_a_failing_hook_is_one_line_with_its_place(
    serve: Any, name: str, hook: Hook, place: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    serve(recorder, **{name: hook})
    assert caplog.messages == [f"{name} at {place}: {problem} {WITHOUT}"]
    assert caplog.records[0].exc_info is None
    assert requests(recorder) == [3.0]


@pytest.mark.parametrize("serve", [asgi, wsgi])
@pytest.mark.parametrize(("hook", "place", "problem"), FAILURES)
def test_a_failing_label_is_named(
    serve: Any, hook: Hook, place: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(registry=CollectorRegistry(), labels={"tenant": hook, "region": key_of})
    serve(recorder)
    assert caplog.messages == [
        f"labels: tenant at {place}: {problem} {WITHOUT}",
        f"labels: region at {line_of(key_of, 1)}: it raised KeyError: 'no such key' {WITHOUT}",
    ]
    assert requests(recorder) == [3.0]


@pytest.mark.parametrize(("value", "label"), [(3, "3"), (0, "0"), (1.5, "1.5"), (None, ""), ("", "")])
def test_a_hook_may_return_numbers_and_none(value: Any, label: str, caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    recorder = Recorder(registry=registry, labels={"tenant": lambda _: value})
    wsgi(recorder, get_variant=lambda _: value)
    assert caplog.messages == []
    labels = {"method": "GET", "route": "/x", "status": "200", "tenant": label}
    assert registry.get_sample_value("ml_http_requests_total", labels) == 3
    variants = {"variant": label, "outcome": "success"}
    assert registry.get_sample_value("ab_test_requests_total", variants) == (3 if label else None)


def test_a_handler_of_pushes_that_raises_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def handler(**_: Any) -> Any:
        raise LookupError("no\ntoken")

    gateway = Pushgateway("http://127.0.0.1:9", handler=handler)
    with Recorder(registry=CollectorRegistry(), exporter=gateway).job("nightly"):
        pass
    assert caplog.messages == [
        f"push_job at {line_of(handler, 1)}: it raised LookupError: no token; it is not recorded, "
        "and the program goes on"
    ]
