"""One arm against the baseline: sums over blocks of time, and the lift that follows from them at any time.

In each block b the arm has n1 observations with the sum s1, the baseline n0 and s0. The difference of their means is
weighted by w = n1 n0 / (n1 + n0): d = (n0 s1 - n1 s0) / (n1 + n0). Given the counts its expectation is 0 if the arms do
not differ, whatever the rate is in that block and however the traffic was split, so drift, daily curves, late arms and
bandits cancel (Cochran; Mantel and Haenszel). The sum of d over blocks is what is judged.

Its variance is taken from where it is largest: observations within blocks; blocks of time on every scale from one block
to a day; cells of users; processes. Each has its degrees of freedom.

- W. Cochran, "Some methods for strengthening the common chi-squared tests", Biometrics 10, 1954.
- N. Mantel, W. Haenszel, "Statistical aspects of the analysis of data", JNCI 22, 1959.
- O. Miettinen, M. Nurminen, "Comparative analysis of two rates", Statistics in Medicine 4, 1985: score intervals.
- E. Fieller, "Some problems in interval estimation", JRSS B 16, 1954: the ratio of two means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, inf, isfinite, log, sqrt
from typing import Any, Final

from ml_monitoring.exporter.inference.batches import ArmCounts, Sums
from ml_monitoring.exporter.inference.boundary import (
    INDEPENDENT,
    PER_INFORMATION,
    boundary,
    excess,
    log_e_value,
    skewed,
    unskewed,
)
from ml_monitoring.exporter.inference.replicates import Clusters, Levels, SpreadEstimate, clusters_spread

# Standard deviations beyond chance at which the spread of longer blocks, or of processes, is taken for the variance.
_SUSPICION: Final = 3.0
# And at which it is named, since a name is an alarm.
_NAMED: Final = 4.0
# Longest scale: what differs from day to day is a part of the effect.
_LONGEST: Final = 1.5 * 86400
# Longer blocks are asked once there are so many of them.
_FEWEST_LONG: Final = 1.8
_SMALLEST: Final = 1e-9
_MOST_CELLS: Final = 1024
_MOST_REPLICAS: Final = 64


class EffectKind(StrEnum):
    """What a metric measures of each observation."""

    PROPORTION = "proportion"
    MEAN = "mean"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Where a variance comes from.

    Attributes:
        source: `observations`, `time` (blocks), `users` (cells) or `replicas` (processes).
        factor: How many times as large it is as that of independent observations.
        freedom: Degrees of freedom.
        skewness: Of the difference, beyond chance.
        seconds: Of `time`: how long the blocks are.
        suspicious: More than chance explains.
        worst: Of `replicas`: the arm and the process that differs most.
    """

    source: str
    factor: float
    freedom: float
    skewness: float = 0.0
    seconds: float = 0.0
    suspicious: bool = False
    worst: str = ""

    @property
    def words(self) -> str:
        """Return it in words."""
        if self.source == "replicas":
            return f"one process differs from the others of its arm more than chance explains: {self.worst}"
        if self.source == "users":
            return f"users differ: the variance is {self.factor:.3g} times that of independent requests"
        if self.source == "time":
            return (
                f"the difference changes over time more than chance explains: blocks of {_duration(self.seconds)} "
                f"have {self.factor:.3g} times the variance; look for a process of one arm that failed, or an outage"
            )
        return "observations are independent"


@dataclass(frozen=True, slots=True)
class Lift:
    """How an arm differs from the baseline.

    Attributes:
        mean: Of the arm, over the blocks that both arms ran in, each weighted as in the comparison.
        baseline_mean: Of the baseline, likewise.
        absolute: Difference of the two.
        absolute_lower: Lower end of its interval, which holds at every look.
        absolute_upper: Upper end.
        relative: Ratio of the two, less 1; None when the baseline's mean is not above 0.
        relative_lower: Lower end of its interval; None where the baseline's mean may be 0.
        relative_upper: Upper end; None likewise.
        log_e_value: Logarithm of the evidence against no difference.
        information: What has been gathered, in the units of `boundary.MIXTURE`.
        standard_error: Of the absolute difference.
        baseline_share: Part of the variance that is the baseline's.
        dispersions: Sources of variance that were looked at, the one that was taken first.
        trials: Observations of the arm that were compared.
        baseline_trials: Observations of the baseline that were compared.
        seconds: Time in which both ran.
    """

    mean: float
    baseline_mean: float
    absolute: float
    absolute_lower: float
    absolute_upper: float
    relative: float | None
    relative_lower: float | None
    relative_upper: float | None
    log_e_value: float
    information: float
    standard_error: float
    baseline_share: float
    dispersions: tuple[Dispersion, ...]
    trials: float
    baseline_trials: float
    seconds: float

    @property
    def p_value(self) -> float:
        """Return the always-valid p-value of no difference."""
        # No smaller than what a float can hold.
        return exp(-min(self.log_e_value, 700.0)) if self.log_e_value > 0 else 1.0

    @property
    def dispersion(self) -> Dispersion:
        """Return the source of variance that was taken."""
        return self.dispersions[0]


class Comparison:
    """The sums of one arm against the baseline.

    Args:
        kind: What is measured.
    """

    # Sums over blocks, which `dump` writes by these names.
    _SUMS: Final = (
        "blocks",
        "seconds",
        "trials",
        "baseline_trials",
        "weight",
        "arm_sum",
        "baseline_sum",
        "null_variance",
        "arm_scale",
        "baseline_scale",
        "arm_squares",
        "arm_freedom",
        "baseline_squares",
        "baseline_freedom",
        "without_squares",
    )

    def __init__(self, kind: EffectKind) -> None:
        self._kind = kind
        self._sums = dict.fromkeys(self._SUMS, 0.0)
        self._levels = Levels()
        self._cells = (Clusters(_MOST_CELLS), Clusters(_MOST_CELLS))
        self._replicas = (Clusters(_MOST_REPLICAS), Clusters(_MOST_REPLICAS))

    @property
    def has_cells(self) -> bool:
        """Return whether counts came by cell of users."""
        return len(self._cells[0]) > 1 and len(self._cells[1]) > 1

    def add(self, arm: ArmCounts, baseline: ArmCounts, seconds: float) -> None:
        """Add a block in which both ran."""
        n1, s1, q1 = arm.sums
        n0, s0, q0 = baseline.sums
        n, s = n1 + n0, s1 + s0
        if n1 <= 0 or n0 <= 0 or n <= 1:
            return
        weight = n1 * n0 / n
        share, rest = n0 / n, n1 / n
        difference = share * s1 - rest * s0
        pooled = s / n
        if self._kind is EffectKind.PROPORTION:
            # Of the difference, when successes are dealt out to the arms at random: hypergeometric.
            scale = weight * max(pooled * (1 - pooled), 0.0) * n / (n - 1)
        elif self._kind is EffectKind.RATE:
            scale = weight * max(pooled, 0.0)
        else:
            scale = weight
        sums = self._sums
        for name, value in (
            ("blocks", 1.0),
            ("seconds", seconds),
            ("trials", n1),
            ("baseline_trials", n0),
            ("weight", weight),
            ("arm_sum", share * s1),
            ("baseline_sum", rest * s0),
            ("null_variance", scale),
            ("arm_scale", weight * share),
            ("baseline_scale", weight * rest),
        ):
            sums[name] += value
        if self._kind is EffectKind.MEAN:
            if q1 is None or q0 is None:
                sums["without_squares"] += weight
            else:
                sums["arm_squares"] += max(q1 - s1 * s1 / n1, 0.0)
                sums["arm_freedom"] += max(n1 - 1, 0.0)
                sums["baseline_squares"] += max(q0 - s0 * s0 / n0, 0.0)
                sums["baseline_freedom"] += max(n0 - 1, 0.0)
        self._levels.add(difference, scale)
        # Centred on what all have in common in the block, which costs one degree of freedom in n.
        widen = sqrt(n / (n - 1))
        for kept, given in (
            (self._cells, (arm.cells, baseline.cells)),
            (self._replicas, (arm.replicas, baseline.replicas)),
        ):
            _add_clusters(kept[0], given[0], share * widen, pooled, share * scale / weight)
            _add_clusters(kept[1], given[1], rest * widen, pooled, -rest * scale / weight)

    def lift(self, alpha: float) -> Lift | None:
        """Return the lift; None without data.

        Args:
            alpha: Probability that its interval misses the truth at any time.
        """
        standing = self._standing()
        if standing is None:
            return None
        sums, model = self._sums, standing.model
        arm, baseline = standing.arm, standing.baseline
        limits: list[tuple[float, float]] = []
        for item in standing.dispersions:
            enough, root = boundary(item.freedom, standing.information, alpha), sqrt(item.factor)
            limits.append((root * skewed(enough, item.skewness), -root * skewed(-enough, item.skewness)))
        pairs = zip(limits, standing.dispersions, strict=True)
        _, taken = max(pairs, key=lambda pair: (sum(pair[0]), pair[1].factor))
        # How far the difference may be above what is tried, and below.
        reach = max(above for above, _ in limits), max(below for _, below in limits)
        lower, upper = model.interval(reach)
        relative = model.relative_interval(reach)
        return Lift(
            mean=arm.mean,
            baseline_mean=baseline.mean,
            absolute=arm.mean - baseline.mean,
            absolute_lower=lower,
            absolute_upper=upper,
            relative=arm.mean / baseline.mean - 1 if baseline.mean > 0 else None,
            relative_lower=relative[0],
            relative_upper=relative[1],
            log_e_value=standing.log_e_value,
            information=standing.information,
            standard_error=sqrt(model.null_variance * taken.factor) / sums["weight"],
            baseline_share=model.baseline_share,
            dispersions=(taken, *(item for item in standing.dispersions if item is not taken)),
            trials=sums["trials"],
            baseline_trials=sums["baseline_trials"],
            seconds=sums["seconds"],
        )

    def log_e_value(self, *, at_least: float = 0.0) -> float:
        """Return the logarithm of the evidence for any difference, which is all that simulations ask for.

        Args:
            at_least: Return 0 where independent observations would not even be so many standard errors apart.
        """
        standing = self._standing(at_least)
        return standing.log_e_value if standing else 0.0

    def _standing(self, at_least: float = 0.0) -> _Standing | None:
        sums = self._sums
        weight = sums["weight"]
        if weight <= 0 or sums["null_variance"] <= 0:
            return None
        arm = _Side(sums["arm_sum"] / weight, weight * weight / sums["arm_scale"])
        baseline = _Side(sums["baseline_sum"] / weight, weight * weight / sums["baseline_scale"])
        model = self._model(arm, baseline)
        if model is not None and abs(arm.mean - baseline.mean) * weight < at_least * sqrt(model.null_variance):
            return None
        dispersions = self._dispersions(model.null_variance if model else None)
        if not dispersions:
            return None
        if model is None:
            # Sums without squares: blocks of time are the observations.
            first = dispersions[0]
            model = _from_time(arm, baseline, weight, first.factor)
            model.information = first.freedom + 1
            dispersions[0] = Dispersion("time", 1.0, first.freedom, first.skewness, first.seconds)
        raw = (arm.mean - baseline.mean) * weight / sqrt(model.null_variance)
        information = model.information / max(item.factor for item in dispersions)
        evidence = min(
            log_e_value(unskewed(raw / sqrt(item.factor), item.skewness), item.freedom, information)
            for item in dispersions
        )
        return _Standing(arm, baseline, model, dispersions, information, evidence)

    def _model(self, arm: _Side, baseline: _Side) -> _Model | None:
        """Return the variance of independent observations; None where only blocks of time have one."""
        sums = self._sums
        weight = sums["weight"]
        if self._kind is not EffectKind.MEAN:
            return _Counted(arm, baseline, weight, sums["null_variance"], bounded=self._kind is EffectKind.PROPORTION)
        if sums["without_squares"] or sums["arm_freedom"] < 1 or sums["baseline_freedom"] < 1:
            return None
        variances = sums["arm_squares"] / sums["arm_freedom"], sums["baseline_squares"] / sums["baseline_freedom"]
        if variances[0] + variances[1] <= 0:
            return None
        return _Measured(arm, baseline, weight, *variances)

    def _dispersions(self, null_variance: float | None) -> list[Dispersion]:
        """Return the variances from all sources that hold, as factors of that of independent observations.

        Without such a variance the first source is the blocks of time, its factor the variance itself.
        """
        found: list[Dispersion] = []
        if null_variance is not None:
            freedom = INDEPENDENT
            if self._kind is EffectKind.MEAN:
                freedom = min(self._sums["arm_freedom"], self._sums["baseline_freedom"])
            found.append(Dispersion("observations", 1.0, freedom))
        unit = null_variance
        clustered = [] if unit is None else self._clustered(unit)
        block = self._sums["seconds"] / self._sums["blocks"]
        for level, replicates in enumerate(self._levels):
            seconds = block * 2**level
            if level and seconds > _LONGEST:
                break
            spread = replicates.spread(unit or 0.0)
            if spread is None and level == 0:
                # A single block has no spread, and one outage may be all that it shows.
                return []
            if spread is None or (level and spread.normal_freedom < _FEWEST_LONG - 1):
                break
            if unit is None:
                unit = spread.variance
                if unit <= 0:
                    return []
                found.append(Dispersion("time", unit, spread.freedom, spread.skewness, seconds))
                clustered = self._clustered(unit)
                continue
            factor = spread.variance / unit
            # What users vary is not what only time explains.
            before = max([1.0, *(item.factor for item in clustered if item.source == "users")])
            if level == 1 and null_variance is not None:
                before = max(before, found[-1].factor)
            freedom = spread.freedom
            if self._kind is not EffectKind.MEAN:
                # Counts of a block are normal, so a block that is not is itself what is looked for.
                freedom = spread.normal_freedom
            beyond = excess(factor / before, freedom) if freedom > 0 else 0.0
            if level == 0 or beyond > _SUSPICION:
                # Blocks that are all the same by chance do not make anything certain.
                factor = max(factor, _SMALLEST)
                found.append(
                    Dispersion("time", factor, spread.freedom, spread.skewness, seconds, suspicious=beyond > _NAMED)
                )
        return found + clustered

    def _clustered(self, unit: float) -> list[Dispersion]:
        found = []
        effect = self._effect()
        spread = clusters_spread([side.residuals(effect) for side in self._cells], unit)
        if spread is not None and spread.variance > 0:
            found.append(Dispersion("users", spread.variance / unit, spread.freedom))
        replicas = [side.residuals(effect) for side in self._replicas]
        spread = _replicas_spread(replicas)
        beyond = excess(spread.variance / unit, spread.freedom) if spread is not None else 0.0
        if spread is not None and beyond > _SUSPICION:
            worst = max((item for group in replicas if len(group) > 1 for item in group), key=lambda item: abs(item[1]))
            found.append(
                Dispersion(
                    "replicas", spread.variance / unit, spread.freedom, suspicious=beyond > _NAMED, worst=worst[0]
                )
            )
        return found

    def _effect(self) -> float:
        return (self._sums["arm_sum"] - self._sums["baseline_sum"]) / self._sums["null_variance"]

    def dump(self) -> dict[str, Any]:
        """Return what `load` takes back, for JSON."""
        return {
            "sums": self._sums,
            "levels": self._levels.dump(),
            "cells": [side.dump() for side in self._cells],
            "replicas": [side.dump() for side in self._replicas],
        }

    @classmethod
    def load(cls, kind: EffectKind, dumped: Mapping[str, Any]) -> Comparison:
        """Return what was dumped."""
        loaded = cls(kind)
        loaded._sums = {name: float(dumped["sums"][name]) for name in cls._SUMS}
        loaded._levels = Levels.load(dumped["levels"])
        cells, replicas = dumped["cells"], dumped["replicas"]
        loaded._cells = Clusters.load(_MOST_CELLS, cells[0]), Clusters.load(_MOST_CELLS, cells[1])
        loaded._replicas = Clusters.load(_MOST_REPLICAS, replicas[0]), Clusters.load(_MOST_REPLICAS, replicas[1])
        return loaded


@dataclass(frozen=True, slots=True)
class _Side:
    """One arm as if it were a single sample: its weighted mean, and how many observations that is worth."""

    mean: float
    size: float


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the sums amount to."""

    arm: _Side
    baseline: _Side
    model: _Model
    dispersions: list[Dispersion]
    information: float
    log_e_value: float


class _Model:
    """The variance of a difference of two means of independent observations."""

    null_variance: float
    information: float
    baseline_share: float

    def interval(self, reach: tuple[float, float]) -> tuple[float, float]:
        """Return the differences from which the observed one is not too far above or below, in standard errors."""
        raise NotImplementedError

    def relative_interval(self, reach: tuple[float, float]) -> tuple[float | None, float | None]:
        """Return likewise the ratios, less 1; None where an end is not bounded."""
        raise NotImplementedError


class _Measured(_Model):
    """Means with variances of their own."""

    def __init__(self, arm: _Side, baseline: _Side, weight: float, variance: float, baseline_variance: float) -> None:
        self._arm, self._baseline = arm, baseline
        self._squares = variance / arm.size, baseline_variance / baseline.size
        total = sum(self._squares)
        self.null_variance = weight * weight * total
        self.information = (variance + baseline_variance) / 2 / total / PER_INFORMATION
        self.baseline_share = self._squares[1] / total

    def interval(self, reach: tuple[float, float]) -> tuple[float, float]:
        difference, error = self._arm.mean - self._baseline.mean, sqrt(sum(self._squares))
        return difference - reach[0] * error, difference + reach[1] * error

    def relative_interval(self, reach: tuple[float, float]) -> tuple[float | None, float | None]:
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


class _Counted(_Model):
    """Proportions and rates: the variance follows from the mean, and is taken at the difference that is tried."""

    def __init__(self, arm: _Side, baseline: _Side, weight: float, null_variance: float, *, bounded: bool) -> None:
        self._arm, self._baseline, self._bounded = arm, baseline, bounded
        self.null_variance = self.information = null_variance
        size = arm.size + baseline.size
        self._pooled = (arm.size * arm.mean + baseline.size * baseline.mean) / size
        # Where rates drift, less than that of the average rate.
        self._drift = null_variance / max(weight * self._variance(self._pooled), 1e-300)
        self.baseline_share = arm.size / size

    def _variance(self, mean: float) -> float:
        if self._bounded:
            mean = min(max(mean, 0.0), 1.0)
            return mean * (1 - mean)
        return max(mean, 0.0)

    def interval(self, reach: tuple[float, float]) -> tuple[float, float]:
        one, other = self._arm, self._baseline
        share = one.size / (one.size + other.size)
        difference = one.mean - other.mean

        def outside(tried: float) -> bool:
            arm, baseline = self._pooled + tried * (1 - share), self._pooled - tried * share
            variance = self._variance(arm) / one.size + self._variance(baseline) / other.size
            limit = reach[0] if tried < difference else reach[1]
            return (difference - tried) ** 2 > limit * limit * variance * self._drift

        edges = (-1.0, 1.0) if self._bounded else (-inf, inf)
        return _edge(outside, difference, edges[0]), _edge(outside, difference, edges[1])

    def relative_interval(self, reach: tuple[float, float]) -> tuple[float | None, float | None]:
        one, other = self._arm, self._baseline
        if one.mean <= 0 and other.mean <= 0:
            return None, None

        def outside(tried: float) -> bool:
            ratio = exp(tried)
            mean = self._pooled * (one.size + other.size) / (one.size * ratio + other.size)
            if self._bounded:
                mean = min(mean, 1.0, 1 / ratio)
            variance = self._variance(ratio * mean) / one.size + ratio * ratio * self._variance(mean) / other.size
            beyond = one.mean - ratio * other.mean
            limit = reach[0] if beyond > 0 else reach[1]
            return beyond * beyond > limit * limit * variance * self._drift

        smallest = 1e-12
        start = log(max(one.mean, smallest) / max(other.mean, smallest))
        lower = exp(_edge(outside, start, -30.0)) - 1 if one.mean > 0 else -1.0
        upper = exp(_edge(outside, start, 30.0)) - 1 if other.mean > 0 else None
        return lower, upper if upper is None or upper < exp(29) else None


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


def _duration(seconds: float) -> str:
    """Return a time in its largest unit."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def _from_time(arm: _Side, baseline: _Side, weight: float, variance: float) -> _Measured:
    """Return the model whose variance is that between blocks of time."""
    # As if both arms had the same variance; what the interval needs is their sum.
    each = variance / (weight * weight) / (1 / arm.size + 1 / baseline.size)
    return _Measured(arm, baseline, weight, each, each)


def _add_clusters(kept: Clusters, given: Mapping[str, Sums], factor: float, pooled: float, scale: float) -> None:
    """Add what clusters contributed; `scale` is that of the effect for each of their observations' share."""
    for key, (n, s, _squares) in given.items():
        kept.add(key, factor * (s - pooled * n), factor * scale * n)


def _replicas_spread(groups: Sequence[Sequence[tuple[str, float, float]]]) -> SpreadEstimate | None:
    """Return the spread between processes of those arms that have several."""
    several = [group for group in groups if len(group) > 1]
    return clusters_spread(several) if several else None
