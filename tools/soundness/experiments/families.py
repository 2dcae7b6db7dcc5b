"""Several arms, metrics and guardrails at once: how often anything is said of arms that are all alike."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from ml_monitoring.exporter.inference import (
    ArmCounts,
    Batch,
    EffectKind,
    Finding,
    MetricDesign,
    MetricState,
    Objective,
    Sums,
    decide,
)
from tools.soundness.experiments import methods
from tools.soundness.experiments.worlds import (
    BATCH,
    MEAN,
    PROPORTION,
    RATE,
    Array,
    Observed,
    base,
    curve,
    parts_of,
    split,
    sums_of,
)

SEED = 20261210
_BATCHES = 288
# The decision is asked for every two hours, which is what costs time here.
_EVERY = 24
_SAID = (Finding.BETTER, Finding.WORSE, Finding.BREACHED)


@dataclass(frozen=True, slots=True)
class FamilyRow:
    """One design.

    Attributes:
        words: What it is.
        experiments: How many.
        false: Share in which a test said of any arm that it differs: `goals` and `guardrails` of this project,
            GrowthBook with its level (`growthbook`) and with a part of it for each comparison (`bonferroni`).
    """

    words: str
    experiments: int
    false: Mapping[str, float]

    def line(self) -> str:
        """Return it as a line for a terminal."""
        return f"family: {self.words:60}" + "  ".join(f"{name} {share:6.1%}" for name, share in self.false.items())


@dataclass(frozen=True, slots=True)
class _Family:
    words: str
    shares: tuple[float, ...]
    goals: tuple[str, ...]
    guardrails: tuple[str, ...]


FAMILIES = (
    _Family(
        "three arms, two goals and two guardrails, while rates drift",
        (0.34, 0.33, 0.33),
        (PROPORTION, MEAN),
        (RATE, MEAN),
    ),
    _Family(
        "four arms of 70, 10, 10 and 10 %, three goals and two guardrails, while rates drift",
        (0.7, 0.1, 0.1, 0.1),
        (PROPORTION, MEAN, RATE),
        (PROPORTION, MEAN),
    ),
    _Family("four arms, ten goals", (0.25,) * 4, (PROPORTION,) * 6 + (MEAN,) * 4, ()),
)


def run(pool: ProcessPoolExecutor, experiments: int) -> list[FamilyRow]:
    """Return what was measured of each design."""
    rows = []
    sizes = parts_of(experiments)
    for place, family in enumerate(FAMILIES):
        found = np.concatenate(list(pool.map(partial(judge, place), sizes, range(len(sizes)))))
        names = ("goals", "guardrails", "growthbook", "bonferroni")
        shares = {name: float(found[:, column].mean()) for column, name in enumerate(names)}
        rows.append(FamilyRow(family.words, experiments, shares))
    return rows


def judge(place: int, experiments: int, seed: int) -> Array:
    """Return what each test ever said of arms that are alike."""
    family = FAMILIES[place]
    rng = np.random.default_rng([SEED, seed, place])
    found = np.zeros((experiments, 4))
    for number in range(experiments):
        metrics = {
            f"{role} {index}": (kind, _drawn(rng, family.shares, kind))
            for role, kinds in (("goal", family.goals), ("guardrail", family.guardrails))
            for index, kind in enumerate(kinds)
        }
        found[number, :2] = _ours(metrics, len(family.shares))
        goals = [
            Observed(*(part[:, [0, arm]] for part in (seen.trials, seen.total, seen.squares, seen.shares)))
            for name, (_, seen) in metrics.items()
            if name.startswith("goal")
            for arm in range(1, len(family.shares))
        ]
        kinds = [kind for kind in family.goals for _ in family.shares[1:]]
        for column, alpha in ((2, methods.ALPHA), (3, methods.ALPHA / len(goals))):
            decided = (methods.growthbook(each, kind, alpha=alpha) for each, kind in zip(goals, kinds, strict=True))
            found[number, column] = any(answer is not None for answer in decided)
    return found


def _drawn(rng: np.random.Generator, shares: tuple[float, ...], kind: str) -> Observed:
    intended = np.tile(shares, (_BATCHES, 1))
    course = curve(_BATCHES)
    trials = split(rng, 100 * course, intended)
    level = base(kind) * course[:, None] * np.ones(len(shares))
    return Observed(trials, *sums_of(rng, kind, trials, level), intended)


def _ours(metrics: Mapping[str, tuple[str, Observed]], count: int) -> tuple[bool, bool]:
    """Return whether any goal, and any guardrail, was ever said to differ."""
    arms = tuple("abcd"[:count])
    states = {name: MetricState(MetricDesign(EffectKind(kind), arms, "a")) for name, (kind, _) in metrics.items()}
    objectives = [Objective(name, guardrail=name.startswith("guardrail"), margin=0.0) for name in metrics]
    said = {False: False, True: False}
    for index in range(_BATCHES):
        for name, (_, seen) in metrics.items():
            counts = {
                arm: ArmCounts(Sums(*(float(part[index, place]) for part in (seen.trials, seen.total, seen.squares))))
                for place, arm in enumerate(arms)
            }
            states[name].add(Batch(index * BATCH, (index + 1) * BATCH, counts))
        if (index + 1) % _EVERY == 0:
            for finding in decide(objectives, states, alpha=methods.ALPHA).findings:
                said[finding.guardrail] |= finding.finding in _SAID
    return said[False], said[True]
