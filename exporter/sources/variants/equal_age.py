"""Variants compared at equal age: what each of them had been seen and done at the same ages, however old it is now.

Views and interactions of a post are totals that grow with its age, interactions later than views, and engagement falls
with age. So totals of posts that differ in age do not compare, but what both gathered between two ages does. Of each
active variant its totals at certain ages are kept: four in each doubling of the age, and some thirty at equal distances
since it was first looked at. All are such that posts of any age have most of them in common.

Variants come and go: those that replace killed ones are further chances to be a winner by luck. The n-th time that
variants join, evidence has to be n (n + 1) times as strong, so that the chance of ever naming a wrong winner is
bounded for the persona, not for each pair (the sum of 1 / (n (n + 1)) is 1). That chance is one of ever: so what was
evidence once stays it while the variant is ahead, though fewer ages are kept of what is long ago.

- N. Breslow, N. Day, Statistical Methods in Cancer Research II, 1987, section 2.3: indirect standardisation.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import copysign, exp
from typing import Any, Final, NamedTuple

from ml_monitoring.exporter.inference import ArmCounts, EffectKind, Sums
from ml_monitoring.exporter.inference.comparison import Comparison
from ml_monitoring.exporter.statistics import Counts

_FIRST_AGE: Final = 8
_LAST_AGE: Final = 90 * 86_400
_PER_DOUBLING: Final = 4
# Equal distances since the first look; halved when there are so many.
_MOST_LINEAR: Final = 32
# A total at an age lies between two looks that are no further apart than this, or this part of the age.
_LONGEST_GAP: Final = 60.0
_GAP_SHARE: Final = 0.25
# Who is first looked at later has a past that is not known by age.
_SEEN_FROM_THE_BEGINNING: Final = 60.0
# A part of the age by which posts differ at most that count as equally old now.
_AS_OLD: Final = 0.01
# Totals that fall to less than this part were reset; a smaller fall is a correction.
_RESET: Final = 0.9
_FEWEST_VIEWS: Final = 20.0
# By how much the clock of the database may be set back.
_CLOCK: Final = 60.0


class Totals(NamedTuple):
    """What a variant had gathered at some age."""

    views: float
    interactions: float


def _kept_ages() -> list[int]:
    ages: list[int] = []
    step = _FIRST_AGE // _PER_DOUBLING
    age = _FIRST_AGE
    while age <= _LAST_AGE:
        ages.append(age)
        age += step
        if age == 2 * _PER_DOUBLING * step:
            step *= 2
    return ages


_AGES: Final = _kept_ages()
_KEPT: Final = frozenset(_AGES)
# Of them those that the standardisation rests on: two in each doubling.
_COARSE: Final = frozenset(_AGES[::2])


class AgeCurve:
    """The totals of one variant at certain ages; at most some 110 of them.

    Args:
        age: When it is first looked at, in seconds since it was posted.
        totals: Then.
        generation: How many times variants of its persona had joined by then.

    Attributes:
        age: At the last look.
        totals: At the last look.
        version: Changes with the ages that are kept.
    """

    __slots__ = (
        "_ages",
        "_first",
        "_interactions",
        "_reset",
        "_spacing",
        "_views",
        "age",
        "generation",
        "totals",
        "version",
    )

    def __init__(self, age: float, totals: Totals, generation: int) -> None:
        self.generation = generation
        self.version = 0
        self._begin(age, totals, reset=False)

    def _begin(self, age: float, totals: Totals, *, reset: bool) -> None:
        self.age, self.totals = age, totals
        self.version += 1
        self._first, self._reset = age, reset
        self._spacing = _FIRST_AGE
        self._ages, self._views, self._interactions = array("q"), array("d"), array("d")

    @property
    def is_whole(self) -> bool:
        """Tell whether it was looked at from the beginning."""
        return not self._reset and self._first <= _SEEN_FROM_THE_BEGINNING

    @property
    def is_total(self) -> bool:
        """Tell whether its totals are those since it was posted."""
        return not self._reset

    def look(self, age: float, totals: Totals) -> None:
        """Take in what it has gathered now."""
        before = self.totals
        if self.age - _CLOCK <= age <= self.age:
            return
        if age < self.age or any(now < _RESET * then for now, then in zip(totals, before, strict=True)):
            self._begin(age, totals, reset=True)
            return
        if (target := self._target(age)) is not None:
            part = (target - self.age) / (age - self.age)
            self._ages.append(target)
            self._views.append(before.views + part * (totals.views - before.views))
            self._interactions.append(before.interactions + part * (totals.interactions - before.interactions))
            self.version += 1
        self.age, self.totals = age, totals

    def _target(self, age: float) -> int | None:
        """Return the age since the last look at which totals are kept; of several that which most others keep too."""
        while (age - self._first) / self._spacing > _MOST_LINEAR:
            self._spacing *= 2
            kept = [n for n, each in enumerate(self._ages) if each in _KEPT or each % self._spacing == 0]
            self._ages = array("q", (self._ages[n] for n in kept))
            self._views = array("d", (self._views[n] for n in kept))
            self._interactions = array("d", (self._interactions[n] for n in kept))
        low, high = bisect_left(_AGES, int(self.age) + 1), bisect_left(_AGES, int(age) + 1)
        found = _AGES[low:high]
        found += range((int(self.age) // self._spacing + 1) * self._spacing, int(age) + 1, self._spacing)
        if not found or age - self.age > max(_LONGEST_GAP, _GAP_SHARE * age):
            return None
        # The greatest power of two in it.
        return max(found, key=lambda each: (each & -each, -each))

    def points(self) -> Iterator[tuple[int, Totals]]:
        """Yield the ages that are kept, with the totals."""
        for age, views, interactions in zip(self._ages, self._views, self._interactions, strict=True):
            yield age, Totals(views, interactions)

    def dump(self) -> list[Any]:
        """Return what `load` takes back, for JSON."""
        return [
            *(self.age, list(self.totals), self.generation, self._first, self._reset, self._spacing),
            *(list(each) for each in (self._ages, self._views, self._interactions)),
        ]

    @classmethod
    def load(cls, dumped: Sequence[Any]) -> AgeCurve:
        """Return what was dumped."""
        age, totals, generation, first, reset, spacing, *arrays = dumped
        loaded = cls(float(age), Totals(*map(float, totals)), int(generation))
        loaded._first, loaded._reset, loaded._spacing = float(first), bool(reset), int(spacing)
        loaded._ages = array("q", arrays[0])
        loaded._views, loaded._interactions = (array("d", each) for each in arrays[1:])
        return loaded


@dataclass(slots=True)
class EqualAges:
    """The active variants of one persona, by their age.

    Attributes:
        curves: By name.
        generation: How many times variants have joined.
    """

    curves: dict[str, AgeCurve] = field(default_factory=dict)
    generation: int = 0
    _evidence: dict[tuple[str, str], tuple[tuple[int, int], float]] = field(default_factory=dict)
    _strongest: dict[tuple[str, str], float] = field(default_factory=dict)

    def look(self, looks: Mapping[str, tuple[float, Totals]], active: Collection[str]) -> None:
        """Take in what was read.

        Args:
            looks: Age and totals of each variant of which these are known.
            active: All that are active; what is known of others is forgotten.
        """
        if looks.keys() - self.curves.keys():
            self.generation += 1
        curves = {name: curve for name, curve in self.curves.items() if name in active}
        for name, (age, totals) in looks.items():
            known = self.curves.get(name)
            if known is None:
                known = AgeCurve(age, totals, self.generation)
            else:
                known.look(age, totals)
            curves[name] = known
        self.curves = curves
        self._strongest = {pair: most for pair, most in self._strongest.items() if curves.keys() >= {*pair}}

    def best_p_values(self, names: Sequence[str]) -> dict[str, float]:
        """Return for each of these variants an always-valid p-value of "it is not the best of them".

        Who is the best has to be ahead of each of the others with the evidence of `Comparison`; it is the weakest of
        them that counts. Without ages in common there is no evidence.
        """
        if len(names) < 2:
            return {}
        p_values = dict.fromkeys(names, 1.0)
        # Only who is ahead of all the others can be: each loser of a pair is out.
        leader = names[0]
        for name in names[1:]:
            if self._directed(name, leader) > 0:
                leader = name
        evidence = min(self._ever(leader, name) for name in names if name != leader)
        joined = max((self.curves[name].generation for name in names if name in self.curves), default=1)
        if evidence > 0:
            p_values[leader] = min(1.0, joined * (joined + 1) * exp(-min(evidence, 700.0)))
        pairs = {(leader, name) for name in names} | {(name, leader) for name in names}
        self._evidence = {pair: known for pair, known in self._evidence.items() if pair in pairs}
        return p_values

    def _ever(self, one: str, other: str) -> float:
        """Return the strongest evidence so far, as a logarithm, that the first is better; none where it is behind."""
        now = self._directed(one, other)
        if copysign(1, now) < 0 or not all(self.curves[name].is_total for name in (one, other) if name in self.curves):
            return now
        if now > 0:
            self._strongest[one, other] = max(now, self._strongest.get((one, other), 0.0))
        return self._strongest.get((one, other), 0.0)

    def _directed(self, one: str, other: str) -> float:
        """Return the logarithm of the evidence that the first is better; below 0, or -0, when it is behind."""
        first, second = self.curves.get(one), self.curves.get(other)
        if first is None or second is None:
            return 0.0
        versions = first.version, second.version
        known = self._evidence.get((one, other))
        if known is None or known[0] != versions:
            known = versions, _evidence(first, second)
            self._evidence[one, other] = known
            self._evidence[other, one] = versions[::-1], -known[1]
        return known[1]

    def standardised(self, names: Sequence[str], together: float) -> dict[str, Counts]:
        """Return what to compare of each variant: its interactions, and the views that these are to be expected of.

        At each age that a variant shares with another one, its views count as much as all of them together are engaged
        with at that age. A variant that shares no age with any has no counts.

        Args:
            names: Variants that are compared.
            together: Posted within so many seconds of each other, variants are always equally old.
        """
        known = {name: _boundaries(self.curves[name]) for name in names if name in self.curves}
        ages = {name: self.curves[name].age for name in known}
        sums: dict[str, list[float]] = {}
        for name, boundaries in known.items():
            as_old = [
                each
                for each in known
                if each != name and abs(ages[each] - ages[name]) <= max(together, _AS_OLD * ages[name])
            ]
            sums[name] = _against(boundaries, {each: known[each] for each in known if each != name}, as_old)
        views, interactions = (sum(each[index] for each in sums.values()) for index in (0, 1))
        counts = dict.fromkeys(names, Counts(0, 0))
        for name, (own, done, expected) in sums.items():
            trials = round(expected * views / interactions if interactions else own)
            counts[name] = Counts(min(round(done), trials), trials)
        return counts

    def dump(self) -> dict[str, Any]:
        """Return what `load` takes back, for JSON."""
        return {
            "generation": self.generation,
            "curves": {name: each.dump() for name, each in self.curves.items()},
            "strongest": [[*pair, most] for pair, most in self._strongest.items()],
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> EqualAges:
        """Return what was dumped."""
        curves = {str(name): AgeCurve.load(each) for name, each in dumped["curves"].items()}
        # Files that were written before it was kept have none.
        strongest = {(str(one), str(other)): float(most) for one, other, most in dumped.get("strongest", ())}
        return cls(curves, int(dumped["generation"]), _strongest=strongest)


# The age of the last look, which is different for each.
_NOW: Final = -1


def _evidence(one: AgeCurve, other: AgeCurve) -> float:
    """Return the logarithm of the evidence of a difference, negative where the first one is behind."""
    comparison = Comparison(EffectKind.RATE)
    theirs = dict(other.points())
    # What was gathered before the first look is of no known age.
    before = (0, Totals(0, 0), Totals(0, 0)) if one.is_whole and other.is_whole else None
    ahead = 0.0
    for age, mine in one.points():
        its = theirs.get(age)
        if its is None:
            continue
        if before is None:
            before = age, mine, its
            continue
        since, mine_before, its_before = before
        n1, s1 = (now - then for now, then in zip(mine, mine_before, strict=True))
        n0, s0 = (now - then for now, then in zip(its, its_before, strict=True))
        if min(n1, n0) < _FEWEST_VIEWS or min(s1, s0) < 0:
            continue
        comparison.add(ArmCounts(Sums(n1, s1)), ArmCounts(Sums(n0, s0)), age - since)
        ahead += (n0 * s1 - n1 * s0) / (n1 + n0)
        before = age, mine, its
    evidence = max(0.0, comparison.log_e_value())
    return evidence if ahead > 0 else -evidence


def _boundaries(curve: AgeCurve) -> dict[int, Totals]:
    """Return the totals that its engagement is compared between."""
    found = {0: Totals(0, 0)} if curve.is_total else {}
    found |= {age: totals for age, totals in curve.points() if age in _COARSE}
    return found | {_NOW: curve.totals}


def _against(
    mine: Mapping[int, Totals], others: Mapping[str, Mapping[int, Totals]], as_old: Sequence[str]
) -> list[float]:
    """Return views, interactions and expected interactions of a variant over the ages that it shares with another."""
    sums = [0.0, 0.0, 0.0]
    since, *ages = mine
    for age in ages:
        rivals = as_old if age == _NOW else others
        shared = [others[name] for name in rivals if since in others[name] and age in others[name]]
        if not shared:
            # Longer, until somebody has both ends; from where nobody begins, one begins later.
            if not any(since in each for each in others.values()):
                since = age
            continue
        views, done = _between(mine, since, age)
        theirs = [_between(each, since, age) for each in shared]
        whole = views + sum(each[0] for each in theirs)
        since = age
        if views <= 0 or done < 0 or whole <= 0 or any(min(each) < 0 for each in theirs):
            continue
        rate = (done + sum(each[1] for each in theirs)) / whole
        for index, value in enumerate((views, done, views * rate)):
            sums[index] += value
    return sums


def _between(totals: Mapping[int, Totals], since: int, until: int) -> tuple[float, float]:
    earlier, later = totals[since], totals[until]
    return later.views - earlier.views, later.interactions - earlier.interactions
