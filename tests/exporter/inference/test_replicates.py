from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_monitoring.exporter.inference.replicates import Clusters, Levels, Replicates, clusters_spread

PAIRS = st.lists(st.tuples(st.floats(-100, 100), st.floats(0.5, 2)), min_size=3, max_size=40)


@given(PAIRS)
def test_the_spread_is_that_of_the_residuals(pairs: list[tuple[float, float]]) -> None:
    replicates = Replicates()
    for d, x in pairs:
        replicates.add(d, x)
    d, x = np.array(pairs).T
    rest = d - x * d.sum() / x.sum()
    size = x.sum() ** 2 / (x**2).sum()
    spread = replicates.spread()
    assert spread is not None
    assert spread.variance == pytest.approx((rest**2).sum() * size / (size - 1), rel=1e-6, abs=1e-6)
    assert 1 <= spread.freedom <= max(1, size - 1) + 1e-9


def test_one_outlier_among_many_leaves_few_degrees_of_freedom() -> None:
    replicates = Replicates()
    for number in range(100):
        replicates.add(1000.0 if number == 50 else (-1.0) ** number, 1.0)
    spread = replicates.spread()
    assert spread is not None
    assert spread.freedom < 3


def test_fewer_than_two_replicates_have_no_spread() -> None:
    replicates = Replicates()
    assert replicates.spread() is None
    replicates.add(1.0, 1.0)
    assert replicates.spread() is None


def test_levels_add_up_neighbours_and_keep_what_is_not_full() -> None:
    levels = Levels()
    for number in range(7):
        levels.add(float(number), 1.0)
    # 0..6; 01 23 45 6; 0123 456.
    sums = [[level.dump()[place] for place in (0, 1, 3)] for level in levels]
    assert sums == [[7, 21, 91], [4, 21, 1 + 25 + 81 + 36], [2, 21, 36 + 225]]
    loaded = Levels.load(json.loads(json.dumps(levels.dump())))
    assert [level.dump() for level in loaded] == [level.dump() for level in levels]


def test_the_number_of_figures_does_not_grow_with_time() -> None:
    levels = Levels()
    for number in range(100_000):
        levels.add(number % 3 - 1.0, 1.0)
    assert len(levels.dump()) == 16


def test_clusters_beyond_the_most_are_one() -> None:
    clusters = Clusters(2)
    for number in range(5):
        clusters.add(str(number), 1.0, 1.0)
    assert sorted(clusters.dump().values()) == [(1.0, 1.0), (1.0, 1.0), (3.0, 3.0)]


def test_the_spread_of_clusters_is_that_of_their_residuals_in_each_group() -> None:
    groups = [[("a", 1.0, 1.0), ("b", -1.0, 1.0)], [("a", 5.0, 2.0), ("b", 1.0, 2.0)]]
    spread = clusters_spread(groups)
    assert spread is not None
    # Each of two clusters lies 1 and 2 from its group's centre, and loses one degree of freedom.
    assert spread.variance == 2 * (1 + 1) + 2 * (4 + 4)
    assert spread.freedom == 2
    assert clusters_spread([[("a", 1.0, 1.0)], [("a", 5.0, 2.0), ("b", 1.0, 2.0)]]) is None
