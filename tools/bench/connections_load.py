"""Clients that no server wants, as a process of its own: `idle URL COUNT`, or `logins URL RATE`, until it is ended."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import sys
from urllib.parse import urlsplit


async def idle(host: str, port: int, count: int) -> None:
    """Keep so many connections that say nothing; those that the server ended are opened again each second."""

    async def keep() -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(host, port)
                await reader.read()
                writer.close()
            await asyncio.sleep(1)

    await asyncio.gather(*(keep() for _ in range(count)))


async def logins(host: str, port: int, rate: int) -> None:
    """Try another password so many times a second, each over a connection that waits for a second."""
    numbers = itertools.count()

    async def attempt() -> None:
        encoded = base64.b64encode(f"bench:{next(numbers)}".encode()).decode()
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET /metrics HTTP/1.0\r\nAuthorization: Basic {encoded}\r\n\r\n".encode())
            await asyncio.wait_for(reader.read(), 1)
            writer.close()

    async with asyncio.TaskGroup() as attempts:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in itertools.count():
            attempts.create_task(attempt())
            await asyncio.sleep(max(0.0, began + number / rate - loop.time()))


def main(arguments: list[str]) -> int:
    """Do what the arguments say."""
    what, url, number = arguments
    parts = urlsplit(url)
    asyncio.run({"idle": idle, "logins": logins}[what](parts.hostname or "", parts.port or 80, int(number)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
