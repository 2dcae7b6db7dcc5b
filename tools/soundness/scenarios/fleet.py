"""Fleets of servers: incidents, servers in trouble, and files that stop or are damaged.

The levels of traffic are sizes of the fleet. Rows come once a minute, from `fleet_world`; the exporter's own model
makes an incident probability of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from ml_monitoring.exporter.risk import BuiltinRisk, Sample, incident_probability
from tools.soundness.fleet_world import HELD_OUT, INCIDENTS, STATES, FleetWorld
from tools.soundness.scenario import Scenario
from tools.soundness.world import BEGIN, DAY, SCRAPE_INTERVAL, Floats, Series, World

SIZES = {"low": 6, "usual": 18, "high": 60}
# Scoring 60 servers each minute of a whole month, a dozen times, would take an hour.
_SPAN = 10 * DAY
_FILE = {"job": "ml-monitoring", "instance": "exporter:9847", "file": "fleet.csv"}
_EXPORTER = {"job": "ml-monitoring", "instance": "exporter:9847"}
# What a healthy fleet does a month, and for how many minutes.
_HABITS = {"batch": (30, (15, 90)), "marketing peak": (4, (30, 180)), "rolling restart": (8, (60, 240))}
_HEALTHY = (
    "a batch run a day, two rolling restarts and a marketing peak a week, the daily curve, single slow rows, rows that "
    "never arrive"
)


def _fleet(world: World, servers: float) -> FleetWorld:
    """Return a fleet with its habits, none of which reaches into the fault."""
    fleet = FleetWorld(
        world.random, servers=int(servers), moments=world.scrapes, interval=SCRAPE_INTERVAL, ranges=HELD_OUT
    )
    for what, (a_month, minutes) in _HABITS.items():
        for _ in range(world.random.poisson(a_month * world.onset * SCRAPE_INTERVAL / (30 * DAY))):
            begin = int(world.random.integers(world.onset))
            fleet.happen(what, begin, min(world.onset, begin + int(world.random.integers(*minutes))))
    return fleet


def _probability(world: World, servers: float, size: float | None) -> Iterator[Series]:
    fleet = _fleet(world, servers)
    if size is not None:
        fleet.happen(INCIDENTS[int(size)], world.onset, world.scrapes)
    model = BuiltinRisk()
    newest: dict[str, Sample] = {}
    said = []
    for moment, rows in enumerate(fleet.rows()):
        now = float(BEGIN + moment * SCRAPE_INTERVAL)
        for _number, server, profile, state, values in rows:
            newest[server] = Sample(now, server, profile, state, **values, phase=None, problem_child=None, oom=None)
        # As the exporter does with a server that is silent for its timeout.
        shown = [sample for _server, sample in sorted(newest.items()) if sample.timestamp >= now - SCRAPE_INTERVAL]
        said.append(incident_probability(model.score(shown)))
    yield world.gauge("fleet_incident_probability_ratio", _EXPORTER, np.array(said))


def _states(world: World, servers: float) -> FleetWorld:
    """Return a fleet whose servers say now and then that they are not well, and then are again."""
    fleet = _fleet(world, servers)
    for state, a_month, minutes in ((1, 4 * servers, 6), (2, 2, 2)):
        for _ in range(world.random.poisson(a_month * world.onset * SCRAPE_INTERVAL / (30 * DAY))):
            begin, server = int(world.random.integers(world.onset)), int(world.random.integers(int(servers)))
            fleet.states[begin : begin + int(world.random.integers(1, minutes + 1)), server] = state
    for moment in range(1, fleet.moments):
        # A row that does not arrive leaves the one before it.
        gone = fleet.lost[moment]
        fleet.states[moment, gone] = fleet.states[moment - 1, gone]
    return fleet


def _trouble(world: World, servers: float, size: float | None) -> Iterator[Series]:
    fleet = _states(world, servers)
    if size is not None:
        fleet.states[world.onset :, 0] = int(size)
    for state in (2, 3):
        there = fleet.states == state
        for server in np.flatnonzero(there.any(axis=0)):
            now = there[:, server].astype(float)
            # The rule only looks for ones: what is long at 0 need not be stored.
            near = (now > 0) | (np.append(0, now[:-1]) > 0)
            labels = {**_EXPORTER, "server": f"server-{server:03d}", "profile": "web", "state": STATES[state]}
            yield world.gauge("fleet_server_state", labels, np.where(near, now, np.nan))


def _degraded(world: World, servers: float, size: float | None) -> Iterator[Series]:
    fleet = _states(world, servers)
    if size is not None:
        fleet.states[world.onset :, : max(1, round(size * servers))] = 1
    for place, state in enumerate(STATES):
        # The rule only sums: one series for each state instead of one for each server, too.
        labels = {**_EXPORTER, "server": "all", "profile": "all", "state": state}
        yield world.gauge("fleet_server_state", labels, (fleet.states == place).sum(axis=1).astype(float))


def _position(world: World, servers: float, size: float | None) -> Iterator[Series]:
    del servers
    position = BEGIN + world.moments
    late = np.zeros(world.scrapes, dtype=bool)
    for begin in np.flatnonzero(world.random.random(world.scrapes) < 8 / (30 * 1440)):
        # The writer is late by some minutes.
        late[begin : begin + int(world.random.integers(1, 4))] = True
    if size is not None:
        late |= world.faulty
    position = np.maximum.accumulate(np.where(late, 0, position))
    yield world.gauge("fleet_file_position_timestamp_seconds", _FILE, position)
    yield world.gauge("fleet_file_info", {**_FILE, "mode": "follow", "model": "builtin"}, 1.0)


def _bad_rows(world: World, servers: float, size: float | None) -> Iterator[Series]:
    rows = np.full(world.scrapes, servers)
    burst = np.minimum(world.bursts(4, 3), rows)
    bad: Floats = np.maximum(burst, world.share(rows, world.choose(0.001, size or 0.001)))
    yield world.counter("fleet_file_rows_total", {**_FILE, "outcome": "ok"}, rows - bad)
    yield world.counter("fleet_file_rows_total", {**_FILE, "outcome": "invalid_value"}, bad)


_FLAPS = (
    f"{_HEALTHY}; each server says `warning` four times a month for some minutes, one `critical_issue` twice a month"
)

_of_fleet = partial(
    Scenario,
    traffic=SIZES,
    unit="servers",
    query="count without (server, profile, instance) (fleet_server_cpu_utilization_ratio)",
    warm_up=DAY / 8,
    horizon=DAY / 24,
)

SCENARIOS: tuple[Scenario, ...] = (
    _of_fleet(
        alert="FleetIncidentProbabilityHigh",
        healthy=_HEALTHY,
        simulate=_probability,
        faults={name: float(place) for place, name in enumerate(INCIDENTS)},
        healthy_span=_SPAN,
    ),
    _of_fleet(
        alert="FleetServerCritical",
        healthy=_FLAPS,
        simulate=_trouble,
        faults={"one server critical": 2, "one server offline": 3},
        healthy_span=_SPAN,
    ),
    _of_fleet(
        alert="FleetManyServersDegraded",
        healthy=_FLAPS,
        simulate=_degraded,
        faults={"a third of the servers": 1 / 3, "all servers": 1},
        healthy_span=_SPAN,
    ),
    _of_fleet(
        alert="FleetFileNotAdvancing",
        healthy="the writer is up to three minutes late eight times a month",
        simulate=_position,
        faults={"no row any more": 1},
    ),
    _of_fleet(
        alert="FleetBadRowsRatioHigh",
        healthy="one row in a thousand is damaged, and four times a month some in a row",
        simulate=_bad_rows,
        faults={"a fifth of the rows": 0.2, "all rows": 1},
    ),
)
