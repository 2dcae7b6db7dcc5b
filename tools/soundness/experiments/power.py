"""How soon differences are found where nothing is wrong with the data, beside published tests that keep their level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import inf
from statistics import median

import numpy as np
from scipy.stats import binomtest  # type: ignore[import-untyped]  # carries no types

from tools.soundness.experiments import methods
from tools.soundness.experiments.worlds import MEAN, PROPORTION, RATE, Observed, parts_of, split, sums_of

SEED = 20261209
# As that of the page: what keeps its level keeps it beyond this doubt.
_DOUBT = 0.001
TESTS: Mapping[str, Callable[[Observed, str], int | None]] = {
    "ours": methods.ours,
    "growthbook": methods.growthbook,
    "msprt": methods.msprt,
    "turner": methods.turner,
    "lindon": methods.lindon,
}
TUNED = "tuned"


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two arms whose observations are independent, at constant rates."""

    kind: str
    baseline: float
    arm: float
    traffic: float
    batches: int
    shares: tuple[float, float] = (0.5, 0.5)

    @property
    def name(self) -> str:
        """Return it in words."""
        split_words = "" if self.shares == (0.5, 0.5) else f", {self.shares[1]:.0%} of the traffic on the arm"
        scale, unit = (100, " %") if self.kind == PROPORTION else (1, "")
        return f"{self.baseline * scale:.4g}{unit} or {self.arm * scale:.4g}{unit}{split_words}"

    def draw(self, rng: np.random.Generator, *, differs: bool) -> Observed:
        """Return what is observed."""
        shares = np.tile(self.shares, (self.batches, 1))
        trials = split(rng, np.full(self.batches, self.traffic), shares)
        level = np.array([self.baseline, self.arm if differs else self.baseline]) * np.ones((self.batches, 1))
        return Observed(trials, *sums_of(rng, self.kind, trials, level), shares)


CONTRASTS = (
    Contrast(PROPORTION, 0.01, 0.03, 100, 200),
    Contrast(PROPORTION, 0.01, 0.006, 2000, 300, (0.9, 0.1)),
    Contrast(PROPORTION, 0.99, 0.97, 100, 250),
    Contrast(PROPORTION, 0.99, 1.0, 100, 200),
    Contrast(PROPORTION, 0.001, 0.0016, 4000, 300),
    Contrast(PROPORTION, 0.5, 0.52, 1000, 200),
    Contrast(PROPORTION, 0.05, 0.07, 100, 400),
    Contrast(PROPORTION, 0.05, 0.055, 1000, 400),
    Contrast(MEAN, 1.0, 1.2, 100, 288),
    Contrast(MEAN, 1.0, 1.05, 1000, 200),
    Contrast(RATE, 0.2, 0.26, 100, 288),
    Contrast(RATE, 0.01, 0.015, 1000, 288),
    Contrast(RATE, 2.0, 1.9, 100, 400, (0.8, 0.2)),
)


@dataclass(frozen=True, slots=True)
class PowerRow:
    """One contrast.

    Attributes:
        contrast: Its name.
        kind: Kind of metric.
        experiments: How many with a difference, and as many without.
        false: Share of those without that was ever decided, by test.
        batches: Median number of batches until the difference was found; None where fewer than half were.
    """

    contrast: str
    kind: str
    experiments: int
    false: Mapping[str, float]
    batches: Mapping[str, float | None]

    def keeps(self, name: str) -> bool:
        """Tell whether a test decided no more than promised, as far as chance explains."""
        decided = round(self.false[name] * self.experiments)
        chance = binomtest(decided, self.experiments, methods.ALPHA, alternative="greater").pvalue
        return float(chance) >= _DOUBT

    @property
    def ratio(self) -> float:
        """Return how many times as long as the best published test that keeps its level this project takes."""
        ours = self.batches["ours"]
        others = [
            count
            for name, count in self.batches.items()
            if name not in ("ours", TUNED) and count is not None and self.keeps(name)
        ]
        return inf if ours is None else ours / min(others, default=inf)

    def line(self) -> str:
        """Return it as a line for a terminal."""
        figures = "  ".join(
            f"{name} {self.false[name]:5.1%} {count or inf:6.1f}" for name, count in self.batches.items()
        )
        return f"power: {self.contrast:42}{self.kind:11}{figures}  ratio {self.ratio:.2f}"


def run(pool: ProcessPoolExecutor, experiments: int) -> list[PowerRow]:
    """Return what was measured of each contrast."""
    sizes = parts_of(experiments)
    rows = []
    for place in range(len(CONTRASTS)):
        null, found = (
            list(pool.map(partial(judge, place, differs=differs), sizes, range(len(sizes))))
            for differs in (False, True)
        )
        rows.append(row_of(place, null, found))
    return rows


def row_of(
    place: int, null: Iterable[Mapping[str, list[float]]], found: Iterable[Mapping[str, list[float]]]
) -> PowerRow:
    """Return the shares and medians of all parts."""
    contrast = CONTRASTS[place]
    nulls, founds = list(null), list(found)
    names = (*TESTS, TUNED)
    without = {name: [count for part in nulls for count in part[name]] for name in names}
    with_one = {name: [count for part in founds for count in part[name]] for name in names}
    return PowerRow(
        contrast.name,
        contrast.kind,
        len(without["ours"]),
        {name: sum(count < inf for count in counts) / len(counts) for name, counts in without.items()},
        {name: _median(counts) for name, counts in with_one.items()},
    )


def judge(place: int, experiments: int, seed: int, *, differs: bool) -> dict[str, list[float]]:
    """Return after how many batches each test decided, for each experiment."""
    contrast = CONTRASTS[place]
    rng = np.random.default_rng([SEED, seed, place, int(differs)])
    answers: dict[str, list[float]] = {name: [] for name in (*TESTS, TUNED)}
    for _ in range(experiments):
        observed = contrast.draw(rng, differs=differs)
        for name, test in TESTS.items():
            answers[name].append(_count(test(observed, contrast.kind)))
        answers[TUNED].append(_count(methods.msprt(observed, contrast.kind, contrast.arm - contrast.baseline)))
    return answers


def _count(answer: int | None) -> float:
    return inf if answer is None else answer + 1


def _median(counts: Sequence[float]) -> float | None:
    middle = median(counts)
    return None if middle == inf else middle
