"""`alerts test-fire`, on a real Alertmanager."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import ALERTS as KNOWN_ALERTS
from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.model.thresholds import Timing, read
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient
from tests.support.alertmanager_server import AT_ONCE, Alertmanager, running
from tools.processes import wait_until
from tools.sinks import HttpSink
from tools.webhook import WebhookReceiver

LABELS = {"alertname": "Broken", "severity": "warning", "team": "mlops"}


def test_a_test_alert_goes_through_the_real_routes_and_ends(
    server: Alertmanager, webhook: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["test-fire", f"--alertmanager={server.url}", "--team=mlops", "--severity=warning", "--wait=20"]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert output.startswith("TestAlert of team mlops, severity warning: routed to mlops-warning\n")
    assert re.search(r"^  webhook: \d+ sent, 0 failed$", output, re.MULTILINE)
    fired = webhook.wait_for(lambda alert: alert["labels"]["alertname"] == "TestAlert", timeout=5)
    assert fired["annotations"]["summary"] == "This is a test; nothing is wrong."
    assert wait_until(lambda: any(alert["status"] == "resolved" for alert in webhook.alerts), timeout=15)


def test_a_test_alert_that_is_not_delivered_fails(
    server: Alertmanager, webhook: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook.answer_with(400)
    assert main(["test-fire", f"--alertmanager={server.url}", "--wait=10"]) == 1
    assert re.search(r"webhook: \d+( of \d+)? sent, [1-9]\d* failed", capsys.readouterr().out)


def test_what_another_alert_sent_meanwhile_is_not_taken_for_a_delivery(
    server: Alertmanager, webhook: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fire(LABELS)
    assert main(["test-fire", f"--alertmanager={server.url}", "--team=growth", "--wait=20"]) == 0
    _routed, counted, said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"  webhook: \d+ sent, 0 failed; by this alert or by Broken, which goes through webhook too", counted
    )
    mark = said.partition("look for test_fire=")[2].partition(",")[0]
    # It is found by what it is said to be found by, also in channels that show no labels.
    found = webhook.wait_for(lambda alert: alert["labels"].get("test_fire") == mark, timeout=5)
    assert f"test_fire={mark}" in found["annotations"]["description"]


def test_a_channel_that_cannot_be_reached_is_named(
    programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = tmp_path / "slack_url"
    address.write_text("http://127.0.0.1:9/chat")
    channels = {
        "chat": {"kind": "slack", "teams": ["growth"], "channel": "#a", "api_url_file": str(address)},
        "posts": {"kind": "webhook", "teams": ["growth"], "url": webhook.url},
        "pager": {"kind": "webhook", "severities": ["critical"], "url": webhook.url},
    }
    own = tmp_path / "own.yml"
    own.write_text(yaml.safe_dump({"notifications": {"channels": channels}}))
    settings = load_thresholds().changed({"notifications": {"channels": channels}})
    config = alertmanager.build(thresholds=settings, timing=AT_ONCE, alert_log_url="")
    with running(programs["alertmanager"], config, tmp_path) as server:
        arguments = ["test-fire", f"--alertmanager={server.url}", f"--settings={own}"]
        assert main([*arguments, "--channel=chat", "--wait=6"]) == 1
        said, slack, posts, verdict = capsys.readouterr().out.splitlines()
        # Of the severities that it gets not the one that pages.
        assert said == "TestAlert of team growth, severity warning: routed to growth-warning"
        tried = r"  slack: nothing arrived, [1-9]\d* attempts failed; Alertmanager tries on, and its log says .+"
        assert re.fullmatch(tried, slack)
        assert re.fullmatch(r"  webhook: [1-9]\d* sent, 0 failed", posts)
        assert verdict == "Not delivered through slack"
        for refused, why in (
            (["--channel=pager", "--severity=warning"], "--severity warning: channel pager is for critical only"),
            (["--channel=chat", "--team=mlops"], "--team mlops: channel chat is for growth only"),
        ):
            assert main([*arguments, *refused]) == 2
            assert capsys.readouterr().err == f"error: {why}\n"


def test_two_channels_of_a_kind_of_which_one_is_dead_are_not_one_that_works(
    programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channels = {
        "good": {"kind": "webhook", "url": webhook.url},
        "dead": {"kind": "webhook", "url": "http://127.0.0.1:9/"},
    }
    settings = load_thresholds().changed({"notifications": {"channels": channels}})
    config = alertmanager.build(thresholds=settings, timing=AT_ONCE, alert_log_url="")
    with running(programs["alertmanager"], config, tmp_path) as server:
        assert main(["test-fire", f"--alertmanager={server.url}", "--team=mlops", "--wait=6"]) == 1
    _routed, counted, verdict = capsys.readouterr().out.splitlines()
    said = r"  webhook: 1 of 2 sent, 0 failed, [1-9]\d* attempts failed; Alertmanager's log says at which address"
    assert re.fullmatch(said, counted)
    assert verdict == "Not delivered through webhook"


def test_what_is_silenced_or_failed_beside_others_is_not_called_delivered(
    programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channels = {
        "good": {"kind": "webhook", "teams": ["platform"], "url": webhook.url},
        "dead": {"kind": "webhook", "teams": ["growth"], "url": "http://127.0.0.1:9/"},
    }
    settings = load_thresholds().changed({"notifications": {"channels": channels}})
    config = alertmanager.build(thresholds=settings, timing=AT_ONCE, alert_log_url="")
    with running(programs["alertmanager"], config, tmp_path) as server:
        client = AlertmanagerClient(server.url)
        # Of another team, which a channel of the same kind takes again and again meanwhile.
        other = {"alertname": "HostDown", "team": "platform", "severity": "warning"}
        client.post_alert(other, {}, 600)
        webhook.wait_for(lambda alert: alert["labels"]["alertname"] == "HostDown", timeout=20)
        arguments = ["test-fire", f"--alertmanager={server.url}", "--team=growth", "--wait=6"]
        assert main(arguments) == 1
        verdict = capsys.readouterr().out.splitlines()[-1]
        assert re.match(r"Not (delivered through webhook|known: \d+ attempts through webhook failed)", verdict)
        matcher = {"name": "team", "value": "growth", "isRegex": False, "isEqual": True}
        silence = client.silence([matcher], 600, "tests")
        assert main(arguments) == 1
        assert capsys.readouterr().out.splitlines()[-1] == f"Not delivered: it is silenced by {silence.id}"


def test_a_channel_is_tested_again_at_once_and_one_that_alertmanager_does_not_know_is_named(
    programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yml"
    own.write_text(yaml.safe_dump({"notifications": {"channels": {"posts": {"kind": "webhook", "url": webhook.url}}}}))
    settings = read(KNOWN_ALERTS, [own])
    timing = Timing(group_wait="0s", group_interval="1h", repeat_interval="1h")
    config = alertmanager.build(thresholds=settings, timing=timing, alert_log_url="")
    bare = alertmanager.build(timing=timing, alert_log_url="")
    with running(programs["alertmanager"], config, tmp_path) as server:
        arguments = ["test-fire", f"--alertmanager={server.url}", f"--settings={own}", "--wait=20"]
        webhook.answer_with(400)
        assert main(arguments) == 1
        webhook.answer_with(200)
        # Not after the group_interval of the one before.
        assert main(arguments) == 0
    capsys.readouterr()
    with running(programs["alertmanager"], bare, tmp_path) as server:
        assert main(["test-fire", f"--alertmanager={server.url}", f"--settings={own}"]) == 1
    assert capsys.readouterr().out.splitlines()[1] == (
        "Not delivered: the settings have webhook (alert log), webhook (posts) for it, and this Alertmanager does "
        "not; `alerts generate`, reload it, and test again"
    )


@pytest.mark.parametrize("log", [True, False])
def test_a_channel_that_alertmanager_has_not_loaded_is_named_first(
    log: bool, programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, older = tmp_path / "own.yml", tmp_path / "older.yml"
    hook = {"kind": "webhook", "url": webhook.url}
    settings = {} if log else {"alert_log": None, "alert_log_token_file": None}
    own.write_text(yaml.safe_dump({"notifications": {**settings, "channels": {"hook": hook, "hook2": hook}}}))
    older.write_text(yaml.safe_dump({"notifications": {**settings, "channels": {"hook": hook}}}))
    loaded = alertmanager.build(thresholds=read(KNOWN_ALERTS, [older]), timing=AT_ONCE)
    if not log:
        # Of somebody else's, who waits for longer than the test does.
        loaded = {"route": {"receiver": "others", "group_wait": "1h"}, "receivers": [{"name": "others"}]}
    with running(programs["alertmanager"], loaded, tmp_path) as server:
        arguments = ["test-fire", f"--alertmanager={server.url}", f"--settings={own}", "--wait=1"]
        assert main([*arguments, "--channel=hook2"]) == 1
    has = "2 of 3" if log else "0 of 2"
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == (
        f"  channel hook2 is not in the configuration of this Alertmanager, which has {has} webhook channels that the "
        "settings make for this alert; `alerts generate`, reload it, and test again"
    )
    assert lines[-1] == "Not delivered through channel hook2: this Alertmanager has not loaded it"


def test_a_delivery_is_counted_when_the_alert_is_due_and_by_the_kinds_of_its_own_channels(
    programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = tmp_path / "slack_url"
    with HttpSink() as slack:
        address.write_text(f"{slack.url}/chat")
        channels = {
            "chat": {"kind": "slack", "teams": ["growth"], "channel": "#a", "api_url_file": str(address)},
            "posts": {"kind": "webhook", "teams": ["mlops"], "url": webhook.url},
        }
        calls = {"kind": "webhook", "severities": [], "escalations": True, "url": webhook.url}
        given = {"alert_log": None, "alert_log_token_file": None, "channels": channels | {"calls": calls}}
        own = tmp_path / "own.yml"
        own.write_text(yaml.safe_dump({"notifications": given}))
        timing = Timing(group_wait="2s", group_interval="1s", repeat_interval="1h")
        config = alertmanager.build(thresholds=read(KNOWN_ALERTS, [own]), timing=timing)
        with running(programs["alertmanager"], config, tmp_path) as server:
            server.fire(LABELS)
            arguments = ["test-fire", f"--alertmanager={server.url}", "--team=growth", "--severity=critical"]
            assert main([*arguments, "--wait=20"]) == 0
            assert capsys.readouterr().out.splitlines()[1:] == [
                "  slack: 1 sent, 0 failed",
                "  escalation: not within 20s: it waits 30m (group_wait)",
                "Delivered: each channel that was due took it",
            ]
            # Asked about is what nothing was sent through yet.
            assert main([*arguments, "--wait=20", f"--settings={own}", "--channel=calls"]) == 1
            assert capsys.readouterr().out.splitlines()[-1] == (
                "Not known: only escalations reach channel calls; give --wait more than 30m"
            )
            assert main([*arguments, "--wait=1"]) == 1
            assert sorted(capsys.readouterr().out.splitlines()[1:]) == [
                "  escalation: not within 1s: it waits 30m (group_wait)",
                "  growth-critical: not within 1s: it waits 2s (group_wait)",
                "Not known: nothing was due in this time; give --wait more than 2s",
            ]
            assert "TestAlert" in slack.posts[0].body
