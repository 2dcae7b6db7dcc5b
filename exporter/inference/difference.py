"""The difference of two means of independent observations: its variance, and the values that it may have.

- O. Miettinen, M. Nurminen, "Comparative analysis of two rates", Statistics in Medicine 4, 1985: score intervals.
- E. Fieller, "Some problems in interval estimation", JRSS B 16, 1954: the ratio of two means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, isfinite, log, sqrt
from typing import Final, Protocol

from ml_monitoring.exporter.inference.boundary import PER_INFORMATION

# Where nothing of one arm succeeds and everything of the other does, no variance is left.
_LEAST_WIDENING: Final = 0.1


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """One arm as if it were a single sample: its weighted mean, and how many observations that is worth."""

    mean: float
    size: float


class DifferenceModel(Protocol):
    """The variance of a difference of two means of independent observations.

    Attributes:
        null_variance: Of the weighted difference, if there is none.
        widening: How many times as large it is at the difference that was observed.
        skewness: Of the weighted difference, if there is none.
        information: In the units of `boundary.MIXTURE`.
        baseline_share: Part of the variance that is the baseline's.
    """

    null_variance: float
    widening: float
    skewness: float
    information: float
    baseline_share: float

    def root(self) -> float:
        """Return how many standard errors the difference is from none."""

    def interval(self, reach: tuple[float, float]) -> tuple[float, float]:
        """Return the differences from which the observed one is not too far above or below, in standard errors."""

    def relative_interval(self, reach: tuple[float, float]) -> tuple[float | None, float | None]:
        """Return likewise the ratios, less 1; None where an end is not bounded."""


class MeasuredDifference:
    """Means with variances of their own."""

    def __init__(
        self, arm: WeightedMean, baseline: WeightedMean, weight: float, variance: float, baseline_variance: float
    ) -> None:
        self._arm, self._baseline = arm, baseline
        self._squares = variance / arm.size, baseline_variance / baseline.size
        total = sum(self._squares)
        self.null_variance = weight * weight * total
        self.information = (variance + baseline_variance) / 2 / total / PER_INFORMATION
        self.baseline_share = self._squares[1] / total
        self.widening, self.skewness = 1.0, 0.0

    def root(self) -> float:
        """Return how many standard errors the difference is from none."""
        return (self._arm.mean - self._baseline.mean) / sqrt(sum(self._squares))

    @classmethod
    def of_blocks(
        cls, arm: WeightedMean, baseline: WeightedMean, weight: float, variance: float, information: float
    ) -> MeasuredDifference:
        """Return the difference whose variance is that between blocks of time."""
        # As if both arms had the same variance; what the interval needs is their sum.
        each = variance / (weight * weight) / (1 / arm.size + 1 / baseline.size)
        made = cls(arm, baseline, weight, each, each)
        made.information = information
        return made

    def interval(self, reach: tuple[float, float]) -> tuple[float, float]:
        """Return the differences within reach."""
        difference, error = self._arm.mean - self._baseline.mean, sqrt(sum(self._squares))
        return difference - reach[0] * error, difference + reach[1] * error

    def relative_interval(self, reach: tuple[float, float]) -> tuple[float | None, float | None]:
        """Return the ratios within reach, less 1."""
        one, other = self._arm.mean, self._baseline.mean
        # Fieller: those ratios r for which one - r other is within its limit.
        squares = [other * other - limit * limit * self._squares[1] for limit in reach]
        if other <= 0 or min(squares) <= 0:
            return None, None
        ends = []
        for sign, limit, square in zip((-1, 1), reach, squares, strict=True):
            root = (one * other) ** 2 - square * (one * one - limit * limit * self._squares[0])
            ends.append((one * other + sign * sqrt(max(root, 0.0))) / square - 1)
        return ends[0], ends[1]


class CountedDifference:
    """Proportions and rates: the likelihood follows from the means, and is taken at the difference that is tried."""

    def __init__(
        self, arm: WeightedMean, baseline: WeightedMean, weight: float, null_variance: float, *, bounded: bool
    ) -> None:
        self._arm, self._baseline, self._bounded = arm, baseline, bounded
        self.null_variance = self.information = null_variance
        size = arm.size + baseline.size
        self._pooled = (arm.size * arm.mean + baseline.size * baseline.mean) / size
        # Where rates drift, less than that of the average rate.
        self._drift = null_variance / max(weight * self._variance(self._pooled), 1e-300)
        self.baseline_share = arm.size / size
        variance = self._variance(arm.mean) / arm.size + self._variance(baseline.mean) / baseline.size
        pooled = self._variance(self._pooled) * (1 / arm.size + 1 / baseline.size)
        self.widening = max(variance / max(pooled, 1e-300), _LEAST_WIDENING)
        lean = 1 - 2 * self._pooled if bounded else 1.0
        self.skewness = lean * weight * (1 / arm.size - 1 / baseline.size) / sqrt(max(null_variance, 1e-300))

    def root(self) -> float:
        """Return the signed root of the likelihood ratio's logarithm: normal sooner than the difference is."""
        deviance = self._deviance(self._pooled, self._pooled)
        return sqrt(deviance) if self._arm.mean > self._baseline.mean else -sqrt(deviance)

    def _deviance(self, arm: float, baseline: float) -> float:
        """Return twice the logarithm of the likelihood ratio of what was observed to these means."""
        total = self._arm.size * self._lost(self._arm.mean, arm)
        total += self._baseline.size * self._lost(self._baseline.mean, baseline)
        return max(2 * total * self._drift, 0.0)

    def _lost(self, seen: float, tried: float) -> float:
        if not self._bounded:
            return _entropy(seen, tried) - seen + tried
        return _entropy(seen, tried) + _entropy(1 - seen, 1 - tried)

    def _variance(self, mean: float) -> float:
        if self._bounded:
            mean = min(max(mean, 0.0), 1.0)
            return mean * (1 - mean)
        return max(mean, 0.0)

    def interval(self, reach: tuple[float, float]) -> tuple[float, float]:
        """Return the differences within reach."""
        one, other = self._arm, self._baseline
        share = one.size / (one.size + other.size)
        difference = one.mean - other.mean

        def outside(tried: float) -> bool:
            limit = reach[0] if tried < difference else reach[1]
            baseline = max(self._pooled - tried * share, 0.0, -tried)
            if self._bounded:
                baseline = min(baseline, 1.0, 1.0 - tried)
            return self._deviance(max(baseline + tried, 0.0), baseline) > limit * limit

        edges = (-1.0, 1.0) if self._bounded else (-inf, inf)
        return _edge(outside, difference, edges[0]), _edge(outside, difference, edges[1])

    def relative_interval(self, reach: tuple[float, float]) -> tuple[float | None, float | None]:
        """Return the ratios within reach, less 1."""
        one, other = self._arm, self._baseline
        if one.mean <= 0 and other.mean <= 0:
            return None, None

        def outside(tried: float) -> bool:
            ratio = exp(tried)
            mean = self._pooled * (one.size + other.size) / (one.size * ratio + other.size)
            if self._bounded:
                mean = min(mean, 1.0, 1 / ratio)
            limit = reach[0] if one.mean > ratio * other.mean else reach[1]
            return self._deviance(ratio * mean, mean) > limit * limit

        smallest = 1e-12
        start = log(max(one.mean, smallest) / max(other.mean, smallest))
        lower = exp(_edge(outside, start, -30.0)) - 1 if one.mean > 0 else -1.0
        upper = exp(_edge(outside, start, 30.0)) - 1 if other.mean > 0 else None
        return lower, upper if upper is None or upper < exp(29) else None


def _entropy(seen: float, tried: float) -> float:
    if seen <= 0:
        return 0.0
    return seen * log(seen / tried) if tried > 0 else inf


def _edge(outside: Callable[[float], bool], inside: float, far: float) -> float:
    """Return where `outside` begins between a point inside and one far out; far itself when it does not."""
    if not isfinite(far):
        step = max(abs(inside), 1e-9)
        sign = 1 if far > 0 else -1
        while not outside(inside + sign * step):
            step *= 2
            if step > 1e18:
                return far
        far = inside + sign * step
    elif not outside(far):
        return far
    for _ in range(50):
        middle = (inside + far) / 2
        if outside(middle):
            far = middle
        else:
            inside = middle
    return (inside + far) / 2
