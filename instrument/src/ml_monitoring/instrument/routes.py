"""Route templates: `/users/{id}`, never `/users/42`, so that a client cannot make series.

Frameworks are read from what they leave in the request's own state; none is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ml_monitoring.instrument.labels import UNMATCHED

# Where `instrument` leaves Django's request, which knows the route.
DJANGO_REQUEST: Final = "ml_monitoring.django_request"


def asgi_route(scope: Mapping[str, Any]) -> str:
    """Return the template of the route that took the request (Starlette, FastAPI, Django), or `UNMATCHED`."""
    if DJANGO_REQUEST in scope:
        return _django_route(scope[DJANGO_REQUEST])
    route = scope.get("route")
    path = _included_path(scope)
    if path is None:
        if route is None:
            path = _path_of_endpoint(scope)
            if path is None:
                return UNMATCHED
        elif getattr(route, "endpoint", None) is None:
            # A mounted application without routes of its own; its place is in the root path already.
            path = ""
        else:
            path = str(getattr(route, "path_format", None) or getattr(route, "path", ""))
    return _mount_prefix(scope) + path or "/"


def _included_path(scope: Mapping[str, Any]) -> str | None:
    """Return the path with the prefixes of `include_router`, which newer FastAPI keeps beside the route."""
    state = scope.get("fastapi")
    context = state.get("effective_route_context") if isinstance(state, dict) else None
    if context is None:
        return None
    path = getattr(getattr(context, "starlette_route", None), "path_format", None)
    return path or getattr(context, "path_format", None)


def _path_of_endpoint(scope: Mapping[str, Any]) -> str | None:
    """Find the route by its endpoint: Starlette before 1.0 tells only that."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    for route in getattr(scope.get("router"), "routes", ()):
        if getattr(route, "endpoint", None) is endpoint:
            return getattr(route, "path_format", None)
    return None


def _mount_prefix(scope: Mapping[str, Any]) -> str:
    """Return where the application is mounted inside the outer one, with parameters as templates."""
    outer = scope.get("app_root_path")
    if outer is None:
        return ""
    prefix = str(scope.get("root_path", "")).removeprefix(str(outer))
    parameters = {str(value): name for name, value in scope.get("path_params", {}).items()}
    if not parameters:
        return prefix
    return "/".join(f"{{{parameters[part]}}}" if part in parameters else part for part in prefix.split("/"))


def wsgi_route(environ: Mapping[str, Any]) -> str:
    """Return the template of the route that took the request (Flask, Bottle, Django); empty when none did."""
    if DJANGO_REQUEST in environ:
        return _django_route(environ[DJANGO_REQUEST])
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    if rule is None:
        rule = environ.get("bottle.route")
    path = getattr(rule, "rule", None)
    return path if isinstance(path, str) else ""


def _django_route(request: Any) -> str:
    match = getattr(request, "resolver_match", None)
    # Django leaves out the slash that every path begins with, and `re_path` has a mark of the beginning instead.
    return f"/{match.route.removeprefix('^')}" if match is not None else ""
