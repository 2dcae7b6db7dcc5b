"""Splits that are as intended although they do not look like it, and one that is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from ml_monitoring.exporter.inference import ArmCounts, Batch, SplitState, Sums
from tools.soundness.experiments.methods import ALPHA, multinomial_p_value
from tools.soundness.experiments.worlds import BATCH, CELLS, Array, parts_of

# Another one for each set of figures, as that of the command line.
SEED = 20261211
_BATCHES = 288
_EVERY = 4
_BROKEN = 0.52
# Exposures by batch, arm and cell (one cell where users are not known), and intended shares by batch and arm.
_Drawn = tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class SplitRow:
    """One condition.

    Attributes:
        condition: Its name.
        words: What it is.
        experiments: How many.
        false: Share of those as intended that was ever said not to be, by test.
        found: Share of those with 52 % that was found.
    """

    condition: str
    words: str
    experiments: int
    false: Mapping[str, float]
    found: Mapping[str, float]

    def line(self) -> str:
        """Return it as a line for a terminal."""
        figures = "  ".join(f"{name} {self.false[name]:6.1%} {self.found[name]:4.0%}" for name in self.false)
        return f"split: {self.condition:30}{figures}"


def _independent(rng: np.random.Generator, share: float) -> _Drawn:
    shares = np.tile([1 - share, share], (_BATCHES, 1))
    return rng.poisson(100 * shares).astype(float)[:, :, None], np.full((_BATCHES, 2), 0.5)


def _changing(rng: np.random.Generator, share: float) -> _Drawn:
    intended = 0.5 + 0.45 * np.sin(np.arange(_BATCHES) / 20)
    actual = np.clip(intended + share - 0.5, 0.01, 0.99)
    counts = rng.poisson(100 * np.stack([1 - actual, actual], axis=1)).astype(float)
    return counts[:, :, None], np.stack([1 - intended, intended], axis=1)


def _suggested(rng: np.random.Generator, share: float) -> _Drawn:
    """As Thompson sampling suggests shares: by what was seen so far, at rates that drift."""
    rate = 0.05 * (1 + 0.6 * np.sin(2 * np.pi * np.arange(_BATCHES) / _BATCHES))
    good, seen = np.ones(2), np.full(2, 20.0)
    rows, intended = np.zeros((_BATCHES, 2)), np.zeros((_BATCHES, 2))
    for batch in range(_BATCHES):
        draws = rng.beta(good, seen - good, (200, 2))
        part = 0.05 + 0.9 * float(np.mean(draws[:, 1] > draws[:, 0]))
        intended[batch] = 1 - part, part
        actual = min(max(part + share - 0.5, 0.01), 0.99)
        rows[batch] = rng.poisson(100 * np.array([1 - actual, actual]))
        good += rng.binomial(rows[batch].astype(int), rate[batch])
        seen += rows[batch]
    return rows[:, :, None], intended


def _fives(rng: np.random.Generator, share: float) -> _Drawn:
    shares = np.tile([1 - share, share], (_BATCHES, 1))
    return 5 * rng.poisson(20 * shares).astype(float)[:, :, None], np.full((_BATCHES, 2), 0.5)


def _users(rng: np.random.Generator, share: float) -> _Drawn:
    people = 1500
    arm = (rng.random(people) < share).astype(int)
    requests = rng.integers(5, 36, people)
    start = rng.integers(0, _BATCHES, people)
    who = np.repeat(np.arange(people), requests)
    when = start[who] + (rng.random(len(who)) * (_BATCHES - start[who])).astype(int)
    counts = np.zeros((_BATCHES, 2, CELLS))
    np.add.at(counts, (when, arm[who], rng.integers(0, CELLS, people)[who]), 1)
    return counts, np.full((_BATCHES, 2), 0.5)


def _late(rng: np.random.Generator, share: float) -> _Drawn:
    counts, shares = _independent(rng, share)
    # A fifth of one arm's rows is read with the next batch.
    moved = np.floor(counts[:-1, 1] * 0.2)
    counts[:-1, 1] -= moved
    counts[1:, 1] += moved
    return counts, shares


SPLITS: tuple[tuple[str, str, Callable[[np.random.Generator, float], _Drawn]], ...] = (
    ("requests", "independent", _independent),
    ("changing shares", "the intended shares swing between 5 % and 95 %", _changing),
    ("suggested shares", "Thompson sampling says them after each batch", _suggested),
    ("fives", "rows come by fives", _fives),
    ("users", "who keep their arm and make 20 requests over a day, counted by cell", _users),
    ("late rows", "a fifth of one arm's rows comes a batch later", _late),
)


def run(pool: ProcessPoolExecutor, experiments: int, names: Sequence[str]) -> list[SplitRow]:
    """Return what was measured of each condition."""
    rows = []
    for place, (name, words, _draw) in enumerate(SPLITS):
        if names and f"split: {name}" not in names:
            continue
        shares = []
        for share in (0.5, _BROKEN):
            sizes = parts_of(experiments)
            merged = np.concatenate(list(pool.map(partial(judge, place, share), sizes, range(len(sizes)))))
            shares.append({"ours": float(merged[:, 0].mean()), "multinomial": float(merged[:, 1].mean())})
        rows.append(SplitRow(name, words, experiments, shares[0], shares[1]))
    return rows


def judge(place: int, share: float, experiments: int, seed: int) -> Array:
    """Return whether each test ever found a mismatch."""
    rng = np.random.default_rng([SEED, seed, place, int(share * 100)])
    found = np.zeros((experiments, 2))
    for number in range(experiments):
        counts, shares = SPLITS[place][2](rng, share)
        found[number] = _ours(counts, shares), _multinomial(counts, shares)
    return found


def _ours(counts: Array, shares: Array) -> bool:
    has_cells = counts.shape[2] > 1
    state = SplitState(("a", "b"), "user" if has_cells else "request")
    for index in range(_BATCHES):
        arms = {}
        for place, name in enumerate("ab"):
            row = counts[index, place].tolist()
            cells = {str(key): Sums(value, 0.0) for key, value in enumerate(row) if value} if has_cells else {}
            arms[name] = ArmCounts(Sums(sum(row), 0.0), cells)
        state.add(Batch(index * BATCH, (index + 1) * BATCH, arms, dict(zip("ab", shares[index].tolist(), strict=True))))
        if index % _EVERY == 0 or index == _BATCHES - 1:
            p_value = state.report().p_value
            if p_value is not None and p_value <= ALPHA:
                return True
    return False


def _multinomial(counts: Array, shares: Array) -> bool:
    """Judge all counts against the shares that were intended on average."""
    observed = np.cumsum(counts.sum(axis=2), axis=0)
    expected = np.cumsum(counts.sum(axis=(1, 2))[:, None] * shares, axis=0)
    for index in range(0, _BATCHES, _EVERY):
        if not observed[index].any():
            continue
        p_value = multinomial_p_value([int(value) for value in observed[index]], expected[index].tolist())
        if p_value <= ALPHA:
            return True
    return False
