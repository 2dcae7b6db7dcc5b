"""The short way to an answer gives what the web application gives, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

from ml_monitoring.exporter.config import WebSettings
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.runner import Runner
from ml_monitoring.exporter.scrapes import ScrapeProtocol, Scrapes
from ml_monitoring.exporter.server import Server
from ml_monitoring.exporter.sources.base import SourceSettings
from tests.exporter.test_web_config import make_certificate
from tests.support.scripted_source import scripted

_SERIES = 20_000
_PLAIN = b"GET /metrics HTTP/1.1\r\nHost: exporter:9847\r\n\r\n"
_LAST = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
# What a server says of the moment and of an error's address.
_MOMENT = re.compile(rb"(?<=\r\nDate: )[^\r]+")
_GOOD = b"Authorization: Basic cHJvbWV0aGV1czpzZWNyZXQ=\r\n"

_REQUEST_LINES = (
    b"GET /metrics HTTP/1.0\r\n",
    b"GET /metrics HTTP/2.0\r\n",
    b"GET  /metrics HTTP/1.1\r\n",
    b"GET /metrics HTTP/1.1\n",
    b"GET /metrics\r\n",
    b"get /metrics HTTP/1.1\r\n",
    b"\r\nGET /metrics HTTP/1.1\r\n",
    b"GET /metrics?name[]=up&x=1 HTTP/1.1\r\n",
    b"GET /metrics/ HTTP/1.1\r\n",
    b"GET /%6detrics HTTP/1.1\r\n",
    b"GET /metrics%00 HTTP/1.1\r\n",
    b"GET http://exporter/metrics HTTP/1.1\r\n",
    b"GET /metrics#top HTTP/1.1\r\n",
    b"GET /../metrics HTTP/1.1\r\n",
    b"HEAD /metrics HTTP/1.1\r\n",
    b"POST /metrics HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"GET /-/healthy HTTP/1.1\r\n",
    b"GET /nowhere HTTP/1.1\r\n",
    b"GET /" + b"m" * 9000 + b" HTTP/1.1\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
)
_HOST = b"Host: exporter:9847\r\n"
_HOSTS = (b"", b"Host:\r\n", b"Host: a b\r\n", b"Host: a\r\nHost: b\r\n")
_USUAL = (
    b"User-Agent: Prometheus/2.42.0\r\n",
    b"Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n",
    b"Accept:text/plain\r\n",
    b"accept:  text/plain;q=0.3 ,\tapplication/openmetrics-text;q=0.2 \r\n",
    b"Accept: \r\n",
    b"ACCEPT: ;;q=,application/openmetrics-text;q=x\r\n",
    b"Accept-Encoding: gzip\r\n",
    b"Accept-Encoding: deflate, *;q=0.1\r\n",
    b"Accept-Encoding: gzip;q=0\r\n",
    b"Accept-Encoding: identity\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: Keep-Alive\r\n",
    b"X-Prometheus-Scrape-Timeout-Seconds: 10\r\n",
    b"X-Request-Id: 4711\r\n",
)
_ODD = (
    b"Accept: text/plain\r\nAccept: application/openmetrics-text\r\n",
    b"Accept-Encoding: identity\r\nAccept-Encoding: gzip\r\n",
    b"Accept: text/plain,\r\n application/openmetrics-text\r\n",
    b"Accept : text/plain\r\n",
    b"Accept: \x00\r\n",
    b"Accept: text/plain; x=\xc3\xa4\r\n",
    b"Accept: \xff\r\n",
    b"Accept: application/openmetrics-text\n",
    b"no colon\r\n",
    b": no name\r\n",
    b"(odd): name\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Connection: \r\n",
    b"Connection: keep-alive, close\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 0\r\nContent-Length: 1\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Expect: 100-continue\r\n",
    b"Expect: more\r\n",
    b"Cookie: a=b\r\n",
    b"Range: bytes=0-10\r\n",
    b"If-None-Match: *\r\n",
    b"X-Long: " + b"x" * 5000 + b"\r\n",
    b"X-Too-Long: " + b"x" * 20000 + b"\r\n",
    b"X: 1\r\n" * 200,
)
_CREDENTIALS = (
    _GOOD,
    b"authorization: basic  cHJvbWV0aGV1czpzZWNyZXQ=\r\n",
    b"Authorization: Basic cHJvbWV0aGV1czp3cm9uZw==\r\n",
    b"Authorization: Basic !!!\r\n",
    b"Authorization: Bearer x\r\n",
    b"Authorization:\r\n",
    b"",
    _GOOD * 2,
)


# Complete and kept alive, so that what follows in the same packet is a request of its own.
_LONG_WAY = (
    b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nGET",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
)


def _usual_request(chance: random.Random, *, guarded: bool) -> bytes:
    """Return a request as scrapers send it."""
    fields = {field.lower().partition(b":")[0]: field for field in chance.choices(_USUAL, k=chance.randrange(5))}
    credentials = _GOOD if guarded else b""
    return b"".join((b"GET /metrics HTTP/1.1\r\n", _HOST, *fields.values(), credentials, b"\r\n"))


def _odd_request(chance: random.Random, *, guarded: bool) -> bytes:
    """Return a request that is odd in one way, seldom in two."""
    line, host, fields, credentials = b"GET /metrics HTTP/1.1\r\n", _HOST, chance.sample(_USUAL, 2), b""
    for place in chance.choices(("line", "host", "field", "field", "field", "credentials"), k=chance.choice((1, 1, 2))):
        if place == "line":
            line = chance.choice(_REQUEST_LINES)
        elif place == "host":
            host = chance.choice(_HOSTS)
        elif place == "field":
            fields.append(chance.choice(_ODD))
        else:
            credentials = chance.choice(_CREDENTIALS)
    fields.append(credentials or (_GOOD if guarded else b""))
    chance.shuffle(fields)
    return b"".join((line, host, *fields, b"\r\n"))


def _cut(text: bytes, chance: random.Random) -> list[bytes]:
    """Return text in packets that end anywhere."""
    cuts = sorted(chance.randrange(len(text)) for _ in range(chance.randrange(4)))
    return [text[start:end] for start, end in zip((0, *cuts), (*cuts, len(text)), strict=True) if start < end]


def _some_steps(chance: random.Random, *, guarded: bool) -> list[list[bytes]]:
    """Return what a client sends on a connection: packets, and where it waits for answers.

    The web application gives up on everything in a packet when one request of it is broken; therefore those that may
    be broken are sent one by one.
    """
    if chance.random() < 0.5:
        requests = [
            chance.choice(_LONG_WAY) if chance.random() < 0.1 else _usual_request(chance, guarded=guarded)
            for _ in range(chance.randrange(1, 9))
        ]
        return [_cut(b"".join((*requests, _LAST)), chance)]
    kinds = chance.choices((_usual_request, _odd_request), k=chance.randrange(1, 5))
    return [*(_cut(kind(chance, guarded=guarded), chance) for kind in kinds), [_LAST]]


def _comparable(answer: bytes) -> bytes:
    """Leave out of an answer what depends on the moment and on where a packet ended."""
    answer = _MOMENT.sub(b"now", answer)
    return re.sub(rb"(HTTP/1.. 400 Bad Request\r\n).*", rb"\1", answer, flags=re.DOTALL)


@dataclass(frozen=True)
class _Running:
    """A server, and a second way to it that leads past the short one."""

    short: int
    ordinary: int
    tls: ssl.SSLContext | None
    scrapes: Scrapes
    handed_over: list[object]

    async def exchange(self, port: int, steps: list[list[bytes]], *, quiet: float = 0.02) -> tuple[bytes, bool]:
        """Send packets, waiting after each step until nothing more comes.

        Returns:
            What came back, and whether the connection was cut, which loses what the client had not read yet.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=self.tls)
        received = bytearray()
        try:
            for number, packets in enumerate(steps, 1):
                for packet in packets:
                    writer.write(packet)
                    await asyncio.sleep(0.002)
                with contextlib.suppress(TimeoutError):
                    while data := await asyncio.wait_for(reader.read(1 << 20), quiet if number < len(steps) else 2):
                        received += data
                    # The server closed.
                    break
        except ConnectionError:
            return _comparable(bytes(received)), True
        finally:
            writer.transport.abort()
        return _comparable(bytes(received)), False


@contextlib.asynccontextmanager
async def _running(folder: Path, web_config: str = "", *, series: int = 50) -> AsyncIterator[_Running]:
    def collecting(families: FamilySet) -> None:
        for number in range(series):
            families["mlflow_store_rows"].add(number / 7, f"table {number}")

    config = None
    if web_config:
        config = folder / "web.yml"
        config.write_text(web_config)
    runner = Runner(
        {"mlflow": SourceSettings(interval=3600, max_series=series)}, sources=[scripted("mlflow", collecting)]
    )
    runner.start()
    server = Server(runner, WebSettings(port=0, config_file=config))
    await server.start()
    while not runner.ready:
        await asyncio.sleep(0.01)
    # Nothing is published any more, so that two answers can be compared.
    await asyncio.to_thread(runner.stop)
    handed_over: list[object] = []
    application = server._scrapes.ordinary

    def counting() -> asyncio.Protocol:
        handed_over.append(1)
        return application()

    server._scrapes.ordinary = counting
    loop = asyncio.get_running_loop()
    second = await loop.create_server(application, "127.0.0.1", 0, ssl=server._web_config.tls)
    tls = None
    if server._web_config.tls is not None:
        tls = ssl.create_default_context(cafile=str(folder / "tls.crt"))
    short = int(server.url.rpartition(":")[2])
    try:
        yield _Running(short, second.sockets[0].getsockname()[1], tls, server._scrapes, handed_over)
    finally:
        second.close()
        await server.stop()


_GUARDED = f"""
http_server_config: {{headers: {{X-Content-Type-Options: nosniff, Strict-Transport-Security: max-age=1}}}}
basic_auth_users: {{prometheus: "{bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()}"}}
"""
_TLS = "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n"


@pytest.mark.filterwarnings(
    "ignore:.*:ResourceWarning"
)  # connections that the server cuts off, in the client's asyncio
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("web_config", "guarded"),
    [("", False), (_GUARDED, True), (_TLS, False), (_TLS + _GUARDED, True)],
    ids=["plain", "guarded", "tls", "tls, guarded"],
)
def test_any_requests_are_answered_as_the_web_application_answers_them(
    tmp_path: Path, web_config: str, guarded: bool, seed: int
) -> None:
    make_certificate(tmp_path, "exporter")
    chance = random.Random(seed)
    cases = [_some_steps(chance, guarded=guarded) for _ in range(150)]

    async def compare() -> None:
        async with _running(tmp_path, web_config) as server:
            gate = asyncio.Semaphore(30)

            async def equal(steps: list[list[bytes]], quiet: float) -> int:
                (ours, cut), (theirs, theirs_cut) = await asyncio.gather(
                    *(server.exchange(port, steps, quiet=quiet) for port in (server.short, server.ordinary))
                )
                if (cut and theirs.startswith(ours)) or (theirs_cut and ours.startswith(theirs)):
                    return 0
                assert ours == theirs, steps
                return ours.count(b"HTTP/1.1 200 OK")

            async def one(steps: list[list[bytes]]) -> int:
                async with gate:
                    with contextlib.suppress(AssertionError):
                        return await equal(steps, 0.02)
                # On a busy machine a step may come before the answer to the one before.
                return await equal(steps, 0.5)

            answered = sum(await asyncio.gather(*map(one, cases)))
            assert answered > 200
            assert len(server.handed_over) < answered

    asyncio.run(compare())


def _run(folder: Path, scenario: Callable[[_Running], object], *, series: int = 50, web_config: str = "") -> None:
    async def run() -> None:
        async with _running(folder, web_config, series=series) as server:
            await scenario(server)  # type: ignore[misc]  # each is a coroutine function

    asyncio.run(run())


def test_scrapes_do_not_reach_the_web_application_and_all_else_does(tmp_path: Path) -> None:
    async def scenario(server: _Running) -> None:
        prometheus = _PLAIN[:-2] + b"".join((_USUAL[0], _USUAL[1], _USUAL[6], _USUAL[12])) + b"\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", server.short)
        for _ in range(3):
            writer.write(prometheus)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
        assert not server.handed_over
        writer.write(_LAST)
        assert (await reader.read()).endswith(b"Healthy.\n")
        assert len(server.handed_over) == 1
        writer.close()

    _run(tmp_path, scenario)


def test_a_password_takes_the_short_way_once_it_is_verified(tmp_path: Path) -> None:
    async def scenario(server: _Running) -> None:
        wrong = _PLAIN[:-2] + _CREDENTIALS[2] + b"\r\n"
        right = _PLAIN[:-2] + _GOOD + b"\r\n"
        answer, _cut_off = await server.exchange(server.short, [[right * 3 + _LAST]])
        assert answer.count(b"HTTP/1.1 200 OK") == 4
        assert len(server.handed_over) == 1
        refused, _cut_off = await server.exchange(server.short, [[wrong + _LAST]])
        assert refused.startswith(b"HTTP/1.1 401 Unauthorized")
        assert not [head for head in server.scrapes._known if b"uthorization" in head]

    _run(tmp_path, scenario, web_config=_GUARDED)


def test_a_slow_reader_gets_all_answers_and_fills_no_memory(tmp_path: Path) -> None:
    async def scenario(server: _Running) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.short, limit=1 << 16)
        writer.write(_PLAIN * 29 + _LAST)
        await asyncio.sleep(0.3)
        (connection,) = server.scrapes.connections
        # Not thirty answers of a megabyte: one piece, and what the transport takes before it says that it is full.
        assert connection._transport.get_write_buffer_size() < 500_000
        received = await asyncio.wait_for(reader.read(), 30)
        assert len(received) > 29 * 500_000
        assert received.count(b"HTTP/1.1 200 OK") == received.count(b'{table="table 19999"}') + 1 == 30
        writer.close()

    _run(tmp_path, scenario, series=_SERIES)


def test_a_client_that_closes_its_half_still_gets_the_whole_answer(tmp_path: Path) -> None:
    async def scenario(server: _Running) -> None:
        answers = []
        for port in (server.short, server.ordinary):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_PLAIN)
            await asyncio.sleep(0.1)
            writer.write_eof()
            answers.append(_MOMENT.sub(b"now", await reader.read()))
            writer.close()
        assert len(answers[0]) > 500_000
        assert answers[0] == answers[1]

    _run(tmp_path, scenario, series=_SERIES)


def test_an_answer_under_way_is_finished_before_the_server_ends(tmp_path: Path) -> None:
    async def scenario(server: _Running) -> None:
        whole, _cut_off = await server.exchange(server.ordinary, [[_PLAIN + _LAST]])
        reader, writer = await asyncio.open_connection("127.0.0.1", server.short)
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", server.short)
        writer.write(_PLAIN)
        first = await reader.readexactly(1000)
        closing = asyncio.create_task(server.scrapes.close(5))
        # The idle one goes at once, the other when it has everything.
        assert await asyncio.wait_for(idle_reader.read(), 1) == b""
        rest = await asyncio.wait_for(reader.read(), 5)
        await closing
        assert _comparable(first + rest) == whole[: whole.index(b"HTTP/1.1 200 OK", 100)]
        for each in (writer, idle_writer):
            each.close()

    _run(tmp_path, scenario, series=_SERIES)


def test_a_connection_that_asks_nothing_is_closed_and_one_that_scrapes_is_kept(tmp_path: Path) -> None:
    async def scenario(server: _Running) -> None:
        server.scrapes.keep_alive = 0.6
        idle, writer = await asyncio.open_connection("127.0.0.1", server.short)
        partial, other = await asyncio.open_connection("127.0.0.1", server.short)
        other.write(_PLAIN[:-1])
        busy, third = await asyncio.open_connection("127.0.0.1", server.short)
        began = time.monotonic()
        while time.monotonic() - began < 1.2:
            third.write(_PLAIN)
            assert await asyncio.wait_for(busy.read(1 << 20), 1)
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(idle.read(), 1) == b""
        assert await asyncio.wait_for(partial.read(), 1) == b""
        assert len(server.scrapes.connections) == 1
        assert all(isinstance(each, ScrapeProtocol) for each in server.scrapes.connections)
        for each in (writer, other, third):
            each.close()

    _run(tmp_path, scenario)
