"""The exporter on a big MLflow store, beside two other exporters of SQL and the floor.

The floor is a bare server that sends the same bytes. All four answer in turns, round by round, so that what else the
machine does strikes all of them; what is printed are medians over the rounds, and ratios within a round.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tools.bench import mlflow_store
from tools.bench.mlflow_answers import Target, measure, results, summary
from tools.bench.mlflow_refreshes import Refreshes, first_read
from tools.bench.mlflow_store import Size
from tools.bench.progress import Progress
from tools.bench.results import Result
from tools.bench.sql_peers import PeerError, query_exporter, sql_exporter
from tools.bench.usage import answers
from tools.postgres import PostgresServer
from tools.processes import Process, free_port

_UP = 'ml_monitoring_source_up{source="mlflow"} 1.0'
# Parallel workers are processes of their own; without them all work of a query is where it is measured.
_SERVER = {"shared_buffers": "512MB", "max_wal_size": "4GB", "max_parallel_workers_per_gather": "0"}
_INTERVAL = 15
_COMMITS = 10
_CHANGED = 100
# What is promised of stores of these sizes.
_FIRST_SECONDS = {1_000_000: 10.0}
_MEMORY_MB = {1_000_000: 200.0, 10_000_000: 600.0}


def run(options: argparse.Namespace) -> list[Result]:
    """Measure on a store of its own."""
    quick = options.quick
    size = Size(options.runs or (2_000 if quick else 100_000), options.metric_rows or (10_000 if quick else 5_000_000))
    small = Size(size.runs // 10, size.metric_rows // 10)
    larger = [] if quick else [size.runs * 10]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        PostgresServer(settings=_SERVER) as server,
        Progress() as progress,
    ):
        folder = Path(name)
        bench = _Bench(server, folder, progress, quick=quick)
        refreshes: dict[int, Refreshes] = {}
        if "refreshes" in options.parts:
            bench.grow(small)
            refreshes[small.runs] = bench.refresh(small)
        bench.grow(size)
        if "refreshes" in options.parts:
            refreshes[size.runs] = bench.refresh(size)
        targets, outcome = bench.answer(rounds=2 if quick else 4) if "scrapes" in options.parts else ([], [])
        if "start" in options.parts:
            outcome += bench.start_and_commit()
        if "rendering" in options.parts:
            outcome += bench.while_rendering(series=10_000 if quick else 100_000)
        if "refreshes" in options.parts:
            for runs in [*larger, *([options.grow] if options.grow else [])]:
                bench.grow(Size(runs, size.metric_rows))
                refreshes[runs] = bench.refresh(Size(runs, 0))
    found = [*refresh_results(refreshes), *outcome]
    if targets:
        print(summary(targets))
    if options.json:
        _write(options.json, size, targets, refreshes, found)
    return found


def _write(path: Path, size: Size, targets: list[Target], refreshes: dict[int, Refreshes], found: list[Result]) -> None:
    """Write the figures; those of parts that were measured before stay."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    content |= {"runs": size.runs, "metric_rows": max(size.metric_rows, content.get("metric_rows", 0))}
    content.setdefault("answers", {}).update({target.name: target.figures() for target in targets})
    content.setdefault("refreshes", {}).update({str(runs): asdict(found) for runs, found in refreshes.items()})
    content.setdefault("results", {}).update({result.what.strip(): asdict(result) for result in found})
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


class _Bench:
    """One store, and what is measured on it."""

    def __init__(self, server: PostgresServer, folder: Path, progress: Progress, *, quick: bool) -> None:
        self._server = server
        self._folder = folder
        self._progress = progress
        self._quick = quick
        self._size = Size(0, 0)
        progress.step("making an empty store")
        self._reader = mlflow_store.create(server)

    def grow(self, size: Size) -> None:
        mlflow_store.grow(
            self._server, self._size, size, lambda what: self._progress.step(f"{size.runs:,} runs: {what}")
        )
        self._size = size

    def refresh(self, size: Size) -> Refreshes:
        """Measure refreshes: the first, idle ones, and after some runs changed."""
        self._progress.step(f"{size.runs:,} runs: refreshes")
        command = [sys.executable, "-m", "tools.bench.mlflow_refresh", self._reader]
        found = Refreshes.measure(
            command, lambda number: mlflow_store.change_runs(self._server, size, _CHANGED, number), self._quick
        )
        # On the clock it is what people have: with as many workers as PostgreSQL takes by default.
        role = f"alter role {mlflow_store.READER}"
        self._server.execute(f"{role} set max_parallel_workers_per_gather = 2")
        first = first_read(command)
        self._server.execute(f"{role} reset max_parallel_workers_per_gather")
        return replace(found, first=first)

    def answer(self, rounds: int) -> tuple[list[Target], list[Result]]:
        """Measure scrapes of all, in turns."""
        targets = []
        ours = self._exporter("exporter", interval=_INTERVAL)
        processes = [ours[1]]
        try:
            ours[1].start()
            targets.append(Target("this exporter", *ours))
            self._progress.step("starting the neighbours")
            for kind in (query_exporter, sql_exporter):
                try:
                    url, process = kind(self._reader, self._folder, _INTERVAL)
                except PeerError as error:
                    print(f"left out: {error}", file=sys.stderr)
                    continue
                processes.append(process.start())
                targets.append(Target(process.name, url, process))
            body = self._folder / "body.txt"
            body.write_text(answers(ours[0]), encoding="utf-8")
            port = free_port()
            command: list[str | Path] = [sys.executable, "-m", "tools.bench.floor", str(port), body]
            url = f"http://127.0.0.1:{port}/metrics"
            floor = Process("floor", command, log=self._folder / "floor.log", healthy=lambda: bool(answers(url)))
            processes.append(floor.start())
            targets.insert(0, Target("floor", url, floor))
            measure(targets, rounds, self._progress, quick=self._quick)
        finally:
            for process in processes:
                process.stop()
        floor_, ours_, *peers = targets
        return targets, results(floor_, ours_, peers)

    def start_and_commit(self) -> list[Result]:
        """Measure the time until all is shown, and from a commit until it is."""
        self._progress.step("start, and commits")
        url, process = self._exporter("commits", interval=1)
        started = time.perf_counter()
        with process:
            while _UP not in answers(url):
                time.sleep(0.02)
            start = time.perf_counter() - started
            delays = [self._commit(url, number) for number in range(2 if self._quick else _COMMITS)]
        return [
            Result("start to the first complete snapshot", start, "s", limit=3),
            Result("commit to /metrics, worst, interval of 1 s", 1000 * max(delays), "ms", limit=1100),
        ]

    def _commit(self, url: str, number: int) -> float:
        name = f"commit-{number}"
        self._server.execute(
            f"""insert into experiments (name, lifecycle_stage, creation_time, last_update_time, workspace)
                values ('{name}', 'active', 1, 1, 'default')""",  # noqa: S608  # a name of our own
            mlflow_store.DATABASE,
        )
        committed = time.perf_counter()
        with contextlib.closing(HTTPConnection(urlsplit(url).netloc)) as scrape:
            while True:
                # Compressed, so that looking takes little of what refreshing needs.
                scrape.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
                body = scrape.getresponse().read()
                seen = time.perf_counter()
                if f'experiment="{name}"'.encode() in gzip.decompress(body):
                    return seen - committed
                time.sleep(0.005)

    def while_rendering(self, series: int) -> list[Result]:
        """Measure scrapes of an exporter that renders that many changed series all the time."""
        self._progress.step(f"scrapes while {series:,} series are rendered")
        found = {}
        for kind in ("still", "changing"):
            port = free_port()
            url = f"http://127.0.0.1:{port}/metrics"
            command = [sys.executable, "-m", "tools.bench.mlflow_busy", str(port), str(series), kind]
            with Process(kind, command, log=self._folder / f"{kind}.log") as process:
                while f'{{table="t{series - 1}"}}' not in answers(url):
                    time.sleep(0.1)
                target = Target(kind, url, process)
                target.load(1, "gzip", requests=100 if self._quick else 600, seconds=15)
                found[kind] = target.cells["gzip 1"]
        return [
            Result(f"scrape p99, {series:,} series at rest, gzip", 1000 * found["still"].p99, "ms"),
            Result(f"scrape p99, {series:,} series always rendered, gzip", 1000 * found["changing"].p99, "ms"),
        ]

    def _exporter(self, name: str, interval: int) -> tuple[str, Process]:
        port = free_port()
        config = self._folder / f"{name}.yaml"
        section = {"uri": self._reader, "interval": f"{interval}s", "timeout": "5m", "max_series": 1_000_000}
        config.write_text(json.dumps({"web": {"port": port}, "sources": {"mlflow": section}}), encoding="utf-8")
        url = f"http://127.0.0.1:{port}/metrics"
        command: list[str | Path] = [sys.executable, "-m", "exporter", "serve", "--config", config]
        log = self._folder / f"{name}.log"
        return url, Process(name, command, log=log, healthy=lambda: _UP in answers(url), start_timeout=300)


def refresh_results(refreshes: Mapping[int, Refreshes], where: str = "") -> list[Result]:
    """Return what refreshes cost beside what they may.

    Args:
        refreshes: By runs in the store.
        where: What is added to each name.
    """
    results = []
    for count, found in refreshes.items():
        at = f"{count:,} runs{where}"
        results += [
            Result(f"database time of the first refresh, {at}", 1000 * found.full, "ms"),
            Result(f"  and on the clock, {at}", found.first, "s", limit=_FIRST_SECONDS.get(count)),
            Result(f"database time of an idle refresh, {at}", 1000 * found.idle, "ms", limit=5),
            Result(f"database time when {_CHANGED} runs changed, {at}", 1000 * found.changed, "ms", limit=50),
            Result(f"  and the scan of `runs` that tells which, {at}", 1000 * found.scan, "ms"),
            Result(f"memory of the source, {at}", found.memory / 1e6, "MB", limit=_MEMORY_MB.get(count)),
            Result(f"  a run, {at}", found.memory / count, "bytes"),
        ]
    return results
