"""Tests that judge the same data at every look: this project's, GrowthBook's, the mSPRT and a fixed one."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt

from ml_monitoring.exporter.inference import ArmCounts, Batch, EffectKind, Sums
from ml_monitoring.exporter.inference.metric import MetricDesign, MetricState
from tools.soundness.experiments.worlds import BATCH, Array, Observed

ALPHA = 0.05
_TWO_SIDED = 1.959964
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
        variance = mean * (1 - mean) if kind == "proportion" else (q - s * s / n) / (n - 1)
    return n[:, 0], n[:, 1], mean[:, 0], mean[:, 1], variance[:, 0], variance[:, 1]


def _first(hit: npt.NDArray[np.bool_]) -> Answer:
    found = np.flatnonzero(hit)
    return int(found[0]) if len(found) else None


def growthbook(observed: Observed, kind: str, tuning: float = 5000.0) -> Answer:
    """Judge as `gbstats` 0.8.0 does with its defaults: `SequentialTwoSidedTTest` of the relative difference."""
    n0, n1, m0, m1, v0, v1 = _moments(observed, kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = v1 / n1 / m0**2 + v0 / n0 * m1**2 / m0**4
        estimate = (m1 - m0) / m0
        n = n0 + n1
        rho2 = (-2 * log(ALPHA) + np.log(-2 * log(ALPHA) + 1)) / tuning
        grown = n * rho2 + 1
        width = np.sqrt(variance * n) * np.sqrt(2 * grown * np.log(np.sqrt(grown) / ALPHA) / (n * n * rho2))
        # It says nothing while a variance is 0.
        return _first((np.abs(estimate) > width) & (v0 > 0) & (v1 > 0))


def msprt(observed: Observed, kind: str, tau2: float = 0.01**2) -> Answer:
    """Judge by the mixture sequential probability ratio test of Johari et al. on cumulated counts."""
    n0, n1, m0, m1, v0, v1 = _moments(observed, kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "proportion":
            pooled = (n0 * m0 + n1 * m1) / (n0 + n1)
            v0 = v1 = pooled * (1 - pooled)
        scale = v0 / n0 + v1 / n1
        tau2 = tau2 if kind == "proportion" else 0.05**2
        evidence = 0.5 * np.log(scale / (scale + tau2)) + (m1 - m0) ** 2 * tau2 / (2 * scale * (scale + tau2))
        return _first((evidence >= -log(ALPHA)) & (v0 > 0) & (v1 > 0))


def fixed(observed: Observed, kind: str) -> Answer:
    """Judge once, at the end, as a test with a fixed length does."""
    n0, n1, m0, m1, v0, v1 = _moments(observed, kind)
    z = (m1[-1] - m0[-1]) / np.sqrt(v0[-1] / n0[-1] + v1[-1] / n1[-1])
    return len(n0) - 1 if abs(z) > _TWO_SIDED else None


RIVALS = {"growthbook": growthbook, "msprt": msprt, "fixed": fixed}
