"""How much evidence a standardised difference is, when one may look at any time.

The evidence is Robbins' mixture of likelihood ratios of a Brownian motion: under no difference the probability that it
*ever* reaches 1 / alpha is at most alpha. Sums of independent batches, cells or users become such a motion as they grow
(Waudby-Smith et al., theorem 2.2), with the variance estimated from the data. Three mixtures are averaged: a wide one
that finds what is large soon, narrow ones that lose little on what is small.

Sources:
- H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 41, 1970.
- I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic
  confidence sequences", Annals of Statistics 52(6), 2024.
- A. Ramdas, P. Gruenwald, V. Vovk, G. Shafer, "Game-theoretic statistics and safe anytime-valid inference",
  Statistical Science 38(4), 2023: e-values, and averages of them.
- M. Perez-Ortiz, T. Lardy, R. de Heide, P. Gruenwald, "E-statistics, group invariance and anytime-valid testing",
  Annals of Statistics 52(4), 2024: the t-test.
- P. Hall, "On the removal of skewness by transformation", JRSS B 54, 1992.
- E. Wilson, M. Hilferty, "The distribution of chi-square", PNAS 17, 1931.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erf, exp, log, log1p, sqrt
from typing import Final

# Information at which a mixture is centred, with its weight. In events (successes times failures' share) for
# proportions and rates: 1 is sharpest for what shows after a dozen, 40 after some hundreds, 800 after some thousands.
MIXTURE: Final = ((1.0, 0.45), (40.0, 0.3), (800.0, 0.25))
# Observations of a mean that count as one of these: sums of what may have a long tail are normal later.
PER_INFORMATION: Final = 40.0
# What a sum over blocks whose own distribution is not known, such as rows that come by fives, counts as one of these.
PER_UNKNOWN: Final = 6.0
# Degrees of freedom of a variance that is known.
INDEPENDENT: Final = 1e9
# Beyond that many standard errors nothing is looked for.
_FARTHEST: Final = 1e6
_HALVINGS: Final = 40
_NO_SKEWNESS: Final = 1e-6


def log_e_value(
    t: float, freedom: float, information: float, mixture: Sequence[tuple[float, float]] = MIXTURE
) -> float:
    """Return the logarithm of the evidence against "no difference".

    It is the ratio of the density of Student's t, widened by what the mixture expects of a difference, to that without
    one: with a variance that is estimated from replicates it is a test martingale of its own (Perez-Ortiz et al.).

    Args:
        t: The difference in estimated standard errors.
        freedom: Degrees of freedom of the estimate.
        information: 1 / the squared standard error, in the units of the mixture.
        mixture: Centres and weights; the weights add up to 1.
    """
    terms = []
    square = t * t / freedom
    for centre, weight in mixture:
        rest = centre / (information + centre)
        terms.append(log(weight * sqrt(rest)) + (freedom + 1) / 2 * (log1p(square) - log1p(rest * square)))
    largest = max(terms)
    return largest + log(sum(exp(term - largest) for term in terms))


def boundary(
    freedom: float, information: float, alpha: float, mixture: Sequence[tuple[float, float]] = MIXTURE
) -> float:
    """Return the number of estimated standard errors at which the evidence is 1 / alpha; infinity if it never is."""
    enough = -log(alpha)
    low, high = 0.0, 4.0
    while log_e_value(high, freedom, information, mixture) < enough:
        low, high = high, high * 2
        if high > _FARTHEST:
            return float("inf")
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if log_e_value(middle, freedom, information, mixture) < enough:
            low = middle
        else:
            high = middle
    return high


def unskewed(t: float, skewness: float) -> float:
    """Return t as it would be if the total were not skewed, or t itself where that is nearer to 0.

    Where the tail is long to the right, few samples have seen it: their mean is too low and their variance too small,
    so that t is too often far below 0.
    """
    corrected = t + skewness * t * t / 3 + skewness * skewness * t**3 / 27 + skewness / 6
    if abs(corrected) >= abs(t):
        return t
    return corrected if corrected * t > 0 else 0.0


def skewed(t: float, skewness: float) -> float:
    """Return the inverse of `unskewed`: what has to be observed for t."""
    if abs(skewness) < _NO_SKEWNESS:
        return t
    cubed = 1 + skewness * (t - skewness / 6)
    root = abs(cubed) ** (1 / 3) * (1 if cubed > 0 else -1)
    observed = 3 / skewness * (root - 1)
    return observed if abs(observed) > abs(t) else t


def excess(ratio: float, freedom: float) -> float:
    """Return how many standard deviations a ratio of variances is above 1, with so many degrees of freedom."""
    spread = 2 / (9 * freedom)
    return float((max(ratio, 0.0) ** (1 / 3) - (1 - spread)) / sqrt(spread))


def normal_cdf(z: float) -> float:
    """Return the distribution function of the normal distribution."""
    return (1 + erf(z / sqrt(2))) / 2
