"""How long an experiment takes: samples and days to the smallest effect of interest."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Final

from ml_monitoring.exporter.inference.boundary import INDEPENDENT, PER_INFORMATION, log_e_value
from ml_monitoring.exporter.inference.lift import EffectKind, Lift

# Standard normal quantile: found in four of five experiments.
_POWER: Final = 0.8416
_MOST: Final = 1e15


@dataclass(frozen=True, slots=True)
class PowerLeft:
    """What is still needed.

    Attributes:
        needed: Observations of both arms with which the smallest effect is found in four of five experiments.
        left: Of these, still to come.
        days_left: At the traffic so far.
    """

    needed: float
    left: float
    days_left: float


def power_left(lift: Lift, smallest: float, alpha: float, *, relative: bool = True) -> PowerLeft | None:
    """Return what is left until the smallest effect of interest would be found; None where that cannot be known.

    Args:
        lift: What is known now.
        smallest: Effect, in units of the metric or as a share of the baseline's mean.
        alpha: As the interval's.
        relative: Whether it is a share.
    """
    effect = abs(smallest * lift.baseline_mean) if relative else abs(smallest)
    if effect <= 0 or lift.standard_error <= 0 or lift.information <= 0:
        return None
    unit = lift.standard_error**2 * lift.information
    information = information_needed(effect / sqrt(unit), alpha)
    trials = lift.trials + lift.baseline_trials
    needed = trials * information / lift.information
    left = max(0.0, needed - trials)
    return PowerLeft(needed, left, left / trials * lift.seconds / 86400)


def information_needed(effect: float, alpha: float) -> float:
    """Return the information at which a standardised effect is found in four of five experiments."""
    enough = -log(alpha)

    def suffices(information: float) -> bool:
        # Four of five observe at least so many standard errors.
        observed = effect * sqrt(information) - _POWER
        return observed > 0 and log_e_value(observed, INDEPENDENT, information) >= enough

    low, high = 1e-3, 1.0
    while not suffices(high) and high < _MOST:
        high *= 2
    for _ in range(60):
        middle = sqrt(low * high)
        if suffices(middle):
            high = middle
        else:
            low = middle
    return high


def samples_needed(
    kind: EffectKind,
    baseline_mean: float,
    effect: float,
    alpha: float,
    *,
    deviation: float = 1.0,
    shares: tuple[float, float] = (0.5, 0.5),
) -> float:
    """Return how many observations of both arms an experiment will take, before there is any.

    Args:
        kind: What is measured.
        baseline_mean: Expected mean of the baseline.
        effect: Smallest difference of interest, in the metric's unit.
        alpha: Probability of a false decision of one comparison, ever.
        deviation: Standard deviation of an observation, for means.
        shares: Of the arm and of the baseline, in any scale.
    """
    mean = baseline_mean + effect / 2
    if kind is EffectKind.PROPORTION:
        variance = mean * (1 - mean)
    else:
        variance = mean if kind is EffectKind.RATE else deviation**2
    if variance <= 0 or effect == 0:
        return float("inf")
    share = shares[0] / sum(shares)
    # Information for each observation of either arm, and the effect for each root of it.
    if kind is EffectKind.MEAN:
        each, scale = 1 / PER_INFORMATION, abs(effect) / sqrt(variance / PER_INFORMATION)
    else:
        each, scale = variance, abs(effect) / variance
    each *= share * (1 - share)
    return information_needed(scale, alpha) / each
