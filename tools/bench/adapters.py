"""What adapters cost: series and time to evaluate their rules, for each service that is read as it is.

A real Prometheus scrapes invented services, of a server in seconds and of one whose buckets are converted, and says
itself how long the group of rules took.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode

import yaml

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate.files import render
from ml_monitoring.alerting.generate.rules import build_recording_rules
from ml_monitoring.exporter.http_client import fetch, fetch_json
from tools.backfilled_prometheus import prometheus_on
from tools.bench.results import Result
from tools.packages import ensure_programs
from tools.processes import wait_until

_SERVICES = 100
_ROUTES = 5
_STATUSES = ("200", "400", "500")
_SECONDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "+Inf")
_MILLISECONDS = ("0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "+Inf")
_EVALUATIONS = 20


def run(options: argparse.Namespace) -> list[Result]:
    """Measure both servers, one after the other."""
    services = _SERVICES // 10 if options.quick else _SERVICES
    return [
        *_measured("bentoml", "BentoML", "\n".join(_bentoml(services)), services),
        *_measured("istio", "Istio", "\n".join(_istio(services)), services),
    ]


def _measured(server: str, title: str, text: str, services: int) -> list[Result]:
    thresholds = load_thresholds().changed({"services": {"adapters": [{"server": server, "job": "bench"}]}})
    rules = build_recording_rules(thresholds)
    rules["groups"] = [group for group in rules["groups"] if group["name"] == "adapters.rules"]
    with tempfile.TemporaryDirectory(prefix="bench-") as name, _served(text) as address:
        folder = Path(name)
        (folder / "rules.yml").write_text(render("rules.yml", rules), encoding="utf-8")
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "rules.yml")],
            "scrape_configs": [{"job_name": "bench", "static_configs": [{"targets": [address]}]}],
        }
        with prometheus_on(ensure_programs(["prometheus"]), folder, config=yaml.safe_dump(config)) as url:
            recorded = 'count({job="bench",__name__=~"ml_.*"})'
            if not wait_until(lambda: _value(url, recorded) > 0, timeout=60, poll=1):
                raise RuntimeError("nothing was recorded")
            seconds = []
            for _evaluation in range(_EVALUATIONS):
                time.sleep(1)
                seconds.append(_duration(url))
            copied, exposed = _value(url, recorded), _value(url, 'count({job="bench",__name__!~"ml_.*|scrape_.*|up"})')
    what = f"{title}, {_ROUTES} routes, one process"
    return [
        Result(f"{what}: series that a service exposes", exposed / services, ""),
        Result(f"{what}: series that are recorded of it", copied / services, ""),
        Result(f"{what}: evaluating its rules, shortest of twenty", 1000 * min(seconds) / services, "ms"),
    ]


@contextmanager
def _served(text: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"{text}\n".encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def _bentoml(services: int) -> Iterator[str]:
    for service in range(services):
        for route in range(_ROUTES):
            for status in _STATUSES:
                labels = f'endpoint="/r{route}",http_response_code="{status}",service_name="s{service}"'
                yield f"bentoml_service_request_total{{{labels}}} 7"
                yield from _histogram("bentoml_service_request_duration_seconds", labels, _SECONDS)


def _istio(services: int) -> Iterator[str]:
    for service in range(services):
        for route in range(_ROUTES):
            for status in _STATUSES:
                labels = (
                    f'reporter="destination",destination_canonical_service="s{service}",'
                    f'destination_service_name="r{route}",response_code="{status}"'
                )
                yield f"istio_requests_total{{{labels}}} 7"
                yield from _histogram("istio_request_duration_milliseconds", labels, _MILLISECONDS)


def _histogram(name: str, labels: str, bounds: tuple[str, ...]) -> Iterator[str]:
    yield from (f'{name}_bucket{{{labels},le="{bound}"}} 7' for bound in bounds)
    yield f"{name}_sum{{{labels}}} 7"
    yield f"{name}_count{{{labels}}} 7"


def _value(url: str, expr: str) -> float:
    found = fetch_json(url, f"api/v1/query?{urlencode({'query': expr})}", timeout=30)["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def _duration(url: str) -> float:
    """Return how long Prometheus took for the last evaluation, in seconds."""
    text = fetch(url, "metrics", timeout=30).decode()
    (found,) = re.findall(r"(?m)^prometheus_rule_group_last_duration_seconds\{.*\} (\S+)$", text)
    return float(found)
