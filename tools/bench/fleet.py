"""What the source `fleet` promises: a file of five million rows is followed in bounded memory, and how fast.

A real exporter follows the file from its beginning while its peak memory is read from the kernel. Beside it stands a
plain `pandas.read_csv` of the same file, which checks nothing and holds everything.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import yaml

from demo.fleet import DEFAULT_START, write
from demo.fleet_incident import Incident
from tools.bench.results import Result
from tools.processes import Process, free_port, http_ok

_SERVERS = 1000
_TICKS = 5000
_MEMORY_LIMIT = 150
_TIMEOUT = 600.0
_ROWS = re.compile(rb'^fleet_file_rows_total\{[^}]*outcome="ok"\} (\S+)$', re.MULTILINE)
_PANDAS = """
import resource, sys, time
import pandas
began = time.perf_counter()
rows = len(pandas.read_csv(sys.argv[1], parse_dates=["timestamp"]))
print(rows / (time.perf_counter() - began), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def run(options: argparse.Namespace) -> list[Result]:
    """Measure on files of its own."""
    ticks = _TICKS // 10 if options.quick else _TICKS
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        incident = Incident(
            duration_ms=ticks * 1000, interval_ms=1000, fleet_size=_SERVERS, seed=42, start=DEFAULT_START
        )
        rows = ticks * _SERVERS
        results = []
        paths: dict[str, Path] = {}
        for form in ("csv", "parquet"):
            _say(f"writing {rows:,} rows as {form}")
            began = time.perf_counter()
            paths[form] = write(incident, Path(folder), (form,))[0]
            results.append(
                Result(f"demo data written as {form}", rows / (time.perf_counter() - began) / 1000, "krows/s")
            )
        for form, path in paths.items():
            _say(f"following {path.stat().st_size / 1e6:,.0f} MB of {form} with a real exporter")
            results += _follow(form, path, rows)
        _say("reading the same CSV with pandas.read_csv")
        done = subprocess.run(
            [sys.executable, "-c", _PANDAS, str(paths["csv"])], capture_output=True, text=True, check=True
        )
        speed, memory = map(float, done.stdout.split())
        results += [
            Result("pandas.read_csv, nothing checked", speed / 1000, "krows/s"),
            Result("peak memory of pandas.read_csv", memory, "MB"),
        ]
    return results


def _follow(form: str, path: Path, rows: int) -> list[Result]:
    with _exporter(path) as (process, port):
        began = time.perf_counter()
        before = read = _rows_read(port)
        while read < rows:
            if time.perf_counter() - began > _TIMEOUT:
                raise RuntimeError(f"{read:,.0f} of {rows:,} rows after {_TIMEOUT:g} s")
            time.sleep(0.02)
            read = _rows_read(port)
        elapsed = time.perf_counter() - began
        memory = _peak_memory(process)
    return [
        Result(f"followed and checked, {form}", (rows - before) / elapsed / 1000, "krows/s"),
        Result(f"peak memory of the exporter, {form}", memory, "MB", limit=_MEMORY_LIMIT),
    ]


@contextlib.contextmanager
def _exporter(path: Path) -> Iterator[tuple[Process, int]]:
    port = free_port()
    config = path.with_suffix(".yaml")
    config.write_text(yaml.safe_dump({"web": {"port": port}, "sources": {"fleet": {"path": str(path)}}}))
    process = Process(
        "exporter",
        [sys.executable, "-m", "exporter", "serve", "--config", config],
        log=path.with_suffix(".log"),
        healthy=lambda: http_ok(f"http://127.0.0.1:{port}/-/healthy"),
    )
    with process:
        yield process, port


def _rows_read(port: int) -> float:
    with contextlib.closing(HTTPConnection("127.0.0.1", port)) as scrape:
        scrape.request("GET", "/metrics")
        found = _ROWS.search(scrape.getresponse().read())
    return float(found.group(1)) if found else 0.0


def _peak_memory(process: Process) -> float:
    """Return the highest resident memory that the process ever had, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    kilobytes = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes.group(1)) / 1000 if kilobytes else float("nan")


def _say(text: str) -> None:
    print(f">> {text}", flush=True)
