"""The collection of logs: lines that nobody takes, and parts that are restarted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.world import Series, World

_ALLOY = {"job": "alloy", "instance": "a:12345"}
_LINES = {**_ALLOY, "host": "loki:3100", "tenant": ""}


def _lines(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield lines: now and then a few that are too long, and those of a minute or three in which Loki is overloaded."""
    lines = world.events(traffic * world.daily)
    too_long = world.bursts(60, 3)
    refused = world.share(lines, np.where(world.spells(3, 0.5, 4), 0.5, world.choose(0, size or 0)))
    yield world.counter("loki_write_sent_entries_total", _LINES, lines - refused)
    for reason, dropped in (("line_too_long", too_long), ("rate_limited", refused), ("ingester_error", 0 * refused)):
        yield world.counter("loki_write_dropped_entries_total", {**_LINES, "reason": reason}, dropped)


def _parts(world: World, _traffic: float, size: float | None) -> Iterator[Series]:
    bad = np.where(world.spells(8, 1, 8), 1.0, 0.0) + world.choose(0, size or 0)
    for health, parts in (("healthy", 12 - bad), ("unhealthy", bad)):
        labels = {**_ALLOY, "controller_id": "", "controller_path": "/", "health_type": health}
        yield world.gauge("alloy_component_controller_running_components", labels, parts)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="LogLinesLost",
        healthy="twice a day a few lines are too long, and thrice a month Loki refuses half for up to four minutes",
        simulate=_lines,
        traffic={"low": 0.1, "usual": 10, "high": 500},
        unit="lines a second",
        faults={"5 % are lost": 0.05, "all are lost": 1},
    ),
    Scenario(
        alert="LogCollectorFailing",
        healthy="eight times a month Loki or the engine is restarted, and a part is not well for up to eight minutes",
        simulate=_parts,
        traffic={"usual": 1},
        unit="collector: its parts are the same at any traffic",
        faults={"one part fails": 1, "all parts fail": 12},
    ),
)
