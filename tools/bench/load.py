"""Scrapes as Prometheus does, over connections that are kept, and prints the latencies as JSON.

A process of its own, so that measuring does not share an interpreter with anything. It only reads as much of an answer
as it takes to find its end.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BUFFER = 1 << 20


@dataclass(slots=True)
class Answer:
    """How far an answer has come."""

    head: bytes = b""
    body: int = 0
    length: int | None = None
    tail: bytes = b""
    ok: bool = field(default=False)

    def feed(self, data: memoryview | bytes) -> bool:
        """Take bytes; return whether the answer is complete."""
        if not self.tail and not self.body:
            self.head += bytes(data)
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return False
            found = _LENGTH.search(self.head, 0, end + 2)
            self.length = int(found[1]) if found else None
            self.ok = self.head[9:12] == b"200"
            data = self.head[end + 4 :]
        self.body += len(data)
        self.tail = (self.tail + bytes(data[-5:]))[-5:]
        if self.length is not None:
            return self.body >= self.length
        # Without a length the body comes in chunks, the last of which is empty.
        return self.tail == b"0\r\n\r\n"


@dataclass(slots=True)
class Sample:
    """What was measured."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    size: int = 0


def request(url: str, *, gzip: bool) -> bytes:
    """Return the request of a scrape."""
    parts = urlsplit(url)
    encoding = "gzip" if gzip else "identity"
    accept = "text/plain;version=0.0.4;q=0.9,*/*;q=0.8"
    head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: {accept}\r\nAccept-Encoding: {encoding}\r\n"
    return f"{head}User-Agent: bench\r\n\r\n".encode()


def one_client(url: str, *, gzip: bool, requests: int, seconds: float) -> Sample:
    """Scrape one after the other, with blocking calls: what the client adds is a few microseconds."""
    sample = Sample()
    parts = urlsplit(url)
    text = request(url, gzip=gzip)
    view = memoryview(bytearray(_BUFFER))
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=60) as connection:
        end = time.perf_counter() + seconds
        while len(sample.seconds) < requests and time.perf_counter() < end:
            answer = Answer()
            started = time.perf_counter()
            connection.sendall(text)
            while not answer.feed(view[: connection.recv_into(view)]):
                pass
            sample.seconds.append(time.perf_counter() - started)
            sample.errors += not answer.ok
            sample.size = answer.body
    return sample


async def many_clients(url: str, *, gzip: bool, clients: int, requests: int, seconds: float) -> Sample:
    """Scrape with many clients at once, each one after the other."""
    sample = Sample()
    text = request(url, gzip=gzip)
    end = time.perf_counter() + seconds
    opened = asyncio.Barrier(clients)
    each = requests // clients + 1

    async def client() -> None:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=_BUFFER)
        await opened.wait()
        await _scrape(reader, writer, text, sample, range(each), end)
        writer.close()

    await asyncio.gather(*(client() for _number in range(clients)))
    return sample


async def _scrape(  # noqa: PLR0917  # all of one call
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes, sample: Sample, numbers: range, end: float
) -> None:
    for number in numbers:
        # Each client is heard once, however long it takes.
        if number and time.perf_counter() > end:
            break
        answer = Answer()
        started = time.perf_counter()
        try:
            writer.write(text)
            while not answer.feed(data := await reader.read(_BUFFER)):
                if not data:
                    raise ConnectionResetError
        except OSError:
            sample.errors += 1
            break
        sample.seconds.append(time.perf_counter() - started)
        sample.errors += not answer.ok
        sample.size = answer.body


def main(arguments: list[str]) -> int:
    """Measure as the arguments say: `URL CLIENTS REQUESTS SECONDS gzip|plain`."""
    url, clients, requests, seconds, encoding = arguments
    gzip = encoding == "gzip"
    started = time.perf_counter()
    if clients == "1":
        sample = one_client(url, gzip=gzip, requests=int(requests), seconds=float(seconds))
    else:
        sample = asyncio.run(
            many_clients(url, gzip=gzip, clients=int(clients), requests=int(requests), seconds=float(seconds))
        )
    took = time.perf_counter() - started
    print(json.dumps({"seconds": sample.seconds, "errors": sample.errors, "size": sample.size, "took": took}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
