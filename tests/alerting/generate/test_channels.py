"""A real Alertmanager sends through every channel to real servers, with the secrets that lie in files."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.generate.files import render, templates, write
from ml_monitoring.alerting.model.thresholds import Thresholds
from tests.support.alertmanager_server import AT_ONCE, Alertmanager, running
from tools.processes import wait_until
from tools.sinks import HttpSink, SmtpSink
from tools.webhook import WebhookReceiver

ALERT = {"alertname": "MlMonitoringSourceDown", "severity": "critical", "team": "platform", "job": "exporter"}
ANNOTATIONS = {
    "summary": "A source of the exporter is down.",
    "description": "The exporter a:9847 cannot read its source mlflow.",
    "runbook_url": "http://127.0.0.1:9847/runbooks/MlMonitoringSourceDown",
}


def with_settings(**settings: Any) -> Thresholds:
    data = load_thresholds().model_dump(by_alias=True)
    data["notifications"] |= settings
    return Thresholds.model_validate(data)


def timing(wait: str) -> dict[str, str]:
    return {"group_wait": wait, "group_interval": "1s", "repeat_interval": "1h"}


@contextlib.contextmanager
def server(
    programs: dict[str, Path], directory: Path, *, webhook: str | None = None, **settings: Any
) -> Iterator[Alertmanager]:
    config = alertmanager.build(webhook, thresholds=with_settings(**settings), timing=AT_ONCE, alert_log_url="")
    with running(programs["alertmanager"], config, directory) as running_server:
        yield running_server


def secret(directory: Path, name: str, text: str) -> str:
    path = directory / name
    path.write_text(text)
    return str(path)


def test_mail_slack_pagerduty_and_webhook_get_an_alert_with_secrets_from_files(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    with SmtpSink() as smtp, HttpSink() as http:
        channels = {
            "mail": {
                "kind": "email",
                "to": "oncall@example.org",
                "from": "alerts@example.org",
                "smarthost": f"localhost:{smtp.port}",
                "username": "alerts",
                "password_file": secret(tmp_path, "smtp", "mail-secret"),
                "require_tls": False,
            },
            "chat": {
                "kind": "slack",
                "channel": "#alerts",
                "api_url_file": secret(tmp_path, "slack", f"{http.url}/slack-secret"),
            },
            "pager": {
                "kind": "pagerduty",
                "severities": ["critical"],
                "routing_key_file": secret(tmp_path, "pager", "pager-secret"),
                "url": f"{http.url}/v2/enqueue",
            },
            "hook": {
                "kind": "webhook",
                "url": f"{http.url}/hook",
                "credentials_file": secret(tmp_path, "hook", "hook-secret"),
            },
            "others": {"kind": "webhook", "url": f"{http.url}/others", "teams": ["growth"]},
        }
        with server(programs, tmp_path, channels=channels) as running_server:
            config = (tmp_path / "alertmanager.yml").read_text()
            assert not [word for word in ("mail-", "slack-", "pager-", "hook-") if f"{word}secret" in config]
            running_server.fire(ALERT, annotations=ANNOTATIONS)
            mail = smtp.wait_for(lambda mail: True)
            slack = json.loads(http.wait_for(lambda post: post.path == "/slack-secret").body)
            pager = json.loads(http.wait_for(lambda post: post.path == "/v2/enqueue").body)
            hook = http.wait_for(lambda post: post.path == "/hook")
            running_server.resolve(ALERT, annotations=ANNOTATIONS)
            over = smtp.wait_for(lambda mail: "RESOLVED" in mail.message["Subject"])
        assert "/others" not in [post.path for post in http.posts]

    subject = "[CRITICAL] MlMonitoringSourceDown: A source of the exporter is down."
    assert (mail.sender, mail.recipients) == ("alerts@example.org", ("oncall@example.org",))
    assert mail.login == ("alerts", "mail-secret")
    assert mail.message["Subject"] == subject
    parts = {part.get_content_type(): part.get_content() for part in mail.message.iter_parts()}
    assert parts["text/plain"].startswith(ANNOTATIONS["description"])
    assert f'<a href="{ANNOTATIONS["runbook_url"]}">Runbook</a>' in parts["text/html"]
    assert over.message["Subject"] == subject.replace("CRITICAL", "RESOLVED")
    (attachment,) = slack["attachments"]
    assert (slack["channel"], attachment["title"], attachment["color"]) == ("#alerts", subject, "danger")
    assert attachment["text"].startswith(f"• {ANNOTATIONS['description']} <{ANNOTATIONS['runbook_url']}|Runbook>")
    assert pager["routing_key"] == "pager-secret"
    assert (pager["payload"]["summary"], pager["payload"]["severity"]) == (subject, "critical")
    assert hook.authorization == "Bearer hook-secret"
    assert json.loads(hook.body)["receiver"] == "platform-critical"


def test_a_critical_alert_that_nobody_takes_up_is_escalated(
    programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path
) -> None:
    channels = {"boss": {"kind": "webhook", "severities": [], "escalations": True, "url": f"{webhook.url}boss"}}
    settings = {"channels": channels, "escalation": timing("5s")}
    silenced, warning = ALERT | {"source": "fleet"}, ALERT | {"severity": "warning"}
    with server(programs, tmp_path, webhook=f"{webhook.url}log", **settings) as running_server:
        running_server.fire(ALERT, silenced, warning, age=timedelta(0))
        webhook.wait_for(lambda one: one["labels"] == ALERT, timeout=5)
        assert "/boss" not in webhook.paths
        running_server.silence(source="fleet")
        assert wait_until(lambda: "/boss" in webhook.paths, timeout=15)
        received = [note for path, note in zip(webhook.paths, webhook.notifications, strict=True) if path == "/boss"]
        assert [(note["receiver"], [one["labels"] for one in note["alerts"]]) for note in received] == [
            ("escalation", [ALERT])
        ]


def test_the_heartbeat_gets_the_watchdog_only_and_an_action_its_alert(
    programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path
) -> None:
    settings = {
        "heartbeat": {"url": f"{webhook.url}heartbeat"},
        "actions": {"retrain": {"url": f"{webhook.url}retrain"}},
        "action": timing("0s"),
    }
    watchdog = {"alertname": "MlMonitoringWatchdog", "severity": "none", "team": "platform"}
    worse = {"alertname": "Worse", "severity": "warning", "team": "mlops", "action": "retrain"}
    with server(programs, tmp_path, webhook=f"{webhook.url}log", **settings) as running_server:
        running_server.fire(watchdog, worse, ALERT)

        def notified() -> set[tuple[str, str, str]]:
            return {
                (path, note["receiver"], one["labels"]["alertname"])
                for path, note in zip(webhook.paths, webhook.notifications, strict=True)
                for one in note["alerts"]
            }

        expected = {
            ("/heartbeat", "watchdog", "MlMonitoringWatchdog"),
            ("/log", "watchdog", "MlMonitoringWatchdog"),
            ("/retrain", "action-retrain", "Worse"),
            ("/log", "action-retrain", "Worse"),
            ("/log", "mlops-warning", "Worse"),
            ("/log", "platform-critical", "MlMonitoringSourceDown"),
        }
        assert wait_until(lambda: notified() >= expected, timeout=15)
        assert notified() == expected


def _has_labels(labels: dict[str, str], one: dict[str, Any]) -> bool:
    return bool(one["labels"] == labels)


def test_a_mute_time_holds_back_infos_and_never_critical_alerts(
    programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path
) -> None:
    always = {
        "severities": ["info"],
        "teams": ["platform"],
        "intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}],
    }
    info, other = ALERT | {"severity": "info"}, ALERT | {"severity": "info", "team": "growth"}
    with server(programs, tmp_path, webhook=webhook.url, mute_times={"always": always}) as running_server:
        running_server.fire(info, ALERT, other)
        webhook.wait_for(lambda one: one["labels"] == ALERT, timeout=15)
        webhook.wait_for(lambda one: one["labels"] == other, timeout=15)
        # Meanwhile two rounds go by: what joins a group is sent with its next one.
        for number in range(3):
            joining = other | {"instance": str(number)}
            running_server.fire(joining)
            webhook.wait_for(partial(_has_labels, joining), timeout=15)
        assert info not in [one["labels"] for one in webhook.alerts]


def test_microsoft_teams_and_addresses_in_files_are_taken_by_versions_that_know_them(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    settings = with_settings(
        channels={"teams": {"kind": "msteams", "webhook_url_file": "/run/secrets/teams"}},
        heartbeat={"url_file": "/run/secrets/heartbeat"},
    )
    config = alertmanager.build(thresholds=settings, alert_log_url="")
    receivers = {one["name"]: one for one in config["receivers"]}
    assert receivers["growth-warning"]["msteamsv2_configs"][0]["webhook_url_file"] == "/run/secrets/teams"
    assert receivers["watchdog"]["webhook_configs"][0] == {"url_file": "/run/secrets/heartbeat", "send_resolved": False}
    write(templates() | {"alertmanager.yml": render("alertmanager.yml", config)}, tmp_path)
    done = subprocess.run(
        [programs["amtool"], "check-config", tmp_path / "alertmanager.yml"], capture_output=True, text=True, check=False
    )
    version = subprocess.run([programs["amtool"], "--version"], capture_output=True, text=True, check=True).stdout
    minor = int(version.split("version 0.")[1].split(".")[0])
    assert (done.returncode == 0) is (minor >= 28), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": {"m": {"kind": "carrier-pigeon"}}}, "does not match any of the expected tags"),
        ({"channels": {"m": {"kind": "slack", "channel": "x", "api_url_file": "slack"}}}, "begin with a slash"),
        ({"channels": {"m": {"kind": "webhook"}}}, "give either url or url_file"),
        ({"mute_times": {"m": {"severities": ["critical"], "intervals": [{}]}}}, "should be 'warning' or 'info'"),
        ({"heartbeat": {"url": "http://x", "url_file": "/y"}}, "give either url or url_file"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_settings(**settings)
