"""Pushing alerts into Grafana's own alerting. The Grafana is a double: see grafana_double.py for what that means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.publish.push_alerts import FOLDER_UID
from tests.support.grafana_double import TOKEN, GrafanaDouble

Push = Callable[..., int]
ALERTS = [alert.name for alert in load_alerts(load_thresholds())]
THEIRS: dict[str, Any] = {"receiver": "grafana-default-email", "object_matchers": [["team", "=", "payments"]]}


@pytest.fixture(params=[True, False], ids=["Grafana 9.4 to 10", "Grafana 11 to 13"])
def grafana(request: pytest.FixtureRequest) -> Iterator[GrafanaDouble]:
    with GrafanaDouble(old=request.param) as double:
        double.role = "Admin"
        double.add_datasource("abc", "Prometheus of the team", "prometheus", default=True)
        double.policies["routes"] = [THEIRS]
        yield double


@pytest.fixture
def push(grafana: GrafanaDouble, tmp_path: Path) -> Push:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n", encoding="utf-8")

    # The alert log's token is where Alertmanager runs.
    own = tmp_path / "alerting.yml"
    own.write_text("notifications: {alert_log_token_file: null}\n", encoding="utf-8")

    def run(*arguments: str) -> int:
        common = ("--url", grafana.url, "--token-file", str(token), "--settings", str(own))
        return main(["push-alerts", *common, *arguments])

    return run


def done(capsys: pytest.CaptureFixture[str], word: str) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    return [line.removeprefix(word).strip() for line in lines if line.startswith(word)]


def test_a_first_push_creates_every_rule_and_what_notifies_of_it(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push() == 0
    assert done(capsys, "create") == ALERTS
    assert grafana.folders == {FOLDER_UID: "ML monitoring alerts"}
    assert {rule["data"][0]["datasourceUid"] for rule in grafana.rules.values()} == {"abc"}
    assert set(grafana.intervals.values()) == {30}
    assert {point["name"] for point in grafana.contact_points.values()} >= {"ml-monitoring-platform-critical"}
    assert list(grafana.templates) == ["ml-monitoring"]


def test_a_second_push_leaves_rules_as_they_are_and_the_tree_with_one_branch_of_ours(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    first = json.dumps(grafana.policies)
    # Grafana adds what it knows of its own.
    for rule in grafana.rules.values():
        rule |= {"id": 7, "updated": "2026-11-21T08:00:00Z"}
        rule["data"][0]["model"] |= {"intervalMs": 1000, "maxDataPoints": 43200}
    capsys.readouterr()
    assert push() == 0
    assert done(capsys, "unchanged") == ALERTS
    assert json.dumps(grafana.policies) == first
    ours, theirs = grafana.policies["routes"]
    assert ours["object_matchers"] == [["stack", "=", "ml-monitoring"]]
    assert theirs == THEIRS


def test_the_tree_can_still_be_edited_by_others_where_grafana_knows_of_that(push: Push, grafana: GrafanaDouble) -> None:
    push()
    assert grafana.policies.get("provenance", "") == ("api" if grafana.old else "")
    assert push() == 0


def test_a_rule_that_was_changed_by_hand_is_written_again_where_it_was_moved_to(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    rule = next(iter(grafana.rules.values()))
    grafana.folders["mine"] = "Mine"
    rule |= {"for": "1h", "folderUID": "mine"}
    capsys.readouterr()
    push()
    assert done(capsys, "update") == [rule["title"]]
    changed = grafana.rules[rule["uid"]]
    assert (changed["for"], changed["folderUID"]) == ("0s", "mine")


def test_a_branch_that_was_moved_by_hand_stays_behind_the_others(push: Push, grafana: GrafanaDouble) -> None:
    push()
    grafana.policies["routes"].reverse()
    push()
    assert [route["object_matchers"][0][0] for route in grafana.policies["routes"]] == ["team", "stack"]


def test_the_tree_is_left_alone_where_it_is_asked_for_or_read_from_a_file(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.policies["provenance"] = "file"
    assert push() == 1
    assert capsys.readouterr().err == (
        "error: Grafana reads the policy tree from a file: add the branch of `ml-monitoring alerts grafana` there, and "
        "push the rest with --no-policies\n"
    )
    assert grafana.writes == []
    assert push("--no-policies") == 0
    assert grafana.policies["routes"] == [THEIRS]
    assert len(grafana.rules) == len(ALERTS)


def test_a_rule_that_is_no_longer_generated_is_deleted_only_with_prune_and_others_never(
    push: Push, grafana: GrafanaDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    grafana.rules["theirs"] = {"uid": "theirs", "title": "Theirs", "folderUID": "x", "ruleGroup": "y"}
    settings = tmp_path / "own.yml"
    settings.write_text("alerts: {MlflowRunHanging: null}\n", encoding="utf-8")
    capsys.readouterr()
    push("--settings", str(settings))
    assert done(capsys, "left over") == ["MlflowRunHanging"]
    assert len(grafana.rules) == len(ALERTS) + 1
    push("--settings", str(settings), "--prune")
    assert done(capsys, "delete") == ["MlflowRunHanging"]
    assert len(grafana.rules) == len(ALERTS)
    assert "theirs" in grafana.rules


@pytest.mark.parametrize("role", ["Viewer", "Editor"])
def test_who_may_not_write_alerts_is_refused_at_once(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str], role: str
) -> None:
    grafana.role = role
    assert push() == 1
    assert capsys.readouterr().err == (
        "error: the token may not write alerts: its service account needs the role Admin, or "
        "alert.provisioning:read and alert.provisioning:write\n"
    )
    assert grafana.writes == []


def test_secrets_of_channels_are_read_here_and_never_shown(
    push: Push, grafana: GrafanaDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = tmp_path / "slack_url"
    settings = tmp_path / "own.yml"
    settings.write_text(
        f"notifications: {{channels: {{chat: {{kind: slack, channel: '#x', api_url_file: {url}}}}}}}\n",
        encoding="utf-8",
    )
    assert push("--settings", str(settings)) == 1
    assert capsys.readouterr().err.startswith(f"error: {url}: the secret of a channel cannot be read here: ")
    assert grafana.writes == []
    url.write_text("https://hooks.example.org/very-secret\n", encoding="utf-8")
    assert push("--settings", str(settings)) == 0
    out, err = capsys.readouterr()
    assert "very-secret" not in out + err
    sent = [point["settings"] for point in grafana.contact_points.values() if point["type"] == "slack"]
    assert {one["url"] for one in sent} == {"https://hooks.example.org/very-secret"}


def test_a_data_source_that_is_not_clear_must_be_chosen(
    push: Push, grafana: GrafanaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push("--datasource", "nope") == 1
    assert capsys.readouterr().err == (
        "error: --datasource nope: Grafana's data sources of type prometheus: Prometheus of the team\n"
    )
    grafana.datasources.clear()
    grafana.add_datasource("a", "A", "prometheus")
    grafana.add_datasource("b", "B", "prometheus")
    assert push() == 1
    assert capsys.readouterr().err == "error: --datasource ?: Grafana's data sources of type prometheus: A, B\n"
    assert grafana.writes == []
    assert push("--datasource", "B") == 0
    assert {rule["data"][0]["datasourceUid"] for rule in grafana.rules.values()} == {"b"}


def test_the_folder_of_the_rules_has_no_uid_of_a_page() -> None:
    # Up to Grafana 10 a folder is kept as a dashboard is, so one uid cannot be both.
    assert FOLDER_UID not in {path.stem for path in Path("dashboards/generated").glob("*/*.json")}
