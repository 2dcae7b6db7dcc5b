"""How long it takes, by formula and by experiments that were run."""

from __future__ import annotations

import numpy as np
import pytest

from ml_monitoring.exporter.inference import (
    ArmCounts,
    Batch,
    EffectKind,
    MetricDesign,
    MetricState,
    Sums,
    power_left,
    samples_needed,
)

ALPHA = 0.05


def _state(seed: int, rates: tuple[float, float], batches: int, size: int = 50) -> MetricState:
    rng = np.random.default_rng(seed)
    state = MetricState(MetricDesign(EffectKind.PROPORTION, ("a", "b"), "a"))
    for index in range(batches):
        arms = {
            arm: ArmCounts(Sums(size, float(rng.binomial(size, rate)))) for arm, rate in zip("ab", rates, strict=True)
        }
        state.add(Batch(index * 300, index * 300 + 300, arms))
    return state


def test_four_of_five_experiments_are_decided_with_the_samples_that_were_planned() -> None:
    needed = samples_needed(EffectKind.PROPORTION, 0.1, 0.04, ALPHA)
    batches = round(needed / 100)
    decided = 0
    for seed in range(100):
        lift = _state(seed, (0.1, 0.14), batches).lift("b", ALPHA)
        decided += lift is not None and lift.p_value <= ALPHA
    assert 65 <= decided <= 92


def test_what_is_left_shrinks_with_what_was_seen() -> None:
    early, late = (_state(1, (0.1, 0.1), batches).lift("b", ALPHA) for batches in (40, 80))
    assert early is not None
    assert late is not None
    left = [power_left(lift, 0.2, ALPHA) for lift in (early, late)]
    assert left[0] is not None
    assert left[1] is not None
    assert left[0].needed == pytest.approx(left[1].needed, rel=0.5)
    assert left[1].left == pytest.approx(left[1].needed - 8000)
    # A hundred samples take five minutes.
    assert left[1].days_left == pytest.approx(left[1].left / 100 * 300 / 86400)


def test_an_effect_in_units_is_one_in_shares_of_the_baseline() -> None:
    lift = _state(1, (0.1, 0.1), 40).lift("b", ALPHA)
    assert lift is not None
    assert power_left(lift, 0.2 * lift.baseline_mean, ALPHA, relative=False) == power_left(lift, 0.2, ALPHA)


def test_no_effect_takes_for_ever() -> None:
    assert samples_needed(EffectKind.PROPORTION, 0.1, 0.0, ALPHA) == float("inf")
    assert samples_needed(EffectKind.MEAN, 1.0, 0.1, ALPHA, deviation=0.0) == float("inf")


@pytest.mark.parametrize(("kind", "mean", "deviation"), [(EffectKind.MEAN, 5.0, 2.0), (EffectKind.RATE, 4.0, 2.0)])
def test_means_and_rates_need_what_their_variance_says(kind: EffectKind, mean: float, deviation: float) -> None:
    even = samples_needed(kind, mean, 0.2, ALPHA, deviation=deviation)
    one_to_nine = samples_needed(kind, mean, 0.2, ALPHA, deviation=deviation, shares=(0.1, 0.9))
    # With a fixed length it would be 2 * 2 * (1.96 + 0.84)^2 * (2 / 0.2)^2.
    assert 1.2 < even / (4 * 7.85 * 100) < 2.5
    assert one_to_nine == pytest.approx(even * 0.25 / 0.09, rel=1e-6)
