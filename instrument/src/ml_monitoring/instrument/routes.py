"""Route templates: `/users/{id}`, never `/users/42`, so that a client cannot make series.

Frameworks are read from what they leave in the request's own state, and from their routers; none is imported. No
template is made of a path by replacing values in it: a value may be equal to a fixed part of the path.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml_monitoring.instrument.labels import UNMATCHED

# Where `instrument` leaves Django's request, which knows the route.
DJANGO_REQUEST: Final = "ml_monitoring.django_request"

# Starlette's name for what a mount leaves to the application inside.
_REST: Final = "/{path}"
_FULL_MATCH: Final = 2
# Asked by browsers and by tools; a failure of theirs alone is nobody's first failure.
_SIDE_METHODS: Final = frozenset({"HEAD", "OPTIONS"})
# Of a view that does not say what it takes.
_USUAL_METHODS: Final = ("GET", "POST")
_OK: Final = "200"


@dataclass(frozen=True, slots=True)
class KnownRoute:
    """A route that an application has, whether anybody has asked for it yet or not.

    Attributes:
        template: As it is recorded.
        methods: HTTP methods worth a series; none for a WebSocket.
        statuses: What it is declared to answer.
    """

    template: str
    methods: tuple[str, ...]
    statuses: tuple[str, ...] = (_OK,)


def asgi_route(scope: Mapping[str, Any]) -> str:
    """Return the template of the route that took the request (Starlette, FastAPI, Django), or `UNMATCHED`."""
    if DJANGO_REQUEST in scope:
        return _django_route(scope[DJANGO_REQUEST])
    routes = getattr(scope.get("router"), "routes", ())
    prefix: str | None = None
    if "app_root_path" in scope:
        # Only a mount sets it, so that requests of applications without one cost nothing.
        prefix, routes = _mounts(scope, routes)
    route = scope.get("route")
    path: str | None
    if route is None or getattr(route, "endpoint", None) is None:
        # FastAPI says nothing of Starlette's own routes, Starlette before 1.0 nothing of any.
        path = _path_of_endpoint(scope, routes)
    else:
        path = _included_path(scope, route) or getattr(route, "path_format", None) or getattr(route, "path", "")
    if path is None and prefix is None:
        return UNMATCHED
    return (prefix or "") + (path or "") or "/"


def _included_path(scope: Mapping[str, Any], route: Any) -> str | None:
    """Return the path with the prefixes of `include_router`, which newer FastAPI keeps beside the route."""
    state = scope.get("fastapi")
    context = state.get("effective_route_context") if isinstance(state, dict) else None
    # It may be left over from an outer application's router.
    if context is None or getattr(context, "original_route", None) is not route:
        return None
    path = getattr(getattr(context, "starlette_route", None), "path_format", None)
    return path or getattr(context, "path_format", None)


def _path_of_endpoint(scope: Mapping[str, Any], routes: Iterable[Any]) -> str | None:
    """Find the route by its endpoint."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    for route in _flat(routes):
        if getattr(route, "endpoint", None) is endpoint:
            return getattr(route, "path_format", None)
    return None


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    """Yield routes, with those of an included router (newer FastAPI keeps it as one) in its place."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
        else:
            for context in contexts():
                yield getattr(context, "starlette_route", None) or context


def _inner_routes(route: Any) -> Iterable[Any] | None:
    """Return the routes of a mount or host; None of an ordinary route."""
    return None if getattr(route, "endpoint", None) is not None else getattr(route, "routes", None)


def _template_of_mount(route: Any) -> str:
    """Return the path of a mount with its parameters; empty for a host, which takes nothing of the path."""
    return str(getattr(route, "path_format", "")).removesuffix(_REST)


def _mounts(scope: Mapping[str, Any], routes: Iterable[Any]) -> tuple[str, Iterable[Any]]:
    """Follow the request through mounts and hosts; return the path of where it arrived, and the routes there."""
    wanted = str(scope.get("root_path", ""))
    outer = str(scope["app_root_path"])
    # An inner application that was given a root path of its own has replaced the one that mounts add to.
    replaced = not wanted.startswith(outer)
    probe: dict[str, Any] = {**scope, "root_path": outer, "path_params": {}}
    del probe["app_root_path"]
    prefix = ""
    arrived = False
    while not arrived:
        arrived = True
        for route in _flat(routes):
            inner = _inner_routes(route)
            if inner is None:
                continue
            match, found = route.matches(probe)
            root = str(found.get("root_path", probe["root_path"]))
            if match.value != _FULL_MATCH or not (replaced or f"{wanted}/".startswith(f"{root}/")):
                continue
            if root == probe["root_path"] == wanted and not _leads_on(inner, scope):
                # Takes nothing of the path, and the request was not for it.
                continue
            probe.update(found)
            prefix += _template_of_mount(route)
            routes, arrived = inner, False
            break
    return prefix, routes


def _leads_on(routes: Iterable[Any], scope: Mapping[str, Any]) -> bool:
    """Return whether the endpoint that was called is somewhere below."""
    endpoint = scope.get("endpoint")
    for route in _flat(routes):
        inner = _inner_routes(route)
        if getattr(route, "endpoint", None) is endpoint or (inner is not None and _leads_on(inner, scope)):
            return True
    return False


def asgi_routes(routes: Iterable[Any], prefix: str = "") -> Iterator[KnownRoute]:
    """Yield the routes of a Starlette or FastAPI application, with those of what is mounted in it."""
    for route in _flat(routes):
        inner = _inner_routes(route)
        if inner is not None:
            yield from asgi_routes(inner, prefix + _template_of_mount(route))
        elif (path := getattr(route, "path_format", None)) is not None and not _is_documentation(route):
            declared = getattr(route, "status_code", None)
            answers = (str(status) for status in getattr(route, "responses", None) or () if str(status).isdecimal())
            yield KnownRoute(
                prefix + path,
                _asgi_methods(route),
                (str(declared or _OK), *(status for status in answers if status >= "500")),
            )


def mounted(app: Any) -> Iterator[str]:
    """Yield where other applications are mounted in one, in its routes or by Werkzeug's `DispatcherMiddleware`."""
    for route in getattr(app, "routes", ()):
        if _inner_routes(route) is not None:
            yield _template_of_mount(route)
    dispatcher = getattr(app, "wsgi_app", None)
    yield from getattr(getattr(dispatcher, "_app", dispatcher), "mounts", ())


def _is_documentation(route: Any) -> bool:
    return str(getattr(getattr(route, "endpoint", None), "__module__", "")).startswith("fastapi.")


def _asgi_methods(route: Any) -> tuple[str, ...]:
    if not hasattr(getattr(route, "original_route", route), "methods"):
        return ()
    methods = route.methods
    if methods is None:
        # A class with a method for each, or an application.
        methods = [name.upper() for name in ("get", "post", "put", "patch", "delete") if hasattr(route.endpoint, name)]
    return _worth_a_series(methods)


def _worth_a_series(methods: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(methods) - _SIDE_METHODS))


def wsgi_route(environ: Mapping[str, Any]) -> str:
    """Return the template of the route that took the request (Flask, Bottle, Django); empty when none did."""
    if DJANGO_REQUEST in environ:
        return _django_route(environ[DJANGO_REQUEST])
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    if rule is None:
        rule = environ.get("bottle.route")
    path = getattr(rule, "rule", None)
    return path if isinstance(path, str) else ""


def dispatched(app: Any, path: str) -> str:
    """Return where Werkzeug's `DispatcherMiddleware` sends a path, and one inside of it; empty for its own application.

    Args:
        app: The outer application.
        path: The whole path, as the outer application gets it.
    """
    prefix = ""
    while isinstance(mounts := getattr(app, "mounts", None), dict):
        script = path.removeprefix(prefix)
        # The longest that matches, as the dispatcher itself does.
        while "/" in script and script not in mounts:
            script = script.rpartition("/")[0]
        if script in mounts:
            prefix += script
            app = mounts[script]
        else:
            app = getattr(app, "app", None)
    return prefix


def flask_routes(app: Any) -> Iterator[KnownRoute]:
    """Yield the routes of a Flask application, with those of its blueprints."""
    for rule in app.url_map.iter_rules():
        yield KnownRoute(rule.rule, _worth_a_series(rule.methods or _USUAL_METHODS))


def django_routes() -> Iterator[KnownRoute]:
    """Yield the routes of the Django project of this process."""
    resolver: Callable[[], Any] = sys.modules["django.urls"].get_resolver
    for template, view in _django_patterns(resolver().url_patterns, ""):
        methods = [name.upper() for name in getattr(view, "http_method_names", ()) if hasattr(view, name)]
        yield KnownRoute(_django_template(template), _worth_a_series(methods or _USUAL_METHODS))


def _django_patterns(patterns: Iterable[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        template = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _django_patterns(pattern.url_patterns, template)
        else:
            yield template, getattr(pattern.callback, "view_class", None)


def _django_route(request: Any) -> str:
    match = getattr(request, "resolver_match", None)
    return _django_template(match.route) if match is not None else ""


def _django_template(route: str) -> str:
    # Django leaves out the slash that every path begins with, and `re_path` has a mark of the beginning instead.
    return f"/{route.removeprefix('^')}"
