"""Interceptors for gRPC servers: a call is recorded as a request whose route is the method, `/package.Service/Method`.

Needs `grpcio`. The status is the one that HTTP has for gRPC's code, so that pages, alerts and objectives hold for both.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final

try:
    import grpc
    import grpc.aio
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"ml_monitoring.instrument.grpc needs {missing.name}: pip install grpcio", name=missing.name
    ) from None

from ml_monitoring.instrument.calls import explained
from ml_monitoring.instrument.labels import UNMATCHED
from ml_monitoring.instrument.options import checked_recorder
from ml_monitoring.instrument.recorder import Recorder
from ml_monitoring.instrument.requests import CLIENT_LEFT, CURRENT, Hooks, RequestContext

# As google.rpc.Code pairs them.
STATUSES: Final = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: CLIENT_LEFT,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
_BY_NUMBER: Final = {code.value[0]: status for code, status in STATUSES.items()}
_ERROR: Final = 500
# Every call is one, in HTTP/2.
_METHOD: Final = "POST"

_Behaviour = Callable[[Any, Any], Any]
_FACTORIES: Final = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


class _Call(RequestContext):
    """One call while it is answered."""

    __slots__ = ("started",)

    def __init__(self) -> None:
        super().__init__()
        self.started = perf_counter()


class _Recording:
    """What both interceptors share.

    Args:
        recorder: Where to record.
        exclude: Regular expressions of methods that are not recorded, such as `HEALTH_CHECKS`; the whole must match.
        get_variant: Returns the variant for gRPC's `HandlerCallDetails`; see `from_header`.
    """

    @explained
    def __init__(
        self,
        recorder: Recorder,
        *,
        exclude: Iterable[str] = (),
        get_variant: Callable[[Any], str | None] | None = None,
    ) -> None:
        checked_recorder(recorder, Recorder)
        self._requests = recorder._requests
        self._hooks = Hooks(
            self._requests, exclude=exclude, get_route=lambda details: str(details.method), get_variant=get_variant
        )

    def _wrapped(self, handler: Any, details: Any) -> Any:
        """Return the handler with the recording around it."""
        if self._requests.disabled or self._hooks.excludes(details.method):
            return handler
        if handler is None:
            # Anybody may ask for what does not exist: no fault of the service, and no series for each name.
            self._requests.started()
            self._record(_Call(), details, UNMATCHED, 404)
            return None
        name, factory = _FACTORIES[handler.request_streaming, handler.response_streaming]
        plain = getattr(handler, name)
        if inspect.isasyncgenfunction(plain):
            behaviour = self._async_stream(plain, details)
        elif inspect.iscoroutinefunction(plain):
            behaviour = self._async(plain, details)
        elif handler.response_streaming:
            behaviour = self._stream(plain, details)
        else:
            behaviour = self._plain(plain, details)
        return factory(
            behaviour,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _plain(self, plain: _Behaviour, details: Any) -> _Behaviour:
        def behaviour(request: Any, context: Any) -> Any:
            with self._call(details, context):
                return plain(request, context)

        return behaviour

    def _stream(self, plain: _Behaviour, details: Any) -> _Behaviour:
        def behaviour(request: Any, context: Any) -> Any:
            with self._call(details, context):
                yield from plain(request, context)

        return behaviour

    def _async(self, plain: _Behaviour, details: Any) -> _Behaviour:
        async def behaviour(request: Any, context: Any) -> Any:
            with self._call(details, context):
                return await plain(request, context)

        return behaviour

    def _async_stream(self, plain: _Behaviour, details: Any) -> _Behaviour:
        async def behaviour(request: Any, context: Any) -> Any:
            with self._call(details, context):
                async for answer in plain(request, context):
                    yield answer

        return behaviour

    @contextmanager
    def _call(self, details: Any, context: Any) -> Iterator[None]:
        call = _Call()
        if self._requests.exemplars is not None:
            metadata = details.invocation_metadata or ()
            self._hooks.set_trace(call, next((str(value) for key, value in metadata if key == "traceparent"), ""))
        token = CURRENT.set(call)
        self._requests.started()
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            try:
                CURRENT.reset(token)
            except ValueError:
                # A stream that is closed in another context than it began in; that context is gone with the call.
                CURRENT.set(None)
            self._hooks.set_trace(call)
            self._record(call, details, self._hooks.route(details), _status(context, failure))

    def _record(self, call: _Call, details: Any, route: str, status: int) -> None:
        seconds = perf_counter() - call.started
        self._requests.finished()
        self._hooks.set_variant(details, call)
        self._requests.record(details, call, method=_METHOD, route=route, status=status, seconds=seconds)


def _status(context: Any, failure: BaseException | None) -> int:
    """Return the status of a call that is over."""
    if isinstance(failure, GeneratorExit | asyncio.CancelledError):
        return CLIENT_LEFT
    code = context.code()
    # The asynchronous server has numbers.
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code or 0
    if failure is not None:
        return _BY_NUMBER.get(number, _ERROR) if number else _ERROR
    # Only the plain server says so; an asynchronous handler is cancelled.
    if not number and not getattr(context, "is_active", lambda: True)():
        return CLIENT_LEFT
    return _BY_NUMBER.get(number, _ERROR)


class ServerInterceptor(_Recording, grpc.ServerInterceptor):  # type: ignore[misc]  # grpcio carries no types
    """Records the calls of a `grpc.server`.

    Args:
        recorder: Where to record.
        exclude: Regular expressions of methods that are not recorded, such as `HEALTH_CHECKS`; the whole must match.
        get_variant: Returns the variant for gRPC's `HandlerCallDetails`; see `from_header`.
    """

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Return the handler of a call, with the recording around it."""
        return self._wrapped(continuation(handler_call_details), handler_call_details)


class AsyncServerInterceptor(_Recording, grpc.aio.ServerInterceptor):  # type: ignore[misc]  # as above
    """Records the calls of a `grpc.aio.server`.

    Args:
        recorder: Where to record.
        exclude: Regular expressions of methods that are not recorded, such as `HEALTH_CHECKS`; the whole must match.
        get_variant: Returns the variant for gRPC's `HandlerCallDetails`; see `from_header`.
    """

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Return the handler of a call, with the recording around it."""
        found = continuation(handler_call_details)
        if inspect.isawaitable(found):
            return self._awaited(found, handler_call_details)
        # It would wait for ever for a coroutine.
        self._requests.note(
            "AsyncServerInterceptor", "it is for grpc.aio.server, and this is a grpc.server: give it ServerInterceptor"
        )
        return self._wrapped(found, handler_call_details)

    async def _awaited(self, found: Awaitable[Any], details: Any) -> Any:
        return self._wrapped(await found, details)
