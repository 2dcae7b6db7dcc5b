"""Judgements of the deployment tool; what it does is shown by the tests that need a Docker engine."""

from pathlib import Path
from typing import Any

import pytest

from tools.deploy import preflight, verify
from tools.deploy.cli import main
from tools.deploy.engine import DeployError, Stack, read_env


def target(job: str, health: str, error: str = "") -> dict[str, Any]:
    return {"labels": {"job": job, "instance": f"{job}:1"}, "health": health, "lastError": error}


def test_targets_that_are_down_or_unknown_are_named() -> None:
    targets = [target("a", "up"), target("b", "down", "connection refused"), target("c", "unknown")]
    with pytest.raises(DeployError, match=r"^b b:1: connection refused\nc c:1: not scraped yet$"):
        verify.judge_targets({"data": {"activeTargets": targets}})
    assert verify.judge_targets({"data": {"activeTargets": targets[:1]}}) == "1 up: a"
    with pytest.raises(DeployError, match="no targets"):
        verify.judge_targets({"data": {"activeTargets": []}})


def test_rules_that_are_missing_fail_or_were_not_evaluated_are_named() -> None:
    good = {"name": "r", "health": "ok"}
    group = {"name": "g", "rules": [good, {"name": "s", "health": "err", "lastError": "many-to-many"}]}
    with pytest.raises(DeployError, match=r"^group h is not loaded\ng/s: many-to-many$"):
        verify.judge_rules({"data": {"groups": [group]}}, {"g", "h"})
    unknown = {"name": "g", "rules": [{"name": "s", "health": "unknown"}]}
    with pytest.raises(DeployError, match="g/s: not evaluated yet"):
        verify.judge_rules({"data": {"groups": [unknown]}}, {"g"})
    fine = {"name": "g", "rules": [good, good]}
    assert verify.judge_rules({"data": {"groups": [fine]}}, {"g"}) == "2 in 1 groups, all evaluated"


def test_containers_may_have_ended_well_and_must_otherwise_be_healthy() -> None:
    rows: list[dict[str, Any]] = [
        {"Service": "a", "State": "running", "Health": "healthy"},
        {"Service": "b", "State": "running", "Health": ""},
        {"Service": "once", "State": "exited", "Health": "", "ExitCode": 0},
    ]
    assert verify.judge_containers(rows) == "3 healthy"
    wrong: list[dict[str, Any]] = [
        {"Service": "c", "State": "running", "Health": "starting"},
        {"Service": "d", "State": "exited", "Health": "", "ExitCode": 137},
    ]
    with pytest.raises(DeployError, match=r"^c: running, starting\nd: exited$"):
        verify.judge_containers([*rows, *wrong])
    with pytest.raises(DeployError, match="no containers"):
        verify.judge_containers([])


@pytest.mark.parametrize(
    ("text", "version"),
    [("2.26.1-4", (2, 26)), ("v2.24.0", (2, 24)), ("5.0.1", (5, 0)), ("1.29.2", (1, 29)), ("dev", (0, 0))],
)
def test_versions_of_compose_are_understood(text: str, version: tuple[int, int]) -> None:
    assert preflight.compose_version(text) == version


def test_settings_of_the_environment_go_before_the_file_before_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("# mine\nGRAFANA_PORT=3001\nEXPORTER_PORT='1'\n")
    monkeypatch.setenv("EXPORTER_PORT", "2")
    settings = Stack(tmp_path).settings
    assert settings["GRAFANA_PORT"] == "3001"
    assert settings["EXPORTER_PORT"] == "2"
    assert settings["PROMETHEUS_PORT"] == "9090"


def test_a_line_that_is_no_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nGRAFANA_PORT 3001\n")
    with pytest.raises(DeployError, match=r"\.env:2: neither NAME=value nor a comment: GRAFANA_PORT 3001"):
        read_env(tmp_path / ".env")


def test_overlays_are_found_by_name_or_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.touch()
    stack = Stack(tmp_path, overlays=["tls", str(own)])
    assert [path.name for path in stack.overlays] == ["compose.tls.yaml", "mine.yaml"]
    assert stack.has_overlay("tls")
    assert not stack.has_overlay("demo")
    with pytest.raises(DeployError, match=r"WITH=tsl: there is no overlay of that name, only .*demo.*tls"):
        assert Stack(tmp_path, overlays=["tsl"]).overlays


def test_without_an_engine_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert main(["--folder", str(tmp_path), "up"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("FAIL  docker ")
    assert printed.out.count("\n") == 1
    assert printed.err == "Nothing was changed.\n"
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_backup_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path} is no complete backup: it has no backup.json\n"
