"""Let the real rules judge simulated samples in a real Prometheus."""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from statistics import median

import numpy as np

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate.expanded import expand, recorded_expressions
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.operate.backtest import Firing, find_firings
from ml_monitoring.alerting.operate.soundness import Detection, Measured, TrafficLevel, fingerprint
from ml_monitoring.exporter import durations
from tools.backfilled_prometheus import backfill, prometheus_on
from tools.soundness.recorded import query_flags, record
from tools.soundness.scenario import Scenario
from tools.soundness.world import BEGIN, DAY, SCRAPE_INTERVAL, World

MONTH = 30 * DAY
# So much of a healthy month says whether another one would be simulated now.
_FINGERPRINTED = 2 * DAY


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is simulated.

    Attributes:
        months: Healthy months for each level of traffic.
        faults: Simulations for each fault and level.
        month: Seconds of a healthy month; a sample may take less.
        critical_months: Healthy months of critical alerts, if more: they may fire once a year.
    """

    months: int
    faults: int
    month: float = MONTH
    critical_months: int = 0


@dataclass(frozen=True, slots=True)
class _Simulation:
    """One simulation: which one it is, and what happens in it."""

    level: str
    kind: str
    number: int
    traffic: float
    size: float | None
    scrapes: int
    onset: int

    @property
    def name(self) -> str:
        return f"{self.level}-{self.kind}-{self.number}"

    def lines(self, scenario: Scenario, seed: int) -> Iterator[str]:
        """Yield its samples, with its name as their namespace."""
        place = () if self.size is None else (int(self.kind.removeprefix("fault")),)
        world = World(np.random.default_rng([seed, self.number, *place]), self.scrapes, self.onset)
        for series in scenario.simulate(world, self.traffic, self.size):
            yield from series.lines(self.name)


def judge(
    scenario: Scenario, effort: Effort, programs: Mapping[str, Path], *, seed: int = 1, workers: int = 1
) -> Measured:
    """Simulate a scenario, on several processors if wanted, and return what its alert did at each level of traffic."""
    alert = _alert(scenario)
    recorded = recorded_expressions(load_thresholds())
    simulations = list(_simulations(scenario, effort, alert.severity))
    end = BEGIN + max(scenario.known_for + _healthy(scenario, effort), scenario.warm_up + scenario.horizon)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backfill(programs, folder / "data", _texts(scenario, simulations, seed, workers))
        expr = expand(alert.expr, recorded)
        if scenario.recorded_every:
            record(programs, folder, alert.expr, recorded, begin=BEGIN, end=end, step=scenario.recorded_every)
            expr = alert.expr
        with prometheus_on(programs, folder, flags=query_flags(scenario.recorded_every)) as url:
            firings = find_firings(
                url,
                expr,
                durations.parse(alert.numbers.for_),
                start=BEGIN + scenario.step,
                end=end,
                step=scenario.step,
            )
    spans = sum(one.size is None for one in simulations) / len(scenario.traffic)
    return Measured(
        alert.severity,
        fingerprint(alert, recorded),
        simulated(scenario, seed=seed),
        seed,
        scenario.healthy,
        scenario.unit,
        scenario.query,
        tuple(
            TrafficLevel(
                level,
                traffic,
                spans * _healthy(scenario, effort) / MONTH,
                sum(
                    _is_of(firing, level, "healthy") and firing.begins >= BEGIN + scenario.known_for
                    for firing in firings
                ),
                tuple(_found(scenario, effort, level, fault, firings) for fault in scenario.faults),
            )
            for level, traffic in scenario.traffic.items()
        ),
    )


def _texts(scenario: Scenario, simulations: Sequence[_Simulation], seed: int, workers: int) -> Iterator[str]:
    if workers == 1:
        for one in simulations:
            yield from one.lines(scenario, seed)
        return
    with ProcessPoolExecutor(workers) as pool:
        # A few ahead of what is written: all of them at once would be gigabytes.
        ahead: deque[Future[list[str]]] = deque()
        for one in simulations:
            ahead.append(pool.submit(_lines, one, scenario, seed))
            if len(ahead) > 2 * workers:
                yield from ahead.popleft().result()
        for done in ahead:
            yield from done.result()


def _lines(simulation: _Simulation, scenario: Scenario, seed: int) -> list[str]:
    return list(simulation.lines(scenario, seed))


def simulated(scenario: Scenario, *, seed: int = 1) -> str:
    """Return what changes with the simulations: the first one of each kind, a healthy one of some days."""
    times = (
        scenario.warm_up,
        scenario.horizon,
        scenario.step,
        scenario.healthy_span,
        *filter(None, [scenario.known_for]),
    )
    digest = hashlib.sha256(repr(times).encode())
    for one in _simulations(scenario, Effort(1, 1, month=_FINGERPRINTED), ""):
        if one.number == 0:
            digest.update(f"{one.name} {one.traffic} {one.size}\n".encode())
            for line in one.lines(scenario, seed):
                digest.update(line.encode())
    return digest.hexdigest()[:16]


def is_today(scenario: Scenario, effort: Effort, measured: Measured) -> bool:
    """Return whether something was measured with today's rule and scenario, and with no less effort."""
    alert = _alert(scenario)
    if measured.rule != fingerprint(alert, recorded_expressions(load_thresholds())):
        return False
    months = _months(effort, alert.severity) * effort.month / MONTH
    enough = all(
        level.months >= months and all(found.simulations >= effort.faults for found in level.found)
        for level in measured.levels
    )
    return enough and measured.simulated == simulated(scenario, seed=measured.seed)


def in_words_of(scenario: Scenario, measured: Measured) -> Measured:
    """Return the same measurement, described as the scenario does now."""
    levels = [
        replace(
            level,
            found=tuple(replace(one, cannot=scenario.cannot.get((level.name, one.fault), "")) for one in level.found),
        )
        for level in measured.levels
    ]
    return replace(measured, healthy=scenario.healthy, unit=scenario.unit, query=scenario.query, levels=tuple(levels))


def _alert(scenario: Scenario) -> BoundAlert:
    return next(alert for alert in load_alerts() if alert.name == scenario.alert)


def _months(effort: Effort, severity: str) -> int:
    return max(effort.months, effort.critical_months) if severity == "critical" else effort.months


def _healthy(scenario: Scenario, effort: Effort) -> float:
    return min(effort.month, scenario.healthy_span)


def _simulations(scenario: Scenario, effort: Effort, severity: str) -> Iterator[_Simulation]:
    onset = round(scenario.warm_up / SCRAPE_INTERVAL)
    short = round((scenario.warm_up + scenario.horizon) / SCRAPE_INTERVAL)
    span = _healthy(scenario, effort)
    month = round((scenario.known_for + span) / SCRAPE_INTERVAL)
    months = _months(effort, severity)
    for level, traffic in scenario.traffic.items():
        for number in range(ceil(months * effort.month / span)):
            yield _Simulation(level, "healthy", number, traffic, None, month, month)
        for place, size in enumerate(scenario.faults.values()):
            for number in range(effort.faults):
                yield _Simulation(level, f"fault{place}", number, traffic, size, short, onset)


def _is_of(firing: Firing, level: str, kind: str) -> bool:
    return firing.labels["namespace"].startswith(f"{level}-{kind}-")


def _found(scenario: Scenario, effort: Effort, level: str, fault: str, firings: list[Firing]) -> Detection:
    begun = BEGIN + scenario.warm_up
    place = list(scenario.faults).index(fault)
    delays: dict[str, float] = {}
    for firing in firings:
        # What still fires when the fault begins was no finding of it.
        if _is_of(firing, level, f"fault{place}") and firing.begins >= begun:
            delays.setdefault(firing.labels["namespace"], firing.begins - begun)
    return Detection(
        fault,
        effort.faults,
        len(delays),
        median(delays.values()) if delays else None,
        scenario.cannot.get((level, fault), ""),
    )
