"""Variants of different ages are compared at equal age, and their traffic may follow the suggestions."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ml_monitoring.exporter.errors import SourceError
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.variants.equal_age import AgeCurve, EqualAges, Totals
from ml_monitoring.exporter.sources.variants.traffic import PostedTogether
from ml_monitoring.exporter.statistics import Counts, compare, prior_of, thompson_shares
from tests.support.fleet_files import messages
from tests.support.variants_fixtures import reading, samples
from tests.support.variants_store import add_active, connected, create_tables

HOUR = 3600.0
LEAD = 6 * HOUR
STEP = 1200.0


@pytest.fixture
def uri(postgres_database: str) -> str:
    """Return a database with the tables, empty."""
    create_tables(postgres_database)
    return postgres_database


def views_at(age: float) -> int:
    """Return the views of a post: most of them come early."""
    return round(40_000 * (1 - 2 ** (-max(0.0, age) / (6 * HOUR))))


def interactions_at(age: float, factor: float = 1.0, late: float = 0.0) -> int:
    """Return its interactions: of early views more, and some time after them."""
    seen = views_at(max(0.0, age - late)) / 40_000
    return round(factor * 4000 * (seen - 0.3 * seen**2))


class Posts:
    """Posts of one persona whose age goes on while the clock of the database stands."""

    def __init__(self, uri: str, factors: dict[str, float], late: float = 0.0) -> None:
        self._uri, self._factors, self._late = uri, factors, late
        self.ages = {"old": LEAD, "new": 0.0}
        with connected(uri) as cursor:
            for name in self.ages:
                add_active(cursor, name, "p", 0, 0)

    def go_on(self, seconds: float) -> None:
        with connected(self._uri) as cursor:
            for name in self.ages:
                self.ages[name] += seconds
                age = self.ages[name]
                cursor.execute(
                    "update variants set posted_at = clock_timestamp() - make_interval(secs => %s) where id = %s",
                    (age, name),
                )
                cursor.execute(
                    "update variant_monitoring set view_count = %s, interaction_count = %s where variant_id = %s",
                    (views_at(age), interactions_at(age, self._factors[name], self._late), name),
                )


def followed(posts: Posts, uri: str, hours: float, **settings: str) -> Iterator[FamilySet]:
    """Yield what is exposed while time goes on; the old post is looked at from its beginning."""
    posts.go_on(0.0)
    with reading(uri, interval="1ms", **settings) as source:
        for _ in range(round(hours * HOUR / STEP)):
            yield source.collect()
            posts.go_on(STEP)


@pytest.mark.parametrize("late", [0.0, 2 * HOUR])
def test_a_post_is_not_better_for_its_age_or_late_interactions(uri: str, late: float) -> None:
    posts = Posts(uri, {"old": 1.0, "new": 1.0}, late)
    posts.ages = {"old": 0.0, "new": -LEAD}
    smallest, widest, last = 1.0, 0.0, FamilySet("variants", max_series=0)
    for last in followed(posts, uri, 14):
        smallest = min([smallest, *samples(last, "variant_sequential_p_value").values()])
        views, done = (samples(last, f"variant_observed_{name}") for name in ("views", "interactions"))
        rates = [done[labels] / count for labels, count in views.items() if count > 1000]
        widest = max(widest, 1 - min(rates) / max(rates) if rates and max(rates) else 0.0)
    # The totals said that they differ.
    assert widest > 0.1
    assert smallest == 1
    lift = samples(last, "variant_lift_ratio")
    assert [lift["p", name, "hook"] for name in ("old", "new")] == pytest.approx([0, 0], abs=0.01)
    best = samples(last, "variant_probability_best")
    assert 0.3 < best["p", "old", "hook"] < 0.7


def test_a_younger_post_that_is_better_is_found_although_its_totals_are_lower(uri: str) -> None:
    posts = Posts(uri, {"old": 1.0, "new": 1.3})
    posts.ages = {"old": 0.0, "new": -LEAD}
    found = list(followed(posts, uri, 16))
    p_values = samples(found[-1], "variant_sequential_p_value")
    assert (p_values["p", "new", "hook"] < 0.001, p_values["p", "old", "hook"]) == (True, 1)
    assert samples(found[-1], "variant_lift_ratio")["p", "new", "hook"] == pytest.approx(0.3, abs=0.02)
    opportunities = samples(found[-1], "variant_optimization_opportunity")
    assert opportunities["p", "clear_winner", "high"] == 1
    assert ("p", "clear_winner", "new") in samples(found[-1], "variant_optimization_opportunity_subject_info")
    compared = samples(found[-1], "variant_compared_views")
    # Of the old one only what it had at the ages of the new one counts.
    assert compared["p", "old", "hook"] < 1.1 * compared["p", "new", "hook"]
    assert samples(found[-1], "variant_observed_views")["p", "old", "hook"] > 1.2 * compared["p", "old", "hook"]


def test_a_restart_goes_on_with_the_history_of_the_file(uri: str, tmp_path: Path) -> None:
    file = tmp_path / "state" / "variants.json.gz"
    posts = Posts(uri, {"old": 1.0, "new": 1.3})
    posts.ages = {"old": 0.0, "new": -LEAD}
    for _families in followed(posts, uri, 12, history=str(file)):
        pass
    found = {}
    for name, history in {"with": str(file), "without": str(tmp_path / "other")}.items():
        with reading(uri, interval="1ms", history=history) as source:
            found[name] = samples(source.collect(), "variant_sequential_p_value")["p", "new", "hook"]
    assert (found["with"] < 0.001, found["without"]) == (True, 1)
    # A file that holds something else is none.
    file.write_bytes(gzip.compress(b'{"version": 1, "personas": {"p": {"curves": {"old": [1]}}}}'))
    with reading(uri, interval="1ms", history=str(file)) as source:
        assert samples(source.collect(), "variant_sequential_p_value")["p", "new", "hook"] == 1
    assert json.loads(gzip.decompress(file.read_bytes()))["version"] == 1


def test_a_history_that_cannot_be_written_is_named(uri: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with connected(uri) as cursor:
        add_active(cursor, "v", "p", 10, 1)
    with reading(uri, history=str(tmp_path / "file" / "variants.json.gz")) as source:
        assert [text for text in messages(source.collect()) if "variants.json.gz: cannot be written" in text] != []


@pytest.mark.parametrize("content", [b"precious: true\n", gzip.compress(b"a dump", mtime=0), b"[1]", b""])
def test_a_file_that_is_no_history_is_named_not_overwritten(uri: str, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "precious.yml"
    file.write_bytes(content)
    with reading(uri, history=str(file)) as source:
        assert f"{file}: not a history of variants - name another file" in "".join(messages(source.collect()))
        with pytest.raises(SourceError, match=r"precious\.yml: not a history of variants"):
            source.check()
    assert file.read_bytes() == content


def test_a_check_writes_no_history(uri: str, tmp_path: Path) -> None:
    with connected(uri) as cursor:
        add_active(cursor, "v", "p", 10, 1)
    with reading(uri, history=str(tmp_path / "made" / "history.json.gz")) as source:
        source.check()
    assert list(tmp_path.iterdir()) == []


def looks(ages: EqualAges, totals: Callable[[str, float], Totals], posted: dict[str, float], until: float) -> None:
    """Look every minute until a moment."""
    for moment in np.arange(0.0, until, 60.0).tolist():
        active = {name: since for name, since in posted.items() if since <= moment}
        ages.look({name: (moment - since, totals(name, moment - since)) for name, since in active.items()}, active)


def test_each_replacement_of_a_killed_variant_asks_for_more_evidence() -> None:
    def totals(name: str, age: float) -> Totals:
        return Totals(10 * age / 60, (1.6 if name == "a" else 1.0) * age / 60)

    def p_value(replaced: int) -> float:
        ages = EqualAges()
        # Killed ones are forgotten, and what replaces them is another variant.
        for number in range(replaced):
            ages.look({"a": (0.0, Totals(0, 0)), f"killed {number}": (0.0, Totals(0, 0))}, ("a", f"killed {number}"))
        looks(ages, totals, {"a": 0.0, "b": 0.0}, 3 * HOUR)
        assert set(ages.curves) == {"a", "b"}
        return ages.best_p_values(["a", "b"])["a"]

    first = p_value(0)
    assert first < 0.01
    assert [p_value(number) / first for number in (1, 2, 9)] == pytest.approx([3, 6, 55])


def test_nobody_has_won_against_a_variant_that_shares_no_age() -> None:
    ages = EqualAges()
    looks(ages, lambda name, age: Totals(10 * age, (2 if name == "a" else 1) * age), {"a": 0.0, "b": 0.0}, 6 * HOUR)
    assert ages.best_p_values(["a", "b"])["a"] < 0.001
    # A system that is looked at for the first time may have older ones.
    ages.look({"c": (30 * 24 * HOUR, Totals(500_000, 5000))}, ("a", "b", "c"))
    assert ages.best_p_values(["a", "b", "c"]) == {"a": 1, "b": 1, "c": 1}
    counts = ages.standardised(["a", "b", "c"], 1.0)
    assert counts["c"] == Counts(0, 0)
    assert counts["a"].successes == 2 * counts["b"].successes


def test_evidence_stays_while_a_variant_is_ahead_though_fewer_ages_are_kept() -> None:
    def totals(name: str, age: float) -> Totals:
        # Ahead for a day, level with the other one in what comes, behind in the end.
        lead = min(age, 24 * HOUR) - max(0.0, age - 60 * HOUR)
        return Totals(age, 0.1 * age + (0.01 * lead if name == "a" else 0.0))

    ages, p_values = EqualAges(), []
    for moment in np.arange(0.0, 130 * HOUR, 60.0).tolist():
        ages.look({name: (moment, totals(name, moment)) for name in "ab"}, "ab")
        p_values.append(ages.best_p_values(["a", "b"])["a"])
        if moment == 30 * HOUR:
            ages = EqualAges.load(json.loads(json.dumps(ages.dump())))
    assert p_values[30 * 60] < 0.01
    assert all(later <= earlier for earlier, later in pairwise(p_values[: 84 * 60]))
    # Who is behind is seen at the next age that is kept.
    assert set(p_values[120 * 60 :]) == {1.0}


def test_totals_that_are_reset_begin_again_and_corrections_do_not() -> None:
    curve = AgeCurve(0.0, Totals(0, 0), 1)
    for minute in range(1, 61):
        curve.look(60.0 * minute, Totals(100.0 * minute, 10.0 * minute))
    known = len(list(curve.points()))
    curve.look(3660.0, Totals(5900, 590))
    assert len(list(curve.points())) >= known
    assert (curve.is_whole, curve.is_total) == (True, True)
    curve.look(3720.0, Totals(10, 1))
    assert (list(curve.points()), curve.is_whole, curve.is_total) == ([], False, False)


def test_a_curve_is_bounded_and_variants_of_any_age_have_ages_in_common() -> None:
    early, late = AgeCurve(0.0, Totals(0, 0), 1), AgeCurve(20 * 24 * HOUR + 7, Totals(10**6, 10**4), 1)
    for moment in np.arange(0, 40 * 24 * HOUR, 900.0).tolist():
        early.look(moment, Totals(moment, moment / 10))
        if moment > 20 * 24 * HOUR:
            late.look(moment + 11, Totals(10**6 + moment, 10**4 + moment / 10))
    assert len(list(early.points())) < 120
    common = {age for age, _totals in early.points()} & {age for age, _totals in late.points()}
    assert len(common) > 10
    assert AgeCurve.load(json.loads(json.dumps(early.dump()))).dump() == early.dump()


def engagement(age: float) -> float:
    return float(0.05 * (1 + age / HOUR) ** -0.5)


def decided(seed: int, better: float, *, replace: bool) -> str:
    """Return the first variant that is ever called the best, among posts of different ages."""
    random = np.random.default_rng(seed)
    posted = {"v0": 0.0, "v1": float(random.uniform(1, 12)) * HOUR}
    totals = {name: [0, 0] for name in posted}
    ages = EqualAges()
    for moment in np.arange(0.0, 60 * HOUR, 1200.0).tolist():
        active = [name for name, since in posted.items() if since <= moment]
        for name in active:
            age = moment - posted[name]
            seen = int(random.poisson(400 * 2 ** (-age / (12 * HOUR))))
            totals[name][0] += seen
            totals[name][1] += int(random.binomial(seen, engagement(age) * (better if name == "v1" else 1)))
        ages.look({name: (moment - posted[name], Totals(*totals[name])) for name in active}, active)
        known = [name for name in active if totals[name][0] >= 100]
        for name, p_value in ages.best_p_values(known).items():
            if p_value <= 0.05:
                return name
        rates = {name: totals[name][1] / totals[name][0] for name in known if totals[name][0] >= 1000}
        if replace and len(rates) > 1 and min(rates.values()) < 0.9 * max(rates.values()):
            killed = min(rates, key=lambda name: rates[name])
            new = f"v{len(totals)}"
            del posted[killed]
            posted[new], totals[new] = moment, [0, 0]
    return ""


@pytest.mark.parametrize("replace", [False, True])
def test_equal_variants_of_different_ages_are_watched_without_false_winners(replace: bool) -> None:
    assert sum(decided(seed, 1.0, replace=replace) != "" for seed in range(40)) <= 2


def test_a_better_variant_is_found_whatever_its_age() -> None:
    assert [decided(seed, 1.6, replace=False) for seed in range(10)] == ["v1"] * 10


def alarmed(seed: int, kind: str, batch: int = 1) -> bool:
    """Tell whether the split of two equal variants ever looks bad."""
    random = np.random.default_rng(seed)
    views, done = np.zeros(2), np.zeros(2)
    weights = None if kind == "as suggested" else {"a": 1.0, "b": 1.0}
    split = PostedTogether({"a": 0.0, "b": 0.0}, 0.0, weights)
    suggested = np.array([0.5, 0.5])
    for look in range(1, 150):
        share = {"as declared": np.array([0.5, 0.5]), "as suggested": suggested, "otherwise": np.array([0.4, 0.6])}
        new = batch * random.multinomial(random.poisson(200 / batch), share[kind])
        views, done = views + new, done + random.binomial(new, 0.05)
        split.look({"a": float(views[0]), "b": float(views[1])}, 15.0 * look, 60.0)
        counts = [Counts(int(i), int(n)) for i, n in zip(done, views, strict=True)]
        prior = prior_of(counts, 20)
        standings = compare([prior.updated(each) for each in counts])
        suggested = np.array(thompson_shares([each.probability_best for each in standings], 0.05))
        split.suggest({"a": float(suggested[0]), "b": float(suggested[1])})
        p_value = split.p_value
        if p_value is not None and p_value < 0.001:
            return True
    return False


@pytest.mark.parametrize(
    ("kind", "batch", "found"),
    [("as declared", 10, 0), ("as suggested", 1, 0), ("as suggested", 10, 0), ("otherwise", 1, 5)],
)
def test_traffic_that_follows_what_is_declared_or_suggested_is_no_mismatch(kind: str, batch: int, found: int) -> None:
    assert sum(alarmed(seed, kind, batch) for seed in range(5)) == found


def test_suggestions_for_variants_that_nobody_views_any_more_are_forgotten() -> None:
    split = PostedTogether({"a": 9.0, "b": 9.0}, 0.0)
    for look in range(1, 2000):
        split.look({"a": 9.0, "b": 9.0}, 15.0 * look, 60.0)
        split.suggest({"a": 0.5, "b": 0.5})
    # Those of the minute in which they are to be applied, and the one before.
    assert len(split._suggested) == 6
