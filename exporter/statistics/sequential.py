"""Intervals that may be looked at at any time, as often as one likes, and stopped whenever one likes.

A usual interval holds for one look at a moment fixed beforehand; looked at every 15 seconds it misses the rate sooner
or later. The one here holds those rates against which a test martingale has little evidence: the probability that it
*ever* misses the true one is at most alpha (Ville's inequality). It needs no state and no planned length.

Sources:
- J. Ville, Etude critique de la notion de collectif, 1939; A. Ramdas, P. Gruenwald, V. Vovk, G. Shafer, "Game-theoretic
  statistics and safe anytime-valid inference", Statistical Science 38(4), 2023: always-valid p-values from martingales.
- H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 41, 1970: mixtures of
  likelihood ratios as martingales.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log, log1p

# Jeffreys' prior: within half of the logarithm of the sample size of the best choice made in hindsight.
_JEFFREYS = 0.5


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


def _log_mixture(item: Counts) -> float:
    """Return the log likelihood of the observed sequence, averaged over Jeffreys' prior."""
    return log_beta(_JEFFREYS + item.successes, _JEFFREYS + item.failures) - log_beta(_JEFFREYS, _JEFFREYS)
