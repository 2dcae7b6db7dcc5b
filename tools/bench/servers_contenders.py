"""HTTP servers that answer `/metrics` with the same body: `python -m tools.bench.servers_contenders NAME PORT FILE`.

Each contender does what a scrape of the exporter takes, whichever server speaks HTTP: credentials, content
negotiation, the headers of `web.config_file` and a body that is ready, from a `SnapshotStore`. `exporter` is the
exporter's own server; the others are a well-kept server with as little as possible on top.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from aiohttp import web
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.embed import Server as Granian

from ml_monitoring.exporter.app import SWITCH_INTERVAL
from ml_monitoring.exporter.config import WebSettings
from ml_monitoring.exporter.negotiation import Representation
from ml_monitoring.exporter.runner import Runner
from ml_monitoring.exporter.server import Server
from ml_monitoring.exporter.snapshot import Snapshot, SnapshotStore
from ml_monitoring.exporter.web_config import WebConfig

_HOST = "127.0.0.1"
_BACKLOG = 1024
# As long as the exporter keeps a connection.
_KEEP_ALIVE = 3630


@lru_cache(maxsize=64)
def _negotiate(accept: str, accept_encoding: str) -> tuple[Representation, dict[str, str]]:
    """Remember what a client wants: scrapers send the same headers each time."""
    representation = Representation.of([accept], [accept_encoding])
    return representation, representation.headers


class Scrape:
    """What all servers but the exporter's own hand out.

    Args:
        snapshots: Has the bodies.
    """

    def __init__(self, snapshots: SnapshotStore) -> None:
        self._snapshots = snapshots
        self._web_config = WebConfig(None)

    async def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a GET."""
        if not await self._web_config.allows(headers.get("authorization"), ""):
            return 401, {}, b"Unauthorized\n"
        if path != "/metrics":
            return 404, {}, b"Not Found\n"
        representation, fields = _negotiate(headers.get("accept", ""), headers.get("accept-encoding", ""))
        return 200, {**fields, **self._web_config.headers}, representation.body(self._snapshots.bodies)

    async def aiohttp(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer as a handler of aiohttp's low-level server: no routes, no middleware."""
        status, headers, body = await self.answer(request.path, request.headers)
        return web.Response(status=status, headers=headers, body=body)

    async def asgi(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],  # noqa: ARG002  # ASGI's order of arguments
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer as an ASGI application."""
        status, headers, body = await self.answer(scope["path"], _decoded(scope["headers"]))
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        fields.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    async def rsgi(self, scope: Any, protocol: Any) -> None:
        """Answer as an application of Granian's own interface."""
        status, headers, body = await self.answer(scope.path, scope.headers)
        protocol.response_bytes(status, list(headers.items()), body)


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


async def _exporter(runner: Runner, port: int) -> None:
    await Server(runner, WebSettings(host=_HOST, port=port)).start()
    await asyncio.Event().wait()


async def _aiohttp_alone(runner: Runner, port: int) -> None:
    server = web.ServerRunner(web.Server(Scrape(runner.snapshots).aiohttp, access_log=None))
    await server.setup()
    await web.TCPSite(server, _HOST, port, backlog=_BACKLOG).start()
    await asyncio.Event().wait()


async def _uvicorn(runner: Runner, port: int) -> None:
    config = uvicorn.Config(
        Scrape(runner.snapshots).asgi,
        host=_HOST,
        port=port,
        http="httptools",
        interface="asgi3",
        proxy_headers=False,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
    )
    await uvicorn.Server(config).serve()


async def _granian(runner: Runner, port: int) -> None:
    server = Granian(
        Scrape(runner.snapshots).rsgi,
        address=_HOST,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        log_level=LogLevels.warning,
    )
    await server.serve()


# How each serves, and whether on uvloop.
CONTENDERS: Mapping[str, tuple[Callable[[Runner, int], Awaitable[None]], bool]] = {
    "exporter": (_exporter, False),
    "aiohttp alone": (_aiohttp_alone, False),
    "uvicorn": (_uvicorn, False),
    "uvicorn, uvloop": (_uvicorn, True),
    "granian": (_granian, False),
}


async def _serve(name: str, port: int, body: bytes) -> None:
    # Sources change nothing while servers are compared.
    runner = Runner({})
    runner.snapshots.publish(bench=Snapshot.of(body, body, body.count(b"\n")))
    await CONTENDERS[name][0](runner, port)


def main(arguments: list[str]) -> int:
    """Serve: `NAME PORT FILE`."""
    name, port, path = arguments
    sys.setswitchinterval(SWITCH_INTERVAL)
    factory = uvloop.new_event_loop if CONTENDERS[name][1] else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(name, int(port), Path(path).read_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
