"""How an arm differs from the baseline: the lift with its interval, and where its variance comes from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import exp


class EffectKind(StrEnum):
    """What a metric measures of each observation."""

    PROPORTION = "proportion"
    MEAN = "mean"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Where a variance comes from.

    Attributes:
        source: `observations`, `time` (blocks), `change` (before and after), `users` (cells) or `replicas` (processes).
        factor: How many times as large it is as that of independent observations.
        freedom: Degrees of freedom.
        skewness: Of the difference, beyond chance.
        seconds: Of `time`: how long the blocks are; of `change`: after how long.
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
        if self.source == "change":
            return (
                f"the difference began or ended after {_duration(self.seconds)}: an effect does not, a failing process "
                "does; count by process to tell, or start the experiment again"
            )
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


def _duration(seconds: float) -> str:
    """Return a time in its largest unit."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"
