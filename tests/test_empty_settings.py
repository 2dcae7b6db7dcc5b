"""What a file of settings leaves empty is named where that takes something away, or where no key is called so."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.thresholds import load_layers, switched_off, validated
from ml_monitoring.cli import main
from ml_monitoring.exporter.config import read_all
from ml_monitoring.exporter.errors import ConfigError

_ALERT = "alerts: {HostDiskFull: "
_EMPTY = "is empty: give its settings, delete it, or write null to take away what is below it"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{_ALERT}{{for:5m, threshold: 0.9}}}}", "1: alerts.HostDiskFull.for:5m: unknown key; did you mean for?"),
        (f"{_ALERT}{{treshold: null}}}}", "1: alerts.HostDiskFull.treshold: unknown key; did you mean threshold?"),
        ("teems:", "1: teems: unknown key; did you mean teams?"),
        ("notifications:\n  mute_timess: ~", "2: notifications.mute_timess: unknown key; did you mean mute_times?"),
        ("notifications: {channels: {chat: }}", f"1: notifications.channels.chat: {_EMPTY}"),
        ("notifications:\n  channels:\n    chat: # {kind: slack}\n", f"3: notifications.channels.chat: {_EMPTY}"),
        ("notifications: {channels: {chat: null}, mute_times: {a: ~}}", ""),
        ("extensions:", ""),
        ("alerts: {HostDiskFull: null}", ""),
    ],
)
def test_alerting_settings_name_keys_without_a_value(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yml").write_text(text, encoding="utf-8")
    problems: tuple[str, ...] = ()
    try:
        validated(ALERTS, load_layers([Path("a.yml")]))
    except ConfigError as error:
        problems = error.problems
    assert problems == ((f"a.yml:{said}",) if said else ())


@pytest.mark.parametrize(
    ("text", "off"),
    [
        ("alerts:\n  HostDiskFull:\n  # threshold: 0.95\n", True),
        ("alerts:\n  HostDiskFull: # threshold: 0.95\n", True),
        ("alerts: {HostDiskFull: }", True),
        ("alerts: {HostDiskFull}", True),
        ("alerts:\n  HostDiskFull: null\n", False),
        ("alerts:\n  HostDiskFull: ~ # too many\n", False),
        ("alerts: {HostDiskFull: {enabled: false}}", False),
        ("alerts:\n  HostDiskFull:\n    enabled: false\n", False),
        ("alerts:\n  HostDiskFull:\n    threshold: 0.95\n", False),
    ],
)
def test_an_alert_that_nothing_switches_off_on_purpose_is_noted(
    text: str, off: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yml").write_text(text, encoding="utf-8")
    line = 1 + text[: text.index("HostDiskFull")].count("\n")
    note = f"HostDiskFull is switched off (a.yml:{line}); write `null` to say so on purpose"
    assert list(switched_off(load_layers([Path("a.yml")]))) == ([note] if off else [])


def test_the_note_is_printed_where_rules_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yml").write_text("alerts:\n  HostDiskFull:\n", encoding="utf-8")
    assert main(["alerts", "generate", "--settings", "a.yml", "--output-dir", "out"]) == 0
    assert "note: HostDiskFull is switched off (a.yml:2); write `null` to say so" in capsys.readouterr().err


_RIGHT = "  queries: {a: {uri: 'sqlite:////x', sql: SELECT 1 AS n, metrics: {shop: {value: n, help: A.}}}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"sources:\n{_RIGHT}  mlflow:\n    # uri: x\n", "3: sources.mlflow: is empty: give uri, or delete it"),
        ("sources:\n  mlflow:\n  # uri: x\n", "2: sources.mlflow: is empty: give uri, or delete it"),
        ("sources: {fleet: }", "1: sources.fleet: is empty: give path, or delete it"),
        ("sources:\n  queries:\n", "2: sources.queries: is empty: give a name and its settings, or delete it"),
        (f"sources:\n{_RIGHT}  mlflow: ~\n", ""),
        (f"sources:\n{_RIGHT}  mlflow: null # later\n", ""),
    ],
)
def test_sections_of_sources_that_hold_nothing_are_named(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yml").write_text(text, encoding="utf-8")
    assert read_all(Path("a.yml"), environ={}).problems == ([f"a.yml:{said}"] if said else [])
