"""Compares what exporters say with what their stores hold, and watches memory and file descriptors."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tools.processes import Process
from tools.soak.stores import Store
from tools.soak.truth import Series, Values

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SCRAPE_TIMEOUT = 3.0
_EACH = 0.5
_USAGE_EACH = 5.0
_MOST_DETAILS = 50
# Counts of statuses that have none are shown as 0 or not at all.
_ZERO_IS_ABSENT = frozenset({"mlflow_runs", "variants"})
Samples = Mapping[Series, float]


def scrape(url: str, *, timeout: float = _SCRAPE_TIMEOUT) -> Samples | None:
    """Return all samples of a page of metrics; None when it does not answer."""
    try:
        with _OPENER.open(url, timeout=timeout) as response:
            text = response.read().decode()
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return None
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@dataclass(frozen=True, slots=True)
class Limits:
    """How old a number may be.

    Attributes:
        interval: Of the exporter's sources, in seconds.
        timeout: Of a refresh.
        slack: For the machine.
    """

    interval: float
    timeout: float
    slack: float = 3.0

    @property
    def fresh(self) -> float:
        """Return how old a number of a source that is up may be.

        What was read may take a timeout to be published, and the refresh after that a timeout to be given up.
        """
        return self.interval + 2 * self.timeout + self.slack

    @property
    def withdrawn(self) -> float:
        """Return after how long a source that is down may show nothing any more: five intervals."""
        return 5 * self.interval + self.timeout + self.slack


@dataclass
class Watched:
    """An exporter with the stores that it reads.

    Attributes:
        name: What the report calls it.
        process: It.
        url: Of its metrics.
        stores: The stores by source.
        counts: How many comparisons ended how.
    """

    name: str
    process: Process
    url: str
    stores: Mapping[str, Store]
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("fresh", "down", "no answer", "wrong"), 0))
    down_since: dict[str, float] = field(default_factory=dict)
    right_at: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What an exporter showed as fresh, to be compared when all that was written by then is recorded."""

    watched: Watched
    store: Store
    values: Values
    asked: float
    answered: float
    doing: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used at a moment: seconds since the start, bytes, file descriptors."""

    name: str
    pid: int
    at: float
    memory: int
    descriptors: int


class Checker:
    """Scrapes twice a second and judges.

    Args:
        watched: The exporters.
        processes: Further processes whose memory is watched.
        limits: How old a number may be.
        doing: Says what is going on, for the report.

    Attributes:
        wrong: What was wrong, the first few in words.
        usages: Memory and file descriptors over time.
    """

    def __init__(
        self, watched: Sequence[Watched], processes: Sequence[Process], limits: Limits, doing: Callable[[], str]
    ) -> None:
        self.wrong: list[str] = []
        self.usages: list[Usage] = []
        self._watched = watched
        self._processes = [*[each.process for each in watched], *processes]
        self._limits = limits
        self._doing = doing
        self._began = time.monotonic()
        self._usage_at = 0.0
        self._claims: list[_Claim] = []

    def run(self, stop: threading.Event) -> None:
        """Check until told to stop."""
        while not stop.wait(_EACH):
            for each in self._watched:
                self.check(each)
            self.settle()
            now = time.monotonic()
            if now - self._usage_at >= _USAGE_EACH:
                self._usage_at = now
                self.usages += filter(None, (_usage(process, now - self._began) for process in self._processes))

    def check(self, watched: Watched) -> None:
        """Scrape one exporter and judge each of its sources."""
        asked = time.monotonic()
        samples = scrape(watched.url)
        answered = time.monotonic()
        if samples is None:
            watched.counts["no answer"] += 1
            watched.down_since.clear()
            return
        for source in watched.stores:
            self._judge(watched, source, samples, (asked, answered))

    def _judge(self, watched: Watched, source: str, samples: Samples, times: tuple[float, float]) -> None:
        store, (asked, answered) = watched.stores[source], times
        values = _values(samples, store.families)
        if samples.get(("ml_monitoring_source_up", (("source", source),))) != 1:
            watched.counts["down"] += 1
            since = watched.down_since.setdefault(source, asked)
            if values and asked - since > self._limits.withdrawn:
                text = f"{source} is down for {asked - since:.0f} s and still shows {len(values)} series"
                self._note(watched, text, self._doing())
            return
        watched.down_since.pop(source, None)
        self._claims.append(_Claim(watched, store, values, asked, answered, self._doing()))

    def settle(self) -> None:
        """Compare the claims of which all that could have been read is known."""
        claims, self._claims = self._claims, []
        for claim in claims:
            unknown = claim.store.unknown_since
            if self._is_right(claim):
                continue
            if unknown is not None and unknown <= claim.answered:
                self._claims.append(claim)
                continue
            differences = claim.store.history.latest_difference(claim.values)
            first = "; ".join(f"{key[0]}{dict(key[1])} is {a}, now {b}" for key, (a, b) in [*differences.items()][:3])
            self._note(claim.watched, f"{claim.store.source} shows as fresh what was not there: {first}", claim.doing)

    def _is_right(self, claim: _Claim) -> bool:
        held = claim.store.history.held
        if not held(claim.values, claim.asked - self._limits.fresh, claim.answered):
            return False
        claim.watched.counts["fresh"] += 1
        if held(claim.values, claim.asked, claim.answered):
            claim.watched.right_at[claim.store.source] = claim.asked
        return True

    def _note(self, watched: Watched, text: str, doing: str) -> None:
        watched.counts["wrong"] += 1
        if len(self.wrong) < _MOST_DETAILS:
            self.wrong.append(f"{time.monotonic() - self._began:.1f} s, {doing}: {watched.name}: {text}")


def _values(samples: Samples, families: frozenset[str]) -> Values:
    return {
        key: float(f"{value:.12g}")
        for key, value in samples.items()
        if key[0] in families and (value or key[0] not in _ZERO_IS_ABSENT)
    }


def _usage(process: Process, at: float) -> Usage | None:
    pid = process.pid
    if pid is None:
        return None
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        memory = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))
        return Usage(process.name, pid, at, memory, len(list(Path(f"/proc/{pid}/fd").iterdir())))
    except (OSError, StopIteration):  # it ended meanwhile
        return None
