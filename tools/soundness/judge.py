"""Let the real rules judge simulated samples in a real Prometheus."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate.expanded import expand, recorded_expressions
from ml_monitoring.alerting.operate.backtest import Firing, find_firings
from ml_monitoring.exporter import durations
from tools.backfilled_prometheus import backfilled_prometheus
from tools.soundness.scenario import Scenario
from tools.soundness.world import BEGIN, DAY, SCRAPE_INTERVAL, World

MONTH = 30 * DAY


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is simulated.

    Attributes:
        months: Healthy months for each level of traffic.
        faults: Simulations for each fault and level.
        month: Seconds of a healthy month; a sample may take less.
    """

    months: int
    faults: int
    month: float = MONTH


@dataclass(frozen=True, slots=True)
class Found:
    """How an alert finds a fault.

    Attributes:
        fault: In words.
        simulations: How many there were.
        delays: Seconds from the beginning of the fault to the alert, for those that it found in time.
        cannot: Why it cannot be found at this traffic; empty where it can.
    """

    fault: str
    simulations: int
    delays: tuple[float, ...]
    cannot: str = ""

    @property
    def share(self) -> float:
        """Return which share was found."""
        return len(self.delays) / self.simulations

    @property
    def median_delay(self) -> float | None:
        """Return the median delay in seconds; None where nothing was found."""
        return median(self.delays) if self.delays else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an alert did at one level of traffic.

    Attributes:
        alert: Its name.
        severity: Its severity.
        level: Name of the level.
        traffic: In words.
        months: Healthy time that was simulated, in months.
        false_alarms: How often it fired in it.
        found: What it did with the faults.
    """

    alert: str
    severity: str
    level: str
    traffic: str
    months: float
    false_alarms: int
    found: tuple[Found, ...]


def judge(scenario: Scenario, effort: Effort, programs: Mapping[str, Path], *, seed: int = 1) -> list[Judgement]:
    """Simulate a scenario and return what its alert did, a judgement for each level of traffic.

    Raises:
        StopIteration: No enabled alert has the scenario's name.
    """
    alert = next(alert for alert in load_alerts() if alert.name == scenario.alert)
    expr = expand(alert.expr, recorded_expressions(load_thresholds()))
    with tempfile.TemporaryDirectory() as folder:
        lines = _lines(scenario, effort, seed)
        flags = ("--query.max-samples=1000000000", "--query.timeout=10m")
        with backfilled_prometheus(programs, Path(folder), lines, flags=flags) as url:
            firings = find_firings(
                url,
                expr,
                durations.parse(alert.numbers.for_),
                start=BEGIN + scenario.step,
                end=BEGIN + max(_healthy(scenario, effort), scenario.warm_up + scenario.horizon),
                step=scenario.step,
            )
    return [
        Judgement(
            alert.name,
            alert.severity,
            level,
            f"{traffic:g} {scenario.unit}",
            effort.months * _healthy(scenario, effort) / MONTH,
            sum(_is_of(firing, f"{level}-healthy") for firing in firings),
            tuple(_found(scenario, effort, level, fault, firings) for fault in scenario.faults),
        )
        for level, traffic in scenario.traffic.items()
    ]


def _healthy(scenario: Scenario, effort: Effort) -> float:
    return min(effort.month, scenario.healthy_span)


def _lines(scenario: Scenario, effort: Effort, seed: int) -> Iterator[str]:
    """Yield the samples of all simulations, told apart by their namespace."""
    onset = round(scenario.warm_up / SCRAPE_INTERVAL)
    short = round((scenario.warm_up + scenario.horizon) / SCRAPE_INTERVAL)
    month = round(_healthy(scenario, effort) / SCRAPE_INTERVAL)
    for level, traffic in scenario.traffic.items():
        for number in range(effort.months):
            world = World(np.random.default_rng([seed, number]), month, month)
            for series in scenario.simulate(world, traffic, None):
                yield from series.lines(f"{level}-healthy-{number}")
        for place, size in enumerate(scenario.faults.values()):
            for number in range(effort.faults):
                world = World(np.random.default_rng([seed, number, place]), short, onset)
                for series in scenario.simulate(world, traffic, size):
                    yield from series.lines(f"{level}-fault{place}-{number}")


def _is_of(firing: Firing, kind: str) -> bool:
    return firing.labels["namespace"].startswith(f"{kind}-")


def _found(scenario: Scenario, effort: Effort, level: str, fault: str, firings: list[Firing]) -> Found:
    begun = BEGIN + scenario.warm_up
    place = list(scenario.faults).index(fault)
    first: dict[str, float] = {}
    for firing in firings:
        # What still fires when the fault begins was no finding of it.
        if _is_of(firing, f"{level}-fault{place}") and firing.begins >= begun:
            first.setdefault(firing.labels["namespace"], firing.begins - begun)
    return Found(fault, effort.faults, tuple(sorted(first.values())), scenario.cannot.get((level, fault), ""))
