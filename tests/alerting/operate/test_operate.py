"""The tools for people on call, on real servers."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import ALERTS as KNOWN_ALERTS
from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.generate.expanded import recorded_expressions
from ml_monitoring.alerting.model.thresholds import DEFAULT_PATHS, SEVERITIES, Timing, read
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient
from ml_monitoring.alerting.operate.backtest import BacktestResult, Firing, backtest
from ml_monitoring.alerting.operate.routing import stops
from ml_monitoring.alerting.operate.soundness import Measured, TrafficLevel
from ml_monitoring.exporter.command_line import moment_text, spelled
from tests.alerting.generate.test_promtool import TEAMS, route
from tests.support.alertmanager_server import AT_ONCE, Alertmanager, running
from tests.support.console import Console
from tools.backfilled_prometheus import backfilled_prometheus
from tools.processes import wait_until
from tools.sinks import HttpSink
from tools.stack import ROOT
from tools.webhook import WebhookReceiver

ALERTS = load_alerts()
LABELS = {"alertname": "Broken", "severity": "warning", "team": "mlops"}


@pytest.fixture
def server(programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path) -> Iterator[Alertmanager]:
    config = alertmanager.build(webhook.url, timing=AT_ONCE, alert_log_url="")
    with running(programs["alertmanager"], config, tmp_path) as server:
        yield server


def test_everything_about_an_alert_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "MlMonitoringSourceDown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    number = DEFAULT_PATHS[0].read_text().splitlines().index("  MlMonitoringSourceDown:") + 1
    assert lines[0] == "MlMonitoringSourceDown: A source of the exporter is down."
    assert lines[lines.index("  Set in") + 1 : lines.index("  Expression")] == [
        f"    default (thresholds.yml:{number + 1}): threshold: 1",
        f"    default (thresholds.yml:{number + 2}): unit: flag",
        f"    default (thresholds.yml:{number + 4}): for: 3m",
        f"    default (thresholds.yml:{number + 5}): severity: critical",
        f"    default (thresholds.yml:{number + 6}): team: platform",
    ]
    assert "    ml_monitoring_source_up < 1" in lines
    notified = lines[lines.index("  Notified") + 1 : lines.index("  Muted")]
    assert notified == [
        "    escalation: 33 min after the condition begins to hold, again every 1h; through webhook (alert log)",
        "    platform-critical: 3 min 10 s after the condition begins to hold, again every 15m; "
        "through webhook (alert log)",
    ]
    assert lines[lines.index("  Muted") + 1 :] == [
        "    MlMonitoringDown: Without the exporter nothing that it says can be trusted, not even that a problem ended."
    ]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_can_be_explained(alert: object, capsys: pytest.CaptureFixture[str]) -> None:
    name = next(one.name for one in ALERTS if one is alert)
    assert main(["explain", name]) == 0
    assert capsys.readouterr().out.count("\n") > 8


@pytest.mark.parametrize(
    ("settings", "name", "why"),
    [
        (
            "links: {logs: null}\nalerts:\n  MlPredictionsStopped: null\n",
            "MlPredictionsStopped",
            "it is switched off: {}:3",
        ),
        (
            "alerts:\n  MlPredictionsStopped:\n    enabled: false\n",
            "MlPredictionsStopped",
            "it is switched off: {}:3",
        ),
        ("components: [host]\n", "PrometheusTargetDown", "the component monitoring is not watched: {}:1"),
    ],
)
def test_an_alert_that_is_off_is_explained_by_what_switches_it_off(
    settings: str, name: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.yml"
    path.write_text(settings, encoding="utf-8")
    assert main(["explain", name, f"--settings={path}"]) == 0
    assert capsys.readouterr() == (f"{name}: no rule is made of it, as {why.format(path)}\n", "")


def test_what_switched_an_alert_off_is_named_also_where_a_later_file_gives_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["alerts:\n  MlApiLatencyHigh: null\n", "alerts:\n  MlApiLatencyHigh: {threshold: 60ms}\n"]
    texts.append("alerts:\n  MlApiLatencyHigh: {enabled: true}\n")
    paths = [tmp_path / f"{number}.yml" for number in range(3)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    settings = [f"--settings={path}" for path in paths]
    assert main(["explain", "MlApiLatencyHigh", *settings[:2]]) == 0
    off = f"MlApiLatencyHigh: no rule is made of it, as it is switched off: {paths[0]}:2\n"
    assert capsys.readouterr().out == off
    assert main(["backtest", "MlApiLatencyHigh", *settings[:2], "--prometheus=http://127.0.0.1:9"]) == 1
    assert "`ml-monitoring alerts explain MlApiLatencyHigh` says why" in capsys.readouterr().err
    assert main(["explain", "MlApiLatencyHigh", *settings]) == 0
    assert f"{paths[1]}:2: threshold: 60ms" in capsys.readouterr().out


def test_what_a_budget_burns_at_is_said_in_shares_of_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yml"
    own.write_text("slos: {availability: 0.95, period: 28d}\nalerts: {MlApiErrorBudgetBurnsFast: {threshold: 1.5}}\n")
    assert main(["explain", "MlApiErrorBudgetBurnsFast", "--settings", str(own)]) == 0
    said = capsys.readouterr().out
    # The threshold is a multiple of both factors.
    assert "burns at a rate above 21.6 (108 % fail or 21.6 % are late), over 56m" in said
    assert "or above 9 (45 % or 9 %), over 5h36m" in said
    assert "  Note" not in said


def test_a_budget_that_can_never_burn_so_fast_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.yml"
    own.write_text("slos: {availability: 0.9}\n")
    note = (
        "slos.availability is 90 %, so that its budget burns at 10 when all fail, and never at 14.4 "
        "(slos.page_fast.factor): set a smaller factor, or a higher objective\n"
    )
    for name, is_concerned in {"MlApiErrorBudgetBurnsFast": True, "MlApiErrorBudgetBurnsSlowly": False}.items():
        assert main(["explain", name, "--settings", str(own)]) == 0
        assert (f"  Note         {note}" in capsys.readouterr().out) is is_concerned
    assert main(["generate", "--settings", str(own), "--output-dir", str(tmp_path / "out")]) == 0
    assert f"note: {note}" in capsys.readouterr().err


def test_an_alert_that_does_not_exist_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "Zzz"]) == 1
    assert capsys.readouterr().err.startswith(
        "error: Zzz does not exist; there are: MlMonitoringWatchdog, MlMonitoringDown,"
    )


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
    assert capsys.readouterr().err == ""


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
    assert main(["route", "--label", given]) == 1
    assert capsys.readouterr() == ("", f"error: --label: {said}\n")


def test_labels_that_alerts_of_others_have_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["route", "--label", "team=growth", "--label", "severity=info", "--label", "shelf=x"]) == 0
    assert capsys.readouterr().out.startswith("growth-info: ")


def test_a_label_of_our_own_is_on_every_alert_and_in_every_question_about_ours(
    server: Alertmanager, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = tmp_path / "own.yml"
    settings.write_text("alert_labels: {stack: ml}\n", encoding="utf-8")
    given = f"--settings={settings}"
    thresholds = read(KNOWN_ALERTS, [settings])
    assert {alert.rule_labels["stack"] for alert in load_alerts(thresholds)} == {"ml"}
    assert thresholds.scope()["own_alerts"] == 'team=~"platform|mlops|growth",stack="ml"'
    # What is asked about is ours.
    assert main(["route", given, "--label", "team=growth", "--label", "severity=critical"]) == 0
    *stops, note = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in stops] == ["escalation", "growth-critical"]
    assert main(["explain", given, "MlMonitoringDown"]) == 0
    assert f"    {note}\n  Muted\n" in capsys.readouterr().out
    assert main(["maintenance", given, f"--alertmanager={server.url}", "--duration=2h", "--reason=disks"]) == 0
    (silence,) = AlertmanagerClient(server.url).silences()
    assert {"name": "stack", "value": "ml", "isRegex": False, "isEqual": True} in silence.matchers


def test_maintenance_silences_all_but_the_watchdog_until_it_is_ended(
    server: Alertmanager, webhook: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"--alertmanager={server.url}"
    assert main(["maintenance", address, "--duration=2h", "--reason=new disks"]) == 0
    begun, count, hint = capsys.readouterr().out.splitlines()
    assert count == "It silences no alerts that fire now."
    assert re.match(r"Silenced until .*: new disks \(\S+\): alerts of platform, mlops, growth$", begun)
    watchdog = {"alertname": "MlMonitoringWatchdog", "severity": "none", "team": "platform"}
    server.fire(LABELS, watchdog)
    webhook.wait_for(lambda alert: alert["labels"] == watchdog, timeout=15)
    assert LABELS not in [alert["labels"] for alert in webhook.alerts]
    assert main(["maintenance-end", address]) == 0
    assert "Ended: new disks (" in capsys.readouterr().out
    # What is said works where it is pasted: there is nothing left to end.
    command = hint.partition("End it early with: ")[2]
    pasted = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=True)
    assert pasted.stdout == "There is no maintenance to end.\n"
    webhook.wait_for(lambda alert: alert["labels"] == LABELS, timeout=20)


@pytest.mark.parametrize(
    ("arguments", "silenced", "said"),
    [
        ([], {"ours": True, "other team": False, "no team": False}, "alerts of platform, mlops, growth"),
        (["--label=team=growth"], {"ours": False, "other team": False, "no team": False}, "with team=growth"),
        (["--label=job=a"], {"ours": True, "other team": False, "no team": False}, "growth with job=a"),
        (
            ["--label=team=growth", "--label=team=mlops"],
            {"ours": True, "other team": False, "no team": False},
            "alerts with team=growth or mlops\n",
        ),
        (
            ["--label=job=a", "--label=job=b.c"],
            {"ours": True, "other team": False, "no team": False},
            "growth with job=a or b.c\n",
        ),
        (["--everything"], {"ours": True, "other team": True, "no team": True}, "not of this stack"),
        (["--everything", "--label=job=a"], {"ours": True, "other team": True, "no team": False}, "everybody who uses"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_maintenance_touches_others_alerts_and_silences_only_where_it_is_asked_to(
    arguments: list[str],
    silenced: dict[str, bool],
    said: str,
    server: Alertmanager,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = AlertmanagerClient(server.url)
    others = client.silence(
        [{"name": "job", "value": "x", "isRegex": False, "isEqual": True}], 60, "maintenance: theirs"
    )
    address = f"--alertmanager={server.url}"
    assert main(["maintenance", address, "--duration=2h", "--reason=disks", *arguments]) == 0
    assert said in capsys.readouterr().out
    alerts = {
        "ours": {"alertname": "Broken", "team": "mlops", "job": "a"},
        "other team": {"alertname": "Shop", "team": "shop", "job": "a"},
        "no team": {"alertname": "Node"},
    }
    server.fire(*alerts.values())

    def found() -> dict[str, bool]:
        states = {one["labels"]["alertname"]: one["status"]["state"] for one in client._call("GET", "alerts")}
        return {name: states.get(labels["alertname"]) == "suppressed" for name, labels in alerts.items()}

    assert wait_until(lambda: found() == silenced, timeout=15), found()
    assert main(["maintenance-end", address]) == 0
    assert [silence.id for silence in client.silences()] == [others.id]


def test_a_password_of_the_address_is_not_printed(server: Alertmanager, capsys: pytest.CaptureFixture[str]) -> None:
    address = server.url.replace("://", "://ops:s3cret@")
    assert main(["maintenance", f"--alertmanager={address}", "--duration=2h", "--reason=disks"]) == 0
    hint = capsys.readouterr().out.splitlines()[-1]
    assert "s3cret" not in hint
    assert re.search(r"End it early, with the same --alertmanager, with: \S.* alerts maintenance-end \S+$", hint)


def test_one_maintenance_ends_and_the_others_go_on(server: Alertmanager, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"--alertmanager={server.url}"
    server.fire(LABELS | {"team": "mlops"}, LABELS | {"team": "growth"})
    ids = {}
    for team in ("mlops", "growth", "platform"):
        assert main(["maintenance", address, "--duration=2h", f"--reason={team}", f"--label=team={team}"]) == 0
        said = capsys.readouterr().out
        assert f"It silences {'no alerts that fire' if team == 'platform' else '1 alert that fires'} now.\n" in said
        ids[team] = re.findall(r"maintenance-end (\S+)", said)[0]
    described = {}
    for one in AlertmanagerClient(server.url).silences():
        team = one.comment.removeprefix("maintenance: ")
        window = f"since {moment_text(one.starts)} until {moment_text(one.ends)}"
        described[team] = f"{team} ({one.id}): alerts with team={team}, {window}"
    assert set(ids) == set(described)
    assert main(["maintenance-end", address, "--label=team=mlops"]) == 0
    ended, *others = capsys.readouterr().out.splitlines()
    goes_on = sorted(f"Goes on: {described[team]}" for team in ("growth", "platform"))
    assert (ended, sorted(others)) == (f"Ended: {described['mlops']}", goes_on)
    assert main(["maintenance-end", address, ids["growth"]]) == 0
    assert capsys.readouterr().out == f"Ended: {described['growth']}\nGoes on: {described['platform']}\n"
    assert main(["maintenance-end", address, "no-such-id"]) == 1
    said = "error: there is no maintenance to end with the ID no-such-id\n"
    assert capsys.readouterr() == (f"Goes on: {described['platform']}\n", said)
    assert main(["maintenance-end", address]) == 0
    assert capsys.readouterr().out == f"Ended: {described['platform']}\n"


def test_a_maintenance_of_two_teams_is_ended_by_either_and_no_other_one(
    server: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["maintenance", f"--alertmanager={server.url}", "--duration=2h"]
    assert main([*arguments, "--reason=all"]) == 0
    assert main([*arguments, "--reason=two", "--label=team=mlops", "--label=team=growth"]) == 0
    capsys.readouterr()
    assert main(["maintenance-end", f"--alertmanager={server.url}", "--label=team=growth"]) == 0
    ended, goes_on = capsys.readouterr().out.splitlines()
    assert (ended.partition(" (")[0], goes_on.partition(" (")[0]) == ("Ended: two", "Goes on: all")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            ["team=mlops", "alertname=MlServiceDown"],
            "--label team=mlops --label alertname=MlServiceDown: no alert has all of these labels; MlServiceDown is "
            "critical, of team platform",
        ),
        (
            ["alertname=MlflowRunHanging", "severity=critical"],
            "--label alertname=MlflowRunHanging --label severity=critical: no alert has all of these labels; "
            "MlflowRunHanging is info, of team mlops",
        ),
    ],
)
def test_labels_that_no_alert_has_together_are_refused(
    labels: list[str], message: str, server: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [f"--label={label}" for label in labels]
    arguments = ["maintenance", f"--alertmanager={server.url}", "--duration=2h", "--reason=x"]
    assert main([*arguments, *given]) == 1
    assert capsys.readouterr() == ("", f"error: {message}\n")
    assert AlertmanagerClient(server.url).silences() == []
    # What fires has them, no matter who made it.
    server.fire(
        {"alertname": "MlServiceDown", "team": "mlops"}, {"alertname": "MlflowRunHanging", "severity": "critical"}
    )
    assert main([*arguments, *given]) == 0


def test_every_silence_is_listed_with_whose_it_is_and_how_it_ends(
    server: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"--alertmanager={server.url}"
    client = AlertmanagerClient(server.url)
    assert main(["silences", address]) == 0
    assert capsys.readouterr().out == "Nothing is silenced, and nothing is planned.\n"
    team = {"team": "mlops", "severity": "info"}
    names = (*"ABCDE", "A", "Broken")
    server.fire(LABELS | {"job": "shop"}, *({**team, "alertname": name, "n": str(n)} for n, name in enumerate(names)))
    matchers = [
        {"name": "job", "value": "shop", "isRegex": False, "isEqual": True},
        {"name": "team", "value": "a|b", "isRegex": True, "isEqual": False},
    ]
    others = client.silence(matchers, 3600, "looking into it")
    tonight = client.silence(matchers[:1], 3600, "later", datetime.now(UTC) + timedelta(hours=8))
    assert main(["maintenance", address, "--duration=2h", "--reason=disks", "--label=team=mlops"]) == 0
    ours = re.findall(r"maintenance-end (\S+)", capsys.readouterr().out)[0]
    begun = {one.id: f"from {moment_text(one.starts)} until {moment_text(one.ends)}" for one in client.silences()}
    assert main(["silences", address]) == 0
    me, expire = getpass.getuser(), f"amtool silence expire {{}} --alertmanager.url {server.url}"
    assert capsys.readouterr().out.splitlines() == [
        f'In force (1 alert: Broken): looking into it, by {me}: alerts with job="shop", team!~"a|b"',
        f"  {begun[others.id]}; end it with: {expire.format(others.id)}",
        f"In force (8 alerts: A x2, Broken x2, B, C, D, 1 more): disks, by {me}: alerts with team=mlops",
        f"  {begun[ours]}; end it with: {spelled('alerts', 'maintenance-end', ours, '--alertmanager', server.url)}",
        f'Planned: later, by {me}: alerts with job="shop"',
        f"  {begun[tonight.id]}; end it with: {expire.format(tonight.id)}",
    ]
    assert main(["maintenance-end", address]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"2 silences of others stay: listed by {spelled('alerts', 'silences')}"


def test_what_ends_a_maintenance_ends_the_one_that_it_prolongs_too(
    server: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["maintenance", f"--alertmanager={server.url}", "--label=team=mlops", "--duration=2h"]
    assert main(["maintenance", f"--alertmanager={server.url}", "--duration=2h", "--reason=all"]) == 0
    assert main([*arguments, "--reason=first"]) == 0
    assert "End it early with: " in capsys.readouterr().out
    assert main([*arguments, "--reason=second"]) == 0
    _, _, command = capsys.readouterr().out.partition("End them early with: ")
    _python, ended = command.split(" alerts ")
    assert main(ended.split()) == 0
    assert sorted(line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()) == [
        "Ended: first",
        "Ended: second",
        "Goes on: all",
    ]


def test_a_planned_maintenance_silences_nothing_yet_and_can_be_called_off(
    server: Alertmanager, webhook: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"--alertmanager={server.url}"
    starts = (datetime.now(UTC) + timedelta(days=2)).replace(second=0, microsecond=0)
    begins, ends = (f"{one.astimezone():%Y-%m-%d %H:%M %Z}" for one in (starts, starts + timedelta(hours=4)))
    planned = ["maintenance", address, f"--start={starts.isoformat()}", "--duration=4h", "--reason=new disks"]
    assert main(planned) == 0
    said, begin, end = capsys.readouterr().out.splitlines()
    (silence,) = AlertmanagerClient(server.url).silences()
    assert said == (f"Silenced from {begins} until {ends}: new disks ({silence.id}): alerts of platform, mlops, growth")
    assert re.fullmatch(r"It begins in (47h\d+m|2d); nothing is silenced yet\.", begin)
    assert (silence.starts, silence.ends) == (starts, starts + timedelta(hours=4))
    server.fire(LABELS)
    webhook.wait_for(lambda alert: alert["labels"] == LABELS, timeout=15)
    # What begins now and ends before it neither prolongs nor ends it; what overlaps does.
    assert main(["maintenance", address, "--duration=2h", "--reason=today"]) == 0
    assert silence.id not in capsys.readouterr().out
    assert main(["maintenance", address, "--duration=3d", "--reason=for days"]) == 0
    assert silence.id in capsys.readouterr().out.partition("End them early with: ")[2]
    assert main(["maintenance-end", address, "no-such-id"]) == 1
    whose = f"new disks ({silence.id}): alerts of platform, mlops, growth, planned for {begins} until {ends}"
    assert f"Still planned: {whose}\n" in capsys.readouterr().out
    _python, command = end.split(" alerts ")
    assert main(command.split()) == 0
    ended, *others = capsys.readouterr().out.splitlines()
    assert ended == f"Ended before it began: {whose}"
    assert sorted(line.partition(" (")[0] for line in others) == ["Goes on: for days", "Goes on: today"]
    # Without a name all are ended, and it is said of those that had yet to begin.
    assert main(planned) == 0
    capsys.readouterr()
    assert main(["maintenance-end", address]) == 0
    *lines, said = capsys.readouterr().out.splitlines()
    assert sorted(line.partition(" (")[0] for line in lines) == [
        "Ended before it began: new disks",
        "Ended: for days",
        "Ended: today",
    ]
    assert said == "Of these, 1 had yet to begin: an ID or --label ends only some."


def test_a_team_of_ones_own_that_the_settings_do_not_have_is_said_to_stay_loud(
    programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yml"
    own.write_text("teams: [platform, mlops, growth, shop]\n", encoding="utf-8")
    config = alertmanager.build(webhook.url, thresholds=read(KNOWN_ALERTS, [own]), timing=AT_ONCE, alert_log_url="")
    with running(programs["alertmanager"], config, tmp_path) as server:
        arguments = ["maintenance", f"--alertmanager={server.url}", "--duration=2h", "--reason=disks"]
        assert main([*arguments, "--settings=/dev/null"]) == 0
        assert capsys.readouterr().err == (
            "note: alerts of shop are still sent: not among the teams of the defaults (no settings were found); "
            "--settings names another file, --everything silences the alerts of all\n"
        )
        assert main([*arguments, f"--settings={own}"]) == 0
        out, err = capsys.readouterr()
        assert "alerts of platform, mlops, growth, shop" in out
        assert err == ""
        # Of others, who use the same Alertmanager without a route of their own.
        server.fire(LABELS | {"team": "others"})
        assert main([*arguments, f"--settings={own}"]) == 0
        assert f"alerts of others are still sent: not among the teams of {own}; " in capsys.readouterr().err
        assert main([*arguments, f"--settings={own}", "--label=team=shopp"]) == 1
        assert capsys.readouterr().err == (
            "error: --label team=shopp: there is no team shopp; did you mean shop? "
            f"Teams of {own}: platform, mlops, growth, shop; --settings names another file\n"
        )


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("source=mlfow", "None that fires has source=mlfow; did you mean mlflow?"),
        ("job=chekout", "None that fires has job=chekout; did you mean checkout?"),
        ("experiment=x", "None that fires has experiment=x."),
        ("job=checkout", ""),
    ],
)
def test_a_value_that_nothing_has_which_fires_is_named(
    label: str, said: str, server: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fire(LABELS | {"job": "checkout"})
    arguments = ["maintenance", f"--alertmanager={server.url}", "--duration=2h", "--reason=disks", "--label", label]
    assert main(arguments) == 0
    _silenced, count, *unseen, _hint = capsys.readouterr().out.splitlines()
    assert count == f"It silences {'no alerts that fire' if said else '1 alert that fires'} now."
    assert unseen == [said] * bool(said)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (
            "team=platfrom",
            "there is no team platfrom; did you mean platform? Teams of the defaults (no settings were found): "
            "platform, mlops, growth; --settings names another file",
        ),
        ("severity=critcal", "there is no severity critcal; did you mean critical?"),
        ("teem=growth", "no alert has a label teem; did you mean team?"),
        ("exeriment=shop", "no alert has a label exeriment; did you mean experiment?"),
        ("alertname=MlflowRunHangin", "there is no alertname MlflowRunHangin; did you mean MlflowRunHanging?"),
        ("alertname=Shop", "there is no alertname Shop"),
    ],
)
def test_a_label_that_no_alert_has_silences_nothing_and_is_refused(
    label: str, said: str, server: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["maintenance", f"--alertmanager={server.url}", "--duration=2h", "--reason=disks", "--label", label]
    assert main(arguments) == 1
    assert capsys.readouterr().err == f"error: --label {label}: {said}\n"
    assert AlertmanagerClient(server.url).silences() == []
    # Of others, whose names are not known.
    assert main([*arguments, "--everything"]) == 0


def test_labels_that_prometheus_adds_to_what_fires_are_known(
    server: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["maintenance", f"--alertmanager={server.url}", "--duration=2h", "--reason=disks"]
    own = ["--label=region=eu", "--label=alertname=Broken"]
    assert main([*arguments, *own]) == 1
    assert "no alert has a label region; " in capsys.readouterr().err
    server.fire(LABELS | {"region": "eu"})
    assert main([*arguments, *own]) == 0
    assert "It silences 1 alert that fires now." in capsys.readouterr().out


def test_another_programs_address_is_asked_about(server: Alertmanager, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["maintenance", f"--alertmanager={server.url}/x", "--duration=2h", "--reason=disks"]) == 1
    assert re.search(r"/x: 404: .*is this Alertmanager's address, with its path\?\n$", capsys.readouterr().err)
    # Before the head of a table.
    assert main(["backtest", f"--prometheus={server.url}"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("is this Prometheus's address, with its path?\n")


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
        "nobody": {"kind": "webhook", "severities": [], "url": webhook.url},
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
            (["--channel=nobody"], "channel nobody gets no alerts: it has neither severities nor escalations"),
        ):
            assert main([*arguments, *refused]) == 1
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
                "  escalation: not within 20 s: it waits 30m (group_wait)",
                "Delivered: each channel that was due took it",
            ]
            # Asked about is what nothing was sent through yet.
            assert main([*arguments, "--wait=20", f"--settings={own}", "--channel=calls"]) == 1
            assert capsys.readouterr().out.splitlines()[-1] == (
                "Not known: only escalations reach channel calls; give --wait more than 1800"
            )
            assert main([*arguments, "--wait=1"]) == 1
            assert sorted(capsys.readouterr().out.splitlines()[1:]) == [
                "  escalation: not within 1 s: it waits 30m (group_wait)",
                "  growth-critical: not within 1 s: it waits 2s (group_wait)",
                "Not known: nothing was due in this time; give --wait more than 2",
            ]
            assert "TestAlert" in slack.posts[0].body


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["maintenance-end", "--alertmanager=http://127.0.0.1:9"], "http://127.0.0.1:9 cannot be reached"),
        (
            ["test-fire", "--alertmanager=http://127.0.0.1:9"],
            "another address with --alertmanager URL ($ALERTMANAGER_URL)",
        ),
        (["test-fire", "--channel=pager"], "no channel pager in"),
        (["backtest", "Zzz"], "Zzz does not exist; there are: "),
        (
            ["backtest", "MlMonitoringWatchdog", "--prometheus=http://127.0.0.1:9"],
            "http://127.0.0.1:9 cannot be reached",
        ),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def past(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a real Prometheus with two days of the past in it: an hour in which a source was down, and two glitches."""
    folder = tmp_path_factory.mktemp("past")
    lines = ["# TYPE ml_monitoring_source_up gauge"]
    for minute in range(2880):
        down = 600 <= minute < 660 or minute == 1000 or 2000 <= minute < 2002
        lines.append(
            f'ml_monitoring_source_up{{job="ml-monitoring",instance="a",source="mlflow"}} {int(not down)} {minute * 60}'
        )
    with backfilled_prometheus(programs, folder, lines) as url:
        yield url


def test_a_backtest_finds_when_an_alert_would_have_fired(past: str) -> None:
    alerts = [alert for alert in ALERTS if alert.name == "MlMonitoringSourceDown"]
    (result,) = backtest(past, alerts, {}, {}, days=2, step=60, now=2880 * 60)
    # From three minutes after the source went down to seven after it came back; a glitch of a minute or two is none.
    assert [(firing.begins, firing.ends) for firing in result.firings] == [(603 * 60, 667 * 60)]
    assert result.firings[0].labels == {"job": "ml-monitoring", "instance": "a", "source": "mlflow"}
    assert result.seconds == 64 * 60
    # A flag has no other threshold, and nothing was measured.
    assert (result.level, result.threshold) == (None, None)


@pytest.fixture(scope="module")
def narrow(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Give a Prometheus that answers no more than 100 samples, and when its ten hours of many services begin."""
    begin = int(time.time()) // 60 * 60 - 36000
    lines = []
    for minute in range(600):
        at = begin + minute * 60
        for source in ("mlflow", "fleet"):
            is_up = source == "mlflow" or not 200 <= minute < 260
            lines.append(f'ml_monitoring_source_up{{job="ml-monitoring",source="{source}"}} {int(is_up)} {at}')
        lines += [f'ml_http_requests_total{{job="s{n}",status="500"}} {minute} {at}' for n in range(9)]
    folder = tmp_path_factory.mktemp("narrow")
    with backfilled_prometheus(programs, folder, lines, flags=["--query.max-samples=100"]) as url:
        yield url, begin


def test_what_is_too_much_for_one_query_is_asked_for_in_pieces(narrow: tuple[str, int]) -> None:
    url, begin = narrow
    alerts = [alert for alert in ALERTS if alert.name == "MlMonitoringSourceDown"]
    (result,) = backtest(url, alerts, {}, {}, days=1, step=60, now=begin + 36000, since=begin)
    assert [(firing.begins - begin, firing.ends - begin) for firing in result.firings] == [(203 * 60, 267 * 60)]


def test_an_alert_that_is_too_much_is_named_and_the_others_are_answered(
    narrow: tuple[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    url, _begin = narrow
    assert main(["backtest", "MlMonitoringSourceDown", "MlApiErrorRatioHigh", f"--prometheus={url}", "--days=1"]) == 1
    *_head, answered, unanswered = capsys.readouterr().out.splitlines()
    assert answered.split()[:3] == ["MlMonitoringSourceDown", "1", "1:04:00"]
    assert re.fullmatch(
        rf"MlApiErrorRatioHigh +is not known: {url}: 422: .*too many samples.*; ask for fewer days, or with a larger "
        "--step",
        unanswered,
    )


def test_a_terminal_shows_meanwhile_which_alert_is_asked_for(narrow: tuple[str, int]) -> None:
    url, _begin = narrow
    names = ["MlMonitoringSourceDown", "MlApiErrorRatioHigh"]
    command = [sys.executable, "-m", "ml_monitoring", "alerts", "backtest", *names, f"--prometheus={url}"]
    with Console(command, cwd=ROOT, env=os.environ) as console:
        console.answer("0 of 2 alerts done, now MlMonitoringSourceDown", "")
        console.answer("1 of 2 alerts done, now MlApiErrorRatioHigh", "")
        console.answer("is not known", "")
        # What was only meanwhile is gone.
        assert "\r\x1b[KMlApiErrorRatioHigh" in console.shown


def test_an_alert_that_cannot_be_evaluated_is_named_and_the_others_are_answered(young: str) -> None:
    alerts = [alert for alert in ALERTS if alert.name in ("MlApiErrorRatioHigh", "MlMonitoringSourceDown")]
    # Two series for one group, as where two exporters of different labels are scraped.
    doubled = 'up + on () (up or label_replace(up, "instance", "b", "", ""))'
    twice = dict.fromkeys(recorded_expressions(load_thresholds()), doubled)
    results = {one.alert.name: one for one in backtest(young, alerts, twice, {}, days=0.03, step=60)}
    assert results["MlMonitoringSourceDown"].problem == ""
    assert re.search(r"422: .*found duplicate series", results["MlApiErrorRatioHigh"].problem)
    assert "fewer days" not in results["MlApiErrorRatioHigh"].problem


def test_what_fires_for_several_series_at_once_counts_once() -> None:
    (alert,) = [alert for alert in ALERTS if alert.name == "MlMonitoringSourceDown"]
    spans = [(600, 900), (630, 690), (800, 1000), (2000, 2100)]
    result = BacktestResult(alert, tuple(Firing({"source": str(begins)}, begins, ends) for begins, ends in spans))
    assert result.seconds == 400 + 100


MEASURED = Measured(
    severity="critical",
    rule="",
    simulated="",
    seed=1,
    healthy="",
    unit="requests a minute",
    query="60 * sum without (instance, method, route, status) (rate(ml_http_requests_total[5m]))",
    levels=(
        TrafficLevel("low", 1, 24, 4, ()),
        TrafficLevel("usual", 60, 24, 1, ()),
        TrafficLevel("high", 3000, 24, 0, ()),
    ),
)


@pytest.fixture(scope="module")
def failing(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a Prometheus with a month of 100 requests a minute, and three times twenty minutes in which some fail."""
    lines = []
    for status in ("200", "500"):
        total = 0
        for minute in range(30 * 1440):
            failed = {5000: 10, 20000: 20, 30000: 30}.get(minute // 20 * 20, 0)
            total += failed if status == "500" else 100 - failed
            labels = f'job="ml",instance="a",method="GET",route="/",status="{status}"'
            lines.append(f"ml_http_requests_total{{{labels}}} {total} {minute * 60}")
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("failing"), lines) as url:
        yield url


def test_a_backtest_says_what_is_known_at_this_traffic_and_which_threshold_had_fired_once_a_month(failing: str) -> None:
    alerts = [alert for alert in ALERTS if alert.name == "MlApiErrorRatioHigh"]
    recorded, measured = recorded_expressions(load_thresholds()), {"MlApiErrorRatioHigh": MEASURED}
    (result,) = backtest(failing, alerts, recorded, measured, days=30, step=60, now=30 * 86400)
    assert len(result.firings) == 3
    assert result.level == MEASURED.levels[1]
    assert result.threshold is not None
    began = []
    for threshold in (result.threshold, 0.7 * result.threshold):
        again = [one.with_threshold(threshold) for one in alerts]
        (with_it,) = backtest(failing, again, recorded, {}, days=30, step=60, now=30 * 86400)
        began.append([firing.begins // 60 // 5000 for firing in with_it.firings])
    # A tenth failed the first time, more the second, and most the third time.
    assert (began[0], began[1][-2:]) == ([6], [4, 6])


@pytest.fixture(scope="module")
def young(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a Prometheus that has seen a healthy exporter for fifty minutes."""
    now = int(time.time())
    names = (
        'up{job="ml-monitoring",instance="a"}',
        'ml_monitoring_source_up{job="ml-monitoring",source="mlflow"}',
    )
    lines = [f"{name} 1 {moment}" for name in names for moment in range(now - 3000, now, 60)]
    # Two samples so far apart are no traffic.
    lines += [f'ml_http_requests_total{{job="shop",instance="b",status="200"}} 1 {now - ago}' for ago in (3000, 60)]
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("young"), lines) as url:
        yield url


def test_a_backtest_begins_where_the_history_begins_and_counts_what_did_not_fire(
    young: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"--prometheus={young}"
    assert main(["backtest", "MlMonitoringDown", address, "--days=2"]) == 0
    span, _head, row = capsys.readouterr().out.splitlines()
    assert re.search(r", where the history begins: 0:5\d:\d\d$", span)
    # Of an exporter that nobody watched before nothing is known, and yes or no has no threshold.
    assert row.split()[:3] == ["MlMonitoringDown", "0", "0:00:00"]
    assert row.split()[-2:] == ["-", "-"]
    assert main(["backtest", address, "--step=5m"]) == 0
    _span, _head, *rows, silent, unknown = capsys.readouterr().out.splitlines()
    fired = {row.split()[0]: row.split()[1] for row in rows}
    assert fired["MlMonitoringWatchdog"] == "1"
    assert "0" not in fired.values()
    assert re.fullmatch(r"\d+ alerts would not have fired; --all shows them too\.", silent)
    assert re.fullmatch(
        r"\d\d alerts have no data: Prometheus has none of their series in that time; --all shows them too\.", unknown
    )


@pytest.fixture(scope="module")
def older(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Give a Prometheus of two days, beside which the exporter was installed a day ago; it was gone for an hour."""
    now = int(time.time())
    begins = now - 1440 * 60
    lines = [f'up{{job="shop",instance="b"}} 1 {moment}' for moment in range(now - 2880 * 60, now, 60)]
    lines += [
        f'up{{job="ml-monitoring",instance="a"}} 1 {moment}'
        for moment in range(begins, now, 60)
        if not begins + 36000 <= moment < begins + 39600
    ]
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("older"), lines) as url:
        yield url, begins


def test_what_was_never_there_before_did_not_go_missing(
    older: tuple[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    url, begins = older
    assert main(["backtest", "MlMonitoringDown", f"--prometheus={url}", "--days=2"]) == 0
    _span, said, _head, row = capsys.readouterr().out.splitlines()
    began = f"{datetime.fromtimestamp(begins).astimezone():%Y-%m-%d %H:%M %Z}"
    assert said == f"MlMonitoringDown is counted from {began}, when what it would miss was first there"
    # The hour in which it was gone is an outage.
    assert row.split()[:2] == ["MlMonitoringDown", "1"]
    # It was there before this span.
    assert main(["backtest", "MlMonitoringDown", f"--prometheus={url}", "--days=0.5"]) == 0
    assert "is counted from" not in capsys.readouterr().out


def test_the_backtest_command_prints_a_line_for_each_alert(young: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["MlApiErrorRatioHigh", "MlCacheHitRatioLow", "MlMonitoringWatchdog"]
    assert main(["backtest", *names, f"--prometheus={young}", "--days=0.02"]) == 0
    span, head, *lines = capsys.readouterr().out.splitlines()
    # There is history of all of it.
    assert re.fullmatch(rf"{young} from \S+ \d\d:\d\d \S+ to \S+ \d\d:\d\d \S+", span)
    columns = ["Alert", "Fired", "For", "Last began", "Simulated a month", "Threshold", "1 a month"]
    assert re.split(r"\s{2,}", head) == columns
    # What fires without any series has data.
    assert [line.split()[:2] for line in lines[:2]] == [["MlMonitoringWatchdog", "1"], ["MlApiErrorRatioHigh", "0"]]
    assert lines[2:] == [f"{'MlCacheHitRatioLow':34} no data: Prometheus has none of its series in that time"]
    # There is no traffic now, so that the worst one counts, and no value of the signal.
    assert re.search(r" up to (0|[\d.]+|1 in \d+ months) +5 %$", lines[1])
