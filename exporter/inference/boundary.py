"""How much evidence a standardised difference is, when one may look at any time.

The evidence is Robbins' mixture of likelihood ratios of a Brownian motion: under no difference the probability that it
*ever* reaches 1 / alpha is at most alpha. Sums of independent batches, cells or users become such a motion as they grow
(Waudby-Smith et al., theorem 2.2), with the variance estimated from the data. Two mixtures are averaged: a wide one
that finds what is large soon, a narrow one that loses little on what is small.

Sources:
- H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 41, 1970.
- I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic
  confidence sequences", Annals of Statistics 52(6), 2024.
- A. Ramdas, P. Gruenwald, V. Vovk, G. Shafer, "Game-theoretic statistics and safe anytime-valid inference",
  Statistical Science 38(4), 2023: e-values, and averages of them.
- D. Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", Ann. Math. Stat. 30,
  1959.
- E. Wilson, M. Hilferty, "The distribution of chi-square", PNAS 17, 1931.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erf, exp, expm1, log, log1p, sqrt
from typing import Final

# Information at which a mixture is centred, with its weight. In events (successes times failures' share) for
# proportions and rates, in observations for means: 10 is sharpest for what shows after a hundred, 400 after some
# thousands.
MIXTURE: Final = ((10.0, 0.6), (400.0, 0.4))
_LARGEST_EXPONENT = 700.0


def log_e_value(z: float, information: float, mixture: Sequence[tuple[float, float]] = MIXTURE) -> float:
    """Return the logarithm of the evidence against "no difference".

    Args:
        z: The difference in standard errors.
        information: What the standard error is made of: 1 / its square, in the units of the mixture.
        mixture: Centres and weights; the weights add up to 1.
    """
    terms = []
    for centre, weight in mixture:
        total = information + centre
        terms.append(log(weight) + log(centre / total) / 2 + z * z * information / (2 * total))
    largest = max(terms)
    return largest + log(sum(exp(term - largest) for term in terms))


def boundary(information: float, alpha: float, mixture: Sequence[tuple[float, float]] = MIXTURE) -> float:
    """Return the number of standard errors at which the evidence is 1 / alpha."""
    if information <= 0:
        return float("inf")
    enough = -log(alpha)
    # The evidence grows with z squared, and is convex in it: Newton's steps from the right do not overshoot.
    square = max(
        2 * (information + centre) / information * (enough - log(weight) + log1p(information / centre) / 2)
        for centre, weight in mixture
    )
    for _ in range(50):
        value = log_e_value(sqrt(square), information, mixture) - enough
        nudged = square * (1 + 1e-6)
        slope = (log_e_value(sqrt(nudged), information, mixture) - enough - value) / (square * 1e-6)
        step = value / slope
        square -= step
        if abs(step) < 1e-9 * square:
            break
    return sqrt(square)


def normal_of_t(t: float, freedom: float) -> float:
    """Return the normal deviate that is as improbable as Student's t (Wallace's approximation)."""
    z = sqrt(freedom * log1p(t * t / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)
    return z if t >= 0 else -z


def t_of_normal(z: float, freedom: float) -> float:
    """Return the inverse of `normal_of_t`."""
    widened = z * (8 * freedom + 3) / (8 * freedom + 1)
    exponent = widened * widened / freedom
    return sqrt(freedom * expm1(exponent)) if exponent < _LARGEST_EXPONENT else float("inf")


def excess(ratio: float, freedom: float) -> float:
    """Return how many standard deviations a ratio of variances is above 1, with so many degrees of freedom."""
    spread = 2 / (9 * freedom)
    return float((max(ratio, 0.0) ** (1 / 3) - (1 - spread)) / sqrt(spread))


def normal_cdf(z: float) -> float:
    """Return the distribution function of the normal distribution."""
    return (1 + erf(z / sqrt(2))) / 2
