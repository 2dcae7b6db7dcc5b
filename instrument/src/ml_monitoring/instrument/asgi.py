"""Middleware for FastAPI, Starlette and any other ASGI application.

It wraps `receive` and `send` and nothing else, so streaming, background tasks and exceptions pass through unchanged.
All recording happens after the last byte of the response.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from time import perf_counter
from typing import Any, Final

from ml_monitoring.instrument.calls import explained
from ml_monitoring.instrument.options import checked_app, checked_path, checked_recorder
from ml_monitoring.instrument.recorder import Recorder
from ml_monitoring.instrument.requests import CLIENT_LEFT, COUNTED, CURRENT, Hooks, RequestContext
from ml_monitoring.instrument.routes import asgi_route

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# Servers do not say that a client hung up while a handler works. After this time it is worth 50 microseconds to ask.
_WORTH_ASKING: Final = 0.1
# Some have the answer in another thread (granian): so much of a request's time they get.
_PATIENCE: Final = 0.02
# A small body has so many parts at most: its end is one of its own with some servers.
_PARTS: Final = 3
# So many requests are used to find out whether the server's word is good; see `_HttpContext.receive`.
_TRIALS: Final = 20
# Close codes after which nothing went wrong: normal, going away (a page was left), none given.
_NORMAL_CLOSE: Final = frozenset({1000, 1001, 1005})
_SERVER_ERROR_CLOSE: Final = 1011


class ASGIMiddleware:
    """Records HTTP requests and WebSocket connections, and answers scrapes.

    Args:
        app: The application.
        recorder: Where to record.
        metrics_path: Path of the scrape endpoint; None when it is served elsewhere.
        exclude: Regular expressions of paths that are not recorded; the whole path must match.
        get_route: Returns the route template for the scope, for frameworks other than Starlette, FastAPI and Django.
        get_variant: Returns the variant for the scope, for services that know it without asking the handler.

    Raises:
        ValueError: An option is wrong, such as a pattern of `exclude` that is no regular expression.
    """

    @explained
    def __init__(
        self,
        app: ASGIApp,
        recorder: Recorder,
        *,
        metrics_path: str | None = "/metrics",
        exclude: Iterable[str] = (),
        get_route: Callable[[Scope], str | None] = asgi_route,
        get_variant: Callable[[Scope], str | None] | None = None,
    ) -> None:
        checked_recorder(recorder, Recorder)
        self._app = app
        self._requests = recorder._requests
        self.traced = self._requests.exemplars is not None
        self._metrics_path = checked_path(metrics_path)
        self._metrics = make_asgi_app(recorder)
        self.hooks = Hooks(self._requests, exclude=exclude, get_route=get_route, get_variant=get_variant)
        checked_app(app, "ASGI")
        # Whether the server was seen to wait when it was asked for more than the body.
        self.server_waits = False
        self.trials = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind not in ("http", "websocket") or self._requests.disabled:
            await self._app(scope, receive, send)
            return
        path = _path(scope)
        if kind == "http" and self._metrics_path is not None and path == self._metrics_path:
            await self._metrics(scope, receive, send)
        elif scope.get(COUNTED) is self._requests or self.hooks.excludes(path):
            await self._app(scope, receive, send)
        else:
            scope[COUNTED] = self._requests
            if kind == "http":
                await self._http(scope, receive, send)
            else:
                await self._websocket(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = _HttpContext(self, scope, receive, send)
        if self.traced:
            self.hooks.set_trace(context, _header(scope, b"traceparent"))
        token = CURRENT.set(context)
        self._requests.started()
        failure: BaseException | None = None
        try:
            await self._app(scope, context.receive, context.send)
        except BaseException as error:
            failure = error
            raise
        finally:
            CURRENT.reset(token)
            if not context.recorded:
                self._record(context, failure)

    def _record(self, context: _HttpContext, failure: BaseException | None) -> None:
        """Record a request that is over."""
        context.recorded = True
        context.stop_asking()
        requests, hooks, scope = self._requests, self.hooks, context.scope
        requests.finished()
        seconds = (context.ended or perf_counter()) - context.started
        hooks.set_variant(scope, context)
        requests.record(
            scope,
            context,
            method=scope["method"],
            route=hooks.route(scope),
            status=context.outcome(failure),
            seconds=seconds,
            received=_content_length(scope) if requests.sizes else None,
        )

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        requests = self._requests
        connection = _Connection(receive, send, requests.connection_opened)
        failure: BaseException | None = None
        try:
            await self._app(scope, connection.receive, connection.send)
        except BaseException as error:
            failure = error
            raise
        finally:
            requests.connection_closed(
                scope, self.hooks.route(scope), connection.outcome(failure), was_open=connection.accepted
            )


class _HttpContext(RequestContext):
    """One request and how far its response has come."""

    __slots__ = (
        *("_asked", "_body_read", "_middleware", "_receive", "_receiving", "_send", "_unread", "_withdrawn"),
        *("ended", "left", "scope", "started", "status"),
    )

    def __init__(self, middleware: ASGIMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__()
        self._middleware = middleware
        self.scope = scope
        self._receive = receive
        self._send = send
        self._receiving = 0
        self._asked: asyncio.Future[Message] | None = None
        self._body_read = False
        self._withdrawn = False
        self._unread: deque[Message] = deque()
        self.status = 0
        self.left = False
        self.ended = 0.0
        self.started = perf_counter()

    async def receive(self) -> Message:
        if self._unread:
            return self._unread.popleft()
        self._receiving += 1
        try:
            message = await self._next()
        finally:
            self._receiving -= 1
        if message["type"] == "http.disconnect":
            self._note_disconnect()
        elif not message.get("more_body", False):
            self._body_read = True
            middleware = self._middleware
            if not middleware.server_waits and middleware.trials < _TRIALS:
                # Some servers (gunicorn 25.1 to 25.3) say "disconnect" to whatever is asked for after the body. Only
                # one that was seen to wait at this point is believed after it.
                middleware.trials += 1
                await self._ask()
        return message

    async def _next(self) -> Message:
        """Return the server's next message, whatever the application withdraws.

        Servers take a cancelled `receive` for a client that left, and say so ever after. So a question is never
        withdrawn before the end, neither by this nor by an application that only looks whether the client is there; it
        gets the answer when it asks again.
        """
        asked = self._asked
        if asked is None and self._body_read:
            asked = self._begin_to_ask()
        if asked is None:
            try:
                # Nearly always there at once: a task would only cost.
                return await self._receive()
            except asyncio.CancelledError:
                self._withdrawn = True
                raise
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            if self.recorded:
                asked.cancel()
            raise
        finally:
            if asked.done() and self._asked is asked:
                self._asked = None

    def _note_disconnect(self) -> None:
        # After the end of the response every server says so, whether the client is there or not.
        if not self.ended and not self._withdrawn and (not self._body_read or self._middleware.server_waits):
            self.left = True

    def send(self, message: Message) -> Awaitable[None]:
        # Not a coroutine itself: one frame less for each part of a streamed response.
        kind = message["type"]
        if kind == "http.response.body":
            self.sent += len(message.get("body", b""))
            if not message.get("more_body", False):
                return self._send_last(message)
        elif kind == "http.response.start":
            self.status = message["status"]
            # Here and not before: OpenTelemetry's middleware may be inside of this one.
            if self._middleware.traced:
                self._middleware.hooks.set_trace(self)
            if perf_counter() - self.started > _WORTH_ASKING and not self.left and not self._receiving:
                return self._ask_and_send(message)
        elif kind == "http.response.pathsend":
            return self._send_last(message)
        return self._send(message)

    async def _send_last(self, message: Message) -> None:
        """Record as soon as the response is sent: what a background task does after it is not the client's time."""
        self._look()
        self.ended = perf_counter()
        await self._send(message)
        if not self.recorded:
            self._middleware._record(self, None)

    async def _ask_and_send(self, message: Message) -> None:
        """Look whether the client is still there before the response starts."""
        for _ in range(_PARTS):
            await self._ask(_PATIENCE * (perf_counter() - self.started))
            answer = self._answer()
            if answer is None or answer["type"] != "http.request":
                break
            # A body that the application does not want, or not yet; what comes after it tells.
            self._unread.append(answer)
            self._asked, self._body_read = None, not answer.get("more_body", False)
        self._look()
        await self._send(message)

    async def _ask(self, patience: float = 0.0) -> None:
        """Ask the server for its next message, and give it the chance to answer at once."""
        asked = self._asked or self._begin_to_ask()
        if asked is None:
            return
        await asyncio.sleep(0)
        if not asked.done():
            if self._body_read:
                self._middleware.server_waits = True
            if patience:
                await asyncio.wait((asked,), timeout=patience)

    def _begin_to_ask(self) -> asyncio.Future[Message] | None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # Not asyncio (trio): there the server cancels the handler of a client that left.
            return None
        self._asked = asyncio.ensure_future(self._receive(), loop=loop)
        self._asked.add_done_callback(_take_failure)
        return self._asked

    def _answer(self) -> Message | None:
        asked = self._asked
        if asked is None or not asked.done() or asked.cancelled() or asked.exception() is not None:
            return None
        return asked.result()

    def _look(self) -> None:
        """Note that the client left, if that is what the server has answered."""
        answer = self._answer()
        if answer is not None and answer["type"] == "http.disconnect":
            self._note_disconnect()

    def stop_asking(self) -> None:
        """Drop a question whose answer the application does not wait for."""
        if self._asked is not None and not self._receiving:
            self._asked.cancel()
            self._asked = None

    def outcome(self, failure: BaseException | None) -> int:
        """Return the status to record."""
        if self.left or type(failure).__name__ == "ClientDisconnect":
            return CLIENT_LEFT
        if self.ended:
            # What fails after the last byte (a background task) is not the response's fault.
            return self.status
        if isinstance(failure, asyncio.CancelledError):
            return CLIENT_LEFT
        # An exception, or a handler that returned without an answer; in mid-stream, 200 has been sent and is a lie.
        return 500


def _take_failure(asked: asyncio.Future[Message]) -> None:
    """Take what the server raised, which asyncio would log if nobody did."""
    if not asked.cancelled():
        asked.exception()


class _Connection:
    """One WebSocket connection and how far it has come."""

    def __init__(self, receive: Receive, send: Send, opened: Callable[[], None]) -> None:
        self._receive = receive
        self._send = send
        self._opened = opened
        self.accepted = False
        self._refused = False
        self._client_code: int | None = None
        self._own_code: int | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect" and self._own_code is None:
            self._client_code = message.get("code") or 1005
        return message

    def send(self, message: Message) -> Awaitable[None]:
        kind = message["type"]
        if kind == "websocket.accept":
            self.accepted = True
            self._opened()
        elif kind == "websocket.close":
            self._own_code = message.get("code", 1000)
        elif kind == "websocket.http.response.start":
            self._refused = True
        return self._send(message)

    def outcome(self, failure: BaseException | None) -> str:
        """Return how the connection ended."""
        if self._client_code is not None and (failure is None or type(failure).__name__ == "WebSocketDisconnect"):
            return "closed" if self.accepted and self._client_code in _NORMAL_CLOSE else "abandoned"
        if isinstance(failure, asyncio.CancelledError):
            return "abandoned"
        if failure is not None or self._own_code == _SERVER_ERROR_CLOSE:
            return "failed"
        if not self.accepted or self._refused:
            return "rejected"
        return "closed"


@explained
def make_asgi_app(recorder: Recorder) -> ASGIApp:
    """Return an application that answers scrapes; mount it where the middleware should not do so itself."""
    checked_recorder(recorder, Recorder)

    async def metrics(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # ASGI's signature
        if scope["type"] != "http":
            return
        if scope["method"] not in ("GET", "HEAD"):
            await send({"type": "http.response.start", "status": 405, "headers": [(b"allow", b"GET, HEAD")]})
            await send({"type": "http.response.body", "body": b""})
            return
        arguments = (_header(scope, b"accept"), _header(scope, b"accept-encoding"))
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # Not asyncio (trio).
            exposition = recorder.exposition(*arguments)
        else:
            # Many series, or the files of many workers, take milliseconds that requests should not wait for.
            exposition = await loop.run_in_executor(None, recorder.exposition, *arguments)
        headers = [(name.encode(), value.encode()) for name, value in exposition.headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": exposition.body if scope["method"] == "GET" else b""})

    return metrics


def _path(scope: Scope) -> str:
    root = scope.get("root_path", "")
    path = str(scope["path"])
    return path.removeprefix(root) if root else path


def _header(scope: Scope, name: bytes) -> str:
    """Return a header by its name in small letters."""
    for key, value in scope.get("headers", ()):
        if key.lower() == name:
            return str(value, "latin-1")
    return ""


def _content_length(scope: Scope) -> int:
    length = _header(scope, b"content-length")
    return int(length) if length.isdecimal() else 0
