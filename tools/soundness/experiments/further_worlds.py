"""More conditions: rare and frequent events, few and very active users, crawlers, restarts, outages of all arms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tools.soundness.experiments.worlds import (
    CELLS,
    PROPORTION,
    Array,
    Condition,
    Observed,
    base,
    plain,
    split,
    sums_of,
)

Draw = Callable[[np.random.Generator, str, float], Observed]


def _steady(rng: np.random.Generator, kind: str, effect: float, batches: int) -> tuple[Array, Array]:
    """Return requests, half of them on each arm, and their constant means."""
    trials = split(rng, np.full(batches, 100.0), np.full((batches, 2), 0.5))
    return trials, base(kind) * np.array([1.0, 1.0 + effect]) * np.ones((batches, 1))


def outage(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """For an hour most requests of both arms fail."""
    trials, level = _steady(rng, kind, effect, 288)
    begin = int(rng.integers(20, 250))
    level[begin : begin + 12] = 0.6 if kind == PROPORTION else 5.0
    return Observed(trials, *sums_of(rng, kind, trials, level), np.full(trials.shape, 0.5))


def restarts(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """Each arm is restarted three times, and fails for ten minutes each time."""
    trials, level = _steady(rng, kind, effect, 576)
    for arm in (0, 1):
        for begin in rng.integers(10, 566, 3):
            level[begin : begin + 2, arm] = 0.4 if kind == PROPORTION else 4.0
    return Observed(trials, *sums_of(rng, kind, trials, level), np.full(trials.shape, 0.5))


def crawlers(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """Now and then a crawler makes three hundred requests in a quarter of an hour, all alike."""
    trials, level = _steady(rng, kind, effect, 576)
    # Of proportions both are the same array.
    total, squares = (part.copy() for part in sums_of(rng, kind, trials, level))
    for begin in np.flatnonzero(rng.random(573) < 0.02):
        arm = rng.integers(0, 2)
        good, bad = (1.0, 0.0) if kind == PROPORTION else (3.0, 0.1)
        value = good if rng.random() < 0.3 else bad
        trials[begin : begin + 3, arm] += 100
        total[begin : begin + 3, arm] += 100 * value
        squares[begin : begin + 3, arm] += 100 * value * value
    return Observed(trials, total, squares, np.full(trials.shape, 0.5))


def regulars(*, people: int, tail: float) -> Draw:
    """Return users who differ, the number of whose requests has a tail (Pareto)."""

    def draw(rng: np.random.Generator, kind: str, effect: float) -> Observed:
        batches = 288
        arm, cell = rng.integers(0, 2, people), rng.integers(0, CELLS, people)
        requests = np.minimum(5 * rng.pareto(tail, people) + 1, 3000).astype(int)
        level = rng.beta(1, 10, people) if kind == PROPORTION else rng.lognormal(-0.32, 0.8, people)
        level *= 1 + effect * arm
        who = np.repeat(np.arange(people), requests)
        start = rng.integers(0, batches, people)[who]
        when = (start + rng.random(len(who)) * (batches - start)).astype(int)
        value = rng.random(len(who)) < level[who]
        values = value * 1.0 if kind == PROPORTION else level[who] * rng.lognormal(-0.125, 0.5, len(who))
        cells = np.zeros((batches, 2, CELLS, 3))
        for place, part in enumerate((np.ones(len(who)), values, values**2)):
            np.add.at(cells[..., place], (when, arm[who], cell[who]), part)
        whole = cells.sum(axis=2)
        return Observed(whole[..., 0], whole[..., 1], whole[..., 2], np.full((batches, 2), 0.5), cells)

    return draw


FURTHER = (
    Condition("one percent", "a rate of 1 %", plain(rate=0.01), kinds=(PROPORTION,)),
    Condition("99 percent", "a rate of 99 %", plain(rate=0.99), kinds=(PROPORTION,)),
    Condition("one of a hundred", "a hundredth of the traffic on the arm", plain(shares=(0.99, 0.01), traffic=400.0)),
    Condition("outage", "for an hour most requests of both arms fail", outage),
    Condition("restarts", "each arm is restarted three times and fails for ten minutes each time", restarts),
    Condition("crawlers", "now and then one makes three hundred requests, all alike", crawlers),
    Condition(
        "active users", "1,500, whose numbers of requests have a heavy tail", regulars(people=1500, tail=1.3), user=True
    ),
    Condition("few users", "120 who make many requests", regulars(people=120, tail=1.5), user=True),
)
