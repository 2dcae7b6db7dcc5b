"""A secret in the wrong place is refused without a part of it being said, wherever it is given."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from demo import cli as demo
from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.notifications import ChannelSettings
from ml_monitoring.alerting.model.thresholds import read
from ml_monitoring.cli import main, new_parser
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.http_client import RemoteError, fetch

# By whether it begins with a host.
_NO_ADDRESS = ("is not an http:// or https:// address", "has no scheme: put http:// or https:// in front")
_SECRETS = (
    "https://hooks.example.com/services/T0/B0/s3cr3tTOK",
    "hooks.example.com/services/T0/s3cr3tTOK",
    "0123s3cr3tKEY",
    "postgresql://a:s3cr3tPW@h/d",
)
_REQUIRED = {"email": {"to": "a@b", "from": "a@b", "smarthost": "h:25"}, "slack": {"channel": "#a"}}
_KINDS = {get_args(each.model_fields["kind"].annotation)[0]: each for each in get_args(get_args(ChannelSettings)[0])}


def _settings(given: str) -> dict[str, Any]:
    """Return settings with a value in the place of each address and path."""
    channels = {
        f"{kind}-{name.replace('_', '-')}": {"kind": kind, **_REQUIRED.get(kind, {}), name: given}
        for kind, model in _KINDS.items()
        for name in model.model_fields
        if name.endswith("_file") or name == "url"
    }
    notifications = {
        "webhook": given,
        "alert_log": given,
        "alert_log_token_file": given,
        "heartbeat": {"url": given},
        "actions": {"one": {"url": given}, "other": {"url_file": given}},
        "channels": channels,
    }
    return {"links": {"grafana": given, "runbooks": given, "logs": given}, "notifications": notifications}


def _places(settings: object, given: str, above: str = "") -> Iterator[str]:
    for key, value in settings.items() if isinstance(settings, dict) else ():
        if value == given:
            yield f"{above}{key}"
        yield from _places(value, given, f"{above}{key}.")


@pytest.mark.parametrize("secret", _SECRETS)
def test_a_secret_in_place_of_an_address_or_a_path_is_not_said(secret: str, tmp_path: Path) -> None:
    settings = _settings(secret)
    path = tmp_path / "own.yml"
    path.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read(ALERTS, [path])
    problems = refused.value.problems
    assert "s3cr3t" not in "".join(problems)
    for place in _places(settings, secret):
        if place.endswith("_file"):
            wanted = "give the path, as Alertmanager sees it, of a file that holds what is meant"
        elif secret.startswith("https:"):
            # There it is what belongs there.
            continue
        else:
            wanted = _NO_ADDRESS[secret.startswith("hooks.")]
        assert [each for each in problems if f" {place}: " in each and wanted in each], place


def _commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for name, each in action.choices.items():
            yield from _commands(each, (*words, name))
    if not below:
        yield words


def _options_of_paths(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, each in action.choices.items():
                yield from _options_of_paths(each, (*words, name))
        elif action.type in (Path, int) and action.option_strings:
            yield (*words, action.option_strings[0])


@pytest.mark.parametrize("secret", _SECRETS)
def test_no_command_says_a_word_that_it_does_not_take(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = new_parser("ml-monitoring", complete=True)
    for words in ((), *_commands(parser)):
        # Behind a wrong option, for those that take any number of names.
        for given in ([*words, secret, f"--wrong={secret}"], [*words, f"-x{secret}", secret]):
            with pytest.raises(SystemExit):
                parser.parse_args(given)
            assert "s3cr3t" not in "".join(capsys.readouterr())
    if "://" in secret:
        for taken in _options_of_paths(parser):
            with pytest.raises(SystemExit):
                parser.parse_args([*taken, secret])
            said = capsys.readouterr().err
            assert "s3cr3t" not in said
            assert "holds an address" in said or "is no whole number" in said


def test_an_address_as_an_argument_is_answered_with_where_it_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "postgresql://a:s3cr3tPW@h/d"], prog="ml-monitoring")
    assert capsys.readouterr().err.splitlines()[-1] == (
        "ml-monitoring check: error: more arguments than the command takes: an address belongs in the settings, such "
        "as sources.mlflow.uri in a file given by --config"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "check g.yml",
            "ml-monitoring check: error: more arguments than the command takes: settings are given by --config g.yml",
        ),
        (
            "dashboards push dd",
            "ml-monitoring dashboards push: error: more arguments than the command takes: 'dd' is one too many; "
            "words that belong together stand in quotes",
        ),
        (
            "alerts test own.yaml",
            "ml-monitoring alerts test: error: more arguments than the command takes: settings are given by "
            "--settings own.yaml",
        ),
        ("alerts test 0123s3cr3tKEY@h.yml", "ml-monitoring alerts test: error: more arguments than the command takes"),
    ],
)
def test_too_many_arguments_are_answered_by_the_command(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments.split(), prog="ml-monitoring")
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"usage: {message.partition(':')[0]} [-h]")
    assert last == message


@pytest.mark.parametrize("variable", ["PROMETHEUS_URL", "ALERTMANAGER_URL"])
@pytest.mark.parametrize("secret", [*_SECRETS[1:], "ops:s3cr3tPW@h"])
def test_a_variable_that_holds_no_address_is_named(
    variable: str, secret: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, secret)
    parser = new_parser("ml-monitoring", complete=True)
    option, named = f"--{variable.removesuffix('_URL').lower()}", 0
    for words in _commands(parser):
        with contextlib.suppress(SystemExit):
            parser.parse_args([*words])
        said = capsys.readouterr().err
        assert "s3cr3t" not in said
        named += said.endswith(f"error: {variable}: {_NO_ADDRESS[secret.startswith('hooks.')]}\n")
        assert f"argument {option}" not in said
    assert named


@pytest.mark.parametrize(
    "command",
    [
        "dashboards push --url=https://127.0.0.1:9 --token-file",
        "dashboards pull --url=https://127.0.0.1:9 --uid=x --output-dir=/dev/null/x --token-file",
        "alerts log --token-file",
    ],
)
def test_a_token_in_place_of_its_file_is_not_said(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "glsa_s3cr3tTOK"]) == 1
    assert capsys.readouterr().err == (
        "error: --token-file: what is given here, which is the path of a file that holds the secret, cannot be read: "
        "No such file or directory\n"
    )


def test_the_demo_does_not_say_it_either(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["variants", "--uri-file", "s3cr3tTOK"]) == 1
    assert "s3cr3t" not in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["ML_MONITORING_ALERTING_SETTINGS", "ML_MONITORING_CONFIG"])
def test_an_address_in_place_of_settings_is_not_said(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "postgresql://a:s3cr3tPW@h/d")
    assert main(["alerts", "generate", "--output-dir=/dev/null/x"] if "ALERTING" in variable else ["config"]) == 1
    assert capsys.readouterr().err == f"error: {variable}: holds an address, where paths of files belong\n"


@pytest.mark.parametrize("name", ["grafana", "runbooks", "logs"])
def test_a_password_in_a_link_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = "holds a user or a password, which every notification would show"
    path = tmp_path / "own.yml"
    path.write_text(f"links: {{{name}: 'http://u:s3cr3tPW@h'}}", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read(ALERTS, [path])
    assert refused.value.problems == (f"{path}:1: links.{name}: {refusal}",)
    monkeypatch.setenv(f"{name.upper()}_URL", "http://u:s3cr3tPW@h")
    assert main(["alerts", "generate", "--output-dir", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == f"error: {name.upper()}_URL: {refusal}\n"


def test_an_address_that_seems_to_be_a_secret_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "own.yml"
    path.write_text(
        "notifications:\n"
        "  heartbeat: {url: 'https://hc.example/2b1a6c5e-0b6a-4b55-9d0c-1f5a3b0c9d11'}\n"
        "  channels:\n"
        "    secret: {kind: webhook, url: 'https://hooks.example/services/T0/B0/s3cr3tTOKs3cr3tTOK'}\n"
        "    named: {kind: webhook, url: 'https://hooks.example/alertmanager-webhook-receiver'}\n"
        "    versioned: {kind: webhook, url: 'https://hooks.example/api/v2'}\n"
        "    own: {kind: webhook, url: 'http://relay/s3cr3tTOKs3cr3tTOK'}\n"
        "    password: {kind: webhook, url: 'http://u:s3cr3tPW@relay/alerts'}\n"
        "  webhook: http://u:s3cr3tPW@relay/alerts\n"
        "  alert_log: http://u:s3cr3tPW@log/alerts\n",
        encoding="utf-8",
    )
    assert main(["alerts", "generate", "--settings", str(path), "--output-dir", str(tmp_path / "out")]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "secret" in line]
    assert notes == [
        f"note: notifications.{setting}: holds what may be a secret, which everybody can read in alertmanager.yml; "
        f"{advice}"
        for setting, advice in (
            ("heartbeat.url", "give it as url_file"),
            ("channels.secret.url", "give it as url_file"),
            ("channels.password.url", "give it as url_file"),
            ("webhook", "give it as url_file of one of notifications.channels"),
            ("alert_log", "the alert log takes a token, alert_log_token_file"),
        )
    ]


_NO_TOKENS = ("s3cr3tPW\r", "s3cr3t\nPW", "s3cr3tPW€", "s3cr3t PW")


@pytest.mark.parametrize("token", _NO_TOKENS)
def test_a_token_that_a_header_cannot_hold_is_refused_without_being_said(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    why = "is no token: it is empty, or holds spaces, line breaks or letters that a header cannot hold"
    declared = {"a": {"title": "A", "start": "2026-01-01T00:00:00Z", "arms": {}, "metrics": {}}}
    for source in (
        {"mlflow": {"uri": "http://127.0.0.1:9", "token": token}},
        {"experiments": {"url": "http://127.0.0.1:9", "token": token, "declared": declared}},
    ):
        path = tmp_path / "exporter.yml"
        path.write_text(json.dumps({"sources": source}), encoding="utf-8")
        assert main(["check", "--config", str(path)]) == 1
        said = "".join(capsys.readouterr())
        lines = "holds more than one line, where the address or secret alone belongs"
        refused = f"sources.{next(iter(source))}.token: {lines if token.count(chr(10)) else why}"
        # Line breaks at the end are no part of it.
        assert (refused in said) is (token == token.strip())
        assert "s3cr3t" not in said
    monkeypatch.setenv("PROMETHEUS_TOKEN", token)
    for command in ("prove", "render"):
        assert main(["dashboards", command, "--prometheus", "http://127.0.0.1:9"]) == 1
        assert capsys.readouterr().err == f"error: PROMETHEUS_TOKEN: {why}\n"
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    assert main(["dashboards", "push", "--url", "http://127.0.0.1:9", "--token-file", str(file)]) == 1
    # Of a file, line breaks at the end are no part.
    wanted = f"error: {file}: what it holds {why}\n" if token == token.strip() else "Connection refused"
    assert wanted in capsys.readouterr().err


def test_what_a_header_cannot_hold_is_in_no_message_where_it_is_read_later() -> None:
    for token in _NO_TOKENS[:3]:
        with pytest.raises(RemoteError) as refused:
            fetch("http://127.0.0.1:9", "x", timeout=1, token=token)
        assert "s3cr3t" not in str(refused.value)
        assert "holds characters that a header cannot hold" in str(refused.value)


def test_an_engine_is_given_no_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text("sources:\n  containers:\n    url: http://u:s3cr3tPW@127.0.0.1:9\n", encoding="utf-8")
    assert main(["check", "--config", str(path)]) == 1
    said = "".join(capsys.readouterr())
    assert "s3cr3t" not in said
    assert "sources.containers.url: holds a user or a password, which an engine does not ask for" in said
