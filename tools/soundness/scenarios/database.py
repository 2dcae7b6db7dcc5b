"""PostgreSQL: connections, restarts, long transactions and deadlocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.world import SCRAPE_INTERVAL, Series, World

_SERVER = {"job": "postgres", "instance": "p:9187"}
_DATABASE = {**_SERVER, "datname": "mlflow"}
_MOST = 100


def _up(world: World, _traffic: float, size: float | None) -> Iterator[Series]:
    yield world.flag("pg_up", _SERVER, world.spells(4, 0.3, 2), size)


def _connections(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield connections of pools: by day more, and in a rolling deployment those of the old and the new instances."""
    share = traffic * (0.7 + 0.3 * world.daily) + world.random.normal(0, 0.02, world.scrapes)
    share = share + np.where(world.spells(8, 2, 9), 0.35, 0)
    if size is not None:
        # They leak within two hours.
        leaked = np.clip((world.moments - world.onset * SCRAPE_INTERVAL) / 7200, 0, 1)
        share = np.where(world.faulty, share + np.clip(size - share, 0, None) * leaked, share)
    connections = np.round(_MOST * np.clip(share, 0, 0.97))
    yield world.gauge("pg_stat_activity_count", {**_DATABASE, "state": "idle"}, np.floor(connections * 0.8))
    yield world.gauge("pg_stat_activity_count", {**_DATABASE, "state": "active"}, np.ceil(connections * 0.2))
    yield world.gauge("pg_settings_max_connections", _SERVER, _MOST)


def _transactions(world: World, _traffic: float, size: float | None) -> Iterator[Series]:
    """Yield ages: short ones, a nightly dump, a vacuum of a large table, and one whose commit is forgotten."""

    def age(running: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        begun = np.maximum.accumulate(np.where(running, 0.0, world.moments))
        return np.asarray(world.moments - begun)

    labels = {**_DATABASE, "state": "active", "backend_type": "client backend"}
    short = world.random.exponential(2, world.scrapes) + age(world.nightly(5, 25, hour=4))
    yield world.gauge("pg_stat_activity_max_tx_duration", {**labels, "application_name": "etl"}, short)
    dump = age(world.nightly(40, 150))
    yield world.gauge("pg_stat_activity_max_tx_duration", {**labels, "application_name": "pg_dump"}, dump)
    vacuum = {**labels, "backend_type": "autovacuum worker", "application_name": ""}
    yield world.gauge("pg_stat_activity_max_tx_duration", vacuum, age(world.spells(4, 30, 120)))
    forgotten = np.clip(world.moments - world.onset * SCRAPE_INTERVAL, 0, size or 0)
    idle = {**labels, "state": "idle in transaction", "application_name": "api"}
    yield world.gauge("pg_stat_activity_max_tx_duration", idle, np.where(world.faulty, forgotten, 0))


def _deadlocks(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield deadlocks: a few a day, and now and then a batch whose transactions meet in the wrong order."""
    usual = world.events(traffic / 86400 * world.daily) + world.bursts(8, 10)
    faulty = world.events((size or 0) / 60)
    yield world.counter("pg_stat_database_deadlocks", _DATABASE, usual + np.where(world.faulty, faulty, 0))


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="DatabaseDown",
        healthy="four times a month the server is restarted, within two minutes",
        simulate=_up,
        traffic={"usual": 1},
        unit="server: whether it answers does not depend on traffic",
        faults={"it is down": 1},
    ),
    Scenario(
        alert="DatabaseConnectionsHigh",
        healthy="a daily curve, and eight rolling deployments that open 35 % more for up to nine minutes",
        simulate=_connections,
        traffic={"low": 0.1, "usual": 0.4, "high": 0.6},
        unit="of the connections on average",
        faults={"a leak up to 90 %": 0.9, "a leak of all": 1},
    ),
    Scenario(
        alert="DatabaseTransactionLong",
        healthy="a nightly dump of up to 150 minutes and a batch of up to 25, and vacuums of large tables",
        simulate=_transactions,
        traffic={"usual": 1},
        unit="database: the age of a transaction does not depend on traffic",
        faults={"a forgotten transaction of 1 h": 3600, "one that never ends": 86400},
    ),
    Scenario(
        alert="DatabaseDeadlocks",
        healthy="a daily curve of deadlocks, and eight times a month ten within a minute",
        simulate=_deadlocks,
        traffic={"low": 0.3, "usual": 3, "high": 30},
        unit="deadlocks a day",
        faults={"one a minute": 1, "ten a minute": 10},
    ),
)
