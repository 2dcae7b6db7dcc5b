"""The interval that holds at any time: against scipy, and by watching simulated experiments continuously."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]  # carries no types

from ml_monitoring.exporter.statistics import Counts, confidence_sequence


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


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 5), (0, -1)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} successes in {trials} trials"):
        Counts(successes, trials)
