"""Conditions under which experiments run: what each batch counts, with and without a difference between the arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BATCH = 300.0
CELLS = 32
PROPORTION = "proportion"
MEAN = "mean"
RATE = "rate"
ALL = (PROPORTION, MEAN, RATE)
# Observations of means are skewed, as times and money are.
SKEW = 1.0
_PART = 125
_BASES = {PROPORTION: 0.05, MEAN: 1.0, RATE: 0.2}


@dataclass(frozen=True, slots=True)
class Observed:
    """Counts of an experiment, by batch and arm; the baseline is the first one.

    Attributes:
        trials: Observations.
        total: Sum of them.
        squares: Sum of their squares.
        shares: Intended shares.
        cells: The three sums by cell of users as well: batch, arm, cell, sum.
        replicas: The three sums by process: batch, arm, process, sum.
    """

    trials: Array
    total: Array
    squares: Array
    shares: Array
    cells: Array | None = None
    replicas: Array | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that happens to experiments.

    Attributes:
        name: In a table.
        words: What it is.
        draw: Returns what was observed, for a generator, a kind of metric and a relative effect.
        user: Whether users are randomised.
        kinds: Kinds of metric that it makes sense for.
        limit: Whether no counts can tell it from an effect, so that more is decided than promised.
    """

    name: str
    words: str
    draw: Callable[[np.random.Generator, str, float], Observed]
    user: bool = False
    kinds: tuple[str, ...] = (PROPORTION, MEAN)
    limit: bool = False


def parts_of(experiments: int) -> list[int]:
    """Return the sizes of parts that share a generator each, so that more experiments begin with the same ones."""
    return [min(_PART, experiments - begin) for begin in range(0, experiments, _PART)]


def sums_of(
    rng: np.random.Generator, kind: str, trials: Array, level: Array, skew: float = SKEW
) -> tuple[Array, Array]:
    """Return the sum and the sum of squares of so many observations with these means.

    Means are of a lognormal distribution, drawn one by one. Events of a rate are those of a Poisson process; the
    squares of how many each unit of exposure saw, which only rivals ask for, are as expected.
    """
    if kind == PROPORTION:
        total = rng.binomial(trials.astype(int), np.clip(level, 0, 1)).astype(float)
        return total, total
    if kind == RATE:
        total = rng.poisson(np.maximum(level * trials, 0)).astype(float)
        return total, total + total * np.maximum(total - 1, 0) / np.maximum(trials, 1)
    counts = trials.astype(int).ravel()
    values = rng.lognormal(-skew * skew / 2, skew, counts.sum())
    edges = np.concatenate([[0], np.cumsum(counts)])
    sums, squares = (np.diff(np.concatenate([[0.0], np.cumsum(part)])[edges]) for part in (values, values**2))
    scale = np.broadcast_to(level, trials.shape)
    return sums.reshape(trials.shape) * scale, squares.reshape(trials.shape) * scale**2


def split(rng: np.random.Generator, traffic: Array, shares: Array) -> Array:
    """Return the requests of each arm, for Poisson traffic a batch."""
    return rng.poisson(traffic[:, None] * shares).astype(float)


def base(kind: str) -> float:
    """Return the mean of an observation."""
    return _BASES[kind]


def plain(
    *,
    batches: int = 288,
    traffic: float = 100.0,
    shares: tuple[float, float] = (0.5, 0.5),
    rate: float | None = None,
    skew: float = SKEW,
) -> Callable[[np.random.Generator, str, float], Observed]:
    """Return independent requests at a constant rate."""

    def draw(rng: np.random.Generator, kind: str, effect: float) -> Observed:
        all_shares = np.tile(shares, (batches, 1))
        trials = split(rng, np.full(batches, traffic), all_shares)
        level = (rate or base(kind)) * np.array([1.0, 1.0 + effect]) * np.ones((batches, 1))
        return Observed(trials, *sums_of(rng, kind, trials, level, skew), all_shares)

    return draw


def curve(batches: int) -> Array:
    """Return a daily curve with a trend."""
    time = np.arange(batches)
    return 1 + 0.6 * np.sin(2 * np.pi * time / 288) + 0.4 * time / batches


def drift(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """A daily curve and a trend, in traffic and in rates."""
    batches = 576
    course = curve(batches)
    shares = np.tile([0.5, 0.5], (batches, 1))
    trials = split(rng, 60 * course, shares)
    level = base(kind) * course[:, None] * np.array([1.0, 1.0 + effect])
    return Observed(trials, *sums_of(rng, kind, trials, level), shares)


def ramp(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """10 % of the traffic in the good hours, half of it in the bad ones, and back."""
    batches = 576
    course = curve(batches)
    part = np.where(course > 1.2, 0.1, 0.5)
    shares = np.stack([1 - part, part], axis=1)
    trials = split(rng, np.full(batches, 60.0), shares)
    level = base(kind) * course[:, None] * np.array([1.0, 1.0 + effect])
    return Observed(trials, *sums_of(rng, kind, trials, level), shares)


def thompson(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """Traffic in proportion to the probability of being best, after each batch, while rates drift."""
    batches, floor = 576, 0.1
    course = curve(batches)
    rows = []
    good, count, square = np.zeros(2), np.zeros(2), np.zeros(2)
    for batch in range(batches):
        if count.min() < 20:
            part = 0.5
        else:
            mean = good / count
            spread = np.maximum(square / count - mean**2, 1e-4) / count
            part = float(
                np.mean(rng.normal(mean[1], spread[1] ** 0.5, 200) > rng.normal(mean[0], spread[0] ** 0.5, 200))
            )
        part = floor / 2 + (1 - floor) * part
        shares = np.array([[1 - part, part]])
        trials = split(rng, np.array([60.0]), shares)
        level = base(kind) * course[batch] * np.array([[1.0, 1.0 + effect]])
        total, squares = sums_of(rng, kind, trials, level)
        good, count, square = good + total[0], count + trials[0], square + squares[0]
        rows.append((trials[0], total[0], squares[0], shares[0]))
    return Observed(*(np.array(part) for part in zip(*rows, strict=True)))


def late_arm(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """The arm starts on the second day, when rates have changed."""
    observed = drift(rng, kind, effect)
    late = np.arange(len(observed.trials)) < 200
    trials, total, squares, shares = (
        part.copy() for part in (observed.trials, observed.total, observed.squares, observed.shares)
    )
    for part in (trials, total, squares, shares):
        part[late, 1] = 0
    return Observed(trials, total, squares, shares)


def users(
    *, returning: bool, failing: float = 0.01, cells_kept: int = CELLS
) -> Callable[[np.random.Generator, str, float], Observed]:
    """Return users who keep their arm and make many requests; some of them always fail."""

    def draw(rng: np.random.Generator, kind: str, effect: float) -> Observed:
        batches, people = 144, 3000
        arm = rng.integers(0, 2, people)
        cell = rng.integers(0, cells_kept, people)
        requests = rng.integers(5, 21, people)
        if kind == PROPORTION:
            level = np.where(rng.random(people) < failing, 1.0, rng.beta(1, 24, people) * (1 + effect * arm))
        else:
            level = base(kind) * rng.lognormal(-0.32, 0.8, people) * (1 + effect * arm)
        start = np.sort(rng.integers(0, batches, people))
        who = np.repeat(np.arange(people), requests)
        # A session of half an hour, or requests until the end.
        length = batches - start if returning else np.full(people, 6)
        when = start[who] + (rng.random(len(who)) * length[who]).astype(int)
        keep = when < batches
        who, when = who[keep], when[keep]
        mean = level[who]
        if kind == PROPORTION:
            value = (rng.random(len(who)) < mean) * 1.0
        elif kind == RATE:
            value = rng.poisson(mean).astype(float)
        else:
            value = mean * rng.lognormal(-0.125, 0.5, len(who))
        cells = np.zeros((batches, 2, cells_kept, 3))
        index = (when, arm[who], cell[who])
        for place, part in enumerate((np.ones(len(who)), value, value**2)):
            np.add.at(cells[..., place], index, part)
        whole = cells.sum(axis=2)
        return Observed(whole[..., 0], whole[..., 1], whole[..., 2], np.full((batches, 2), 0.5), cells)

    return draw


def retries(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """Outages of twenty minutes in which half of the requests fail and each failure is tried five times again."""
    batches = 288
    shares = np.full((batches, 2), 0.5)
    trials = split(rng, np.full(batches, 100.0), shares)
    level = base(kind) * np.array([1.0, 1.0 + effect]) * np.ones((batches, 1))
    total, squares = sums_of(rng, kind, trials, level)
    for begin in rng.choice(batches - 4, 6, replace=False):
        out = slice(begin, begin + 4)
        hit = rng.binomial(trials[out].astype(int), 0.5).astype(float)
        # Each of them six times, as failures or as seconds lost.
        trials[out] += 5 * hit
        total[out] += 6 * hit * (1 if kind == PROPORTION else 3)
        squares[out] += 6 * hit * (1 if kind == PROPORTION else 9)
        if kind == PROPORTION:
            total[out] = np.minimum(total[out], trials[out])
            squares[out] = total[out]
    return Observed(trials, total, squares, shares)


def batched(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """Each outcome is counted five times: requests come in batches of five that succeed or fail together."""
    observed = plain(traffic=20.0)(rng, kind, effect)
    return Observed(observed.trials * 5, observed.total * 5, observed.squares * 5, observed.shares)


def late_rows(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """Outcomes of the last minute of a batch are counted in the next one; one arm's more often."""
    observed = drift(rng, kind, effect)

    def late(part: Array) -> Array:
        moved = part * np.array([0.1, 0.2])
        if kind != MEAN:
            moved = np.floor(moved + rng.random(moved.shape))
        moved[-1] = 0
        kept: Array = part - moved + np.concatenate([np.zeros((1, 2)), moved[:-1]])
        return kept

    total, squares = late(observed.total), late(observed.squares)
    if kind == PROPORTION:
        total = np.minimum(total, observed.trials)
        squares = total
    return Observed(observed.trials, total, squares, observed.shares)


def resets(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """Processes restart: of an arm's batch a part is lost, of both sums alike."""
    observed = plain()(rng, kind, effect)
    lost = np.where(rng.random(observed.trials.shape) < 0.1, rng.random(observed.trials.shape), 1.0)
    if kind == PROPORTION:
        total = rng.binomial(observed.total.astype(int), lost).astype(float)
        rest = rng.binomial((observed.trials - observed.total).astype(int), lost).astype(float)
        return Observed(total + rest, total, total, observed.shares)
    trials = np.floor(observed.trials * lost)
    level = base(kind) * np.array([1.0, 1.0 + effect]) * np.ones((len(trials), 1))
    return Observed(trials, *sums_of(rng, kind, trials, level), observed.shares)


def replica(
    *, named: bool, hours: float, extra: float = 0.5, after: float = 8.0
) -> Callable[[np.random.Generator, str, float], Observed]:
    """Return a process of the arm, one of four, that fails for some hours."""

    def draw(rng: np.random.Generator, kind: str, effect: float) -> Observed:
        batches, count = 432, 4
        shares = np.full((batches, 2), 0.5)
        trials = rng.poisson(100.0 / 2 / count, (batches, 2, count)).astype(float)
        level = base(kind) * np.array([1.0, 1.0 + effect])[None, :, None] * np.ones((batches, 1, count))
        begin = int(rng.uniform(after * 0.5, after * 1.5) * 12)
        level[begin : begin + int(hours * 12), 1, 0] += extra * (4 if kind == MEAN else 1)
        total, squares = sums_of(rng, kind, trials, level)
        replicas = np.stack([trials, total, squares], axis=-1)
        whole = replicas.sum(axis=2)
        return Observed(whole[..., 0], whole[..., 1], whole[..., 2], shares, None, replicas if named else None)

    return draw


def noisy(*, traffic: float, factor: float) -> Callable[[np.random.Generator, str, float], Observed]:
    """Return arms whose rates vary from batch to batch on their own, so that variances are so many times as large."""

    def draw(rng: np.random.Generator, kind: str, effect: float) -> Observed:
        batches = 288
        shares = np.full((batches, 2), 0.5)
        trials = split(rng, np.full(batches, traffic), shares)
        mean = base(kind)
        variance = {PROPORTION: mean * (1 - mean), MEAN: np.exp(SKEW**2) - 1, RATE: mean}[kind]
        extra = np.sqrt((factor - 1) * variance / (traffic / 2))
        level = (mean + extra * rng.standard_normal(trials.shape)) * np.array([1.0, 1.0 + effect])
        level = np.clip(level, 0, 1) if kind == PROPORTION else np.maximum(level, 0)
        return Observed(trials, *sums_of(rng, kind, trials, level), shares)

    return draw


def unequal(rng: np.random.Generator, kind: str, effect: float) -> Observed:
    """A tenth of the traffic on an arm with the same mean and four times the variance."""
    batches = 288
    shares = np.tile([0.9, 0.1], (batches, 1))
    trials = split(rng, np.full(batches, 100.0), shares)
    totals, squares = np.zeros_like(trials), np.zeros_like(trials)
    for arm, skew in enumerate((0.6, 1.1)):
        level = np.full((batches, 1), base(kind) * (1 + effect * arm))
        total, square = sums_of(rng, kind, trials[:, arm : arm + 1], level, skew)
        totals[:, arm], squares[:, arm] = total[:, 0], square[:, 0]
    return Observed(trials, totals, squares, shares)


CONDITIONS = (
    Condition("clean", "independent requests at a constant rate", plain(), kinds=ALL),
    Condition(
        "rare",
        "a rate of 0.1 %, a tenth of the traffic on the arm",
        plain(rate=0.001, shares=(0.9, 0.1), traffic=400),
        kinds=(PROPORTION, RATE),
    ),
    Condition(
        "frequent",
        "a rate of 99 %, a tenth of the traffic on the arm",
        plain(rate=0.99, shares=(0.9, 0.1)),
        kinds=(PROPORTION,),
    ),
    Condition(
        "quiet", "two requests in five minutes", plain(traffic=2.0, rate=0.3, batches=2016), kinds=(PROPORTION, RATE)
    ),
    Condition("busy", "20,000 requests in five minutes", plain(traffic=20000.0), kinds=(PROPORTION,)),
    Condition(
        "heavy tail",
        "observations of a standard deviation of three means, a tenth of the traffic on the arm",
        plain(skew=1.5, shares=(0.9, 0.1)),
        kinds=(MEAN,),
    ),
    Condition(
        "unequal",
        "the arm has a tenth of the traffic, the same mean and four times the variance",
        unequal,
        kinds=(MEAN,),
    ),
    Condition("drift", "a daily curve of 60 % and a trend", drift, kinds=ALL),
    Condition("ramp", "the share of the arm changes between 10 % and 50 % while rates drift", ramp, kinds=ALL),
    Condition("Thompson", "shares follow the probability of being best, while rates drift", thompson, kinds=ALL),
    Condition("late arm", "the arm starts 17 hours later, while rates drift", late_arm, kinds=ALL),
    Condition(
        "users",
        "users with 5 to 20 requests in half an hour, 1 % of whom always fail",
        users(returning=False),
        user=True,
        kinds=ALL,
    ),
    Condition("users who return", "the same, over hours", users(returning=True), user=True),
    Condition("retries", "six outages in a day, in which each failure is tried five times again", retries),
    Condition("batches", "requests succeed or fail by fives", batched, kinds=ALL),
    Condition(
        "late rows",
        "a tenth or a fifth of the outcomes is counted five minutes late, while rates drift",
        late_rows,
        kinds=ALL,
    ),
    Condition("resets", "every tenth batch of an arm loses a part", resets, kinds=ALL),
    Condition(
        "overdispersed",
        "rates vary by arm and batch: three times the variance",
        noisy(traffic=100, factor=3),
        kinds=ALL,
    ),
    Condition(
        "overdispersed and busy",
        "the same with 2,000 requests in five minutes",
        noisy(traffic=2000, factor=3),
        kinds=ALL,
    ),
    Condition(
        "replica",
        "one of four processes of the arm fails for five hours, processes are known",
        replica(named=True, hours=5),
        kinds=ALL,
    ),
    Condition("replica unnamed", "the same, processes are not known", replica(named=False, hours=5), kinds=ALL),
    Condition("replica for good", "it fails until the end, processes are known", replica(named=True, hours=100)),
    Condition(
        "replica for good, unnamed", "it fails until the end, processes are not known", replica(named=False, hours=100)
    ),
)
