"""What the alert log promises: notifications acknowledged a second, and memory that does not grow with its history."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from ml_monitoring.alerting.log.notification import Notification, parse
from ml_monitoring.alerting.log.store import AlertLog
from tools.bench.results import Result
from tools.processes import Process, free_port, http_ok

_ALERTS = 1_000_000
_JOURNAL_MB = 100
_POSTS = 20_000
_SENDERS = 16
_MEMORY_LIMIT = 128


def run(options: argparse.Namespace) -> list[Result]:
    """Measure on files of its own."""
    share = 10 if options.quick else 1
    alerts, megabytes = _ALERTS // share, _JOURNAL_MB // share
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        posts = _posts(Path(folder) / "posts", _POSTS // share)
        directory = Path(folder) / "large"
        began = time.perf_counter()
        _fill(directory, alerts)
        rate = alerts / (time.perf_counter() - began)
        _write_journal(directory, megabytes)
        began = time.perf_counter()
        with _served(directory) as (process, port):
            start = time.perf_counter() - began
            for path in ("/metrics", "/", "/api/alerts?since=10y&alertname=nothing"):
                _get(port, path)
            began = time.perf_counter()
            _get(port, "/metrics")
            scrape = time.perf_counter() - began
            memory = _peak_memory(process)
    return [
        Result("notifications acknowledged, each on disk", posts, "/s"),
        Result("alerts written in groups of 500", rate, "/s"),
        Result(f"start with {alerts:,} alerts and a journal of {megabytes} MB", start, "s"),
        Result("scrape", scrape * 1000, "ms"),
        Result("peak memory of all that", memory, "MB", limit=_MEMORY_LIMIT),
    ]


class _served:  # noqa: N801  # read as a verb
    """Run the alert log on a folder; gives its process and port."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        arguments = ["alerts", "log", f"--listen=127.0.0.1:{self.port}", f"--directory={directory}"]
        self.process = Process(
            "alert log",
            [sys.executable, "-m", "ml_monitoring", *arguments],
            log=directory.parent / "alertlog.log",
            healthy=lambda: http_ok(f"http://127.0.0.1:{self.port}/-/ready"),
            start_timeout=600,
        )

    def __enter__(self) -> tuple[Process, int]:
        self.process.start()
        return self.process, self.port

    def __exit__(self, *_: object) -> None:
        self.process.stop()


def _posts(directory: Path, count: int) -> float:
    """Return how many notifications a second are acknowledged."""

    def send(first: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(first, first + count // _SENDERS):
            connection.request("POST", "/alerts", _body(number), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"answered {answer.status}")

    with _served(directory) as (_, port), ThreadPoolExecutor(_SENDERS) as pool:
        began = time.perf_counter()
        list(pool.map(send, range(0, count, count // _SENDERS)))
        return count / (time.perf_counter() - began)


def _fill(directory: Path, count: int) -> None:
    log = AlertLog(directory, retention=90 * 86_400, duplicate_window=120)
    began = time.time() - 80 * 86_400
    for first in range(0, count, 500):
        parts = [parse(_body(number), began + first) for number in range(first, first + 500)]
        alerts = tuple(alert for part in parts for alert in part.alerts)
        log.record([Notification(began + first, "mlops-warning", "firing", f"g{first}", alerts, 0)], began + first)
    log.close()


def _write_journal(directory: Path, megabytes: int) -> None:
    lines = b"".join(
        json.dumps({"received": time.time(), "notification": json.loads(_body(10**9 + number))}).encode() + b"\n"
        for number in range(2_000)
    )
    with (directory / "notifications-2026-11-18.jsonl").open("wb") as file:
        while file.tell() < megabytes << 20:
            file.write(lines)


def _body(number: int) -> bytes:
    alert: dict[str, Any] = {
        "status": "firing",
        "labels": {"alertname": f"Broken{number % 50}", "severity": "warning", "team": "mlops", "n": str(number)},
        "annotations": {"summary": "It broke.", "description": f"Number {number} broke, and nobody knows why."},
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{number * 2_654_435_761 % 2**64:016x}",
    }
    group = {"version": "4", "receiver": "mlops-warning", "status": "firing", "groupKey": str(number)}
    return json.dumps(group | {"alerts": [alert]}).encode()


def _get(port: int, path: str) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}")


def _peak_memory(process: Process) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("the kernel does not say how much memory it used")
