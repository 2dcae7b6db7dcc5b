"""A sample of `python -m tools.soundness.experiments`: few experiments are decided without a difference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]  # carries no types

from tools.soundness.experiments import families, methods, power, splits
from tools.soundness.experiments.cli import CONDITIONS
from tools.soundness.experiments.report import Cell, Measurements, misses
from tools.soundness.experiments.worlds import MEAN, PROPORTION, RATE

BY_NAME = {condition.name: condition for condition in CONDITIONS}
FIVES = [name for name, _words, _draw in splits.SPLITS].index("fives")
EXPERIMENTS = 20
# More than so many of twenty happens once in three thousand times at the promised level.
MOST = 5


@pytest.mark.parametrize("kind", [PROPORTION, MEAN])
@pytest.mark.parametrize(
    "name", ["ramp", "users", "batches", "overdispersed and busy", "replica", "replica for good, unnamed"]
)
def test_few_are_decided_without_a_difference(name: str, kind: str) -> None:
    rng = np.random.default_rng(1)
    condition = BY_NAME[name]
    decided = [
        methods.ours(condition.draw(rng, kind, 0.0), kind, user=condition.user) is not None for _ in range(EXPERIMENTS)
    ]
    assert sum(decided) <= MOST


@pytest.mark.parametrize("name", ["ramp", "batches", "overdispersed", "scrape gap", "written twice"])
def test_few_rates_are_decided_without_a_difference(name: str) -> None:
    rng = np.random.default_rng(1)
    assert sum(methods.ours(BY_NAME[name].draw(rng, RATE, 0.0), RATE) is not None for _ in range(EXPERIMENTS)) <= MOST


def test_few_means_are_decided_by_the_purchases_that_an_arm_did_not_see() -> None:
    rng = np.random.default_rng(1)
    draw = BY_NAME["few purchases"].draw
    assert sum(methods.ours(draw(rng, MEAN, 0.0), MEAN) is not None for _ in range(EXPERIMENTS)) <= MOST


def test_little_is_said_of_several_arms_that_are_alike() -> None:
    assert families.judge(0, 6, seed=1)[:, :2].sum(axis=0).max() <= 2


def test_few_splits_that_are_as_intended_are_said_not_to_be() -> None:
    assert splits.judge(FIVES, 0.5, EXPERIMENTS, seed=1)[:, 0].sum() <= MOST


@pytest.mark.parametrize("place", range(len(power.CONTRASTS)), ids=[item.name for item in power.CONTRASTS])
def test_a_difference_is_found_about_as_soon_as_by_a_test_that_expects_it(place: int) -> None:
    row = power.row_of(place, [power.judge(place, 20, 1, differs=False)], [power.judge(place, 20, 1, differs=True)])
    found, tuned = row.batches["ours"], row.batches["tuned"]
    assert found is not None
    assert tuned is not None
    # Of so few experiments; the page has the figures of many.
    assert found < 1.9 * tuned


def test_a_rival_that_does_not_keep_its_level_is_no_measure() -> None:
    false = {"ours": 0.02, "growthbook": 0.2, "msprt": 0.04, "tuned": 0.03}
    batches: dict[str, float | None] = {"ours": 12.0, "growthbook": 5.0, "msprt": 10.0, "tuned": 8.0}
    assert power.PowerRow("1 or 2", MEAN, 1000, false, batches).ratio == pytest.approx(1.2)


def test_what_no_counts_can_tell_is_no_miss() -> None:
    answers = {name: [1] * 5 + [None] * 5 for name in ("ours", "growthbook", "msprt", "fixed", "named")}
    cells = [Cell.of(BY_NAME[name], MEAN, 0.2, answers, answers) for name in ("clean", "wandering apart")]
    assert misses(Measurements(cells)) == ["clean, mean: 50.0% decided falsely"]


def test_the_usual_sequential_test_of_a_split_equals_scipy() -> None:
    observed, weights = [600, 200, 200], [0.5, 0.3, 0.2]
    ratio = stats.dirichlet_multinomial.logpmf(observed, 100 * np.array(weights), 1000) - stats.multinomial.logpmf(
        observed, 1000, weights
    )
    assert methods.multinomial_p_value(observed, weights) == pytest.approx(float(np.exp(-ratio)), rel=1e-8)
    assert methods.multinomial_p_value(observed, [5, 3, 2]) == pytest.approx(float(np.exp(-ratio)), rel=1e-8)
    assert methods.multinomial_p_value([500, 300, 200], weights) == 1
