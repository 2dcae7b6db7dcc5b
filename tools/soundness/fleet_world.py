"""A fleet of servers and what happens to it, labelled: rows that do not know of the exporter's code.

Quiet hours with daily curves, noise and single slow rows; what looks like trouble and is none (`CALM`); and incidents
(`INCIDENTS`), from the moment on at which users could notice. Arrays have a row for each moment and a column for each
server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

DAY: Final = 86400.0
CALM: Final = ("quiet", "batch", "marketing peak", "rolling restart")
INCIDENTS: Final = ("overload", "single server", "partition", "gc storm", "memory leak", "memory full")
MEASURES: Final = (
    "cpu",
    "memory",
    "latency",
    "error",
    "disk_io",
    "network_receive",
    "network_transmit",
    "gc_pause",
)
_ONLINE, _WARNING, _CRITICAL, _OFFLINE = STATES = ("online", "warning", "critical_issue", "offline")


@dataclass(frozen=True, slots=True)
class Ranges:
    """What the parameters of fleets and of what happens to them are drawn from.

    Attributes:
        noise: Spread of a server's values from row to row.
        spread: Spread of the servers of a profile.
        swing: How far the daily curve goes from its mean.
        severity: Of incidents; 1 is plain to see, 0.5 is what users just notice.
        heavy_tailed: How often noise has rare large values instead of normal logarithms.
        profiles: How many kinds of servers there may be.
        lost: Share of rows that never arrive.
        empty: Share of values that are not measured.
        unmeasured: How often the fleet does not measure pauses, and how often not the network.
        flaps: Share of rows in which a server says for no reason that it is critical.
        before: Rows of health before something happens.
    """

    noise: tuple[float, float] = (0.03, 0.3)
    spread: tuple[float, float] = (0.0, 0.4)
    swing: tuple[float, float] = (0.0, 0.8)
    severity: tuple[float, float] = (0.5, 1.6)
    heavy_tailed: float = 0.5
    profiles: tuple[int, int] = (1, 6)
    lost: tuple[float, float] = (0.0, 0.05)
    empty: tuple[float, float] = (0.0, 0.1)
    unmeasured: float = 0.1
    flaps: tuple[float, float] = (0.0, 0.001)
    before: tuple[int, int] = (1, 120)


# The weights are fitted on the first and tried on the second.
FITTED_ON: Final = Ranges()
HELD_OUT: Final = Ranges(
    noise=(0.03, 0.3),
    spread=(0.1, 0.4),
    swing=(0.2, 0.8),
    severity=(0.6, 1.4),
    heavy_tailed=1.0,
    profiles=(2, 7),
    lost=(0.0, 0.05),
    empty=(0.0, 0.0),
    unmeasured=0.0,
    flaps=(0.0, 0.0),
    before=(90, 90),
)


class FleetWorld:
    """The rows of one fleet over some time.

    Args:
        random: Its randomness.
        servers: How many there are.
        moments: How many rows each has.
        interval: Seconds between two rows of a server.
        ranges: What parameters are drawn from.

    Attributes:
        values: By measurement, in base units; NaN where the server measured nothing.
        states: Places in `STATES`.
        lost: Which rows never arrive.
        incident: At which moments the fleet has an incident.
        sick: Which servers are in it then.
        profiles: Name of the profile of each server.
    """

    def __init__(
        self, random: np.random.Generator, *, servers: int, moments: int, interval: float, ranges: Ranges = FITTED_ON
    ) -> None:
        self.random, self.servers, self.moments, self.interval, self._ranges = (
            random,
            servers,
            moments,
            interval,
            ranges,
        )
        kinds = int(random.integers(ranges.profiles[0], ranges.profiles[1] + 1))
        self._kind = np.arange(servers) % kinds
        self.profiles = [f"profile-{kind}" for kind in self._kind]
        self.sick: Flags = np.zeros((moments, servers), dtype=bool)
        self.incident: Flags = np.zeros(moments, dtype=bool)
        self.states = np.zeros((moments, servers), dtype=np.int8)
        self.lost: Flags = random.random((moments, servers)) < random.uniform(*ranges.lost)
        self._noise_size = random.uniform(*ranges.noise)
        self._heavy_tailed = random.random() < ranges.heavy_tailed

        def each(low: float, high: float) -> Floats:
            kind = np.exp(random.uniform(np.log(low), np.log(high), kinds))[self._kind]
            return np.asarray(kind * np.exp(random.uniform(*ranges.spread) * random.standard_normal(servers)))

        load = self._load()
        self._load_now = load
        cpu = np.clip(each(0.15, 0.5), 0.05, 0.6) * (0.35 + 0.65 * load) * self._noise(0.5)
        memory = np.clip(each(0.3, 0.75), 0.1, 0.82) + 0.04 * (load - 1) + 0.01 * self._normal()
        latency = each(0.002, 0.4) * (0.85 + 0.15 * load)
        self.values: dict[str, Floats] = {
            "cpu": cpu,
            "memory": memory,
            "latency": latency * self._noise(1.0) * self._slow_rows(),
            "error": each(0.0001, 0.008) * self._noise(1.5),
            "disk_io": each(1e6, 1e8) * load * self._noise(1.0),
            "network_receive": each(1e6, 5e7) * load * self._noise(0.7),
            "network_transmit": each(1e6, 5e7) * load * self._noise(0.7),
            "gc_pause": each(0.0005, 0.03) * self._noise(1.2) * self._slow_rows(),
        }

        flaps = random.random((moments, servers)) < random.uniform(*ranges.flaps)
        self.states[flaps] = STATES.index(_CRITICAL)
        empty = random.uniform(*ranges.empty)
        for name, values in self.values.items():
            missing = random.random((moments, servers)) < empty
            if name in ("gc_pause", "network_receive", "network_transmit") and random.random() < ranges.unmeasured:
                missing[:] = True
            values[missing] = np.nan

    def happen(self, what: str, begin: int, end: int) -> None:
        """Let something of CALM or INCIDENTS happen between two moments."""
        if what == "quiet":
            return
        {
            "batch": self._batch,
            "marketing peak": self._marketing_peak,
            "rolling restart": self._rolling_restart,
            "overload": self._overload,
            "single server": self._single_server,
            "partition": self._partition,
            "gc storm": self._gc_storm,
            "memory leak": self._memory_leak,
            "memory full": self._memory_full,
        }[what](begin, end)

    def rows(self) -> Iterator[list[tuple[int, str, str, str, dict[str, float | None]]]]:
        """Yield at each moment what arrives: server's number, name, profile, state and values."""
        np.clip(self.values["cpu"], 0, 1, out=self.values["cpu"])
        np.clip(self.values["memory"], 0, 1, out=self.values["memory"])
        np.clip(self.values["error"], 0, 1, out=self.values["error"])
        names = [f"server-{number:03d}" for number in range(self.servers)]
        for moment in range(self.moments):
            columns = [self.values[name][moment].tolist() for name in MEASURES]
            states, lost = self.states[moment].tolist(), self.lost[moment].tolist()
            yield [
                (
                    number,
                    names[number],
                    self.profiles[number],
                    STATES[states[number]],
                    dict(zip(MEASURES, (None if value != value else value for value in values), strict=True)),  # noqa: PLR0124  # NaN
                )
                for number, values in enumerate(zip(*columns, strict=True))
                if not lost[number]
            ]

    def _normal(self) -> Floats:
        return self.random.standard_normal((self.moments, self.servers))

    def _noise(self, size: float) -> Floats:
        size *= self._noise_size
        if self._heavy_tailed:
            return np.asarray(np.exp(size * np.clip(self.random.standard_t(4, (self.moments, self.servers)), -6, 6)))
        return np.asarray(np.exp(size * self._normal()))

    def _slow_rows(self) -> Floats:
        """One row in some thousand is several times slower, for no reason that anybody finds."""
        slow = self.random.random((self.moments, self.servers)) < 0.0003
        return np.where(slow, self.random.uniform(2, 8, (self.moments, self.servers)), 1.0)

    def _load(self) -> Floats:
        random = self.random
        phase = (np.arange(self.moments) * self.interval + random.uniform(0, DAY)) / DAY * 2 * np.pi
        swing = random.uniform(*self._ranges.swing)
        curve = 1 + swing * (0.8 * np.sin(phase) + 0.2 * np.sin(2 * phase + random.uniform(0, 6)))
        if random.random() < 0.2:
            # Office hours: steep ends.
            curve = 1 + swing * np.tanh(4 * np.sin(phase))
        # Load common to all wanders over minutes.
        step = random.standard_normal(self.moments)
        keep = 0.5 ** (self.interval / 300)
        wander = np.empty(self.moments)
        state = 0.0
        for place, value in enumerate(step):
            state = keep * state + np.sqrt(1 - keep**2) * value
            wander[place] = state
        return np.asarray((curve * np.exp(0.08 * wander))[:, None] * np.ones(self.servers))

    def _some(self, share: tuple[float, float]) -> NDArray[np.int64]:
        count = max(1, round(self.servers * self.random.uniform(*share)))
        return self.random.choice(self.servers, count, replace=False)

    def _of_one_profile_or_all(self) -> NDArray[np.int64]:
        if self.random.random() < 0.5:
            return np.arange(self.servers)
        return np.flatnonzero(self._kind == self.random.choice(np.unique(self._kind)))

    def _ramp(self, begin: int, end: int, seconds: tuple[float, float]) -> Floats:
        """Rise from 0 to 1 and fall back."""
        rise = max(1.0, self.random.uniform(*seconds) / self.interval)
        place = np.arange(end - begin)
        return np.asarray(np.minimum(1.0, np.minimum((place + 1) / rise, (end - begin - place) / rise)))[:, None]

    def _change(self, name: str, begin: int, end: int, who: NDArray[np.int64], factor: Floats | float) -> None:
        self.values[name][begin:end, who] *= factor

    def _raise(self, name: str, begin: int, end: int, who: NDArray[np.int64], by: Floats | float) -> None:
        self.values[name][begin:end, who] += by

    def _busy(self, begin: int, end: int, who: NDArray[np.int64], to: float, how: Floats | float) -> None:
        now = self.values["cpu"][begin:end, who]
        self.values["cpu"][begin:end, who] = now + how * np.maximum(
            0, to * (1 - 0.03 * self.random.random(now.shape)) - now
        )

    def _mark(self, begin: int, end: int, who: NDArray[np.int64], how: Floats, *, says_so: bool = True) -> None:
        """Label what users could notice, and let most servers say so of themselves."""
        noticed = np.broadcast_to(how >= 0.3, (end - begin, len(who)))
        self.sick[begin:end, who] |= noticed
        self.incident[begin:end] |= noticed.any(axis=1)
        if says_so and self.random.random() < 0.7:
            state = np.where(how >= 0.75, 2, np.where(how >= 0.3, 1, 0)).astype(np.int8)
            self.states[begin:end, who] = np.maximum(self.states[begin:end, who], state)

    @property
    def _severity(self) -> float:
        return float(self.random.uniform(*self._ranges.severity))

    def _batch(self, begin: int, end: int) -> None:
        who = self._some((0.1, 0.6)) if self.random.random() < 0.6 else self._of_one_profile_or_all()
        how = self._ramp(begin, end, (10, 120))
        self._busy(begin, end, who, self.random.uniform(0.75, 0.99), how)
        self._change("disk_io", begin, end, who, 1 + how * self.random.uniform(2, 10))
        self._change("latency", begin, end, who, 1 + how * self.random.uniform(0, 0.4))
        self._raise("memory", begin, end, who, how * self.random.uniform(0, 0.08))

    def _marketing_peak(self, begin: int, end: int) -> None:
        who = np.arange(self.servers)
        how = self._ramp(begin, end, (60, 900))
        more = self.random.uniform(0.5, 2.0)
        self._busy(begin, end, who, self.random.uniform(0.6, 0.88), how)
        for name in ("network_receive", "network_transmit"):
            self._change(name, begin, end, who, 1 + how * more)
        self._change("latency", begin, end, who, 1 + how * self.random.uniform(0.1, 0.9))
        self._change("error", begin, end, who, 1 + how * self.random.uniform(0, 0.5))
        self._change("gc_pause", begin, end, who, 1 + how * self.random.uniform(0, 1.0))

    def _rolling_restart(self, begin: int, end: int) -> None:
        random = self.random
        at_once = max(1, int(self.servers * random.uniform(0.02, 0.15)))
        down, warm = (max(1, round(random.uniform(*span) / self.interval)) for span in ((15, 90), (15, 90)))
        order = random.permutation(self.servers)
        silent, drained = random.random() < 0.4, random.random() < 0.5
        gap = max(1, round(random.uniform(0, 60) / self.interval))
        place = begin
        for first in range(0, self.servers, at_once):
            who = order[first : first + at_once]
            if place + down + warm >= end:
                break
            if drained:
                for name in ("network_receive", "network_transmit"):
                    self.values[name][max(begin, place - down) : place, who] *= 0.05
            if silent:
                self.lost[place : place + down, who] = True
            else:
                self.states[place : place + down, who] = 3
                for values in self.values.values():
                    values[place : place + down, who] = np.nan
            after = slice(place + down, place + down + warm)
            how = np.linspace(1, 0.2, warm)[:, None]
            self.values["latency"][after, who] *= 1 + how * random.uniform(0.3, 2.5)
            self.values["cpu"][after, who] += how * random.uniform(0.1, 0.4)
            self.values["error"][after, who] += how * random.uniform(0, 0.01)
            self.values["memory"][after, who] *= 1 - 0.4 * how
            self.values["gc_pause"][after, who] *= 1 + how * random.uniform(0, 2)
            for name in ("network_receive", "network_transmit"):
                self.values[name][after, who] *= 1 - 0.6 * how
            place += down + warm + gap

    def _overload(self, begin: int, end: int) -> None:
        who, size = self._of_one_profile_or_all(), self._severity
        how = self._ramp(begin, end, (20, 300))
        self._busy(begin, end, who, min(1.0, self.random.uniform(0.88, 0.97) + 0.03 * size), how)
        for name in ("network_receive", "network_transmit"):
            self._change(name, begin, end, who, 1 + how * self.random.uniform(0.3, 2.0))
        self._change("latency", begin, end, who, 1 + how * size * self.random.uniform(3, 12))
        self._raise("error", begin, end, who, how**2 * size * self.random.uniform(0.01, 0.25))
        self._change("gc_pause", begin, end, who, 1 + how * self.random.uniform(0, 4))
        self._mark(begin, end, who, how)

    def _single_server(self, begin: int, end: int) -> None:
        random, size = self.random, self._severity
        who = random.choice(self.servers, 1)
        how = self._ramp(begin, end, (5, 60))
        kind = random.choice(["down", "slow", "failing", "hanging"])
        if kind == "down":
            self.states[begin:end, who] = 3
            for values in self.values.values():
                values[begin:end, who] = np.nan
            self._mark(begin, end, who, np.ones((end - begin, 1)), says_so=False)
            return
        slow = random.uniform(4, 15) if kind in ("slow", "hanging") else random.uniform(0.2, 3)
        failing = random.uniform(0.05, 0.6) if kind == "failing" else random.uniform(0.005, 0.1)
        self._change("latency", begin, end, who, 1 + how * size * slow)
        self._raise("error", begin, end, who, how * size * failing)
        if kind == "hanging":
            self._busy(begin, end, who, 1.0, how)
        if kind == "slow":
            self._change("disk_io", begin, end, who, 1 - 0.8 * how)
        self._mark(begin, end, who, how)

    def _partition(self, begin: int, end: int) -> None:
        who, size = self._some((0.15, 0.5)), self._severity
        how = self._ramp(begin, end, (1, 20))
        for name in ("network_receive", "network_transmit"):
            self._change(name, begin, end, who, 1 - how * self.random.uniform(0.5, 0.98))
        # Some servers only see that nothing comes any more.
        felt = size * (0.1 if self.random.random() < 0.25 else 1.0)
        self._raise("error", begin, end, who, how * felt * self.random.uniform(0.03, 0.6))
        self._change("latency", begin, end, who, 1 + how * felt * self.random.uniform(1, 15))
        self._change("cpu", begin, end, who, 1 - how * self.random.uniform(0.1, 0.6))
        self._mark(begin, end, who, how)

    def _gc_storm(self, begin: int, end: int) -> None:
        who = self._of_one_profile_or_all() if self.random.random() < 0.5 else self._some((0.1, 0.6))
        size, how = self._severity, self._ramp(begin, end, (20, 180))
        self._change("gc_pause", begin, end, who, 1 + how * size * self.random.uniform(10, 50))
        self._change("latency", begin, end, who, 1 + how * size * self.random.uniform(1, 6))
        self._raise("cpu", begin, end, who, how * self.random.uniform(0.05, 0.4))
        self._raise("memory", begin, end, who, how * self.random.uniform(0, 0.2))
        self._mark(begin, end, who, how)

    def _memory_leak(self, begin: int, end: int) -> None:
        who = self._some((0.05, 0.6)) if self.random.random() < 0.6 else self._of_one_profile_or_all()
        shape = (end - begin, len(who))
        # It takes half of the time to fill up, and then stays full.
        rise = np.minimum(1.0, np.linspace(0, 2, end - begin))[:, None]
        now = self.values["memory"][begin:end, who]
        to = self.random.uniform(0.93, 0.99)
        filled = now + rise * np.maximum(0, to + 0.005 * self.random.standard_normal(shape) - now)
        self.values["memory"][begin:end, who] = filled
        pressure = np.clip((filled - 0.85) / 0.12, 0, 1)
        self.values["gc_pause"][begin:end, who] *= 1 + pressure * self.random.uniform(0, 12)
        self.values["latency"][begin:end, who] *= 1 + pressure * self.random.uniform(0, 2)
        self._mark(begin, end, who, pressure)

    def _memory_full(self, begin: int, end: int) -> None:
        who = self._some((0.3, 1.0)) if self.random.random() < 0.5 else np.arange(self.servers)
        shape = (end - begin, len(who))
        full = self.random.uniform(0.93, 0.98) + 0.005 * self.random.standard_normal(shape)
        self.values["memory"][begin:end, who] = full
        self._mark(begin, end, who, np.ones(shape))


def episode(seed: tuple[int, ...], what: str, *, servers: int, ranges: Ranges = FITTED_ON) -> FleetWorld:
    """Return minutes to an hour and a half of health, then something for ten to forty minutes, then health."""
    random = np.random.default_rng(seed)
    interval = float(random.choice([5, 10, 15, 30, 60]))
    # As many rows whatever the interval: a fine one shows the past shorter.
    before = int(random.integers(ranges.before[0], ranges.before[1] + 1))
    during = max(30, round(random.uniform(600, 2400) / interval / (1 if interval > 20 else 3)))
    world = FleetWorld(random, servers=servers, moments=before + during + 20, interval=interval, ranges=ranges)
    world.happen(what, before, before + during)
    return world
