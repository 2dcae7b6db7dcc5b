"""What adapters cost: series and time to evaluate rules, for each service that is read as it is.

A real Prometheus scrapes invented services, of a server in seconds, of one whose buckets are converted and of one of
language models, and says itself how long the groups of rules took. Beside them are the rules that Sloth makes of two
objectives for each of the same services.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any, Final
from urllib.parse import urlencode

import yaml

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate.files import render
from ml_monitoring.alerting.generate.rules import build_recording_rules
from ml_monitoring.exporter.http_client import fetch, fetch_json
from tools import go_programs
from tools.backfilled_prometheus import prometheus_on
from tools.bench.progress import Progress
from tools.bench.results import Result
from tools.packages import ensure_programs
from tools.processes import wait_until

_SERVICES = 100
_ROUTES = 5
_STATUSES = ("200", "400", "500")
_SECONDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "+Inf")
_MILLISECONDS = ("0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "+Inf")
_TOKENS = (*(f"{digit}{'0' * zeros}.0" for zeros in range(5) for digit in (1, 2, 5)), "+Inf")
_REASONS = ("stop", "length", "abort", "error")
_EVALUATIONS = 10
# Seconds between them, and between scrapes, of which none may take longer.
_INTERVAL = 5
# Before that: rates need two scrapes, and what is recorded of what is recorded a round more.
_ROUNDS = 5
# What makes the layer of a server's series, and what the pages and alerts of services record of the layer.
_LAYER: Final = ("adapters.rules",)
_PAGES: Final = ("traffic.rules", "quality.rules", "slo.rules", "llm.rules")
_OBJECTIVES: Final = ("slo.rules",)
_SLOTH: Final = "sloth"


@dataclass(frozen=True, slots=True)
class _Server:
    """A server whose services are invented.

    Attributes:
        title: In the results.
        adapter: Its name in the settings.
        text: What so many services expose.
    """

    title: str
    adapter: str
    text: Callable[[int], Iterator[str]]


def run(options: argparse.Namespace) -> list[Result]:
    """Measure all servers, one after the other, then Sloth's rules on the first one's services."""
    services = _SERVICES // 10 if options.quick else _SERVICES
    servers = (
        _Server(f"BentoML, {_ROUTES} routes", "bentoml", _bentoml),
        _Server(f"Istio, {_ROUTES} routes", "istio", _istio),
        _Server("vLLM, a model", "vllm", _vllm),
    )
    results: list[Result] = []
    with Progress() as progress:
        for server in servers:
            progress.step(f"evaluating rules on {services} services of {server.adapter}")
            results += _ours(server, services)
        progress.step(f"evaluating Sloth's rules on {services} services of {servers[0].adapter}")
        results += _sloth(servers[0], services)
    return results


def _ours(server: _Server, services: int) -> Iterator[Result]:
    thresholds = load_thresholds().changed({"services": {"adapters": [{"server": server.adapter, "job": "bench"}]}})
    rules = build_recording_rules(thresholds)
    groups = {group["name"]: group for group in rules["groups"] if group["name"] in (*_LAYER, *_PAGES)}
    rules["groups"] = list(groups.values())
    with _evaluated(server, services, {"rules.yml": render("rules.yml", rules)}) as url:
        seconds = _medians(url)
        exposed = _value(url, 'count({job="bench",__name__!~"ml_.*|.*:ml_.*|scrape_.*|up"})')
        copied = _value(url, 'count({job="bench",__name__=~"ml_.*"})')
        recorded = _value(url, 'count({job="bench",__name__=~"[a-z0-9_]+:ml_.*"})')
    yield Result(f"{server.title}: series that a service exposes", exposed / services, "")
    yield Result(f"{server.title}: series of the layer that are recorded of it", copied / services, "")
    yield Result(f"{server.title}: series that pages and alerts record of the layer", recorded / services, "")
    shown = (("the layer", _LAYER), ("what pages and alerts record", _PAGES), ("of that the objectives", _OBJECTIVES))
    for what, names in shown:
        took = sum(seconds[name] for name in names)
        yield Result(f"{server.title}: evaluating {what}, median of ten", 1000 * took / services, "ms")


def _sloth(server: _Server, services: int) -> Iterator[Result]:
    """Yield what the rules cost that Sloth makes of an objective of failures and one of latency for each service."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        specs, rules = Path(name, "specs.yml"), Path(name, "rules.yml")
        specs.write_text(yaml.safe_dump_all(_objectives(f"s{number}") for number in range(services)), encoding="utf-8")
        sloth = go_programs.build(_SLOTH)
        subprocess.run([sloth, "generate", "-i", specs, "-o", rules], check=True, capture_output=True)
        # It writes a document for each service; Prometheus reads one. Its groups would wait for each
        # other on the clock, so they are one after the other here, as ours are.
        documents = yaml.safe_load_all(rules.read_text(encoding="utf-8"))
        groups = [group for each in documents for group in each["groups"]]
    recordings = [rule for group in groups for rule in group["rules"] if "record" in rule]
    made = {"groups": [{"name": _SLOTH, "rules": recordings}]}
    with _evaluated(server, services, {"rules.yml": yaml.safe_dump(made)}) as url:
        seconds = _medians(url)
        recorded = _value(url, 'count({sloth_id!=""})')
    what = "Sloth, two objectives of a BentoML service"
    yield Result(f"{what}: series that are recorded", recorded / services, "")
    yield Result(f"{what}: evaluating them, median of ten", 1000 * seconds[_SLOTH] / services, "ms")


def _objectives(service: str) -> dict[str, Any]:
    """Return what Sloth is given of a service: the objectives that ours have by default."""
    counted = f'bentoml_service_request_total{{job="bench",service_name="{service}"'
    timed = f'bentoml_service_request_duration_seconds_%s{{job="bench",service_name="{service}"'

    def objective(name: str, errors: str, total: str) -> dict[str, Any]:
        return {
            "name": name,
            "objective": 99.0,
            "sli": {"events": {"error_query": errors, "total_query": total}},
            "alerting": {"page_alert": {"disable": True}, "ticket_alert": {"disable": True}},
        }

    def rate(selector: str) -> str:
        return f"sum(rate({selector}}}[{{{{.window}}}}]))"

    failed = rate(counted + ',http_response_code=~"5.."')
    quick = rate(timed % "bucket" + ',le="0.5"')
    return {
        "version": "prometheus/v1",
        "service": service,
        "slos": [
            objective("availability", failed, rate(counted)),
            objective("latency", f"{rate(timed % 'count')} - {quick}", rate(timed % "count")),
        ],
    }


@contextmanager
def _evaluated(server: _Server, services: int, rules: Mapping[str, str]) -> Iterator[str]:
    """Give the address of a Prometheus that scrapes services and has evaluated the rules some times."""
    text = "\n".join(server.text(services))
    with tempfile.TemporaryDirectory(prefix="bench-") as name, _served(text) as address:
        folder = Path(name)
        for file, content in rules.items():
            (folder / file).write_text(content, encoding="utf-8")
        config = {
            "global": {"scrape_interval": f"{_INTERVAL}s", "evaluation_interval": f"{_INTERVAL}s"},
            "rule_files": [str(folder / file) for file in rules],
            "scrape_configs": [{"job_name": "bench", "static_configs": [{"targets": [address]}]}],
        }
        with prometheus_on(ensure_programs(["prometheus"]), folder, config=yaml.safe_dump(config)) as url:
            # Rates need scrapes before them, and what is recorded of what is recorded a round more.
            if not wait_until(lambda: _rounds(url) >= _ROUNDS, timeout=600, poll=1):
                raise RuntimeError("the rules were not evaluated in ten minutes")
            yield url


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


def _vllm(services: int) -> Iterator[str]:
    for service in range(services):
        labels = f'engine="0",model_name="s{service}"'
        for reason in _REASONS:
            yield f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} 7'
        times = ("time_to_first_token", "request_time_per_output_token", "e2e_request_latency")
        for name in times:
            yield from _histogram(f"vllm:{name}_seconds", labels, _SECONDS)
        for name in ("request_prompt_tokens", "request_generation_tokens"):
            yield from _histogram(f"vllm:{name}", labels, _TOKENS)
        for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"):
            yield f"vllm:{name}{{{labels}}} 0.5"


def _histogram(name: str, labels: str, bounds: tuple[str, ...]) -> Iterator[str]:
    yield from (f'{name}_bucket{{{labels},le="{bound}"}} 7' for bound in bounds)
    yield f"{name}_sum{{{labels}}} 7"
    yield f"{name}_count{{{labels}}} 7"


def _value(url: str, expr: str) -> float:
    found = fetch_json(url, f"api/v1/query?{urlencode({'query': expr})}", timeout=60)["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def _of_groups(url: str, metric: str) -> dict[str, float]:
    """Return a metric that Prometheus has of each group of rules, by the group's name."""
    text = fetch(url, "metrics", timeout=60).decode()
    found = re.findall(rf'(?m)^{metric}{{rule_group="[^;]*;([^"]*)"}} (\S+)$', text)
    return {name: float(value) for name, value in found}


def _rounds(url: str) -> float:
    """Return how often each group was evaluated."""
    return min(_of_groups(url, "prometheus_rule_group_iterations_total").values(), default=0)


def _medians(url: str) -> dict[str, float]:
    """Return how long an evaluation of each group usually takes, in seconds.

    Raises:
        RuntimeError: A scrape failed meanwhile, so that rules had nothing to evaluate.
    """
    seconds: dict[str, list[float]] = {}
    for _evaluation in range(_EVALUATIONS):
        time.sleep(_INTERVAL)
        for name, took in _of_groups(url, "prometheus_rule_group_last_duration_seconds").items():
            seconds.setdefault(name, []).append(took)
    if _value(url, 'min_over_time(up{job="bench"}[1m])') < 1:
        raise RuntimeError("a scrape failed: this machine is too busy to measure")
    return {name: median(all_) for name, all_ in seconds.items()}
