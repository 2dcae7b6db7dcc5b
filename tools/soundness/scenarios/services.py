"""Instrumented services: requests that fail, are slow, and models that are wrong."""

from __future__ import annotations

from collections.abc import Iterator

from tools.soundness.scenario import Scenario
from tools.soundness.world import DAY, Floats, Series, World

REQUESTS = {"low": 1, "usual": 60, "high": 3000}
_SERVICE = {"job": "ml", "instance": "a:80"}
_ROUTE = {**_SERVICE, "method": "POST", "route": "/predict"}
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


_ERRORS_OF = "half of the error budget is used, and four times a month a client fails a few times in a row"

_FAULTS = {"10 % fail": 0.1, "all fail": 1}

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="MlApiErrorRatioHigh",
        healthy=_ERRORS_OF,
        simulate=_errors,
        traffic=REQUESTS,
        unit="requests a minute",
        faults=_FAULTS,
        cannot={
            ("low", fault): "too few requests in the window; the error budget's alerts look over hours"
            for fault in _FAULTS
        },
    ),
    Scenario(
        alert="MlApiErrorBudgetBurnsFast",
        healthy=_ERRORS_OF,
        simulate=_errors,
        traffic=REQUESTS,
        unit="requests a minute",
        faults={"3 % fail": 0.03, "all fail": 1},
        warm_up=3 * DAY,
        step=300,
    ),
)
