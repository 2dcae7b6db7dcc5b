"""What Prometheus sends to VictoriaMetrics by remote write gives the dashboards the same there: the real programs."""

from __future__ import annotations

import math
import re
import time
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from demo.cli import main as demo_main
from ml_monitoring.alerting.domains import RECORDS, load_alerts
from tests.support.comparison import OVER_COUNTERS, Both, differences, panel_queries
from tools.packages import ensure_programs
from tools.processes import Process, free_port, http_ok, wait_until
from tools.stack import LocalStack, Ports

# Long enough for several refreshes, scrapes and evaluations of everything.
RECORDED_SECONDS = 25
SHOWN_SECONDS = 15


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    directory = tmp_path_factory.mktemp("remote-write")
    programs = ensure_programs(["prometheus", "alertmanager", "victoria-metrics"])
    assert demo_main(["mlflow", "--output-dir", str(directory / "demo")]) == 0
    # As many servers as panels show: among equal ones each system chooses its own.
    assert demo_main(["fleet", "--output-dir", str(directory / "demo"), "--fleet-size", "5"]) == 0
    victoria = f"http://127.0.0.1:{free_port()}"
    arguments = [
        f"-storageDataPath={directory / 'victoria'}",
        f"-httpListenAddr={victoria.removeprefix('http://')}",
        # By default the last half minute is not shown, since it may still be on its way.
        "-search.latencyOffset=0s",
        "-search.maxLookback=5m",
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
        recorded = f"count(up offset {RECORDED_SECONDS}s)"
        assert wait_until(lambda: bool(stack.query(recorded)), timeout=60, poll=0.5)
        end = math.floor(time.time())
        both = Both(stack.prometheus_url, victoria, end - SHOWN_SECONDS, end)
        assert wait_until(lambda: _has_sent(stack, end), timeout=20)
        # What came in cannot be queried for a moment.
        _get(f"{victoria}/internal/force_flush")
        yield both


def _has_sent(stack: LocalStack, end: float) -> bool:
    """Tell whether Prometheus has written all samples until then, by its own metrics."""
    (newest_sent,) = (
        sample.value
        for family in text_string_to_metric_families(_get(f"{stack.prometheus_url}/metrics"))
        for sample in family.samples
        if sample.name == "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"
    )
    # Samples are sent in the order in which they came, and those of a slow scrape come after others.
    return newest_sent > end + 2


def _get(url: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as response:
        text: str = response.read().decode()
        return text


@pytest.fixture(scope="module")
def queries(both: Both) -> dict[str, str]:
    return panel_queries(both, scrape=1)


def test_panels_show_the_same_from_both(both: Both, queries: dict[str, str]) -> None:
    over_counters = {place for place, query in queries.items() if OVER_COUNTERS.search(query)}
    compared = {place: query for place, query in queries.items() if place not in over_counters}
    assert {place: found for place, query in compared.items() if (found := differences(both, query))} == {}
    # Of pages whose sources run here, and not by having nothing on both sides.
    shown = {place for place, query in compared.items() if both.series(both.victoria, query)}
    pages = {place.partition("/")[0] for place in shown}
    assert {
        "ml-monitoring-mlflow-experiments",
        "ml-monitoring-exporter-health",
        "ml-monitoring-fleet-incident",
        "ml-monitoring-fleet-server",
    } <= pages
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
    assert both.series(both.victoria, 'ALERTS{alertname="MlMonitoringWatchdog"}')


def test_conditions_of_alerts_give_the_same_in_both(both: Both) -> None:
    found = {
        alert.name: differences(both, str(alert.rule["expr"]))
        for alert in load_alerts()
        if not OVER_COUNTERS.search(str(alert.rule["expr"]))
    }
    assert len(found) > 10
    assert {name: difference for name, difference in found.items() if difference} == {}
