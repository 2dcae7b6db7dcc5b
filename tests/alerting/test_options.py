from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from ml_monitoring.alerting import options
from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.generate.files import DEFAULT_DIRECTORY
from ml_monitoring.exporter.errors import ConfigError


def given(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_settings(parser)
    return parser.parse_args(arguments)


def test_the_option_goes_before_the_variable_and_the_variable_before_the_default_places(tmp_path: Path) -> None:
    there = tmp_path / "alerting.yml"
    there.write_text("", encoding="utf-8")
    places = (tmp_path / "missing.yml", there, there)
    named = [tmp_path / "c.yml", tmp_path / "d.yml"]
    variable = {options.VARIABLE: os.pathsep.join(map(str, named))}
    from_option = options.settings_files(given("--settings", "a.yml", "--settings", "b.yml"), variable, places)
    assert from_option == [Path("a.yml"), Path("b.yml")]
    with pytest.raises(ConfigError, match=f"{options.VARIABLE}: {named[0]}: No such file or directory"):
        options.settings_files(given(), variable, places)
    for path in named:
        path.touch()
    assert options.settings_files(given(), variable, places) == named
    assert options.settings_files(given(), {options.VARIABLE: ""}, places) == [there]
    assert options.settings_files(given(), {}, places[:1]) == []
    (tmp_path / "missing.yaml").touch()
    with pytest.raises(ConfigError, match=r"missing\.yaml: is read under the name missing\.yml only: rename it"):
        options.settings_files(given(), {}, places)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *(
            (name, "settings of alerts are given in files only, by --settings or ML_MONITORING_ALERTING_SETTINGS")
            for name in ("ML_MONITORING_ALERTS__HOSTDISKFULL__THRESHOLD", "ML_MONITORING_LINKS__GRAFANA")
        ),
        ("ML_MONITORING_ALERTING_SETTING", "unknown setting; did you mean ML_MONITORING_ALERTING_SETTINGS?"),
    ],
)
def test_variables_that_nothing_reads_are_refused(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As Kubernetes sets some for a service of that name.
    monkeypatch.setenv("ML_MONITORING_ALERTS_PORT", "x")
    monkeypatch.setenv("ML_MONITORING_SOURCES__MLFLOW__URI", "x")
    options.load(given("--settings", os.devnull))
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigError) as caught:
        options.load(given("--settings", os.devnull))
    assert caught.value.problems == (f"{name}: {said}",)


def test_sections_of_which_all_is_commented_out_are_those_of_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text("links:\n  # grafana: http://x\nalerts:\nslos: # later\n", encoding="utf-8")
    assert options.load(given("--settings", str(path)))[0] == options.load(given("--settings", os.devnull))[0]
    path.write_text("links:\nteems:\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r":2: teems: unknown key; did you mean teams\?$"):
        options.load(given("--settings", str(path)))


def test_own_settings_are_not_written_over_the_committed_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yml"
    own.write_text("teams: [platform, mlops, growth, search]\n", encoding="utf-8")
    before = (DEFAULT_DIRECTORY / "alertmanager.yml").read_bytes()
    assert main(["generate", "--settings", str(own)]) == 1
    assert capsys.readouterr().err == (
        f"error: {own}: own settings need an output folder of their own (--output-dir): "
        f"git keeps in {DEFAULT_DIRECTORY} what the defaults make\n"
    )
    assert (DEFAULT_DIRECTORY / "alertmanager.yml").read_bytes() == before
