"""Beta-Binomial posteriors of variants, and what follows from comparing them.

The rate x of a variant with s successes in n trials has the posterior Beta(a + s, b + n - s). All integrals are taken
over t = log(x / (1 - x)), where each posterior is smooth and close to normal however near x is to 0 or 1, on a grid
that is as fine as the narrowest posterior that reaches there.

Sources:
- A. Gelman et al., Bayesian Data Analysis, 3rd edition, sections 2.1 (Beta-Binomial) and 5.1 (prior from the group).
- C. Stucchio, "Bayesian A/B testing at VWO", 2015: expected loss of a choice.
- W. Thompson, Biometrika 25, 1933; S. Scott, "A modern Bayesian look at the multi-armed bandit", Appl. Stoch. Models
  Bus. Ind. 26, 2010: traffic in proportion to the probability of being best.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, exp, log, log1p, sqrt

from ml_monitoring.exporter.statistics.sequential import Counts, log_beta

# How far a grid reaches: in standard deviations, and into the tails, which fall as exp(a t) and exp(-b t) and are long
# when a or b is small. Outside is less than 1e-8 of the mass.
_REACH = 6.0
_TAIL = 14.0
# Distance of grid points in standard deviations of the narrowest posterior around; errors are tested against scipy.
_STEP = 0.2
_FEWEST_CELLS = 4
# Successes and failures that a prior holds at least.
_LEAST = 1.0


@dataclass(frozen=True, slots=True)
class Beta:
    """A Beta distribution with both parameters above 0."""

    a: float
    b: float

    def updated(self, counts: Counts) -> Beta:
        """Return the posterior after these observations."""
        return Beta(self.a + counts.successes, self.b + counts.failures)

    @property
    def mean(self) -> float:
        """Return the expectation."""
        return self.a / (self.a + self.b)

    def interval(self, mass: float = 0.95) -> tuple[float, float]:
        """Return the central credible interval that holds this probability."""
        curve = _Curve(self, _grid([_Range.of(self)]))
        outside = (1 - mass) / 2
        return curve.quantile(outside), curve.quantile(1 - outside)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one variant stands among those it competes with.

    Attributes:
        mean: Expected rate.
        lower: Lower end of the 95 % credible interval.
        upper: Upper end of the 95 % credible interval.
        probability_best: That its rate is the highest.
        expected_loss: Rate expected to be given up by choosing it: E[max of all - its own].
        lift: Relative difference of its mean to the best other mean; None when it is alone.
    """

    mean: float
    lower: float
    upper: float
    probability_best: float
    expected_loss: float
    lift: float | None


def prior_of(counts: Sequence[Counts], weight: float) -> Beta:
    """Return a prior that is centred on the pooled rate and counts as much as `weight` trials, or more.

    A variant with few trials is thereby taken for an average one until it shows otherwise. One success and one failure
    more than observed keep the pooled rate off 0 and 1, and the prior holds at least one of each: with less, intervals
    of rare successes are too narrow (they held the true rate in 42 % of the cases instead of 95 %).
    """
    trials = sum(item.trials for item in counts)
    successes = sum(item.successes for item in counts)
    rate = (successes + 1) / (trials + 2)
    weight = max(weight, _LEAST / rate, _LEAST / (1 - rate))
    return Beta(weight * rate, weight * (1 - rate))


def compare(posteriors: Sequence[Beta]) -> list[Standing]:
    """Return the standing of each variant, in the order given."""
    ranges = [_Range.of(posterior) for posterior in posteriors]
    grid = _grid(ranges)
    curves = [_Curve(posterior, grid, extent) for posterior, extent in zip(posteriors, ranges, strict=True)]
    wins, expected_best = _contest(curves, grid)
    means = [posterior.mean for posterior in posteriors]
    standings = []
    for index, (curve, mean) in enumerate(zip(curves, means, strict=True)):
        others = means[:index] + means[index + 1 :]
        standings.append(
            Standing(
                mean=mean,
                lower=curve.quantile(0.025),
                upper=curve.quantile(0.975),
                probability_best=wins[index],
                expected_loss=max(0.0, expected_best - mean),
                lift=mean / max(others) - 1 if others else None,
            )
        )
    return standings


def thompson_shares(probabilities: Sequence[float], exploration: float) -> list[float]:
    """Return traffic shares: the probabilities of being best, with a part of the traffic spread evenly.

    Args:
        probabilities: Of being best, one a variant; their sum is 1.
        exploration: Part that is spread evenly, so that no variant is starved because of a bad start.
    """
    even = exploration / len(probabilities) if probabilities else 0.0
    return [(1 - exploration) * probability + even for probability in probabilities]


@dataclass(frozen=True, slots=True)
class _Range:
    """Where a posterior has its mass, on the scale of t."""

    low: float
    high: float
    deviation: float

    @classmethod
    def of(cls, beta: Beta) -> _Range:
        # Mode of the density of t and its curvature there; tails are exponential with rates a and b.
        mode = log(beta.a / beta.b)
        deviation = sqrt(1 / beta.a + 1 / beta.b)
        reach = _REACH * deviation
        return cls(mode - reach - _TAIL / beta.a, mode + reach + _TAIL / beta.b, deviation)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Points in ascending order; each segment holds an even number of equal cells.

    Attributes:
        points: The values of t.
        logs: log(x) and log(1 - x) at each point.
        weights: Of Simpson's rule.
    """

    points: list[float]
    logs: list[tuple[float, float]]
    weights: list[float]


def _grid(ranges: Sequence[_Range]) -> _Grid:
    edges = sorted({edge for extent in ranges for edge in (extent.low, extent.high)})
    points = [edges[0]]
    weights = [0.0]
    for low, high in pairwise(edges):
        inside = [extent.deviation for extent in ranges if extent.low <= low and high <= extent.high]
        # Between two posteriors that do not meet there is nothing to integrate.
        cells = 2 * max(_FEWEST_CELLS // 2, ceil((high - low) / min(inside) / _STEP / 2)) if inside else 2
        width = (high - low) / cells
        weights[-1] += width / 3
        points.extend(low + width * index for index in range(1, cells))
        points.append(high)
        weights.extend(width * (4 if index % 2 else 2) / 3 for index in range(1, cells))
        weights.append(width / 3)
    return _Grid(points, [(-_softplus(-t), -_softplus(t)) for t in points], weights)


def _softplus(t: float) -> float:
    """Return log(1 + exp(t)), which does not overflow where exp(t) would."""
    return max(t, 0.0) + log1p(exp(-abs(t)))


class _Curve:
    """Density and distribution function of one posterior on a grid."""

    def __init__(self, beta: Beta, grid: _Grid, extent: _Range | None = None) -> None:
        self._grid = grid
        points = grid.points
        self.first = bisect_left(points, extent.low) if extent else 0
        self.last = bisect_left(points, extent.high) if extent else len(points) - 1
        a, b, constant = beta.a, beta.b, log_beta(beta.a, beta.b)
        span = range(self.first, self.last + 1)
        # Density of t: x^a (1-x)^b / B(a, b), as dx/dt = x (1-x).
        self.density = [exp(a * grid.logs[i][0] + b * grid.logs[i][1] - constant) for i in span]
        total = a + b
        slopes = [f * (a - total * exp(grid.logs[i][0])) for i, f in zip(span, self.density, strict=True)]
        # Trapezoids with the correction by the slopes at both ends: exact for cubic densities.
        below = 0.0
        self.cumulative = [0.0]
        for index in range(len(self.density) - 1):
            width = points[self.first + index + 1] - points[self.first + index]
            ends = self.density[index] + self.density[index + 1]
            below += width * ends / 2 + width * width / 12 * (slopes[index] - slopes[index + 1])
            self.cumulative.append(below)
        # Makes up for the cut tails and for what lgamma loses on counts of millions.
        self.density = [value / below for value in self.density]
        self.cumulative = [min(1.0, max(0.0, value / below)) for value in self.cumulative]

    def quantile(self, probability: float) -> float:
        """Return the rate below which this probability lies."""
        index = max(1, bisect_left(self.cumulative, probability))
        low = self._grid.points[self.first + index - 1]
        high = self._grid.points[self.first + index]
        begin, end = self.cumulative[index - 1], self.cumulative[index]
        slope_begin, slope_end = self.density[index - 1] * (high - low), self.density[index] * (high - low)
        # Within a cell the distribution function is the cubic through both ends with both densities; bisect it.
        left, right = 0.0, 1.0
        for _ in range(40):
            u = (left + right) / 2
            rest = 1 - u
            value = (
                begin * (1 + 2 * u) * rest * rest
                + slope_begin * u * rest * rest
                + end * u * u * (3 - 2 * u)
                - slope_end * u * u * rest
            )
            if value < probability:
                left = u
            else:
                right = u
        return 1 / (1 + exp(-(low + (left + right) / 2 * (high - low))))


def _contest(curves: Sequence[_Curve], grid: _Grid) -> tuple[list[float], float]:
    """Return each one's probability of being best, and the expectation of the best rate.

    P(i is best) is the integral of f_i times the F_j of all others; E[max] that of x times the sum of these.
    """
    wins = [0.0] * len(curves)
    expected_best = 0.0
    # Below the point where one is certain to be better, nobody wins.
    start = max(curve.first for curve in curves)
    for point in range(start, len(grid.points)):
        live = [
            (index, curve.density[point - curve.first], curve.cumulative[point - curve.first])
            for index, curve in enumerate(curves)
            if point <= curve.last
        ]
        if not live:
            break
        product = 1.0
        for _index, _density, cumulative in live:
            product *= cumulative
        if product == 0.0:
            continue
        weighted = grid.weights[point] * product
        rate = exp(grid.logs[point][0])
        for index, density, cumulative in live:
            share = weighted * density / cumulative
            wins[index] += share
            expected_best += share * rate
    total = sum(wins)
    return [win / total for win in wins], expected_best / total
