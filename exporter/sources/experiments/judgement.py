"""What follows from what was counted of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Decision(StrEnum):
    """What an experiment says."""

    UNKNOWN = "unknown"
    PLANNED = "planned"
    NO_DATA = "no data"
    UNANSWERABLE = "unanswerable"
    INVALID = "invalid"
    GUARDRAIL_BREACHED = "guardrail breached"
    WORSE = "worse"
    BETTER = "better"
    NO_DIFFERENCE = "no difference"
    COLLECTING = "collecting"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more is to be learnt."""
        return self in _FINAL

    @property
    def proceeds(self) -> bool | None:
        """Tell whether the experiment may go on as it is; None where that is not known."""
        return None if self in _UNKNOWN else self not in _FORBIDS


_FINAL: Final = frozenset({Decision.GUARDRAIL_BREACHED, Decision.WORSE, Decision.BETTER, Decision.NO_DIFFERENCE})
_UNKNOWN: Final = frozenset({Decision.UNKNOWN, Decision.PLANNED, Decision.NO_DATA, Decision.UNANSWERABLE})
_FORBIDS: Final = frozenset({Decision.INVALID, Decision.GUARDRAIL_BREACHED, Decision.WORSE})


@dataclass(frozen=True, slots=True)
class MetricStanding:
    """How an arm stands in a metric; what is not known is None.

    Attributes:
        arm: Of the experiment.
        metric: Of the experiment.
        trials: Trials, amounts or exposures.
        value: Share, mean or rate.
        lift: Relative difference to the baseline; None of the baseline itself, as all that follows from it.
        lower: Lower end of its interval.
        upper: Upper end of its interval.
        p_value: Of no difference.
        probability_best: That it is the best of all arms.
        expected_loss: Part of the baseline's value that is given up by choosing it.
        overdispersion: Variance over that of independent trials.
        overdispersed: Whether that is more than chance explains.
        breached: Whether it is worse than the margin of a guardrail; None where the metric is none, or has no data.
        holds: Whether it is certainly not worse than that; None likewise.
        money: A day, by its lift.
        money_lower: Lower end of its interval.
        money_upper: Upper end of its interval.
    """

    arm: str
    metric: str
    trials: float
    value: float | None = None
    lift: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_value: float | None = None
    probability_best: float | None = None
    expected_loss: float | None = None
    overdispersion: float | None = None
    overdispersed: bool | None = None
    breached: bool | None = None
    holds: bool | None = None
    money: float | None = None
    money_lower: float | None = None
    money_upper: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an experiment says at present.

    Attributes:
        decision: In a word.
        arm: The arm that it is about; empty where it is about all.
        reason: In words.
        caveats: What the data cannot tell.
        exposures: Units by arm.
        standings: Of each arm in each metric.
        split_p_value: Of the intended shares; None where they are not fixed, or nothing was exposed.
        trials_left: Further trials of each arm until the smallest effect of interest is found.
        time_left: Seconds until then at the present traffic.
        intended: Shares that were intended over the same time, where they changed.
        awaited: Whether a guardrail has not been counted in an arm yet, and may still be.
    """

    decision: Decision
    arm: str = ""
    reason: str = ""
    caveats: tuple[str, ...] = ()
    exposures: Mapping[str, float] = field(default_factory=dict)
    standings: tuple[MetricStanding, ...] = ()
    split_p_value: float | None = None
    trials_left: float | None = None
    time_left: float | None = None
    intended: Mapping[str, float] = field(default_factory=dict)
    awaited: bool = False

    @property
    def proceeds(self) -> bool | None:
        """Tell whether the experiment may go on as it is; None where that is not known."""
        # A guardrail that nothing was counted of is not known to hold.
        return None if self.awaited and self.decision.proceeds else self.decision.proceeds
