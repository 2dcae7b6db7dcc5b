"""A real Alertmanager with the generated routes: who is notified, and what is muted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.generate import alertmanager
from tests.support.alertmanager_server import AT_ONCE, Alertmanager, running
from tools.processes import wait_until
from tools.webhook import WebhookReceiver


@pytest.fixture
def server(programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path) -> Iterator[Alertmanager]:
    config = alertmanager.build(webhook.url, timing=AT_ONCE, alert_log_url="")
    with running(programs["alertmanager"], config, tmp_path) as server:
        yield server


def alert(name: str, severity: str = "warning", team: str = "mlops", **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, "team": team, **labels}


EXPORTER_DOWN = alert("MlMonitoringDown", "critical", "platform", job="ml-monitoring")
SOURCE_DOWN = alert(
    "MlMonitoringSourceDown", "critical", "platform", job="ml-monitoring", instance="a:9847", source="mlflow"
)
SOURCE_STALE = alert(
    "MlMonitoringSourceStale", "warning", "platform", job="ml-monitoring", instance="a:9847", source="mlflow"
)
RUNS_FAIL = alert("MlflowFailedRunRatioHigh", job="ml-monitoring", experiment="churn", source="mlflow")


def test_each_team_is_notified_through_its_own_receiver_and_again_at_the_end(
    server: Alertmanager, webhook: WebhookReceiver
) -> None:
    server.fire(
        SOURCE_DOWN,
        RUNS_FAIL | {"job": "other"},
        alert("MlMonitoringWatchdog", "none", "platform"),
        {"alertname": "Alien"},
    )

    def receivers(status: str) -> dict[str, str]:
        return {
            one["labels"]["alertname"]: note["receiver"]
            for note in webhook.notifications
            for one in note["alerts"]
            if one["status"] == status
        }

    expected = {
        "MlMonitoringSourceDown": "platform-critical",
        "MlflowFailedRunRatioHigh": "mlops-warning",
        "MlMonitoringWatchdog": "watchdog",
        "Alien": "unrouted",
    }
    assert wait_until(lambda: len(receivers("firing")) == len(expected), timeout=15)
    assert receivers("firing") == expected
    server.resolve(SOURCE_DOWN)
    webhook.wait_for(lambda one: one["status"] == "resolved", timeout=15)
    assert receivers("resolved") == {"MlMonitoringSourceDown": "platform-critical"}


def _is_about(name: str, one: dict[str, Any]) -> bool:
    return bool(one["labels"]["alertname"] == name)


def test_without_the_exporter_everything_derived_from_it_is_muted(
    server: Alertmanager, webhook: WebhookReceiver
) -> None:
    target_down = alert("MlMonitoringTargetDown", "warning", "platform", job="ml-monitoring", instance="a:9847")
    watchdog = alert("MlMonitoringWatchdog", "none", "platform")
    elsewhere = alert("NodeDiskFull", "warning", "platform", job="node", instance="a:9100")
    server.fire(EXPORTER_DOWN)
    server.fire(SOURCE_DOWN, target_down, RUNS_FAIL, watchdog, elsewhere)
    server.wait_until_muted(RUNS_FAIL, by="MlMonitoring(Source)?Down")
    server.wait_until_muted(SOURCE_DOWN, by="MlMonitoringDown")
    server.wait_until_muted(target_down, by="MlMonitoringDown")
    assert server.muted_by(EXPORTER_DOWN) == ""
    assert server.muted_by(watchdog) == ""
    assert server.muted_by(elsewhere) == ""
    # Each goes to a receiver of its own, in no order.
    for name in ("MlMonitoringDown", "MlMonitoringWatchdog", "NodeDiskFull"):
        webhook.wait_for(partial(_is_about, name), timeout=15)
    notified = {one["labels"]["alertname"] for one in webhook.alerts}
    assert notified == {"MlMonitoringDown", "MlMonitoringWatchdog", "NodeDiskFull"}


def test_a_source_that_is_down_mutes_what_is_derived_from_it_and_nothing_else(server: Alertmanager) -> None:
    of_other_source = alert("FleetIncident", "critical", "platform", job="ml-monitoring", source="fleet")
    of_no_source = alert("BusinessLoss", "warning", "growth", job="ml-monitoring")
    other_stale = SOURCE_STALE | {"source": "fleet"}
    server.fire(SOURCE_DOWN)
    server.fire(RUNS_FAIL, SOURCE_STALE, other_stale, of_other_source, of_no_source)
    server.wait_until_muted(RUNS_FAIL, by="MlMonitoringSourceDown")
    server.wait_until_muted(SOURCE_STALE, by="MlMonitoringSourceDown")
    assert server.muted_by(other_stale) == ""
    assert server.muted_by(of_other_source) == ""
    assert server.muted_by(of_no_source) == ""


def test_a_critical_alert_mutes_warnings_about_the_same_experiment_only(server: Alertmanager) -> None:
    critical = alert("MlflowNoSuccessfulRun", "critical", job="ml-monitoring", experiment="churn", source="mlflow")
    other_experiment = RUNS_FAIL | {"experiment": "fraud"}
    same_severity = alert(
        "MlflowMetricWorseThanBest", "critical", job="ml-monitoring", experiment="churn", metric="loss"
    )
    server.fire(critical)
    server.fire(RUNS_FAIL, other_experiment, same_severity)
    server.wait_until_muted(RUNS_FAIL, by="MlflowMetricWorseThanBest|MlflowNoSuccessfulRun")
    assert server.muted_by(other_experiment) == ""
    assert server.muted_by(same_severity) == ""


@pytest.mark.parametrize(
    "loud",
    [
        alert("SomethingElse", "critical", "platform"),
        alert("MlMonitoringDown", "critical", "platform"),
        alert("MlMonitoringSourceDown", "critical", "platform"),
        alert("SomethingElse", "critical", "platform", job="ml-monitoring"),
    ],
    ids=lambda labels: f"{labels['alertname']}, job {labels.get('job')}",
)
def test_alerts_that_lack_the_same_labels_do_not_mute_each_other(loud: dict[str, str], server: Alertmanager) -> None:
    bare = alert("BusinessLoss", "warning", "growth")
    with_job = bare | {"job": "exporter"}
    server.fire(loud)
    server.fire(bare, with_job, RUNS_FAIL)
    assert [server.muted_by(one) for one in (bare, with_job, RUNS_FAIL)] == ["", "", ""]
