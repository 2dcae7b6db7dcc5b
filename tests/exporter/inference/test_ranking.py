from __future__ import annotations

import numpy as np
import pytest

from ml_monitoring.exporter.inference import ArmCounts, Batch, EffectKind, Lift, MetricDesign, MetricState, Sums, rank


def _lifts(rates: dict[str, float]) -> dict[str, Lift]:
    state = MetricState(MetricDesign(EffectKind.PROPORTION, tuple(rates), "a"))
    rng = np.random.default_rng(1)
    for index in range(100):
        arms = {arm: ArmCounts(Sums(100, float(rng.binomial(100, rate)))) for arm, rate in rates.items()}
        state.add(Batch(index * 300, index * 300 + 300, arms))
    lifts = {arm: state.lift(arm, 0.05) for arm in rates if arm != "a"}
    return {arm: lift for arm, lift in lifts.items() if lift is not None}


@pytest.mark.parametrize("higher", [True, False])
def test_probabilities_and_losses_are_those_of_normal_means(higher: bool) -> None:
    lifts = _lifts({"a": 0.1, "b": 0.105, "c": 0.108})
    ranks = rank("a", lifts, higher_is_better=higher)
    rng = np.random.default_rng(2)
    own = np.mean([lift.standard_error**2 * lift.baseline_share for lift in lifts.values()])
    sign = 1 if higher else -1
    draws = np.stack(
        [
            rng.normal(0, own**0.5, 400_000),
            *(
                rng.normal(sign * lift.absolute, lift.standard_error * (1 - lift.baseline_share) ** 0.5, 400_000)
                for lift in lifts.values()
            ),
        ]
    )
    best = draws.argmax(axis=0)
    for place, arm in enumerate("abc"):
        assert ranks[arm].probability_best == pytest.approx(float((best == place).mean()), abs=0.005)
        loss = float((draws.max(axis=0) - draws[place]).mean())
        assert ranks[arm].expected_loss == pytest.approx(loss, rel=0.02, abs=1e-5)
    assert sum(each.probability_best for each in ranks.values()) == pytest.approx(1)


def test_nothing_that_was_compared_is_no_ranking() -> None:
    assert rank("a", {}) == {}


@pytest.mark.parametrize("traffic", [1e17, 1e-17])
def test_an_arm_with_nearly_all_or_next_to_none_of_the_traffic_has_a_rank(traffic: float) -> None:
    state = MetricState(MetricDesign(EffectKind.RATE, ("a", "b"), "a"))
    for index in range(10):
        arms = {"a": ArmCounts(Sums(100.0, 20.0)), "b": ArmCounts(Sums(100 * traffic, 20 * traffic))}
        state.add(Batch(index * 300, index * 300 + 300, arms))
    lift = state.lift("b", 0.05)
    assert lift is not None
    ranks = rank("a", {"b": lift})
    assert sum(each.probability_best for each in ranks.values()) == pytest.approx(1)
