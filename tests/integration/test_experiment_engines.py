"""Experiments read the same numbers wherever the samples of a Prometheus ended up: the real programs, side by side.

One Prometheus scrapes a shop. What it has is read from itself, from a second one that it writes to, from a third one
that federates it (with and without `honor_labels`) and reads from it, and from VictoriaMetrics.
"""

from __future__ import annotations

import functools
import json
import math
import random
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.experiments import ExperimentsSettings, ExperimentsSource
from ml_monitoring.exporter.sources.experiments.gate import GateAnswer
from ml_monitoring.exporter.sources.experiments.judgement import Decision
from tools import go_programs
from tools.backfilled_prometheus import prometheus_on
from tools.packages import ensure_programs
from tools.processes import Process, free_port, http_ok, wait_until

ARMS = ("control", "treatment")
SERVICES = ("winner", "harmful")
# Of the treatment; the control sells 10 % and fails 1 %.
SOLD = {"winner": 0.2, "harmful": 0.1}
FAILED = {"winner": 0.01, "harmful": 0.05}
BATCHES = 24
FRAMES_A_BATCH = 2
# Where the samples are, by the label that says whose they are there.
PLACES = {
    "itself": "job",
    "written to": "job",
    "federated": "exported_job",
    "federated, labels honoured": "job",
    "read through": "job",
    "victoria-metrics": "job",
}


@dataclass(slots=True)
class Shop:
    """The metrics of several processes on one page, with times, so that every server has the very same samples.

    Attributes:
        page: What is scraped.
        frame: How often that has changed.
        truth: What was counted since the start, by service, name and arm.
    """

    page: str = ""
    frame: int = 0
    truth: dict[tuple[str, str, str], float] = field(default_factory=dict)
    _chance: random.Random = field(default_factory=lambda: random.Random(1))
    _processes: dict[str, dict[tuple[str, str, str], float]] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin with processes that have counted for long."""
        self._processes = {f"shop:{number}": self._values(1e6) for number in (1, 2)}

    def restart(self, instance: str) -> None:
        """Start a process again under the same name."""
        self._processes[instance] = self._values(0.0)

    def replace(self, instance: str, other: str) -> None:
        """Start a process in place of another one; what it counted before it was scraped is nobody's to know."""
        del self._processes[instance]
        self._processes[other] = self._values(50.0)

    def sell(self) -> None:
        """Count a hundred or so requests of each arm in each process."""
        for values in self._processes.values():
            for service in SERVICES:
                for arm in ARMS:
                    treated = arm != ARMS[0]
                    requests = self._chance.randrange(80, 120)
                    sold, failed = (SOLD[service], FAILED[service]) if treated else (0.1, 0.01)
                    for name, amount in (
                        ("requests", requests),
                        ("sales", sum(self._chance.random() < sold for _ in range(requests))),
                        ("errors", sum(self._chance.random() < failed for _ in range(requests))),
                    ):
                        values[service, name, arm] += amount
                        self.truth[service, name, arm] = self.truth.get((service, name, arm), 0.0) + amount

    @staticmethod
    def _values(value: float) -> dict[tuple[str, str, str], float]:
        return {
            (service, name, arm): value
            for service in SERVICES
            for name in ("requests", "sales", "errors")
            for arm in ARMS
        }

    def show(self, moment: float) -> None:
        """Put the counters on the page, as of a moment (seconds since the epoch)."""
        self.frame += 1
        at = f"{moment * 1000:.0f}"
        lines = [
            f'shop_{name}_total{{job="shop",instance="{instance}",service="{service}",variant="{arm}"}} {value} {at}'
            for instance, values in self._processes.items()
            for (service, name, arm), value in values.items()
        ]
        self.page = "\n".join([*lines, f'shop_frame{{job="shop",instance="page"}} {self.frame} {at}', ""])


@dataclass(frozen=True)
class Places:
    """Where the same history can be read.

    Attributes:
        urls: Addresses by the names of `PLACES`.
        start: Of the experiments, seconds since the epoch.
        truth: What was counted since then, by service, name and arm.
    """

    urls: dict[str, str]
    start: float
    truth: dict[tuple[str, str, str], float]

    def read(self, place: str) -> ExperimentsSource:
        """Read all experiments from one of them."""
        declared = {service: self._declared(service, PLACES[place]) for service in SERVICES}
        # Read at once, however slow the machine is.
        settings = {"url": self.urls[place], "settle": "1s", "timeout": "5m", "declared": declared}
        source = ExperimentsSource(ExperimentsSettings.model_validate(settings), lambda: self.start + BATCHES + 2.0)
        assert source.collect().problems == []
        return source

    def _declared(self, service: str, label: str) -> dict[str, Any]:
        of_requests = {"kind": "proportion", "denominator": "shop_requests_total"}
        failed = {**of_requests, "numerator": "shop_errors_total"}
        return {
            "start": self.start,
            "arms": dict.fromkeys(ARMS, 1),
            "baseline": ARMS[0],
            "selector": {label: "shop", "service": service},
            "batch": "1s",
            "metrics": {
                "sold": {**of_requests, "numerator": "shop_sales_total"},
                "failed": {**failed, "direction": "down", "role": "guardrail", "margin": 0.5},
            },
        }


needs_go = pytest.mark.skipif(not go_programs.available(), reason="a newer VictoriaMetrics is built with Go")


@pytest.fixture(scope="module", params=["packaged", pytest.param("newest", marks=[pytest.mark.wide, needs_go])])
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Give the places, with VictoriaMetrics as Debian has it, or a new one."""
    folder = tmp_path_factory.mktemp("engines")
    programs = ensure_programs(["prometheus", "victoria-metrics"])
    if request.param == "newest":
        programs["victoria-metrics"] = go_programs.build("victoria-metrics")
    with ExitStack() as stack:
        shop = Shop()
        page = stack.enter_context(_served(shop))
        victoria = stack.enter_context(_victoria(programs["victoria-metrics"], folder))

        def prometheus(name: str, config: dict[str, Any], *flags: str) -> str:
            (folder / name).mkdir()
            running = prometheus_on(programs, folder / name, config=json.dumps(config), flags=flags)
            return stack.enter_context(running)

        written = prometheus("written", {}, "--web.enable-remote-write-receiver")
        scraped = {"scrape_interval": "400ms", "scrape_timeout": "400ms"}
        first = prometheus(
            "first",
            {
                "global": {"external_labels": {"cluster": "eu"}},
                "scrape_configs": [_job("shop", page, **scraped, honor_labels=True)],
                "remote_write": [{"url": f"{url}/api/v1/write"} for url in (written, victoria)],
            },
            # On a slow machine the history is late, and is federated nevertheless.
            "--query.lookback-delta=1h",
        )
        federation = {**scraped, "metrics_path": "/federate", "params": {"match[]": ['{job="shop"}']}}
        federating = prometheus(
            "federating",
            {
                "scrape_configs": [
                    _job("one", first, **federation),
                    _job("other", first, **federation, honor_labels=True),
                ]
            },
        )
        through = prometheus("through", {"remote_read": [{"url": f"{first}/api/v1/read", "read_recent": True}]})
        urls = dict(zip(PLACES, (first, written, federating, federating, through, victoria), strict=True))
        # Only what is newer than a Prometheus is written on by it.
        start = math.ceil(time.time()) + 1.0
        _happens(shop, start, urls)
        yield Places(urls, start, shop.truth)


def _happens(shop: Shop, start: float, urls: dict[str, str]) -> None:
    """Let a history happen, sample by sample, as fast as the servers follow."""
    scraping = ("itself", "federated", "federated, labels honoured")
    events: dict[int, Callable[[], None]] = {
        -1: shop.begin,
        4: lambda: shop.restart("shop:1"),
        8: lambda: shop.replace("shop:2", "shop:3"),
        12: lambda: shop.restart("shop:3"),
    }
    for frame in range(-1, BATCHES * FRAMES_A_BATCH):
        moment = start + (frame + 0.5) / FRAMES_A_BATCH
        # Samples of the future would not be federated.
        assert wait_until(functools.partial(_is_past, moment), timeout=10)
        events.get(frame, shop.sell)()
        shop.show(moment)
        # Those that scrape would miss what they do not see.
        _arrived(shop, urls, *scraping)
    _arrived(shop, urls, "written to", "read through")
    # What came in cannot be queried for a moment.
    assert wait_until(lambda: http_ok(f"{urls['victoria-metrics']}/internal/force_flush"), timeout=20)
    _arrived(shop, urls, "victoria-metrics")


def _is_past(moment: float) -> bool:
    return time.time() > moment


def _arrived(shop: Shop, urls: dict[str, str], *places: str) -> None:
    for place in places:
        query = f'last_over_time(shop_frame{{{PLACES[place]}="shop"}}[1h]) == {shop.frame}'
        assert wait_until(functools.partial(_query, urls[place], query), timeout=60), f"{place} does not follow"


def _job(name: str, url: str, **other: Any) -> dict[str, Any]:
    return {"job_name": name, "static_configs": [{"targets": [url.removeprefix("http://")]}], **other}


def _query(url: str, query: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=30) as response:
        return bool(json.load(response)["data"]["result"])


@contextmanager
def _served(shop: Shop) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(shop.page.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def _victoria(program: Path, folder: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{free_port()}"
    arguments = [
        f"-storageDataPath={folder / 'victoria'}",
        f"-httpListenAddr={url.removeprefix('http://')}",
        # By default the last half minute is not shown, since it may still be on its way.
        "-search.latencyOffset=0s",
    ]
    log = folder / "victoria.log"
    with Process("victoria-metrics", [program, *arguments], log=log, healthy=lambda: http_ok(f"{url}/health")):
        yield url


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_lost_or_invented_on_the_way(places: Places, place: str) -> None:
    source = places.read(place)
    found = {
        (service, what.removeprefix("shop_").removesuffix("_total"), arm): total
        for service, tracked in source.tracked.items()
        for (what, arm), total in tracked.history.totals.items()
    }
    assert found == places.truth
    gates = {service: source.gate(service) for service in SERVICES}
    assert {service: gate and (gate.decision, gate.arm, gate.answer) for service, gate in gates.items()} == {
        "winner": (Decision.BETTER, "treatment", GateAnswer.GO_ON),
        "harmful": (Decision.GUARDRAIL_BREACHED, "treatment", GateAnswer.STOP),
    }


def test_metrics_are_the_same_from_everywhere(places: Places) -> None:
    found = {place: render_text(places.read(place).collect()).decode() for place in PLACES}
    assert {place: text for place, text in found.items() if text != found["itself"]} == {}
