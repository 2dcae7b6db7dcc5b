"""A name that there is not: in a file, on the command line, everywhere the one that may be meant is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.cli import main
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all

_EXPERIMENTS = """\
sources:
  experiments:
    url: http://127.0.0.1:1
    declared:
      checkout-button:
        start: 2026-03-02
        arms: {a: 1, b: 1}
        baseline: a
        metrics: {buys: {kind: proportion, numerator: x, denominator: y}}
"""
_ALERTING = """\
notifications:
  channels:
    team-chat: {kind: slack, teams: [mlops], api_url_file: /run/secrets/slack, channel: "#ml"}
"""


def test_close_names_parts_of_names_and_other_cases_are_found() -> None:
    pages = ["ml-monitoring-fleet-incident", "ml-monitoring-alerts"]
    assert suggestion("intervall", ["interval", "timeout"]) == "; did you mean interval?"
    assert suggestion("Interval", ["interval", "timeout"]) == "; did you mean interval?"
    assert suggestion("incident", pages) == "; did you mean ml-monitoring-fleet-incident?"
    # What they all begin with makes no name close.
    assert suggestion("ml-monitoring-nothing", pages) == ""
    assert suggestion("s3cret", pages) == ""
    assert suggestion_or_all("zzz", ["a", "b"]) == "; there are: a, b"
    assert suggestion_or_all("zzz", []) == "; there are: none"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["alerts", "explain", "MlflowFailedRunRatioHgh"], "did you mean MlflowFailedRunRatioHigh?"),
        (["alerts", "backtest", "MlflowRunHangs"], "MlflowRunHangs does not exist; did you mean MlflowRunHanging?"),
        (["alerts", "test-fire", "--team", "mlop"], "--team mlop: there is no such team; did you mean mlops?"),
        (
            ["alerts", "test-fire", "--settings", "ml-monitoring-alerting.yml", "--channel", "team-chatt"],
            "no channel team-chatt in the settings; did you mean team-chat?",
        ),
        (["dashboards", "render", "operations-overvew"], "did you mean ml-monitoring-operations-overview?"),
        (["dashboards", "render", "fleet-incident"], "did you mean ml-monitoring-fleet-incident?"),
        # What all uids begin with makes none of them alike.
        (
            ["dashboards", "render", "ml-monitoring-own-shop"],
            "'ml-monitoring-own-shop': neither a file nor a known uid; there",
        ),
        (["dashboards", "render", "ml-monitoring-fleet-servr"], "did you mean ml-monitoring-fleet-server?"),
        (
            ["dashboards", "render", "ml-monitoring-ml-api", "--var", "jobb=x"],
            "none of the dashboards has it; did you me",
        ),
        (
            ["dashboards", "data", "ml-monitoring-ml-api/Reqests"],
            "ml-monitoring-ml-api has no panel 'Reqests'; did you m",
        ),
        (["dashboards", "report", "busines"], "no report busines; did you mean business?"),
        (
            ["experiments", "gate", "checkout-buton"],
            "there is no experiment checkout-buton; did you mean checkout-button?",
        ),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_a_name_on_the_command_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ml-monitoring.yml").write_text(_EXPERIMENTS)
    Path("ml-monitoring-alerting.yml").write_text(_ALERTING)
    assert main(arguments, prog="ml-monitoring") == (2 if {"test-fire", "explain", "backtest"} & {*arguments} else 1)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "alerts: {MlflowRunHanging: {treshold: 2d}}",
            "alerts.MlflowRunHanging.treshold: unknown key; did you mean thresho",
        ),
        ("alerts: {MlflowRunHangs: {threshold: 2d}}", "no alert has this name; did you mean MlflowRunHanging?"),
        ("alerts: {MlflowRunHanging: {team: mlop}}", "is not one of the teams; did you mean mlops?"),
        ("alerts: {MlflowRunHanging: {severity: warn}}", "did you mean warning?"),
        ("alerts: {MlflowRunHanging: {unit: second}}", "did you mean seconds?"),
        ("alerts: {MlflowRunHanging: {action: retrian}}", "'retrian' is not in notifications.actions"),
        ("links: {grafna: 'http://g'}", "links.grafna: unknown key; did you mean grafana?"),
        ("components: [hots]", "did you mean host?"),
        (
            "notifications: {channels: {c: {kind: slck}}}",
            "channels.c: kind is none of email, slack, pagerduty, msteams, we",
        ),
        ("notifications: {channels: {c: {kind: slck}}}", "; did you mean slack?"),
        ("notifications: {chanels: {}}", "notifications.chanels: unknown key; did you mean channels?"),
        ("services: {adapters: [{server: tritn, job: a}]}", "no adapter is called 'tritn'; did you mean triton?"),
    ],
)
def test_a_name_in_the_settings_of_alerting(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yml"
    own.write_text(text)
    assert main(["alerts", "explain", "MlflowRunHanging", "--settings", str(own)], prog="ml-monitoring") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {own}:1: ")
    assert message in said


def test_a_channel_where_there_is_none_is_answered_with_where_one_is_added(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts", "test-fire", "--settings", "/dev/null", "--channel", "mail"]) == 2
    assert capsys.readouterr().err == (
        "error: --channel: no channel mail in the settings, which have none: "
        "add one under notifications.channels of the file that --settings names\n"
    )
