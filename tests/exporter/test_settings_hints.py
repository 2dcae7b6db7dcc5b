"""Of an unknown key is said which key is meant, and once: not that the one that is meant is missing, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.thresholds import read as read_thresholds
from ml_monitoring.exporter.config import read_all
from ml_monitoring.exporter.errors import ConfigError

_FILE = "It names a file that holds what is meant"
_CHANNEL = "notifications: {channels: {s: {%s}}}"


def _exporter(text: str) -> list[str]:
    Path("own.yml").write_text(text, encoding="utf-8")
    return read_all(Path("own.yml"), environ={}).problems


def _alerting(text: str) -> tuple[str, ...]:
    Path("own.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_thresholds(ALERTS, [Path("own.yml")])
    return caught.value.problems


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # What is missing is meant rather than what stands elsewhere.
        ("mlflow: {url: 'sqlite:////x'}", "mlflow.url: unknown key; did you mean uri?"),
        ("mlflow: {prod: {url: 'sqlite:////x'}}", "mlflow.prod.url: unknown key; did you mean uri?"),
        ("fleet: {file_path: x.csv}", "fleet.file_path: unknown key; did you mean path?"),
        # A name whose settings do not stand below it.
        ("mlflow: {prod: 'sqlite:////x'}", "mlflow.prod: must hold settings: write `uri: ...` on a line of its own {}"),
        (
            "variants: {eu: 'postgresql://u@h/d'}",
            "variants.eu: must hold settings: write `uri: ...` on a line of its own {}",
        ),
        (
            "mlflow: {prod: 'uri:sqlite:////x'}",
            "mlflow.prod: must hold settings: write a blank behind the colon, `uri: ...`",
        ),
        # A misspelt setting is none, and no name is one beside settings.
        ("mlflow: {uri: 'sqlite:////x', prod: 'sqlite:////x'}", "mlflow.prod: unknown key; did you mean proxy?"),
        (
            "experiments: {url: 'http://h', declared: {a: {start: 2026-01-31, arms: {x: 1, y: 1}, baseline: x, "
            "selector: {version: 2}, metrics: {m: {kind: mean, sum: a, count: b}}}}}",
            "experiments.declared.a.selector.version: must be a text, in quotes: '2'",
        ),
        (
            "mlflow: {uri: 'sqlite:////x', workspaces: true}",
            "mlflow.workspaces: must be a text, in quotes: 'true'",
        ),
    ],
)
def test_of_a_key_of_a_source_one_thing_is_said(text: str, said: str) -> None:
    assert _exporter(f"sources: {{{text}}}") == [f"own.yml:1: sources.{said.format('below it')}"]


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("kind: slack, channel: c, url: 'https://h/x'", f"url: unknown key; did you mean api_url_file? {_FILE}"),
        ("kind: pagerduty, routing_key: x", f"routing_key: unknown key; did you mean routing_key_file? {_FILE}"),
        ("kind: msteams, webhook: 'https://h/x'", f"webhook: unknown key; did you mean webhook_url_file? {_FILE}"),
        ("kind: slack, channel: c, api_file: /x", "api_file: unknown key; did you mean api_url_file?"),
    ],
)
def test_of_a_key_of_a_channel_one_thing_is_said(channel: str, said: str) -> None:
    assert _alerting(_CHANNEL % channel) == (f"own.yml:1: notifications.channels.s.{said}",)


def test_a_key_is_not_said_to_belong_where_names_stand() -> None:
    channel = "kind: msteams, webhook_url_file: /x, smarthost: 'h:25'"
    (problem,) = _alerting(_CHANNEL % channel)
    assert "beside" not in problem


def test_a_key_that_is_indented_too_far_belongs_beside_what_it_stands_below() -> None:
    assert _exporter("sources: {mlflow: {uri: 'sqlite:////x', metrics: {timeout: 5s}}}") == [
        "own.yml:1: sources.mlflow.metrics.timeout: unknown key; it belongs beside metrics, not below it"
    ]
