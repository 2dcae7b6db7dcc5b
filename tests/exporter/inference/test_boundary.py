"""The evidence is what theory says it is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad  # type: ignore[import-untyped]  # carries no types
from scipy.stats import chi2, t  # type: ignore[import-untyped]

from ml_monitoring.exporter.inference.boundary import (
    INDEPENDENT,
    boundary,
    excess,
    log_e_value,
    skewed,
    unskewed,
)

INFORMATION = st.floats(0.1, 1e6)
FREEDOM = st.floats(1.0, 1e4)


@pytest.mark.parametrize("freedom", [2.0, 4.0, 30.0])
@pytest.mark.parametrize("information", [1.0, 50.0, 5000.0])
def test_the_evidence_is_one_on_average_without_a_difference(freedom: float, information: float) -> None:
    def weighted(tangent: float) -> float:
        # Over all of the line: x = tan(angle).
        x = math.tan(tangent)
        return float(math.exp(log_e_value(x, freedom, information)) * t.pdf(x, freedom) * (1 + x * x))

    average = 2 * sum(quad(weighted, low, high, limit=500)[0] for low, high in ((0, 1.5), (1.5, math.pi / 2 - 1e-9)))
    assert average == pytest.approx(1, rel=2e-3)


@given(INFORMATION, FREEDOM, st.floats(0.0005, 0.2))
def test_the_boundary_is_where_the_evidence_is_enough(information: float, freedom: float, alpha: float) -> None:
    enough = boundary(freedom, information, alpha)
    if math.isfinite(enough):
        assert log_e_value(enough, freedom, information) == pytest.approx(-math.log(alpha), abs=1e-3)
        assert log_e_value(enough * 1.01, freedom, information) > -math.log(alpha)


@pytest.mark.parametrize("information", [4.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0])
def test_no_more_than_a_quarter_more_is_needed_than_with_the_best_mixture(information: float) -> None:
    best = min(
        boundary(INDEPENDENT, information, 0.05, ((information / ratio, 1.0),)) for ratio in (2, 4, 6, 8, 12, 16)
    )
    assert boundary(INDEPENDENT, information, 0.05) ** 2 < 1.25 * best**2


@given(st.floats(-8, 8), st.floats(-1, 1))
def test_skewness_only_takes_evidence_away(value: float, skewness: float) -> None:
    assert abs(unskewed(value, skewness)) <= abs(value)
    assert unskewed(value, skewness) * value >= 0


@given(st.floats(1, 6), st.floats(0.01, 0.9), st.sampled_from([1, -1]))
def test_what_has_to_be_observed_is_the_inverse(enough: float, skewness: float, sign: int) -> None:
    skewness *= sign
    observed = skewed(-sign * enough, skewness)
    assert skewed(sign * enough, skewness) == sign * enough
    assert abs(observed) >= enough
    assert unskewed(observed, skewness) == pytest.approx(-sign * enough, rel=1e-6)


@pytest.mark.parametrize("freedom", [5, 20, 200])
def test_an_excess_of_two_is_as_rare_as_that_of_a_normal_deviate(freedom: int) -> None:
    ratio = float(chi2.ppf(0.97725, freedom)) / freedom
    assert excess(ratio, freedom) == pytest.approx(2, abs=0.06)
