"""Middleware for Flask and any other WSGI application: the twin of the ASGI one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ml_monitoring.instrument.labels import UNMATCHED
from ml_monitoring.instrument.recorder import CURRENT, Recorder
from ml_monitoring.instrument.routes import wsgi_route
from ml_monitoring.instrument.traffic import CLIENT_LEFT, Exchange

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class WSGIMiddleware:
    """Records HTTP requests, and answers scrapes.

    Args:
        app: The application.
        recorder: Where to record.
        metrics_path: Path of the scrape endpoint; None when it is served elsewhere.
        route_of: Tells the route template from the environment, for frameworks other than Flask and Bottle.
        variant_of: Tells the variant from the environment, for services that know it without asking the handler.
    """

    def __init__(
        self,
        app: WSGIApplication,
        recorder: Recorder,
        *,
        metrics_path: str | None = "/metrics",
        route_of: Callable[[WSGIEnvironment], str | None] = wsgi_route,
        variant_of: Callable[[WSGIEnvironment], str | None] | None = None,
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._metrics_path = metrics_path
        self._metrics = wsgi_metrics_app(recorder)
        self._route_of = route_of
        self._variant_of = variant_of

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if self._metrics_path is not None and environ.get("PATH_INFO") == self._metrics_path:
            return self._metrics(environ, start_response)
        return _Response(self, self._app, environ, start_response)

    def route(self, environ: WSGIEnvironment) -> str:
        """Return the template of the route that took the request; empty when none is known."""
        return self._hook("route_of", self._route_of, environ)

    def record(self, environ: WSGIEnvironment, exchange: Exchange, *, route: str, status: int, seconds: float) -> None:
        """Book a request that is over."""
        http = self._recorder.http
        http.ended()
        variant = exchange.variant
        if not variant and self._variant_of is not None:
            variant = self._hook("variant_of", self._variant_of, environ)
        http.answered(str(environ.get("REQUEST_METHOD", "")), route or UNMATCHED, status, seconds, variant)

    def begun(self) -> None:
        """Note that a request came in."""
        self._recorder.http.begun()

    def _hook(self, name: str, hook: Callable[[WSGIEnvironment], str | None], environ: WSGIEnvironment) -> str:
        try:
            return hook(environ) or ""
        except Exception as error:  # noqa: BLE001  # the hook is the user's; the response must not depend on it
            self._recorder.store.failed(name, error)
            return ""


class _Response:
    """The application's response; a server iterates it and calls `close`, whatever happens."""

    def __init__(
        self,
        middleware: WSGIMiddleware,
        app: WSGIApplication,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        self._middleware = middleware
        self._environ = environ
        self._start_response = start_response
        self._exchange = Exchange()
        self._route = ""
        self._status = 500
        self._complete = False
        self._failed = False
        self._recorded = False
        self._started = perf_counter()
        self._ended = 0.0
        middleware.begun()
        # Servers run the body in the same thread and context, so the variable stays set until `close`.
        self._token = CURRENT.set(self._exchange)
        try:
            self._body = app(environ, self._start)
        except BaseException:
            self._failed = True
            self._record()
            raise

    def _start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None = None,
    ) -> Callable[[bytes], object]:
        self._status = int(status.split(" ", 1)[0])
        # Now: Flask forgets the request as soon as it has given its response away.
        self._route = self._middleware.route(self._environ)
        return self._start_response(status, headers, exc_info) if exc_info else self._start_response(status, headers)

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
            self._complete = True
            self._ended = perf_counter()
        except Exception:
            self._failed = True
            raise

    def close(self) -> None:
        """Pass `close` on and book the request."""
        try:
            close: Any = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._record()

    def _record(self) -> None:
        if self._recorded:
            return
        self._recorded = True
        try:
            CURRENT.reset(self._token)
        except ValueError:
            # The server closes in another context than it started in; that context is gone with the request.
            CURRENT.set(None)
        status = self._status if self._complete else 500 if self._failed else CLIENT_LEFT
        self._middleware.record(
            self._environ,
            self._exchange,
            # An exception that went past the framework left no response to learn the route from.
            route=self._route or self._middleware.route(self._environ),
            status=status,
            seconds=(self._ended or perf_counter()) - self._started,
        )


def wsgi_metrics_app(recorder: Recorder) -> WSGIApplication:
    """Return an application that answers scrapes; mount it where the middleware shall not do so itself."""

    def metrics(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Allow", "GET, HEAD")])
            return [b""]
        accept, accept_encoding = environ.get("HTTP_ACCEPT", ""), environ.get("HTTP_ACCEPT_ENCODING", "")
        exposition = recorder.exposition(accept, accept_encoding)
        start_response("200 OK", [(name.title(), value) for name, value in exposition.headers])
        return [exposition.body if method == "GET" else b""]

    return metrics
