"""What is simulated for an alert: healthy months at several levels of traffic, and the fault that it is for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tools.soundness.world import DAY, Series, World

Simulate: TypeAlias = Callable[[World, float, float | None], Iterable[Series]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """The simulations of one alert.

    Attributes:
        alert: Its name.
        healthy: What a healthy month is, in words.
        simulate: Gives the series of one simulation, from a world, the traffic, and the size of the fault from the
            world's onset on; None for the size is a healthy month.
        traffic: Levels of traffic, in `unit`, by their name.
        unit: What traffic is counted in.
        faults: Sizes of the fault, by what they are called in words.
        warm_up: Seconds of health before a fault begins: what the alert compares with must be there.
        horizon: Seconds within which the fault must be found.
        cannot: Why a fault cannot be found at a level, by level and fault: it is said, and no goal there.
        step: Seconds between two evaluations of the rule.
        healthy_span: Seconds of a healthy month that are simulated, where a whole one takes too long: there are more.
        known_for: Seconds of health before false alarms count, where an alert has to learn first what is usual.
        query: PromQL that gives the traffic of a service, a series for each, in `unit`.
        recorded_every: Seconds between two samples of the recorded series, where the alert takes too long without any.
            0: it is asked of raw samples.
    """

    alert: str
    healthy: str
    simulate: Simulate
    traffic: Mapping[str, float]
    unit: str
    faults: Mapping[str, float]
    warm_up: float = DAY
    horizon: float = DAY
    cannot: Mapping[tuple[str, str], str] = field(default_factory=dict)
    step: float = 60
    healthy_span: float = math.inf
    known_for: float = 0
    query: str = ""
    recorded_every: float = 0
