"""The posteriors against scipy, a textbook and a closed formula."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import exp, lgamma, log

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import integrate, stats  # type: ignore[import-untyped]  # carries no types

from ml_monitoring.exporter.statistics import Beta, Counts, compare, prior_of, thompson_shares


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _probability_second_is_better(one: Beta, other: Beta) -> float:
    """E. Miller, "Formulas for Bayesian A/B testing", 2014, equation 6; needs a whole `other.a`."""
    return sum(
        exp(
            _log_beta(one.a + i, one.b + other.b)
            - log(other.b + i)
            - _log_beta(1 + i, other.b)
            - _log_beta(one.a, one.b)
        )
        for i in range(int(other.a))
    )


def _integrated(posteriors: list[Beta]) -> tuple[list[float], float]:
    """Return P(best) of each and E[max] by scipy's adaptive quadrature over the rate itself."""
    frozen = [stats.beta(item.a, item.b) for item in posteriors]
    # The support of each, so that the quadrature cannot step over a narrow one.
    marks = sorted({float(one.ppf(q)) for one in frozen for q in (1e-12, 0.001, 0.5, 0.999, 1 - 1e-12)})

    def win(index: int, x: float) -> float:
        others = [one.cdf(x) for j, one in enumerate(frozen) if j != index]
        return float(frozen[index].pdf(x) * np.prod(others))

    def over_marks(function: Callable[[float], float]) -> float:
        return sum(
            float(integrate.quad(function, low, high, epsabs=1e-11, limit=200)[0]) for low, high in pairwise(marks)
        )

    best = [over_marks(partial(win, index)) for index in range(len(frozen))]
    expected_max = marks[0] + over_marks(lambda x: 1 - float(np.prod([one.cdf(x) for one in frozen])))
    return best, expected_max


def test_interval_of_the_textbook() -> None:
    # Gelman et al., Bayesian Data Analysis, 3rd edition, section 2.4: 437 girls of 980 births, uniform prior.
    posterior = Beta(1, 1).updated(Counts(437, 980))
    assert posterior == Beta(438, 544)
    assert posterior.mean == pytest.approx(0.446, abs=5e-4)
    assert posterior.interval() == pytest.approx((0.415, 0.477), abs=5e-4)


@pytest.mark.parametrize("a", [0.3, 0.5, 1.0, 3.0, 250.0, 40_000.0, 5e7])
@pytest.mark.parametrize("b", [0.5, 1.0, 19.0, 5000.0, 1e9])
@pytest.mark.parametrize("mass", [0.5, 0.95])
def test_interval_equals_scipy(a: float, b: float, mass: float) -> None:
    expected = stats.beta(a, b).interval(mass)
    assert Beta(a, b).interval(mass) == pytest.approx(expected, rel=2e-4, abs=1e-9)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Beta(1, 1), Beta(1, 1)),
        (Beta(3, 40), Beta(9, 40)),
        (Beta(120, 2400), Beta(150, 2390)),
        (Beta(2, 20), Beta(5000, 100_000)),
    ],
)
def test_two_variants_equal_the_closed_formula(one: Beta, other: Beta) -> None:
    standings = compare([one, other])
    expected = _probability_second_is_better(one, other)
    assert standings[1].probability_best == pytest.approx(expected, abs=2e-5)
    assert standings[0].probability_best == pytest.approx(1 - expected, abs=2e-5)


@pytest.mark.parametrize("seed", range(12))
def test_several_variants_equal_quadrature(seed: int) -> None:
    random = np.random.default_rng(seed)
    posteriors = []
    for _ in range(int(random.integers(2, 6))):
        trials = int(10 ** random.uniform(0, 4.5))
        posteriors.append(Beta(1, 19).updated(Counts(int(random.binomial(trials, random.uniform(0.01, 0.2))), trials)))
    best, expected_max = _integrated(posteriors)
    standings = compare(posteriors)
    assert [item.probability_best for item in standings] == pytest.approx(best, abs=5e-5)
    assert [item.expected_loss for item in standings] == pytest.approx(
        [expected_max - item.mean for item in posteriors], abs=5e-6
    )


def test_probability_best_equals_the_share_of_draws_won() -> None:
    posteriors = [Beta(40, 900), Beta(45, 900), Beta(4, 60), Beta(400, 9100)]
    random = np.random.default_rng(7)
    draws = np.column_stack([random.beta(item.a, item.b, 400_000) for item in posteriors])
    won = np.bincount(draws.argmax(axis=1), minlength=4) / len(draws)
    assert [item.probability_best for item in compare(posteriors)] == pytest.approx(won, abs=0.004)


def test_lift_is_against_the_best_other() -> None:
    standings = compare([Beta(10, 90), Beta(20, 80), Beta(15, 85)])
    assert [item.lift for item in standings] == pytest.approx([-0.5, 1 / 3, -0.25])


def test_a_lone_variant_is_best_and_has_no_lift() -> None:
    (alone,) = compare([Beta(10, 90)])
    assert alone.probability_best == pytest.approx(1)
    assert alone.expected_loss == pytest.approx(0, abs=1e-6)
    assert alone.lift is None


def test_equal_variants_share_the_probability() -> None:
    standings = compare([Beta(30, 600)] * 7)
    assert [item.probability_best for item in standings] == pytest.approx([1 / 7] * 7)


def test_separate_variants_leave_no_doubt() -> None:
    standings = compare([Beta(10, 1e6), Beta(9e5, 1e5), Beta(500, 1e5)])
    assert [item.probability_best for item in standings] == pytest.approx([0, 1, 0], abs=1e-9)


def test_standing_at_huge_counts_stays_in_order() -> None:
    one, other = compare([Beta(5.0e7, 9.5e8), Beta(5.001e7, 9.4999e8)])
    assert 0 < one.lower < one.mean < one.upper < 0.051
    # The difference is 1e-5 with a standard deviation of 9.7e-6.
    expected = stats.norm.sf(1e-5 / np.sqrt(2 * 0.05 * 0.95 / 1e9))
    assert one.probability_best == pytest.approx(expected, abs=1e-4)
    assert other.probability_best == pytest.approx(1 - expected, abs=1e-4)


def test_prior_is_centred_on_the_pooled_rate() -> None:
    prior = prior_of([Counts(30, 1000), Counts(70, 999)], weight=20)
    assert prior.mean == pytest.approx(101 / 2001)
    assert prior.a + prior.b == pytest.approx(20)


def test_prior_of_rare_successes_holds_one_success() -> None:
    prior = prior_of([Counts(1, 10_000)], weight=20)
    assert prior.mean == pytest.approx(2 / 10_002)
    assert prior.a == pytest.approx(1)


@st.composite
def observed(draw: st.DrawFn) -> Counts:
    trials = draw(st.one_of(st.integers(0, 1000), st.integers(0, 10**9)))
    return Counts(draw(st.one_of(st.just(0), st.just(trials), st.integers(0, trials))), trials)


@given(st.lists(observed(), min_size=1, max_size=6), st.floats(0.001, 1e6))
@example([Counts(10, 10_000), Counts(0, 0)], 20.0)
@example([Counts(0, 235), Counts(0, 235)], 20.0)
@example([Counts(10**9, 10**9), Counts(0, 10**9), Counts(0, 0)], 0.001)
def test_any_counts_can_be_compared(counts: list[Counts], weight: float) -> None:
    prior = prior_of(counts, weight)
    standings = compare([prior.updated(item) for item in counts])
    assert sum(item.probability_best for item in standings) == pytest.approx(1)
    for item in standings:
        assert 0 <= item.lower <= item.mean * (1 + 1e-6)
        assert item.mean <= item.upper * (1 + 1e-6) <= 1 + 1e-6
        assert 0 <= item.expected_loss <= 1


def test_intervals_hold_the_rate_as_often_as_they_say() -> None:
    random = np.random.default_rng(8)
    held = []
    for rate in (0.0005, 0.002, 0.01, 0.05, 0.2):
        for trials in (200, 500, 2000, 10_000):
            experiments = random.binomial(trials, rate, size=(200, 2)).tolist()
            hits = 0
            for successes in experiments:
                counts = [Counts(number, trials) for number in successes]
                prior = prior_of(counts, 20)
                low, high = prior.updated(counts[0]).interval()
                hits += low <= rate <= high
            held.append(hits / len(experiments))
    # Few rare successes come in steps, which no interval of fixed ends can follow.
    assert min(held) > 0.88
    assert 0.93 < np.mean(held) < 0.97


@pytest.mark.parametrize("counts", [[], [Counts(0, 0)], [Counts(0, 50)], [Counts(50, 50)]])
def test_prior_stays_proper(counts: list[Counts]) -> None:
    prior = prior_of(counts, weight=20)
    assert prior.a > 0
    assert prior.b > 0


def test_thompson_shares_keep_a_floor() -> None:
    shares = thompson_shares([0.0, 0.2, 0.8], exploration=0.06)
    assert shares == pytest.approx([0.02, 0.208, 0.772])


def test_95_percent_intervals_hold_the_truth_95_percent_of_the_time() -> None:
    random = np.random.default_rng(3)
    held = 0
    for _ in range(1000):
        # Rates are drawn from the prior: then coverage is exact by Bayes' theorem.
        rate = random.beta(1, 19)
        low, high = Beta(1, 19).updated(Counts(int(random.binomial(300, rate)), 300)).interval()
        held += low <= rate <= high
    # Four standard deviations of a binomial with 1000 trials.
    assert held == pytest.approx(950, abs=28)
