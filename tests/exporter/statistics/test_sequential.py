"""The sequential tests: against scipy, and by watching simulated experiments continuously."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats  # type: ignore[import-untyped]  # carries no types

from ml_monitoring.exporter.statistics import (
    Counts,
    best_p_values,
    confidence_sequence,
    split_p_value,
)

EXPERIMENTS = 1000
LOOKS = 200
VIEWS_A_LOOK = 100
ALPHA = 0.05


def _watch(rates: list[float], seed: int, *, views: list[int] | None = None) -> tuple[int, list[int], int]:
    """Watch experiments continuously, from the first look with 100 views of each variant.

    Returns:
        How often any variant's p-value ever fell to ALPHA; at which look that of the last variant did; and how often a
        usual z-test of the first two (for one look at a known length) would have cried wolf when looked at as often.
    """
    random = np.random.default_rng(seed)
    each = np.array(views or [VIEWS_A_LOOK] * len(rates))
    shown = np.outer(np.arange(1, LOOKS + 1), each)
    alarms, naive = 0, 0
    found: list[int] = []
    for _ in range(EXPERIMENTS):
        # Cumulative interactions at each look, one column a variant.
        seen = random.binomial(each, rates, size=(LOOKS, len(rates))).cumsum(axis=0)
        (s1, s2), (n1, n2) = seen.T[:2], shown.T[:2]
        pooled = (s1 + s2) / (n1 + n2)
        deviation = np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
        naive += bool((np.abs(s1 / n1 - s2 / n2) > 1.96 * deviation).any())
        for look, (successes, trials) in enumerate(zip(seen.tolist(), shown.tolist(), strict=True), start=1):
            p_values = best_p_values([Counts(s, n) for s, n in zip(successes, trials, strict=True)])
            if min(p_values) <= ALPHA:
                alarms += 1
                if p_values[-1] <= ALPHA:
                    found.append(look)
                break
    return alarms, found, naive


@pytest.mark.parametrize(
    ("rate", "views", "seed"),
    [
        (0.05, [100, 100], 1),
        # Interactions are rare, and one variant is shown nine times as often.
        (0.001, [100, 900], 2),
        (0.3, [100, 100, 100, 100], 3),
    ],
    ids=["two", "rare and unequal", "four"],
)
def test_without_a_difference_continuous_watching_raises_at_most_5_percent_false_alarms(
    rate: float, views: list[int], seed: int
) -> None:
    alarms, _found, naive = _watch([rate] * len(views), seed, views=views)
    print(f"{views} at {rate}: {alarms} of {EXPERIMENTS} false alarms; a z-test at each look: {naive}")
    assert alarms <= ALPHA * EXPERIMENTS
    # The simulation is able to show the fault: the usual test fails it by far.
    assert naive > 4 * ALPHA * EXPERIMENTS


def test_with_a_difference_the_better_variant_is_found() -> None:
    alarms, found, _naive = _watch([0.05, 0.07], seed=4)
    median = sorted(found)[len(found) // 2] * VIEWS_A_LOOK
    print(f"0.05 against 0.07: found in {len(found)} of {EXPERIMENTS}, median after {median} views a variant")
    assert len(found) >= 0.95 * EXPERIMENTS
    assert alarms - len(found) <= ALPHA * EXPERIMENTS
    # A test planned for exactly this difference (power 80 %, one look) needs 2,210 views a variant.
    assert median <= 3000


def test_split_watched_continuously_raises_at_most_5_percent_false_alarms_and_finds_a_bad_split() -> None:
    random = np.random.default_rng(4)
    outcomes = []
    for shares in ([0.5, 0.3, 0.2], [0.47, 0.32, 0.21]):
        seen = random.multinomial(100, shares, size=(EXPERIMENTS, LOOKS)).cumsum(axis=1)
        outcomes.append(
            sum(
                any((split_p_value(row, [5, 3, 2]) or 0) <= ALPHA for row in experiment) for experiment in seen.tolist()
            )
        )
    print(f"split as intended: {outcomes[0]} false alarms of {EXPERIMENTS}; 3 points off: found {outcomes[1]}")
    assert outcomes[0] <= ALPHA * EXPERIMENTS
    assert outcomes[1] >= 0.95 * EXPERIMENTS


@pytest.mark.parametrize("rate", [0.0005, 0.01, 0.3])
def test_a_confidence_sequence_watched_continuously_misses_the_rate_in_at_most_5_percent(rate: float) -> None:
    random = np.random.default_rng(6)
    shown = np.unique(np.geomspace(20, 50_000, 60).astype(int))
    missed = 0
    for _ in range(300):
        seen = random.binomial(np.diff(shown, prepend=0), rate).cumsum()
        bounds = [confidence_sequence(Counts(int(s), int(n)), 0.05) for s, n in zip(seen, shown, strict=True)]
        missed += any(not low <= rate <= high for low, high in bounds)
    assert missed <= 0.05 * 300


def test_a_confidence_sequence_is_where_the_evidence_of_the_mixture_is_reached() -> None:
    low, high = confidence_sequence(Counts(30, 1000), 0.05)
    for bound in (low, high):
        ratio = stats.betabinom.pmf(30, 1000, 0.5, 0.5) / stats.binom.pmf(30, 1000, bound)
        assert ratio == pytest.approx(20, rel=1e-6)
    assert low < 0.03 < high
    assert confidence_sequence(Counts(0, 0), 0.05) == (0.0, 1.0)
    assert confidence_sequence(Counts(0, 1000), 0.05)[0] == 0


def test_best_p_value_equals_its_definition_by_scipy() -> None:
    counts = [(330, 4000), (420, 4100), (200, 3800)]

    def ratio(one: tuple[int, int], other: tuple[int, int]) -> float:
        """Average the normal likelihood ratio over the prior of the difference, by quadrature."""
        (s1, n1), (s2, n2) = one, other
        rate = (s1 + s2) / (n1 + n2)
        variance = rate * (1 - rate)
        spread = np.sqrt(variance * (1 / n1 + 1 / n2))
        prior = stats.norm(0, np.sqrt(variance / 500))
        seen = s1 / n1 - s2 / n2
        likelihood = integrate.quad(lambda d: prior.pdf(d) * stats.norm.pdf(seen, d, spread), -0.2, 0.2, points=[seen])
        return float(likelihood[0] / stats.norm.pdf(seen, 0, spread))

    expected = min(1.0, 1 / min(ratio(counts[1], counts[0]), ratio(counts[1], counts[2])))
    assert best_p_values([Counts(s, n) for s, n in counts]) == [1.0, pytest.approx(expected, rel=1e-6), 1.0]
    assert 1e-4 < expected < 0.1


def test_split_p_value_equals_scipy() -> None:
    observed, weights = [530, 250, 220], [0.5, 0.3, 0.2]
    concentrations = 100 * np.array(weights)
    ratio = stats.dirichlet_multinomial.logpmf(observed, concentrations, 1000) - stats.multinomial.logpmf(
        observed, 1000, weights
    )
    assert split_p_value(observed, weights) == pytest.approx(min(1.0, float(np.exp(-ratio))), rel=1e-8)
    # A clear mismatch, so that the comparison is not of 1 with 1.
    observed = [600, 200, 200]
    ratio = stats.dirichlet_multinomial.logpmf(observed, concentrations, 1000) - stats.multinomial.logpmf(
        observed, 1000, weights
    )
    assert split_p_value(observed, weights) == pytest.approx(float(np.exp(-ratio)), rel=1e-8)
    assert float(np.exp(-ratio)) < 0.001


def test_split_p_value_takes_weights_in_any_scale() -> None:
    assert split_p_value([600, 200, 200], [5, 3, 2]) == split_p_value([600, 200, 200], [50, 30, 20])


@pytest.mark.parametrize("counts", [[], [Counts(5, 100)]])
def test_nothing_to_compare_gives_no_p_value(counts: list[Counts]) -> None:
    assert best_p_values(counts) == []
    assert split_p_value([item.trials for item in counts], [1.0] * len(counts)) is None


def test_no_observation_is_no_evidence() -> None:
    assert best_p_values([Counts(0, 0), Counts(0, 0)]) == [1.0, 1.0]
    assert split_p_value([0, 0], [1, 1]) == 1.0


def test_extreme_counts_are_finite() -> None:
    p_values = best_p_values([Counts(0, 10**9), Counts(10**9, 10**9)])
    assert p_values == [1.0, 0.0]
    assert best_p_values([Counts(10**9, 10**9), Counts(1, 1)]) == [1.0, 1.0]
    assert split_p_value([10**12, 1], [1, 1]) == 0.0


def test_more_of_the_same_is_more_evidence() -> None:
    p_values = [best_p_values([Counts(5 * n, 100 * n), Counts(8 * n, 100 * n)])[1] for n in (1, 10, 20, 40, 80)]
    assert all(later <= earlier for earlier, later in pairwise(p_values))
    assert p_values[-1] < 1e-4


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 5), (0, -1)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} successes in {trials} trials"):
        Counts(successes, trials)
