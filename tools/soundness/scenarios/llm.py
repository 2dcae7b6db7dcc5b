"""Language models: first tokens that come late, queues, full caches, clients who give up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.world import DAY, Series, World

_ANSWERS = {"low": 1, "usual": 60, "high": 3000}
_MODEL = {"job": "llm", "instance": "a:80", "model": "m", "model_version": "1"}


def _first_tokens(world: World, a_minute: float, size: float | None) -> Iterator[Series]:
    """Yield times to the first token, of which 2 % are late, and half of a bad minute thrice a month."""
    answers = world.events(a_minute / 60 * world.daily)
    jammed = (world.random.random(world.scrapes) < 3 / (30 * 1440)) | world.restarts
    late = world.share(answers, np.where(jammed, 0.5, world.choose(0.02, size or 0.02)))
    name = "ml_gen_ai_time_to_first_token_seconds"
    yield world.counter(f"{name}_bucket", {**_MODEL, "le": "1.0"}, answers - late)
    yield world.counter(f"{name}_bucket", {**_MODEL, "le": "+Inf"}, answers)
    yield world.counter(f"{name}_count", _MODEL, answers)


def _queue(world: World, waiting: float, size: float | None) -> Iterator[Series]:
    """Yield queues that come and go, and twice a week one of up to eight minutes."""
    length = world.random.poisson(waiting * world.daily).astype(np.float64)
    length += np.where(world.spells(8, 1, 8), 40, 0)
    if size is not None:
        length += np.where(world.faulty, size, 0)
    yield world.gauge("ml_gen_ai_requests_waiting", _MODEL, length)


def _cache(world: World, used: float, size: float | None) -> Iterator[Series]:
    """Yield a cache that is as full as there is traffic, and is all used twice a week for up to eight minutes."""
    share = np.clip(used * world.daily + world.random.normal(0, 0.05, world.scrapes), 0, 0.9)
    share = np.where(world.spells(8, 1, 8), 1.0, share)
    if size is not None:
        share = np.where(world.faulty, size, share)
    yield world.gauge("ml_gen_ai_kv_cache_utilization_ratio", _MODEL, share)


def _aborts(world: World, a_minute: float, size: float | None) -> Iterator[Series]:
    """Yield answers of which 2 % are aborted; four times a month a client gives up and asks again some times."""
    answers = world.events(a_minute / 60 * world.daily)
    burst = world.bursts(4, 5)
    aborted = world.share(answers, world.choose(0.02, size or 0.02)) + burst
    name = "ml_gen_ai_responses_total"
    yield world.counter(name, {**_MODEL, "finish_reason": "stop"}, answers + burst - aborted)
    yield world.counter(name, {**_MODEL, "finish_reason": "abort"}, aborted)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="LlmFirstTokenBudgetBurns",
        healthy="2 % of the answers begin late, half of them in a bad minute thrice a month and after each start",
        simulate=_first_tokens,
        traffic=_ANSWERS,
        unit="answers a minute",
        query="model_origin:ml_gen_ai_responses:count / 5",
        faults={"half begin late": 0.5, "all begin late": 1},
        warm_up=3 * DAY,
        step=300,
        recorded_every=300,
    ),
    Scenario(
        alert="LlmQueueBacklog",
        healthy="queues come and go; twice a week 40 requests wait for up to eight minutes",
        simulate=_queue,
        traffic={"low": 0.1, "usual": 2, "high": 6},
        unit="requests that wait on average",
        faults={"20 more wait": 20, "200 more wait": 200},
    ),
    Scenario(
        alert="LlmKvCacheFull",
        healthy="the cache is as full as there is traffic; twice a week it is all used for up to eight minutes",
        simulate=_cache,
        traffic={"low": 0.1, "usual": 0.4, "high": 0.7},
        unit="used on average",
        faults={"97 % used": 0.97, "all used": 1},
    ),
    Scenario(
        alert="LlmAbortRatioHigh",
        healthy="2 % of the answers are aborted, and four times a month a client gives up some times within a minute",
        simulate=_aborts,
        traffic=_ANSWERS,
        unit="answers a minute",
        query="model_origin:ml_gen_ai_responses:count / 5",
        faults={"a fifth is aborted": 0.2, "half are aborted": 0.5},
        cannot={
            ("low", fault): "too few answers in the window; the page shows them"
            for fault in ("a fifth is aborted", "half are aborted")
        },
    ),
)
