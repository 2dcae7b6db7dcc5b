"""What happens in a simulated month: traffic with its daily curve and bursts, restarts, lost scrapes, and a fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

DAY: Final = 86400
# A scrape a minute: the month of one series is 43,200 samples.
SCRAPE_INTERVAL: Final = 60
# Midnight, so that the daily curve is the same everywhere.
BEGIN: Final = 1_700_006_400


@dataclass(frozen=True, slots=True)
class Series:
    """One series as Prometheus stores it.

    Attributes:
        name: Of the metric.
        labels: Without the label that tells simulations apart.
        values: A value for each scrape; NaN where there is none.
    """

    name: str
    labels: Mapping[str, str]
    values: Floats

    def lines(self, simulation: str) -> Iterator[str]:
        """Yield the samples in OpenMetrics, with the simulation as their namespace."""
        labels = ",".join(f'{name}="{value}"' for name, value in {**self.labels, "namespace": simulation}.items())
        start = f"{self.name}{{{labels}}} "
        moments = range(BEGIN, BEGIN + SCRAPE_INTERVAL * len(self.values), SCRAPE_INTERVAL)
        for value, moment in zip(self.values.tolist(), moments, strict=True):
            if value == value:  # noqa: PLR0124  # a NaN is no sample
                yield f"{start}{value:.10g} {moment}"


@dataclass(slots=True)
class World:
    """One simulation: a span of time, its own randomness, and the moment at which the fault begins.

    Attributes:
        random: Its randomness.
        scrapes: How many scrapes it lasts.
        onset: The scrape from which on there is a fault; `scrapes` where there is none.
        lost: Which scrapes are lost: one in a thousand, and now and then some minutes in a row.
        restarts: At which scrapes the process has just been started, about once a week.
    """

    random: np.random.Generator
    scrapes: int
    onset: int
    lost: NDArray[np.bool_] = field(init=False)
    restarts: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        """Draw what happens to every series at once."""
        self.lost = self.random.random(self.scrapes) < 0.001
        for begin in np.flatnonzero(self.random.random(self.scrapes) < 1 / (7 * 1440)):
            self.lost[begin : begin + int(self.random.integers(2, 6))] = True
        self.restarts = self.random.random(self.scrapes) < 1 / (7 * 1440)

    @property
    def moments(self) -> Floats:
        """Return the seconds since the beginning, at each scrape."""
        return np.arange(self.scrapes, dtype=np.float64) * SCRAPE_INTERVAL

    @property
    def daily(self) -> Floats:
        """Return the daily curve of traffic, with a mean of 1: a quarter of the usual at night."""
        return 1 - 0.75 * np.cos(2 * np.pi * self.moments / DAY)

    @property
    def weekly(self) -> Floats:
        """Return the curve over day and week: on the last two days of each week a third of the others."""
        return self.daily * np.where(self.moments // DAY % 7 >= 5, 1 / 3, 1)

    @property
    def faulty(self) -> NDArray[np.bool_]:
        """Return at which scrapes the fault is there."""
        return np.asarray(np.arange(self.scrapes) >= self.onset)

    def choose(self, healthy: float, faulty: float) -> Floats:
        """Return the one value before the fault begins and the other from then on."""
        return np.where(self.faulty, faulty, healthy)

    def events(self, per_second: Floats | float, *, dispersion: float = 0.2) -> Floats:
        """Draw how many events happen between two scrapes.

        Args:
            per_second: How many are expected.
            dispersion: Variance of their rate from minute to minute, as a share of its square; 0 is Poisson.
        """
        mean = np.broadcast_to(np.asarray(per_second, dtype=np.float64) * SCRAPE_INTERVAL, self.scrapes)
        if dispersion:
            mean = mean * self.random.gamma(1 / dispersion, dispersion, self.scrapes)
        return np.asarray(self.random.poisson(mean), dtype=np.float64)

    def share(self, events: Floats, ratio: Floats | float) -> Floats:
        """Draw which part of the events is of a kind that each is with this probability."""
        return self.random.binomial(events.astype(np.int64), ratio).astype(np.float64)

    def bursts(self, a_month: float, size: float) -> Floats:
        """Draw rare clusters of events: so many a month, each of so many events on average, within one minute."""
        begun = self.random.random(self.scrapes) < a_month * SCRAPE_INTERVAL / (30 * DAY)
        return np.where(begun, self.random.poisson(size, self.scrapes), 0.0)

    def spells(self, a_month: float, shortest: float, longest: float) -> NDArray[np.bool_]:
        """Draw at which scrapes something lasts that begins so many times a month, between so many minutes each."""
        mask = np.zeros(self.scrapes, dtype=np.bool_)
        for begin in np.flatnonzero(self.random.random(self.scrapes) < a_month * SCRAPE_INTERVAL / (30 * DAY)):
            mask[begin : begin + round(self.random.uniform(shortest, longest) * 60 / SCRAPE_INTERVAL)] = True
        return mask

    def nightly(self, shortest: float, longest: float, *, hour: float = 2) -> NDArray[np.bool_]:
        """Draw at which scrapes a nightly job runs: from about this hour on, between so many minutes each."""
        mask = np.zeros(self.scrapes, dtype=np.bool_)
        for day in range(self.scrapes * SCRAPE_INTERVAL // DAY + 1):
            begin = round((day * DAY + hour * 3600 + self.random.uniform(0, 300)) / SCRAPE_INTERVAL)
            mask[begin : begin + round(self.random.uniform(shortest, longest) * 60 / SCRAPE_INTERVAL)] = True
        return mask

    def flag(self, name: str, labels: Mapping[str, str], bad: NDArray[np.bool_], size: float | None) -> Series:
        """Return a gauge that is 1, and 0 while it is bad or, where the simulation has a fault, after its onset."""
        return self.gauge(name, labels, np.where(bad | (self.faulty & (size is not None)), 0.0, 1.0))

    def counter(self, name: str, labels: Mapping[str, str], increments: Floats) -> Series:
        """Return a counter that is born at 0, begins again at each restart, and lacks the lost scrapes."""
        total = np.cumsum(increments)
        before = np.maximum.accumulate(np.where(self.restarts, total, 0))
        return Series(name, labels, np.where(self.lost, np.nan, total - before))

    def gauge(self, name: str, labels: Mapping[str, str], values: Floats | float) -> Series:
        """Return a gauge that lacks the lost scrapes."""
        return Series(name, labels, np.where(self.lost, np.nan, np.broadcast_to(values, self.scrapes)))
