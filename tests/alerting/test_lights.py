"""Traffic lights and counts: neither is green, nor 0, where nothing was looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.experiments.declared_signals import (
    DETAIL_PAGE,
    EXPERIMENTS_HARMFUL,
    EXPERIMENTS_NOT_SOUND,
    PAGE,
)
from ml_monitoring.alerting.mlflow.signals import EXPERIMENTS_STALLED
from ml_monitoring.alerting.model.placeholders import fill
from ml_monitoring.alerting.monitoring.signals import FIRING_ALERTS, FIRING_BY_SEVERITY
from ml_monitoring.alerting.overview.signals import HEALTH, STATES
from tests.support.rules import check_rules


def _says(decision: str, experiment: str = "ranking", *, running: int = 1, store: str = "") -> dict[str, str]:
    labels = f'job="ml-monitoring",instance="a:9847",experiment="{experiment}"' + (f',store="{store}"' if store else "")
    return {
        f'ml_monitoring_experiment_info{{{labels},title="x"}}': "1x10",
        f'ml_monitoring_experiment_decision_info{{{labels},decision="{decision}",arm="",reason="x"}}': "1x10",
        f"ml_monitoring_experiment_running{{{labels}}}": f"{running}x10",
    }


_FIRING = 'ALERTS{alertname="ExperimentUndecidable",alertstate="firing",severity="warning",team="growth"}'


@pytest.mark.parametrize(
    ("series", "light"),
    [
        ({}, None),
        (_says("collecting"), 0),
        (_says("better", store="shop"), 0),
        # What is not known is not well.
        (_says("unknown"), None),
        (_says("planned", running=0), None),
        (_says("no data"), None),
        (_says("unanswerable"), None),
        # One of several, which has not begun, is no matter; one that runs is.
        (_says("collecting") | _says("planned", "next", running=0), 0),
        (_says("collecting") | _says("unknown", "broken"), None),
        (_says("collecting") | _says("no data", "mute", store="shop"), None),
        # What was stopped without an answer is over.
        (_says("collecting") | _says("no data", "over", running=0), 0),
        (_says("no data") | {_FIRING: "1x10"}, 2),
    ],
)
def test_an_experiment_that_says_nothing_is_never_green(
    series: dict[str, str], light: float | None, programs: dict[str, Path], tmp_path: Path
) -> None:
    scope = {**load_thresholds().scope(), "filter": ""}
    lights = [HEALTH["experiments"], STATES[PAGE]]
    # The page of one experiment has other alerts.
    lights += [] if light == 2 else [STATES[DETAIL_PAGE]]
    expected = {fill(each.expr, scope): light for each in lights}
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=())


_WATCHDOG = 'ALERTS{alertname="MlMonitoringWatchdog",alertstate="firing",severity="none",team="platform"}'


@pytest.mark.parametrize(
    ("series", "count"),
    [
        # Without the watchdog nobody knows whether rules are evaluated.
        ({}, None),
        ({_WATCHDOG: "1x10"}, 0),
        ({_FIRING: "1x10"}, 1),
        ({_WATCHDOG: "1x10", _FIRING: "1x10"}, 1),
        # One of another page, which the list does not show.
        ({_WATCHDOG: "1x10", _FIRING.replace("ExperimentUndecidable", "HostDiskFull"): "1x10"}, 0),
    ],
)
def test_that_no_alert_fires_is_said_only_where_rules_are_evaluated(
    series: dict[str, str], count: float | None, programs: dict[str, Path], tmp_path: Path
) -> None:
    scope = {**load_thresholds().scope(), "filter": 'alertname=~"Experiment.+"', "place": ""}
    expected = {f"sum({fill(each.expr, scope)})": count for each in (FIRING_ALERTS, FIRING_BY_SEVERITY)}
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=())


def _hanging(experiment: str) -> str:
    return f'ALERTS{{alertname="MlflowRunHanging",alertstate="firing",team="mlops",experiment="{experiment}"}}'


@pytest.mark.parametrize(
    ("series", "counts"),
    [
        ({}, (None, None, None)),
        (_says("collecting"), (0, 0, None)),
        (_says("guardrail breached") | _says("worse", "next") | _says("invalid", "split"), (2, 1, None)),
        ({"mlflow_runs": "3x10"}, (None, None, 0)),
        ({"mlflow_runs": "3x10", _hanging("a"): "1x10", _hanging("b"): "1x10"}, (None, None, 2)),
    ],
)
def test_none_is_counted_only_where_there_are_experiments(
    series: dict[str, str], counts: tuple[float | None, ...], programs: dict[str, Path], tmp_path: Path
) -> None:
    scope = {**load_thresholds().scope(), "filter": ""}
    signals = (EXPERIMENTS_HARMFUL, EXPERIMENTS_NOT_SOUND, EXPERIMENTS_STALLED)
    expected = {fill(each.expr, scope): count for each, count in zip(signals, counts, strict=True)}
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=())
