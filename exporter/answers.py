"""What `/metrics` is answered with: which body for which request, and the head of the response.

Both ways to answer use it: the web application, and the short way of `scrapes`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

from aiohttp.http import SERVER_SOFTWARE

from exporter.exposition import OPENMETRICS_CONTENT_TYPE, TEXT_CONTENT_TYPE
from exporter.snapshot import Board, Bodies
from exporter.web_config import WebConfig

# Scrapers send the same headers each time.
_REMEMBERED = 64
# As much of the body goes out with the head in one piece: two would wake the client twice.
_FIRST = 64 * 1024
# What the web application writes itself; headers of the user's that would take their place are left to it.
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "server",
        "transfer-encoding",
        "vary",
    }
)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the bodies a client wants."""

    openmetrics: bool
    gzip: bool

    @classmethod
    def of(cls, accept: list[str], accept_encoding: list[str]) -> Choice:
        """Choose by the `Accept` and `Accept-Encoding` headers of a request."""
        return _choose(",".join(accept), ",".join(accept_encoding))

    def body(self, bodies: Bodies) -> bytes:
        """Return the body of this kind."""
        body = bodies.openmetrics if self.openmetrics else bodies.text
        return body.gzip if self.gzip else body.plain

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that tell what the body is."""
        kind = OPENMETRICS_CONTENT_TYPE if self.openmetrics else TEXT_CONTENT_TYPE
        headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding"}
        return {**headers, "Content-Encoding": "gzip"} if self.gzip else headers


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response: its beginning, and what of the body is left."""

    first: bytes
    rest: memoryview


class Answers:
    """Responses as the web application would give them, put together once a second and snapshot.

    Args:
        board: Has the bodies.
        web_config: Has the users' headers.
    """

    def __init__(self, board: Board, web_config: WebConfig) -> None:
        self._board = board
        self._web_config = web_config
        self._key: tuple[object, ...] = ()
        self._answers: dict[Choice, Answer] = {}

    @property
    def usable(self) -> bool:
        """Tell whether the users' headers are ones that are simply added."""
        headers = self._web_config.headers
        names = {name.lower() for name in headers}
        texts = (text for pair in headers.items() for text in pair)
        alone = len(names) == len(headers) and not names & _OWN_HEADERS
        return alone and all(text.isascii() and text.isprintable() for text in texts)

    def __getitem__(self, choice: Choice) -> Answer:
        bodies = self._board.bodies
        second = int(time.time())
        # The number instead of the bodies themselves: those that nobody asked for need not be kept.
        key = (bodies.number, second, self._web_config.headers)
        if self._key != key:
            self._key = key
            self._answers = {}
        answer = self._answers.get(choice)
        if answer is None:
            self._answers[choice] = answer = self._make(choice, choice.body(bodies), second)
        return answer

    def _make(self, choice: Choice, body: bytes, second: int) -> Answer:
        headers = {
            **choice.headers,
            **self._web_config.headers,
            "Content-Length": str(len(body)),
            "Date": formatdate(second, usegmt=True),
            "Server": SERVER_SOFTWARE,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        first = f"HTTP/1.1 200 OK\r\n{head}\r\n".encode("ascii") + body[:_FIRST]
        return Answer(first, memoryview(body)[_FIRST:])


@lru_cache(maxsize=_REMEMBERED)
def _choose(accept: str, accept_encoding: str) -> Choice:
    return Choice(_prefers_openmetrics(accept), _accepts_gzip(accept_encoding))


def _prefers_openmetrics(accept: str) -> bool:
    """Tell whether a client wants OpenMetrics more than, or as much as, the text format."""
    openmetrics = text = 0.0
    for name, quality in _weights(accept):
        if name == "application/openmetrics-text":
            openmetrics = max(openmetrics, quality)
        elif name == "text/plain":
            text = max(text, quality)
    return openmetrics > 0 and openmetrics >= text


def _accepts_gzip(accept_encoding: str) -> bool:
    weights = dict(_weights(accept_encoding))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weights(header: str) -> list[tuple[str, float]]:
    """Return each choice of an `Accept` or `Accept-Encoding` header with its quality."""
    weights = []
    for part in header.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if name:
            weights.append((name.lower(), quality))
    return weights
