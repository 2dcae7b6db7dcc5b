"""Attach the middleware that fits an application."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction, isroutine
from typing import Any, Final

from ml_monitoring.instrument.asgi import ASGIMiddleware
from ml_monitoring.instrument.calls import explained
from ml_monitoring.instrument.mistakes import shown
from ml_monitoring.instrument.options import (
    checked_hook,
    checked_path,
    checked_patterns,
    checked_recorder,
    disabled,
    excluded,
    kinds_of,
    takes,
)
from ml_monitoring.instrument.recorder import Recorder
from ml_monitoring.instrument.requests import CURRENT
from ml_monitoring.instrument.routes import (
    DJANGO_REQUEST,
    KnownRoute,
    asgi_routes,
    django_routes,
    flask_routes,
    mounted,
)
from ml_monitoring.instrument.workers import warn_if_alone
from ml_monitoring.instrument.wsgi import WSGIMiddleware

_log = logging.getLogger("ml_monitoring.instrument")
_INSTRUMENTED: Final = "_ml_monitoring_instrumented"


@explained
def instrument(
    app: Any,
    recorder: Recorder | None = None,
    *,
    metrics_path: str | None = "/metrics",
    exclude: Iterable[str] = (),
    get_variant: Callable[[Any], str | None] | None = None,
) -> Recorder:
    """Put the middleware on a FastAPI, Starlette, Flask or Django application and serve its metrics.

    With the environment variable `ML_MONITORING_INSTRUMENT_DISABLED=1` the application is left as it is.

    Args:
        app: The application, before it serves its first request; of Django, what `get_wsgi_application` or
            `get_asgi_application` returned.
        recorder: Where to record; a new one with its defaults unless given.
        metrics_path: Path of the scrape endpoint; None when it is served elsewhere.
        exclude: Regular expressions of paths that are not recorded, such as `HEALTH_CHECKS`; the whole path must match.
        get_variant: Returns the variant for the ASGI scope or WSGI environment, for services that know it beforehand.

    Returns:
        The recorder, for predictions, caches and model loads.

    Raises:
        TypeError: The application is of another framework, which is wrapped in `ASGIMiddleware` or `WSGIMiddleware`, or
            it or the recorder is none, or an argument is unknown.
        ValueError: The application is instrumented already, or an option is wrong.
        RuntimeError: The application has started.
    """
    if isinstance(app, Recorder):
        raise TypeError("app: this is the recorder: the application comes first, instrument(app, recorder)")
    if isinstance(app, type):
        raise TypeError(f"{app.__name__} is a class: give the application that it makes")
    if isroutine(app) and takes(app):
        raise TypeError(f"{app.__name__} is a function: call it, instrument({app.__name__}())")
    if recorder is not None:
        checked_recorder(recorder, Recorder)
    checked_path(metrics_path)
    checked_hook("get_variant", get_variant)
    used = recorder or Recorder()
    exclude = checked_patterns(exclude)
    if disabled():
        return used
    earlier: Recorder | None = getattr(app, _INSTRUMENTED, None)
    if earlier is not None:
        problem = f"this {type(app).__name__} is instrumented already: its requests would count twice"
        if CURRENT.get() is None:
            raise ValueError(problem)
        earlier._metrics.note("instrument", problem)
        return earlier
    options: dict[str, Any] = {"metrics_path": metrics_path, "exclude": exclude, "get_variant": get_variant}
    if callable(getattr(app, "add_middleware", None)):
        _refuse_started(app, getattr(app, "middleware_stack", None) is not None)
        app.add_middleware(ASGIMiddleware, recorder=used, **options)
    elif callable(getattr(app, "wsgi_app", None)):
        # Flask's own; its `wsgi_app` could be replaced, but each request would do so.
        _refuse_started(app, getattr(app, "_got_first_request", False))
        app.wsgi_app = WSGIMiddleware(app.wsgi_app, used, **options)
    elif callable(getattr(app, "load_middleware", None)) and hasattr(app, "request_class"):
        _instrument_django(app, used, options)
    else:
        raise TypeError(f"app: {shown(app)} is {_no_application(app)}")
    setattr(app, _INSTRUMENTED, used)
    warn_if_alone()
    left_out = excluded(exclude)
    covered = _Covered(app, metrics_path)

    def known() -> Iterable[KnownRoute]:
        routes = list(_routes(app))
        # Once more, as applications get routes after they are instrumented.
        covered.warn(routes)
        return (route for route in routes if left_out is None or left_out(route.template) is None)

    used._requests.known_routes.append(known)
    if hasattr(app, "add_middleware") or hasattr(app, "url_map"):
        # Not yet of Django: its routes are imported with the first request.
        covered.warn(_routes(app))
    return used


def _refuse_started(app: Any, has_started: bool) -> None:
    if has_started:
        raise RuntimeError(
            f"this {type(app).__name__} has started: call instrument right after it is made, "
            "not in its lifespan, an event or a request"
        )


def _no_application(app: Any) -> str:
    kinds = kinds_of(app)
    if not kinds or hasattr(app, "routes"):
        # A router is called as applications are, but is a part of one.
        return (
            "no application: pass the application itself, as FastAPI(), Flask(...) or get_wsgi_application() return it"
        )
    return f"of none of FastAPI, Starlette, Flask and Django: wrap it, {kinds[0]}Middleware(app, recorder)"


class _Covered:
    """Says once of a route of the application that the scrape endpoint covers it."""

    def __init__(self, app: Any, path: str | None) -> None:
        self._app = app
        self._path = path

    def warn(self, routes: Iterable[KnownRoute]) -> None:
        """Say so if it is among these."""
        path = self._path
        # What `re_path` ends with is no part of the path.
        if path is not None and path in {*(route.template.removesuffix("$") for route in routes), *mounted(self._app)}:
            self._path = None
            _log.warning(
                "%s is a route of the application too: requests of it get the metrics of the recorder; "
                "give instrument another metrics_path, or None to keep the route",
                path,
            )


def _routes(app: Any) -> Iterable[KnownRoute]:
    if hasattr(app, "add_middleware"):
        return asgi_routes(app.routes)
    return flask_routes(app) if hasattr(app, "url_map") else django_routes()


def _instrument_django(handler: Any, recorder: Recorder, options: dict[str, Any]) -> None:
    """Wrap what the server calls. It has the handler already, so the handler itself becomes one of another class."""
    plain = type(handler)
    call = plain.__call__.__get__(handler)

    class Request(handler.request_class):  # type: ignore[misc]  # Django is not imported here
        def __init__(self, environ: Any, *args: Any) -> None:
            # The only thing that knows the route once the request is answered.
            environ[DJANGO_REQUEST] = self
            super().__init__(environ, *args)

    # With parameters of their own: servers call what takes none, to see whether it makes the application.
    if iscoroutinefunction(plain.__call__):
        asgi = ASGIMiddleware(call, recorder, **options)

        async def serve_asgi(_handler: Any, scope: Any, receive: Any, send: Any) -> None:
            await asgi(scope, receive, send)

        methods: dict[str, Any] = {"__call__": serve_asgi}
    else:
        wsgi = WSGIMiddleware(call, recorder, **options)
        methods = {"__call__": lambda _handler, environ, start_response: wsgi(environ, start_response)}
    handler.request_class = Request
    handler.__class__ = type(f"Instrumented{plain.__name__}", (plain,), methods)
