"""What the source `variants` promises: latency from commit to /metrics, scrapes under load, memory, query times."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeVar

import aiohttp
import psycopg2
import psycopg2.extensions
import yaml

from demo import variants_tables
from ml_monitoring.exporter.database import PostgresSession, Row
from ml_monitoring.exporter.snapshot import Renderer
from ml_monitoring.exporter.sources.variants import VariantsSettings, VariantsSource
from tools.bench.results import Result, percentile
from tools.postgres import PostgresServer
from tools.processes import Process, free_port, http_ok

T = TypeVar("T")

_SCRAPERS = 500
_SCRAPE_INTERVAL = 5.0
_UPDATES_A_SECOND = 200
_COMMITS = 200
_CONTENT = "a post of some length " * 20
_REFRESHES = b'ml_monitoring_source_refresh_duration_seconds_count{source="variants"}'
_VIEWS = re.compile(rb'variant_views_total\{[^}]*variant="v1"\} (\S+)')

# Personas, and variants of each: a tenth is active, four tenths were killed.
_FILL = """
    insert into variants (id, persona_id, content, predicted_er, pattern_used, status, posted_at)
    select 'v' || n, 'persona ' || n %% %(personas)s, %(content)s, 0.03 + (n %% 7) * 0.01, 'pattern ' || n %% 5,
           case when n / %(personas)s %% 10 = 0 then 'active' when n / %(personas)s %% 10 < 5 then 'killed'
           else 'ended' end,
           now() - make_interval(mins => n / %(personas)s * 30 + 1)
    from generate_series(1, %(variants)s) n;
    insert into variant_monitoring (variant_id, persona_id, current_er, interaction_count, view_count, last_updated)
    select id, persona_id, 0.05, 20 + hashtext(id) %% 20, 1000 + hashtext(id) %% 500, now() from variants;
    insert into variant_kills (variant_id, persona_id, reason, final_engagement_rate, sample_size, posted_at, killed_at)
    select id, persona_id, 'reason ' || hashtext(id) %% 3, 0.01, 300, posted_at, posted_at + interval '40 min'
    from variants where status = 'killed' and posted_at < now() - interval '40 min';
    insert into dashboard_events (event_type, persona_id, variant_id, event_data, created_at)
    select 'event ' || n %% 8, 'persona ' || n %% %(personas)s, 'v' || n %% %(variants)s, '{"views": 100}',
           now() - make_interval(secs => n * 0.5)
    from generate_series(1, %(events)s) n;
"""


def run(options: argparse.Namespace) -> list[Result]:
    """Measure on a PostgreSQL server of its own."""
    small = 10 if options.quick else 1
    with PostgresServer(settings={"shared_buffers": "256MB"}) as server:
        results = _queries(server, personas=1000 // small, variants=100_000 // small, events=1_000_000 // small)
        uri = _database(server, "small", personas=4, variants=400, events=4000)
        results += _latency(uri, _COMMITS // small)
        results += _load(uri, seconds=30 // small)
    return results


def _database(server: PostgresServer, name: str, **sizes: int) -> str:
    _say(f"filling a database: {', '.join(f'{number} {what}' for what, number in sizes.items())}")
    uri = server.create_database(name)
    variants_tables.apply(uri)
    with _connected(uri) as connection, connection.cursor() as cursor:
        cursor.execute(_FILL, {**sizes, "content": _CONTENT})
        cursor.execute("vacuum analyze")
    return uri


class _TimedSession(PostgresSession):
    """Notes how long each statement takes, result included."""

    def __init__(self, uri: str, *, timeout: float) -> None:
        super().__init__(uri, timeout=timeout)
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)

    def rows(self, sql: str, **parameters: object) -> list[Row]:
        """Run a query and return all rows."""
        began = time.perf_counter()
        rows = super().rows(sql, **parameters)
        self.seconds[" ".join(sql.split())[:60]].append(time.perf_counter() - began)
        return rows


def _queries(server: PostgresServer, **sizes: int) -> list[Result]:
    uri = _database(server, "large", **sizes)
    settings = VariantsSettings(uri=uri, max_series=1_000_000)
    source = VariantsSource(settings)
    session = _TimedSession(uri, timeout=settings.timeout)
    source._session = session  # the session of its own cannot be timed from outside
    try:
        _say("reading it")
        first, families = _timed(source.collect)
        second, families = _timed(source.collect)
        rendering, _snapshot = _timed(lambda: Renderer().render(families))
        changed = []
        for number in range(20):
            source._changes.add(f"persona {number}")  # what the listener does
            changed.append(_timed(source.collect)[0])
    finally:
        source.close()
    slowest = sorted(session.seconds.items(), key=lambda item: -max(item[1]))
    for sql, seconds in slowest[:5]:
        _say(f"{1000 * max(seconds):6.1f} ms at most, {len(seconds):3} times: {sql}")
    worst = max(percentile(seconds, 0.95) for seconds in session.seconds.values() if len(seconds) > 2)
    every = [one for seconds in session.seconds.values() for one in seconds]
    size = f"{sizes['events']} events, {sizes['variants']} variants, {sizes['personas']} personas"
    return [
        Result(f"query, 95th percentile of the slowest kind ({size})", 1000 * worst, "ms", limit=50),
        Result("query, 95th percentile of all", 1000 * percentile(every, 0.95), "ms", limit=50),
        Result("query, slowest", 1000 * max(every), "ms"),
        Result("first read of everything", 1000 * first, "ms"),
        Result("later read of everything", 1000 * second, "ms"),
        Result("read of one changed persona, median", 1000 * percentile(changed, 0.5), "ms"),
        Result("rendering of all series", 1000 * rendering, "ms"),
        Result("series", families.series, ""),
    ]


def _latency(uri: str, commits: int) -> list[Result]:
    _say(f"{commits} commits, each waited for")
    found = []
    draw = random.Random(1)  # noqa: S311  # moments, not secrets
    with _exporter(uri) as (process, port), _connected(uri) as connection, connection.cursor() as cursor:
        scrape = HTTPConnection("127.0.0.1", port)
        before = _views(scrape)
        for _ in range(commits):
            # At any moment of the exporter's rhythm.
            time.sleep(draw.uniform(0.1, 0.3))
            cursor.execute("update variant_monitoring set view_count = view_count + 1 where variant_id = 'v1'")
            began = time.perf_counter()
            while (now := _views(scrape)) <= before:
                time.sleep(0.001)
            found.append(time.perf_counter() - began)
            before = now
        memory = _resident(process)
    return [
        Result(f"commit to /metrics, median of {commits}", 1000 * percentile(found, 0.5), "ms"),
        Result("commit to /metrics, 95th percentile", 1000 * percentile(found, 0.95), "ms", limit=100),
        Result("commit to /metrics, maximum", 1000 * max(found), "ms"),
        Result("resident memory", memory, "MB", limit=100),
    ]


def _views(scrape: HTTPConnection) -> float:
    scrape.request("GET", "/metrics")
    match = _VIEWS.search(scrape.getresponse().read())
    if match is None:
        raise RuntimeError("the exporter does not show the variant v1")
    return float(match.group(1))


def _load(uri: str, seconds: int) -> list[Result]:
    _say(f"{_SCRAPERS} scrapers, each every {_SCRAPE_INTERVAL:g} s, {_UPDATES_A_SECOND} commits a second, {seconds} s")
    stop = threading.Event()
    written: list[float] = []
    writer = threading.Thread(target=lambda: written.append(_write(uri, stop)))
    with _exporter(uri) as (process, port):
        before = _samples(port, _REFRESHES)
        began = time.monotonic()
        writer.start()
        try:
            durations, errors = asyncio.run(_scrape(f"http://127.0.0.1:{port}/metrics", seconds))
        finally:
            stop.set()
            writer.join()
        memory = _resident(process)
        refreshes = (_samples(port, _REFRESHES) - before) / (time.monotonic() - began)
    return [
        Result(f"scrapes by {_SCRAPERS} connections", len(durations), ""),
        Result("failed scrapes", errors, "", limit=0),
        Result("scrape, median", 1000 * percentile(durations, 0.5), "ms"),
        Result("scrape, 95th percentile", 1000 * percentile(durations, 0.95), "ms", limit=200),
        Result("scrape, maximum", 1000 * max(durations), "ms"),
        Result("commits meanwhile, a second", written[0], ""),
        Result("refreshes meanwhile, a second", refreshes, "", limit=10.5),
        Result("resident memory under load", memory, "MB", limit=100),
    ]


async def _scrape(url: str, seconds: int) -> tuple[list[float], int]:
    durations: list[float] = []
    errors = 0
    end = time.monotonic() + seconds

    async def scraper(session: aiohttp.ClientSession, offset: float) -> None:
        nonlocal errors
        await asyncio.sleep(offset)
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                async with session.get(url) as response:
                    body = await response.read()
                    errors += response.status != 200 or b"variant_views_total" not in body
            except aiohttp.ClientError:
                errors += 1
            durations.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, _SCRAPE_INTERVAL - (time.perf_counter() - began)))

    connector = aiohttp.TCPConnector(limit=_SCRAPERS)
    async with aiohttp.ClientSession(connector=connector, headers={"Accept-Encoding": "gzip"}) as session:
        await asyncio.gather(*(scraper(session, n * _SCRAPE_INTERVAL / _SCRAPERS) for n in range(_SCRAPERS)))
    return durations, errors


def _write(uri: str, stop: threading.Event) -> float:
    """Commit updates at a steady pace until told to stop; return how many a second."""
    count = 0
    began = time.monotonic()
    with _connected(uri) as connection, connection.cursor() as cursor:
        while not stop.wait(max(0.0, began + count / _UPDATES_A_SECOND - time.monotonic())):
            cursor.execute(
                "update variant_monitoring set view_count = view_count + 1, last_updated = now() where variant_id = %s",
                (f"v{1 + count % 400}",),
            )
            count += 1
    return count / (time.monotonic() - began)


@contextlib.contextmanager
def _exporter(uri: str) -> Iterator[tuple[Process, int]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        port = free_port()
        config = Path(folder) / "ml-monitoring.yml"
        config.touch(mode=0o600)
        config.write_text(yaml.safe_dump({"web": {"port": port}, "sources": {"variants": {"uri": uri}}}))
        process = Process(
            "exporter",
            [sys.executable, "-m", "exporter", "serve", "--config", config],
            log=Path(folder) / "exporter.log",
            healthy=lambda: http_ok(f"http://127.0.0.1:{port}/-/ready"),
        )
        with process:
            deadline = time.monotonic() + 10
            while not _samples(port, b"variant_notifications_active") and time.monotonic() < deadline:
                time.sleep(0.05)
            yield process, port


def _samples(port: int, series: bytes) -> float:
    scrape = HTTPConnection("127.0.0.1", port)
    scrape.request("GET", "/metrics")
    found = re.search(rb"^" + re.escape(series) + rb" (\S+)$", scrape.getresponse().read(), re.MULTILINE)
    scrape.close()
    return float(found.group(1)) if found else 0.0


@contextlib.contextmanager
def _connected(uri: str) -> Iterator[psycopg2.extensions.connection]:
    with contextlib.closing(psycopg2.connect(uri)) as connection:
        connection.autocommit = True
        yield connection


def _resident(process: Process) -> float:
    """Return the resident memory of a process in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    kilobytes = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes.group(1)) / 1000 if kilobytes else float("nan")


def _timed(function: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def _say(text: str) -> None:
    print(f">> {text}", flush=True)
