"""One arm against the baseline: sums over blocks of time, and the lift that follows from them at any time.

In each block b the arm has n1 observations with the sum s1, the baseline n0 and s0. The difference of their means is
weighted by w = n1 n0 / (n1 + n0): d = (n0 s1 - n1 s0) / (n1 + n0). Given the counts its expectation is 0 if the arms do
not differ, whatever the rate is in that block and however the traffic was split, so drift, daily curves, late arms and
bandits cancel (Cochran; Mantel and Haenszel). The sum of d over blocks is what is judged.

Its variance is taken from where it is largest: observations within blocks; blocks of time on every scale from one block
to a day; cells of users; processes. Each has its degrees of freedom.

- W. Cochran, "Some methods for strengthening the common chi-squared tests", Biometrics 10, 1954.
- N. Mantel, W. Haenszel, "Statistical aspects of the analysis of data", JNCI 22, 1959.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, Final

from ml_monitoring.exporter.inference.batches import ArmCounts, Sums
from ml_monitoring.exporter.inference.boundary import (
    INDEPENDENT,
    PER_UNKNOWN,
    boundary,
    excess,
    log_e_value,
    skewed,
    unskewed,
)
from ml_monitoring.exporter.inference.course import Course
from ml_monitoring.exporter.inference.difference import (
    CountedDifference,
    DifferenceModel,
    MeasuredDifference,
    WeightedMean,
)
from ml_monitoring.exporter.inference.lift import Dispersion, EffectKind, Lift
from ml_monitoring.exporter.inference.replicates import Clusters, Levels, SpreadEstimate, clusters_spread

# Standard deviations beyond chance at which the spread of longer blocks, or of processes, is taken for the variance.
_SUSPICION: Final = 2.0
# And at which it is named, since a name is an alarm.
_NAMED: Final = 4.0
# Standard deviations below which blocks of counts vary as independent counts do; few events a block are not normal.
_UNSUSPICIOUS: Final = 1.5
# Observations of the smaller arm in a block from which on its mean is as normal as a count.
_NORMAL: Final = 30.0
# Blocks that vary as independent observations do, from which on these are believed rather than the blocks.
_BELIEVED: Final = 10.0
# Observations that an arm's variance is made of, such as purchases among visits, at which it counts as much as both's.
_TELLING: Final = 30.0
# Longest scale: what differs from day to day is a part of the effect.
_LONGEST: Final = 1.5 * 86400
# Longer blocks are asked once there are so many of them.
_FEWEST_LONG: Final = 1.8
_SMALLEST: Final = 1e-9
_MOST_CELLS: Final = 1024
_MOST_REPLICAS: Final = 64


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
        self._course = Course()
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
        self._course.add(difference, scale)
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
        arm = WeightedMean(sums["arm_sum"] / weight, weight * weight / sums["arm_scale"])
        baseline = WeightedMean(sums["baseline_sum"] / weight, weight * weight / sums["baseline_scale"])
        model = self._model(arm, baseline)
        if model is not None and abs(model.root()) < at_least:
            return None
        dispersions = self._dispersions(model)
        if not dispersions:
            return None
        if model is None:
            # Sums without squares: blocks of time are the observations.
            first = dispersions[0]
            information = (first.freedom + 1) / PER_UNKNOWN
            model = MeasuredDifference.of_blocks(arm, baseline, weight, first.factor, information)
            dispersions[0] = Dispersion("time", 1.0, first.freedom, first.skewness, first.seconds)
        raw = model.root()
        information = model.information / max(item.factor for item in dispersions)
        evidence = min(
            log_e_value(unskewed(raw / sqrt(item.factor), item.skewness), item.freedom, information)
            for item in dispersions
        )
        return _Standing(arm, baseline, model, dispersions, information, evidence)

    def _model(self, arm: WeightedMean, baseline: WeightedMean) -> DifferenceModel | None:
        """Return the variance of independent observations; None where only blocks of time have one."""
        sums = self._sums
        weight = sums["weight"]
        if self._kind is not EffectKind.MEAN:
            return CountedDifference(
                arm, baseline, weight, sums["null_variance"], bounded=self._kind is EffectKind.PROPORTION
            )
        if sums["without_squares"] or sums["arm_freedom"] < 1 or sums["baseline_freedom"] < 1:
            return None
        freedoms = sums["arm_freedom"], sums["baseline_freedom"]
        squares = sums["arm_squares"], sums["baseline_squares"]
        pooled = sum(squares) / sum(freedoms)
        if pooled <= 0:
            return None
        variances = (
            _at_least(own / freedom, freedom, side.mean, pooled)
            for own, freedom, side in zip(squares, freedoms, (arm, baseline), strict=True)
        )
        return MeasuredDifference(arm, baseline, weight, *variances)

    def _dispersions(self, model: DifferenceModel | None) -> list[Dispersion]:
        """Return the variances from all sources that hold, as factors of that of independent observations.

        Without such a variance the first source is the blocks of time, its factor the variance itself.
        """
        found: list[Dispersion] = []
        null_variance = model.null_variance if model else None
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
            # What users vary is not what only time explains.
            before = max([1.0, *(item.factor for item in clustered if item.source == "users")])
            if level == 1 and null_variance is not None:
                before = max(before, found[-1].factor)
            over_time = self._over_time(spread, unit, before, model)
            if level == 0 or over_time[1] > _SUSPICION:
                found.append(replace(over_time[0], seconds=seconds))
        if unit is not None and model is not None:
            found += self._changed(unit, found[:2] + clustered)
        return found + clustered

    def _over_time(
        self, spread: SpreadEstimate, unit: float, before: float, model: DifferenceModel | None
    ) -> tuple[Dispersion, float]:
        """Return what blocks of one length say, and by how many standard deviations that is more than known before."""
        factor, skewness, freedom = spread.variance / unit, spread.skewness, spread.freedom
        counts = self._kind is not EffectKind.MEAN
        if model is not None:
            # What a difference itself adds is no overdispersion.
            factor /= model.widening
            skewness = _beyond(skewness, model.skewness)
        # Counts of a block are normal, so a block that is not is itself what is looked for.
        asked = spread.normal_freedom if counts else freedom
        beyond = excess(factor / before, asked) if asked > 0 else 0.0
        if beyond < _UNSUSPICIOUS and (counts or self._smallest() >= _NORMAL):
            # Few blocks of rows that come by fives look like this by chance; many do not.
            believed = spread.normal_freedom / _BELIEVED
            freedom = max(freedom, spread.normal_freedom * (1 + believed * believed))
            factor = min(factor, 1.0) if believed > 1 else factor
        # Blocks that are all the same by chance do not make anything certain.
        factor = max(factor, _SMALLEST)
        return Dispersion("time", factor, freedom, skewness, suspicious=beyond > _NAMED), beyond

    def _smallest(self) -> float:
        """Return how many observations the smaller arm has in a block."""
        return min(self._sums["trials"], self._sums["baseline_trials"]) / self._sums["blocks"]

    def _changed(self, unit: float, known: Sequence[Dispersion]) -> list[Dispersion]:
        """Return the variance between before and after, where the difference began or ended in between."""
        expected = max([1.0, *(item.factor for item in known if item.source != "replicas")])
        change = self._course.change(unit * expected)
        if change is None:
            return []
        return [
            Dispersion(
                "change",
                change.variance / unit,
                1.0,
                seconds=self._sums["seconds"] * change.share,
                suspicious=change.beyond > _NAMED,
            )
        ]

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
            "course": self._course.dump(),
            "cells": [side.dump() for side in self._cells],
            "replicas": [side.dump() for side in self._replicas],
        }

    @classmethod
    def load(cls, kind: EffectKind, dumped: Mapping[str, Any]) -> Comparison:
        """Return what was dumped."""
        loaded = cls(kind)
        loaded._sums = {name: float(dumped["sums"][name]) for name in cls._SUMS}
        loaded._levels = Levels.load(dumped["levels"])
        loaded._course = Course.load(dumped.get("course", {}))
        cells, replicas = dumped["cells"], dumped["replicas"]
        loaded._cells = Clusters.load(_MOST_CELLS, cells[0]), Clusters.load(_MOST_CELLS, cells[1])
        loaded._replicas = Clusters.load(_MOST_REPLICAS, replicas[0]), Clusters.load(_MOST_REPLICAS, replicas[1])
        return loaded


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the sums amount to."""

    arm: WeightedMean
    baseline: WeightedMean
    model: DifferenceModel
    dispersions: list[Dispersion]
    information: float
    log_e_value: float


def _at_least(variance: float, freedom: float, mean: float, pooled: float) -> float:
    """Return the variance of an arm, which few observations that are not near 0 cannot show to be less than others'."""
    square = mean * mean
    telling = freedom * square / (square + variance) if square + variance > 0 else 0.0
    return max(variance, (telling * variance + _TELLING * pooled) / (telling + _TELLING))


def _beyond(skewness: float, expected: float) -> float:
    """Return the part of a skewness that is not expected."""
    rest = skewness - expected
    return rest if rest * skewness > 0 else 0.0


def _add_clusters(kept: Clusters, given: Mapping[str, Sums], factor: float, pooled: float, scale: float) -> None:
    """Add what clusters contributed; `scale` is that of the effect for each of their observations' share."""
    for key, (n, s, _squares) in given.items():
        kept.add(key, factor * (s - pooled * n), factor * scale * n)


def _replicas_spread(groups: Sequence[Sequence[tuple[str, float, float]]]) -> SpreadEstimate | None:
    """Return the spread between processes of those arms that have several."""
    several = [group for group in groups if len(group) > 1]
    return clusters_spread(several) if several else None
