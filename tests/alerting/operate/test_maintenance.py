"""`alerts maintenance` and `silences`, on a real Alertmanager."""

from __future__ import annotations

import getpass
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import ALERTS as KNOWN_ALERTS
from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.model.thresholds import read
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient
from ml_monitoring.exporter.command_line import moment_text, spelled
from tests.support.alertmanager_server import AT_ONCE, Alertmanager, running
from tools.processes import wait_until
from tools.webhook import WebhookReceiver

LABELS = {"alertname": "Broken", "severity": "warning", "team": "mlops"}


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
        fires = "no alerts that fire now" if team == "platform" else "1 alert that fires now: Broken"
        assert f"It silences {fires}.\n" in said
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
    assert main(["maintenance-end", address, "--label=team=mlop"]) == 1
    assert capsys.readouterr().err == (
        "error: no maintenance was begun with --label team=mlop; those that there are have team=growth; team=platform\n"
    )
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
    assert main([*arguments, *given]) == 2
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
        f"In force (8 alerts: A x2, Broken x2, B, C, D, E): disks, by {me}: alerts with team=mlops",
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
        assert main([*arguments, f"--settings={own}", "--label=team=shopp"]) == 2
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
    assert count == f"It silences {'no alerts that fire now' if said else '1 alert that fires now: Broken'}."
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
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"error: --label {label}: {said}\n"
    assert AlertmanagerClient(server.url).silences() == []
    # Of others, whose names are not known.
    assert main([*arguments, "--everything"]) == 0


def test_labels_that_prometheus_adds_to_what_fires_are_known(
    server: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["maintenance", f"--alertmanager={server.url}", "--duration=2h", "--reason=disks"]
    own = ["--label=region=eu", "--label=alertname=Broken"]
    assert main([*arguments, *own]) == 2
    assert "no alert has a label region; " in capsys.readouterr().err
    server.fire(LABELS | {"region": "eu"})
    assert main([*arguments, *own]) == 0
    assert "It silences 1 alert that fires now: Broken." in capsys.readouterr().out


def test_another_programs_address_is_asked_about(server: Alertmanager, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["maintenance", f"--alertmanager={server.url}/x", "--duration=2h", "--reason=disks"]) == 1
    assert re.search(r"/x: 404: .*is this Alertmanager's address, with its path\?\n$", capsys.readouterr().err)
    # Before the head of a table.
    assert main(["backtest", f"--prometheus={server.url}"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("is this Prometheus's address, with its path?\n")
