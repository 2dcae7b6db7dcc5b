"""Many MLflow stores in one exporter: its memory, and how long until each has been read."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

# The client reports usage to its makers unless told otherwise before its import.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient

from tools.bench.progress import Progress
from tools.bench.results import Result
from tools.bench.usage import answers, memory_mb
from tools.processes import Process, free_port, wait_until

_STORES = 50
_RUNS = 1_000
_LIMIT_MB = 250.0
_FILL = (
    """insert into runs (run_uuid, name, source_type, status, lifecycle_stage, start_time, end_time, experiment_id)
       with recursive i(n) as (select 1 union all select n + 1 from i where n < :runs)
       select printf('%032x', n * 7919), 'run', 'LOCAL', 'FINISHED', 'active', 1790000000000 + n,
              1790000000000 + 2 * n, 0 from i""",
    """insert into latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
       with recursive i(n) as (select 1 union all select n + 1 from i where n < :runs),
                      k(m) as (select 1 union all select m + 1 from k where m < 10)
       select printf('%032x', n * 7919), 'metric_' || m, n / 1000.0, 0, 0, 0 from i, k""",
)


def run(options: argparse.Namespace) -> list[Result]:
    """Measure an exporter with many small stores."""
    stores, runs = (5, 100) if options.quick else (_STORES, _RUNS)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Progress() as progress:
        folder = Path(name)
        progress.step(f"making {stores} stores of {runs:,} runs")
        config = _settings(folder, stores, runs)
        port = free_port()
        url = f"http://127.0.0.1:{port}/metrics"
        command: list[str | Path] = [
            *(sys.executable, "-m", "exporter", "serve", "--config.file", config),
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        progress.step("reading them")
        began = time.monotonic()
        with Process("exporter", command, log=folder / "log") as exporter:
            ready = wait_until(
                lambda: answers(url).count('ml_monitoring_source_up{source="mlflow/') == stores, timeout=120
            )
            seconds = time.monotonic() - began
            body = len(answers(url))
            memory = memory_mb(exporter.pid) if exporter.pid is not None and ready else float("inf")
    return [
        Result(f"{stores} stores: memory", memory, "MB", limit=_LIMIT_MB),
        Result(f"{stores} stores: from the start until each was read", seconds, "s"),
        Result(f"{stores} stores: one answer", body / 1000, "kB"),
    ]


def _settings(folder: Path, stores: int, runs: int) -> Path:
    first = folder / "0.db"
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    MlflowClient(tracking_uri=f"sqlite:///{first}").search_experiments()
    with contextlib.closing(sqlite3.connect(first)) as file, file:
        for statement in _FILL:
            file.execute(statement, {"runs": runs})
    lines = ["sources:", "  mlflow:"]
    for number in range(stores):
        path = folder / f"{number}.db"
        if number:
            shutil.copy(first, path)
        lines.append(f"    store-{number}: {{uri: 'sqlite:///{path}'}}")
    config = folder / "ml-monitoring.yml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config
