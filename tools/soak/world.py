"""All that runs in a soak."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import json
import os
import random
import resource
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import yaml

from demo import variants_tables
from demo.mlflow import open_store
from tools.postgres import PostgresServer
from tools.processes import Process, Server, free_port, http_ok
from tools.soak.checker import Limits, Watched, scrape
from tools.soak.stores import FleetFile, PostgresDatabase, PostgresMlflowStore, SqliteStore, Store, VariantsStore
from tools.soak.truth import series
from tools.stack import ROOT

INTERVAL, TIMEOUT = 1.0, 3.0
LIMITS = Limits(INTERVAL, TIMEOUT)
_LIBRARIES = ["x86_64-linux-gnu/faketime", "aarch64-linux-gnu/faketime", "faketime"]
_EXPERIMENTS = ("churn", "fraud", "ranking")
_RECEIVER = "mlops-warning"
_POST_TIMEOUT = 5.0


def find_faketime() -> Path | None:
    """Return libfaketime for programs with threads, None where it is not installed (Debian's package faketime)."""
    candidates = (Path("/usr/lib", folder, "libfaketimeMT.so.1") for folder in _LIBRARIES)
    return next((path for path in candidates if path.exists()), None)


class SmallDisk(Server):
    """A folder on a file system of a few megabytes; where none can be mounted, a limit to the size of files.

    Args:
        folder: Where it is mounted; made here.
        megabytes: Its size.
    """

    def __init__(self, folder: Path, *, megabytes: int) -> None:
        self.folder = folder
        self.mounted = False
        self._megabytes = megabytes
        self._filler = folder / "filler"

    def start(self) -> Self:
        """Mount it if that is allowed."""
        self.folder.mkdir(parents=True)
        libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
        options = f"size={self._megabytes}m".encode()
        self.mounted = libc.mount(b"soak", os.fsencode(self.folder), b"tmpfs", 0, options) == 0
        return self

    def stop(self) -> None:
        """Unmount it."""
        if self.mounted:
            libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
            # Lazily: what a process that is ending still has open does not matter.
            libc.umount2(os.fsencode(self.folder), 2)

    def fill(self, processes: Sequence[Process]) -> None:
        """Leave no space."""
        if not self.mounted:
            for process in processes:
                _limit_files(process, 4096)
            return
        piece = b"\0" * 65536
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while file.write(piece):
                pass

    def free(self, processes: Sequence[Process]) -> None:
        """Give the space back."""
        if not self.mounted:
            for process in processes:
                _limit_files(process, resource.RLIM_INFINITY)
        self._filler.unlink(missing_ok=True)


def _limit_files(process: Process, size: int) -> None:
    if process.pid is not None:
        _soft, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size if hard < 0 else min(size, hard), hard))


class Poster:
    """Posts a notification a second to the alert log, and compares its total with what it acknowledged.

    Args:
        url: Of the alert log.

    Attributes:
        sent: How many were posted.
        acknowledged: How many of them it took.
        missing: How many it had taken and did not have any more, the most seen.
    """

    def __init__(self, url: str) -> None:
        self.sent = self.acknowledged = self.missing = self.unexpected = 0
        self.right_at = 0.0
        self._url = url

    def run(self, stop: threading.Event) -> None:
        """Post until told to stop."""
        while not stop.wait(1):
            self.post()
            self.compare()

    def post(self) -> None:
        """Post one notification."""
        self.sent += 1
        alert = {
            "status": "firing",
            "labels": {"alertname": "Soak", "severity": "warning", "team": "mlops", "number": str(self.sent)},
            "annotations": {"summary": "It broke.", "description": "In a soak."},
            "startsAt": datetime.now(UTC).isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": f"{self.sent:016x}",
        }
        body = {"version": "4", "receiver": _RECEIVER, "status": "firing", "groupKey": "soak", "alerts": [alert]}
        request = urllib.request.Request(  # noqa: S310  # a server of our own
            f"{self._url}/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with contextlib.suppress(OSError, urllib.error.URLError), opener.open(request, timeout=_POST_TIMEOUT):
            self.acknowledged += 1

    def compare(self) -> None:
        """Ask for the total."""
        asked = time.monotonic()
        samples = scrape(f"{self._url}/metrics")
        total = (samples or {}).get(series("alert_notifications_total", receiver=_RECEIVER, status="firing"))
        if total is None:
            return
        self.missing = max(self.missing, self.acknowledged - int(total))
        self.unexpected = max(self.unexpected, int(total) - self.sent)
        if total >= self.acknowledged:
            self.right_at = asked


class World(Server):
    """Two exporters, the alert log, their stores; a context manager.

    One exporter is killed, frozen and has its clock moved. The other runs from the start to the end, so that its
    memory shows a leak.

    Args:
        directory: Empty folder.
        chance: Decides what is written.
        hours: How long it is meant to run, for the size of the disk.
    """

    def __init__(self, directory: Path, chance: random.Random, *, hours: float) -> None:
        self._directory = directory
        self._chance = chance
        self._stack = contextlib.ExitStack()
        self.faketime = find_faketime()
        self.clock = directory / "clock"
        self.disk = SmallDisk(directory / "disk", megabytes=16 + int(16 * hours))
        self.server = PostgresServer()

    def start(self) -> Self:
        """Make the stores and start everything."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.server)
            stack.enter_context(self.disk)
            self._make_stores()
            self.clock.write_text("+0\n", encoding="ascii")
            self.alert_log_url, self.alert_log = self._alert_log()
            self.victim = self._exporter("exporter under attack", self.sqlite, fake_clock=True)
            self.steady = self._exporter("exporter left alone", self.mlflow, fake_clock=False)
            for process in (self.alert_log, self.victim.process, self.steady.process):
                stack.enter_context(process)
            self.poster = Poster(self.alert_log_url)
            self._stack = stack.pop_all()
        return self

    def stop(self) -> None:
        """Stop everything."""
        self._stack.close()

    @property
    def watched(self) -> list[Watched]:
        """Return the exporters."""
        return [self.victim, self.steady]

    @property
    def stores(self) -> list[Store]:
        """Return all stores."""
        return [self.sqlite, self.mlflow, self.variants, self.fleet]

    @property
    def logs(self) -> list[Path]:
        """Return the logs of the project's own processes."""
        return [each.log for each in (self.victim.process, self.steady.process, self.alert_log)]

    def _make_stores(self) -> None:
        path = self._directory / "mlflow.db"
        _make_mlflow(f"sqlite:///{path}")
        self.sqlite = SqliteStore(path, self._chance)
        mlflow_uri = self.server.create_database("mlflow")
        _make_mlflow(mlflow_uri)
        self.mlflow = PostgresMlflowStore(mlflow_uri, self._chance)
        variants_uri = self.server.create_database("variants")
        variants_tables.apply(variants_uri)
        self.variants = VariantsStore(variants_uri, self._chance)
        self.databases = {name: PostgresDatabase(self.server, name) for name in ("mlflow", "variants")}
        self.fleet = FleetFile(self.disk.folder / "fleet.csv", self._chance)
        for store in self.stores:
            store.step()

    def _exporter(self, name: str, mlflow: Store, *, fake_clock: bool) -> Watched:
        port = free_port()
        common = {"interval": f"{INTERVAL:g}s", "timeout": f"{TIMEOUT:g}s"}
        uri = f"sqlite:///{self.sqlite.path}" if mlflow is self.sqlite else self.server.uri(database="mlflow")
        settings: dict[str, Any] = {
            "web": {"host": "127.0.0.1", "port": port},
            "sources": {
                "mlflow": {**common, "uri": uri, "first_timeout": f"{TIMEOUT:g}s"},
                "variants": {**common, "uri": self.server.uri(database="variants")},
                "fleet": {**common, "path": str(self.fleet.path), "mode": "follow"},
            },
        }
        config = self._directory / f"{name.replace(' ', '-')}.yml"
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        config.chmod(0o600)
        env = {}
        if fake_clock and self.faketime is not None:
            env = {
                "LD_PRELOAD": str(self.faketime),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1",
                # As on a machine whose time of day is set.
                "DONT_FAKE_MONOTONIC": "1",
            }
        process = Process(
            name,
            [sys.executable, "-m", "exporter", "serve", "--config", config],
            log=config.with_suffix(".log"),
            env=env,
            cwd=ROOT,
            healthy=lambda: http_ok(f"http://127.0.0.1:{port}/-/healthy"),
        )
        stores = {store.source: store for store in (mlflow, self.variants, self.fleet)}
        return Watched(name, process, f"http://127.0.0.1:{port}/metrics", stores)

    def _alert_log(self) -> tuple[str, Process]:
        url = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "alerting", "log", f"--listen={url.removeprefix('http://')}",
                   f"--directory={self.disk.folder / 'alertlog'}"]  # fmt: skip
        return url, Process(
            "alert log",
            command,
            log=self._directory / "alertlog.log",
            cwd=ROOT,
            healthy=lambda: http_ok(f"{url}/metrics"),
        )


def _make_mlflow(uri: str) -> None:
    client = open_store(uri)
    for name in _EXPERIMENTS:
        client.create_experiment(name)


def free_space(folder: Path) -> int:
    """Return the free bytes of a folder's file system."""
    return shutil.disk_usage(folder).free
