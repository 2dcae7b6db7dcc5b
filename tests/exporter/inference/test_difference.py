from __future__ import annotations

from math import erfc, sqrt

import pytest
from scipy.stats import binomtest  # type: ignore[import-untyped]  # carries no types

from ml_monitoring.exporter.inference.difference import CountedDifference, WeightedMean


def counted(arm: tuple[int, int], baseline: tuple[int, int], *, bounded: bool = True) -> CountedDifference:
    one, other = (WeightedMean(successes / size, size) for successes, size in (arm, baseline))
    weight = arm[1] * baseline[1] / (arm[1] + baseline[1])
    pooled = (arm[0] + baseline[0]) / (arm[1] + baseline[1])
    return CountedDifference(one, other, weight, weight * pooled * (1 - pooled * bounded), bounded=bounded)


@pytest.mark.parametrize(
    ("arm", "baseline"),
    [((3, 1000), (126, 9000)), ((30, 1000), (126, 9000)), ((4, 5000), (20, 5000)), ((20, 5000), (4, 5000))],
)
def test_few_events_are_as_improbable_as_they_are(arm: tuple[int, int], baseline: tuple[int, int]) -> None:
    root = counted(arm, baseline).root()
    events, share = arm[0] + baseline[0], arm[1] / (arm[1] + baseline[1])
    exact = binomtest(arm[0], events, share).pvalue
    # Mid-way between "more than" and "at least", as a continuous statistic is.
    assert 0.25 < two_sided(root) / exact < 2.5


def two_sided(z: float) -> float:
    return erfc(abs(z) / sqrt(2))


def test_failures_are_judged_as_successes_are() -> None:
    rare, frequent = counted((10, 1000), (150, 9000)), counted((990, 1000), (8850, 9000))
    assert frequent.root() == pytest.approx(-rare.root())
    assert frequent.skewness == pytest.approx(-rare.skewness)


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize(("arm", "baseline"), [((0, 50), (40, 50)), ((50, 50), (0, 50)), ((0, 50), (1, 50))])
def test_an_interval_ends_where_the_root_is_within_reach(
    arm: tuple[int, int], baseline: tuple[int, int], *, bounded: bool
) -> None:
    difference = counted(arm, baseline, bounded=bounded)
    seen = arm[0] / arm[1] - baseline[0] / baseline[1]
    lower, upper = difference.interval((2.0, 2.0))
    assert lower < seen + 1e-9
    assert seen - 1e-9 < upper
    assert (lower > 0 or upper < 0) == (abs(difference.root()) > 2)
    if bounded:
        assert -1 <= lower <= upper <= 1
