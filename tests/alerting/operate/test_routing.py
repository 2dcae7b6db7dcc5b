"""`alerts route`: who is notified of an alert."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.model.thresholds import SEVERITIES
from ml_monitoring.alerting.operate.routing import stops
from tests.alerting.generate.test_promtool import TEAMS, route


@pytest.mark.parametrize("team", [*TEAMS, "nobody"])
@pytest.mark.parametrize("severity", [*SEVERITIES, "odd"])
def test_a_route_is_followed_as_alertmanager_follows_it(team: str, severity: str, programs: dict[str, Path]) -> None:
    labels = {"alertname": "X", "team": team, "severity": severity}
    ours = ",".join(stop.receiver for stop in stops(alertmanager.build(), labels))
    assert ours == route(programs["amtool"], **labels)


def test_the_route_command_says_who_is_notified(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["route", "--label", "team=growth", "--label", "severity=info", "--label", "alertname=X"]) == 0
    assert capsys.readouterr().out == "growth-info: after 1m, again every 1d; through webhook (alert log)\n"


def test_an_alert_of_ours_goes_where_its_own_labels_lead(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    settings = tmp_path / "own.yml"
    settings.write_text("alerts:\n  HostDiskFull: null\n  MlMonitoringDown: {team: growth}\n", encoding="utf-8")
    given = ["route", f"--settings={settings}", "--label"]
    assert main([*given, "alertname=MlMonitoringDown"]) == 0
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["escalation", "growth-critical"]
    assert err == "note: severity=critical, team=growth as MlMonitoringDown has\n"
    assert main([*given, "alertname=MlMonitoringDown", "--label=severity=info", "--label=team=mlops"]) == 0
    assert capsys.readouterr() == ("mlops-info: after 1m, again every 1d; through webhook (alert log)\n", "")
    assert main([*given, "alertname=HostDiskFull"]) == 0
    off = f"HostDiskFull: no rule is made of it, as it is switched off: {settings}:2\n"
    assert capsys.readouterr() == (off, "")
    assert main([*given, "alertname=OfOthers"]) == 0
    assert capsys.readouterr().err == "note: OfOthers is no alert of these settings, so by the labels given alone\n"


def test_channels_are_named_as_the_settings_name_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    settings = tmp_path / "own.yml"
    own = {
        "webhook": "http://127.0.0.1:9/all",
        "heartbeat": {"url": "http://127.0.0.1:9/beat"},
        "actions": {"retrain": {"url": "http://127.0.0.1:9/retrain"}},
        "channels": {
            "pages": {"kind": "webhook", "severities": ["critical"], "url": "http://127.0.0.1:9/s3cret"},
            "calls": {"kind": "webhook", "severities": [], "escalations": True, "url": "http://127.0.0.1:9/calls"},
            "chat": {"kind": "msteams", "teams": ["growth"], "webhook_url_file": str(tmp_path / "secret")},
            "shop": {"kind": "slack", "teams": ["mlops"], "channel": "#a", "api_url_file": str(tmp_path / "secret")},
        },
    }
    settings.write_text(yaml.safe_dump({"notifications": own}, sort_keys=False), encoding="utf-8")
    given = f"--settings={settings}"
    everywhere = "webhook (notifications.webhook), webhook (alert log)"
    critical = ["--label=team=growth", "--label=severity=critical"]
    assert main(["route", given, *critical, "--label=action=retrain"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"escalation: after 30m, again every 1h; through {everywhere}, webhook (calls)",
        f"action-retrain: after 0s, again every 1d; through webhook (action retrain), {everywhere}",
        f"growth-critical: after 10s, again every 15m; through {everywhere}, webhook (pages), msteams (chat)",
    ]
    assert main(["explain", given, "MlMonitoringWatchdog"]) == 0
    out = capsys.readouterr().out
    assert f"through {everywhere}, webhook (heartbeat)\n" in out
    settings.write_text("notifications: {alert_log: null, alert_log_token_file: null}\n", encoding="utf-8")
    assert main(["route", given, *critical]) == 0
    assert {line.partition("; ")[2] for line in capsys.readouterr().out.splitlines()} == {"through nothing"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("sverity=info", "no alert has a label sverity; did you mean severity?"),
        ("experimnt=x", "no alert has a label experimnt; did you mean experiment?"),
        ("severity=critcal", "severity is never critcal; did you mean critical?"),
        ("team=x", "team is never x; there are: platform, mlops, growth"),
        ("alertname=MlflowRunHangin", "there is no alert MlflowRunHangin; did you mean MlflowRunHanging?"),
    ],
)
def test_a_label_that_is_misspelt_is_not_passed_over(given: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["route", "--label", given]) == 2
    assert capsys.readouterr() == ("", f"error: --label: {said}\n")


def test_labels_that_alerts_of_others_have_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["route", "--label", "team=growth", "--label", "severity=info", "--label", "shelf=x"]) == 0
    assert capsys.readouterr().out.startswith("growth-info: ")
