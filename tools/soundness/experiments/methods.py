"""Tests that judge the same data at every look: this project's, GrowthBook's, the mSPRT and a fixed one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp, lgamma, log

import numpy as np
import numpy.typing as npt

from ml_monitoring.exporter.inference import ArmCounts, Batch, EffectKind, Sums
from ml_monitoring.exporter.inference.metric import MetricDesign, MetricState
from tools.soundness.experiments.worlds import BATCH, MEAN, PROPORTION, RATE, Array, Observed

ALPHA = 0.05
_TWO_SIDED = 1.959964
# Pseudo-counts of the mixture over splits that the usual sequential test takes.
_CONCENTRATION = 100.0
# Differences that the mSPRT expects.
_EXPECTED = {PROPORTION: 0.01, MEAN: 0.05, RATE: 0.02}
# The batch after which the arms are said to differ; None when never.
Answer = int | None


def ours(observed: Observed, kind: str, *, user: bool = False) -> Answer:
    """Judge as this project does, after each batch."""
    design = MetricDesign(EffectKind(kind), ("a", "b"), "a", randomised="user" if user else "request")
    state = MetricState(design)
    comparison = state._comparisons["b"]
    for index in range(len(observed.trials)):
        state.add(batch_of(observed, index))
        # Nothing is decided below 2.6 standard errors, whatever the evidence is made of.
        if comparison.log_e_value(at_least=2.6) >= -log(ALPHA) and not state.unanswerable():
            return index
    return None


def names_dispersion(observed: Observed, kind: str) -> bool:
    """Return whether this project says in the end that something varies more than chance explains."""
    state = MetricState(MetricDesign(EffectKind(kind), ("a", "b"), "a"))
    for index in range(len(observed.trials)):
        state.add(batch_of(observed, index))
    lift = state.lift("b", ALPHA)
    return lift is not None and any(item.suspicious for item in lift.dispersions)


def batch_of(observed: Observed, index: int) -> Batch:
    """Return one batch as the project reads it."""
    arms = {}
    for place, name in enumerate(("a", "b")):
        if observed.shares[index, place] == 0:
            continue
        sums = Sums(*(float(part[index, place]) for part in (observed.trials, observed.total, observed.squares)))
        cells, replicas = (
            {} if part is None else {f"{name}{key}": Sums(*row) for key, row in enumerate(part[index, place].tolist())}
            for part in (observed.cells, observed.replicas)
        )
        arms[name] = ArmCounts(sums, cells, replicas)
    return Batch(index * BATCH, (index + 1) * BATCH, arms)


def _moments(observed: Observed, kind: str) -> tuple[Array, Array, Array, Array, Array, Array]:
    n, s, q = (np.cumsum(part, axis=0) for part in (observed.trials, observed.total, observed.squares))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = s / n
        variance = mean * (1 - mean) if kind == PROPORTION else (q - s * s / n) / (n - 1)
    return n[:, 0], n[:, 1], mean[:, 0], mean[:, 1], variance[:, 0], variance[:, 1]


def _first(hit: npt.NDArray[np.bool_]) -> Answer:
    found = np.flatnonzero(hit)
    return int(found[0]) if len(found) else None


def growthbook(observed: Observed, kind: str, tuning: float = 5000.0, alpha: float = ALPHA) -> Answer:
    """Judge as `gbstats` 0.8.0 does with its defaults: `SequentialTwoSidedTTest` of the relative difference."""
    n0, n1, m0, m1, v0, v1 = _moments(observed, kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = v1 / n1 / m0**2 + v0 / n0 * m1**2 / m0**4
        estimate = (m1 - m0) / m0
        n = n0 + n1
        rho2 = (-2 * log(alpha) + np.log(-2 * log(alpha) + 1)) / tuning
        grown = n * rho2 + 1
        width = np.sqrt(variance * n) * np.sqrt(2 * grown * np.log(np.sqrt(grown) / alpha) / (n * n * rho2))
        # It says nothing while a variance is 0.
        return _first((np.abs(estimate) > width) & (v0 > 0) & (v1 > 0))


def msprt(observed: Observed, kind: str, tau: float | None = None) -> Answer:
    """Judge by the mixture sequential probability ratio test of Johari et al. on cumulated counts.

    Args:
        observed: Of an experiment.
        kind: Kind of metric.
        tau: Standard deviation of the differences that are expected.
    """
    n0, n1, m0, m1, v0, v1 = _moments(observed, kind)
    tau2 = (_EXPECTED[kind] if tau is None else tau) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind != MEAN:
            pooled = (n0 * m0 + n1 * m1) / (n0 + n1)
            v0 = v1 = pooled * (1 - pooled) if kind == PROPORTION else pooled
        scale = v0 / n0 + v1 / n1
        evidence = 0.5 * np.log(scale / (scale + tau2)) + (m1 - m0) ** 2 * tau2 / (2 * scale * (scale + tau2))
        return _first((evidence >= -log(ALPHA)) & (v0 > 0) & (v1 > 0))


def turner(observed: Observed, kind: str, prior: float = 0.18) -> Answer:
    """Judge proportions by the e-value for two streams of Turner, Ly and Gruenwald (2024), with their Beta priors."""
    if kind != PROPORTION:
        return None
    before_n = np.cumsum(observed.trials, axis=0) - observed.trials
    before_s = np.cumsum(observed.total, axis=0) - observed.total
    theta = (before_s + prior) / (before_n + 2 * prior)
    with np.errstate(divide="ignore", invalid="ignore"):
        both = (observed.trials * theta).sum(axis=1) / observed.trials.sum(axis=1)
        failed = observed.trials - observed.total
        evidence = observed.total * np.log(theta / both[:, None]) + failed * np.log((1 - theta) / (1 - both)[:, None])
        return _first(np.cumsum(np.nan_to_num(evidence).sum(axis=1)) >= -log(ALPHA))


def lindon(observed: Observed, kind: str) -> Answer:
    """Judge rates by the multinomial test of Lindon and Malek (2022): events are split as exposures are."""
    if kind != RATE:
        return None
    events, exposures = np.cumsum(observed.total, axis=0), np.cumsum(observed.trials, axis=0)
    for index in range(len(events)):
        if not exposures[index].all():
            continue
        if multinomial_p_value([int(value) for value in events[index]], exposures[index].tolist()) <= ALPHA:
            return index
    return None


def multinomial_p_value(observed: Sequence[int], weights: Sequence[float]) -> float:
    """Return the always-valid p-value of the usual test, for which each unit is drawn by itself.

    The multinomial likelihood of the intended shares against its mixture over a Dirichlet distribution that is centred
    on them (M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022, equation 8).

    Args:
        observed: Units that each group got.
        weights: Intended shares, in any scale.
    """
    concentrations = [weight * _CONCENTRATION / sum(weights) for weight in weights]
    total = sum(concentrations)
    evidence = lgamma(total) - lgamma(total + sum(observed))
    for count, concentration in zip(observed, concentrations, strict=True):
        evidence += lgamma(concentration + count) - lgamma(concentration) - count * log(concentration / total)
    return exp(-evidence) if evidence > 0 else 1.0


def fixed(observed: Observed, kind: str) -> Answer:
    """Judge once, at the end, as a test with a fixed length does."""
    n0, n1, m0, m1, v0, v1 = _moments(observed, kind)
    z = (m1[-1] - m0[-1]) / np.sqrt(v0[-1] / n0[-1] + v1[-1] / n1[-1])
    return len(n0) - 1 if abs(z) > _TWO_SIDED else None


RIVALS: Mapping[str, Callable[[Observed, str], Answer]] = {"growthbook": growthbook, "msprt": msprt, "fixed": fixed}
