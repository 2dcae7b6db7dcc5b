"""Instrumented services: requests that fail, are slow, and models that are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.scenarios.exporter import instances
from tools.soundness.world import DAY, Floats, Series, World

REQUESTS = {"low": 1, "usual": 60, "high": 3000}
_SERVICE = {"job": "ml", "instance": "a:80"}
_ROUTE = {**_SERVICE, "method": "POST", "route": "/predict"}
_MODEL = {**_SERVICE, "model": "m", "model_version": "1"}
_TRUTHS_KNOWN = (
    "sum without (instance, model, model_version, outcome) (increase(ml_prediction_truths_total{variant!=''}[1h]))"
)
_PREDICTED = "60 * model_version_variant_origin:ml_predictions:rate"
# Half of the budget of an objective of 99.9 %.
_HEALTHY_ERRORS = 0.0005


def _requests(world: World, a_minute: float, failing: Floats) -> Iterator[Series]:
    """Yield the counters of requests, of which the given shares fail; now and then a client fails a few times."""
    requests = world.events(a_minute / 60 * world.daily)
    burst = world.bursts(4, 3)
    failed = world.share(requests, failing) + burst
    yield world.counter("ml_http_requests_total", {**_ROUTE, "status": "200"}, requests + burst - failed)
    yield world.counter("ml_http_requests_total", {**_ROUTE, "status": "500"}, failed)


def _errors(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    yield from _requests(world, traffic, world.choose(_HEALTHY_ERRORS, size or _HEALTHY_ERRORS))


def _durations(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield response times, of which 2 % take a second; thrice a month a slow minute, and after a start a cold one."""
    requests = world.events(traffic / 60 * world.daily)
    jammed = (world.random.random(world.scrapes) < 3 / (30 * 1440)) | world.restarts
    slow = world.share(requests, np.where(jammed, 0.5, world.choose(0.02, size or 0.02)))
    quick = world.share(requests - slow, 0.9)
    for le, counted in (
        ("0.1", quick),
        ("0.5", requests - slow),
        ("1.0", requests),
        ("+Inf", requests),
    ):
        yield world.counter("ml_http_request_duration_seconds_bucket", {**_ROUTE, "le": le}, counted)


def _resources(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield used processor time, with noise, and twice a week a batch of four minutes that takes all there is."""
    use = np.clip(traffic * (0.6 + 0.4 * world.daily) + world.random.normal(0, 0.05, world.scrapes), 0, 1)
    for begin in np.flatnonzero(world.random.random(world.scrapes) < 2 / (7 * 1440)):
        use[begin : begin + 4] = 1.0
    if size is not None:
        use = np.where(world.faulty, np.clip(size + world.random.normal(0, 0.02, world.scrapes), 0, 1), use)
    yield world.counter("ml_process_cpu_seconds_total", _SERVICE, 60 * use)
    yield world.gauge("ml_process_cpu_limit_cores", _SERVICE, 1.0)


def _cache(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield lookups, of which 70 % find their entry, fewer while a cache is cold after a start."""
    lookups = world.events(traffic / 60 * world.daily)
    since_start = world.moments - np.maximum.accumulate(np.where(world.restarts, world.moments, -DAY))
    hits = world.share(lookups, world.choose(0.7, size or 0.7) * (1 - np.exp(-since_start / 240)))
    labels = {**_SERVICE, "cache": "features"}
    yield world.counter("ml_cache_requests_total", {**labels, "outcome": "hit"}, hits)
    yield world.counter("ml_cache_requests_total", {**labels, "outcome": "miss"}, lookups - hits)


def _predictions(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield predictions on weekdays from seven to nineteen o'clock, with breaks; those of the fault's world stop."""
    hours, day = world.moments / 3600 % 24, world.moments // DAY % 7
    open_hours = (hours >= 7 + world.random.normal(0, 0.1)) & (hours < 19) & (day < 5)
    rate = traffic / 60 * np.where(open_hours, 2.0, 0.0)
    made = world.events(rate, dispersion=1.0) * np.where(world.faulty, 0.0, 1.0)
    if size == 2:
        # The service is gone with its counters.
        yield Series(
            "ml_predictions_total",
            {**_MODEL, "variant": "A"},
            np.where(world.lost | world.faulty, np.nan, np.cumsum(made)),
        )
    else:
        yield world.counter("ml_predictions_total", {**_MODEL, "variant": "A"}, made)


def _truths(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield the truths of two variants that are right in 80 %, until the second one's accuracy falls by a share."""
    for variant, accuracy in (("A", 0.8), ("B", world.choose(0.8, 0.8 * (1 - (size or 0))))):
        known = world.events(traffic / 3600 * world.daily)
        right = world.share(known, accuracy)
        labels = {**_MODEL, "variant": variant}
        yield world.counter("ml_prediction_truths_total", {**labels, "outcome": "correct"}, right)
        yield world.counter("ml_prediction_truths_total", {**labels, "outcome": "incorrect"}, known - right)


def _scores(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield scores in ten bins: at night others ask than by day, and at weekends a few more; a fault moves them."""
    made = world.events(traffic / 60 * world.daily)
    centre = 0.5 + 0.12 * np.cos(2 * np.pi * world.moments / DAY) + 0.03 * (world.moments // DAY % 7 >= 5)
    centre = centre + world.choose(0, size or 0)
    edges = np.linspace(0, 1, 11)
    weights = np.exp(-(((edges[:-1] + 0.05)[None, :] - centre[:, None]) ** 2) / (2 * 0.2**2))
    counts = world.random.multinomial(made.astype(np.int64), weights / weights.sum(axis=1, keepdims=True))
    for place, edge in enumerate(edges[1:]):
        labels = {**_MODEL, "variant": "A", "bin": f"{edge:.1f}"}
        yield world.counter("ml_prediction_scores_total", labels, counts[:, place].astype(np.float64))


_on_errors = partial(
    Scenario,
    healthy="half of the error budget is used, and four times a month a client fails a few times in a row",
    simulate=_errors,
    traffic=REQUESTS,
    unit="requests a minute",
    query="60 * origin:ml_http_requests:rate",
)
_FAULTS = {"10 % fail": 0.1, "all fail": 1}

_on_instances = partial(
    Scenario,
    healthy="each instance is restarted eight times a month, within two minutes, and single scrapes fail",
    simulate=partial(instances, "services"),
    traffic={"low": 1, "usual": 2, "high": 4},
    unit="instances",
)

SCENARIOS: tuple[Scenario, ...] = (
    _on_instances(
        alert="MlServiceDown",
        faults={"all are down": 4},
    ),
    _on_instances(
        alert="MlServiceInstanceDown",
        faults={"one is down": 1},
        cannot={("low", "one is down"): "it is the only one: MlServiceDown fires"},
    ),
    _on_errors(
        alert="MlApiErrorRatioHigh",
        faults=_FAULTS,
        cannot={
            ("low", fault): "too few requests in the window; the error budget's alerts look over hours"
            for fault in _FAULTS
        },
    ),
    _on_errors(
        alert="MlApiErrorBudgetBurnsFast",
        faults={"3 % fail": 0.03, "all fail": 1},
        warm_up=3 * DAY,
        step=300,
        recorded_every=300,
    ),
    _on_errors(
        alert="MlApiErrorBudgetBurnsSlowly",
        faults={"0.6 % fail": 0.006, "3 % fail": 0.03},
        warm_up=4 * DAY,
        horizon=3 * DAY,
        step=300,
        recorded_every=300,
    ),
    Scenario(
        alert="MlApiLatencyHigh",
        healthy="2 % of the requests take a second, half of them in a bad minute thrice a month and after each start",
        simulate=_durations,
        traffic=REQUESTS,
        unit="requests a minute",
        query="60 * origin:ml_http_requests:rate",
        faults={"a fifth is slow": 0.2, "all are slow": 1},
        cannot={("low", "a fifth is slow"): "of five requests in the window one is slow by chance, too"},
    ),
    Scenario(
        alert="MlServiceResourceHigh",
        healthy="twice a week a batch takes the whole processor for four minutes",
        simulate=_resources,
        traffic={"low": 0.1, "usual": 0.3, "high": 0.5},
        unit="of the processor on average",
        faults={"90 %": 0.9, "all": 1},
    ),
    Scenario(
        alert="MlCacheHitRatioLow",
        healthy="70 % of the lookups find their entry, fewer in the ten minutes after a start",
        simulate=_cache,
        traffic=REQUESTS,
        unit="lookups a minute",
        query="60 * sum without (instance, outcome) (rate(ml_cache_requests_total[5m]))",
        faults={"30 % found": 0.3, "5 % found": 0.05},
        cannot={("low", "30 % found"): "of five lookups in the window, two are found by chance, too"},
    ),
    Scenario(
        alert="MlPredictionsStopped",
        healthy="predictions come on weekdays between seven and nineteen o'clock only",
        simulate=_predictions,
        traffic=REQUESTS,
        unit="predictions a minute, mean of the day",
        query=_PREDICTED,
        faults={"none any more": 1, "the service is gone": 2},
        # Wednesday of the third week, at ten o'clock.
        warm_up=16 * DAY + 10 * 3600,
        horizon=DAY / 4,
        step=300,
        recorded_every=300,
    ),
    Scenario(
        alert="MlModelAccuracyLow",
        healthy="both variants are right in 80 %",
        simulate=_truths,
        traffic={"low": 20, "usual": 100, "high": 5000},
        unit="truths an hour and variant",
        query=_TRUTHS_KNOWN,
        faults={"halved": 0.5, "a third": 0.66},
        step=300,
        recorded_every=300,
    ),
    Scenario(
        alert="MlPredictionDrift",
        healthy="at night the scores are others than by day, and at weekends a little",
        simulate=_scores,
        traffic={"low": 20, "usual": 60, "high": 3000},
        unit="predictions a minute",
        query=_PREDICTED,
        faults={"scores 0.2 higher": 0.2, "scores 0.3 higher": 0.3},
        # Long enough for a week to compare with; a drift begins at noon.
        warm_up=9.5 * DAY,
        step=1800,
        recorded_every=1800,
    ),
)
