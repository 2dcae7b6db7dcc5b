"""Variants: what the exporter's own functions make of posts, views and kills, month by month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_monitoring.exporter.sources.variants.counters import Ratchet
from ml_monitoring.exporter.sources.variants.equal_age import EqualAges, Totals
from ml_monitoring.exporter.sources.variants.persona import Rows, build
from ml_monitoring.exporter.sources.variants.settings import VariantsSettings
from ml_monitoring.exporter.sources.variants.traffic import PostedTogether
from ml_monitoring.exporter.statistics import Counts, confidence_sequence
from tools.soundness.scenario import Scenario
from tools.soundness.world import BEGIN, DAY, SCRAPE_INTERVAL, Floats, Series, World

_SETTINGS: Final = VariantsSettings.model_validate({"uri": "postgresql://watcher@127.0.0.1/simulated"})
_PERSONA: Final = {"job": "ml-monitoring", "instance": "a:9847", "persona": "ann"}
# What changes slowly is computed twice an hour, and scraped in between.
_SLOT: Final = 30
# What the exporter keeps of the past is looked at oftener.
_LOOK: Final = 5
_A_DAY: Final = DAY // SCRAPE_INTERVAL
_ENGAGEMENT: Final = 0.05
# Scrapes of what there are many series of; Prometheus looks back five minutes.
_SPARSE: Final = 4


def _exported(rows: Rows) -> dict[tuple[str, ...], float]:
    """Return what the exporter exports of a persona: values by family and labels."""
    persona = build("ann", rows, Ratchet(1000), _SETTINGS)
    return {
        (family, *labels): value
        for family, samples in persona.samples.items()
        for value, labels in samples
        if value is not None
    }


def _series(world: World, name: str, labels: dict[str, str], values: Sequence[float]) -> Series:
    held = np.repeat(np.array(values, dtype=np.float64), _SLOT)[: world.scrapes]
    return world.gauge(name, labels, np.pad(held, (0, world.scrapes - len(held)), constant_values=np.nan))


def _kills(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield the share of a day's posts that was killed: a quarter, on some days more and on some fewer."""
    posts = world.random.poisson(traffic / DAY * SCRAPE_INTERVAL * world.daily)
    of_day = np.repeat(world.random.beta(20, 60, world.scrapes // _A_DAY + 1), _A_DAY)[: world.scrapes]
    killed = world.random.binomial(posts, np.where(world.faulty, size or 0, of_day))
    posted, ended = np.cumsum(posts), np.cumsum(killed)
    numbers: list[float] = []
    ratios: list[float] = []
    for scrape in range(0, world.scrapes, _SLOT):
        before = max(0, scrape - _A_DAY)
        number, ends = int(posted[scrape] - posted[before]), int(ended[scrape] - ended[before])
        found = _exported(Rows(now=BEGIN, statuses={}, recent=(None, number, ends, ends)))
        numbers.append(found["variant_recent_posts", "ann"])
        ratios.append(found.get(("variant_early_kill_ratio", "ann"), np.nan))
    yield _series(world, "variant_recent_posts", _PERSONA, numbers)
    yield _series(world, "variant_early_kill_ratio", _PERSONA, ratios)


def _row(pattern: str, chosen: NDArray[np.bool_], views: Floats, hits: Floats, latest: NDArray[np.bool_]) -> list[Any]:
    """Return what the query of posts gives for one pattern; predictions are true on average."""
    row: list[Any] = [pattern, int((chosen & latest).sum())]
    for which in (chosen & latest, chosen & ~latest):
        v, i = views[which], hits[which]
        row += [len(v), v.sum(), i.sum(), (v * v).sum(), (v * i).sum(), (i * i).sum()]
    errors = hits[chosen] / views[chosen] - _ENGAGEMENT
    return [*row, len(errors), errors.sum(), (errors**2).sum()]


def _fatigue(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield the fatigue of a pattern that three of five posts have; posts differ, and few get most of the views."""
    number = int(100 * world.scrapes * SCRAPE_INTERVAL / DAY)
    when = np.sort(world.random.uniform(0, world.scrapes, number))
    worn = (world.random.random(number) < 0.6).astype(bool)
    views = np.ceil(traffic * world.random.lognormal(-0.5, 1, number))
    kept = np.where((when >= world.onset) & worn, 1.0 if size is None else size, 1.0)
    rates = np.clip(_ENGAGEMENT * kept * world.random.gamma(3, 1 / 3, number), 0, 1)
    hits = world.random.binomial(views.astype(np.int64), rates).astype(np.float64)
    fatigue: list[float] = []
    errors: list[float] = []
    most = _SETTINGS.latest_posts + _SETTINGS.earlier_posts
    for scrape in range(0, world.scrapes, _SLOT):
        known = int(np.searchsorted(when, scrape))
        begin = max(0, known - most)
        latest = np.arange(begin, known) >= known - _SETTINGS.latest_posts
        part = slice(begin, known)
        posts = [
            tuple(_row(name, which[part], views[part], hits[part], latest))
            for name, which in (("hook", worn), ("story", ~worn))
        ]
        found = _exported(Rows(now=BEGIN, statuses={}, posts=posts))
        fatigue.append(found.get(("variant_pattern_fatigue_ratio", "ann", "hook"), np.nan))
        errors.append(found.get(("variant_pattern_fatigue_error_ratio", "ann", "hook"), np.nan))
    labels = {**_PERSONA, "pattern": "hook"}
    yield _series(world, "variant_pattern_fatigue_ratio", labels, fatigue)
    yield _series(world, "variant_pattern_fatigue_error_ratio", labels, errors)


def _days(world: World, rates: Floats, begin: int, size: tuple[float, ...]) -> tuple[NDArray[Any], NDArray[Any], slice]:
    """Return views and interactions of a day's variants up to each scrape."""
    end = min(begin + _A_DAY, world.scrapes)
    part = slice(begin, end)
    views = np.stack([world.random.poisson(rates[part] * share) for share in size])
    return views.cumsum(axis=1), views, part


def _sparse(world: World, name: str, labels: dict[str, str], part: slice, values: Floats) -> Series:
    """Return a series that lasts for a part of the time, with fewer scrapes."""
    whole = np.full(world.scrapes, np.nan)
    whole[part] = values
    whole[np.arange(world.scrapes) % _SPARSE != 0] = np.nan
    return world.gauge(name, labels, whole)


def _held(values: Sequence[float], length: int) -> Floats:
    return np.repeat(np.array(values, dtype=np.float64), _SLOT)[:length]


def _predicted(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield variants, one after the other each day, whose predictions are a tenth too high or too low at most."""
    rates = traffic / 3600 * SCRAPE_INTERVAL * world.daily
    for day, begin in enumerate(range(0, world.scrapes, _A_DAY)):
        total, views, part = _days(world, rates, begin, (1.0,))
        true = world.random.uniform(0.9, 1.1) if size is None or begin < world.onset else size
        hits = world.random.binomial(views[0], _ENGAGEMENT * true).cumsum()
        upper = [
            confidence_sequence(Counts(int(hits[at]), int(total[0][at])), 0.05)[1] for at in range(0, len(hits), _SLOT)
        ]
        labels = {**_PERSONA, "variant": f"v{day}", "pattern": "hook"}
        length = part.stop - part.start
        yield _sparse(world, "variant_engagement_ratio_upper_anytime", labels, part, _held(upper, length))
        yield _sparse(world, "variant_predicted_engagement_ratio", labels, part, np.full(length, _ENGAGEMENT))
        yield _sparse(world, "variant_observed_views", labels, part, total[0].astype(np.float64))


def _winner(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield two variants each day: equal ones and, every other day, one that is half better and gets the most views."""
    rates = traffic / 3600 * SCRAPE_INTERVAL * world.daily
    ages = EqualAges()
    for day, begin in enumerate(range(0, world.scrapes, _A_DAY)):
        faulty = size is not None and begin >= world.onset
        better = size if faulty and size else (1.5 if day % 2 else 1.0)
        share = 0.3 if faulty else (0.7 if day % 2 else 0.5)
        total, views, part = _days(world, rates, begin, (share, 1 - share))
        engagement = (_ENGAGEMENT * better, _ENGAGEMENT)
        hits = np.stack([world.random.binomial(v, e) for v, e in zip(views, engagement, strict=True)]).cumsum(axis=1)
        names = [f"v{day}{who}" for who in (0, 1)]
        values: list[list[float]] = [[], []]
        for at in range(0, total.shape[1], _LOOK):
            age = float(at * SCRAPE_INTERVAL)
            counts = {name: Totals(float(total[who][at]), float(hits[who][at])) for who, name in enumerate(names)}
            ages.look({name: (age, item) for name, item in counts.items()}, names)
            if at % _SLOT:
                continue
            known = [name for name, item in counts.items() if item.views >= _SETTINGS.rules.min_views]
            found = ages.best_p_values(known)
            for who, name in enumerate(names):
                values[who].append(found.get(name, np.nan))
        length = part.stop - part.start
        for who, name in enumerate(names):
            labels = {**_PERSONA, "variant": name, "pattern": "hook"}
            yield _sparse(world, "variant_sequential_p_value", labels, part, _held(values[who], length))
            for family in ("variant_views_total", "variant_observed_views"):
                yield _sparse(world, family, labels, part, total[who].astype(np.float64))


def _split(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield the p-value of the split of two variants that are posted together each day, and are to share evenly."""
    rates = traffic / 3600 * SCRAPE_INTERVAL * world.daily
    values: list[float] = []
    for begin in range(0, world.scrapes, _A_DAY):
        share = size if size is not None and begin >= world.onset else 0.5
        total, _views, _part = _days(world, rates, begin, (share, 1 - share))
        # Where nothing is declared, it may follow the suggestions too, and less is a mismatch.
        split = PostedTogether({"a": 0, "b": 0}, BEGIN, {"a": 1, "b": 1})
        for at in range(0, total.shape[1], _LOOK):
            seen = {"a": float(total[0][at]), "b": float(total[1][at])}
            split.look(seen, BEGIN + at * SCRAPE_INTERVAL, _SETTINGS.split.applied)
            if at % _SLOT == 0:
                found = split.p_value
                values.append(np.nan if found is None else found)
    yield _series(world, "variant_sample_ratio_p_value", _PERSONA, values)


def _updates(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield the last update: each view is one, with the curve over day and week, in clusters."""
    updated = world.events(traffic / DAY * world.weekly, dispersion=2) > 0
    if size is not None:
        updated &= ~world.faulty
    # Something was updated before the simulation begins.
    last = np.maximum.accumulate(np.where(updated, world.moments, 0))
    yield world.gauge("variant_last_update_timestamp_seconds", _PERSONA, BEGIN + last)
    yield world.gauge("variants", {**_PERSONA, "status": "active"}, 3)


_VIEWS = {"low": 10, "usual": 100, "high": 2000}

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="VariantEarlyKillRateHigh",
        healthy="a quarter of the posts is killed, on some days a fifth and on some a third",
        simulate=_kills,
        traffic={"low": 10, "usual": 50, "high": 500},
        unit="posts a day",
        faults={"60 % are killed": 0.6, "90 % are killed": 0.9},
        warm_up=2 * DAY,
        horizon=2 * DAY,
        cannot={("low", "60 % are killed"): "fewer than twenty posts in a day"}
        | {("low", "90 % are killed"): "fewer than twenty posts in a day"},
    ),
    Scenario(
        alert="VariantSampleRatioMismatch",
        healthy="each day two variants are posted together that are to share evenly, and each view is of one by chance",
        simulate=_split,
        traffic=_VIEWS,
        unit="views an hour",
        faults={"53 % for one": 0.53, "60 % for one": 0.6},
        cannot={
            ("low", "53 % for one"): "240 views a day do not show it",
            ("low", "60 % for one"): "240 views a day do not show it",
            ("usual", "53 % for one"): "2,400 views a day do not show it",
        },
    ),
    Scenario(
        alert="VariantPatternFatigued",
        healthy="100 posts a day that differ by more than half from each other, and few of which get most of the views",
        simulate=_fatigue,
        traffic={"low": 30, "usual": 300, "high": 10000},
        unit="views of a post",
        faults={"engagement falls to 30 %": 0.3, "engagement falls to 10 %": 0.1},
        warm_up=3 * DAY,
        cannot={("low", "engagement falls to 30 %"): "30 views of a post do not always show it within a day"},
    ),
    Scenario(
        alert="VariantFarBelowPrediction",
        healthy="a new variant each day, whose prediction is a tenth too high or too low at most",
        simulate=_predicted,
        traffic=_VIEWS,
        unit="views an hour",
        faults={"half of the prediction": 0.5, "a fifth of it": 0.2},
        cannot={
            ("low", "half of the prediction"): "240 views a day do not show it",
            ("low", "a fifth of it"): "240 views a day do not show it",
            ("usual", "half of the prediction"): "2,400 views a day often do not show it within the day",
        },
    ),
    Scenario(
        alert="VariantClearWinnerNotExploited",
        healthy="two new variants each day: equal ones and, every other day, one that is half better and gets 70 %",
        simulate=_winner,
        traffic=_VIEWS,
        unit="views an hour",
        faults={"half better": 1.5, "twice as good": 2},
        cannot={
            (level, fault): f"{views} views a day do not show a winner soon enough"
            for level, views in (("low", "240"), ("usual", "2,400"))
            for fault in ("half better", "twice as good")
        },
    ),
    Scenario(
        alert="VariantUpdatesStopped",
        healthy="each view is an update, by night and at weekends fewer, in clusters",
        simulate=_updates,
        traffic={"low": 20, "usual": 300, "high": 20000},
        unit="views a day",
        faults={"there are none": 1},
        warm_up=8 * DAY,
        cannot={("low", "there are none"): "there are not more than twenty updates a day"},
    ),
)
