"""Absent is not healthy: for each alert something answers when its series are missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate.files import render
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter import durations
from tests.support.rule_queries import found_by

ALERTS = {alert.name: alert for alert in load_alerts()}
_JOBS = ("ml-monitoring", "node", "postgres", "prometheus", "alertmanager", "alertlog", "loki", "alloy")
_SOURCES = ("mlflow", "variants", "fleet", "containers", "experiments")
_UP = {f'up{{job="{job}", instance="{job}:1"}}': job for job in _JOBS}
_SOURCE_UP = 'ml_monitoring_source_up{{job="ml-monitoring", instance="a", source="{}"}}'
_SERVICE = 'job="api", instance="api:1", origin="ml-monitoring"'
_PREDICTIONS = f'ml_predictions_total{{{_SERVICE}, model="m", model_version="1", variant="a"}}'

# What was there for a while and then is not; each is looked at some time after.
SITUATIONS: Mapping[str, Mapping[str, str]] = {
    "there never was anything": {},
    "everything vanished": {
        **dict.fromkeys(_UP, "1x70 stale"),
        **{_SOURCE_UP.format(source): "1x70 stale" for source in _SOURCES},
        f"up{{{_SERVICE}}}".replace(', origin="ml-monitoring"', ""): "1x70 stale",
        f"ml_process_start_timestamp_seconds{{{_SERVICE}}}": "1x70 stale",
        _PREDICTIONS: "0+60x70 stale",
    },
    "all targets are down": {
        **dict.fromkeys(_UP, "1x70 0x30"),
        **{_SOURCE_UP.format(source): "1x70 stale" for source in _SOURCES},
        'up{job="api", instance="api:1"}': "1x70 0x30",
        f"ml_process_start_timestamp_seconds{{{_SERVICE}}}": "1x70 stale",
    },
    "all sources are down": {
        **dict.fromkeys(_UP, "1x100"),
        **{_SOURCE_UP.format(source): "1x70 0x30" for source in _SOURCES},
    },
    "PostgreSQL is down": {
        **dict.fromkeys(_UP, "1x100"),
        'pg_up{job="postgres", instance="postgres:1"}': "1x70 0x30",
        'pg_stat_activity_count{job="postgres", instance="postgres:1"}': "1x70 stale",
    },
    "a followed file holds no row": {
        **dict.fromkeys(_UP, "1x100"),
        **{_SOURCE_UP.format(source): "1x100" for source in _SOURCES},
        'fleet_file_info{job="ml-monitoring", instance="a", file="f.csv", mode="follow", model="builtin"}': "1x100",
    },
}
_FIRING = {
    "there never was anything": {"MlMonitoringDown", "MlMonitoringWatchdog"},
    "everything vanished": {
        *("MlMonitoringDown", "MlMonitoringWatchdog", "MlPredictionsStopped"),
        *(f"MlMonitoringJobVanished {job}" for job in (*_JOBS, "api")),
    },
    "all targets are down": {
        *("MlMonitoringDown ml-monitoring", "MlMonitoringTargetDown ml-monitoring", "MlMonitoringWatchdog"),
        *(f"PrometheusTargetDown {job}" for job in _JOBS[1:]),
        "MlServiceDown api",
    },
    "all sources are down": {
        "MlMonitoringWatchdog",
        *(f"MlMonitoringSourceDown ml-monitoring {source}" for source in _SOURCES),
    },
    "PostgreSQL is down": {"MlMonitoringWatchdog", "DatabaseDown postgres"},
    "a followed file holds no row": {"MlMonitoringWatchdog", "FleetFileNotAdvancing ml-monitoring fleet"},
}


@pytest.fixture(scope="module")
def firing(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return what fires in each situation: alert, job and source."""
    folder = tmp_path_factory.mktemp("absence")
    # Last week was 20 minutes ago, so that a service has its usual hours.
    thresholds = load_thresholds().changed({"traffic": {"week": "20m", "around": "5m"}})
    rules = _write_rules(folder, thresholds)
    query = 'count by (alertname, job, source) (ALERTS{alertstate="firing"})'
    found: dict[str, set[str]] = {}
    for situation, series in SITUATIONS.items():
        labels = found_by(programs["promtool"], folder, rules, series, query, "85m")
        found[situation] = {
            " ".join(each[name] for name in ("alertname", "job", "source") if name in each) for each in labels
        }
    return found


def _write_rules(folder: Path, thresholds: Thresholds, *, only: Sequence[str] = ()) -> dict[str, Any]:
    """Write all rules, or only some alerts and what they are made of."""
    rules = {"rules.yml": build_recording_rules(thresholds), "alerts.yml": build_alerts(thresholds)}
    if only:
        records, alerts = (content["groups"] for content in rules.values())
        for group in alerts:
            group["rules"] = [rule for rule in group["rules"] if rule["alert"] in only]
        rules["alerts.yml"]["groups"] = [group for group in alerts if group["rules"]]
        topics = {f"{topic}.rules" for topic in ("exporter", "mlflow", "traffic", "host")}
        rules["rules.yml"]["groups"] = [group for group in records if group["name"] in topics]
    for name, content in rules.items():
        (folder / name).write_text(render(name, content))
    return rules


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_is_missing_raises_these_alerts_and_no_other(situation: str, firing: dict[str, set[str]]) -> None:
    assert {_without_job(each) for each in firing[situation]} == {_without_job(each) for each in _FIRING[situation]}


def _without_job(text: str) -> str:
    # A service's own alert says which one it is by more labels.
    return text.split(" ", maxsplit=1)[0] if text.startswith(("MlPredictions", "MlMonitoringDown")) else text


@pytest.mark.parametrize("alert", ALERTS.values(), ids=list(ALERTS))
def test_an_alert_or_a_reason_answers_when_series_are_missing(alert: BoundAlert, firing: dict[str, set[str]]) -> None:
    if alert.absent not in ALERTS:
        # A reason is a sentence.
        assert re.fullmatch(r"[A-Z].{20,}\.", alert.absent), f"{alert.name}: nothing answers"
        return
    source = alert.alert.source or ("containers" if "docker_container" in alert.expr else "")
    job = next(iter(re.findall(r'job=~?"([\w-]+)', alert.expr)), "")
    answers = {
        "MlMonitoringSourceDown": ("all sources are down", f"MlMonitoringSourceDown ml-monitoring {source}"),
        "MlMonitoringJobVanished": ("everything vanished", f"MlMonitoringJobVanished {job or 'api'}"),
    }
    if alert.absent in answers:
        situation, expected = answers[alert.absent]
        assert expected in firing[situation]
    else:
        assert any(each.startswith(alert.absent) for situation in firing for each in firing[situation])


# An alert that fires when its data are lost, half an hour after the beginning, and the alert that says that they are.
_RUNS = 'mlflow_runs{{job="ml-monitoring", instance="a", experiment="churn", status="{}"}}'
_REQUESTS = 'ml_http_requests_total{{job="shop", instance="a", method="POST", route="/predict", status="{}"}}'
_MEMORY = 'node_memory_Mem{}_bytes{{job="node", instance="node:1"}}'
_FAILING = {_RUNS.format("FAILED"): "90x3 100x26 stale", _RUNS.format("FINISHED"): "10x29 stale"}
LOST: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("MlflowFailedRunRatioHigh", "MlMonitoringDown"): {
        **_FAILING,
        'up{job="ml-monitoring", instance="a"}': "1x29 0x60",
    },
    ("MlflowFailedRunRatioHigh", "MlMonitoringSourceDown"): {**_FAILING, _SOURCE_UP.format("mlflow"): "1x29 0x60"},
    ("MlApiErrorRatioHigh", "MlServiceDown"): {
        _REQUESTS.format(200): "0+90x29 stale",
        _REQUESTS.format(500): "0+30x29 stale",
        'ml_process_start_timestamp_seconds{job="shop", instance="a"}': "1x29 stale",
        'up{job="shop", instance="a"}': "1x29 0x60",
    },
    ("HostMemoryLow", "PrometheusTargetDown"): {
        _MEMORY.format("Available"): "1x29 stale",
        _MEMORY.format("Total"): "1000x29 stale",
        'up{job="node", instance="node:1"}': "1x29 0x60",
    },
    ("HostMemoryLow", "MlMonitoringJobVanished"): {
        _MEMORY.format("Available"): "1x69 stale",
        _MEMORY.format("Total"): "1000x69 stale",
        'up{job="node", instance="node:1"}': "1x69 stale",
    },
}


@pytest.mark.parametrize("names", LOST, ids="-".join)
def test_an_alert_whose_data_are_lost_fires_until_another_one_says_so(
    names: tuple[str, str], programs: dict[str, Path], tmp_path: Path
) -> None:
    first, second = names
    asked = {
        "it fired": f'count(ALERTS{{alertname="{first}", alertstate="firing"}} offset 30m)',
        "it has ended": f'absent(ALERTS{{alertname="{first}"}})',
        "the other fires": f'count(ALERTS{{alertname="{second}", alertstate="firing"}})',
        "one of them fired at each moment": "min_over_time("
        f'(count(ALERTS{{alertname=~"{first}|{second}", alertstate="firing"}}) or vector(0))[30m:1m]) > 0',
    }
    query = " or ".join(f'label_replace({query}, "said", "{said}", "", "")' for said, query in asked.items())
    at = "95m" if second == "MlMonitoringJobVanished" else "55m"
    rules = _write_rules(tmp_path, load_thresholds(), only=names)
    found = found_by(programs["promtool"], tmp_path, rules, LOST[names], query, at)
    assert {series["said"] for series in found} == set(asked)


def test_alerts_go_on_for_longer_than_any_waits_that_says_that_their_data_are_gone() -> None:
    answering = {answer: ALERTS[answer] for alert in ALERTS.values() if (answer := alert.absent) in ALERTS}
    assert len(answering) > 3
    longest = max(durations.parse(alert.numbers.for_) for alert in answering.values())
    # A scrape and an evaluation, each of a minute at most, come before.
    at_once = {alert.name for alert in ALERTS.values() if durations.parse(alert.keep_firing_for) < longest + 120}
    # Those about what answers at all: it mutes the others, and they end with it.
    assert at_once == {"MlMonitoringWatchdog", "MlMonitoringDown", "MlMonitoringTargetDown", "MlMonitoringJobVanished"}


def test_the_page_of_alerts_says_what_answers() -> None:
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    for alert in ALERTS.values():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| [{alert.name}](")]
        assert row.endswith(f"| {alert.absent} |")
