"""A tracking server read over REST: the first read, refreshes, and `MlflowClient` that lists everything at each poll.

All of it on the same server, one after the other. The processor time is that of MLflow's server and of its database.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from mlflow import MlflowClient
from mlflow.entities import ViewType

from ml_monitoring.exporter.sources.mlflow import MlflowSettings
from tools.bench import mlflow_store
from tools.bench.mlflow_refreshes import refresh
from tools.bench.mlflow_store import Size
from tools.bench.progress import Progress
from tools.bench.results import Result
from tools.bench.usage import tree_cpu_seconds
from tools.postgres import PostgresServer
from tools.processes import Process, free_port, http_ok

_RUNS: Final = 100_000
_CHANGED: Final = 100
# So many refreshes take all turns of a round twice.
_REFRESHES: Final = 28
_PAGE: Final = 1000
_Said = TypeVar("_Said")


def run(options: argparse.Namespace) -> list[Result]:
    """Measure both."""
    size = Size((options.runs or _RUNS) // (10 if options.quick else 1), 0)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, PostgresServer() as server, Progress() as progress:
        mlflow_store.create(server)
        mlflow_store.grow(server, Size(0, 0), size, progress.step)
        url, process = _mlflow_server(server, Path(folder))
        with process:
            return _Bench(url, process, server, size, progress).measure()


class _Bench:
    """Measures one server."""

    def __init__(self, url: str, process: Process, server: PostgresServer, size: Size, progress: Progress) -> None:
        self._url = url
        self._process = process
        self._server = server
        self._size = size
        self._progress = progress
        self._idle = 0.0

    def measure(self) -> list[Result]:
        command = [sys.executable, "-m", "tools.bench.mlflow_refresh", self._url]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as exporter:
            results = self._exporter(lambda: refresh(exporter))
            assert exporter.stdin is not None  # noqa: S101  # it is a pipe
            exporter.stdin.close()
        self._progress.step("MlflowClient")
        seconds, polled, requests = self._timed(lambda: _poll(self._url))
        results += [
            Result("MlflowClient, each poll", seconds, "s"),
            Result("MlflowClient, each poll: requests", requests, ""),
            Result("MlflowClient, each poll: processor of the server", 1000 * polled, "ms"),
            Result("MlflowClient / idle refresh: processor of the server", 1000 * polled / self._idle, "x"),
        ]
        return results

    def _exporter(self, again: Callable[[], dict[str, Any]]) -> list[Result]:
        self._progress.step("first read")
        seconds, work, first = self._timed(again)
        results = [
            Result("first read", seconds, "s", limit=MlflowSettings.model_validate({"uri": self._url}).first_limit),
            Result("first read: requests", first["requests"], ""),
            Result("first read: processor of the server", work, "s"),
            Result("first read: share of a processor that the server takes", 100 * work / seconds, "%"),
            Result("first read: processor of the exporter", first["cpu"], "s"),
            Result("memory of the exporter, at most", first["peak"] / 1e6, "MB"),
            Result("memory of the exporter after it", first["rss"] / 1e6, "MB"),
        ]
        self._progress.step("idle refreshes")
        work, last = 0.0, first
        asked: list[int] = []
        for _ in range(_REFRESHES):
            _, busy, found = self._timed(again)
            work += busy
            asked.append(found["requests"] - last["requests"])
            last = found
        self._idle = 1000 * work / _REFRESHES
        results += [
            Result("idle refresh: requests, at most", max(asked), "", limit=3),
            Result("idle refresh: requests, mean", sum(asked) / _REFRESHES, ""),
            Result("idle refresh: processor of the server", self._idle, "ms"),
        ]
        self._progress.step("refresh with changed runs")
        self._change_runs()
        seconds, work, found = self._timed(again)
        return [
            *results,
            Result(f"{_CHANGED} changed runs: requests", found["requests"] - last["requests"], "", limit=10),
            Result(f"{_CHANGED} changed runs", seconds, "s"),
            Result(f"{_CHANGED} changed runs: processor of the server", 1000 * work, "ms"),
        ]

    def _change_runs(self) -> None:
        """Let runs end, as clients do: with the time of the end."""
        client = MlflowClient(self._url)
        experiment = client.create_experiment("busy")
        # It prints where each run is to be looked at.
        with contextlib.redirect_stdout(io.StringIO()):
            for _ in range(_CHANGED):
                client.set_terminated(client.create_run(experiment).info.run_id)

    def _timed(self, work: Callable[[], _Said]) -> tuple[float, float, _Said]:
        """Return the seconds that something takes, those that the server works for it, and what it returns."""
        busy, began = self._busy(), time.monotonic()
        said = work()
        return time.monotonic() - began, self._busy() - busy, said

    def _busy(self) -> float:
        assert self._process.pid is not None  # noqa: S101  # it is running
        return tree_cpu_seconds(self._process.pid) + self._server.cpu_seconds()


def _poll(url: str) -> int:
    """List experiments, runs and versions as a script does that knows nothing of what it saw; return the requests."""
    client = MlflowClient(url)
    requests = 1
    experiments = [each.experiment_id for each in client.search_experiments(view_type=ViewType.ALL)]
    token: str | None = None
    while token != "":
        page = client.search_runs(experiments, run_view_type=ViewType.ALL, max_results=_PAGE, page_token=token)
        token = page.token or ""
        requests += 1
    token = None
    while token != "":
        versions = client.search_model_versions(max_results=_PAGE, page_token=token)
        token = versions.token or ""
        requests += 1
    return requests


def _mlflow_server(server: PostgresServer, folder: Path) -> tuple[str, Process]:
    store = server.uri(database=mlflow_store.DATABASE).replace("postgresql://", "postgresql+psycopg2://", 1)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", f"--backend-store-uri={store}", f"--port={port}"),
        *("--host=127.0.0.1", "--workers=1", f"--default-artifact-root={folder}/artifacts"),
    ]
    process = Process(
        "mlflow server",
        command,
        log=folder / "mlflow.log",
        env={"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        cwd=folder,
        healthy=lambda: http_ok(f"{url}/health"),
        start_timeout=300.0,
    )
    return url, process
