"""Containers: deployments, restarts while what they need is away, and memory that rises until it is collected."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.world import SCRAPE_INTERVAL, Series, World

_CONTAINER = {"job": "ml-monitoring", "instance": "e:9847", "compose_service": "api", "container_name": "stack-api-1"}
_DEPLOYMENTS = {"low": 1, "usual": 8, "high": 40}


def _restarts(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield restarts: a few while the database is away, since Docker waits twice as long after each, and rare ones.

    A new container begins at zero, which a deployment is; `restarts` of the world are those.
    """
    waiting = world.spells(traffic, 2, 5)
    restarts = np.where(waiting, world.random.poisson(2, world.scrapes), 0).astype(np.float64) + world.bursts(4, 1)
    failing = world.events((size or 0) / 3600, dispersion=0)
    yield world.counter("docker_container_restarts_total", _CONTAINER, restarts + np.where(world.faulty, failing, 0))


def _state(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    starting = world.spells(traffic, 1, 5)
    stopped = world.faulty & (size == 1)
    yield world.gauge("docker_container_running", _CONTAINER, np.where(stopped, 0.0, 1.0))
    unhealthy = starting | (world.faulty & (size is not None))
    yield world.gauge("docker_container_healthy", _CONTAINER, np.where(unhealthy, 0.0, 1.0))


def _memory(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield memory that rises for hours until it is collected, and twice a week a batch that takes nearly all."""
    period = world.random.uniform(2, 6) * 3600
    share = traffic + 0.15 * (world.moments % period) / period + 0.05 * world.daily
    share = np.where(world.spells(8, 2, 12), 0.95, share) + world.random.normal(0, 0.01, world.scrapes)
    if size is not None:
        grown = np.clip((world.moments - world.onset * SCRAPE_INTERVAL) / 7200, 0, 1)
        share = np.where(world.faulty, share + np.clip(size - share, 0, None) * grown, share)
    yield world.gauge("docker_container_memory_bytes", _CONTAINER, 4e9 * np.clip(share, 0, 1))
    yield world.gauge("docker_container_memory_limit_bytes", _CONTAINER, 4e9)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="ContainerRestarting",
        healthy="at each deployment it ends and starts up to ten times within five minutes",
        simulate=_restarts,
        traffic=_DEPLOYMENTS,
        unit="deployments a month",
        faults={"each ten minutes": 6, "each minute": 60},
    ),
    Scenario(
        alert="ContainerUnhealthy",
        healthy="at each deployment its check fails for up to five minutes",
        simulate=_state,
        traffic=_DEPLOYMENTS,
        unit="deployments a month",
        faults={"it does not run": 1, "its check fails": 2},
    ),
    Scenario(
        alert="ContainerMemoryNearLimit",
        healthy="memory that rises for hours until it is collected, and eight batches that take 95 % for minutes",
        simulate=_memory,
        traffic={"low": 0.2, "usual": 0.45, "high": 0.6},
        unit="of the limit in use after a collection",
        faults={"a leak up to 94 %": 0.94, "a leak up to the limit": 1},
    ),
)
