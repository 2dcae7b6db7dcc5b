"""What clients do to connections: send much, read slowly, close early, stay while the server ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

from ml_monitoring.exporter.config import WebSettings
from ml_monitoring.exporter.runner import Runner
from ml_monitoring.exporter.server import Server
from ml_monitoring.exporter.snapshot import Snapshot

_GET = b"GET /metrics HTTP/1.1\r\nHost: exporter:9847\r\n\r\n"
_LAST = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
_LINE = b'mlflow_store_rows{table="runs"} 1.0\n'
# More than the operating system takes for a client that does not read, and less than a piece of an answer.
_LARGE = _LINE * 200_000
_SMALL = _LINE * 5_000
# Less than what asyncio takes before it lets a writer wait.
_TINY = _LINE * 1_500
_PATIENCE = 30


@dataclass(frozen=True)
class _Running:
    """A server in this process, with what its connections look like from inside."""

    server: Server
    writers: list[asyncio.StreamWriter]

    async def connect(self, *, limit: int = 1 << 16) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connection = socket.socket()
        connection.setblocking(False)
        # The operating system is to keep little of an answer.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        port = int(self.server.urls[0].rpartition(":")[2])
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=limit)
        self.writers.append(writer)
        return reader, writer

    async def transport(self) -> asyncio.Transport:
        """Return the server's end of the only connection."""
        http = self.server._listener.http
        async with asyncio.timeout(_PATIENCE):
            while not http.connections:
                await asyncio.sleep(0)
        (connection,) = http.connections
        assert isinstance(connection.transport, asyncio.Transport)
        return connection.transport


@contextlib.asynccontextmanager
async def _running(body: bytes, config_file: Path | None = None) -> AsyncIterator[_Running]:
    # A runner that is not started publishes nothing, so that the body is known.
    runner = Runner({})
    runner.snapshots.publish(mlflow=Snapshot.of(body, body, 1))
    server = Server(runner, WebSettings(port=0, config_file=config_file))
    await server.start()
    running = _Running(server, [])
    try:
        yield running
    finally:
        for writer in running.writers:
            writer.transport.abort()
        await server.stop()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and body of the next answer."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
    fields = dict(line.split(b": ", 1) for line in head.splitlines()[1:-1])
    return int(head[9:12]), await asyncio.wait_for(reader.readexactly(int(fields[b"Content-Length"])), _PATIENCE)


def test_a_connection_serves_one_scrape_after_the_other() -> None:
    async def scenario() -> None:
        async with _running(_SMALL) as running:
            reader, writer = await running.connect()
            for _ in range(3):
                writer.write(_GET)
                assert await _answer(reader) == (200, _SMALL)
            # Those that come in one packet, too.
            writer.write(_GET * 3 + _LAST)
            assert [await _answer(reader) for _ in range(4)] == [*[(200, _SMALL)] * 3, (200, b"Healthy.\n")]
            assert await reader.read() == b""

    asyncio.run(scenario())


def test_a_request_may_come_in_any_packets() -> None:
    async def scenario() -> None:
        async with _running(_SMALL) as running:
            reader, writer = await running.connect()
            writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for place in range(len(_GET)):
                writer.write(_GET[place : place + 1])
                await writer.drain()
            assert await _answer(reader) == (200, _SMALL)

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [_SMALL, _LARGE], ids=["small", "large"])
def test_head_tells_the_length_and_sends_nothing(body: bytes) -> None:
    async def scenario() -> None:
        async with _running(body) as running:
            reader, writer = await running.connect()
            writer.write(_GET.replace(b"GET", b"HEAD") + _LAST)
            answers = await asyncio.wait_for(reader.read(), _PATIENCE)
            assert b"\r\nContent-Length: %d\r\n" % len(body) in answers
            assert b"\r\nTransfer-Encoding:" not in answers
            assert len(answers) < 1000

    asyncio.run(scenario())


def test_a_slow_reader_gets_all_of_a_large_answer_and_fills_no_memory() -> None:
    async def scenario() -> None:
        async with _running(_LARGE) as running:
            reader, writer = await running.connect()
            transport = await running.transport()
            writer.write(_GET * 2 + _LAST)
            received = 0
            while data := await asyncio.wait_for(reader.read(1 << 16), _PATIENCE):
                received += len(data)
                # One piece, and what asyncio takes before it says that it is full.
                assert transport.get_write_buffer_size() < 500_000
            assert 2 * len(_LARGE) < received < 2 * len(_LARGE) + 2000

    asyncio.run(scenario())


def test_a_client_that_asks_much_before_it_reads_fills_no_memory() -> None:
    async def scenario() -> None:
        async with _running(_SMALL) as running:
            reader, writer = await running.connect()
            transport = await running.transport()
            writer.write(_GET * 500 + _LAST)
            received = 0
            while data := await asyncio.wait_for(reader.read(1 << 16), _PATIENCE):
                received += len(data)
                # The next request waits until most of an answer is taken.
                assert transport.get_write_buffer_size() < 500_000
            assert received > 500 * len(_SMALL)

    asyncio.run(scenario())


def test_a_client_that_closes_its_half_still_gets_the_answer() -> None:
    async def scenario() -> None:
        async with _running(_SMALL) as running:
            reader, writer = await running.connect()
            writer.write(_GET)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            assert head.startswith(b"HTTP/1.1 200 OK")
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), _PATIENCE) == _SMALL

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [_TINY, _SMALL, _LARGE], ids=["tiny", "small", "large"])
def test_an_answer_under_way_is_finished_before_the_server_ends(body: bytes) -> None:
    async def scenario() -> None:
        async with _running(body) as running:
            reader, writer = await running.connect(limit=1 << 10)
            transport = await running.transport()
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            idle, _idle_writer = await running.connect()
            writer.write(_GET)
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            stopping = asyncio.create_task(running.server.stop())
            # The idle one goes at once, the other when it has everything.
            assert await asyncio.wait_for(idle.read(), _PATIENCE) == b""
            assert not stopping.done()
            assert await asyncio.wait_for(reader.read(), _PATIENCE) == body
            await stopping

    asyncio.run(scenario())


def test_a_connection_with_a_right_password_goes_on_after_a_wrong_one(tmp_path: Path) -> None:
    config = tmp_path / "web.yml"
    config.write_text(f'basic_auth_users: {{prometheus: "{bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()}"}}\n')

    def asking(credentials: bytes) -> bytes:
        return _GET[:-2] + b"Authorization: Basic " + credentials + b"\r\n\r\n"

    async def scenario() -> None:
        async with _running(_SMALL, config) as running:
            reader, writer = await running.connect()
            wrong, right = asking(b"cHJvbWV0aGV1czp3cm9uZw=="), asking(b"cHJvbWV0aGV1czpzZWNyZXQ=")
            writer.write(right * 2 + wrong + _GET + right)
            answers = [await _answer(reader) for _ in range(5)]
            assert [status for status, _body in answers] == [200, 200, 401, 401, 200]

    asyncio.run(scenario())
