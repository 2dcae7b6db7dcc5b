"""Of a value that was refused is said how it is written right."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.thresholds import read as read_thresholds
from ml_monitoring.exporter.config import read_all
from ml_monitoring.exporter.errors import ConfigError

_VARIABLE = "a variable is written ${NAME}, or ${NAME:-default}"
_QUOTES = "holds quotes itself: take them out"
_OF_SERVER = (
    "is for a tracking server, and uri is a database's; its user and password are in uri, or in the file that uri_file "
    "names"
)
_IN_CHANNEL = "channels: {m: {kind: email, from: a@x.org, smarthost: 'h:25', %s}}"
_IN_MUTE_TIME = "mute_times: {n: {severities: [info], intervals: [%s]}}"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("own.yml")


def _alerting(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(text, encoding="utf-8")
    try:
        read_thresholds(ALERTS, [path])
    except ConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *(
            (f"mlflow: {{uri: '{text}'}}", f"mlflow.uri: {_VARIABLE}")
            for text in ("$X", "$(X)", "%X%", "${X", "{{ X }}")
        ),
        ("mlflow: {uri: {{ X }}}", f"mlflow.uri: {_VARIABLE}"),
        ("mlflow: {uri: 'sqlite:////x', top: $TOP}", f"mlflow.top: {_VARIABLE}"),
        *((f"mlflow: {{uri: '${{X{sign}a}}'}}", "mlflow.uri: a default is written ${X:-default}") for sign in "-="),
        ("mlflow: {uri: \u201csqlite:////x\u201d}", f"mlflow.uri: {_QUOTES}"),
        ("mlflow: {uri: '${QUOTED}'}", f"mlflow.uri: {_QUOTES}"),
        ("mlflow: {uri: 'postgresql://u:p@h:54 32/d'}", "mlflow.uri: a blank stands in the port"),
        ("fleet: {path: x.csv, speed: 2x}", "fleet.speed: is no number: write 2 alone"),
        ("fleet: {path: x.csv, speed: 1,5}", "fleet.speed: is no number: write 1.5, with a point"),
        ("fleet: {path: x.csv, speed: '1,500'}", "fleet.speed: is no number: write 1500, or 1.500 with a point"),
        ("mlflow: {uri: 'sqlite:////x', max_series: 10k}", "mlflow.max_series: is no whole number: write 10000"),
        ("mlflow: {uri: 'sqlite:////x', top: '1,000'}", "mlflow.top: is no whole number: write 1000"),
        (
            "mlflow: {uri: 'postgresql://u@h/d', password: p, username: u}",
            f"mlflow.username: {_OF_SERVER}\nown.yml:1: sources.mlflow.password: {_OF_SERVER}",
        ),
    ],
)
def test_of_a_setting_of_the_exporter(text: str, said: str, path: Path) -> None:
    path.write_text(f"sources: {{{text}}}", encoding="utf-8")
    problems = read_all(path, environ={"QUOTED": '"sqlite:////x"'}).problems
    assert problems == f"own.yml:1: sources.{said}".split("\n")


def test_a_comment_that_cuts_a_text_is_named(path: Path) -> None:
    path.write_text("sources:\n  mlflow:\n    uri: postgresql://u:p #s3cret@h/d\n", encoding="utf-8")
    (problem,) = read_all(path, environ={}).problems
    assert problem.startswith("own.yml:3: sources.mlflow.uri: ")
    assert problem.endswith("; # begins a comment: where it is a part of the text, put that in quotes")
    assert "s3cret" not in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alerts: {MlflowFailedRunRatioHigh: {threshold: 0,45}}", "'0,45' is not a number: write 0.45, with a point"),
        ("alerts: {MlflowFailedRunRatioHigh: {threshold: '0.45'}}", "'0.45' is not a number: write it without quotes"),
        ("slos: {latency_threshold: 500ms}", "write 500 alone, or 0.5 where seconds are meant"),
        ("slos: {response_buckets: [0,45, 1]}", "response_buckets.0: must be above 0: write 0.45, with a point"),
        ("MlflowRunHanging: {for: 5m}", "MlflowRunHanging: unknown key; it belongs below alerts"),
        ("links: {grafana: '${GRAF}'}", "links.grafana: variables such as ${NAME} do not count in this file"),
        ("alert_labels: {stack: 'a-${X:-b}'}", "stack: variables such as ${NAME} do not count in this file"),
        ("links: {grafana: {{ url }}}", "links.grafana: must be a text: write one that begins with {{ in quotes"),
    ],
)
def test_of_a_setting_of_alerts(text: str, said: str, path: Path) -> None:
    (problem,) = _alerting(path, text)
    assert problem.endswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_IN_MUTE_TIME % "{months: [12, '1:2'], years: [2026], days_of_month: [1, -1]}", ""),
        (_IN_MUTE_TIME % "{months: [13]}", "'13' is no month: they are numbered from 1 to 12"),
        (_IN_MUTE_TIME % "{weekdays: [sat]}", "'sat' is no day of the week; did you mean saturday?"),
        (_IN_MUTE_TIME % "{months: [jan]}", "'jan' is no month; did you mean january?"),
        *(
            (_IN_MUTE_TIME % interval, "is all the time: give times, weekdays, days_of_month, months or years")
            for interval in ("{}", "{location: UTC}", "{weekdays: []}")
        ),
        (_IN_CHANNEL % "to: oncall", "m.to: must be an e-mail address such as oncall@example.org, or several {}"),
        (_IN_CHANNEL % "to: 'On Call <a@x.org>, b@x.org'", ""),
        (_IN_CHANNEL % "to: a@x.org, username: u", "password_file: is missing: username and password_file {}"),
        (_IN_CHANNEL % "to: a@x.org, password_file: /x", "username: is missing: username and password_file {}"),
    ],
)
def test_of_what_alertmanager_is_given(text: str, said: str, path: Path) -> None:
    problems = _alerting(path, f"notifications: {{{text}}}")
    ends = said.format("with commas between them" if "e-mail" in said else "belong together")
    assert [problem for problem in problems if not problem.endswith(ends)] == []
    assert bool(problems) is bool(said)


@pytest.mark.parametrize("word", ["no", "Off", "'false'"])
def test_a_switch_takes_the_same_words_in_both_kinds_of_settings(word: str, path: Path) -> None:
    assert _alerting(path, f"alerts: {{MlflowRunHanging: {{enabled: {word}}}}}") == ()
    path.write_text(f"sources: {{mlflow: {{uri: 'sqlite:////x', traces: {word}}}}}", encoding="utf-8")
    assert read_all(path, environ={}).problems == []


def test_what_anchors_stand_in_is_no_setting(path: Path) -> None:
    path.write_text(
        "x-often: &often {interval: 45s, timeout: '${UNSET:-5s}'}\nsources:\n  mlflow:\n    uri: sqlite:////x\n"
        "    <<: *often\n",
        encoding="utf-8",
    )
    reading = read_all(path, environ={})
    assert reading.problems == []
    assert reading.settings is not None
    assert reading.settings.model_dump()["sources"]["mlflow"]["interval"] == 45
    assert _alerting(path, "x-a: &a {for: 5m}\nalerts: {MlflowRunHanging: *a}") == ()
