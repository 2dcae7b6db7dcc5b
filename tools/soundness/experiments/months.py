"""Months in which the candidate is as good as the baseline: is "roll out" ever said, when one looks every minute?

The rules that judge traffic (`alerting/experiments/recording.py`) and recommend (`business_recording.py`) are computed
in numpy, since Prometheus would take hours; `tests/alerting/experiments/test_months.py` compares both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.experiments.business_recording import RECOMMENDATIONS
from ml_monitoring.alerting.experiments.recording import VERDICTS
from ml_monitoring.alerting.generate.expanded import recorded_expressions
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter import durations
from tools.soundness.experiments.worlds import Array, parts_of
from tools.soundness.recorded import layers

# Another one for each set of figures, as that of the command line.
SEED = 20261213
DAYS: Final = 30
_DAY = 1440
_MINUTES = DAYS * _DAY
# How many percentage points more a candidate that is better gets right.
BETTER: Final = 0.03
# Requests a minute, of both variants.
LEVELS: Final = {"low": 1.0, "usual": 20.0, "high": 400.0}
# Of a test at 5 % that is meant for one look.
_FIXED = 1.959964
ROLL_OUT: Final = RECOMMENDATIONS.index("Roll out the candidate")
_TOO_EARLY = VERDICTS.index("Too early")

Codes: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened in each minute, by minute and variant, baseline first.

    Attributes:
        requests: That were answered or failed.
        failed: Of these.
        truths: That became known.
        right: Of these.
    """

    requests: Array
    failed: Array
    truths: Array
    right: Array


@dataclass(frozen=True, slots=True)
class MonthsRow:
    """What was said in months of one condition.

    Attributes:
        condition: Its name.
        words: What it is.
        level: Name of the amount of traffic.
        months: How many without a difference.
        false: Share of them in which "roll out" was ever said.
        fixed: Share of them in which a fixed test at 5 % ever called the candidate better.
        found: Share of months with a better candidate in which "roll out" was said.
        days: Median time until then, where it was.
        rules: Fingerprint of the rules.
        limit: Whether these rules cannot know better.
    """

    condition: str
    words: str
    level: str
    months: int
    false: float
    fixed: float
    found: float
    days: float | None
    rules: str
    limit: bool = False

    def line(self) -> str:
        """Return it as a line for a terminal."""
        days = "" if self.days is None else f" after {self.days:.1f} d"
        return (
            f"months: {self.condition:12}{self.level:6} roll out {self.false:6.2%}  "
            f"fixed {self.fixed:4.0%}  found {self.found:4.0%}{days}"
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """How months are made.

    Attributes:
        name: For the command line.
        words: What happens.
        draw: Makes the counts of a month; it gets the requests a minute, and by how much the candidate is better.
        levels: Names of the amounts of traffic.
        limit: Whether these rules cannot know better.
    """

    name: str
    words: str
    draw: Callable[[np.random.Generator, float, float], Counts]
    levels: Sequence[str] = tuple(LEVELS)
    limit: bool = False


def fingerprint(thresholds: Thresholds | None = None) -> str:
    """Return what changes with the rules that the recommendation is made of, and with their numbers."""
    recorded = recorded_expressions(thresholds or load_thresholds())
    name = ":business_recommendation:code"
    needed = {name}.union(*layers(recorded[name], recorded))
    text = json.dumps({one: recorded[one] for one in sorted(needed)})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _increase(counts: Array, window: int) -> Array:
    """Return the increase of counters over a window; they begin at 0 in the first minute."""
    total = counts.cumsum(axis=0)
    total[window:] -= total[:-window].copy()
    return total


def _minutes(duration: str) -> int:
    return round(durations.parse(duration) / 60)


def better_by_fixed_test(counts: Counts) -> NDArray[np.bool_]:
    """Return when a test that is meant for one look would call the candidate better."""
    trials, right = counts.truths.cumsum(axis=0), counts.right.cumsum(axis=0)
    share = (right + 1) / (trials + 2)
    with np.errstate(divide="ignore"):
        variance = (share * (1 - share) / trials).sum(axis=1)
    known = trials.min(axis=1) >= load_thresholds().ab_test.minimum_samples
    return np.asarray(known & (share[:, 1] - share[:, 0] > _FIXED * np.sqrt(variance)))


def recommendations(counts: Counts, thresholds: Thresholds | None = None) -> tuple[Codes, Codes]:
    """Return `:business_recommendation:code` and `origin:ab_test_verdict:code` after each minute.

    Args:
        counts: Of services whose response times do not differ.
        thresholds: Settings; the project's own by default.
    """
    numbers = thresholds or load_thresholds()
    test, business, split = numbers.ab_test, numbers.business, numbers.alerts["AbTestSampleRatioMismatch"]
    window, spread = _minutes(test.window), test.spread**2
    looks = np.log(max(1.0, durations.parse(test.duration) / durations.parse(test.window)))
    requests, failed = _increase(counts.requests, window), _increase(counts.failed, window)
    truths, right = _increase(counts.truths, window), _increase(counts.right, window)
    trials = {"errors": requests, "accuracy": truths}
    code, low, high = {}, {}, {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for metric, good in (("errors", requests - failed), ("accuracy", right)):
            share = (good + 1) / (trials[metric] + 2)
            variance = (share * (1 - share) / trials[metric]).sum(axis=1)
            difference = share[:, 1] - share[:, 0]
            total = variance + spread
            half = np.sqrt(
                2 * variance * total / spread * (looks - np.log(test.significance) + 0.5 * np.log(total / variance))
            )
            code[metric] = (difference < -half) + 2 * (difference > half)
            is_real = code[metric] > 0
            low[metric] = np.where(is_real, difference - half, 0)
            high[metric] = np.where(is_real, difference + half, 0)
        both = requests.sum(axis=1)
        # Against halves; both variants' shares vary as their product.
        squared = 2 * (requests**2).sum(axis=1) / both - both
        seen = both * spread / 0.25
        p_value = np.exp(np.minimum(looks + 0.5 * np.log1p(seen) - squared / 2 * seen / (1 + seen), 0))
    is_split_wrong = (p_value < split.threshold) & (requests.min(axis=1) >= split.parameters["minimum_samples"])
    fewest = np.minimum(requests.min(axis=1), truths.min(axis=1))
    # The first sample is of the first minute after the beginning.
    age = np.arange(len(fewest))
    verdict: Codes = np.select(
        [
            is_split_wrong,
            fewest < test.minimum_samples,
            (code["errors"] == 1) | (code["accuracy"] == 1),
            age < _minutes(test.minimum_duration) + 1,
            code["accuracy"] == 2,
        ],
        [4, _TOO_EARLY, 0, _TOO_EARLY, 3],
        2,
    )
    daily = _increase(counts.requests, _minutes(business.window)).sum(axis=1) * _DAY / _minutes(business.window)
    factor = {"percentage_point": 100, "ratio": 1}[business.accuracy_unit]

    def worth(bound: dict[str, Array]) -> Array:
        earned = business.base_volume * business.accuracy_revenue_multiplier * factor * bound["accuracy"]
        saved = business.error_cost_multiplier * bound["errors"] * daily
        return np.asarray(365 * (earned + saved) - business.infrastructure_annual_cost)

    is_better = verdict == VERDICTS.index("Candidate is better")
    said: Codes = np.select(
        [is_better & (worth(high) <= 0), is_better & (worth(low) <= 0)],
        [0, 2],
        verdict,
    )
    return said, verdict


def _answered(
    rng: np.random.Generator, traffic: Array, accuracy: Array, failing: Array | float, better: float
) -> Counts:
    """Return months with half of the traffic on each variant, and with the truth of half of the requests."""
    requests = rng.poisson(np.stack([traffic / 2, traffic / 2], axis=1))
    failed = rng.binomial(requests, np.broadcast_to(np.asarray(failing), accuracy.shape)[:, None])
    truths = rng.binomial(requests - failed, 0.5)
    right = rng.binomial(truths, np.clip(accuracy[:, None] + np.array([0, better]), 0, 1))
    return Counts(*(part.astype(float) for part in (requests, failed, truths, right)))


def _daily(rng: np.random.Generator) -> Array:
    """Return a curve over the day with a mean of 1 that begins at any hour."""
    return np.asarray(1 - 0.75 * np.cos(2 * np.pi * (np.arange(_MINUTES) / _DAY + rng.random())))


def _steady(rng: np.random.Generator, level: float, better: float) -> Counts:
    return _answered(rng, np.full(_MINUTES, level), np.full(_MINUTES, 0.8), 0.02, better)


def _days(rng: np.random.Generator, level: float, better: float) -> Counts:
    """Return days and weekends, at night and on weekends with other rates."""
    daily = _daily(rng)
    is_weekend = (np.arange(_MINUTES) // _DAY + int(rng.integers(7))) % 7 >= 5
    accuracy = 0.8 + 0.06 * (daily - 1) - 0.05 * is_weekend
    return _answered(rng, level * daily * np.where(is_weekend, 1 / 3, 1), accuracy, 0.01 * (1 + daily), better)


def _drifting(rng: np.random.Generator, level: float, better: float) -> Counts:
    """Return rates that wander by ten points in a month, bursts of traffic, and hours in which half of it fails."""
    daily = _daily(rng)
    steps = rng.standard_normal(_MINUTES).cumsum() / np.sqrt(_MINUTES)
    accuracy = np.clip(0.8 + 0.1 * steps + 0.04 * (daily - 1), 0.5, 0.96)
    is_down = np.repeat(rng.random(_MINUTES // 60) < 10 / (_MINUTES // 60), 60)
    failing = np.where(is_down, 0.5, 0.02)
    # A variance of 0.5 from minute to minute, which both variants share.
    return _answered(rng, level * daily * rng.gamma(2, 0.5, _MINUTES), accuracy, failing, better)


def _users(rng: np.random.Generator, level: float, better: float) -> Counts:
    """Return requests of a thousand users who keep their variant and differ in how often a prediction is right."""
    people = 1000
    variant = np.arange(people) % 2
    accuracy = np.clip(rng.beta(12, 3, people) + better * variant, 0, 1)
    when = np.repeat(np.arange(_MINUTES), rng.poisson(level * _daily(rng)))
    who = rng.integers(0, people, len(when))
    is_known = rng.random(len(when)) < 0.5
    is_right = is_known & (rng.random(len(when)) < accuracy[who])

    def counted(mask: NDArray[np.bool_]) -> Array:
        return np.bincount(2 * when[mask] + variant[who[mask]], minlength=2 * _MINUTES).reshape(-1, 2).astype(float)

    requests = counted(np.ones(len(when), dtype=np.bool_))
    return Counts(requests, np.zeros_like(requests), counted(is_known), counted(is_right))


CONDITIONS: Final = (
    Condition("steady", "independent requests at a constant rate", _steady),
    Condition("days", "traffic and rates with their curves over days and weeks", _days),
    Condition("drifting", "rates that wander, bursts, and hours in which both variants fail", _drifting),
    Condition(
        "users",
        "a thousand users who keep their variant, each with an accuracy of their own (0.8, standard deviation 0.1)",
        _users,
        # Drawn request by request: more would take long.
        levels=("low", "usual"),
        limit=True,
    ),
)


def run(pool: ProcessPoolExecutor, months: int, differences: int, names: Sequence[str]) -> list[MonthsRow]:
    """Return what was measured of each condition and level of traffic."""
    rows = []
    for place, condition in enumerate(CONDITIONS):
        if names and f"months: {condition.name}" not in names:
            continue
        for level in condition.levels:
            null = _merged(pool, place, level, 0.0, months)
            found = _merged(pool, place, level, BETTER, differences)
            rows.append(row_of(condition, level, null, found))
    return rows


def _merged(pool: ProcessPoolExecutor, place: int, level: str, better: float, months: int) -> Array:
    sizes = parts_of(months)
    return np.concatenate(list(pool.map(partial(judge, place, level, better), sizes, range(len(sizes)))))


def row_of(condition: Condition, level: str, null: Array, found: Array) -> MonthsRow:
    """Return the row of what `judge` gave without a difference and with one."""
    days = found[np.isfinite(found[:, 0]), 0] / _DAY
    return MonthsRow(
        condition.name,
        condition.words,
        level,
        len(null),
        float(np.isfinite(null[:, 0]).mean()),
        float(np.isfinite(null[:, 1]).mean()),
        float(np.isfinite(found[:, 0]).mean()),
        float(np.median(days)) if len(days) else None,
        fingerprint(),
        condition.limit,
    )


def judge(place: int, level: str, better: float, months: int, seed: int) -> Array:
    """Return after how many minutes "roll out" was first said, and a fixed test called the candidate better."""
    rng = np.random.default_rng([SEED, seed, place, [*LEVELS].index(level), int(better * 1000)])
    found = np.full((months, 2), np.inf)
    for number in range(months):
        counts = CONDITIONS[place].draw(rng, LEVELS[level], better)
        said, _verdict = recommendations(counts)
        for column, ever in enumerate((said == ROLL_OUT, better_by_fixed_test(counts))):
            if ever.any():
                found[number, column] = ever.argmax()
    return found


def table(rows: Iterable[MonthsRow]) -> list[str]:
    """Return the table of the page."""
    return [
        "Months of an [experiment on traffic](experiments.md) without a difference, looked at every minute, in which "
        f'"roll out" was ever recommended, and the same with {100 * BETTER:g} percentage points:',
        "",
        "| Condition | requests a minute | Roll out | fixed test at 5 %, each minute | months "
        "| with a difference | median time until then |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {row.condition}: {row.words}{' (see above)' if row.limit else ''} | {LEVELS[row.level]:g} "
            f"| {row.false:.1%} | {row.fixed:.0%} | {row.months} | {row.found:.0%} "
            f"| {'' if row.days is None else f'{row.days:.1f} d'} |"
            for row in rows
        ),
    ]
