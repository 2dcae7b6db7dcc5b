"""The floor: a bare server that sends the bytes of a file, and knows as much of HTTP as that takes.

Nothing written in Python that answers scrapes can be much faster; what a scrape costs beyond it is ours.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
from pathlib import Path

_CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Bare(asyncio.Protocol):
    """Answers every request with the same bytes."""

    plain = b""
    gzip = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # a TCP server's connections are
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answer when the request is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[:end], self._received[end + 4 :]
            self._transport.write(self.gzip if b"Accept-Encoding: gzip" in head else self.plain)


def _answer(body: bytes, *extra: bytes) -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Type: " + _CONTENT_TYPE, length, *extra, b"", b"")) + body


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main(arguments: list[str]) -> int:
    """Serve: `PORT FILE`."""
    port, path = arguments
    body = Path(path).read_bytes()
    Bare.plain = _answer(body)
    # What the exporter uses, too: the size of what is sent is part of the cost.
    Bare.gzip = _answer(gzip.compress(body, 1), b"Content-Encoding: gzip")
    asyncio.run(_serve(int(port)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
