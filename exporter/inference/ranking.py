"""Which arm is best, and what choosing another one would cost: for display, not for decisions at every look.

- C. Stucchio, "Bayesian A/B testing at VWO", 2015: expected loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, pi, sqrt
from typing import Final

from ml_monitoring.exporter.inference.boundary import normal_cdf
from ml_monitoring.exporter.inference.lift import Lift

_REACH: Final = 6.0
_CELLS: Final = 40
# A curve is at least this part of the widest one wide, so that the sum over cells sees it.
_NARROWEST: Final = 0.01


@dataclass(frozen=True, slots=True)
class ArmRank:
    """How an arm stands.

    Attributes:
        probability_best: That its mean is the best one.
        expected_loss: What is given up by choosing it, in the metric's unit.
    """

    probability_best: float
    expected_loss: float


def rank(baseline: str, lifts: Mapping[str, Lift], *, higher_is_better: bool = True) -> dict[str, ArmRank]:
    """Return the standing of the baseline and of the arms that were compared with it.

    Means are taken for normal with the standard errors of the comparisons; what these have in common, the baseline's
    own, is counted once.
    """
    lifts = {arm: lift for arm, lift in lifts.items() if lift.standard_error > 0}
    if not lifts:
        return {}
    sign = 1.0 if higher_is_better else -1.0
    own = sum(lift.standard_error**2 * lift.baseline_share for lift in lifts.values()) / len(lifts)
    curves = {baseline: (0.0, sqrt(own))}
    for arm, lift in lifts.items():
        curves[arm] = (sign * lift.absolute, lift.standard_error * sqrt(1 - lift.baseline_share))
    # Where one arm has next to nothing of the traffic, all of the error is its own.
    least = _NARROWEST * max(spread for _, spread in curves.values())
    curves = {arm: (mean, max(spread, least)) for arm, (mean, spread) in curves.items()}
    step = min(spread for _, spread in curves.values()) * 2 * _REACH / _CELLS
    low = max(mean - _REACH * spread for mean, spread in curves.values())
    high = max(mean + _REACH * spread for mean, spread in curves.values())
    step = max(step, (high - low) / 2000)
    wins = dict.fromkeys(curves, 0.0)
    best = 0.0
    points = int((high - low) / step) + 1
    for index in range(points):
        x = low + (index + 0.5) * step
        below = {arm: normal_cdf((x - mean) / spread) for arm, (mean, spread) in curves.items()}
        for arm, (mean, spread) in curves.items():
            density = exp(-(((x - mean) / spread) ** 2) / 2) / (spread * sqrt(2 * pi)) * step
            for rival, probability in below.items():
                if rival != arm:
                    density *= probability
            wins[arm] += density
            best += density * x
    total = sum(wins.values()) or 1.0
    return {arm: ArmRank(wins[arm] / total, max(0.0, best / total - mean)) for arm, (mean, _spread) in curves.items()}
