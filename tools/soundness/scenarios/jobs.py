"""Batch jobs: each night one run, that begins late and takes longer at times, or fails and is tried again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.world import BEGIN, DAY, SCRAPE_INTERVAL, Series, World

# What a fault is.
_NOT_STARTED, _KILLED = 1, 2


def _nightly(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield what a Pushgateway holds of jobs that are due each night."""
    for number in range(round(traffic)):
        labels = {"job": f"job{number}", "job_name": f"job{number}"}
        # Both have been seen before.
        started = np.full(world.scrapes, BEGIN - DAY + 7200.0)
        succeeded = np.full(world.scrapes, BEGIN - DAY + 9000.0)
        for night in range(world.scrapes * SCRAPE_INTERVAL // DAY):
            begin = night * DAY + 7200 + world.random.uniform(0, 3600)
            end = begin + world.random.uniform(600, 7200)
            if world.random.random() < 0.05:
                # Its second attempt.
                end += world.random.uniform(600, 7200)
            faulty = size is not None and night * DAY >= world.onset * SCRAPE_INTERVAL
            if not faulty or size == _KILLED:
                started[int(begin // SCRAPE_INTERVAL) :] = BEGIN + begin
            if not faulty:
                succeeded[int(end // SCRAPE_INTERVAL) :] = BEGIN + end
        yield world.gauge("ml_job_last_start_timestamp_seconds", labels, started)
        yield world.gauge("ml_job_last_success_timestamp_seconds", labels, succeeded)
        yield world.gauge("ml_job_interval_seconds", labels, DAY)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="MlJobOverdue",
        healthy="a job begins within an hour each night and takes up to two; one run in twenty is made twice",
        simulate=_nightly,
        traffic={"low": 1, "usual": 5, "high": 10},
        unit="jobs that are due each night",
        faults={"it is not started": _NOT_STARTED, "it is killed each time": _KILLED},
        horizon=DAY,
        step=300,
    ),
)
