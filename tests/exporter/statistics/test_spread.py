"""Rates and means with an error from the spread between posts."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_monitoring.exporter.statistics import NumberSums, RatioSums, mean_p_value

ALPHA = 0.01


def ratio_sums(trials: NDArray[np.float64], successes: NDArray[np.float64]) -> RatioSums:
    v, i = trials, successes
    return RatioSums(len(v), v.sum(), i.sum(), (v * v).sum(), (v * i).sum(), (i * i).sum())


def sums(numbers: NDArray[np.float64]) -> NumberSums:
    return NumberSums(len(numbers), numbers.sum(), (numbers**2).sum())


def test_the_error_of_a_ratio_is_that_of_cochran() -> None:
    one = ratio_sums(np.array([100.0, 300.0]), np.array([10.0, 10.0]))
    assert one.ratio == 0.05
    # The posts are 5 above and 5 below what the ratio gives them.
    assert one.relative_error == pytest.approx(sqrt(2 * (5**2 + 5**2)) / 20)


def test_the_error_of_a_ratio_is_what_ratios_of_other_posts_differ_by() -> None:
    random = np.random.default_rng(1)
    seen = []
    for _ in range(2000):
        views = np.ceil(300 * random.lognormal(0, 1, 50))
        rates = np.clip(0.05 * random.gamma(3, 1 / 3, 50), 0, 1)
        seen.append(ratio_sums(views, random.binomial(views.astype(np.int64), rates).astype(np.float64)))
    errors = [one.relative_error for one in seen]
    ratios = [one.ratio or 0.0 for one in seen]
    assert np.median(errors) == pytest.approx(np.std(ratios) / 0.05, rel=0.15)


@pytest.mark.parametrize(("trials", "successes"), [([], []), ([100.0], [5.0]), ([100.0, 100.0], [0.0, 0.0])])
def test_of_one_post_or_without_successes_no_error_is_known(trials: list[float], successes: list[float]) -> None:
    assert ratio_sums(np.array(trials), np.array(successes)).relative_error == inf


def test_posts_that_are_all_alike_have_no_error() -> None:
    assert ratio_sums(np.full(20, 300.0), np.full(20, 21.0)).relative_error == pytest.approx(0, abs=1e-6)


def test_a_mean_of_skewed_errors_watched_continuously_raises_at_most_1_percent_false_alarms() -> None:
    random = np.random.default_rng(2)
    # Most are a little below the prediction and few far above: a sign test finds a bias in all of them.
    numbers = 0.05 * (random.lognormal(-0.5, 1, size=(500, 250)) - 1)
    totals, squares = numbers.cumsum(axis=1), (numbers**2).cumsum(axis=1)
    alarms = sum(
        any(mean_p_value(NumberSums(n, total[n - 1], square[n - 1])) <= ALPHA for n in range(20, 251))
        for total, square in zip(totals, squares, strict=True)
    )
    biased = sum(mean_p_value(sums(row + 0.03)) <= ALPHA for row in numbers)
    print(f"no bias: {alarms} false alarms of 500; three points: found {biased}")
    assert alarms <= ALPHA * 500
    assert biased >= 0.95 * 500


def test_no_difference_is_no_evidence_and_one_that_is_always_the_same_is() -> None:
    assert mean_p_value(NumberSums(0, 0.0, 0.0)) == 1.0
    assert mean_p_value(sums(np.array([0.1]))) == 1.0
    assert mean_p_value(sums(np.zeros(30))) == 1.0
    assert mean_p_value(sums(np.full(32, 0.25))) == 0.0
