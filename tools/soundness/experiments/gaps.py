"""More conditions: weeks, gaps, rows that come twice, shares of the day, few purchases, rates that wander."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tools.soundness.experiments.worlds import (
    ALL,
    MEAN,
    Array,
    Condition,
    Observed,
    base,
    curve,
    drift,
    replica,
    split,
    sums_of,
    users,
)

_DAY = 288


def _arms(effect: float) -> Array:
    return np.array([1.0, 1.0 + effect])


def _halves(rng: np.random.Generator, kind: str, level: Array, traffic: Array) -> Observed:
    """Return what is observed with half of the traffic on each arm."""
    shares = np.full((len(traffic), 2), 0.5)
    trials = split(rng, traffic, shares)
    return Observed(trials, *sums_of(rng, kind, trials, level), shares)


def week(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """Ten days with daily curves, at whose weekends there is a third of the traffic and another rate."""
    time = np.arange(10 * _DAY) + int(rng.integers(0, 7 * _DAY))
    weekend = time // _DAY % 7 >= 5
    daily = 1 + 0.6 * np.sin(2 * np.pi * time / _DAY)
    level = base(kind) * daily * np.where(weekend, 1.5, 1.0)
    return _halves(rng, kind, level[:, None] * _arms(effect), 20 * daily * np.where(weekend, 0.33, 1.0))


def silent_arm(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """The arm has no requests for six hours, while rates drift."""
    observed = drift(rng, kind, effect)
    begin = int(rng.integers(60, 400))
    for part in (observed.trials, observed.total, observed.squares):
        part[begin : begin + 72, 1] = 0
    return observed


def scrape_gap(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """For three hours nothing is scraped, and the next batch has all of it, twice, while rates drift."""
    observed = drift(rng, kind, effect)
    begins = int(rng.integers(40, 200)), int(rng.integers(300, 500))

    def gathered(part: Array) -> Array:
        part = part.copy()
        for begin in begins:
            part[begin + 36] = part[begin : begin + 37].sum(axis=0)
            part[begin : begin + 36] = 0
        return part

    return Observed(gathered(observed.trials), gathered(observed.total), gathered(observed.squares), observed.shares)


def daily_shares(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """The share of the arm is another one each day, and so is the rate."""
    parts = np.repeat([0.1, 0.5, 0.2, 0.8, 0.35], _DAY)
    shares = np.stack([1 - parts, parts], axis=1)
    trials = split(rng, np.full(len(parts), 40.0), shares)
    level = base(kind) * np.repeat([1.5, 0.7, 1.2, 0.6, 1.0], _DAY)[:, None] * _arms(effect)
    return Observed(trials, *sums_of(rng, kind, trials, level), shares)


def twice(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """A fifth of the rows, and one of twenty batches of an arm altogether, are written twice."""
    shares = np.full((_DAY, 2), 0.5)
    trials = split(rng, np.full(_DAY, 100.0), shares)
    level = base(kind) * _arms(effect) * np.ones((_DAY, 1))
    doubled = rng.binomial(trials.astype(int), 0.2).astype(float)
    again = 1.0 + (rng.random(trials.shape) < 0.05)
    once, more = (np.stack([count, *sums_of(rng, kind, count, level)]) for count in (trials - doubled, doubled))
    seen, total, squares = (once + 2 * more) * again
    return Observed(seen, total, squares, shares)


def purchases(*, share: float) -> Callable[[np.random.Generator, str, float], Observed]:
    """Return amounts that are 0 for 97 of 100, and skewed for others."""

    def draw(rng: np.random.Generator, kind: str, effect: float) -> Observed:
        shares = np.tile([1 - share, share], (_DAY, 1))
        trials = split(rng, np.full(_DAY, 200.0), shares)
        bought = rng.binomial(trials.astype(int), 0.03).astype(float)
        level = base(kind) / 0.03 * _arms(effect) * np.ones((_DAY, 1))
        return Observed(trials, *sums_of(rng, kind, bought, level), shares)

    return draw


def wander(*, together: bool, spread: float) -> Callable[[np.random.Generator, str, float], Observed]:
    """Return rates that wander, with an autocorrelation of an hour."""

    def draw(rng: np.random.Generator, kind: str, effect: float) -> Observed:
        kept = float(np.exp(-1 / 12))
        noise = rng.standard_normal((_DAY, 1 if together else 2))
        noise[1:] *= np.sqrt(1 - kept * kept)
        for batch in range(1, _DAY):
            noise[batch] += kept * noise[batch - 1]
        level = base(kind) * np.maximum(1 + spread * noise, 0) * _arms(effect)
        return _halves(rng, kind, level, np.full(_DAY, 100.0))

    return draw


def bursts(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """Traffic comes in bursts of ten times as much, at rates of their own."""
    burst = rng.random(_DAY) < 0.1
    level = base(kind) * (curve(_DAY) * np.where(burst, 1.5, 1.0))[:, None] * _arms(effect)
    return _halves(rng, kind, level, np.where(burst, 500.0, 50.0))


GAPS = (
    Condition("week", "ten days with daily curves and weekends of another rate", week, kinds=ALL),
    Condition("silent arm", "the arm has no requests for six hours, while rates drift", silent_arm),
    Condition("scrape gap", "three hours come in one batch, twice, while rates drift", scrape_gap, kinds=ALL),
    Condition("shares of the day", "the share of the arm and the rate are others each day", daily_shares, kinds=ALL),
    Condition("bursts", "a tenth of the batches has ten times the traffic, at another rate", bursts),
    Condition("written twice", "a fifth of the rows and a twentieth of an arm's batches come twice", twice, kinds=ALL),
    Condition("purchases", "amounts, 97 of 100 of which are 0", purchases(share=0.5), kinds=(MEAN,)),
    Condition("few purchases", "the same, a tenth of the traffic on the arm", purchases(share=0.1), kinds=(MEAN,)),
    Condition("eight cells", "users who return, in eight cells", users(returning=True, cells_kept=8), user=True),
    Condition(
        "wandering together", "rates of both arms wander alike, by 30 % within hours", wander(together=True, spread=0.3)
    ),
    Condition(
        "wandering apart",
        "rates of each arm wander on their own, by 15 % within hours",
        wander(together=False, spread=0.15),
        limit=True,
    ),
    Condition(
        "slight replica, unnamed",
        "one of four processes fails for ten of a hundred requests more, for good; processes are not known",
        replica(named=False, hours=100, extra=0.1),
        limit=True,
    ),
)
