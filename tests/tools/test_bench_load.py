"""The client that measures finds the end of each answer, however its length is given."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.bench.load import many_clients, one_client
from tools.bench.usage import answers
from tools.processes import Process, free_port

_BODY = b"a_metric 1\n" * 50_000


class _Chunked(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 500)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(_BODY), 4000):
            part = _BODY[start : start + 4000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def chunked() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Chunked) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_answers_in_chunks_are_read_to_their_end(chunked: str) -> None:
    for sample in (
        one_client(f"{chunked}/metrics", gzip=False, requests=5, seconds=30),
        asyncio.run(many_clients(f"{chunked}/metrics", gzip=False, clients=3, requests=3, seconds=30)),
    ):
        assert len(sample.seconds) >= 5
        assert sample.errors == 0
        assert sample.size > len(_BODY)


def test_answers_that_are_no_success_are_errors(chunked: str) -> None:
    sample = one_client(f"{chunked}/elsewhere", gzip=False, requests=3, seconds=30)
    assert sample.errors == 3


def test_the_floor_sends_the_bytes_it_was_given_plain_and_gzip(tmp_path: Path) -> None:
    body = tmp_path / "body.txt"
    body.write_bytes(_BODY)
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    command = [sys.executable, "-m", "tools.bench.floor", str(port), str(body)]
    with Process("floor", command, log=tmp_path / "floor.log", healthy=lambda: bool(answers(url))):
        assert answers(url).encode() == _BODY
        assert one_client(url, gzip=False, requests=2, seconds=30).size == len(_BODY)
        assert one_client(url, gzip=True, requests=2, seconds=30).size == len(gzip.compress(_BODY, 1))
