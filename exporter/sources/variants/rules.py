"""Optimization opportunities: what a persona's figures say that could be done better.

To add a rule, add an entry to `RULES`. A rule finds what it is about, or nothing, or answers None while there is too
little data to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from ml_monitoring.exporter.sources.variants.settings import RuleSettings
from ml_monitoring.exporter.statistics import NumberSums, mean_p_value


@dataclass(frozen=True, slots=True)
class ActiveFacts:
    """What the rules want to know of one active variant.

    Attributes:
        name: Its id.
        views: Views so far.
        age: Seconds since it was posted; None when it has no time of posting.
        best_p_value: Always-valid p-value of "it is not the best one"; None when it has no rival.
    """

    name: str
    views: float
    age: float | None
    best_p_value: float | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules want to know of one persona.

    Attributes:
        recent_posts: Variants posted within the window.
        early_kill_ratio: Share of them that were killed; None when that is not known.
        fatigue: Fatigue by pattern, of each of which it is known, as far as chance does not explain it.
        active: Its active variants.
        bias: Differences of engagement and prediction, of posts with enough views.
    """

    recent_posts: int
    early_kill_ratio: float | None
    fatigue: Mapping[str, float]
    active: Sequence[ActiveFacts]
    bias: NumberSums


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of opportunity.

    Attributes:
        opportunity: Its name, a label.
        priority: high, medium or low.
        title: What it is.
        action: What to do.
        found: Returns the variants or patterns that it is about, the first one first; the whole persona where it has no
            such part.
    """

    opportunity: str
    priority: str
    title: str
    action: str
    found: Callable[[Facts, RuleSettings], Sequence[str] | None]


# What a rule is about that judges all of a persona.
WHOLE_PERSONA = ""


def _miscalibrated(facts: Facts, settings: RuleSettings) -> Sequence[str] | None:
    if facts.early_kill_ratio is None or facts.recent_posts < settings.min_posts:
        return None
    tolerable, excess = settings.early_kill_ratio, facts.early_kill_ratio - settings.early_kill_ratio
    # The lower Wilson bound of the ratio is above what is tolerable.
    beyond_chance = excess * sqrt(facts.recent_posts) > settings.deviations * sqrt(tolerable * (1 - tolerable))
    return [WHOLE_PERSONA] * beyond_chance


def _biased(facts: Facts, settings: RuleSettings) -> Sequence[str] | None:
    if facts.bias.count < settings.min_posts:
        return None
    return [WHOLE_PERSONA] * (mean_p_value(facts.bias) <= settings.bias_significance)


def _fatigued(facts: Facts, settings: RuleSettings) -> Sequence[str] | None:
    if not facts.fatigue:
        return None
    worn = (pattern for pattern, fatigue in facts.fatigue.items() if fatigue > settings.fatigue)
    return sorted(worn, key=lambda pattern: (-facts.fatigue[pattern], pattern))


def _under_sampled(facts: Facts, settings: RuleSettings) -> Sequence[str] | None:
    settled = [variant for variant in facts.active if variant.age is not None and variant.age >= settings.settle]
    if not settled:
        return None
    return [name for views, name in sorted((one.views, one.name) for one in settled) if views < settings.min_views]


def _unexploited(facts: Facts, settings: RuleSettings) -> Sequence[str] | None:
    total = sum(variant.views for variant in facts.active)
    if len(facts.active) < 2 or not total:
        return None
    best = sorted((one.best_p_value, one.name, one.views) for one in facts.active if one.best_p_value is not None)
    return [
        name
        for p_value, name, views in best
        if p_value <= settings.significance and views / total < settings.winner_share
    ]


RULES: tuple[Rule, ...] = (
    Rule(
        "prediction_calibration",
        "high",
        "Many variants are killed early",
        "Recalibrate the engagement predictor on recent posts: it lets through what does not perform.",
        _miscalibrated,
    ),
    Rule(
        "clear_winner",
        "high",
        "A clear winner is not exploited",
        "Give the winner more traffic, as the suggested shares on its page say, and end the others.",
        _unexploited,
    ),
    Rule(
        "prediction_bias",
        "medium",
        "Predictions err to one side",
        "Shift the predictor by the mean ratio of engagement to prediction, and look for what changed in the audience.",
        _biased,
    ),
    Rule(
        "pattern_fatigue",
        "medium",
        "A pattern is worn out",
        "Rest the pattern with the highest fatigue and use others until its engagement has recovered.",
        _fatigued,
    ),
    Rule(
        "under_sampled",
        "low",
        "An active variant gets hardly any views",
        "Show the variant more often or end it: nothing can be said about it.",
        _under_sampled,
    ),
)
