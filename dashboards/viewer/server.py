"""The viewer's server: reads only, answers only under names of its own, and lets pages load nothing from elsewhere."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, NoReturn, TypeVar
from urllib.parse import urlsplit

from aiohttp import web

from ml_monitoring.dashboards.render.errors import QueryError, RenderError
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.viewer import pages, panels
from ml_monitoring.dashboards.viewer.library import Library
from ml_monitoring.exporter import origin

# Plotly adds its rules to an empty style element: the hash is that of nothing.
_NOTHING = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self'; style-src 'self' {_NOTHING}; font-src 'self'; connect-src 'self'; "
        # Plotly draws heatmaps as pictures in the address.
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
# Pages that are made at a time; others wait.
_WORKERS: Final = 4
# Hashes of the pieces of a page that the browser has.
_KNOWN: Final = "X-Known"

_T = TypeVar("_T")


class Viewer:
    """Pages of dashboards, and what they show now.

    Attributes:
        library: The dashboards.
        queries: How they are queried.
        shared: For so many seconds, those who ask for the same share one answer of Prometheus.
    """

    def __init__(self, library: Library, queries: QueryOptions, hosts: frozenset[str] = frozenset()) -> None:
        """Describe it; nothing is asked yet.

        Args:
            library: The dashboards.
            queries: How they are queried; the time range, the variables and the present are the browser's.
            hosts: Names that it is reached under, besides `localhost` and addresses.
        """
        self.library = library
        self.queries = queries
        self._hosts = hosts | {"localhost"}
        self._files = pages.assets()
        self._bodies = {asset.address: asset for asset in self._files.values()}
        self._lock = threading.Lock()
        self._now = 0.0
        self.shared = 2.0

    def application(self) -> web.Application:
        """Return an application that serves it."""
        app = web.Application(middlewares=[self._guard])
        app.cleanup_ctx.append(self._running)
        app.add_routes(
            [
                web.get("/", self._contents),
                web.get("/d/{uid}", self._page),
                web.get("/d/{uid}/panels.json", self._panels),
                # As Grafana's addresses end, with the title for people; its alerts link to them.
                web.get("/d/{uid}/{title}", self._page),
                web.get("/assets/{hash}/{name}", self._asset),
                web.get("/-/healthy", self._healthy),
            ]
        )
        return app

    async def _running(self, _: web.Application) -> AsyncIterator[None]:
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="viewer")
        yield
        self._pool.shutdown(wait=False, cancel_futures=True)

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        refused = self._refusal(request)
        if refused:
            answer: web.StreamResponse = web.Response(status=403, text=refused + "\n")
        else:
            try:
                answer = await handler(request)
            except web.HTTPException as error:
                answer = self._refused(request, error.status, error.reason)
            except RenderError as error:
                answer = self._refused(request, 500, str(error))
        answer.headers.update(HEADERS)
        if "Cache-Control" not in answer.headers:
            answer.headers["Cache-Control"] = "no-cache"
        return answer

    def _refusal(self, request: web.Request) -> str:
        """Return why a request is not answered: another site may have led the browser here."""
        given = request.headers.get("Host", "")
        if not self._is_own(given):
            return f"Host {given!r}: not a name of this server; start it with --allow-host to answer under it"
        # A link may lead here from anywhere, but only own pages may make Prometheus work.
        if request.path.endswith("/panels.json") and not origin.is_own(request.headers):
            return "panels are for pages of this server only"
        return ""

    def _is_own(self, host: str) -> bool:
        """Tell whether it is an address, which no name server can change, or one of the names."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.removesuffix(".") in self._hosts
        return True

    def _refused(self, request: web.Request, status: int, why: str) -> web.Response:
        if request.path.endswith(".json"):
            return web.json_response({"error": why}, status=status)
        text = pages.refusal("No such page" if status == 404 else "Not shown", why, self._files, _theme(request))
        return web.Response(status=status, text=text, content_type="text/html")

    async def _apart(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _contents(self, request: web.Request) -> web.Response:
        prometheus = self.queries.prometheus

        def work() -> str:
            problem = ""
            try:
                prometheus.version()
            except QueryError as error:
                problem = str(error)
            return pages.contents(self.library.shelf(), prometheus.address, problem, self._files, _theme(request))

        return web.Response(text=await self._apart(work), content_type="text/html")

    async def _page(self, request: web.Request) -> web.Response:
        shelf = await self._apart(self.library.shelf)
        folder, dashboard = shelf.find(request.match_info["uid"]) or _missing(request)
        text = pages.page(folder, dashboard, shelf, self._files, _theme(request))
        return web.Response(text=text, content_type="text/html")

    async def _panels(self, request: web.Request) -> web.Response:
        known = frozenset(request.headers.get(_KNOWN, "").split())
        wish = panels.Wish.of(list(request.query.items()), known)

        def work() -> bytes:
            shelf = self.library.shelf()
            _, dashboard = shelf.find(request.match_info["uid"]) or _missing(request)
            found = panels.answer(dashboard, shelf, self._fresh(), wish)
            return json.dumps(found, ensure_ascii=False, allow_nan=False, default=str).encode()

        try:
            body = await self._apart(work)
        except RenderError as error:
            return web.json_response({"error": str(error)}, status=502 if isinstance(error, QueryError) else 400)
        return web.Response(body=body, content_type="application/json")

    def _fresh(self) -> QueryOptions:
        """Return how to query now. Who asks for the same in the same seconds shares the answers."""
        now = time.time() // self.shared * self.shared
        with self._lock:
            if now != self._now:
                self._now = now
                self.queries.prometheus.forget()
        return replace(self.queries, now=now)

    async def _asset(self, request: web.Request) -> web.Response:
        asset = self._bodies.get(request.path) or _missing(request)
        return web.Response(
            body=asset.body,
            content_type=asset.kind,
            charset=None if asset.kind.startswith(("font", "image")) else "utf-8",
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="OK\n")


def _theme(request: web.Request) -> str:
    return request.cookies.get("theme", "")


def _missing(request: web.Request) -> NoReturn:
    raise web.HTTPNotFound(reason=f"there is no {request.path}")
