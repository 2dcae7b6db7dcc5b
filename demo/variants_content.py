"""What the demo's variant system does, and the truth behind it, which the statistics have to find.

| persona | variants | true engagement | views | to be found |
|---|---|---|---|---|
| `ada` | 4, posted together | 5 %, 5 %, 5 % and `ada-4` 7.5 % | split evenly | `ada-4` is best, and not exploited |
| `ben` | 4, posted together | 6 % each | split evenly | nothing: no winner, good split |
| `cleo` | 2, posted together | 5 % each | 60 : 40, not 50 : 50 | a bad split; no winner |
| `dan` | a new one every 20 s | 4 %, predicted 12 % | evenly | far too high predictions, many early kills |
| `eve` | a new one every 40 s | pattern `hook` 10 % once, 4 % now; others 7 % | evenly | `hook` is worn out |

A variant with 300 views and an engagement below half of its prediction is killed for `low_engagement`. Before the demo
begins each persona has a past of 150 posts within six days, which follow the same truth.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

KILL_VIEWS = 300
KILL_BELOW = 0.5
KILL_REASON = "low_engagement"
PAST_POSTS = 150
PAST_SECONDS = 6 * 86400
PAST_VIEWS = 800
_CALM_ENGAGEMENT = 0.06
WINNER = "ada-4"


@dataclass(frozen=True, slots=True)
class Truth:
    """What a post of a persona really is, which the variant system does not know.

    Attributes:
        engagement: Probability that a view leads to an interaction.
        predicted: What the system's predictor says.
        pattern: Content pattern.
        weight: Share of the persona's views against the other active variants.
    """

    engagement: float
    predicted: float
    pattern: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class PersonaSpec:
    """One persona.

    Attributes:
        name: Its id.
        views: Views a second while it has active variants, over all of them.
        together: Variants that are posted together when the demo begins and stay active.
        past: What its past posts were; they are gone through in turn.
        every: Seconds between new posts; 0 for none.
        new: What new posts are; they are gone through in turn.
        most_active: New posts end the oldest one beyond this many.
    """

    name: str
    views: float
    together: Sequence[Truth] = ()
    past: Sequence[Truth] = ()
    every: float = 0.0
    new: Sequence[Truth] = ()
    most_active: int = 4


def _all(engagement: float, predicted: float, *patterns: str) -> tuple[Truth, ...]:
    return tuple(Truth(engagement, predicted, pattern) for pattern in patterns)


_FRESH_HOOK = Truth(0.10, 0.09, "hook")
_WORN_HOOK = Truth(0.04, 0.04, "hook")
_STORY = Truth(0.07, 0.07, "story")
_QUESTION = Truth(0.07, 0.07, "question")

PERSONAS: tuple[PersonaSpec, ...] = (
    PersonaSpec(
        "ada",
        views=160,
        together=(*_all(0.05, 0.05, "story", "question", "list"), Truth(0.075, 0.06, "hook")),
        past=_all(0.05, 0.05, "story", "question", "list", "hook"),
    ),
    PersonaSpec(
        "ben",
        views=160,
        together=_all(0.06, 0.06, "story", "question", "list", "hook"),
        past=_all(0.06, 0.06, "story", "question", "list", "hook"),
    ),
    PersonaSpec(
        "cleo",
        views=100,
        together=(Truth(0.05, 0.05, "story", weight=3), Truth(0.05, 0.05, "question", weight=2)),
        past=_all(0.05, 0.05, "story", "question"),
    ),
    PersonaSpec(
        "dan",
        views=25,
        past=_all(0.04, 0.12, "story", "question", "list"),
        every=20,
        new=_all(0.04, 0.12, "story", "question", "list"),
    ),
    PersonaSpec(
        "eve",
        views=60,
        # Long ago hooks were some of many and did well; of late they are nearly everything and do badly.
        past=(
            *(_FRESH_HOOK, _STORY, _QUESTION) * 29,
            *(_WORN_HOOK, _WORN_HOOK, _WORN_HOOK, _STORY) * 15,
            *(_WORN_HOOK, _WORN_HOOK, _QUESTION),
        ),
        every=40,
        new=(_WORN_HOOK, _WORN_HOOK, _WORN_HOOK, _STORY),
    ),
)


def calm_personas() -> tuple[PersonaSpec, ...]:
    """Return the personas with posts that are all as good as predicted, shown evenly: nothing is found."""

    def usual(truths: Sequence[Truth]) -> tuple[Truth, ...]:
        return tuple(Truth(_CALM_ENGAGEMENT, _CALM_ENGAGEMENT, truth.pattern) for truth in truths)

    return tuple(
        replace(spec, together=usual(spec.together), past=usual(spec.past), new=usual(spec.new)) for spec in PERSONAS
    )


@dataclass(slots=True)
class Variant:
    """One post and its figures; `changed` until it was written.

    Attributes:
        posted: Seconds since the epoch.
        status: As in the table.
        killed: When it was killed, 0 for never.
    """

    name: str
    persona: str
    truth: Truth
    posted: float
    status: str = "active"
    views: int = 0
    interactions: int = 0
    killed: float = 0.0
    changed: bool = True

    @property
    def engagement(self) -> float:
        """Return interactions a view."""
        return self.interactions / self.views if self.views else 0.0

    def show(self, views: int, draw: random.Random) -> None:
        """Show it so often; each view leads to an interaction with the true probability."""
        self.views += views
        self.interactions += sum(draw.random() < self.truth.engagement for _ in range(views))
        self.changed = self.changed or views > 0

    def judge(self, now: float) -> bool:
        """Kill it when it is far below its prediction after enough views; tell whether that happened."""
        if self.views < KILL_VIEWS or self.engagement >= KILL_BELOW * self.truth.predicted:
            return False
        self.status, self.killed, self.changed = "killed", now, True
        return True


@dataclass(slots=True)
class System:
    """The variant system in memory: what was posted, shown, killed.

    Args:
        seed: Same seed, same content; times are counted from `now`.
        now: When the demo begins, seconds since the epoch.
        personas: Who posts.
    """

    seed: int
    now: float
    personas: Sequence[PersonaSpec] = PERSONAS
    variants: list[Variant] = field(default_factory=list)
    _draw: random.Random = field(init=False)
    _numbers: dict[str, int] = field(init=False, default_factory=dict)
    _due: dict[str, float] = field(init=False, default_factory=dict)
    _owed: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)  # noqa: S311  # demo data, not a secret

    def begin(self) -> None:
        """Make the past, and post what competes at the beginning."""
        for spec in self.personas:
            for number in range(PAST_POSTS):
                posted = self.now - PAST_SECONDS + number * PAST_SECONDS / PAST_POSTS
                variant = self._post(spec, f"{spec.name}-past", spec.past[number % len(spec.past)], posted)
                variant.show(KILL_VIEWS, self._draw)
                # Views come evenly within the first hours.
                if not variant.judge(posted + 1800 + 3600 * self._draw.random()):
                    variant.show(PAST_VIEWS - KILL_VIEWS, self._draw)
                    variant.status = "ended"
            for truth in spec.together:
                self._post(spec, spec.name, truth, self.now)

    def step(self, seconds: float) -> list[Variant]:
        """Let time go on; return the variants that were killed."""
        self.now += seconds
        killed: list[Variant] = []
        for spec in self.personas:
            active = [item for item in self.variants if item.persona == spec.name and item.status == "active"]
            due = self._due.setdefault(spec.name, self.now)
            if spec.every and self.now >= due:
                self._due[spec.name] = due + spec.every
                number = self._numbers.get(spec.name, 0)
                active.append(self._post(spec, spec.name, spec.new[number % len(spec.new)], self.now))
                for old in active[: -spec.most_active]:
                    old.status, old.changed = "ended", True
                active = active[-spec.most_active :]
            owed = self._owed.get(spec.name, 0.0) + spec.views * seconds
            self._owed[spec.name] = owed % 1
            # A view goes to a variant by lot, so that an even split is even but for chance.
            shown = self._draw.choices(active, [item.truth.weight for item in active], k=int(owed)) if active else []
            for item in active:
                item.show(sum(one is item for one in shown), self._draw)
                # Those that were posted together compete until somebody decides.
                if spec.every and item.judge(self.now):
                    killed.append(item)
        return killed

    def _post(self, spec: PersonaSpec, prefix: str, truth: Truth, posted: float) -> Variant:
        number = self._numbers.get(prefix, 0) + 1
        self._numbers[prefix] = number
        variant = Variant(f"{prefix}-{number}", spec.name, truth, posted)
        self.variants.append(variant)
        return variant
