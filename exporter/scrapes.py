"""The short way from a scrape to its answer.

Each connection begins with a protocol that knows one request: a plain GET of `/metrics`, as scrapers send it. That is
answered with bytes which are ready, at the cost of finding them. With the first request that is anything else the
connection is handed, for good, to the web application. An answer is the same either way (a test compares them).
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass

from ml_monitoring.exporter.answers import Answers, Choice
from ml_monitoring.exporter.web_config import WebConfig

_REQUEST = b"GET /metrics HTTP/1.1\r\n"
_END = b"\r\n\r\n"
# More than any scraper sends, and less than the web application takes.
_MAX_HEAD = 4096
_HEADER = re.compile(rb"([A-Za-z0-9-]+):[ \t]*([!-~](?:[ -~\t]*[!-~])?)?[ \t]*")
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")
# What scrapers send, and nothing that could change how an answer is sent. With others a request takes the long way.
_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "cache-control",
        "connection",
        "host",
        "pragma",
        "traceparent",
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-prometheus-scrape-timeout-seconds",
        "x-request-id",
    }
)
# A scraper sends the same bytes each time.
_MAX_KNOWN = 64
# Larger pieces keep other clients waiting and are copied when the client's window is full.
_PIECE = 256 * 1024
# As long as the web application waits.
KEEP_ALIVE = 3630.0


@dataclass(frozen=True, slots=True)
class Scrape:
    """What matters of a plain scrape."""

    choice: Choice
    authorization: str | None

    @classmethod
    def parse(cls, head: bytes) -> Scrape | None:
        """Read the head of a request, with the empty line; None when it is anything but a plain scrape."""
        headers: dict[str, str] = {}
        for line in head[len(_REQUEST) : -len(_END)].split(b"\r\n"):
            found = _HEADER.fullmatch(line)
            if found is None:
                return None
            name = found[1].decode().lower()
            if name not in _HEADERS or name in headers:
                return None
            headers[name] = (found[2] or b"").decode()
        if _HOST.fullmatch(headers.get("host", "")) is None:
            return None
        if headers.get("connection", "keep-alive").lower() != "keep-alive":
            return None
        accept, encoding = ([headers[name]] if name in headers else [] for name in ("accept", "accept-encoding"))
        return cls(Choice.of(accept, encoding), headers.get("authorization"))


class Scrapes:
    """Makes the protocol of each connection; called by the listening server.

    Args:
        answers: Where the answers are.
        web_config: Who may have them.
        ordinary: Makes a protocol that answers everything.
        keep_alive: Seconds after which an idle connection is closed.
    """

    def __init__(
        self,
        answers: Answers,
        web_config: WebConfig,
        ordinary: Callable[[], asyncio.Protocol],
        *,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        self.answers = answers
        self.web_config = web_config
        self.ordinary = ordinary
        self.keep_alive = keep_alive
        self.connections: set[ScrapeProtocol] = set()
        self._known: dict[bytes, Scrape] = {}

    def __call__(self) -> ScrapeProtocol:
        """Begin a connection."""
        return ScrapeProtocol(self)

    def known(self, head: bytes) -> Scrape | None:
        """Return what a request asks for; None when it is anything but a plain scrape."""
        scrape = self._known.get(head)
        if scrape is None:
            scrape = Scrape.parse(head)
            # A password is not kept.
            if scrape is not None and scrape.authorization is None:
                if len(self._known) >= _MAX_KNOWN:
                    self._known.clear()
                self._known[head] = scrape
        return scrape

    async def close(self, timeout: float) -> None:
        """Close idle connections, and the others when their answer is sent or the time is over."""
        deadline = asyncio.get_running_loop().time() + timeout
        for connection in tuple(self.connections):
            connection.close()
        while self.connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for connection in tuple(self.connections):
            connection.abort()


class ScrapeProtocol(asyncio.Protocol):
    """One connection, as long as all that it brings are plain scrapes."""

    _transport: asyncio.Transport

    def __init__(self, scrapes: Scrapes) -> None:
        self._scrapes = scrapes
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._rest = memoryview(b"")
        self._task: asyncio.Task[None] | None = None
        self._full = False
        self._closing = False
        self._idle_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # a TCP server's connections are
        self._transport = transport
        self._scrapes.connections.add(self)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._idle_until = self._loop.time() + self._scrapes.keep_alive
        self._timer = self._loop.call_at(self._idle_until, self._check_idle)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's name for it
        """Forget everything."""
        self._leave()
        self._rest = memoryview(b"")
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        if self._closing:
            return
        self._received = self._received + data if self._received else data
        self._proceed()

    def eof_received(self) -> None:
        """Leave what is not sent yet to the transport, which closes when that is done."""
        if self._rest:
            self._transport.write(self._rest)
            self._rest = memoryview(b"")

    def pause_writing(self) -> None:
        """Wait for the client."""
        self._full = True

    def resume_writing(self) -> None:
        """Send more."""
        self._full = False
        self._send()
        self._proceed()

    def close(self) -> None:
        """Close when nothing is under way, else when it is done."""
        self._closing = True
        if not self._busy:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    @property
    def _busy(self) -> bool:
        return self._full or bool(self._rest) or self._task is not None

    def _proceed(self) -> None:
        """Answer the requests that have arrived, one after the other."""
        while self._received and not self._busy and not self._transport.is_closing():
            end = self._received.find(_END, 0, _MAX_HEAD)
            if not self._received.startswith(_REQUEST[: len(self._received)]):
                return self._hand_over()
            if end < 0:
                if len(self._received) >= _MAX_HEAD:
                    return self._hand_over()
                break
            head = self._received[: end + len(_END)]
            scrape = self._scrapes.known(head)
            if scrape is None or not self._scrapes.answers.usable:
                return self._hand_over()
            if not self._scrapes.web_config.knows(scrape.authorization):
                self._task = self._loop.create_task(self._verify(scrape))
                break
            self._received = self._received[len(head) :]
            self._answer(scrape)
        if self._closing and not self._busy:
            self._transport.close()
        # Only what is read can be kept: a client that sends and never reads must not fill the memory.
        elif self._busy:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
        return None

    def _answer(self, scrape: Scrape) -> None:
        answer = self._scrapes.answers[scrape.choice]
        self._idle_until = self._loop.time() + self._scrapes.keep_alive
        self._rest = answer.rest
        self._transport.write(answer.first)
        self._send()

    def _send(self) -> None:
        """Send as much as the client takes."""
        while self._rest and not self._full:
            piece, self._rest = self._rest[:_PIECE], self._rest[_PIECE:]
            self._transport.write(piece)

    async def _verify(self, scrape: Scrape) -> None:
        """Check a password, which takes a while, and go on."""
        allowed = await self._scrapes.web_config.allows(scrape.authorization)
        self._task = None
        if self._transport.is_closing():
            return
        # The web application says no, for the same reason.
        if allowed:
            self._proceed()
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the connection, with what has arrived, to the web application."""
        if self._closing:
            self._transport.close()
            return
        self._leave()
        protocol = self._scrapes.ordinary()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        self._transport.resume_reading()
        protocol.data_received(self._received)

    def _leave(self) -> None:
        self._scrapes.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def _check_idle(self) -> None:
        now = self._loop.time()
        if now < self._idle_until:
            self._timer = self._loop.call_at(self._idle_until, self._check_idle)
        elif self._busy:
            self._timer = self._loop.call_at(now + self._scrapes.keep_alive, self._check_idle)
        else:
            self._transport.close()
