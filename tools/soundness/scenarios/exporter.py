"""The exporter itself: its restarts and deployments, and databases that are restarted below it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.scenarios.monitoring import flags
from tools.soundness.world import BEGIN, DAY, Series, World

_EXPORTER: Final = {"job": "ml-monitoring", "instance": "a:9847"}
_SOURCE: Final = {**_EXPORTER, "source": "mlflow"}
_ONE: Final = {"usual": 1.0}


def instances(job: str, world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield targets that a rolling deployment restarts one after the other; of a fault, size is how many are down."""
    for number in range(round(traffic)):
        down = world.spells(8, 0.5, 2) | (world.random.random(world.scrapes) < 0.001)
        dead = size if size is not None and number < size else None
        yield world.flag("up", {"job": job, "instance": f"e{number}:9847"}, down, dead)


_exporters: Final = partial(instances, "ml-monitoring")


def _jobs(world: World, _traffic: float, size: float | None) -> Iterator[Series]:
    """Yield jobs: a nightly training of services, one in two months that is removed on purpose, gaps of deployments.

    The fault: the only job whose targets stay is found no more, all of it or for good after some scrapes that failed.
    """
    batch = world.nightly(20, 240)
    yield Series("up", {"job": "services", "instance": "train:80"}, np.where(batch, 1.0, np.nan))
    gap = world.spells(8, 1, 4) | world.lost
    lasting = np.where(gap | (world.faulty & (size is not None)), np.nan, 1.0)
    yield Series("up", {"job": "node", "instance": "n:9100"}, lasting)
    removed = int(world.random.uniform(0, 2 * 30 * DAY) // 60)
    planned = np.where(world.lost | (np.arange(world.scrapes) >= removed), np.nan, 1.0)
    yield Series("up", {"job": "postgres", "instance": "p:9187"}, planned if size is None else lasting)


def _age(world: World, _traffic: float, size: float | None) -> Iterator[Series]:
    """Yield when a source was last read: each minute, but for slow reads, and stalls of a few intervals."""
    stalled = world.spells(8, 1, 3.5) | (world.faulty & (size is not None))
    if size is not None and size > 1:
        # It is read, but so many times slower than it should be.
        stalled = world.faulty & (np.arange(world.scrapes) % size != 0)
    read = world.moments - world.random.uniform(0, 60, world.scrapes)
    last = np.maximum.accumulate(np.where(stalled, 0, read))
    yield world.gauge("ml_monitoring_source_last_success_timestamp_seconds", _SOURCE, BEGIN + last)
    yield world.gauge("ml_monitoring_source_interval_seconds", _SOURCE, 60)
    yield world.gauge("ml_monitoring_source_up", _SOURCE, 1)


def _dropped(world: World, _traffic: float, size: float | None) -> Iterator[Series]:
    """Yield dropped series: none, but for a moment in which old and new variants are there at once."""
    dropped = world.bursts(4, 20) + np.where(world.faulty, size or 0, 0)
    yield world.counter("ml_monitoring_series_dropped_total", {**_SOURCE, "family": "variants"}, dropped)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="MlMonitoringDown",
        healthy="each exporter is restarted eight times a month, within two minutes, and single scrapes fail",
        simulate=_exporters,
        traffic={"low": 1, "usual": 2, "high": 4},
        unit="exporters",
        faults={"all are down": 4},
    ),
    Scenario(
        alert="MlMonitoringTargetDown",
        healthy="each exporter is restarted eight times a month, within two minutes, and single scrapes fail",
        simulate=_exporters,
        traffic={"low": 1, "usual": 2, "high": 4},
        unit="exporters",
        faults={"one is down": 1, "all are down": 4},
    ),
    Scenario(
        alert="MlMonitoringJobVanished",
        healthy=(
            "a nightly training of up to four hours is a target while it runs, deployments leave gaps of up to four "
            "minutes, and one job in two months is removed on purpose, which no rule can tell from an accident"
        ),
        simulate=_jobs,
        traffic=_ONE,
        unit="set of jobs: discovery does not depend on traffic",
        faults={"a job's targets are gone": 1},
        warm_up=2 * DAY,
    ),
    Scenario(
        alert="MlMonitoringSourceDown",
        healthy="eight times a month its database is restarted, and refreshes fail for up to three minutes",
        simulate=flags("ml_monitoring_source_up", _SOURCE, 8, 0.3, 3),
        traffic=_ONE,
        unit="source: it is read as often at any traffic",
        faults={"it cannot be read": 1},
    ),
    Scenario(
        alert="MlMonitoringSourceStale",
        healthy="reads take up to an interval, and eight times a month one takes up to three and a half",
        simulate=_age,
        traffic=_ONE,
        unit="source: it is read as often at any traffic",
        faults={"it hangs": 1, "it is read each tenth time": 10},
    ),
    Scenario(
        alert="MlMonitoringSeriesDropped",
        healthy="four times a month old and new variants are there at once for one refresh",
        simulate=_dropped,
        traffic=_ONE,
        unit="source: the limit is the same at any traffic",
        faults={"one series a refresh": 1, "a hundred a refresh": 100},
    ),
    Scenario(
        alert="MlMonitoringConfigUnusable",
        healthy="twice a month a mistake in the settings is repaired within four minutes",
        simulate=flags("ml_monitoring_config_last_reload_successful", _EXPORTER, 2, 0.5, 4),
        traffic=_ONE,
        unit="exporter: reloads do not depend on traffic",
        faults={"they stay unusable": 1},
    ),
)
