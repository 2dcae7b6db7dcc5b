"""Lifts against what scipy and statsmodels-like formulas say, and what must not change them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_monitoring.exporter.inference import ArmCounts, Batch, EffectKind, Lift, MetricDesign, MetricState, Sums

ALPHA = 0.05
PROPORTION = MetricDesign(EffectKind.PROPORTION, ("a", "b"), "a")
MEAN = MetricDesign(EffectKind.MEAN, ("a", "b"), "a")
RATE = MetricDesign(EffectKind.RATE, ("a", "b"), "a")


def _fed(design: MetricDesign, rows: Sequence[Sequence[Sums]], length: float = 300.0) -> MetricState:
    state = MetricState(design)
    for index, sums in enumerate(rows):
        arms = {arm: ArmCounts(each) for arm, each in zip(design.arms, sums, strict=True)}
        state.add(Batch(index * length, (index + 1) * length, arms))
    return state


def _lift(state: MetricState, alpha: float = ALPHA) -> Lift:
    lift = state.lift("b", alpha)
    assert lift is not None
    return lift


def _counts(seed: int, rates: tuple[float, float], batches: int = 100, size: int = 100) -> list[list[Sums]]:
    rng = np.random.default_rng(seed)
    return [[Sums(size, float(rng.binomial(size, rate))) for rate in rates] for _ in range(batches)]


def test_the_difference_is_that_of_cochran_mantel_and_haenszel() -> None:
    rows = [[Sums(900, 90), Sums(100, 20)], [Sums(100, 2), Sums(900, 36)]]
    lift = _lift(_fed(PROPORTION, rows))
    weights = [900 * 100 / 1000, 100 * 900 / 1000]
    assert lift.absolute == pytest.approx((weights[0] * (0.2 - 0.1) + weights[1] * (0.04 - 0.02)) / sum(weights))
    assert lift.relative == pytest.approx((90 * 0.2 + 90 * 0.04) / (90 * 0.1 + 90 * 0.02) - 1)


@pytest.mark.parametrize("design", [PROPORTION, MEAN, RATE], ids=lambda design: str(design.kind))
def test_the_interval_excludes_no_difference_when_the_evidence_does(design: MetricDesign) -> None:
    seen = set()
    for seed in range(40):
        rows = [[Sums(n, s, s) for n, s, _ in batch] for batch in _counts(seed, (0.1, 0.115))]
        lift = _lift(_fed(design, rows))
        decided = lift.p_value <= ALPHA
        seen.add(decided)
        assert decided == (lift.absolute_lower > 0 or lift.absolute_upper < 0)
        lower, upper = lift.relative_lower, lift.relative_upper
        assert decided == ((lower is not None and lower > 0) or (upper is not None and upper < 0))
    assert seen == {True, False}


def test_exchanging_the_arms_turns_the_difference_around() -> None:
    rows = _counts(1, (0.1, 0.13))
    one, other = _lift(_fed(PROPORTION, rows)), _lift(_fed(PROPORTION, [row[::-1] for row in rows]))
    assert other.absolute == pytest.approx(-one.absolute)
    assert other.absolute_lower == pytest.approx(-one.absolute_upper)
    assert other.log_e_value == pytest.approx(one.log_e_value)


def test_successes_and_failures_are_judged_alike() -> None:
    rows = _counts(2, (0.1, 0.13))
    failures = [[Sums(n, n - s) for n, s, _ in batch] for batch in rows]
    one, other = _lift(_fed(PROPORTION, rows)), _lift(_fed(PROPORTION, failures))
    assert other.absolute == pytest.approx(-one.absolute)
    assert other.log_e_value == pytest.approx(one.log_e_value)


def test_a_rate_that_jumps_with_the_allocation_is_no_difference() -> None:
    # A tenth of the traffic while half of the requests succeed, nine tenths while one in ten does.
    rows = [[Sums(900, 450 + n % 3), Sums(100, 50 + n % 2)] for n in range(20)]
    rows += [[Sums(100, 10 + n % 2), Sums(900, 90 + n % 3)] for n in range(20)]
    lift = _lift(_fed(PROPORTION, rows))
    assert abs(lift.absolute) < 0.01
    assert lift.p_value == 1.0


def test_the_unit_of_a_mean_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(60):
        values = [rng.gamma(2, 1 + 0.05 * arm, 50) for arm in range(2)]
        rows.append([Sums(50, float(v.sum()), float((v**2).sum())) for v in values])
    scaled = [[Sums(n, 1000 * s, 1e6 * q) for n, s, q in batch if q is not None] for batch in rows]
    one, other = _lift(_fed(MEAN, rows)), _lift(_fed(MEAN, scaled))
    assert other.log_e_value == pytest.approx(one.log_e_value)
    assert other.absolute_upper == pytest.approx(1000 * one.absolute_upper)
    assert other.relative_lower == pytest.approx(one.relative_lower)


def test_a_mean_without_squares_is_judged_by_blocks_of_time() -> None:
    rng = np.random.default_rng(4)
    rows = [[Sums(50, float(rng.gamma(2, scale, 50).sum())) for scale in (1, 1.3)] for _ in range(100)]
    lift = _lift(_fed(MEAN, rows))
    assert lift.dispersion.source == "time"
    assert lift.absolute_lower > 0
    assert lift.absolute_lower < 0.6 < lift.absolute_upper


def test_few_purchases_do_not_show_that_an_arm_varies_less() -> None:
    # None of the arm's two hundred visits bought anything, of which six would have.
    none = [[Sums(180, 160.0 + 20 * (index % 3), 16000.0), Sums(20, 0.0, 0.0)] for index in range(10)]
    assert _lift(_fed(MEAN, none)).p_value > ALPHA
    # Sixty of two thousand would have.
    more = [[Sums(1800, 1600.0 + 200 * (index % 3), 160000.0), Sums(200, 0.0, 0.0)] for index in range(10)]
    assert _lift(_fed(MEAN, more)).p_value <= ALPHA


def test_users_of_a_mean_without_squares_are_allowed_for() -> None:
    rng = np.random.default_rng(8)
    state = MetricState(MetricDesign(EffectKind.MEAN, ("a", "b"), "a", randomised="user"))
    habits = {arm: rng.lognormal(0, 1, 32) for arm in "ab"}
    for index in range(60):
        arms = {}
        for arm in "ab":
            cells = {str(cell): Sums(10, float(rng.gamma(10, habits[arm][cell]))) for cell in range(32)}
            arms[arm] = ArmCounts(Sums(320, sum(each.total for each in cells.values())), cells)
        state.add(Batch(index * 300, index * 300 + 300, arms))
    assert state.unanswerable() == ""
    assert _lift(state).dispersion.source == "users"
    assert _lift(state).dispersion.factor > 10


def test_a_single_block_decides_nothing() -> None:
    assert _fed(PROPORTION, [[Sums(10_000, 0), Sums(10_000, 5_000)]]).lift("b", ALPHA) is None


def test_arms_are_compared_only_while_both_run() -> None:
    rows = _counts(5, (0.1, 0.1), batches=30)
    state = MetricState(PROPORTION)
    for index in range(30):
        state.add(Batch(index * 300, index * 300 + 300, {"a": ArmCounts(Sums(100, 90))}))
    for index, (one, other) in enumerate(rows, 30):
        state.add(Batch(index * 300, index * 300 + 300, {"a": ArmCounts(one), "b": ArmCounts(other)}))
    assert _lift(state).trials == 3000
    assert _lift(state).baseline_trials == 3000
    assert state.totals("a").trials == 6000


def test_quiet_batches_are_put_together() -> None:
    state = _fed(PROPORTION, [[Sums(1, n % 2), Sums(1, (n + 1) % 2)] for n in range(200)])
    # A block of forty costs one observation, single batches would cost half of all.
    assert _lift(state).trials == 200
    assert _lift(state).dispersion.seconds in (0, 20 * 300)


def test_users_who_always_fail_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    plain, cells = MetricState(PROPORTION), MetricState(PROPORTION)
    failing = {arm: rng.random(200) < 0.05 for arm in "ab"}
    where = rng.integers(0, 32, 200)
    for index in range(50):
        arms = {}
        for arm in "ab":
            by_cell: dict[str, Sums] = {}
            for user in range(200):
                old = by_cell.get(str(where[user]), Sums(0, 0))
                by_cell[str(where[user])] = Sums(old.trials + 1, old.total + float(failing[arm][user]))
            whole = Sums(sum(s.trials for s in by_cell.values()), sum(s.total for s in by_cell.values()))
            arms[arm] = ArmCounts(whole, by_cell)
        batch = Batch(index * 300, index * 300 + 300, arms)
        cells.add(batch)
        plain.add(Batch(batch.start, batch.end, {arm: ArmCounts(each.sums) for arm, each in arms.items()}))
    wide, narrow = _lift(cells), _lift(plain)
    assert wide.dispersion.source == "users"
    # Fifty requests of each user are worth one.
    assert 20 < wide.dispersion.factor < 100
    assert wide.standard_error > 4 * narrow.standard_error


def test_a_process_that_fails_is_named_and_not_believed() -> None:
    rng = np.random.default_rng(7)
    state = MetricState(PROPORTION)
    for index in range(100):
        arms = {}
        for arm in "ab":
            replicas = {
                f"{arm}-{number}": Sums(50, float(rng.binomial(50, 0.5 if (arm, number) == ("b", 2) else 0.05)))
                for number in range(4)
            }
            arms[arm] = ArmCounts(Sums(200, sum(s.total for s in replicas.values())), {}, replicas)
        state.add(Batch(index * 300, index * 300 + 300, arms))
    lift = _lift(state)
    assert lift.p_value > ALPHA
    words = [item.words for item in lift.dispersions if item.suspicious]
    assert words == ["one process differs from the others of its arm more than chance explains: b-2"]


@pytest.mark.parametrize(
    ("arms", "baseline", "words"),
    [(("a", "b"), "c", "the baseline 'c' is none"), (("a",), "a", "at least two"), (("a", "a"), "a", "at least two")],
)
def test_a_design_that_cannot_be_is_refused(arms: tuple[str, ...], baseline: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MetricDesign(EffectKind.MEAN, arms, baseline)


@pytest.mark.parametrize("sums", [Sums(-1, 0), Sums(math.nan, 0), Sums(1, math.inf), Sums(1, math.nan)])
def test_counts_that_cannot_be_are_refused(sums: Sums) -> None:
    with pytest.raises(ValueError, match="arm 'b'"):
        MetricState(PROPORTION).add(Batch(0, 300, {"a": ArmCounts(Sums(1, 1)), "b": ArmCounts(sums)}))


COUNTS = st.lists(
    st.tuples(*(st.tuples(st.integers(0, 10_000), st.floats(0, 1)) for _ in range(2))), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=150)
@given(COUNTS, st.sampled_from(list(EffectKind)))
def test_any_counts_give_an_interval_that_holds_the_difference(
    rows: list[tuple[tuple[int, float], tuple[int, float]]], kind: EffectKind
) -> None:
    design = MetricDesign(kind, ("a", "b"), "a")
    state = _fed(design, [[Sums(n, round(n * rate), round(n * rate)) for n, rate in row] for row in rows])
    lift = state.lift("b", ALPHA)
    loaded = MetricState.load(design, json.loads(json.dumps(state.dump())))
    assert loaded.lift("b", ALPHA) == lift
    if lift is not None:
        assert lift.absolute_lower <= lift.absolute + 1e-9
        assert lift.absolute - 1e-9 <= lift.absolute_upper
        assert 0 < lift.p_value <= 1
        assert not any(math.isnan(value) for value in (lift.mean, lift.baseline_mean, lift.standard_error))
        if lift.relative is not None and lift.relative_lower is not None and lift.relative_upper is not None:
            assert lift.relative_lower - 1e-9 <= lift.relative <= lift.relative_upper + 1e-9
