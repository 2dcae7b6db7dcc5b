"""What is watched: services under traffic, a fleet that reports to a file, and a disk."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry

from ml_monitoring.instrument import Recorder
from ml_monitoring.instrument.wsgi import WSGIMiddleware
from tools.processes import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_SLOW_SECONDS = 0.6


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass  # scrapes come each second


class Service(Server):
    """An application behind the real middleware, asked by itself; Prometheus scrapes it over HTTP.

    Attributes:
        rate: Requests a second.
        slow_each: Every so many-th request is slow; 0 for none.
        fail_each: Every so many-th request fails; 0 for none.
    """

    def __init__(self, *, rate: float) -> None:
        self.rate = rate
        self.slow_each = 0
        self.fail_each = 0
        self._number = 0
        self._app = WSGIMiddleware(self._answer, Recorder(registry=CollectorRegistry()))
        self._server = make_server("127.0.0.1", 0, self._app, handler_class=_Quiet)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), name="scrapes", daemon=True),
            threading.Thread(target=self._ask, name="traffic", daemon=True),
        ]

    def start(self) -> Self:
        """Begin to answer and to ask."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Stop asking and answering."""
        self._stop.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()

    def rush(self, requests: int) -> None:
        """Answer many requests well at once: the past that a service has when something happens to it."""
        for _ in range(requests):
            self._request("fine")

    def _ask(self) -> None:
        while not self._stop.wait(1 / self.rate):
            self._number += 1
            if self.slow_each and self._number % self.slow_each == 0:
                threading.Thread(target=self._request, args=("slow",), daemon=True).start()
            elif self.fail_each and self._number % self.fail_each == 0:
                self._request("failing")
            else:
                self._request("fine")

    def _request(self, kind: str) -> None:
        environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/{kind}", "SERVER_PROTOCOL": "HTTP/1.1"}
        body = self._app(environ, _ignore)
        for _part in body:
            pass
        getattr(body, "close", lambda: None)()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        kind = environ["PATH_INFO"]
        if kind == "/slow":
            time.sleep(_SLOW_SECONDS)
        start_response("503 Service Unavailable" if kind == "/failing" else "200 OK", [])
        return [b""]


def _ignore(*_arguments: object) -> Callable[[bytes], object]:
    return lambda _text: None


class Fleet(Server):
    """Servers that report to one file each second.

    Attributes:
        troubled: How many of them are in trouble.
    """

    def __init__(self, path: Path, *, size: int) -> None:
        self.troubled = 0
        self._path = path
        self._size = size
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._report, name="fleet", daemon=True)
        path.write_text(
            "timestamp,server_name,profile,state,cpu_pct,mem_pct,latency_ms,error_rate,disk_io_mb_s,net_in_mb_s,"
            "net_out_mb_s,gc_pause_ms\n",
            encoding="utf-8",
        )

    def start(self) -> Self:
        """Begin to report."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop reporting."""
        self._stop.set()
        self._thread.join()

    def _report(self) -> None:
        while not self._stop.wait(1):
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            with self._path.open("a", encoding="utf-8") as file:
                for number in range(self._size):
                    values = "critical_issue,99,95,2000,0.5" if number < self.troubled else "online,40,50,50,0.001"
                    file.write(f"{now},web-{number:03},web,{values},10,10,10,5\n")


class Disk:
    """Fills the disk without writing: space is set aside for a while, as fast as would fill it within minutes.

    Args:
        folder: On the disk.
    """

    # Of the space that is free, each second: twice as fast as the alert's condition, whatever others write meanwhile.
    _SHARE = 1 / 150
    # A sixth of it, so that others still have some.
    _STEPS = 25

    def __init__(self, folder: Path) -> None:
        self._path = folder / "filling"
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def fill(self) -> None:
        """Begin."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._fill, name="disk", daemon=True)
        self._thread.start()

    def free(self) -> None:
        """Stop, and give the space back."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._path.unlink()
            self._thread = None

    def _fill(self) -> None:
        step = int(shutil.disk_usage(self._path.parent).free * self._SHARE)
        with self._path.open("wb") as file:
            size = 0
            while not self._stop.wait(1):
                if size >= self._STEPS * step:
                    continue
                os.posix_fallocate(file.fileno(), size, step)
                size += step
