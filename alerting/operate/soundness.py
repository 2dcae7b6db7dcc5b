"""What each alert costs in false alarms and how soon it finds its fault, as `make soundness` measured it.

`soundness.json` beside this package is made by simulations that the real rules judge; `docs/soundness.md` says how.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import RootModel
from pydantic.dataclasses import dataclass

from ml_monitoring.alerting.generate.expanded import expand
from ml_monitoring.alerting.model.alert import BoundAlert

PATH: Final = Path(__file__).parent.parent / "soundness.json"


@dataclass(frozen=True, slots=True)
class Detection:
    """How an alert finds a fault.

    Attributes:
        fault: In words.
        simulations: How many there were.
        found: How many of them it found in time.
        median_delay: Seconds from the beginning of the fault to the alert; None where nothing was found.
        cannot: Why it cannot be found at this traffic; empty where it can.
    """

    fault: str
    simulations: int
    found: int
    median_delay: float | None
    cannot: str = ""

    @property
    def share(self) -> float:
        """Return which share was found."""
        return self.found / self.simulations


@dataclass(frozen=True, slots=True)
class TrafficLevel:
    """What an alert did at one level of traffic.

    Attributes:
        name: Of the level.
        traffic: How much that is, in the unit of the measurement.
        months: Healthy time that was simulated, in months.
        false_alarms: How often it fired in it.
        found: What it did with the faults.
    """

    name: str
    traffic: float
    months: float
    false_alarms: int
    found: tuple[Detection, ...]

    @property
    def false_alarms_a_month(self) -> float:
        """Return how often it fires in a month in which nothing is wrong."""
        return self.false_alarms / self.months


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one alert.

    Attributes:
        severity: Its severity.
        rule: Fingerprint of the rule that was judged, see `fingerprint`.
        simulated: Fingerprint of what was simulated.
        seed: Of its randomness.
        healthy: What a healthy month is, in words.
        unit: What traffic is counted in.
        query: PromQL that gives the traffic in this unit; empty where there is no such thing.
        levels: From the least traffic to the most.
    """

    severity: str
    rule: str
    simulated: str
    seed: int
    healthy: str
    unit: str
    query: str
    levels: tuple[TrafficLevel, ...]

    def nearest(self, traffic: float) -> TrafficLevel:
        """Return the level whose traffic is the nearest, by ratio."""
        return min(self.levels, key=lambda level: max(level.traffic, traffic) / max(1e-9, min(level.traffic, traffic)))


_File = RootModel[dict[str, Measured]]


def load(path: Path = PATH) -> dict[str, Measured]:
    """Return what was measured, by the alert's name."""
    return _File.model_validate_json(path.read_bytes()).root


def save(measured: Mapping[str, Measured], path: Path = PATH) -> None:
    """Write what was measured."""
    path.write_text(_File(dict(sorted(measured.items()))).model_dump_json(indent=1) + "\n", encoding="utf-8")


def fingerprint(alert: BoundAlert, recorded: Mapping[str, str]) -> str:
    """Return what changes with the rule of an alert, or with a recording rule that it is made of.

    Args:
        alert: The alert.
        recorded: Recorded series by name, see `expand`.
    """
    rule = f"{expand(alert.expr, recorded)} for {alert.numbers.for_}"
    return hashlib.sha256(rule.encode()).hexdigest()[:16]
