"""What a scraper notices of clients that no server wants: 2,000 that say nothing, and 300 wrong passwords a second.

The exporter takes turns with Debian's node exporter, which is written in Go and has the same file of users. The scraper
keeps its connection and its right password, scrapes forty times a second, and connects again where it was cut off.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt

from tools.bench.progress import Progress
from tools.bench.results import Result, percentile
from tools.processes import Process, free_port

_IDLE = 2000
_LOGINS = 300
_SPACING = 0.025
_LOADS = {
    "at rest": None,
    f"{_IDLE:,} idle connections": ("idle", _IDLE),
    f"{_LOGINS} bad logins/s": ("logins", _LOGINS),
}
# A tenth of what a scraper waits for, and far above what an idle machine gives.
_LIMIT_MS = 1000.0
_PASSWORD = "right"  # noqa: S105  # of a server that lives for a minute


def run(options: argparse.Namespace) -> list[Result]:
    """Measure both servers under each load."""
    seconds = 2.0 if options.quick else 10.0
    found = []
    with Progress() as progress, tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        hashed = bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(10)).decode()
        (folder / "web.yml").write_text(f'basic_auth_users: {{bench: "{hashed}"}}\n')
        for server, command in _servers(folder).items():
            for load, arguments in _LOADS.items():
                progress.step(f"{server}: {load}")
                with _serving(server, command, folder) as url:
                    times, errors = _scrapes(url, arguments, folder, seconds)
                limit = _LIMIT_MS if server == "exporter" else None
                found.append(
                    Result(f"{server}, {load}: scrapes p99", 1000 * percentile(times, 0.99), "ms", limit=limit)
                )
                none = 0 if server == "exporter" else None
                found.append(Result(f"{server}, {load}: scrapes that failed", errors, "scrapes", limit=none))
    return found


def _servers(folder: Path) -> dict[str, list[str]]:
    (folder / "empty.db").touch()
    source = f"sources: {{mlflow: {{uri: 'sqlite:///{folder}/empty.db'}}}}\n"
    (folder / "exporter.yml").write_text(source)
    file = f"--web.config.file={folder}/web.yml"
    ours = [sys.executable, "-m", "exporter", "serve", f"--config={folder}/exporter.yml", file]
    theirs = ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.loadavg", file]
    return {"exporter": ours, "node exporter": theirs}


@contextlib.contextmanager
def _serving(name: str, command: list[str], folder: Path) -> Iterator[str]:
    port = free_port()
    # Both take it by the same flag.
    listen = f"--web.listen-address=127.0.0.1:{port}"
    process = Process(
        name, [*command, listen], log=folder / "log", healthy=lambda: _scrape(f"http://127.0.0.1:{port}") is not None
    )
    with process:
        yield f"http://127.0.0.1:{port}"


def _scrapes(url: str, load: tuple[str, int] | None, folder: Path, seconds: float) -> tuple[list[float], int]:
    """Return how long scrapes took, and how many failed."""
    times: list[float] = []
    errors = 0
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(contextlib.closing(_connection(url)))
        _ask(connection)
        if load is not None:
            what, number = load
            command = [sys.executable, "-m", "tools.bench.connections_load", what, url, str(number)]
            stack.enter_context(Process(what, command, log=folder / "log"))
            # Until all are open.
            time.sleep(2)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            began = time.perf_counter()
            try:
                errors += _ask(connection) != http.client.OK
            except (OSError, http.client.HTTPException):
                # The server ended the kept connection: scrapers ask once more, over a new one.
                connection.close()
                try:
                    errors += _ask(connection) != http.client.OK
                except (OSError, http.client.HTTPException):
                    errors += 1
                    connection.close()
            times.append(time.perf_counter() - began)
            time.sleep(max(0.0, _SPACING - times[-1]))
    return times, errors


def _connection(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)


def _ask(connection: http.client.HTTPConnection) -> int:
    encoded = base64.b64encode(f"bench:{_PASSWORD}".encode()).decode()
    connection.request("GET", "/metrics", headers={"Authorization": f"Basic {encoded}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _scrape(url: str) -> int | None:
    with contextlib.closing(_connection(url)) as connection, contextlib.suppress(OSError, http.client.HTTPException):
        return _ask(connection)
    return None
