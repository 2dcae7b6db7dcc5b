"""Experiments on traffic: variants that are equal until one is worse, and splits that are as meant until then."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.world import DAY, Series, World

_SERVICE = {"job": "ml", "instance": "a:80"}
_VARIANTS = ("A", "B")


def _worse(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield requests and truths of two variants; both are right in 80 % and fail in 1 %, now and then together."""
    outage = world.bursts(4, 3)
    for variant in _VARIANTS:
        requests = world.events(traffic / 60 * world.daily)
        failed = world.share(requests, 0.01) + world.share(outage, 0.5)
        labels = {**_SERVICE, "variant": variant}
        yield world.counter("ab_test_requests_total", {**labels, "outcome": "success"}, requests)
        yield world.counter("ab_test_requests_total", {**labels, "outcome": "error"}, failed)
        yield world.counter("ab_test_errors_total", labels, failed)
        accuracy = world.choose(0.8, 0.8 - ((size or 0) if variant == "B" else 0))
        right = world.share(requests, accuracy)
        truth = {**labels, "model": "m", "model_version": "1"}
        yield world.counter("ml_prediction_truths_total", {**truth, "outcome": "correct"}, right)
        yield world.counter("ml_prediction_truths_total", {**truth, "outcome": "incorrect"}, requests - right)


def _split(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield requests that are split in halves, until the second variant gets another share."""
    requests = world.events(2 * traffic / 60 * world.daily)
    second = world.share(requests, np.asarray(world.choose(0.5, size or 0.5)))
    for variant, counted in zip(_VARIANTS, (requests - second, second), strict=True):
        labels = {**_SERVICE, "variant": variant}
        yield world.counter("ab_test_requests_total", {**labels, "outcome": "success"}, counted)


_TRAFFIC = {"low": 1, "usual": 60, "high": 600}

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="AbTestVariantWorse",
        healthy="both variants are right in 80 % and fail in 1 %, and four times a month a few requests fail in a row",
        simulate=_worse,
        traffic=_TRAFFIC,
        unit="requests a minute and variant",
        query="60 * variant_origin:ab_test_requests:rate",
        faults={"5 points less accurate": 0.05, "20 points less accurate": 0.2},
        warm_up=8 * DAY,
        cannot={("low", "5 points less accurate"): "it takes 4,000 truths of each variant"},
        step=900,
        recorded_every=900,
    ),
    Scenario(
        alert="AbTestSampleRatioMismatch",
        healthy="each request is given to either variant with a probability of a half",
        simulate=_split,
        traffic=_TRAFFIC,
        unit="requests a minute and variant",
        query="60 * variant_origin:ab_test_requests:rate",
        faults={"40 % of the requests": 0.4, "none of the requests": 1e-9},
        warm_up=DAY,
        cannot={("low", "40 % of the requests"): "it takes some thousand requests"},
        step=900,
        recorded_every=900,
    ),
)
