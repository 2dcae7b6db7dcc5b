"""Listening sockets and their connections: how many there may be, how long each may take, and what they may cost.

The exporter and the alert log serve through this. Whatever clients do (open a thousand connections and say nothing,
send half a request, read no answer, send what is no HTTP), others are answered: the connection that has waited longest
for its client gives way to a new one, and a fault of a client is a line in the log a minute, without what it sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import heapq
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from ml_monitoring.exporter.addresses import ListenAddress, listening_socket
from ml_monitoring.exporter.connection import Connection, ConnectionLimits, Phase, place_of
from ml_monitoring.exporter.logs import Seldom

_log = logging.getLogger(__name__)

# Hundreds of scrapers may connect in the same moment.
_BACKLOG: Final = 1024
# Of those, so many at a time: what came before has its turn in between.
_ACCEPTS: Final = 16
_ACCEPT_PAUSE: Final = 0.25
_SWEEP_INTERVAL: Final = 1.0
_TLS_SHUTDOWN: Final = 1.0
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# A client may have gone before its connection was taken; Linux hands its network errors on, too.
_GONE: Final = frozenset(
    {errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH}
)
# To look for the one that waits longest costs a millisecond; of those that never asked, such a part goes each time.
_EVICTED_SHARE: Final = 20


class WebListener:
    """Serves an application on addresses.

    Args:
        application: What answers.
        limits: What clients may cost.
        tls: Gives the context for a new connection; None where it is plain HTTP.
        cancels: Whether a handler ends when its client is gone.
    """

    def __init__(
        self,
        application: web.Application,
        limits: ConnectionLimits | None = None,
        *,
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
        cancels: bool = False,
    ) -> None:
        self.limits = limits or ConnectionLimits()
        self.generation = 0
        self.seldom = Seldom()
        self._tls = tls
        self._runner = web.AppRunner(application, handler_cancellation=cancels, shutdown_timeout=1.0)
        self._sockets: list[socket.socket] = []
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._allowed = self.limits.allowed

    @property
    def http(self) -> web.Server:
        """Return the framework's part."""
        server = self._runner.server
        if server is None:
            raise RuntimeError("the listener was not started")
        return server

    @property
    def urls(self) -> tuple[str, ...]:
        """Return the addresses that are listened on."""
        scheme = "https" if self._tls() else "http"
        return tuple(f"{scheme}://{ListenAddress(*taken.getsockname()[:2])}" for taken in self._sockets)

    @staticmethod
    def now() -> float:
        """Return the event loop's time."""
        return asyncio.get_running_loop().time()

    async def start(self) -> None:
        """Take up work; `listen` opens the addresses."""
        await self._runner.setup()
        answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] = self.http.request_handler

        async def begin(request: web.BaseRequest) -> web.StreamResponse:
            connection = request.protocol
            if isinstance(connection, Connection):
                if connection.generation != self.generation:
                    raise ConnectionResetError("trusted by settings that are not in force any more")
                connection.begin()
            return await answer(request)

        self.http.request_handler = begin
        asyncio.get_running_loop().set_exception_handler(self._note_error)
        self._sweeper = asyncio.create_task(self._sweep())

    async def listen(self, host: str, port: int) -> None:
        """Listen on an address; an empty host is all addresses of the machine.

        Raises:
            OSError: The address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            taken = listening_socket(family, kind, protocol, address, backlog=_BACKLOG)
            if taken is None:
                continue
            self._sockets.append(taken)
            loop.add_reader(taken, self._accept, taken)

    async def stop(self, timeout: float) -> None:
        """Stop listening, and let requests that are under way end for so many seconds."""
        deadline = self.now() + timeout
        while self._sockets:
            taken = self._sockets.pop()
            asyncio.get_running_loop().remove_reader(taken)
            taken.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                for connection in tuple(self._connections):
                    connection.retire()
                # An answer is ended when its client has taken all of it.
                while any(connection.phase is Phase.REQUEST for connection in self._connections):
                    await asyncio.sleep(0.01)
        for connection in tuple(self._connections):
            connection.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._runner.cleanup()
        for task in tuple(self._tasks):
            task.cancel()

    def forget(self, connection: Connection) -> None:
        """Count a connection no more."""
        self._connections.discard(connection)

    def renew(self) -> None:
        """End connections that were accepted by what is trusted no more, as soon as nothing is under way on them."""
        self.generation += 1
        for connection in tuple(self._connections):
            connection.retire()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS):
            try:
                taken, _address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _GONE:
                    continue
                self._pause(listening, error)
                return
            if len(self._connections) >= self._allowed and not self._make_room():
                taken.close()
                continue
            taken.setblocking(False)
            connection = Connection(self, taken)
            self._connections.add(connection)
            task = asyncio.create_task(self._hand_over(connection, taken))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _hand_over(self, connection: Connection, taken: socket.socket) -> None:
        """Bring a connection to the framework, its TLS handshake behind it."""
        tls = self._tls()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                taken,
                ssl=tls,
                ssl_handshake_timeout=self.limits.head_timeout if tls else None,
                ssl_shutdown_timeout=_TLS_SHUTDOWN if tls else None,
            )
        except BaseException as error:
            self.forget(connection)
            taken.close()
            # The client's doing: it left, or shook hands in a way that is refused.
            if not isinstance(error, OSError):
                raise
        # What is trusted may have changed during the handshake.
        if connection.generation != self.generation:
            connection.end()

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        """Accept nothing for a moment: the reason would be the same, and asking again costs a processor."""
        self.seldom.event(_log, logging.ERROR, "connections cannot be accepted", reason=os.strerror(error.errno or 0))
        loop = asyncio.get_running_loop()
        if error.errno in _OUT_OF_RESOURCES:
            self._make_room()
        loop.remove_reader(listening)
        loop.call_later(_ACCEPT_PAUSE, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _make_room(self) -> bool:
        """End connections that have waited longest for their clients; False where none waits."""
        self.seldom.event(_log, logging.WARNING, "connections at their limit, idle ones end", limit=self._allowed)
        waiting: dict[Phase, list[Connection]] = {phase: [] for phase in Phase}
        for connection in self._connections:
            waiting[connection.phase].append(connection)
        settled = self.now() - self.limits.busy_grace
        waiting[Phase.REQUEST] = [one for one in waiting[Phase.REQUEST] if one.since < settled]
        # Those that never asked go first, and several at once: a scraper's kept connection is worth more.
        for phase in (Phase.HEAD, Phase.IDLE, Phase.REQUEST):
            count = 1 + len(waiting[phase]) // _EVICTED_SHARE if phase is Phase.HEAD else 1
            if chosen := heapq.nsmallest(count, waiting[phase], key=lambda one: one.since):
                for connection in chosen:
                    connection.end()
                    self.forget(connection)
                return True
        return False

    async def _sweep(self) -> None:
        """End what takes too long."""
        limits = {
            Phase.HEAD: self.limits.head_timeout,
            Phase.REQUEST: self.limits.request_timeout,
            Phase.IDLE: self.limits.idle_timeout,
        }
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL)
            now = self.now()
            for connection in tuple(self._connections):
                # The phase first: where it has just changed, its time begins.
                limit = limits[connection.phase]
                if now - connection.since > limit:
                    connection.end()

    def _note_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what asyncio would log with a traceback for each connection."""
        error = context.get("exception")
        kind = type(error).__name__ if error is not None else "unknown"
        message = str(context.get("message", ""))
        self.seldom.event(
            _log, logging.ERROR, "defect in a connection", kind, error=kind, where=message, place=place_of(error)
        )
