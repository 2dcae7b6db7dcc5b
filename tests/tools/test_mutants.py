from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.mutants.cases import Case, of_alerts
from tools.mutants.changes import changes, mutants
from tools.mutants.cli import main, survivors
from tools.mutants.explained import EXPLAINED
from tools.mutants.runner import FailingTest, Memory, MutationRunner

OF_ALERTS = {case.name: case for case in of_alerts()}
ALERTS = mutants([*OF_ALERTS])


def test_comparisons_thresholds_and_matchers_are_changed_one_at_a_time() -> None:
    assert dict(changes('rate(x{a="<b",c!="d"}[5m]) > 0.2\nand y == 0')) == {
        "> at 27 becomes <": 'rate(x{a="<b",c!="d"}[5m]) < 0.2\nand y == 0',
        "== at 39 becomes !=": 'rate(x{a="<b",c!="d"}[5m]) > 0.2\nand y != 0',
        "0.2 at 29 becomes 2": 'rate(x{a="<b",c!="d"}[5m]) > 2\nand y == 0',
        "0.2 at 29 becomes 0.02": 'rate(x{a="<b",c!="d"}[5m]) > 0.02\nand y == 0',
        'x at 5 loses a="<b"': 'rate(x{c!="d"}[5m]) > 0.2\nand y == 0',
        'x at 5 loses c!="d"': 'rate(x{a="<b"}[5m]) > 0.2\nand y == 0',
    }


def test_there_are_changes_of_alerts_and_of_recorded_series() -> None:
    rules = {mutant.rule for mutant in mutants()}
    assert {"HostDiskFull", "instance_mountpoint:node_filesystem_free:ratio"} <= rules
    assert len(mutants()) > 400


def test_what_is_explained_is_still_there() -> None:
    assert EXPLAINED.keys() <= {str(mutant) for mutant in mutants()}


def test_a_sample_of_changes_is_noticed_or_explained() -> None:
    # `make mutants` tries all of them, and those of recorded series.
    alive = survivors(ALERTS[::12], Memory(None), workers=1)
    assert [one for one in alive if str(one) not in EXPLAINED] == []


def test_a_unit_test_evaluates_no_more_than_it_needs() -> None:
    case = OF_ALERTS["MlflowNoSuccessfulRun"]
    names = [rule.get("alert") or rule["record"] for group in case.groups for rule in group["rules"]]
    assert names == [
        "experiment:mlflow_last_run_age_seconds:min",
        "experiment:mlflow_last_failure_age_seconds:min",
        "experiment:mlflow_last_success_age_seconds:min",
        "experiment:mlflow_last_success_age_seconds:unusual",
        "experiment:mlflow_runs_failed:recent",
        "MlflowNoSuccessfulRun",
    ]


def test_a_unit_test_that_does_not_look_lets_a_change_live(programs: dict[str, Path]) -> None:
    case = OF_ALERTS["HostMemoryLow"]
    (flipped,) = [mutant for mutant in mutants(["HostMemoryLow"]) if "becomes >" in mutant.change]
    blind = "rule_files: [rules.yml]\ntests: [{interval: 1m, input_series: [], alert_rule_test: []}]\n"
    for text, lives in ((case.text, False), (blind, True)):
        runner = MutationRunner(programs["promtool"], [Case(case.name, text, case.groups)], Memory(None))
        assert runner.survives(flipped) is lives


def test_a_unit_test_that_fails_anyway_proves_nothing(programs: dict[str, Path]) -> None:
    case = OF_ALERTS["HostMemoryLow"]
    wrong = Case(case.name, case.text.replace("alertname: HostMemoryLow", "alertname: Other"), case.groups)
    with pytest.raises(FailingTest, match="HostMemoryLow fails although nothing was changed"):
        MutationRunner(programs["promtool"], [wrong], Memory(None)).survives(mutants(["HostMemoryLow"])[0])


def test_what_a_unit_test_said_is_remembered_unless_its_line_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "memory.jsonl"
    Memory(path).put("a", True, 1.5)
    with path.open("a") as file:
        file.write('["b", tr' + os.linesep)
    Memory(path).put("c", False, 0.25)
    again = Memory(path)
    assert (again.get("a"), again.get("b"), again.get("c")) == ((True, 1.5), None, (False, 0.25))


def test_the_command_counts_what_survived(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["HostMemoryLow", "--afresh"]) == 0
    assert capsys.readouterr().out.startswith("3 changes, 0 survived, 0 of them unexplained; ")
    assert main(["Nothing"]) == 1
