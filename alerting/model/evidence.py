"""How sure an alert must be: what holds beside its threshold before anybody is notified.

A threshold says what is bad ("more than 30 % failed"); evidence says when few events are enough to believe it. An alert
declares its evidence, `confidence:` of `thresholds.yml` says how sure it must be, and the rule gets one guard more for
each. All are one-sided tests of normal theory that PromQL can compute:

| Evidence | Holds when |
|---|---|
| `Trials` | the lower Wilson bound of a ratio is above the threshold (for `<`: the upper one below) |
| `Percentile` | so many values are beyond the threshold that a percentile of few is not chance |
| `StandardError` | the signal is further beyond the threshold than its own error explains |
| `Unusual` | recent values do not spread so far |
| `BestOf` | it is beyond what is the best of so many by chance |
| `Also` | a second signal is beyond the threshold, too |
| `Exceptional` | it was not so before, or many events speak for it |
| `Events` | so many events were counted that one or two bad ones cannot decide |
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Literal, Protocol

from ml_monitoring.alerting.model.numbers import number

Comparison = Literal["<", ">"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What an alert claims when its threshold is crossed.

    Attributes:
        signal: PromQL, in brackets where it needs them.
        comparison: How the signal is compared with the threshold.
        threshold: In the signal's unit.
        confidence: How sure the alert must be, in 0.5..1; None for evidence that only counts.
    """

    signal: str
    comparison: Comparison
    threshold: float
    confidence: float | None

    @property
    def excess(self) -> str:
        """Return how far the signal is beyond the threshold, in PromQL."""
        threshold = number(self.threshold)
        return f"({self.signal} - {threshold})" if self.comparison == ">" else f"({threshold} - {self.signal})"

    def beyond(self, signal: str) -> str:
        """Return that another signal is beyond the threshold, in PromQL."""
        return f"{signal} {self.comparison} {number(self.threshold)}"

    def exceeds(self, distance: str, error: str) -> str:
        """Return that a distance is more than its error explains, in PromQL."""
        return f"{distance} > {self.deviations:.4g} * {error}"

    @property
    def deviations(self) -> float:
        """Return how many standard errors the excess must be.

        Raises:
            ValueError: The alert has no confidence.
        """
        if self.confidence is None:
            raise ValueError("evidence by chance needs a confidence")
        return deviations(self.confidence)


def deviations(confidence: float) -> float:
    """Return how many standard errors make one so sure."""
    return NormalDist().inv_cdf(confidence)


class Evidence(Protocol):
    """One condition that makes an alert sure."""

    @property
    def takes_confidence(self) -> bool:
        """Return whether it asks how sure one must be."""

    @abstractmethod
    def guard(self, claim: Claim) -> str:
        """Return the condition in PromQL; it may hold `<parameter>` of the alert."""

    @abstractmethod
    def sentence(self, confidence: str) -> str:
        """Return the condition in words; it may hold `<parameter>` of the alert."""


@dataclass(frozen=True, slots=True)
class Trials:
    """The signal is a ratio of so many trials: compare its Wilson bound with the threshold.

    The lower Wilson bound of a ratio p is above t exactly when (p - t) * sqrt(n) > z * sqrt(t * (1 - t)): the bound is
    made of those t that the score test does not refuse. See Wilson, "Probable inference, the law of succession, and
    statistical inference" (1927).

    Attributes:
        count: PromQL: how many trials the ratio is of.
    """

    count: str
    takes_confidence = True

    def guard(self, claim: Claim) -> str:
        """Return the score test of the ratio against the threshold."""
        needed = claim.deviations * sqrt(claim.threshold * (1 - claim.threshold))
        return f"{claim.excess} * sqrt({self.count}) > {needed:.4g}"

    def sentence(self, confidence: str) -> str:
        """Return how sure one must be."""
        return f"Chance must not explain it, given the number of trials (Wilson bound, confidence {confidence})."


@dataclass(frozen=True, slots=True)
class Percentile:
    """The signal is a percentile of so many values: a lower one must be above the threshold, too, the lower the fewer.

    A percentile is above t when more than its share of the values is. That so many are by chance is refused by the same
    score test as in `Trials`, which for a number of values says which share of them it takes. Asked the other way
    round, for a few shares, it needs no bucket of the histogram that ends at t.

    Attributes:
        count: PromQL: how many values there are.
        buckets: PromQL: the histogram that the percentile is of, with the label `le`.
        percent: Which percentile the signal is.
    """

    count: str
    buckets: str
    percent: int
    takes_confidence = True

    def guard(self, claim: Claim) -> str:
        """Return the comparison of lower percentiles, each with the number of values that it takes."""
        share = 1 - self.percent / 100
        alternatives = []
        # The share of values above the threshold that is asked for: almost the signal's own, and large ones.
        for above in (1.2 * share, 2 * share, 5 * share, 0.5):
            needed = ceil((claim.deviations / (above - share)) ** 2 * share * (1 - share))
            percentile = f"histogram_quantile({1 - above:.4g}, {self.buckets})"
            alternatives.append(f"({claim.beyond(percentile)} and {self.count} >= {max(needed, 3)})")
        return "(\n  " + "\n  or ".join(alternatives) + "\n)"

    def sentence(self, confidence: str) -> str:
        """Return how sure one must be."""
        return f"So many values must be beyond it that chance does not explain it (confidence {confidence})."


@dataclass(frozen=True, slots=True)
class StandardError:
    """The signal has a known standard error: the excess must be a multiple of it.

    Attributes:
        error: PromQL: the standard error, or the spread of the values that are usual.
    """

    error: str
    takes_confidence = True

    def guard(self, claim: Claim) -> str:
        """Return the comparison of the excess with the error."""
        return claim.exceeds(claim.excess, self.error)

    def sentence(self, confidence: str) -> str:
        """Return how sure one must be."""
        return f"Chance must not explain it, given the standard error (confidence {confidence})."


@dataclass(frozen=True, slots=True)
class Unusual:
    """Something that belongs to the signal must be further from what is usual than its usual spread explains.

    Attributes:
        deviation: PromQL: how far it is from the usual, above 0 where it is worse.
        spread: PromQL: the standard deviation of the usual values.
    """

    deviation: str
    spread: str
    takes_confidence = True

    def guard(self, claim: Claim) -> str:
        """Return the comparison of the deviation with the spread."""
        return claim.exceeds(self.deviation, self.spread)

    def sentence(self, confidence: str) -> str:
        """Return how sure one must be."""
        return f"The spread of recent values must not explain it (confidence {confidence})."


@dataclass(frozen=True, slots=True)
class BestOf:
    """The signal is a lead that was chosen from many: it must be more than the best of so many has by chance.

    The best of k equal ones is above x with at most k times the probability of one. For a normal one that is as if its
    confidence z were sqrt(z^2 + 2 ln k), or a little less.

    Attributes:
        lead: PromQL: how much better it is, 0 where it is no better.
        error: PromQL: the standard error of that.
        among: PromQL: the best of how many it may be.
        matching: How PromQL finds that of an error, such as `on (...) group_left ()`.
    """

    lead: str
    error: str
    among: str
    matching: str
    takes_confidence = True

    def guard(self, claim: Claim) -> str:
        """Return the comparison of the lead with its error."""
        return f"{self.lead} > {self.error} * {self.matching} sqrt({claim.deviations**2:.4g} + 2 * ln({self.among}))"

    def sentence(self, confidence: str) -> str:
        """Return how sure one must be."""
        return f"The best of so many equal ones must not be that much better by chance (confidence {confidence})."


@dataclass(frozen=True, slots=True)
class Also:
    """A second signal must be beyond the threshold, too.

    Attributes:
        signal: PromQL.
        what: What it is, in words: the beginning of a sentence.
    """

    signal: str
    what: str
    takes_confidence = False

    def guard(self, claim: Claim) -> str:
        """Return the comparison of the second signal."""
        return claim.beyond(self.signal)

    def sentence(self, confidence: str) -> str:
        """Return what must be beyond the threshold."""
        del confidence
        return f"{self.what} must be beyond the threshold, too."


@dataclass(frozen=True, slots=True)
class Events:
    """So many events must have been counted.

    Attributes:
        count: PromQL: how many there were.
        parameter: The alert's parameter that says how many there must be.
        what: What is counted, as a plural in words.
    """

    count: str
    parameter: str
    what: str
    takes_confidence = False

    def guard(self, claim: Claim) -> str:
        """Return the comparison of the count with the parameter."""
        del claim
        return f"{self.count} >= <{self.parameter}>"

    def sentence(self, confidence: str) -> str:
        """Return how many there must be."""
        del confidence
        return f"It takes at least <{self.parameter}> {self.what}."


@dataclass(frozen=True, slots=True)
class Exceptional:
    """It must be more than is usual, or so many events must have been counted; what is not known does not count.

    Attributes:
        signal: PromQL.
        usual: PromQL: the most that is usual.
        count: PromQL: how many events there were.
        parameter: The alert's parameter that says how many there must be.
        what: What is counted, as a plural in words.
    """

    signal: str
    usual: str
    count: str
    parameter: str
    what: str
    takes_confidence = False

    def guard(self, claim: Claim) -> str:
        """Return the signal, unless it is known to be usual and few events were counted."""
        del claim
        return f"({self.signal} unless ({self.usual} >= {self.signal} and {self.count} < <{self.parameter}>))"

    def sentence(self, confidence: str) -> str:
        """Return what must be so."""
        del confidence
        return f"It must be longer than is usual, or there must be <{self.parameter}> {self.what}."
