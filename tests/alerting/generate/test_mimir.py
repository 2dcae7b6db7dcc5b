"""The rules in the format of mimirtool: the same as in the files of Prometheus, in one namespace."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.cli import main

ROOT = Path(__file__).resolve().parents[3]
GENERATED = ROOT / "alerting" / "generated"


def generate(folder: Path, *arguments: str) -> dict[str, Any]:
    command = ["generate", "--settings", "/dev/null", "--format", "mimir", "--output-dir", str(folder), *arguments]
    assert main(command) == 0
    (path,) = folder.iterdir()
    assert path.name == "ml-monitoring.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def committed() -> list[dict[str, Any]]:
    files = (yaml.safe_load((GENERATED / name).read_text(encoding="utf-8")) for name in ("rules.yml", "alerts.yml"))
    return [group for content in files for group in content["groups"]]


def test_one_namespace_holds_the_groups_of_both_files(tmp_path: Path) -> None:
    content = generate(tmp_path / "out")
    # As mimirtool reads it: it refuses other keys, and a namespace that comes twice.
    assert list(content) == ["namespace", "groups"]
    assert content["namespace"] == "ml-monitoring"
    assert content["groups"] == committed()


def test_groups_are_split_where_the_ruler_allows_no_more_rules(tmp_path: Path, programs: Mapping[str, Path]) -> None:
    whole = committed()
    most = max(len(group["rules"]) for group in whole)
    assert f"The largest group has {most} rules" in (ROOT / "docs" / "grafana-cloud.md").read_text(encoding="utf-8")
    content = generate(tmp_path / "out", "--rules-per-group", "20")
    groups = content["groups"]
    assert len(groups) > len(whole)
    assert max(len(group["rules"]) for group in groups) == 20
    names = [group["name"] for group in groups]
    assert len(set(names)) == len(names)
    # In the same order, and the first part has the name of the whole.
    assert [rule for group in groups for rule in group["rules"]] == [rule for group in whole for rule in group["rules"]]
    assert {group["name"] for group in whole} <= set(names)
    # Prometheus's own tool takes the groups; the namespace is no word of Prometheus.
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    done = subprocess.run([programs["promtool"], "check", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--format", "mimir"),
            "--format mimir: give --output-dir, as the default folder is of Prometheus's files",
        ),
        (
            ("--rules-per-group", "20", "--output-dir", "{folder}"),
            "--rules-per-group: add --format mimir; Prometheus takes groups of any size",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [argument.format(folder=tmp_path) for argument in arguments]
    assert main(["generate", "--settings", "/dev/null", *command]) == 2
    assert capsys.readouterr() == ("", f"error: {message}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ["0", "-1", "x", ""])
def test_a_number_of_rules_begins_at_one(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "--format", "mimir", f"--rules-per-group={number}"])
    assert capsys.readouterr().err.endswith(f"{number!r} is no number from 1 on\n")
