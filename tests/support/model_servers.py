"""Model servers and middlewares as teams run them, each in an environment of its own, asked by a known traffic."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import yaml

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate.files import render
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.exporter.http_client import fetch_json
from tools.backfilled_prometheus import prometheus_on
from tools.debian import TOOLS_DIR
from tools.processes import wait_until

FOLDER = Path(__file__).parent / "model-servers"
# What is installed where; the versions are those of `docs/model-servers.md`.
ENVIRONMENTS = {
    "middlewares": (
        "prometheus-fastapi-instrumentator==8.1.0",
        "starlette-exporter==0.24.0",
        "fastapi==0.165.0",
        "uvicorn==0.54.0",
    ),
    "opentelemetry": (
        "opentelemetry-instrumentation-fastapi==0.66b2",
        "opentelemetry-exporter-prometheus==0.66b2",
        "opentelemetry-exporter-otlp-proto-http==1.45.2",
        "fastapi==0.165.0",
        "uvicorn==0.54.0",
    ),
    # What the library's extra `otlp` brings.
    "otlp": ("opentelemetry-exporter-otlp-proto-http==1.45.2", "prometheus-client==0.26.0"),
    "bentoml": ("bentoml==1.4.40",),
    "ray": ("ray[serve]==2.60.0",),
    # Five gigabytes, as PyTorch brings what a graphics processor needs; its workers do not start without.
    "torchserve": (
        "torchserve==0.12.0",
        "torch-model-archiver==0.12.0",
        "torch==2.15.0",
        "numpy==2.4.6",
        "pyyaml==6.0.4",
    ),
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1"),
}


def environment(name: str) -> Path:
    """Return the folder of an environment's programs; it is made once, and kept with the downloaded tools."""
    folder: Path = TOOLS_DIR / "model-servers" / name
    packages = "\n".join(ENVIRONMENTS[name])
    complete = folder / "complete"
    if not complete.exists() or complete.read_text(encoding="utf-8") != packages:
        uv = [str(Path(sys.executable).with_name("uv")), "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, str(folder)], check=True)
        python = str(folder / "bin" / "python")
        subprocess.run([*uv, "pip", "install", "--python", python, *ENVIRONMENTS[name]], check=True)
        complete.write_text(packages, encoding="utf-8")
    return folder / "bin"


def ask(url: str, body: Any = None, **parameters: object) -> int:
    """Send a POST request and return the status of its answer."""
    data = json.dumps(body).encode() if body is not None else b""
    full = f"{url}?{urlencode(parameters)}" if parameters else url
    request = Request(full, data, {"Content-Type": "application/json"})
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=60) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


@dataclass(frozen=True)
class Layer:
    """A Prometheus that scrapes servers and records what the adapters make of them."""

    url: str

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the series of an expression now."""
        answer = fetch_json(self.url, f"api/v1/query?{urlencode({'query': expr})}", timeout=10.0)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def value(self, expr: str) -> float | None:
        """Return the value of an expression that gives one series, or None without one."""
        found = self.query(expr)
        assert len(found) < 2, f"{expr}: {found}"
        return float(found[0]["value"][1]) if found else None

    def values(self, expr: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return the values by the labels."""
        return {
            tuple(each["metric"].get(label, "") for label in labels): float(each["value"][1])
            for each in self.query(expr)
        }

    def wait(self, expr: str, value: float) -> None:
        """Wait until the expression has a value."""
        came = wait_until(lambda: self.value(expr) == value, timeout=60, poll=0.2)
        assert came, f"{expr} is {self.value(expr)}, not {value}"


@contextmanager
def layer(
    programs: Mapping[str, Path],
    folder: Path,
    adapters: Sequence[Mapping[str, object]],
    targets: Mapping[str, Sequence[str]],
    changes: Mapping[str, Any] | None = None,
    scrape: Mapping[str, Any] | None = None,
    flags: Sequence[str] = (),
) -> Iterator[Layer]:
    """Run a Prometheus with all rules.

    Args:
        programs: Has `prometheus`.
        folder: For its files.
        adapters: As in the settings.
        targets: Addresses by job, with the path of the metrics.
        changes: Further settings.
        scrape: Further options of scrapes.
        flags: Further flags of Prometheus.
    """
    thresholds = load_thresholds().changed({"services": {"adapters": list(adapters)}, **(changes or {})})
    for name, config in (("rules.yml", build_recording_rules(thresholds)), ("alerts.yml", build_alerts(thresholds))):
        (folder / name).write_text(render(name, config), encoding="utf-8")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml"), str(folder / "alerts.yml")],
        "scrape_configs": [
            {
                "job_name": job,
                **(scrape or {}),
                "metrics_path": "/" + addresses[0].partition("/")[2],
                "static_configs": [{"targets": [address.partition("/")[0] for address in addresses]}],
            }
            for job, addresses in targets.items()
        ],
    }
    with prometheus_on(programs, folder, config=yaml.safe_dump(config), flags=flags) as url:
        yield Layer(url)


@contextmanager
def expositions(texts: Mapping[str, str]) -> Iterator[str]:
    """Serve texts as metrics, each at the path of its name, and give the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = texts[self.path.removeprefix("/")].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
