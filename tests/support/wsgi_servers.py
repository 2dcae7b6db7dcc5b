"""Real servers for applications under test, and what a scrape of them says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.serving import make_server

from tools.processes import wait_until

# Seconds that only a defect takes; longer than the client waits for an answer.
PATIENCE = 20.0
# uvicorn hangs up after an exception, so a connection cannot be used again.
FRESH = httpx.Limits(max_keepalive_connections=0)
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@contextmanager
def asgi_server(app: Any, **options: Any) -> Iterator[httpx.Client]:
    """Run the application under uvicorn and yield a client of it."""
    # h11 passes on methods of any name; httptools, where installed, refuses them before the application sees them.
    config = {"ws": "none", "http": "h11", **options}
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", **config))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert wait_until(lambda: server.started, timeout=PATIENCE), "uvicorn did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, limits=FRESH) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10)


def ask_asgi(app: Any, path: str, method: str = "GET", *, host: str = "x", root_path: str = "") -> int:
    """Ask the application without a server; return the status."""

    async def ask() -> int:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return (await client.request(method, path)).status_code

    return asyncio.run(ask())


@contextmanager
def wsgi_server(app: Any) -> Iterator[httpx.Client]:
    """Run the application under werkzeug's server and yield a client of it."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", timeout=10, limits=FRESH) as client:
            yield client
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def parse(text: str) -> Samples:
    """Return every sample by its name and sorted labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(client: httpx.Client) -> Samples:
    """Scrape the service."""
    response = client.get("/metrics")
    assert response.status_code == 200
    return parse(response.text)


def lines(client: httpx.Client, *names: str) -> list[str]:
    """Return the sample lines of these metrics, sorted, without requests that nobody has made yet."""
    text = client.get("/metrics").text
    prepared = ("ml_http_requests_total{", "ml_websocket_connections_total{", "ab_test_requests_total{")
    return sorted(
        line
        for line in text.splitlines()
        if line.startswith(names) and not (line.startswith(prepared) and line.endswith(" 0.0"))
    )


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds: a request is booked just after its client has the last byte."""
    assert wait_until(condition, timeout=PATIENCE, poll=0.02), "did not become true in time"
