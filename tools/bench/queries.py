"""Ten metrics by query, each asked every second: ours beside the two exporters that do nothing else."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tools.bench import sql_peers
from tools.bench.progress import Progress
from tools.bench.results import Result
from tools.bench.usage import answers, cpu_seconds, memory_mb
from tools.postgres import PostgresServer
from tools.processes import Process, free_port

_ROWS: Final = 100_000
_SECONDS: Final = 20.0
_TABLE: Final = """
create table orders as
    select i, 'region ' || i % 8 as region, 'shop ' || i % 50 as shop, i % 97 as amount, i % 3 = 0 as sent
    from generate_series(1, {rows}) as i"""
_QUERIES: Final[sql_peers.Queries] = {
    **{
        f"shop_{what}_{by}": ((by,), f"select {by}, {value} as shop_{what}_{by} from orders group by {by}")  # noqa: S608  # constants
        for by in ("region", "shop")
        for what, value in (
            ("orders", "count(*)"),
            ("amount", "sum(amount)"),
            ("waiting", "count(*) filter (where not sent)"),
            ("largest", "max(amount)"),
        )
    },
    "shop_newest": (("region",), "select region, max(i) as shop_newest from orders where sent group by region"),
    "shop_oldest": (("region",), "select region, min(i) as shop_oldest from orders where not sent group by region"),
}


def run(options: argparse.Namespace) -> list[Result]:
    """Measure one after the other on the same table."""
    seconds = _SECONDS / 10 if options.quick else _SECONDS
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, PostgresServer() as server, Progress() as progress:
        folder = Path(name)
        progress.step("filling the table")
        uri = server.create_database("shop")
        server.execute(_TABLE.format(rows=_ROWS // 10 if options.quick else _ROWS), "shop")
        # Their configuration is what ours is made of.
        theirs = sql_peers.query_exporter(uri, folder, 1, _QUERIES)
        contenders = {
            "ours": _ours(uri, folder),
            "query-exporter": theirs,
            "sql_exporter": sql_peers.sql_exporter(uri, folder, 1, _QUERIES),
        }
        for who, (_url, process) in contenders.items():
            progress.step(f"measuring {who}")
            with process:
                results += _measure(who, process, server, seconds)
    return results


def _ours(uri: str, folder: Path) -> tuple[str, Process]:
    command = [sys.executable, "-m", "ml_monitoring", "queries", "import", str(folder / "query-exporter.yaml")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    config = folder / "ml-monitoring.yml"
    config.write_text(done.stdout, encoding="utf-8")
    url = f"http://127.0.0.1:{(port := free_port())}/metrics"
    process = Process(
        "exporter",
        [sys.executable, "-m", "exporter", "serve", "--config", config, f"--web.listen-address=127.0.0.1:{port}"],
        log=folder / "exporter.log",
        healthy=lambda: all(f"\n{metric}{{" in answers(url) for metric in _QUERIES),
        env={**os.environ, "MLFLOW_URI": uri},
    )
    return url, process


def _measure(who: str, process: Process, server: PostgresServer, seconds: float) -> list[Result]:
    pid = process.pid
    assert pid is not None  # noqa: S101  # it is running
    before, asked = cpu_seconds(pid), server.cpu_seconds()
    time.sleep(seconds)
    own, database = cpu_seconds(pid) - before, server.cpu_seconds() - asked
    return [
        Result(f"{who}: processor", 1000 * own / seconds, "ms/s"),
        Result(f"{who}: processor of PostgreSQL", 1000 * database / seconds, "ms/s"),
        Result(f"{who}: memory", memory_mb(pid), "MB"),
    ]
