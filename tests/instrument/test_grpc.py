"""The interceptors in real gRPC servers on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

from ml_monitoring.instrument import HEALTH_CHECKS, Recorder, from_header
from ml_monitoring.instrument.grpc import STATUSES, AsyncServerInterceptor, ServerInterceptor
from tests.support.wsgi_servers import PATIENCE, parse, wait_for

TOTAL = "ml_http_requests_total"


class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio carries no types
    """Methods without generated code: requests and answers are bytes."""

    def __init__(self, package: str, methods: dict[str, Any]) -> None:
        self._methods = {f"/{package}/{name}": handler for name, handler in methods.items()}

    def service(self, handler_call_details: Any) -> Any:
        return self._methods.get(handler_call_details.method)


def plain_methods(recorder: Recorder, hold: threading.Event) -> dict[str, Any]:
    model = recorder.model("m", "1", variant="B")

    def predict(request: bytes, context: Any) -> bytes:
        with model.track_prediction():
            return request

    def stream(request: bytes, context: Any) -> Iterator[bytes]:
        for _ in range(3):
            yield request

    def endless(request: bytes, context: Any) -> Iterator[bytes]:
        while not hold.wait(0.01):
            yield request

    def total(requests: Iterator[bytes], context: Any) -> bytes:
        return b"".join(requests)

    def refuse(request: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode[request.decode()], "refused")
        raise AssertionError

    def set_code(request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.UNAVAILABLE)
        return b""

    def broken(request: bytes, context: Any) -> bytes:
        raise RuntimeError("the model is gone")

    return {
        "Predict": grpc.unary_unary_rpc_method_handler(predict),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
        "Endless": grpc.unary_stream_rpc_method_handler(endless),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, context: requests),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
        "SetCode": grpc.unary_unary_rpc_method_handler(set_code),
        "Broken": grpc.unary_unary_rpc_method_handler(broken),
    }


def async_methods(recorder: Recorder, _hold: threading.Event) -> dict[str, Any]:
    model = recorder.model("m", "1", variant="B")

    async def predict(request: bytes, context: Any) -> bytes:
        with model.track_prediction():
            return request

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield request

    async def endless(request: bytes, context: Any) -> None:
        while True:
            await context.write(request)
            await asyncio.sleep(0.01)

    async def total(requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([request async for request in requests])

    async def chat(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def refuse(request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode[request.decode()], "refused")
        raise AssertionError

    async def set_code(request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.UNAVAILABLE)
        return b""

    async def broken(request: bytes, context: Any) -> bytes:
        raise RuntimeError("the model is gone")

    return {
        "Predict": grpc.unary_unary_rpc_method_handler(predict),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
        "Endless": grpc.unary_stream_rpc_method_handler(endless),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
        "SetCode": grpc.unary_unary_rpc_method_handler(set_code),
        "Broken": grpc.unary_unary_rpc_method_handler(broken),
    }


def handlers(methods: dict[str, Any]) -> tuple[Handlers, ...]:
    health = {"Check": methods["Predict"]}
    return Handlers("shop.Churn", methods), Handlers("grpc.health.v1.Health", health)


@contextmanager
def plain_server(
    recorder: Recorder, hold: threading.Event, interceptor: Any = ServerInterceptor, **options: Any
) -> Iterator[grpc.Channel]:
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[interceptor(recorder, **options)])
    server.add_generic_rpc_handlers(handlers(plain_methods(recorder, hold)))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        hold.set()
        server.stop(None).wait(PATIENCE)


@contextmanager
def async_server(recorder: Recorder, hold: threading.Event, **options: Any) -> Iterator[grpc.Channel]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[Any, int]:
        server = grpc.aio.server(interceptors=[AsyncServerInterceptor(recorder, **options)])
        server.add_generic_rpc_handlers(handlers(async_methods(recorder, hold)))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(None), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


SERVERS = pytest.mark.parametrize("serve", [plain_server, async_server])
Serve = Callable[..., Any]


def counts(recorder: Recorder, name: str = TOTAL) -> dict[str, float]:
    return {
        " ".join(value for _, value in labels): count
        for (found, labels), count in parse(recorder.exposition().body.decode()).items()
        if found == name and (count or not found.endswith("_total"))
    }


@SERVERS
def test_calls_of_all_four_kinds_are_requests(serve: Serve) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    with serve(recorder, threading.Event()) as channel:
        assert channel.unary_unary("/shop.Churn/Predict")(b"x") == b"x"
        assert list(channel.unary_stream("/shop.Churn/Stream")(b"x")) == [b"x"] * 3
        assert channel.stream_unary("/shop.Churn/Total")(iter([b"x", b"y"])) == b"xy"
        assert list(channel.stream_stream("/shop.Churn/Chat")(iter([b"x", b"y"]))) == [b"x", b"y"]
        wait_for(lambda: sum(counts(recorder).values()) == 4)
        assert counts(recorder) == {
            f"POST /shop.Churn/{method} 200": 1 for method in ("Predict", "Stream", "Total", "Chat")
        }
        assert counts(recorder, "ml_http_request_duration_seconds_count")["POST /shop.Churn/Predict"] == 1
        assert counts(recorder, "ml_http_requests_in_progress") == {"": 0}
        assert counts(recorder, "ab_test_requests_total") == {"success B": 1}


@SERVERS
def test_codes_have_the_statuses_that_pages_and_alerts_know(serve: Serve) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    codes = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    expected: dict[str, int] = {}
    with serve(recorder, threading.Event()) as channel:
        for code in codes:
            with pytest.raises(grpc.RpcError) as raised:
                channel.unary_unary("/shop.Churn/Refuse")(code.name.encode())
            assert raised.value.code() is code
            key = f"POST /shop.Churn/Refuse {STATUSES[code]}"
            expected[key] = expected.get(key, 0) + 1
        for method in ("SetCode", "Broken", "Unknown"):
            with pytest.raises(grpc.RpcError):
                channel.unary_unary(f"/shop.Churn/{method}")(b"")
        expected |= {"POST /shop.Churn/SetCode 503": 1, "POST /shop.Churn/Broken 500": 1, "POST unmatched 404": 1}
        wait_for(lambda: sum(counts(recorder).values()) == sum(expected.values()))
        assert counts(recorder) == expected


@SERVERS
def test_a_client_that_cancels_is_no_error_of_the_service(serve: Serve) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    with serve(recorder, threading.Event()) as channel:
        call = channel.unary_stream("/shop.Churn/Endless")(b"x")
        assert next(call) == b"x"
        call.cancel()
        wait_for(lambda: counts(recorder) == {"POST /shop.Churn/Endless 499": 1})


@SERVERS
def test_options_work_as_they_do_for_http(serve: Serve) -> None:
    recorder = Recorder(registry=CollectorRegistry(), labels={"tenant": from_header("X-Tenant", "none")})
    options = {"exclude": HEALTH_CHECKS, "get_variant": from_header("x-variant")}
    with serve(recorder, threading.Event(), **options) as channel:
        channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
        channel.unary_unary("/shop.Churn/Total")
        metadata = (("x-tenant", "acme"), ("x-variant", "A"))
        assert channel.stream_unary("/shop.Churn/Total")(iter([b"x"]), metadata=metadata) == b"x"
        wait_for(lambda: sum(counts(recorder).values()) == 1)
        assert counts(recorder) == {"POST /shop.Churn/Total 200 acme": 1}
        assert counts(recorder, "ab_test_requests_total") == {"success A": 1}


def test_the_interceptor_of_the_other_server_is_said_and_records(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    with plain_server(recorder, threading.Event(), AsyncServerInterceptor) as channel:
        assert channel.unary_unary("/shop.Churn/Predict")(b"x", timeout=PATIENCE) == b"x"
    (line,) = caplog.messages
    assert line.startswith("AsyncServerInterceptor at ")
    assert line.endswith(
        ": it is for grpc.aio.server, and this is a grpc.server: give it ServerInterceptor, and the program goes on"
    )
    assert b'route="/shop.Churn/Predict",status="200"} 1.0' in recorder.exposition().body
