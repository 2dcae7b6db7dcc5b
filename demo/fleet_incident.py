"""The story of the fleet demo: four phases that hit the first server of each profile and leave the others alone.

Nothing here depends on the machine: pseudo-random numbers come from the Mersenne Twister's `random()`, whose sequence
Python guarantees, times are whole milliseconds, and values are made with `+ - * /` only, which IEEE 754 rounds the
same everywhere. `math.exp` or a normal distribution would differ in the last bit from one C library to the next.
Each server draws from a generator of its own, so that a larger fleet does not change the servers of a smaller one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the incident.

    Attributes:
        name: What the column `incident_phase` says.
        begin: Where it begins, as thousandths of the whole duration.
        end: Where it ends, likewise.
        severity: How hard the affected servers are hit at its beginning and at its end, 0 to 1.
        meaning: For the metadata.
    """

    name: str
    begin: int
    end: int
    severity: tuple[float, float]
    meaning: str


PHASES = (
    Phase("stable", 0, 300, (0.0, 0.0), "every server works at its profile's normal"),
    Phase("escalation", 300, 500, (0.3, 0.7), "load, latency and errors of the affected servers rise"),
    Phase(
        "peak",
        500,
        700,
        (1.0, 1.0),
        "affected servers at 80-90 % CPU, ten times the latency; one runs out of memory",
    ),
    Phase("recovery", 700, 1000, (0.7, 0.0), "the affected servers return to normal"),
)

# From these severities on, the state column says so.
WARNING_FROM = 0.2
CRITICAL_FROM = 0.75
PEAK_CPU = (80.0, 90.0)


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of server and what is normal for it, in the units of the file."""

    name: str
    cpu_pct: float
    mem_pct: float
    latency_ms: float
    error_rate: float
    disk_io_mb_s: float
    net_in_mb_s: float
    net_out_mb_s: float
    gc_pause_ms: float


PROFILES = (
    Profile("web", 35.0, 48.0, 45.0, 0.0020, 8.0, 12.0, 30.0, 4.0),
    Profile("api", 40.0, 52.0, 60.0, 0.0030, 6.0, 15.0, 18.0, 8.0),
    Profile("database", 45.0, 65.0, 12.0, 0.0005, 120.0, 20.0, 35.0, 1.0),
    Profile("worker", 55.0, 58.0, 250.0, 0.0040, 40.0, 6.0, 5.0, 15.0),
    Profile("cache", 20.0, 70.0, 2.0, 0.0002, 3.0, 40.0, 60.0, 0.5),
    Profile("ml-inference", 50.0, 62.0, 90.0, 0.0020, 10.0, 8.0, 6.0, 12.0),
)

# The affected server of this profile runs out of memory in the peak and is offline for a moment.
OOM_PROFILE = "worker"
OOM_AT, BACK_AT = 600, 640

Row = tuple[
    str,
    str,
    str,
    str,
    float | None,
    float | None,
    float | None,
    float | None,
    float | None,
    float | None,
    float | None,
    float | None,
    str,
    bool,
    bool,
]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file."""

    name: str
    unit: str
    meaning: str
    decimals: int | None = None


COLUMNS = (
    Column("timestamp", "ISO 8601, UTC", "when the values were measured"),
    Column("server_name", "text", "the server"),
    Column("profile", "text", "the kind of server"),
    Column("state", "online | warning | critical_issue | offline", "what the server says of itself"),
    Column("cpu_pct", "percent, 0-100", "CPU in use", 2),
    Column("mem_pct", "percent, 0-100", "memory in use", 2),
    Column("latency_ms", "milliseconds", "time to answer a request", 3),
    Column("error_rate", "ratio, 0-1", "share of requests that failed", 5),
    Column("disk_io_mb_s", "megabytes (1e6 bytes) per second", "read from and written to disk", 3),
    Column("net_in_mb_s", "megabytes (1e6 bytes) per second", "received", 3),
    Column("net_out_mb_s", "megabytes (1e6 bytes) per second", "sent", 3),
    Column("gc_pause_ms", "milliseconds", "garbage collector's pause", 3),
    Column("incident_phase", "stable | escalation | peak | recovery", "phase of the incident, common to all servers"),
    Column("problem_child", "true | false", "whether the incident hits this server"),
    Column("container_oom", "true | false", "whether its container was killed for its memory at this moment"),
)


class _Server:
    """One server with its own random numbers and its own slowly changing load."""

    __slots__ = ("affected", "load", "name", "profile", "random")

    def __init__(self, index: int, seed: int, affected: Sequence[str]) -> None:
        self.profile = PROFILES[index % len(PROFILES)]
        self.name = f"{self.profile.name}-{index // len(PROFILES) + 1:03d}"
        self.affected = self.name in affected
        self.random = Random(seed * 1_000_000_007 + index).random  # noqa: S311  # demo data, no secret
        self.load = 0.0


class Incident:
    """The rows of one demo file, made while they are read.

    Args:
        duration_ms: Length of the story.
        interval_ms: Time between two rows of one server.
        fleet_size: Number of servers.
        seed: Same seed, same rows.
        start: Time of the first row, with a time zone.
        calm: Let every server work at its profile's normal all the time.
    """

    def __init__(
        self, *, duration_ms: int, interval_ms: int, fleet_size: int, seed: int, start: datetime, calm: bool = False
    ) -> None:
        self.duration_ms = duration_ms
        self.interval_ms = interval_ms
        self.fleet_size = fleet_size
        self.seed = seed
        self.start = start.astimezone(UTC)
        self.calm = calm
        self.phases = (replace(PHASES[0], end=1000),) if calm else PHASES

    @property
    def ticks(self) -> int:
        """Return how many moments the file holds."""
        return -(-self.duration_ms // self.interval_ms)

    @property
    def affected(self) -> list[str]:
        """Return the names of the servers that the incident hits."""
        return [] if self.calm else [f"{profile.name}-001" for profile in PROFILES[: self.fleet_size]]

    def time(self, offset_ms: int) -> str:
        """Return the timestamp so many milliseconds after the start, as the file writes it."""
        precision = "seconds" if self.interval_ms % 1000 == 0 and self.start.microsecond == 0 else "milliseconds"
        text = (self.start + timedelta(milliseconds=offset_ms)).isoformat(timespec=precision)
        return text.replace("+00:00", "Z")

    def phase_begin(self, phase: Phase) -> int:
        """Return the offset in milliseconds at which a phase begins."""
        return self.duration_ms * phase.begin // 1000

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield the rows of each moment."""
        servers = [_Server(index, self.seed, self.affected) for index in range(self.fleet_size)]
        out_of_memory = False
        for tick in range(self.ticks):
            offset = tick * self.interval_ms
            phase, severity = self._phase_at(offset)
            down = OOM_AT * self.duration_ms <= offset * 1000 < BACK_AT * self.duration_ms
            oom_now, out_of_memory = down and not out_of_memory, down
            time = self.time(offset)
            rows = []
            for server in servers:
                hit = server.affected
                if hit and down and not oom_now and server.profile.name == OOM_PROFILE:
                    rows.append(_offline(time, server, phase))
                    continue
                oom = hit and oom_now and server.profile.name == OOM_PROFILE
                rows.append(_row(time, server, phase, severity if hit else 0.0, oom))
            yield rows

    def _phase_at(self, offset_ms: int) -> tuple[str, float]:
        for phase in self.phases:
            begin, end = phase.begin * self.duration_ms, phase.end * self.duration_ms
            if offset_ms * 1000 < end:
                progress = (offset_ms * 1000 - begin) / (end - begin)
                smooth = progress * progress * (3.0 - 2.0 * progress)
                first, last = phase.severity
                return phase.name, first + (last - first) * smooth
        raise AssertionError("the phases cover the whole duration")


def _row(time: str, server: _Server, phase: str, severity: float, oom: bool) -> Row:
    draw = server.random
    profile = server.profile
    # Load wanders: today's is four fifths of yesterday's plus something new, between -1 and 1.
    server.load = load = 0.8 * server.load + 0.4 * (draw() - 0.5)
    cpu = profile.cpu_pct * (1.0 + 0.3 * load) + 2.0 * (draw() - 0.5)
    cpu += severity * (85.0 - cpu) + severity * 3.0 * (draw() - 0.5)
    if severity >= 1.0:
        cpu = min(max(cpu, PEAK_CPU[0]), PEAK_CPU[1])
    memory = profile.mem_pct * (1.0 + 0.05 * load) + 1.0 * (draw() - 0.5)
    memory += severity * 0.8 * (96.0 - memory)
    latency = profile.latency_ms * (1.0 + 0.4 * load + 0.2 * (draw() - 0.5)) * (1.0 + 9.0 * severity)
    errors = profile.error_rate * (1.0 + 0.5 * load + 0.5 * (draw() - 0.5)) + severity * severity * 0.12
    traffic = (1.0 + 0.4 * load) * (1.0 + 0.5 * severity)
    noise = 0.9 + 0.2 * draw()
    pause = profile.gc_pause_ms * (1.0 + 0.3 * load + 0.2 * (draw() - 0.5)) * (1.0 + 12.0 * severity)
    state = "online"
    if severity >= WARNING_FROM:
        state = "critical_issue" if severity >= CRITICAL_FROM else "warning"
    return (
        time,
        server.name,
        profile.name,
        state,
        cpu,
        100.0 if oom else memory,
        latency,
        errors,
        profile.disk_io_mb_s * traffic * noise,
        profile.net_in_mb_s * traffic,
        profile.net_out_mb_s * traffic * noise,
        pause,
        phase,
        server.affected,
        oom,
    )


def _offline(time: str, server: _Server, phase: str) -> Row:
    # A server that is down measures nothing: empty cells, not zeros.
    none = (None,) * 8
    return (time, server.name, server.profile.name, "offline", *none, phase, server.affected, False)
