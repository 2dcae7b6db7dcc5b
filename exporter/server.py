"""The HTTP server: hands out bytes from memory.

A scrape never waits for a source and never renders; everything it needs was made by the runner's threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from ml_monitoring.exporter import origin
from ml_monitoring.exporter.addresses import HEALTHY
from ml_monitoring.exporter.config import WebSettings
from ml_monitoring.exporter.connection import ConnectionLimits
from ml_monitoring.exporter.landing import landing_page
from ml_monitoring.exporter.listener import WebListener
from ml_monitoring.exporter.logs import event
from ml_monitoring.exporter.negotiation import Representation
from ml_monitoring.exporter.regular_files import read_text
from ml_monitoring.exporter.runner import Runner
from ml_monitoring.exporter.sources.experiments import ExperimentsSource
from ml_monitoring.exporter.sources.experiments.gate import REQUIREMENTS, Gate, GateAnswer
from ml_monitoring.exporter.stores import STORE_LABEL, kind_of, labels_of
from ml_monitoring.exporter.web_guard import WebGuard

_log = logging.getLogger(__name__)

# Beside this package, installed and in a checkout; an import would point the wrong way.
_ALERTING = Path(__file__).parents[1] / "alerting"
_RUNBOOK = re.compile(r"[A-Za-z][A-Za-z0-9]*")
# So long may a scrape take that is under way at the end; with sources and the rest it is over within ten seconds.
_SHUTDOWN_TIMEOUT = 6.0
# Of a larger body, only a piece at a time is copied for a client that reads slowly.
_PIECE = 256 * 1024

# What controllers of rollouts take for yes, for no, and for an error that they may try again after.
_GATE_STATUS = {GateAnswer.GO_ON: 200, GateAnswer.STOP: 409, GateAnswer.UNKNOWN: 503}
# The other question, of controllers that take a rollout back at a yes.
_STOP_STATUS = {GateAnswer.GO_ON: 409, GateAnswer.STOP: 200, GateAnswer.UNKNOWN: 503}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Reload = Callable[[], Awaitable[bool]]


class Server:
    """Serves the runner's snapshots.

    Args:
        runner: Whose snapshots and source states are shown.
        settings: Addresses, TLS, runbooks, and what may be done from outside.
        reload: Reads the settings again and tells whether they could be used; without it nobody can ask for that.

    Raises:
        ConfigError: `web.config_file` cannot be used.
    """

    def __init__(self, runner: Runner, settings: WebSettings, reload: _Reload | None = None) -> None:
        self._runner = runner
        self._settings = settings
        self._reload_settings = reload
        self._web_guard = WebGuard(settings.config_file, setting="web.config_file", realm="exporter")
        limits = ConnectionLimits(connections=settings.max_connections)
        # A password of a client that is gone is not verified any more.
        self._listener = WebListener(self._application(), limits, tls=self._web_guard.tls, cancels=True)

    @property
    def urls(self) -> tuple[str, ...]:
        """Return the addresses that the server listens on."""
        return self._listener.urls

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            SettingError: The address cannot be bound.
        """
        await self._listener.start()
        for address in self._settings.addresses:
            try:
                await self._listener.listen(address.host, address.port)
            except OSError as error:
                await self._listener.stop(0)
                raise self._settings.refusal(address, error) from None
        self._web_guard.start(self._listener, lambda usable: self._runner.note_web_config(usable=usable))

    async def stop(self) -> None:
        """Stop listening and let requests that are under way end."""
        self._web_guard.stop()
        await self._listener.stop(_SHUTDOWN_TIMEOUT)

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard])
        if self._settings.telemetry_path != "/":
            application.router.add_get("/", self._landing)
        application.router.add_get(self._settings.telemetry_path, self._metrics)
        application.router.add_get("/-/healthy", self._healthy)
        application.router.add_get("/-/ready", self._ready)
        application.router.add_post("/-/reset/{source:.+}", self._reset)
        for method in ("POST", "PUT"):
            application.router.add_route(method, "/-/reload", self._reload)
        application.router.add_get("/runbooks/{name}", self._runbook)
        application.router.add_get("/experiments", self._experiments)
        application.router.add_get("/experiments/{name}", self._experiment)
        # Flagger posts, all others get.
        for method in ("GET", "POST"):
            application.router.add_route(method, "/experiments/{name}/gate", self._gate)
            application.router.add_route(method, "/experiments/{name}/stop", self._stop)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        refused = await self._web_guard.refuse(request)
        return refused or self._web_guard.complete(await handler(request))

    async def _metrics(self, request: web.Request) -> web.Response:
        if self._runner.stood_still:
            return web.Response(status=503, text="The process stood still, and its numbers are old; try again.\n")
        headers = request.headers
        representation = Representation.of(headers.getall("Accept", []), headers.getall("Accept-Encoding", []))
        bodies = self._runner.snapshots.bodies
        if request.query_string:
            names, sources = (request.query.getall(key, []) for key in ("name[]", "collect[]"))
            known = self._runner.snapshots.names | {each.name for each in self._runner.statuses}
            known |= {kind_of(name) for name in known}
            if not known.issuperset(sources):
                there_are = ", ".join(sorted(known))
                return web.Response(status=400, text=f"collect[]: there is no such source; there are: {there_are}\n")
            if names or sources:
                bodies = self._runner.snapshots.select(names, sources)
        body = representation.body(bodies)
        if len(body) <= _PIECE:
            return web.Response(body=body, headers=representation.headers)
        # The length is given, so that the answer is not sent in chunks.
        return web.Response(body=_pieces(body), headers={**representation.headers, "Content-Length": str(len(body))})

    async def _landing(self, _request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return web.Response(
            text=landing_page(self._runner.statuses, self._settings.telemetry_path),
            content_type="text/html",
            headers=headers,
        )

    async def _healthy(self, _request: web.Request) -> web.Response:
        return web.Response(text=HEALTHY)

    async def _ready(self, _request: web.Request) -> web.Response:
        if self._runner.ready:
            return web.Response(text="Ready.\n")
        return web.Response(status=503, text="Not ready: a source has not been tried yet.\n")

    async def _reset(self, request: web.Request) -> web.Response:
        self._refuse_unless_allowed(request)
        name = request.match_info["source"]
        if not self._runner.reset(name):
            raise web.HTTPNotFound(text=f"There is no source {name} that can begin again.\n")
        event(_log, logging.INFO, "source begins again", source=name)
        return web.Response(text=f"{name} begins again.\n")

    async def _reload(self, request: web.Request) -> web.Response:
        self._refuse_unless_allowed(request)
        if self._reload_settings is None:
            raise web.HTTPNotFound
        # Goes on where the client does not wait for it.
        if await asyncio.shield(self._reload_settings()):
            return web.Response(text="Settings reloaded.\n")
        # Which problem is for the log alone: who may scrape need not know.
        return web.Response(status=500, text="The settings cannot be used, the old ones stay; see the log.\n")

    def _refuse_unless_allowed(self, request: web.Request) -> None:
        if not self._settings.enable_lifecycle:
            raise web.HTTPForbidden(text="Off; web.enable_lifecycle or --web.enable-lifecycle switches it on.\n")
        if not origin.is_own(request.headers):
            raise web.HTTPForbidden(text="Not from another site.\n")

    async def _runbook(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        # The pattern keeps the path inside the folder.
        if not _RUNBOOK.fullmatch(name):
            raise web.HTTPNotFound
        text = await asyncio.to_thread(_read_runbook, self._settings.runbooks_dir, name)
        if text is None:
            raise web.HTTPNotFound(text=f"There is no runbook {name}.\n")
        return web.Response(text=text, content_type="text/plain", charset="utf-8")

    async def _experiments(self, _request: web.Request) -> web.Response:
        gates = [
            gate.document | labels_of(source)
            for source, each in self._experiments_sources().items()
            for name in each.gates
            if (gate := each.gate(name)) is not None
        ]
        return web.json_response(gates)

    async def _experiment(self, request: web.Request) -> web.Response:
        return web.json_response(self._gate_of(request).document)

    async def _gate(self, request: web.Request) -> web.Response:
        gate = self._gate_of(request)
        return web.json_response(gate.document, status=_GATE_STATUS[gate.answer])

    async def _stop(self, request: web.Request) -> web.Response:
        gate = self._gate_of(request)
        return web.json_response(gate.document, status=_STOP_STATUS[gate.answer])

    def _gate_of(self, request: web.Request) -> Gate:
        name = request.match_info["name"]
        require = request.query.get("require", "")
        if require not in REQUIREMENTS:
            raise web.HTTPBadRequest(text=f"require: is one of {', '.join(filter(None, REQUIREMENTS))}.\n")
        store = request.query.get(STORE_LABEL)
        found = {
            source: gate
            for source, each in self._experiments_sources().items()
            if store in (None, labels_of(source).get(STORE_LABEL, "")) and (gate := each.gate(name)) is not None
        }
        if not found:
            raise web.HTTPNotFound(text="There is no experiment of this name.\n")
        if len(found) > 1:
            known = ", ".join(labels_of(source).get(STORE_LABEL, "") for source in found)
            raise web.HTTPBadRequest(text=f"{STORE_LABEL}: several have an experiment of this name: {known}.\n")
        return next(iter(found.values())).requiring(require)

    def _experiments_sources(self) -> dict[str, ExperimentsSource]:
        sources = {
            name: source
            for name, source in self._runner.sources(ExperimentsSource.name).items()
            if isinstance(source, ExperimentsSource)
        }
        if not sources:
            raise web.HTTPNotFound(text="No experiments are configured: there is no section sources.experiments.\n")
        return sources


async def _pieces(body: bytes) -> AsyncIterator[memoryview]:
    """Give a body piece by piece; the framework asks for the next one when the client has taken most of the last."""
    view = memoryview(body)
    for start in range(0, len(view), _PIECE):
        yield view[start : start + _PIECE]


def _read_runbook(folder: Path | None, name: str) -> str | None:
    """Return a runbook of the user's folder, or else of those that are installed with the alerts."""
    own = [folder / f"{name}.md"] if folder else []
    for path in (*own, *_ALERTING.glob(f"*/runbooks/{name}.md")):
        with contextlib.suppress(OSError):
            return read_text(path)
    return None
