"""From the rows of one persona to its samples; no database here.

Values that cannot be (a ratio outside 0..1, a negative count, more interactions than views, a text too long for a
label) are left out and named; the rest of the row counts. NULL is no sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from ml_monitoring.exporter.catalog import KILL_BUCKETS
from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.variants.counters import Key, Ratchet, Sum
from ml_monitoring.exporter.sources.variants.equal_age import Totals
from ml_monitoring.exporter.sources.variants.history import PersonaHistory, VariantHistory
from ml_monitoring.exporter.sources.variants.rules import RULES, WHOLE_PERSONA, ActiveFacts, Facts
from ml_monitoring.exporter.sources.variants.settings import VariantsSettings
from ml_monitoring.exporter.sources.variants.sql import LONGEST_LABEL, NO_BUCKET
from ml_monitoring.exporter.sources.variants.traffic import PostedTogether, posted_together
from ml_monitoring.exporter.statistics import (
    Counts,
    NumberSums,
    RatioSums,
    Standing,
    compare,
    confidence_sequence,
    prior_of,
    thompson_shares,
)

_LISTED_PROBLEMS = 5
# Integrals are good to about 1e-5.
_NOISE = 1e-9
# Where lgamma has lost the digits that matter. Counts above are scaled down, which only makes statements more careful.
_MOST_TRIALS = 10**9
# Of intervals that hold however often one looks: how often one is ever wrong.
_MISTAKES = 0.05


@dataclass(slots=True)
class Rows:
    """What the queries give for one persona; the columns are those of `sql` without the persona.

    Attributes:
        now: The database's clock, seconds since the epoch.
    """

    now: float
    statuses: dict[str, int]
    active: list[tuple[Any, ...]] = field(default_factory=list)
    posts: list[tuple[Any, ...]] = field(default_factory=list)
    recent: tuple[Any, ...] | None = None


@dataclass(slots=True)
class Problems:
    """Rows and values that were left out."""

    listed: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, message: str) -> None:
        """Note a value; only the first few are spelled out."""
        self.count += 1
        if len(self.listed) < _LISTED_PROBLEMS:
            self.listed.append(message)

    def merge(self, other: Problems) -> None:
        """Add the problems of a part."""
        self.count += other.count
        self.listed += other.listed[: _LISTED_PROBLEMS - len(self.listed)]

    def report(self, families: FamilySet) -> None:
        """Hand the problems on."""
        for message in self.listed:
            families.skip(Reason.INVALID_VALUE, message)
        if self.count > len(self.listed):
            families.skip(Reason.INVALID_VALUE, f"and {self.count - len(self.listed)} more such values")


@dataclass(slots=True)
class Persona:
    """The samples of one persona.

    Attributes:
        samples: Value and labels of each sample, by family.
        problems: What was left out.
        untracked: Active variants beyond the cap.
        active: Active variants, those beyond the cap included.
    """

    samples: dict[str, list[tuple[float | None, tuple[str, ...]]]] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)
    untracked: int = 0
    active: int = 0

    def add(self, family: str, value: float | None, *labels: str) -> None:
        """Add a sample; None is no sample."""
        if value is not None:
            self.samples.setdefault(family, []).append((value, labels))

    def add_computed(self, family: str, value: float | None, *labels: str) -> None:
        """Add the result of an integration or a test, without the digits that are noise."""
        if value is not None:
            self.add(family, float(f"{value:.6g}") if abs(value) > _NOISE else 0.0, *labels)


@dataclass(slots=True)
class _Variant:
    """An active variant, values checked."""

    name: str
    pattern: str
    predicted: float | None
    posted: float | None
    current: float | None
    interactions: float | None
    views: float | None

    @property
    def counts(self) -> Counts | None:
        """Return what the statistics can use; None when the counts do not fit each other."""
        if self.views is None or self.interactions is None or self.interactions > self.views:
            return None
        scale = min(1.0, _MOST_TRIALS / self.views) if self.views else 1.0
        return Counts(int(self.interactions * scale), int(self.views * scale))


def build(
    name: str, rows: Rows, ratchet: Ratchet, settings: VariantsSettings, history: VariantHistory | None = None
) -> Persona:
    """Return the samples of a persona.

    Args:
        name: The persona.
        rows: What was read of it.
        ratchet: Keeps the counters from falling.
        settings: Of the source.
        history: What was read before; it takes in what is read now.
    """
    persona = Persona()
    history = history or VariantHistory()
    for status, count in sorted(rows.statuses.items()):
        persona.add("variants", count, name, status)
    variants = _variants(name, rows, persona)
    for variant in variants:
        labels = (name, variant.name, variant.pattern)
        persona.add("variant_engagement_ratio", variant.current, *labels)
        persona.add("variant_predicted_engagement_ratio", variant.predicted, *labels)
        persona.add("variant_posted_timestamp_seconds", variant.posted, *labels)
        for family, total in (
            ("variant_views_total", variant.views),
            ("variant_interactions_total", variant.interactions),
        ):
            if total is not None:
                persona.add(family, ratchet.advance((family, *labels), total), *labels)
    best: dict[str, float] = {}
    try:
        best = _add_inference(name, variants, persona, settings, _look(name, rows.now, variants, history))
    except (ArithmeticError, ValueError) as error:
        # What cannot be computed is this persona's alone, and its counts are right all the same.
        persona.problems.add(f"persona {name!r}: its variants cannot be compared: {type(error).__name__}: {error}")
    fatigue, bias = _add_patterns(name, rows, persona, settings)
    posts, kill_ratio = _add_recent(name, rows, persona)
    facts = Facts(
        recent_posts=posts,
        early_kill_ratio=kill_ratio,
        fatigue=fatigue,
        active=[
            ActiveFacts(
                variant.name,
                variant.views,
                None if variant.posted is None else rows.now - variant.posted,
                best.get(variant.name),
            )
            for variant in variants
            if variant.views is not None
        ],
        bias=bias,
    )
    for rule in RULES:
        found = rule.found(facts, settings.rules)
        if found is None:
            continue
        persona.add("variant_optimization_opportunity", float(bool(found)), name, rule.opportunity, rule.priority)
        if found and found[0] != WHOLE_PERSONA:
            persona.add("variant_optimization_opportunity_subject_info", 1, name, rule.opportunity, found[0])
    return persona


def _variants(name: str, rows: Rows, persona: Persona) -> list[_Variant]:
    variants: dict[str, _Variant] = {}
    for identifier, pattern, predicted, posted, current, interactions, views, total in rows.active:
        persona.active = total
        where = f"variant {identifier[:LONGEST_LABEL]!r} of {name!r}"
        if len(identifier) > LONGEST_LABEL or len(pattern or "") > LONGEST_LABEL:
            persona.problems.add(f"{where}: its id or pattern is longer than {LONGEST_LABEL} characters")
            continue
        # Tables without keys may hold a variant twice; the row with the most views comes first.
        if identifier in variants:
            persona.problems.add(f"{where}: more than one row")
            continue
        check = _Checker(where, persona.problems)
        variant = _Variant(
            name=identifier,
            pattern=pattern or "",
            predicted=check.ratio("variants.predicted_er", predicted),
            posted=check.finite("variants.posted_at", posted),
            current=check.ratio("variant_monitoring.current_er", current),
            interactions=check.count("variant_monitoring.interaction_count", interactions),
            views=check.count("variant_monitoring.view_count", views),
        )
        if variant.views is not None and variant.interactions is not None and variant.interactions > variant.views:
            persona.problems.add(f"{where}: {variant.interactions:g} interactions in {variant.views:g} views")
        variants[identifier] = variant
    persona.untracked = max(0, persona.active - len(rows.active))
    return list(variants.values())


@dataclass(frozen=True, slots=True)
class _Checker:
    """Lets possible values through and names the others."""

    where: str
    problems: Problems

    def finite(self, column: str, value: float | None) -> float | None:
        return self._check(column, value, value is not None and math.isfinite(value))

    def ratio(self, column: str, value: float | None) -> float | None:
        return self._check(column, value, value is not None and 0 <= value <= 1)

    def count(self, column: str, value: float | None) -> float | None:
        return self._check(column, value, value is not None and 0 <= value < math.inf)

    def _check(self, column: str, value: float | None, good: bool) -> float | None:
        if value is None or good:
            return value
        # What SQL could not read, such as text with a comma or a unit, and NaN.
        said = f"{value:g}" if not math.isnan(value) else "no time" if column.endswith("_at") else "no number"
        self.problems.add(f"{self.where}: {column} is {said}")
        return None


def _look(name: str, now: float, variants: Sequence[_Variant], history: VariantHistory) -> _Looked:
    """Let what is kept of the persona take in what is read now."""
    looks = {}
    for variant in variants:
        # One that is posted in the future, by a clock that runs ahead, has no age yet.
        if variant.counts is not None and variant.posted is not None and variant.posted <= now:
            looks[variant.name] = now - variant.posted, Totals(variant.views or 0.0, variant.interactions or 0.0)
    return _Looked(now, history.look(name, looks, [variant.name for variant in variants]))


class _Looked(NamedTuple):
    """What is kept of a persona, as of now."""

    now: float
    history: PersonaHistory


def _add_inference(
    name: str, variants: Sequence[_Variant], persona: Persona, settings: VariantsSettings, looked: _Looked
) -> dict[str, float]:
    """Add what follows from comparing the variants; return the p-values of being best by variant."""
    sound = [(variant, counts) for variant in variants if (counts := variant.counts) is not None]
    # Among variants that nobody has seen there is nothing to compare.
    if not any(counts.trials for _variant, counts in sound):
        return {}
    own = tuple(counts for _variant, counts in sound)
    compared = own
    if len(sound) > 1:
        equal = looked.history.ages.standardised([variant.name for variant, _ in sound], settings.split.together)
        compared = tuple(equal[variant.name] for variant, _counts in sound)
    intervals = _intervals(own, settings.prior_views)
    standings = _compare(own, compared, settings.prior_views)
    shares = thompson_shares([standing.probability_best for standing in standings], settings.exploration)
    for (variant, counts), ages, interval, standing, share in zip(
        sound, compared, intervals, standings, shares, strict=True
    ):
        labels = (name, variant.name, variant.pattern)
        persona.add("variant_observed_views", counts.trials, *labels)
        persona.add("variant_observed_interactions", counts.successes, *labels)
        persona.add("variant_compared_views", ages.trials, *labels)
        persona.add("variant_compared_interactions", ages.successes, *labels)
        persona.add_computed("variant_engagement_ratio_lower", interval[0], *labels)
        persona.add_computed("variant_engagement_ratio_upper", interval[1], *labels)
        upper = confidence_sequence(counts, _MISTAKES)[1]
        persona.add_computed("variant_engagement_ratio_upper_anytime", upper, *labels)
        persona.add_computed("variant_probability_best", standing.probability_best, *labels)
        persona.add_computed("variant_expected_loss_ratio", standing.expected_loss, *labels)
        persona.add_computed("variant_lift_ratio", standing.lift, *labels)
        persona.add_computed("variant_suggested_traffic_ratio", share, *labels)
    # With fewer views a variant is no rival yet.
    tested = [variant for variant, item in sound if item.trials >= settings.rules.min_views]
    # There are none for a variant without a rival.
    best = looked.history.ages.best_p_values([variant.name for variant in tested])
    for variant in tested:
        persona.add_computed("variant_sequential_p_value", best.get(variant.name), name, variant.name, variant.pattern)
    # The cap keeps those with the most views, which would look like a bad split.
    if not persona.untracked:
        suggested = {variant.name: share for (variant, _counts), share in zip(sound, shares, strict=True)}
        split = _split_p_value([variant for variant, _ in sound], suggested, settings, looked)
        persona.add_computed("variant_sample_ratio_p_value", split, name)
    return best


# Most personas do not change between two refreshes, and this is the dearest step.
@lru_cache(maxsize=2048)
def _compare(own: tuple[Counts, ...], compared: tuple[Counts, ...], prior_views: float) -> list[Standing]:
    prior = prior_of(own, prior_views)
    return compare([prior.updated(item) for item in compared])


@lru_cache(maxsize=2048)
def _intervals(own: tuple[Counts, ...], prior_views: float) -> list[tuple[float, float]]:
    prior = prior_of(own, prior_views)
    return [prior.updated(item).interval() for item in own]


def _split_p_value(
    variants: Sequence[_Variant], suggested: Mapping[str, float], settings: VariantsSettings, looked: _Looked
) -> float | None:
    """Return the p-value of the intended split over all groups of variants that were posted together."""
    views = {variant.name: variant.views or 0.0 for variant in variants}
    posted = {variant.name: variant.posted for variant in variants if variant.posted is not None}
    known = looked.history.splits
    splits = {}
    for group in posted_together(posted, settings.split.together):
        now = {name: views[name] for name in group}
        split = known.get(group)
        if split is None:
            weights = {name: settings.split.weights.get(name, 1.0) for name in group}
            split = PostedTogether(now, looked.now, weights if settings.split.weights.keys() & weights.keys() else None)
        else:
            split.look(now, looked.now, settings.split.applied)
        split.suggest(suggested)
        splits[group] = split
    looked.history.splits = splits
    p_values = [p_value for split in splits.values() if (p_value := split.p_value) is not None]
    # Bonferroni: the more groups, the likelier that one of them looks bad by chance.
    return min(1.0, len(p_values) * min(p_values)) if p_values else None


def _add_patterns(
    name: str, rows: Rows, persona: Persona, settings: VariantsSettings
) -> tuple[dict[str, float], NumberSums]:
    """Add shares and fatigue; return fatigues as far as chance does not explain them, and errors of prediction."""
    posts = sum(row[1] for row in rows.posts)
    fatigues: dict[str, float] = {}
    for pattern, number, *sums in sorted(rows.posts, key=lambda row: row[0] or ""):
        # A post without a pattern is a post, but there is nothing to wear out.
        if not pattern or not all(map(math.isfinite, sums)):
            continue
        labels = (name, pattern)
        share = number / posts if posts else 0.0
        persona.add("variant_pattern_share_ratio", share, *labels)
        recent, history = RatioSums(*sums[:6]), RatioSums(*sums[6:12])
        persona.add("variant_pattern_engagement_ratio", recent.ratio, *labels, "recent")
        persona.add("variant_pattern_engagement_ratio", history.ratio, *labels, "history")
        enough = min(recent.trials, history.trials) >= settings.rules.min_views
        if recent.ratio is not None and history.ratio and enough and posts >= settings.rules.min_posts:
            kept = recent.ratio / history.ratio
            fatigue = math.sqrt(share * min(1.0, max(0.0, 1 - kept)))
            persona.add("variant_pattern_fatigue_ratio", fatigue, *labels)
            error = _fatigue_error(share, fatigue, recent, history)
            # Without a known error nothing is beyond chance, and nobody is notified.
            if math.isfinite(error):
                persona.add_computed("variant_pattern_fatigue_error_ratio", error, *labels)
                fatigues[pattern] = fatigue - settings.rules.deviations * error
            else:
                fatigues[pattern] = 0.0
    columns = [[row[-3 + place] for row in rows.posts] for place in range(3)]
    return fatigues, NumberSums(sum(columns[0]), math.fsum(columns[1]), math.fsum(columns[2]))


def _fatigue_error(share: float, fatigue: float, recent: RatioSums, history: RatioSums) -> float:
    """Return the standard error of a fatigue: of the square root of the share times the decline (delta method).

    Where no recent post was interacted with, a single interaction is taken for the error.
    """
    if not fatigue:
        return 0.0
    if recent.successes:
        kept = 1 - fatigue**2 / share
        decline_error = kept * math.hypot(recent.relative_error, history.relative_error)
    else:
        decline_error = 1 / (recent.trials * (history.ratio or 1.0))
    return share * decline_error / (2 * fatigue)


def _add_recent(name: str, rows: Rows, persona: Persona) -> tuple[int, float | None]:
    """Add what happened within the window; return the posts and the share of them that was killed."""
    if rows.recent is None:
        return 0, None
    updated, posts, killed, kills = rows.recent
    check = _Checker(f"persona {name!r}", persona.problems)
    persona.add("variant_last_update_timestamp_seconds", check.finite("variant_monitoring.last_updated", updated), name)
    persona.add("variant_recent_posts", posts, name)
    persona.add("variant_recent_kills", kills, name)
    ratio = killed / posts if posts and killed is not None else None
    persona.add("variant_early_kill_ratio", ratio, name)
    return posts, ratio


def add_kills(
    counts: Mapping[Key, Sum], personas: Sequence[str], ratchet: Ratchet, families: FamilySet, problems: Problems
) -> None:
    """Add the counters of kills: for each persona every reason there is, so that the first kill is an increase too."""
    reasons = sorted({reason for _persona, reason, _bucket in counts})
    kills: dict[tuple[str, str], int] = {}
    times: dict[str, list[int]] = {persona: [0] * (len(KILL_BUCKETS) + 1) for persona in personas}
    seconds: dict[str, float] = dict.fromkeys(personas, 0.0)
    untimed = 0
    for (persona, reason, bucket), item in counts.items():
        kills[persona, reason] = kills.get((persona, reason), 0) + item.rows
        if bucket == NO_BUCKET:
            untimed += item.rows
        elif persona in times:
            times[persona][bucket] += item.rows
            seconds[persona] += item.seconds
    if untimed:
        problems.add(f"variant_kills: {untimed} rows without a time of posting before the time of the kill")
    for persona in personas:
        for reason in reasons:
            total = ratchet.advance(("kills", persona, reason), kills.get((persona, reason), 0))
            families["variant_kills_total"].add(total, persona, reason)
        buckets = [
            int(ratchet.advance(("kill time", persona, index), count)) for index, count in enumerate(times[persona])
        ]
        total = ratchet.advance(("kill seconds", persona), seconds[persona])
        families["variant_time_to_kill_seconds"].add_distribution(buckets, total, persona)


def add_events(counts: Mapping[Key, Sum], personas: Sequence[str], ratchet: Ratchet, families: FamilySet) -> None:
    """Add the counters of events; those of no persona, or one that is not shown, have the persona empty."""
    events = sorted({event for _persona, event, _bucket in counts})
    shown = set(personas)
    totals: dict[tuple[str, str], int] = {}
    for (persona, event, _bucket), item in counts.items():
        key = (persona if persona in shown else "", event)
        totals[key] = totals.get(key, 0) + item.rows
    for persona in ("", *personas):
        for event in events:
            total = ratchet.advance(("events", persona, event), totals.get((persona, event), 0))
            families["variant_events_total"].add(total, persona, event)
