"""Tests that may be looked at at any time, as often as one likes, and stopped whenever one likes.

A usual p-value holds for one look at a moment fixed beforehand; looked at every 15 seconds it falls below 0.05 sooner
or later without any difference. The p-values here are one over a test martingale: with no difference, the probability
that one *ever* falls to alpha or below is at most alpha (Ville's inequality). They need no state and no planned length.
`split_p_value` is exact; `best_p_values` takes the difference of two rates for normal, which
simulations bear out down to rates of 0.001 once there are 100 trials (see the tests).

Sources:
- J. Ville, Etude critique de la notion de collectif, 1939; A. Ramdas, P. Gruenwald, V. Vovk, G. Shafer, "Game-theoretic
  statistics and safe anytime-valid inference", Statistical Science 38(4), 2023: always-valid p-values from martingales.
- H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 41, 1970: mixtures of
  likelihood ratios as martingales.
- R. Johari, P. Koomen, L. Pekelis, D. Walsh, "Always valid inference: continuous monitoring of A/B tests", Operations
  Research 70(3), 2022: the mixture sequential probability ratio test for two rates.
- M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022: sample ratio mismatch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p

# Jeffreys' prior: within half of the logarithm of the sample size of the best choice made in hindsight.
_JEFFREYS = 0.5
# Where the test of a difference is sharpest, in n1 n2 / (n1 + n2): some thousand trials a variant. It has an effect on
# how soon a difference is found, not on the rate of false alarms.
_PRIOR_SIZE = 500.0
# Pseudo-counts of the mixture over splits. They too have no effect on false alarms.
_CONCENTRATION = 100.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What was observed of one variant: at most one success a trial."""

    successes: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.trials:
            raise ValueError(f"{self.successes} successes in {self.trials} trials")

    @property
    def failures(self) -> int:
        """Return the trials without success."""
        return self.trials - self.successes


def log_beta(a: float, b: float) -> float:
    """Return the logarithm of the beta function."""
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def best_p_values(counts: Sequence[Counts]) -> list[float]:
    """Return for each variant an always-valid p-value of "this variant is not the best one".

    A variant is best when its rate is above that of each other one. The evidence for that is the evidence against
    "no difference" to its hardest rival, in the variant's favour. To be called best by chance it must beat every rival
    at once: an intersection of tests, which needs no correction for their number (R. Berger, Technometrics 24, 1982).

    Returns:
        One p-value a variant, in the order given; empty for fewer than two, who have nothing to be compared with.
    """
    if len(counts) < 2:
        return []
    p_values = []
    for index, one in enumerate(counts):
        evidence = min(_log_evidence(one, other) for rival, other in enumerate(counts) if rival != index)
        p_values.append(_p_value(evidence))
    return p_values


def confidence_sequence(item: Counts, mistakes: float) -> tuple[float, float]:
    """Return an interval of the rate that may be looked at at any time, as often as one likes.

    The probability that it ever fails to hold the true rate is at most `mistakes`: it holds those rates against which
    the mixture over Jeffreys' prior has not yet gathered evidence of 1 / mistakes (Robbins 1970).

    Args:
        item: What was observed.
        mistakes: Such as 0.01.
    """
    enough = _log_mixture(item) + log(mistakes)

    def bound(outside: float) -> float:
        inside = item.successes / item.trials if item.trials else 0.5
        for _ in range(60):
            middle = (inside + outside) / 2
            if not 0 < middle < 1:
                break
            likelihood = item.successes * log(middle) + item.failures * log1p(-middle)
            inside, outside = (middle, outside) if likelihood > enough else (inside, middle)
        return outside

    return bound(0.0), bound(1.0)


def split_p_value(observed: Sequence[int], weights: Sequence[float]) -> float | None:
    """Return an always-valid p-value of "units were split as intended" (no sample ratio mismatch).

    The multinomial likelihood of the intended shares against its mixture over a Dirichlet distribution that is centred
    on them (Lindon and Malek, equation 8). Its pseudo-counts say how far from them splits are looked for: a hundred
    find deviations of a point soonest.

    Args:
        observed: Units that each group got.
        weights: Intended shares, in any scale.

    Returns:
        The p-value; None for fewer than two groups.
    """
    if len(observed) < 2:
        return None
    scale = _CONCENTRATION / sum(weights)
    concentrations = [weight * scale for weight in weights]
    total = sum(concentrations)
    evidence = lgamma(total) - lgamma(total + sum(observed))
    for count, concentration in zip(observed, concentrations, strict=True):
        evidence += lgamma(concentration + count) - lgamma(concentration) - count * log(concentration / total)
    return _p_value(evidence)


def _log_mixture(item: Counts) -> float:
    """Return the log likelihood of the observed sequence, averaged over Jeffreys' prior."""
    return log_beta(_JEFFREYS + item.successes, _JEFFREYS + item.failures) - log_beta(_JEFFREYS, _JEFFREYS)


def _log_evidence(one: Counts, other: Counts) -> float:
    """Return the log likelihood ratio of "the rates differ" to "they are equal"; 0 unless `one` is ahead.

    The mixture sequential probability ratio test of Johari et al. (equation 10 with the pooled variance), written with
    z, the usual statistic of two proportions, and r, the weight of the data against the prior of the difference.
    """
    ahead = one.successes * other.trials - other.successes * one.trials
    if ahead <= 0:
        return 0.0
    trials = one.trials + other.trials
    rate = (one.successes + other.successes) / trials
    size = one.trials * other.trials / trials
    if size == 0 or rate == 1:
        return 0.0
    difference = ahead / (one.trials * other.trials)
    z_squared = difference * difference * size / (rate * (1 - rate))
    r = size / (size + _PRIOR_SIZE)
    return z_squared * r / 2 + log1p(-r) / 2


def _p_value(log_evidence: float) -> float:
    return exp(-log_evidence) if log_evidence > 0 else 1.0
