"""Absent is not healthy: for each alert something answers when its series are missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate.files import render
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.model.alert import BoundAlert
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
    rules = {"rules.yml": build_recording_rules(thresholds), "alerts.yml": build_alerts(thresholds)}
    for name, content in rules.items():
        (folder / name).write_text(render(name, content))
    query = 'count by (alertname, job, source) (ALERTS{alertstate="firing"})'
    found: dict[str, set[str]] = {}
    for situation, series in SITUATIONS.items():
        labels = found_by(programs["promtool"], folder, rules, series, query, "85m")
        found[situation] = {
            " ".join(each[name] for name in ("alertname", "job", "source") if name in each) for each in labels
        }
    return found


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


def test_the_page_of_alerts_says_what_answers() -> None:
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    for alert in ALERTS.values():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| [{alert.name}](")]
        assert row.endswith(f"| {alert.absent} |")
