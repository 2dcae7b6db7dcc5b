"""What Prometheus sends to VictoriaMetrics by remote write gives the dashboards the same there: the real programs."""

from __future__ import annotations

import json
import math
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from alerting.alerts import load_alerts
from alerting.recording import RECORDS
from dashboards.render.engine import load
from dashboards.render.intervals import TimeRange
from dashboards.render.model import find_dashboards
from dashboards.render.prometheus import Prometheus
from exporter.cli import main as exporter_main
from tools.packages import ensure_programs
from tools.processes import Process, free_port, http_ok, wait_until
from tools.stack import LocalStack, Ports

GENERATED = Path("dashboards/generated")
# Long enough for several refreshes, scrapes and evaluations of everything.
RECORDED_SECONDS = 25
SHOWN_SECONDS = 15

# VictoriaMetrics reckons these over raw counters in another way, by its makers' decision: it takes the last sample
# before the window into account and extrapolates nothing.
OVER_COUNTERS = re.compile(r"\b(rate|irate|increase|delta|idelta|deriv|changes|resets)\(")

Series = dict[tuple[tuple[str, str], ...], dict[float, float]]


@dataclass(frozen=True)
class Both:
    prometheus: str
    victoria: str
    start: float
    end: float

    def series(self, base: str, query: str) -> Series:
        """Return a range query's series without their names (which the two keep differently) and without NaN."""
        parameters = {"query": query, "start": self.start, "end": self.end, "step": 1, "nocache": 1}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url = f"{base}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
        try:
            with opener.open(url, timeout=60) as answer:
                result = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{base} refuses {query}: {error.read().decode()}") from error
        found: Series = {}
        for each in result:
            labels = tuple(sorted((name, value) for name, value in each["metric"].items() if name != "__name__"))
            points = {at: float(value) for at, value in each["values"] if value != "NaN"}
            if points:
                found[labels] = points
        return found


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    directory = tmp_path_factory.mktemp("remote-write")
    programs = ensure_programs(["prometheus", "alertmanager", "victoria-metrics"])
    assert exporter_main(["demo", "mlflow", "--output-dir", str(directory / "demo")]) == 0
    assert exporter_main(["demo", "fleet", "--output-dir", str(directory / "demo"), "--fleet-size", "6"]) == 0
    victoria = f"http://127.0.0.1:{free_port()}"
    arguments = [
        f"-storageDataPath={directory / 'victoria'}",
        f"-httpListenAddr={victoria.removeprefix('http://')}",
        # By default the last half minute is not shown, since it may still be on its way.
        "-search.latencyOffset=0s",
    ]
    server = Process(
        "victoria-metrics",
        [programs["victoria-metrics"], *arguments],
        log=directory / "victoria.log",
        healthy=lambda: http_ok(f"{victoria}/health"),
    )
    sources = {
        "mlflow": {"uri": f"sqlite:///{directory / 'demo' / 'mlflow.db'}", "interval": "2s"},
        "fleet": {"path": str(directory / "demo" / "fleet.csv"), "mode": "replay", "interval": "1s"},
    }
    stack = LocalStack(
        {"sources": sources}, directory, Ports.free(), programs, remote_write=[f"{victoria}/api/v1/write"]
    )
    with server, stack:
        time.sleep(RECORDED_SECONDS)
        end = math.floor(time.time())
        both = Both(stack.prometheus_url, victoria, end - SHOWN_SECONDS, end)
        # What was scraped until then is on its way for a moment.
        assert wait_until(lambda: both.end in newest(both.series(victoria, "timestamp(up)")), timeout=20, poll=0.5)
        time.sleep(2)
        yield both


def newest(series: Series) -> set[float]:
    return {max(points) for points in series.values()}


@pytest.fixture(scope="module")
def queries(both: Both) -> dict[str, str]:
    """Return every query that the dashboards send, with variables and intervals put in, by where it is asked."""
    prometheus = Prometheus(both.prometheus)
    span = TimeRange(both.start, both.end)
    return {
        f"{dashboard.uid}/{panel.title}/{letter}": query
        for dashboard in find_dashboards([], GENERATED)
        for panel in load(dashboard, prometheus, span, scrape=1.0).panels
        for letter, query in panel.queries.items()
    }


def differences(both: Both, query: str) -> str:
    """Return the first difference between the two answers; empty when they say the same."""
    here, there = both.series(both.prometheus, query), both.series(both.victoria, query)
    if here.keys() != there.keys():
        return f"only in one: {sorted(here.keys() ^ there.keys())[:2]}"
    for labels, points in here.items():
        for at in sorted(points.keys() | there[labels].keys()):
            one, other = points.get(at), there[labels].get(at)
            # VictoriaMetrics keeps about 15 digits: of a time stamp that is microseconds.
            if one is None or other is None or not math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-5):
                return f"{labels} at {at}: {one} and {other}"
    return ""


def test_panels_show_the_same_from_both(both: Both, queries: dict[str, str]) -> None:
    over_counters = {place for place, query in queries.items() if OVER_COUNTERS.search(query)}
    compared = {place: query for place, query in queries.items() if place not in over_counters}
    assert {place: found for place, query in compared.items() if (found := differences(both, query))} == {}
    # Of pages whose sources run here, and not by having nothing on both sides.
    shown = {place for place, query in compared.items() if both.series(both.victoria, query)}
    pages = {place.partition("/")[0] for place in shown}
    assert {"mlflow-experiments", "exporter-health", "fleet-incident", "fleet-server"} <= pages
    assert len(shown) > 60


def test_panels_over_counters_have_the_same_series_in_both(both: Both, queries: dict[str, str]) -> None:
    different = {}
    for place, query in queries.items():
        if not OVER_COUNTERS.search(query):
            continue
        # A comparison lets series through or not by their values, which differ here.
        if not re.search(r"[<>]", query):
            here, there = both.series(both.prometheus, query), both.series(both.victoria, query)
            if here.keys() != there.keys():
                different[place] = here.keys() ^ there.keys()
    assert different == {}


def test_recorded_series_and_alerts_are_exactly_those_of_prometheus(both: Both) -> None:
    # Reckoned once, by Prometheus, and sent: also what is made of counters is the same in both.
    found = {record.name: differences(both, record.name) for record in RECORDS}
    found |= {
        alert.name: differences(both, f'{series}{{alertname="{alert.name}"}}')
        for alert in load_alerts()
        for series in ("ALERTS", "ALERTS_FOR_STATE")
    }
    assert {name: difference for name, difference in found.items() if difference} == {}
    recorded = [record.name for record in RECORDS if both.series(both.victoria, record.name)]
    assert len(recorded) > 10
    assert both.series(both.victoria, 'ALERTS{alertname="Watchdog"}')


def test_conditions_of_alerts_give_the_same_in_both(both: Both) -> None:
    found = {
        alert.name: differences(both, str(alert.rule["expr"]))
        for alert in load_alerts()
        if not OVER_COUNTERS.search(str(alert.rule["expr"]))
    }
    assert len(found) > 10
    assert {name: difference for name, difference in found.items() if difference} == {}
