"""What leaves for a Grafana is made with the user's settings, and the defaults never replace that."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from tests.support.extensions import write_example
from tests.support.grafana_double import TOKEN, GrafanaDouble

Push = Callable[..., dict[str, list[str]]]

OWN = "ml-monitoring-own-shop"
HANGING = "ml-monitoring-mlflow-experiments"
DEFAULTS = {path.stem for path in OUTPUT_DIR.glob("*/*.json")}


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Give a file with a number and pages of the user's own, where every command finds it."""
    (tmp_path / "own").mkdir()
    file = write_example(tmp_path / "own")
    with file.open("a", encoding="utf-8") as more:
        more.write("alerts: {MlflowRunHanging: {threshold: 3h}}\ndashboards: {cluster_variables: true}\n")
    return file


@pytest.fixture
def push(
    grafana: GrafanaDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Push:
    monkeypatch.delenv("ML_MONITORING_ALERTING_SETTINGS", raising=False)
    token = tmp_path / "token"
    token.write_text(TOKEN, encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()

    def run(*arguments: str, folder: str = "elsewhere") -> dict[str, list[str]]:
        monkeypatch.chdir(tmp_path / folder)
        main(["push", "--url", grafana.url, "--token-file", str(token), *arguments])
        said: dict[str, list[str]] = {}
        for line in capsys.readouterr().out.splitlines():
            if found := re.match(r"(\w+(?: over)?) +[^ ].*?\((ml-monitoring-[\w-]+)\)", line):
                said.setdefault(found[1], []).append(found[2])
        return said

    return run


def test_a_push_takes_the_settings_that_every_command_finds(push: Push, grafana: GrafanaDouble, settings: Path) -> None:
    assert push(folder="own") == {"create": sorted({OWN, *DEFAULTS})}
    assert grafana.dashboards[OWN].folder == "ml-stack-shop"
    variables = {one["name"]: one for one in grafana.dashboards[HANGING].current["templating"]["list"]}
    assert variables["cluster"]["hide"] == 0
    assert push("--settings", str(settings)) == {"unchanged": sorted({OWN, *DEFAULTS})}


def test_what_leaves_says_whose_settings_it_was_made_with(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ML_MONITORING_ALERTING_SETTINGS", raising=False)
    for folder, note in (
        (settings.parent, "note: by the settings of ml-monitoring-alerting.yml\n"),
        (tmp_path, "note: no settings found, so by the defaults; --settings names a file\n"),
    ):
        monkeypatch.chdir(folder)
        for command in ("export", "generate"):
            assert main([command, "--output-dir", str(tmp_path / "out")]) == 0
            assert note in capsys.readouterr().err
    # Who gives them knows which.
    assert main(["export", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 0
    assert "settings" not in capsys.readouterr().err


def test_a_push_without_them_leaves_what_they_made(push: Push, grafana: GrafanaDouble, settings: Path) -> None:
    push("--settings", str(settings))
    before = {uid: stored.version for uid, stored in grafana.dashboards.items()}
    assert push() == {"conflict": sorted(DEFAULTS), "left over": [OWN]}
    assert push("--prune")["left over"] == [OWN]
    assert {uid: stored.version for uid, stored in grafana.dashboards.items()} == before
    assert push("--force", "--prune") == {"update": sorted(DEFAULTS), "left over": [OWN]}
    assert OWN in grafana.dashboards


def test_pages_of_ones_own_protect_what_an_earlier_version_pushed(
    push: Push, grafana: GrafanaDouble, settings: Path
) -> None:
    push("--settings", str(settings))
    for stored in grafana.dashboards.values():
        stored.saves = [(saved, by, message.removesuffix(" own")) for saved, by, message in stored.saves]
    assert push() == {"conflict": sorted(DEFAULTS), "left over": [OWN]}


def test_a_folder_of_generated_pages_counts_as_settings(push: Push, settings: Path, tmp_path: Path) -> None:
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "made")]) == 0
    assert push("--dashboards", str(tmp_path / "made")) == {"create": sorted({OWN, *DEFAULTS})}
    assert push(folder="own") == {"unchanged": sorted({OWN, *DEFAULTS})}
    assert push()["conflict"] == sorted(DEFAULTS)


def test_settings_that_change_no_page_are_no_reason_for_a_conflict(
    push: Push, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "channels.yml"
    other.write_text("notifications: {alert_log: null, alert_log_token_file: null}\n", encoding="utf-8")
    monkeypatch.setenv("GRAFANA_URL", "https://grafana.example")
    assert push("--settings", str(other)) == {"create": sorted(DEFAULTS)}
    monkeypatch.setenv("RUNBOOKS_URL", "https://runbooks.example")
    assert push()["update"]
    monkeypatch.delenv("RUNBOOKS_URL")
    assert push()["conflict"]


def test_an_export_takes_the_settings_too(settings: Path, tmp_path: Path) -> None:
    assert main(["export", "--settings", str(settings), "--output-dir", str(tmp_path / "shared")]) == 0
    assert {path.stem for path in (tmp_path / "shared").iterdir()} == {OWN, *DEFAULTS}


def test_settings_and_a_folder_are_one_too_many(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--settings", str(settings), "--dashboards", str(OUTPUT_DIR), "--output-dir", str(tmp_path / "x")]
    assert main(["export", *arguments]) == 2
    assert capsys.readouterr().err == (
        "error: --settings: the pages of --dashboards are written already; give one of the two\n"
    )
