"""A real Alertmanager with the generated routes: who is told, and what is muted."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerting import alertmanager
from alerting.generate import render
from alerting.thresholds import Timing
from tools.processes import Process, free_port, http_ok, wait_until
from tools.webhook import WebhookReceiver

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_AT_ONCE = Timing(group_wait="0s", group_interval="1s", repeat_interval="1h")


class Alertmanager:
    """Posts alerts as Prometheus does, and tells their state."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fire(self, *alerts: dict[str, str]) -> None:
        self._post(alerts, ends=None)

    def resolve(self, *alerts: dict[str, str]) -> None:
        self._post(alerts, ends=datetime.now(UTC))

    def muted_by(self, **labels: str) -> list[str]:
        """Return the name of the alert that mutes the one with these labels; Alertmanager names one of them."""
        alerts = self._alerts()
        (alert,) = [alert for alert in alerts if alert["labels"] == labels]
        names = {one["fingerprint"]: one["labels"]["alertname"] for one in alerts}
        return sorted(names[by] for by in alert["status"]["inhibitedBy"])

    def _alerts(self) -> list[dict[str, Any]]:
        with _OPENER.open(f"{self.url}/api/v2/alerts", timeout=5) as response:
            alerts: list[dict[str, Any]] = json.load(response)
            return alerts

    def _post(self, alerts: tuple[dict[str, str], ...], ends: datetime | None) -> None:
        started = datetime.now(UTC) - timedelta(minutes=1)
        body = [
            {"labels": labels, "startsAt": started.isoformat(), **({"endsAt": ends.isoformat()} if ends else {})}
            for labels in alerts
        ]
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        _OPENER.open(request, timeout=5).close()
        wanted = [alert["labels"] for alert in body]
        # An alert has a state when its group was looked at, which is a moment after it was taken.
        assert ends or wait_until(
            lambda: all(
                any(one["labels"] == labels and one["status"]["state"] != "unprocessed" for one in self._alerts())
                for labels in wanted
            ),
            timeout=10,
        )


@pytest.fixture
def server(programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path) -> Iterator[Alertmanager]:
    config = tmp_path / "alertmanager.yml"
    config.write_text(render("alertmanager.yml", alertmanager.build(webhook.url, timing=_AT_ONCE)))
    url = f"http://127.0.0.1:{free_port()}"
    process = Process(
        "alertmanager",
        [
            programs["alertmanager"],
            f"--config.file={config}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--cluster.listen-address=",
        ],
        log=tmp_path / "alertmanager.log",
        healthy=lambda: http_ok(f"{url}/-/ready"),
    )
    with process:
        yield Alertmanager(url)


def alert(name: str, severity: str = "warning", team: str = "mlops", **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, "team": team, **labels}


EXPORTER_DOWN = alert("ExporterDown", "critical", "platform", job="exporter")
SOURCE_DOWN = alert("ExporterSourceDown", "critical", "platform", job="exporter", instance="a:9847", source="mlflow")
SOURCE_STALE = alert("ExporterSourceStale", "warning", "platform", job="exporter", instance="a:9847", source="mlflow")
RUNS_FAIL = alert("MlflowFailedRunRatioHigh", job="exporter", experiment="churn", source="mlflow")


def test_each_team_is_told_through_its_own_receiver_and_again_at_the_end(
    server: Alertmanager, webhook: WebhookReceiver
) -> None:
    server.fire(
        SOURCE_DOWN, RUNS_FAIL | {"job": "other"}, alert("Watchdog", "info", "platform"), {"alertname": "Alien"}
    )

    def receivers(status: str) -> dict[str, str]:
        return {
            one["labels"]["alertname"]: note["receiver"]
            for note in webhook.notifications
            for one in note["alerts"]
            if one["status"] == status
        }

    expected = {
        "ExporterSourceDown": "platform-critical",
        "MlflowFailedRunRatioHigh": "mlops-warning",
        "Watchdog": "watchdog",
        "Alien": "unrouted",
    }
    assert wait_until(lambda: len(receivers("firing")) == len(expected), timeout=15)
    assert receivers("firing") == expected
    server.resolve(SOURCE_DOWN)
    webhook.wait_for(lambda one: one["status"] == "resolved", timeout=15)
    assert receivers("resolved") == {"ExporterSourceDown": "platform-critical"}


def test_without_the_exporter_everything_derived_from_it_is_muted(
    server: Alertmanager, webhook: WebhookReceiver
) -> None:
    target_down = alert("ExporterTargetDown", "warning", "platform", job="exporter", instance="a:9847")
    watchdog = alert("Watchdog", "info", "platform")
    elsewhere = alert("NodeDiskFull", "warning", "platform", job="node", instance="a:9100")
    server.fire(EXPORTER_DOWN)
    server.fire(SOURCE_DOWN, target_down, RUNS_FAIL, watchdog, elsewhere)
    assert server.muted_by(**RUNS_FAIL)[0] in {"ExporterDown", "ExporterSourceDown"}
    assert server.muted_by(**SOURCE_DOWN) == ["ExporterDown"]
    assert server.muted_by(**target_down) == ["ExporterDown"]
    assert server.muted_by(**EXPORTER_DOWN) == []
    assert server.muted_by(**watchdog) == []
    assert server.muted_by(**elsewhere) == []
    webhook.wait_for(lambda one: one["labels"] == elsewhere, timeout=15)
    told = {one["labels"]["alertname"] for one in webhook.alerts}
    assert told == {"ExporterDown", "Watchdog", "NodeDiskFull"}


def test_a_source_that_is_down_mutes_what_is_derived_from_it_and_nothing_else(server: Alertmanager) -> None:
    of_other_source = alert("FleetIncident", "critical", "platform", job="exporter", source="fleet")
    of_no_source = alert("BusinessLoss", "warning", "growth", job="exporter")
    other_stale = SOURCE_STALE | {"source": "fleet"}
    server.fire(SOURCE_DOWN)
    server.fire(RUNS_FAIL, SOURCE_STALE, other_stale, of_other_source, of_no_source)
    assert server.muted_by(**RUNS_FAIL) == ["ExporterSourceDown"]
    assert server.muted_by(**SOURCE_STALE) == ["ExporterSourceDown"]
    assert server.muted_by(**other_stale) == []
    assert server.muted_by(**of_other_source) == []
    assert server.muted_by(**of_no_source) == []


def test_a_critical_alert_mutes_warnings_about_the_same_experiment_only(server: Alertmanager) -> None:
    critical = alert("MlflowNoSuccessfulRun", "critical", job="exporter", experiment="churn", source="mlflow")
    other_experiment = RUNS_FAIL | {"experiment": "fraud"}
    same_severity = alert("MlflowMetricWorseThanBest", "critical", job="exporter", experiment="churn", metric="loss")
    server.fire(critical)
    server.fire(RUNS_FAIL, other_experiment, same_severity)
    assert server.muted_by(**RUNS_FAIL)[0] in {"MlflowMetricWorseThanBest", "MlflowNoSuccessfulRun"}
    assert server.muted_by(**other_experiment) == []
    assert server.muted_by(**same_severity) == []


@pytest.mark.parametrize(
    "loud",
    [
        alert("SomethingElse", "critical", "platform"),
        alert("ExporterDown", "critical", "platform"),
        alert("ExporterSourceDown", "critical", "platform"),
        alert("SomethingElse", "critical", "platform", job="exporter"),
    ],
    ids=lambda labels: f"{labels['alertname']}, job {labels.get('job')}",
)
def test_alerts_that_lack_the_same_labels_do_not_mute_each_other(loud: dict[str, str], server: Alertmanager) -> None:
    bare = alert("BusinessLoss", "warning", "growth")
    with_job = bare | {"job": "exporter"}
    server.fire(loud)
    server.fire(bare, with_job, RUNS_FAIL)
    assert [server.muted_by(**one) for one in (bare, with_job, RUNS_FAIL)] == [[], [], []]
