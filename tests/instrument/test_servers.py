"""What servers say of a client that left, and what they only seem to say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.wsgi_servers import FRESH, lines, wait_for
from tools.processes import free_port, http_ok, wait_until

APP = """
import asyncio
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from ml_monitoring.instrument import instrument

app = FastAPI()
instrument(app)

@app.post("/read")
async def read(request: Request):
    size = len(await request.body())
    await asyncio.sleep(0.2)
    return size

@app.post("/watched")
async def watched(request: Request):
    size = len(await request.body())
    for _ in range(4):
        # Cancels what it asks the server, each time.
        await request.is_disconnected()
        await asyncio.sleep(0.05)
    return size

@app.post("/unread")
async def unread():
    await asyncio.sleep(0.2)

async def parts():
    for _ in range(3):
        yield b"part"
        await asyncio.sleep(0.02)

@app.post("/stream")
async def stream(request: Request):
    await request.body()
    await asyncio.sleep(0.2)
    return StreamingResponse(parts())
"""
PATHS = ("/read", "/stream", "/unread", "/watched")
SERVERS = {
    "gunicorn": ("gunicorn", "-k", "asgi", "--bind", "127.0.0.1:{port}", "--no-control-socket", "service:app"),
    "granian": ("granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "service:app"),
    "uvicorn": ("uvicorn", "--host", "127.0.0.1", "--port", "{port}", "service:app"),
    "hypercorn": ("hypercorn", "--bind", "127.0.0.1:{port}", "service:app"),
}


@contextmanager
def served(tmp_path: Path, server: str, package: str = "") -> Iterator[httpx.Client]:
    """Run the application under a server; a package of another version than this environment's is unpacked for it."""
    (tmp_path / "service.py").write_text(APP)
    folders = [str(tmp_path), str(Path(__file__).parents[2])]
    if package:
        other = tmp_path / "other"
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(other), package]
        subprocess.run(command, check=True)
        folders.insert(0, str(other))
    port = free_port()
    command = [sys.executable, "-m", *(part.format(port=port) for part in SERVERS[server])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        try:
            assert wait_until(lambda: http_ok(f"http://127.0.0.1:{port}/metrics"), timeout=30), "did not start"
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, limits=FRESH) as client:
                yield client
        finally:
            process.terminate()


def answered(client: httpx.Client) -> None:
    for path in PATHS:
        for body in (b"", b"abc", b"x" * 200_000):
            assert client.post(path, content=body).status_code == 200
    wanted = [f'ml_http_requests_total{{method="POST",route="{path}",status="200"}} 3.0' for path in PATHS]
    wait_for(lambda: lines(client, "ml_http_requests_total") == wanted)


def abandoned(client: httpx.Client, *paths: str) -> None:
    for path in paths:
        with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".encode())
            wait_for(lambda: lines(client, "ml_http_requests_in_progress") == ["ml_http_requests_in_progress 1.0"])
        wait_for(lambda: lines(client, "ml_http_requests_in_progress") == ["ml_http_requests_in_progress 0.0"])
    left = [line for line in lines(client, "ml_http_requests_total") if '"499"' in line]
    assert left == [f'ml_http_requests_total{{method="POST",route="{path}",status="499"}} 1.0' for path in paths]


@pytest.mark.parametrize("server", ["gunicorn", "granian", "uvicorn"])
def test_who_got_an_answer_has_not_left_and_who_left_has(tmp_path: Path, server: str) -> None:
    with served(tmp_path, server) as client:
        answered(client)
        if server != "granian":
            # That one says so from another thread, so that it may be late.
            abandoned(client, *PATHS)


@pytest.mark.wide
@pytest.mark.parametrize("package", ["gunicorn==25.3.0", "gunicorn==27.0.1", "hypercorn==0.18.0"])
def test_other_servers_and_versions(tmp_path: Path, package: str) -> None:
    name = package.partition("=")[0]
    with served(tmp_path, name, package) as client:
        answered(client)
        # This one says that everybody has left who sent a body, so it is not believed.
        abandoned(client, *(PATHS if package != "gunicorn==25.3.0" else ("/unread",)))
