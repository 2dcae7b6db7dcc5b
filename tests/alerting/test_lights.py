"""Traffic lights and counts: neither is green, nor 0, where nothing was looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import ALERTS, load_thresholds
from ml_monitoring.alerting.experiments.declared_signals import (
    DETAIL_PAGE,
    EXPERIMENTS_HARMFUL,
    EXPERIMENTS_NOT_SOUND,
    PAGE,
)
from ml_monitoring.alerting.extensions import our_pages
from ml_monitoring.alerting.host.signals import PAGE as SYSTEM
from ml_monitoring.alerting.mlflow.signals import EXPERIMENTS_STALLED
from ml_monitoring.alerting.mlflow.signals import PAGE as MLFLOW
from ml_monitoring.alerting.mlflow.training_signals import PAGE as TRAINING
from ml_monitoring.alerting.model.alert import Alert
from ml_monitoring.alerting.model.placeholders import fill
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.alerting.monitoring.signals import ALERTS_PAGE, FIRING_ALERTS, FIRING_BY_SEVERITY
from ml_monitoring.alerting.overview.signals import HEALTH, NOT_WATCHED, STATES, health, of_no_domain, own_health, state
from ml_monitoring.alerting.overview.signals import PAGE as OVERVIEW
from ml_monitoring.alerting.services.signals import API_FAILURES_UNKNOWN
from ml_monitoring.alerting.services.signals import PAGE as SERVICES
from tests.support.rules import check_rules


def _says(decision: str, experiment: str = "ranking", *, running: int = 1, store: str = "") -> dict[str, str]:
    labels = f'job="ml-monitoring",instance="a:9847",experiment="{experiment}"' + (f',store="{store}"' if store else "")
    return {
        f'ml_monitoring_experiment_info{{{labels},title="x"}}': "1x10",
        f'ml_monitoring_experiment_decision_info{{{labels},decision="{decision}",arm="",reason="x"}}': "1x10",
        f"ml_monitoring_experiment_running{{{labels}}}": f"{running}x10",
    }


_WATCHDOG = 'ALERTS{alertname="MlMonitoringWatchdog",alertstate="firing",severity="none",team="platform"}'
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
    check_rules(programs["promtool"], tmp_path, series | {_WATCHDOG: "1x10"}, expected, at="5m", topics=())


_REQUESTS = 'ml_http_requests_total{job="%s",instance="a",method="POST",route="/predict",status="%s"}'
_API_FIRING = 'ALERTS{alertname="MlApiLatencyHigh",alertstate="firing",severity="warning",team="platform"}'


@pytest.mark.parametrize(
    ("series", "light"),
    [
        ({}, None),
        ({_REQUESTS % ("a", "200"): "0+9x10"}, 0),
        # A service whose failures nobody counts is not known to be well, whatever its traffic, nor are all.
        ({_REQUESTS % ("a", "unknown"): "0+9x10"}, -1),
        ({_REQUESTS % ("a", "unknown"): "9x10"}, -1),
        ({_REQUESTS % ("a", "200"): "0+9x10", _REQUESTS % ("b", "unknown"): "0+9x10"}, -1),
        ({_REQUESTS % ("a", "unknown"): "0+9x10", _API_FIRING: "1x10"}, 2),
    ],
)
def test_a_service_whose_failures_nobody_counts_is_never_green(
    series: dict[str, str], light: float | None, programs: dict[str, Path], tmp_path: Path
) -> None:
    scope = {**load_thresholds().scope(), "filter": ""}
    expected = {fill(each.expr, scope): light for each in (HEALTH["services"], STATES[SERVICES])}
    uncounted = fill(API_FAILURES_UNKNOWN.expr, {**scope, "filter": 'job="b"'})
    expected[uncounted] = -1 if _REQUESTS % ("b", "unknown") in series else None
    evaluated = series | {_WATCHDOG: "1x10"}
    check_rules(programs["promtool"], tmp_path, evaluated, expected, at="5m", topics=("traffic",))
    if light in {None, 0, -1}:
        unwatched = {fill(each.expr, scope): -2 for each in (HEALTH["services"], STATES[SERVICES])}
        check_rules(programs["promtool"], tmp_path, series, unwatched, at="5m", topics=("traffic",))


@pytest.mark.parametrize(
    ("series", "light"),
    [
        ({}, -2),
        ({"up{job='prometheus'}": "1x10", "node_memory_MemTotal_bytes{job='node'}": "1x10"}, -2),
        ({'ALERTS{alertname="HostOnFire",alertstate="firing",severity="warning",team="platform"}': "1x10"}, 2),
    ],
)
def test_what_no_rule_watches_is_never_green(
    series: dict[str, str], light: float | None, programs: dict[str, Path], tmp_path: Path
) -> None:
    unwatched = health("hosts", (), unwatched=NOT_WATCHED), state(SYSTEM, (), unwatched=NOT_WATCHED)
    expected = {fill(each.expr, {**load_thresholds().scope(), "filter": ""}): light for each in unwatched}
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=())


@pytest.mark.parametrize(
    ("series", "light"),
    [
        # Whatever of it is in use.
        ({}, -2),
        ({"mlflow": "1x10"}, -2),
        ({_WATCHDOG: "1x10"}, None),
        ({"mlflow": "1x10", _WATCHDOG: "1x10"}, 0),
        # Rules that are no longer evaluated.
        ({"mlflow": "1x10", _WATCHDOG: "1x4 stale"}, -2),
        # By rules of others.
        ({"mlflow": "1x10", _FIRING.replace("ExperimentUndecidable", "MlflowRunHanging"): "1x10"}, 2),
    ],
)
def test_nothing_is_green_where_no_rule_is_evaluated(
    series: dict[str, str], light: float | None, programs: dict[str, Path], tmp_path: Path
) -> None:
    series = {'ml_monitoring_source_up{source="mlflow"}' if name == "mlflow" else name: series[name] for name in series}
    scope = {**load_thresholds().scope(), "filter": ""}
    expected = {fill(each.expr, scope): light for each in (HEALTH["mlflow"], STATES[MLFLOW])}
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=())


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


def _own(name: str, page: str) -> Alert:
    """Return an alert as the folder of extensions gives it."""
    return replace(ALERTS[0], name=name, signal=replace(ALERTS[0].signal, name=f"own_{name}", dashboard=page))


@pytest.mark.parametrize(
    ("name", "firing", "dark"),
    [
        ("RunsCostTooMuch", (MLFLOW, "mlflow"), (TRAINING, "services")),
        ("LossesOdd", (TRAINING, "mlflow"), (MLFLOW, "models")),
        ("ShopOrdersWaiting", (ALERTS_PAGE, "own"), (MLFLOW, "mlflow")),
    ],
)
def test_an_alert_of_ones_own_counts_on_its_page_and_in_its_domain(
    name: str, firing: tuple[str, str], dark: tuple[str, str], programs: dict[str, Path], tmp_path: Path
) -> None:
    own = (
        _own("RunsCostTooMuch", MLFLOW),
        _own("LossesOdd", TRAINING),
        _own("ShopOrdersWaiting", "ml-monitoring-own-shop"),
    )
    assert of_no_domain(own) == ("ShopOrdersWaiting",)
    series = {
        f'ALERTS{{alertname="{name}",alertstate="firing",severity="critical",team="platform"}}': "1x10",
        'ml_monitoring_source_up{source="mlflow"}': "1x10",
        'ml_process_start_timestamp_seconds{job="api"}': "1x10",
        'ml_model_loaded_timestamp_seconds{job="api"}': "1x10",
        _WATCHDOG: "1x10",
    }

    def light(domain: str) -> Signal:
        return own_health(of_no_domain(own)) if domain == "own" else health(domain, own)

    lights = {3: (state(firing[0], own), light(firing[1])), 0: (state(dark[0], own), light(dark[1]))}
    scope = {**load_thresholds().scope(), "filter": ""}
    expected = {fill(each.expr, scope): value for value, signals in lights.items() for each in signals}
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=())


def test_each_page_of_alerts_is_of_a_domain_or_of_none() -> None:
    pages = {alert.signal.dashboard for alert in ALERTS}
    own = [_own("Any", page) for page in sorted(our_pages() | pages)]
    undecided = {alert.signal.dashboard for alert in own if of_no_domain([alert])}
    assert undecided == {ALERTS_PAGE, OVERVIEW}


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
