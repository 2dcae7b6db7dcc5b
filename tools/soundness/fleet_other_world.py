"""Another simulator of fleets, made independently of `fleet_world`: nothing is fitted on it.

Its servers have the levels of real kinds of servers, errors are counts of requests, garbage collectors rest between
pauses, cells are empty, whole columns are missing, servers come and go, states say nothing or flap. An incident is one
from the moment on at which it has a third of its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from tools.soundness.fleet_world import MEASURES, Flags, Floats

# CPU, memory, latency, share of errors, disk and network in bytes a second, pause.
_LEVELS: Final = {
    "web": (0.30, 0.45, 0.045, 0.002, 8e6, 1.2e7, 3e7, 0.004),
    "api": (0.40, 0.52, 0.060, 0.003, 6e6, 1.5e7, 1.8e7, 0.008),
    "database": (0.45, 0.72, 0.012, 0.0005, 1.2e8, 2e7, 3.5e7, 0.001),
    "worker": (0.55, 0.58, 0.250, 0.004, 4e7, 6e6, 5e6, 0.015),
    "cache": (0.20, 0.70, 0.002, 0.0002, 3e6, 4e7, 6e7, 0.0005),
    "inference": (0.50, 0.62, 0.090, 0.002, 1e7, 8e6, 6e6, 0.012),
}
Row = tuple[int, str, str, str, dict[str, float | None]]


class OtherWorld:
    """The rows of one fleet over some time, with something that happens once.

    Args:
        seed: Of its randomness.
        what: What happens, one of `fleet_world.CALM` or `INCIDENTS`.
        servers: How many there are.

    Attributes:
        interval: Seconds between two rows of a server.
        incident: At which moments the fleet has an incident.
        sick: Which servers are in it then.
    """

    def __init__(self, seed: tuple[int, ...], what: str, *, servers: int) -> None:
        self.random = random = np.random.default_rng(seed)
        self.interval = float(random.choice([5, 10, 15, 30, 60]))
        self.servers = servers
        before = round(random.uniform(300, 2400) / self.interval)
        during = max(12, round(random.uniform(300, 1500) / self.interval))
        after = round(300 / self.interval)
        self.moments = before + during + after
        names = list(_LEVELS)[: int(random.integers(1, 7))]
        self.profiles = [names[place] for place in np.sort(random.integers(0, len(names), servers))]
        self.states: list[list[str]] = [["online"] * servers for _ in range(self.moments)]
        self.gone: Flags = np.zeros((self.moments, servers), dtype=bool)
        self.truthful = random.random() < 0.5
        shape = (self.moments, servers)
        self.factor: dict[str, Floats] = {name: np.ones(shape) for name in MEASURES}
        self.extra: dict[str, Floats] = {name: np.zeros(shape) for name in MEASURES}
        # How far values are drawn towards a level, and which.
        self.pull: dict[str, tuple[Floats, float]] = {}
        self.during = slice(before, before + during)
        self._rise = np.clip(np.arange(during) * self.interval / random.uniform(1, 120), 0, 1)[:, None]
        self._hit: Flags = np.zeros(shape, dtype=bool)
        if what != "quiet":
            getattr(self, f"_{what.replace(' ', '_')}")()
        self._draw()
        self._measure()
        self._come_and_go()
        # What has left is not seen to be hit.
        self.sick: Flags = np.logical_and(self._hit, ~self.gone)
        self.incident: Flags = np.any(self.sick, axis=1)
        self.gone |= self._lost

    def rows(self) -> Iterator[list[Row]]:
        """Yield at each moment what arrives: server's number, name, profile, state and values."""
        for moment in range(self.moments):
            arrived: list[Row] = []
            for server in np.flatnonzero(~self.gone[moment]).tolist():
                state = self.states[moment][server]
                values = {name: float(self.values[name][moment, server]) for name in MEASURES}
                there = {
                    name: None if math.isnan(value) or state == "offline" else value for name, value in values.items()
                }
                arrived.append((server, f"{self.profiles[server]}-{server}", self.profiles[server], state, there))
            yield arrived

    def _draw(self) -> None:
        random, shape = self.random, (self.moments, self.servers)
        size, memory_of = random.uniform(0.04, 0.35), random.uniform(0, 0.8)
        own = np.exp(random.uniform(0, 0.3) * random.standard_normal(self.servers))
        hours = np.arange(self.moments)[:, None] * self.interval / 3600
        load = 1 + random.uniform(0, 0.5) * np.sin(2 * np.pi * (hours + random.uniform(0, 24)) / 24)

        def noise(weight: float) -> Floats:
            found = random.standard_normal(shape)
            for moment in range(1, self.moments):
                found[moment] = memory_of * found[moment - 1] + np.sqrt(1 - memory_of**2) * found[moment]
            return np.asarray(np.exp(weight * size * found))

        levels = np.array([_LEVELS[profile] for profile in self.profiles]).T
        self.values: dict[str, Floats] = {}
        for place, name in enumerate(MEASURES):
            level = levels[place] * own
            if name in ("cpu", "memory"):
                level = levels[place] * np.clip(own, 0.8, 1.1)
            busy = {"cpu": load, "disk_io": load, "network_receive": load, "network_transmit": load}.get(name, 1.0)
            weight = {"cpu": 0.4, "memory": 0.06, "latency": 1.0, "error": 1.0}.get(name, 0.8)
            value = level * busy * self.factor[name] * noise(weight) + self.extra[name]
            if name in self.pull:
                how, to = self.pull[name]
                value = value + how * np.maximum(0, to * np.exp(-0.02 * np.abs(random.standard_normal(shape))) - value)
            self.values[name] = np.asarray(value)

    def _measure(self) -> None:
        """Make of what is true what is measured."""
        random, shape = self.random, (self.moments, self.servers)
        if random.random() < 0.6:
            requests = random.integers(30, 2000)
            self.values["error"] = random.binomial(requests, np.clip(self.values["error"], 0, 1)) / requests
        if random.random() < 0.3:
            self.values["gc_pause"] = self.values["gc_pause"] * (random.random(shape) < random.uniform(0.1, 0.9))
        for name in ("cpu", "memory", "error"):
            self.values[name] = np.clip(self.values[name], 0, 1)
        empty = random.choice([0, 0, 0.02, 0.15])
        for name in MEASURES:
            self.values[name][random.random(shape) < empty] = np.nan
        for name in ("gc_pause", "disk_io", "network_receive", "network_transmit"):
            if random.random() < 0.07:
                self.values[name][:] = np.nan

    def _come_and_go(self) -> None:
        random, shape = self.random, (self.moments, self.servers)
        self._lost: Flags = random.random(shape) < random.choice([0, 0.01, 0.05])
        if random.random() < 0.25:
            for server in range(self.servers):
                if random.random() < 0.2:
                    begin = int(random.integers(self.moments))
                    self.gone[begin:, server] = True
                elif random.random() < 0.2:
                    self.gone[: int(random.integers(self.moments)), server] = True
        if random.random() < 0.3:
            for moment, server in zip(*np.nonzero(random.random(shape) < 0.002), strict=True):
                if self.states[moment][server] == "online":
                    self.states[moment][server] = str(random.choice(["warning", "warning", "critical_issue"]))

    def _some(self, low: float, high: float) -> Floats:
        chosen = np.zeros(self.servers)
        count = max(1, round(self.servers * self.random.uniform(low, high)))
        chosen[self.random.choice(self.servers, count, replace=False)] = 1
        return chosen

    def _grow(self, name: str, how: Floats, by: float) -> None:
        self.factor[name][self.during] *= 1 + how * (by - 1)

    def _add(self, name: str, how: Floats, by: float) -> None:
        self.extra[name][self.during] += how * by

    def _towards(self, name: str, how: Floats, to: float) -> None:
        all_of = np.zeros((self.moments, self.servers))
        all_of[self.during] = how
        self.pull[name] = (all_of, to)

    def _label(self, how: Floats) -> None:
        self._hit[self.during] |= how > 1 / 3
        if self.truthful:
            for place, server in zip(*np.nonzero(how > 1 / 3), strict=True):
                self.states[self.during.start + place][server] = (
                    "critical_issue" if how[place, server] > 0.7 else "warning"
                )

    def _batch(self) -> None:
        how = self._rise * self._some(0.1, 0.7)
        self._towards("cpu", how, self.random.uniform(0.8, 1.0))
        self._grow("disk_io", how, self.random.uniform(3, 15))
        self._grow("latency", how, self.random.uniform(1, 1.4))
        self._add("memory", how, self.random.uniform(0, 0.06))

    def _marketing_peak(self) -> None:
        how = self._rise * np.ones(self.servers)
        more = self.random.uniform(1.5, 3.5)
        self._grow("cpu", how, more**0.6)
        self._towards("cpu", how, self.random.uniform(0.6, 0.85))
        self._grow("network_receive", how, more)
        self._grow("network_transmit", how, more)
        self._grow("latency", how, self.random.uniform(1.0, 1.7))
        self._grow("gc_pause", how, self.random.uniform(1.0, 1.8))
        self._grow("error", how, self.random.uniform(1.0, 1.4))

    def _rolling_restart(self) -> None:
        random = self.random
        silent, at_once = random.random() < 0.3, max(1, round(self.servers * random.uniform(0, 0.1)))
        place, end = self.during.start, self.during.stop
        for first in range(0, self.servers, at_once):
            down, warm = (max(1, round(random.uniform(20, 60) / self.interval)) for _ in range(2))
            who = slice(first, first + at_once)
            if place + down + warm > end:
                break
            if silent:
                self.gone[place : place + down, who] = True
            else:
                for moment in range(place, place + down):
                    self.states[moment][who] = ["offline"] * len(self.states[moment][who])
            back = slice(place + down, place + down + warm)
            self.factor["latency"][back, who] *= random.uniform(1, 3)
            self.factor["memory"][back, who] *= 0.7
            self.factor["network_receive"][back, who] *= 0.5
            self.factor["network_transmit"][back, who] *= 0.5
            self.extra["cpu"][back, who] += random.uniform(0, 0.4)
            place += down + warm

    def _overload(self) -> None:
        how = self._rise * (np.ones(self.servers) if self.random.random() < 0.6 else self._some(0.3, 1.0))
        self._towards("cpu", how, self.random.uniform(0.92, 1.0))
        more = self.random.uniform(1.3, 4)
        self._grow("network_receive", how, more)
        self._grow("network_transmit", how, self.random.uniform(1, more))
        self._grow("latency", how, self.random.uniform(3, 15))
        self._add("error", how, self.random.uniform(0.01, 0.3))
        self._grow("gc_pause", how, self.random.uniform(1, 4))
        self._label(how)

    def _single_server(self) -> None:
        who = np.zeros(self.servers)
        who[int(self.random.integers(self.servers))] = 1
        how, kind = self._rise * who, self.random.integers(4)
        if kind == 0:
            server = int(np.argmax(who))
            for moment in range(self.during.start, self.during.stop):
                self.states[moment][server] = "offline"
            self._hit[self.during, server] = True
            return
        if kind == 1:
            self._towards("cpu", how, 1.0)
        if kind in (1, 2):
            self._grow("latency", how, self.random.uniform(5, 20))
        self._add("error", how, self.random.uniform(0.02, 0.1) if kind < 3 else self.random.uniform(0.1, 0.8))
        self._label(how)

    def _partition(self) -> None:
        how = self._rise * self._some(0.2, 0.6)
        left = self.random.uniform(0, 0.2)
        self._grow("network_receive", how, left)
        self._grow("network_transmit", how, left)
        self._add("error", how, self.random.uniform(0.05, 0.9))
        self._grow("latency", how, self.random.uniform(1, 20))
        self._grow("cpu", how, self.random.uniform(0.4, 0.9))
        self._label(how)

    def _gc_storm(self) -> None:
        how = self._rise * (np.ones(self.servers) if self.random.random() < 0.4 else self._some(0.15, 0.8))
        self._grow("gc_pause", how, self.random.uniform(8, 60))
        self._grow("latency", how, self.random.uniform(2, 8))
        self._add("cpu", how, self.random.uniform(0.05, 0.4))
        self._towards("memory", how, self.random.uniform(0.6, 0.95))
        self._label(how)

    def _memory_leak(self) -> None:
        who = np.ones(self.servers) if self.random.random() < 0.3 else self._some(0.05, 0.7)
        share = np.linspace(0, 1, self.during.stop - self.during.start)[:, None]
        full = self.random.uniform(0.3, 0.8)
        how = np.clip(share / full, 0, 1) * who
        self._towards("memory", how, self.random.uniform(0.94, 1.0))
        late = np.clip(how - 0.9, 0, 0.1) * 10
        self._grow("gc_pause", late, self.random.uniform(1, 15))
        self._grow("latency", late, self.random.uniform(1, 4))
        self._label(late)

    def _memory_full(self) -> None:
        how = self._rise * self._some(0.1, 1.0)
        self._towards("memory", how, self.random.uniform(0.94, 0.99))
        self._label(how)
