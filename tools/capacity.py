"""Measure what series cost: memory and disk of Prometheus and VictoriaMetrics, with the real programs.

    python -m tools.capacity                    two sizes, a few minutes; the lines of the table in docs/scale.md

A server exposes series shaped as `mlflow_metric_latest`, of which one in ten changes at each scrape, as stores of
finished runs do. Two sizes are measured, since the difference between them is what series cost and the rest is what
the program takes for itself.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zlib import crc32

import yaml

from tools.packages import MissingProgram, ensure_programs
from tools.processes import Process, ProcessError, free_port, http_ok, running, wait_until

_SIZES = (50_000, 200_000)
_SCRAPES = 12
_SCRAPE_INTERVAL = 5
# Twelve hours at the stack's scrape interval.
_DISK = (200, 2880)
_DISK_INTERVAL = 15
_METRICS_PER_EXPERIMENT = 20
_CHANGES_ONE_IN = 10
_TIMEOUT = 60.0
_MIB = 1024 * 1024


class SyntheticTarget:
    """Exposes a number of series on a free port of 127.0.0.1; some of their values change with each scrape.

    Attributes:
        scrapes: How often it was scraped.
    """

    def __init__(self, series: int) -> None:
        self.scrapes = 0
        self._names = [
            f'mlflow_metric_latest{{experiment="experiment-{number // _METRICS_PER_EXPERIMENT}",'
            f'model_variant="model_{"ab"[number % 2]}",metric="metric_{number % _METRICS_PER_EXPERIMENT}"}}'
            for number in range(series)
        ]
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = gzip.compress(target.render().encode(), compresslevel=1)
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def render(self) -> str:
        """Return the exposition, and count the scrape."""
        self.scrapes += 1
        lines = ["# TYPE mlflow_metric_latest gauge"]
        for number, name in enumerate(self._names):
            # Six digits without any order, as metrics of models have; each changes once in ten scrapes.
            step = (self.scrapes + number) // _CHANGES_ONE_IN
            lines.append(f"{name} {crc32(b'%d %d' % (number, step)) / 2**32:.6f}")
        return "\n".join(lines) + "\n"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self.close()
        self._thread.join()

    def close(self) -> None:
        """Give the port back."""
        self._server.server_close()


@dataclass(frozen=True, slots=True)
class Cost:
    """What one program took for a number of series.

    Attributes:
        program: Its name.
        series: How many series.
        samples: How many samples it had stored at the end.
        memory: Resident memory at its highest, in bytes.
    """

    program: str
    series: int
    samples: int
    memory: int


@dataclass(frozen=True, slots=True)
class Slope:
    """What series cost, from two measurements.

    Attributes:
        program: Its name.
        base: Memory without any series, in bytes.
        per_million: Memory of a million series, in bytes.
    """

    program: str
    base: float
    per_million: float


def slope(small: Cost, large: Cost) -> Slope:
    """Return what series cost from two sizes of the same program.

    Raises:
        ValueError: If the sizes are not in order.
    """
    if small.series >= large.series:
        raise ValueError(f"{small.series} series are not fewer than {large.series}")
    each = (large.memory - small.memory) / (large.series - small.series)
    return Slope(small.program, small.memory - each * small.series, each * 1e6)


def measure(series: int, scrapes: int, interval: int, directory: Path) -> tuple[Cost, Cost]:
    """Scrape so many series so often and return what Prometheus and VictoriaMetrics took.

    Raises:
        MissingProgram: One of the two cannot be had.
        ProcessError: One of the two did not start or did not keep up.
    """
    programs = ensure_programs(["prometheus", "victoria-metrics"])
    with SyntheticTarget(series) as target:
        prometheus_url, victoria_url = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        victoria = Process(
            "victoria-metrics",
            [
                programs["victoria-metrics"],
                f"-storageDataPath={directory / 'victoria'}",
                f"-httpListenAddr={victoria_url.removeprefix('http://')}",
            ],
            log=directory / "victoria.log",
            healthy=lambda: http_ok(f"{victoria_url}/health"),
        )
        config = directory / "prometheus.yml"
        config.write_text(yaml.safe_dump(_config(target.address, interval, victoria_url)), encoding="utf-8")
        prometheus = Process(
            "prometheus",
            [
                programs["prometheus"],
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / 'prometheus'}",
                f"--web.listen-address={prometheus_url.removeprefix('http://')}",
            ],
            log=directory / "prometheus.log",
            healthy=lambda: http_ok(f"{prometheus_url}/-/ready"),
        )
        with running([victoria, prometheus]):
            if not wait_until(lambda: target.scrapes > scrapes, timeout=scrapes * interval * 2 + _TIMEOUT, poll=0.2):
                raise ProcessError(f"only {target.scrapes} of {scrapes} scrapes of {series} series came in time")
            # The queue of remote write is emptied meanwhile.
            time.sleep(interval)
            memory = {each.name: _peak_memory(each) for each in (prometheus, victoria)}
            # What came last is not in answers yet.
            _post(f"{victoria_url}/internal/force_flush", "")
            stored = int(_value(prometheus_url, "sum(count_over_time(mlflow_metric_latest[1h]))"))
            sent = int(_value(victoria_url, "sum(count_over_time(mlflow_metric_latest[1h]))"))
    return (
        Cost("Prometheus", series, stored, memory["prometheus"]),
        Cost("VictoriaMetrics", series, sent, memory["victoria-metrics"]),
    )


def measure_disk(series: int, samples: int, directory: Path) -> dict[str, float]:
    """Write so many series with so many samples each and return the bytes that each program keeps of one, by name.

    Raises:
        MissingProgram: One of the two cannot be had.
        ProcessError: One of the two did not take them.
    """
    programs = ensure_programs(["promtool", "victoria-metrics"])
    target = SyntheticTarget(series)
    target.close()
    first = int(time.time()) - samples * _DISK_INTERVAL
    expositions = [target.render().splitlines() for _ in range(samples)]
    text = directory / "samples.txt"
    with text.open("w", encoding="ascii") as lines:
        lines.write(f"{expositions[0][0]}\n")
        # OpenMetrics wants the samples of a series together.
        for line in range(1, series + 1):
            lines.writelines(f"{each[line]} {first + at * _DISK_INTERVAL}\n" for at, each in enumerate(expositions))
        lines.write("# EOF\n")
    command = [programs["promtool"], "tsdb", "create-blocks-from", "openmetrics", text, directory / "blocks"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProcessError(f"promtool: {done.stderr}")
    url = f"http://127.0.0.1:{free_port()}"
    data = directory / "victoria"
    victoria = Process(
        "victoria-metrics",
        [programs["victoria-metrics"], f"-storageDataPath={data}", f"-httpListenAddr={url.removeprefix('http://')}"],
        log=directory / "victoria.log",
        healthy=lambda: http_ok(f"{url}/health"),
    )
    with victoria:
        for at, each in enumerate(expositions):
            stamp = (first + at * _DISK_INTERVAL) * 1000
            _post(f"{url}/api/v1/import/prometheus", "\n".join(f"{line} {stamp}" for line in each[1:]))
        # Into as few files as it would in the course of time.
        _post(f"{url}/internal/force_flush", "")
        _post(f"{url}/internal/force_merge", "")
        query = "sum(count_over_time(mlflow_metric_latest[1d]))"
        if not wait_until(lambda: _value(url, query) == series * samples, timeout=_TIMEOUT, poll=0.5):
            raise ProcessError(f"VictoriaMetrics took {_value(url, query):.0f} of {series * samples} samples")
    # What it keeps besides is caches.
    kept = sum(_size(data / name) for name in ("data", "indexdb"))
    total = series * samples
    return {"Prometheus": _size(directory / "blocks") / total, "VictoriaMetrics": kept / total}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.capacity", description="Measure what series cost.")
    parser.add_argument("--series", type=int, nargs=2, default=_SIZES, metavar="N", help="two sizes, the smaller first")
    parser.add_argument("--scrapes", type=int, default=_SCRAPES, metavar="N", help=f"default: {_SCRAPES}")
    parser.add_argument("--interval", type=int, default=_SCRAPE_INTERVAL, metavar="SECONDS", help="between scrapes")
    parser.add_argument(
        "--disk", type=int, nargs=2, default=_DISK, metavar="N", help="series, and samples of each, for the disk"
    )
    options = parser.parse_args(argv)
    try:
        measured = []
        for series in options.series:
            with tempfile.TemporaryDirectory(prefix="capacity-") as scratch:
                measured.append(measure(series, options.scrapes, options.interval, Path(scratch)))
            for cost in measured[-1]:
                print(
                    f"{cost.program:<16} {cost.series:>9,} series  {cost.samples:>11,} samples  "
                    f"{cost.memory / _MIB:>6,.0f} MiB memory"
                )
        with tempfile.TemporaryDirectory(prefix="capacity-") as scratch:
            disk = measure_disk(options.disk[0], options.disk[1], Path(scratch))
    except (MissingProgram, ProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    for small, large in zip(*measured, strict=True):
        found = slope(small, large)
        print(
            f"{found.program:<16} {found.base / _MIB:>6,.0f} MiB and {found.per_million / _MIB:>6,.0f} MiB a million "
            f"series; {disk[found.program]:.2f} bytes a sample on disk"
        )
    return 0


def _config(target: str, interval: int, victoria_url: str) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": f"{interval}s", "scrape_timeout": f"{interval}s"},
        "scrape_configs": [{"job_name": "ml-monitoring", "static_configs": [{"targets": [target]}]}],
        "remote_write": [{"url": f"{victoria_url}/api/v1/write"}],
    }


def _peak_memory(process: Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024


def _value(url: str, query: str) -> float:
    # VictoriaMetrics leaves the newest half minute out of answers unless the query says otherwise; newer ones refuse 0.
    parameters = urllib.parse.urlencode({"query": query, "time": time.time(), "nocache": 1, "latency_offset": "1ms"})
    with _opener().open(f"{url}/api/v1/query?{parameters}", timeout=_TIMEOUT) as answer:
        result = json.load(answer)["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def _post(url: str, body: str) -> None:
    with _opener().open(urllib.request.Request(url, body.encode(), method="POST"), timeout=_TIMEOUT):  # noqa: S310  # http
        pass


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
