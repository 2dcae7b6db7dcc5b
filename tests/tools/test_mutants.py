from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants import Court, Mutant, changes, main, mutants


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


def test_a_change_that_a_unit_test_notices_does_not_survive_and_none_at_all_does(programs: dict[str, Path]) -> None:
    court = Court(programs["promtool"])
    flipped = next(mutant for mutant in mutants(["HostMemoryLow"]) if "becomes >" in mutant.change)
    assert not court.survives(flipped)
    unchanged = Mutant(flipped.rule, flipped.group, "nothing", flipped.expr.replace(">", "<"))
    assert court.survives(unchanged)


def test_the_command_counts_what_survived(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["HostMemoryLow"]) == 0
    assert capsys.readouterr().out.startswith("3 changes, 0 survived, 0 of them unexplained; ")
    assert main(["Nothing"]) == 1
