from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from ml_monitoring.exporter.inference import ArmCounts, Batch, SplitReport, SplitState, Sums

ARMS = ("a", "b", "c")


def _split(
    counts: Sequence[Sequence[float]], shares: Sequence[Sequence[float]], *, randomised: str = "request", cells: int = 0
) -> SplitState:
    names = ARMS[: len(counts[0])]
    split = SplitState(names, randomised)
    for index, (row, wanted) in enumerate(zip(counts, shares, strict=True)):
        arms = {}
        for name, count in zip(names, row, strict=True):
            by_cell = {str(cell): Sums(count / cells, 0.0) for cell in range(cells)}
            arms[name] = ArmCounts(Sums(count, 0.0), by_cell)
        split.add(Batch(index * 300, index * 300 + 300, arms, dict(zip(names, wanted, strict=True))))
    return split


def _p(report: SplitReport) -> float:
    assert report.p_value is not None
    return report.p_value


def test_shares_that_change_are_those_of_their_time() -> None:
    rng = np.random.default_rng(1)
    shares = [(0.9, 0.1) if index < 50 else (0.2, 0.8) for index in range(100)]
    counts = [rng.multinomial(100, wanted).tolist() for wanted in shares]
    report = _split(counts, shares).report()
    assert _p(report) > 0.05
    assert report.intended == pytest.approx({"a": 0.55, "b": 0.45})


def test_an_arm_of_three_that_gets_too_much_is_named() -> None:
    rng = np.random.default_rng(2)
    counts = [rng.multinomial(90, (0.3, 0.3, 0.4)).tolist() for _ in range(100)]
    report = _split(counts, [(1, 1, 1)] * 100).report()
    assert _p(report) < 0.001
    assert report.worst == "c"


def test_an_arm_that_is_not_to_have_traffic_is_not_asked_about() -> None:
    report = _split([(100 + n % 2, 0) for n in range(50)], [(1, 0)] * 50).report()
    assert (report.p_value, report.reason) == (None, "nothing was exposed")


def test_rows_that_come_by_tens_are_not_a_mismatch() -> None:
    rng = np.random.default_rng(3)
    counts = [(10 * rng.multinomial(10, (0.5, 0.5))).tolist() for _ in range(100)]
    report = _split(counts, [(1, 1)] * 100).report()
    assert _p(report) > 0.05
    assert 5 < report.factor < 20


def test_requests_of_users_are_tested_only_by_cell() -> None:
    counts = [(60.0 + n % 2, 40.0 - n % 2) for n in range(60)]
    shares = [(0.5, 0.5)] * 60
    without = _split(counts, shares, randomised="user").report()
    assert without.p_value is None
    assert without.reason == (
        "users are split, but only requests are counted: add `unit=` to the recorder, or count users"
    )
    assert _p(_split(counts, shares, randomised="user", cells=32).report()) < 0.001


def test_nothing_is_said_without_shares_or_exposures() -> None:
    split = SplitState(("a", "b"))
    assert split.report().reason == "nothing was exposed"
    split.add(Batch(0, 300, {"a": ArmCounts(Sums(5, 0)), "b": ArmCounts(Sums(5, 0))}))
    assert split.report().reason == "the intended shares are not known"


def test_a_broken_split_without_chance_is_found_although_one_batch_stands_out() -> None:
    counts = [(24.0, 16.0)] * 40 + [(12.0, 8.0)] + [(24.0, 16.0)] * 40
    assert _p(_split(counts, [(0.5, 0.5)] * 81).report()) < 0.001


def test_a_state_survives_json() -> None:
    split = _split([(60.0 + n % 3, 40.0) for n in range(20)], [(0.6, 0.4)] * 20, cells=4)
    loaded = SplitState.load(("a", "b"), json.loads(json.dumps(split.dump())))
    assert loaded.report() == split.report()


def test_an_open_block_survives_json() -> None:
    def added(split: SplitState, index: int) -> SplitState:
        # Seven exposures a batch: six of them make a block.
        arms = {"a": ArmCounts(Sums(4, 0)), "b": ArmCounts(Sums(3, 0))}
        split.add(Batch(index * 300, index * 300 + 300, arms, {"a": 1.0, "b": 1.0}))
        return split

    whole = SplitState(("a", "b"))
    whole.add(Batch(-300, 0, {"a": ArmCounts(Sums(5, 0)), "b": ArmCounts(Sums(5, 0))}))
    restarted = SplitState.load(("a", "b"), json.loads(json.dumps(whole.dump())))
    for index in range(20):
        whole = added(whole, index)
        restarted = SplitState.load(("a", "b"), json.loads(json.dumps(added(restarted, index).dump())))
    assert restarted.report() == whole.report()
    assert json.dumps(restarted.dump()) == json.dumps(whole.dump())
