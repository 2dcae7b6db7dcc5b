"""Route templates come from routers: whatever is mounted in what, and whatever values a client sends."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from flask import Blueprint, Flask
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from ml_monitoring.instrument import Recorder, WSGIMiddleware, instrument
from tests.support.wsgi_servers import ask_asgi, parse


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def routes(recorder: Recorder) -> set[str]:
    """Return the routes that were asked for."""
    samples = parse(recorder.exposition().body.decode())
    return {dict(labels)["route"] for (name, labels), v in samples.items() if name == "ml_http_requests_total" and v}


def fastapi_app() -> FastAPI:
    inner = FastAPI()
    inner.get("/items/{name}")(lambda name: name)
    inner.get("/files/{path:path}")(lambda path: path)
    router = APIRouter(prefix="/r/{a}")
    router.get("/x/{b}")(lambda a, b: [a, b])
    app = FastAPI()
    app.mount("/api", inner)
    app.include_router(router, prefix="/pre")
    app.add_route("/plain/{q}", page)
    app.mount("/tenants/{tenant}", Starlette(routes=starlette_routes()))
    app.host(
        "{sub}.example.org", Starlette(routes=[Route("/h/{sub}", page), Mount("/m/{k}", routes=[Route("/l", page)])])
    )
    app.mount("", Starlette(routes=[Route("/last/{one}", page)]))
    return app


def starlette_routes() -> list[Any]:
    return [
        Mount("/v/{version:int}", routes=[Mount("/{deep}", routes=[Route("/{tail:path}", page)]), Route("/{d}", page)]),
        Host("never.example.com", Starlette(routes=[Route("/{whatever:path}", page)])),
        Route("/{one}/{two}", page),
    ]


@pytest.mark.parametrize(
    ("path", "host", "template"),
    [
        ("/api/items/api", "x", "/api/items/{name}"),
        ("/api/items/items", "x", "/api/items/{name}"),
        ("/api/files/api/files", "x", "/api/files/{path}"),
        ("/pre/r/pre/x/r", "x", "/pre/r/{a}/x/{b}"),
        ("/plain/plain", "x", "/plain/{q}"),
        ("/tenants/v/v/1/tenants/v/1", "x", "/tenants/{tenant}/v/{version}/{deep}/{tail}"),
        ("/tenants/1/v/1/1", "x", "/tenants/{tenant}/v/{version}/{d}"),
        ("/tenants/tenants/a/tenants", "x", "/tenants/{tenant}/{one}/{two}"),
        ("/h/h", "h.example.org", "/h/{sub}"),
        ("/m/m/l", "m.example.org", "/m/{k}/l"),
        ("/last/last", "x", "/last/{one}"),
    ],
)
def test_asgi_templates_whatever_the_values(path: str, host: str, template: str) -> None:
    app = fastapi_app()
    recorder = instrument(app, Recorder(registry=CollectorRegistry()))
    assert ask_asgi(app, path, host=host) == 200
    assert routes(recorder) == {template}


def test_flask_templates_within_blueprints_and_dispatchers() -> None:
    def flask(*rules: str) -> Flask:
        app = Flask(__name__)
        blueprint = Blueprint("blueprint", __name__, url_prefix="/b/<where>")
        for rule in rules:
            blueprint.add_url_rule(rule, rule.replace(".", "_"), lambda **_values: "ok")
        app.register_blueprint(blueprint)
        return app

    nested = DispatcherMiddleware(flask("/inner/<x>"), {"/deep": flask("/deepest/<x>")})
    recorder = Recorder(registry=CollectorRegistry())
    client = Client(WSGIMiddleware(DispatcherMiddleware(flask("/outer/<x>"), {"/api": nested}), recorder))
    for path in ("/b/b/outer/outer", "/api/b/api/inner/api", "/api/deep/b/deep/deepest/api"):
        response = client.get(path)
        assert response.status_code == 200
        response.close()
    assert routes(recorder) == {"/b/<where>/outer/<x>", "/api/b/<where>/inner/<x>", "/api/deep/b/<where>/deepest/<x>"}


def test_what_an_application_of_its_own_takes_of_the_path_makes_no_series() -> None:
    app = Flask(__name__)
    app.add_url_rule("/items/<x>", "items", lambda x: x)

    def tenants(environ: Any, start_response: Any) -> Any:
        _, tenant, rest = environ["PATH_INFO"].split("/", 2)
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = f"/{tenant}", f"/{rest}"
        return app.wsgi_app(environ, start_response)

    recorder = Recorder(registry=CollectorRegistry())
    client = Client(WSGIMiddleware(tenants, recorder))
    for tenant in ("a", "b"):
        client.get(f"/{tenant}/items/1").close()
    assert routes(recorder) == {"/items/<x>"}
