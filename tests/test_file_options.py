"""An option that names a file to be read is answered, where there is none, with the file's name and what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring.cli import main, new_parser

_PAGE = "dashboards/generated/Platform/ml-monitoring-alerts.json"
_URL = "--url=https://127.0.0.1:9"
# By command and option: the rest of a command line that takes it.
READ = {
    "check --config.file": "",
    "serve --config.file": "",
    "once --config.file": "",
    "config --config.file": "",
    "check --web.config.file": "--config.file=SETTINGS",
    "serve --web.config.file": "--config.file=SETTINGS",
    "experiments check --config.file": "",
    "experiments gate --config.file": "x",
    "experiments report --config.file": "x",
    "alerts log --token-file": "",
    "alerts log --web.config.file": "--directory=OUT",
    "alerts document FILE": "",
    "alerts generate --into": "--settings=LABELLED --output-dir=OUT",
    "queries import FILE": "",
    "dashboards prove --allow": f"{_PAGE} --prometheus=http://127.0.0.1:9",
    "dashboards report --reports": "business",
    "dashboards report --smtp-from": "business --prometheus=http://127.0.0.1:9 --mail-to=a@example.org",
    "dashboards push --token-file": _URL,
    "dashboards push --ca-file": f"{_URL} --token-file=TOKEN",
    "dashboards push-alerts --token-file": f"{_URL} --datasource=x",
    "dashboards push-alerts --ca-file": f"{_URL} --datasource=x --token-file=TOKEN",
    "dashboards pull --token-file": f"{_URL} --uid=x --output-dir=OUT",
    "dashboards pull --ca-file": f"{_URL} --uid=x --output-dir=OUT --token-file=TOKEN",
}
# These are written, or read by somebody else, or not at all.
OTHERS = {
    "init --output",
    "experiments report --output",
    "dashboards data --out",
    "alerts generate --exporter-ca",
    "config --web.config.file",
}


def options(parser: argparse.ArgumentParser, words: str = "") -> Iterator[str]:
    """Yield each command and option that takes a file."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, subparser in action.choices.items():
                yield from options(subparser, f"{words} {name}".strip())
        elif action.metavar == "FILE" and "--settings" not in action.option_strings:
            yield f"{words} {action.option_strings[0] if action.option_strings else 'FILE'}"


def test_each_option_that_takes_a_file_is_tried() -> None:
    # Those of settings have one reader: tests/alerting/test_options.py.
    assert set(options(new_parser("prog", complete=True))) == {*READ, *OTHERS}


@pytest.mark.parametrize("option", READ)
def test_a_file_that_is_not_there_is_named(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("abc", encoding="utf-8")
    (tmp_path / "settings").write_text("sources: {fleet: {path: fleet.csv}}\n", encoding="utf-8")
    (tmp_path / "labelled").write_text("alert_labels: {stack: ml}\n", encoding="utf-8")
    rest = READ[option]
    for word in ("TOKEN", "OUT", "SETTINGS", "LABELLED"):
        rest = rest.replace(word, str(tmp_path / word.lower()))
    command, _, name = option.rpartition(" ")
    missing = str(tmp_path / "missing")
    given = [missing] if name == "FILE" else [name, missing]
    assert main([*command.split(), *rest.split(), *given]) == 1
    printed = "".join(capsys.readouterr())
    assert missing in printed
    assert "No such file or directory" in printed
    assert "Traceback" not in printed


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    for command in (["alerts", "generate", "--output-dir"], ["alerts", "log", "--directory"]):
        assert main([*command, str(file)]) == 1
        assert f"{file}: is a file, not a folder\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["alerts generate", "dashboards generate", "kubernetes chart"])
def test_a_folder_that_cannot_be_made_is_named_with_its_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nobody may make a folder there, not even root.
    given = [*command.split(), "--settings", "/dev/null", "--output-dir", "/proc/none"]
    assert main(given) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: --output-dir: /proc/none: No such file or directory"


def test_a_file_without_a_certificate_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = tmp_path / "token"
    token.write_text("abc", encoding="utf-8")
    assert main(["dashboards", "push", _URL, f"--token-file={token}", f"--ca-file={token}"]) == 1
    assert capsys.readouterr().err == f"error: --ca-file: {token} holds no certificate\n"
