"""A run fails in a real MLflow store, and the right people are notified by real Prometheus and Alertmanager."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from mlflow import MlflowClient

from demo.mlflow import open_store
from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.model.links import panel_id
from ml_monitoring.alerting.model.thresholds import Thresholds
from tools.processes import wait_until
from tools.stack import LocalStack, Ports, hurried
from tools.webhook import WebhookReceiver

# MLflow's own models use a strategy that the newest SQLAlchemy announces the end of.

ALERT = "MlflowFailedRunRatioHigh"
# What a name may hold that a link must carry unharmed.
EXPERIMENT = 'churn & "Größe" 1/2'


def quick_thresholds() -> Thresholds:
    data = hurried(load_thresholds(), wait="2s").model_dump(by_alias=True)
    data["alerts"][ALERT]["parameters"]["minimum_runs"] = 1
    return Thresholds.model_validate(data)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def client(store: str) -> MlflowClient:
    client = open_store(store)
    client.create_experiment(EXPERIMENT)
    return client


@pytest.fixture(scope="module")
def stack(
    store: str,
    client: MlflowClient,
    receiver: WebhookReceiver,
    programs: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalStack]:
    settings = {"sources": {"mlflow": {"uri": store, "interval": "500ms", "timeout": "5s", "staleness": "1m"}}}
    directory = tmp_path_factory.mktemp("stack")
    thresholds = quick_thresholds()
    with LocalStack(
        settings, directory, Ports.free(), programs, thresholds=thresholds, webhook_url=f"{receiver.url}hook"
    ) as stack:
        yield stack


def end_run(client: MlflowClient, status: str) -> None:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    client.set_terminated(client.create_run(experiment.experiment_id).info.run_id, status)


def runs(stack: LocalStack, status: str) -> float | None:
    found = stack.query(f'mlflow_runs{{status="{status}"}}')
    return next((value for labels, value in found.items() if ("experiment", EXPERIMENT) in labels), None)


def states(stack: LocalStack) -> list[str]:
    return [alert["state"] for alert in stack.alerts(ALERT)]


def about_the_alert(status: str) -> Callable[[dict[str, Any]], bool]:
    return lambda alert: alert["labels"]["alertname"] == ALERT and alert["status"] == status


def test_a_failed_run_notifies_its_team_and_so_does_the_recovery(
    stack: LocalStack, client: MlflowClient, receiver: WebhookReceiver
) -> None:
    assert wait_until(lambda: runs(stack, "FAILED") == 0, timeout=20), "the baseline never reached Prometheus"
    assert states(stack) == []

    # One or two may be chance: three are evidence of more failures than the threshold.
    for _ in range(3):
        end_run(client, "FAILED")
    seen: list[str] = []

    def fires() -> bool:
        seen.extend(state for state in states(stack) if state not in seen)
        return "firing" in seen

    assert wait_until(fires, timeout=30, poll=0.1)
    assert seen == ["pending", "firing"]

    alert = receiver.wait_for(about_the_alert("firing"), timeout=30)
    assert alert["labels"] == {
        "alertname": ALERT,
        "experiment": EXPERIMENT,
        "job": "ml-monitoring",
        "severity": "warning",
        "source": "mlflow",
        "team": "mlops",
    }
    notification = next(each for each in receiver.notifications if alert in each["alerts"])
    assert notification["receiver"] == "mlops-warning"
    assert set(receiver.paths) == {"/hook"}

    annotations = alert["annotations"]
    expected = f'100% of the runs of experiment "{EXPERIMENT}" that were seen to end lately failed.'
    assert annotations["description"] == expected
    dashboard = urlsplit(annotations["dashboard_url"])
    assert dashboard.path == "/d/ml-monitoring-mlflow-experiments"
    assert parse_qs(dashboard.query) == {
        "viewPanel": [str(panel_id("failed_run_ratio"))],
        "var-experiment": [EXPERIMENT],
    }
    assert annotations["runbook_url"] == f"{stack.exporter_url}/runbooks/{ALERT}"
    runbook = httpx.get(annotations["runbook_url"])
    assert runbook.status_code == 200
    assert ALERT in runbook.text

    # Three failures among ten are not more than the threshold.
    for _ in range(7):
        end_run(client, "FINISHED")
    resolved = receiver.wait_for(about_the_alert("resolved"), timeout=30)
    assert resolved["fingerprint"] == alert["fingerprint"]
    assert wait_until(lambda: states(stack) == [], timeout=10)


def test_the_watchdog_and_the_recording_rules_work(stack: LocalStack, receiver: WebhookReceiver) -> None:
    assert receiver.wait_for(lambda alert: alert["labels"]["alertname"] == "MlMonitoringWatchdog", timeout=30)
    rules = stack.get_json(f"{stack.prometheus_url}/api/v1/rules")["data"]["groups"]
    broken = [rule for group in rules for rule in group["rules"] if rule["health"] == "err" or rule.get("lastError")]
    assert rules
    assert broken == []


def test_an_exporter_that_dies_and_comes_back_notifies_the_platform_team(
    stack: LocalStack, receiver: WebhookReceiver
) -> None:
    def notified(status: str) -> Callable[[dict[str, Any]], bool]:
        return lambda alert: alert["labels"]["alertname"] == "MlMonitoringDown" and alert["status"] == status

    stack.exporter.kill()
    alert = receiver.wait_for(notified("firing"), timeout=30)
    assert (alert["labels"]["team"], alert["labels"]["severity"]) == ("platform", "critical")
    stack.exporter.start()
    resolved = receiver.wait_for(notified("resolved"), timeout=30)
    assert resolved["fingerprint"] == alert["fingerprint"]


def test_every_scrape_target_is_up(stack: LocalStack) -> None:
    assert wait_until(lambda: set(stack.query("up").values()) == {1.0}, timeout=20), stack.query("up")
    jobs = {dict(labels)["job"] for labels in stack.query("up")}
    assert jobs == {"ml-monitoring", "prometheus", "alertmanager"}
