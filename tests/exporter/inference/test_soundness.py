"""A sample of `python -m tools.soundness.experiments`: few experiments are decided without a difference."""

from __future__ import annotations

import numpy as np
import pytest

from tools.soundness.experiments import methods, splits
from tools.soundness.experiments.worlds import CONDITIONS, MEAN, PROPORTION

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


def test_few_splits_that_are_as_intended_are_said_not_to_be() -> None:
    assert splits.judge(FIVES, 0.5, EXPERIMENTS, seed=1)[:, 0].sum() <= MOST


@pytest.mark.parametrize(("kind", "effect"), [(PROPORTION, 0.4), (MEAN, 0.2)])
def test_a_difference_is_found_about_as_soon_as_by_the_rivals(kind: str, effect: float) -> None:
    rng = np.random.default_rng(1)
    delays = []
    for _ in range(20):
        observed = BY_NAME["clean"].draw(rng, kind, effect)
        delays.append([methods.ours(observed, kind), methods.growthbook(observed, kind), methods.msprt(observed, kind)])
    medians = np.median(np.array(delays, dtype=float), axis=0)
    assert medians[0] < 1.6 * min(medians[1:])
