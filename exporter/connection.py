"""One connection of a listener: what it waits for, since when, and what becomes of what is no request."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import resource
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

from ml_monitoring.exporter.logs import Seldom

_log = logging.getLogger(__name__)

# Sources, files and threads need descriptors too: at least so many, and a share of what the process may open.
_RESERVE: Final = 100
_RESERVED_SHARE: Final = 4
_FEWEST: Final = 16


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What clients may cost.

    Attributes:
        connections: How many may be open; fewer where the process may open few files.
        head_timeout: Seconds from a connection's beginning, or a request's first byte, to the end of the head.
        idle_timeout: Seconds between a request and the next one.
        request_timeout: Seconds that a request may take, its body and the reading of its answer included.
        busy_grace: Seconds after which a request gives way to a new connection, where all have one under way.
        head_size: Bytes of a request's head.
    """

    connections: int = 1000
    head_timeout: float = 10.0
    idle_timeout: float = 75.0
    request_timeout: float = 60.0
    busy_grace: float = 10.0
    head_size: int = 32 * 1024

    @property
    def allowed(self) -> int:
        """Return how many connections there may be in this process."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files == resource.RLIM_INFINITY:
            return self.connections
        return min(self.connections, max(_FEWEST, files - max(_RESERVE, files // _RESERVED_SHARE)))


class Phase(enum.Enum):
    """What a connection waits for."""

    HEAD = enum.auto()
    REQUEST = enum.auto()
    IDLE = enum.auto()


class Owner(Protocol):
    """What a connection needs of its listener."""

    limits: ConnectionLimits
    generation: int
    seldom: Seldom

    @property
    def http(self) -> web.Server:
        """Return the framework's part."""

    def forget(self, connection: Connection) -> None:
        """Count a connection no more."""


class Connection(RequestHandler):
    """A connection that knows what it waits for, and since when."""

    __slots__ = ("_body", "_owner", "_phase", "_received", "_socket", "generation", "since")

    def __init__(self, owner: Owner, taken: socket.socket) -> None:
        super().__init__(
            owner.http,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as the framework's own runner is called
            lingering_time=1.0,
            max_headers=64,
        )
        self.generation = owner.generation
        self.since = self._loop.time()
        self._owner = owner
        self._socket = taken
        self._phase = Phase.HEAD
        self._received = 0
        self._body: StreamReader | None = None

    @property
    def phase(self) -> Phase:
        """Return what the connection waits for."""
        if self._phase is Phase.REQUEST and not self._under_way():
            self._phase = Phase.IDLE
            self.since = self._loop.time()
        return self._phase

    def begin(self) -> None:
        """Note that a request is taken up."""
        self._phase = Phase.REQUEST
        self.since = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and end the connection where a head grows without end."""
        if self.phase is Phase.IDLE:
            self._phase = Phase.HEAD
            self.since = self._loop.time()
            self._received = 0
        self._received += len(data)
        super().data_received(data)
        if self._messages:
            self._body = self._messages[-1][1]
        if self._phase is Phase.HEAD:
            if self._under_way():
                self.begin()
            elif self._received > self._owner.limits.head_size:
                self._owner.seldom.event(_log, logging.WARNING, "malformed request", problem="the head is too large")
                self.end()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another one."""
        super().connection_lost(exc)
        self._owner.forget(self)

    def end(self) -> None:
        """End the connection at once, whatever it does."""
        if self.transport is not None:
            self.transport.abort()
        else:
            # Still in its TLS handshake, which ends with its socket.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def retire(self) -> None:
        """End the connection as soon as nothing is under way."""
        if self.phase is Phase.REQUEST:
            self.close()
        elif self.transport is not None:
            self.force_close()
        else:
            self.end()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # holds what was sent
    ) -> web.StreamResponse:
        """Answer what is no request, or what failed, without a word of what was sent."""
        if status == 500:
            self.log_exception("defect in a request", exc_info=exc)
        else:
            self._owner.seldom.event(_log, logging.WARNING, "malformed request", problem=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        text = {400: "Bad Request\n", 500: "Internal Server Error; see the log\n"}.get(status, f"{status}\n")
        answer = web.Response(status=status, text=text)
        answer.force_close()
        return answer

    def log_exception(self, *_args: object, **kw: object) -> None:
        """Log a defect, one of a kind a minute: what clients can repeat fills no disk."""
        error = kw.get("exc_info")
        if isinstance(error, RequestPayloadError):
            self._owner.seldom.event(_log, logging.WARNING, "malformed request", problem="the body cannot be read")
            return
        kind = type(error).__name__ if isinstance(error, BaseException) else "unknown"
        self._owner.seldom.event(_log, logging.ERROR, "defect in a request", kind, error=kind, place=place_of(error))

    def _under_way(self) -> bool:
        """Tell whether a request is being answered, its answer is not taken yet, or its body has not ended."""
        unread = self.transport.get_write_buffer_size() if self.transport is not None else 0
        # The framework keeps both to itself; a test of slow clients and one of idle ones would miss them.
        # What is left of a body that was refused is no head: to cut it off would cost the client the answer.
        unfinished = self._body is not None and not self._body.is_eof()
        return bool(self._request_in_progress or self._messages or unread or unfinished)


def place_of(error: object) -> str:
    """Return the innermost place of an exception: enough to find a defect, and nothing of what a client sent."""
    trace = error.__traceback__ if isinstance(error, BaseException) else None
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
