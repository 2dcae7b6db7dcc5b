"""Middleware for Flask, Django and any other WSGI application: the twin of the ASGI one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Final

from ml_monitoring.instrument.calls import explained
from ml_monitoring.instrument.labels import UNMATCHED
from ml_monitoring.instrument.options import checked_app, checked_path, checked_recorder
from ml_monitoring.instrument.recorder import Recorder
from ml_monitoring.instrument.requests import CLIENT_LEFT, COUNTED, CURRENT, Hooks, RequestContext
from ml_monitoring.instrument.routes import dispatched, wsgi_route

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_WITHOUT_BODY: Final = (204, 304)


class WSGIMiddleware:
    """Records HTTP requests, and answers scrapes.

    Args:
        app: The application.
        recorder: Where to record.
        metrics_path: Path of the scrape endpoint; None when it is served elsewhere.
        exclude: Regular expressions of paths that are not recorded; the whole path must match.
        get_route: Returns the route template for the environment, for frameworks other than Flask, Bottle and Django.
        get_variant: Returns the variant for the environment, for services that know it without asking the handler.

    Raises:
        ValueError: An option is wrong, such as a pattern of `exclude` that is no regular expression.
    """

    @explained
    def __init__(
        self,
        app: WSGIApplication,
        recorder: Recorder,
        *,
        metrics_path: str | None = "/metrics",
        exclude: Iterable[str] = (),
        get_route: Callable[[WSGIEnvironment], str | None] = wsgi_route,
        get_variant: Callable[[WSGIEnvironment], str | None] | None = None,
    ) -> None:
        checked_recorder(recorder, Recorder)
        self._app = app
        self._requests = recorder._requests
        self._metrics_path = checked_path(metrics_path)
        self._metrics = make_wsgi_app(recorder)
        self._hooks = Hooks(self._requests, exclude=exclude, get_route=get_route, get_variant=get_variant)
        checked_app(app, "WSGI")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if getattr(self._app, "wsgi_app", None) is self:
            # As Flask calls it, again and again.
            raise RuntimeError("app.wsgi_app: WSGIMiddleware(app, ...) calls itself there: wrap app.wsgi_app, not app")
        if self._requests.disabled:
            return self._app(environ, start_response)
        path = environ.get("PATH_INFO", "")
        if self._metrics_path is not None and path == self._metrics_path:
            return self._metrics(environ, start_response)
        if environ.get(COUNTED) is self._requests or self._hooks.excludes(path):
            return self._app(environ, start_response)
        environ[COUNTED] = self._requests
        return _Response(self, self._app, environ, start_response)


class _Response:
    """The application's response; a server iterates it and calls `close`, whatever happens."""

    def __init__(
        self,
        middleware: WSGIMiddleware,
        app: WSGIApplication,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        self._requests = middleware._requests
        self._hooks = middleware._hooks
        self._app = app
        self._environ = environ
        self._script = environ.get("SCRIPT_NAME", "")
        self._path = environ.get("PATH_INFO", "")
        self._start_response = start_response
        self._context = RequestContext()
        self._route = UNMATCHED
        self._status = 500
        self._close: Callable[[], object] | None = None
        # What was announced; -1 when nothing was.
        self._length = -1
        self._complete = False
        self._failed = False
        self._recorded = False
        self._started = perf_counter()
        self._ended = 0.0
        self._requests.started()
        if self._requests.exemplars is not None:
            self._hooks.set_trace(self._context, environ.get("HTTP_TRACEPARENT", ""))
        # Servers run the body in the same thread and context, so the variable stays set until `close`.
        self._token = CURRENT.set(self._context)
        try:
            self._body = app(environ, self._start)
        except BaseException:
            self._failed = True
            self._record()
            raise
        if _is_flasks_test_client(environ) and (self._length >= 0 or self._status in _WITHOUT_BODY):
            parts = list(self)
            self._close, self._body = getattr(self._body, "close", None), parts

    def _start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None = None,
    ) -> Callable[[bytes], object]:
        self._status = int(status.split(" ", 1)[0])
        for name, value in headers:
            if name.lower() == "content-length" and value.isdecimal():
                self._length = int(value)
        # Now: Flask forgets the request as soon as it has given its response away.
        self._route = self._find_route()
        # Now: OpenTelemetry's middleware may be inside of this one.
        self._hooks.set_trace(self._context)
        return self._start_response(status, headers, exc_info) if exc_info else self._start_response(status, headers)

    def _find_route(self) -> str:
        route = self._hooks.route(self._environ)
        if route == UNMATCHED or self._environ.get("SCRIPT_NAME", "") == self._script:
            return route
        # An application inside took a part of the path. A dispatcher has fixed ones; others may have anything.
        return dispatched(self._app, self._path) + route

    def __iter__(self) -> Iterator[bytes]:
        try:
            for part in self._body:
                self._context.sent += len(part)
                yield part
            self._end()
        except Exception:
            self._failed = True
            raise

    def _end(self) -> None:
        """Record a response whose last byte the server has; not all of them call `close`."""
        self._complete = True
        self._ended = perf_counter()
        self._record()

    def close(self) -> None:
        """Pass `close` on and record the request."""
        try:
            close = self._close or getattr(self._body, "close", None)
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
        environ, hooks = self._environ, self._hooks
        seconds = (self._ended or perf_counter()) - self._started
        self._requests.finished()
        hooks.set_variant(environ, self._context)
        self._requests.record(
            environ,
            self._context,
            method=str(environ.get("REQUEST_METHOD", "")),
            # An exception that went past the framework left no response to learn the route from.
            route=self._route if self._route != UNMATCHED else self._find_route(),
            status=self._status if self._complete else 500 if self._failed else CLIENT_LEFT,
            seconds=seconds,
            received=_content_length(environ) if self._requests.sizes else None,
        )


@explained
def make_wsgi_app(recorder: Recorder) -> WSGIApplication:
    """Return an application that answers scrapes; mount it where the middleware should not do so itself."""
    checked_recorder(recorder, Recorder)

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


def _is_flasks_test_client(environ: WSGIEnvironment) -> bool:
    """Tell whether a test asks: it reads responses late or never and closes none, so what is no stream is read here."""
    return "SERVER_SOFTWARE" not in environ and str(environ.get("HTTP_USER_AGENT", "")).startswith("Werkzeug/")


def _content_length(environ: WSGIEnvironment) -> int:
    length = environ.get("CONTENT_LENGTH", "")
    return int(length) if length.isdecimal() else 0
