"""The ASGI middleware under uvicorn, with real FastAPI and Starlette applications."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from ml_monitoring.instrument import ASGIMiddleware, Recorder, instrument
from tests.support.wsgi_servers import PATIENCE, asgi_server, lines, scrape, wait_for


def recorder(**options: Any) -> Recorder:
    return Recorder(registry=CollectorRegistry(), **options)


def fastapi_app() -> FastAPI:
    app = FastAPI()
    inner = APIRouter(prefix="/inner")
    outer = APIRouter(prefix="/v1")

    @inner.get("/items/{item}")
    def item(item: int) -> int:
        return item

    @outer.get("/users/{user}")
    async def user(user: str) -> str:
        return user

    @app.post("/predict")
    async def predict(request: Request) -> int:
        return len(await request.body())

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(status_code=429)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the model is gone")

    outer.include_router(inner)
    app.include_router(outer, prefix="/api")
    tenants = FastAPI()

    @tenants.get("/models/{model}")
    def model(model: str) -> str:
        return model

    app.mount("/tenants/{tenant}", tenants)
    return app


def test_route_templates_are_the_labels() -> None:
    app = fastapi_app()
    instrument(app, recorder())
    with asgi_server(app) as client:
        for path in (
            *("/api/v1/inner/items/1", "/api/v1/inner/items/2", "/api/v1/users/ann", "/refused", "/broken"),
            *("/tenants/acme/models/a", "/tenants/zeta/models/b", "/nowhere"),
        ):
            client.get(path)
        client.post("/predict", content=b"x" * 10)
        client.delete("/predict")
        assert lines(client, "ml_http_requests_total") == [
            'ml_http_requests_total{method="DELETE",route="/predict",status="405"} 1.0',
            'ml_http_requests_total{method="GET",route="/api/v1/inner/items/{item}",status="200"} 2.0',
            'ml_http_requests_total{method="GET",route="/api/v1/users/{user}",status="200"} 1.0',
            'ml_http_requests_total{method="GET",route="/broken",status="500"} 1.0',
            'ml_http_requests_total{method="GET",route="/refused",status="429"} 1.0',
            'ml_http_requests_total{method="GET",route="/tenants/{tenant}/models/{model}",status="200"} 2.0',
            'ml_http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
            'ml_http_requests_total{method="POST",route="/predict",status="200"} 1.0',
        ]


def test_starlette_mounts_are_part_of_the_template() -> None:
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("bare")(scope, receive, send)

    app = Starlette(
        routes=[Mount("/app", routes=[Route("/page/{number:int}", page)]), Mount("/bare", app=bare), Route("/", page)]
    )
    instrument(app, recorder())
    with asgi_server(app) as client:
        for path in ("/app/page/1", "/app/page/2", "/bare/anything/else", "/", "/app/none"):
            client.get(path)
        routes = {dict(labels)["route"] for name, labels in scrape(client) if name == "ml_http_requests_total"}
    assert routes == {"/app/page/{number}", "/bare", "/", "/app"}


def test_a_proxys_prefix_is_not_part_of_the_template() -> None:
    app = FastAPI()

    @app.get("/items/{item}")
    def item(item: int) -> int:
        return item

    instrument(app, recorder())
    with asgi_server(app, root_path="/proxy") as client:
        client.get("/items/1")
        assert lines(client, "ml_http_requests_total") == [
            'ml_http_requests_total{method="GET",route="/items/{item}",status="200"} 1.0'
        ]


def test_an_application_of_an_unknown_framework_names_its_routes_itself() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("ok")(scope, receive, send)

    wrapped = ASGIMiddleware(app, recorder(), get_route=lambda scope: "/known" if scope["path"] == "/a" else None)
    with asgi_server(wrapped) as client:
        client.get("/a")
        client.get("/b")
        assert [line.split(" ")[0] for line in lines(client, "ml_http_requests_total")] == [
            'ml_http_requests_total{method="GET",route="/known",status="200"}',
            'ml_http_requests_total{method="GET",route="unmatched",status="200"}',
        ]


def streaming_app() -> FastAPI:
    app = FastAPI()

    async def parts(count: int, pause: float, fail: bool) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"part" * 1000
            await asyncio.sleep(pause)
        if fail:
            raise RuntimeError("in mid-stream")

    @app.get("/stream")
    async def stream(count: int = 3, pause: float = 0.1, fail: bool = False) -> StreamingResponse:
        return StreamingResponse(parts(count, pause, fail))

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(0.3)
        return "done"

    return app


def test_a_stream_counts_once_and_lasts_until_its_last_part() -> None:
    app, last_part = FastAPI(), threading.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.to_thread(last_part.wait, PATIENCE)
        yield b"last"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    instrument(app, recorder())
    with asgi_server(app) as client:
        with client.stream("GET", "/stream") as response:
            received = response.iter_bytes()
            assert next(received) == b"first"
            began = perf_counter()
            assert lines(client, "ml_http_requests_total", "ml_http_requests_in_progress") == [
                "ml_http_requests_in_progress 1.0"
            ]
            waited = perf_counter() - began
            last_part.set()
            assert b"".join(received) == b"last"
        labels = (("method", "GET"), ("route", "/stream"))
        wait_for(lambda: scrape(client).get(("ml_http_requests_total", (*labels, ("status", "200")))) == 1)
        assert scrape(client)["ml_http_request_duration_seconds_sum", labels] >= waited


def test_a_stream_that_breaks_is_an_error_although_200_was_sent() -> None:
    app = streaming_app()
    instrument(app, recorder())
    with asgi_server(app) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/stream?fail=true")
        assert lines(client, "ml_http_requests_total") == [
            'ml_http_requests_total{method="GET",route="/stream",status="500"} 1.0'
        ]


def test_background_work_is_not_part_of_the_request() -> None:
    app, work = FastAPI(), threading.Event()

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        async def later() -> None:
            await asyncio.to_thread(work.wait, PATIENCE)
            raise RuntimeError("after the response")

        tasks.add_task(later)
        return "done"

    instrument(app, recorder())
    with asgi_server(app) as client:
        assert client.get("/background").status_code == 200
        counted = 'ml_http_requests_total{method="GET",route="/background",status="200"} 1.0'
        # While it is still at work.
        wait_for(lambda: lines(client, "ml_http_requests_total") == [counted])
        work.set()


@pytest.mark.parametrize("path", ["/slow", "/stream?count=50"])
def test_a_client_that_hangs_up_is_counted_as_such(path: str) -> None:
    app = streaming_app()
    kept = instrument(app, recorder())
    with asgi_server(app) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wait_for(lambda: lines(client, "ml_http_requests_in_progress") == ["ml_http_requests_in_progress 1.0"])
        wait_for(lambda: b'status="499"' in kept.exposition().body)
        route = path.partition("?")[0]
        assert lines(client, "ml_http_requests_total", "ml_http_requests_in_progress") == [
            "ml_http_requests_in_progress 0.0",
            f'ml_http_requests_total{{method="GET",route="{route}",status="499"}} 1.0',
        ]


def test_looking_for_a_hang_up_loses_nothing_of_the_body() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.2)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    body = b"0123456789" * 50_000
    with asgi_server(ASGIMiddleware(echo, recorder())) as client:
        assert client.post("/echo", content=body).content == body
        assert lines(client, "ml_http_requests_total") == [
            'ml_http_requests_total{method="POST",route="unmatched",status="200"} 1.0'
        ]


class Suspicious:
    """A server that takes who withdraws a question for a client that left, as gunicorn's does."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = list(messages)
        self._left = False

    async def receive(self) -> dict[str, Any]:
        if self._left:
            return {"type": "http.disconnect"}
        if self._messages:
            return self._messages.pop(0)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self._left = True
            raise
        raise AssertionError


async def _looks(receive: Any) -> int:
    for _ in range(3):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await receive()
    return 200


async def _watches_beside(receive: Any) -> int:
    watchers = [asyncio.create_task(receive()) for _ in range(2)]
    await asyncio.sleep(0)
    for watcher in watchers:
        watcher.cancel()
    await asyncio.wait(watchers)
    return 200


async def _waits_no_longer_for_the_body(receive: Any) -> int:
    await _looks(receive)
    return 408


@pytest.mark.parametrize(
    ("does", "body_comes", "status"),
    [(_looks, True, 200), (_watches_beside, True, 200), (_waits_no_longer_for_the_body, False, 408)],
)
def test_an_application_that_withdraws_its_question_has_not_lost_its_client(
    does: Callable[[Any], Awaitable[int]], body_comes: bool, status: int
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if body_comes:
            await receive()
        await send({"type": "http.response.start", "status": await does(receive), "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def sent(message: Any) -> None:
        pass

    kept = recorder()
    server = Suspicious(*([{"type": "http.request", "body": b"x"}] if body_comes else []))
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": []}
    asyncio.run(ASGIMiddleware(app, kept)(scope, server.receive, sent))
    counted = [
        line
        for line in kept.exposition().body.decode().splitlines()
        if line.startswith("ml_http_requests_total{") and not line.endswith(" 0.0")
    ]
    assert counted == [f'ml_http_requests_total{{method="POST",route="unmatched",status="{status}"}} 1.0']


def test_variants_are_booked_from_both_kinds_of_handlers() -> None:
    app = FastAPI()
    kept = instrument(app, recorder(origin="simulated"))
    models = {name: kept.model("iris", "1", variant=name) for name in ("A", "B")}

    @app.get("/thread/{variant}")
    def in_thread(variant: str) -> str:
        with models[variant].track_prediction():
            return variant

    @app.get("/loop/{variant}")
    async def in_loop(variant: str, fail: bool = False) -> str:
        with models[variant].track_prediction():
            if fail:
                raise RuntimeError
        return variant

    with asgi_server(app) as client:
        client.get("/thread/A")
        client.get("/loop/A")
        client.get("/loop/B?fail=true")
        assert lines(
            client, "ab_test_requests", "ab_test_errors", "ab_test_response_time_seconds_count", "ml_pred"
        ) == [
            'ab_test_errors_total{origin="simulated",variant="A"} 0.0',
            'ab_test_errors_total{origin="simulated",variant="B"} 1.0',
            'ab_test_requests_total{origin="simulated",outcome="error",variant="B"} 1.0',
            'ab_test_requests_total{origin="simulated",outcome="success",variant="A"} 2.0',
            'ab_test_response_time_seconds_count{origin="simulated",variant="A"} 2.0',
            'ab_test_response_time_seconds_count{origin="simulated",variant="B"} 1.0',
            *lines(client, "ml_pred"),
        ]
        samples = scrape(client)
    model = (("model", "iris"), ("model_version", "1"), ("origin", "simulated"))
    assert samples["ml_predictions_total", (*model, ("variant", "A"))] == 2
    assert samples["ml_prediction_errors_total", (*model, ("variant", "B"))] == 1


def test_the_variant_can_be_derived_from_the_request() -> None:
    app = fastapi_app()
    headers = {b"x-variant": b"canary"}
    instrument(
        app,
        recorder(),
        get_variant=lambda scope: next((v.decode() for k, v in scope["headers"] if k in headers), None),
    )
    with asgi_server(app) as client:
        client.get("/api/v1/users/ann", headers={"X-Variant": "canary"})
        client.get("/api/v1/users/ann")
        assert lines(client, "ab_test_requests_total") == [
            'ab_test_requests_total{outcome="success",variant="canary"} 1.0'
        ]


def test_scrapes_are_compressed_on_request_and_not_counted() -> None:
    app = fastapi_app()
    instrument(app, recorder())
    with asgi_server(app) as client:
        plain = client.get("/metrics", headers={"Accept-Encoding": "identity"})
        zipped = client.get("/metrics", headers={"Accept-Encoding": "gzip"})
        assert plain.headers["content-type"].startswith("text/plain; version=")
        assert zipped.headers["content-encoding"] == "gzip"
        assert zipped.text.splitlines()[0] == plain.text.splitlines()[0]
        assert client.post("/metrics").status_code == 405
        assert client.head("/metrics").content == b""
        assert lines(client, "ml_http_requests_total") == []
