"""What a fleet file says at present: the newest row of each server, and what became of all rows."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator
from functools import partial

from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.risk import Sample
from ml_monitoring.exporter.sources.fleet.blocks import RowBlock
from ml_monitoring.exporter.sources.fleet.bulk import Newest, digest
from ml_monitoring.exporter.sources.fleet.columns import RowError, RowOutcome

_LISTED_PROBLEMS = 5
# A column of phases that names more is none.
_MOST_PHASES = 100


class FleetState:
    """Takes rows in, one file's block after the other's.

    A row counts when it is newer than the newest one of its server. Times of different servers need not be in step.

    Args:
        server_timeout: A server that is this many seconds of file time behind the newest row is gone.
        most_servers: How many servers are remembered; rows of others are left out until one of these is gone.
    """

    def __init__(self, server_timeout: float, *, most_servers: int = 1_000_000) -> None:
        self._timeout = server_timeout
        self._most = most_servers
        self._cleaned_at = -math.inf
        self._replaced = False
        self._latest: dict[str, Sample | Newest] = {}
        self.last: Sample | None = None
        self.position = -math.inf
        self.phases: set[str] = set()
        self.rows: Counter[RowOutcome] = Counter()
        self.oom: Counter[str] = Counter()
        # Rows of later than this are a wrong clock: one of them would make all other servers look gone.
        self.horizon = math.inf
        self._problems: list[str] = []
        self._unlisted_problems = 0
        self._refused: Counter[str] = Counter()

    def clear(self) -> None:
        """Forget the servers; what was counted stays counted."""
        self._latest.clear()
        self.last = None
        self.position = self._cleaned_at = -math.inf

    def servers(self) -> list[Sample]:
        """Return the newest row of each server that still reports, by name."""
        self._forget_gone()
        for name, known in self._latest.items():
            if isinstance(known, Newest):
                self._latest[name] = known.sample
        return [sample for _name, sample in sorted(self._latest.items()) if isinstance(sample, Sample)]

    def _forget_gone(self) -> None:
        oldest = self.position - self._timeout
        for name in [name for name, sample in self._latest.items() if sample.timestamp < oldest]:
            del self._latest[name]
        if len(self.oom) > 2 * self._most:
            self.oom = Counter({name: count for name, count in self.oom.items() if name in self._latest})
        self._cleaned_at = self.position

    def _has_room(self, servers: int) -> bool:
        if len(self._latest) + servers > self._most and self.position > self._cleaned_at + self._timeout / 4:
            self._forget_gone()
        return len(self._latest) + servers <= self._most

    def note_replaced(self) -> None:
        """Note that what comes now takes the place of what was there, maybe an older state of it."""
        self._replaced = True

    def _begin_again_if_older(self, first: float) -> None:
        if self._replaced and first < self.position:
            self.clear()
        self._replaced = False

    def take_refused(self) -> Counter[str]:
        """Return how often a metric's series were left out since the last call, because there are too many."""
        refused, self._refused = self._refused, Counter()
        return refused

    def take_problems(self) -> list[tuple[Reason, str]]:
        """Return what was wrong since the last call, the first few by name."""
        problems = [(Reason.INVALID_VALUE, text) for text in self._problems]
        if self._unlisted_problems:
            problems.append((Reason.INVALID_VALUE, f"and {self._unlisted_problems} more rows that cannot be used"))
        self._problems, self._unlisted_problems = [], 0
        return problems

    def apply(self, block: RowBlock, *, after: float = -math.inf) -> None:
        """Take in all rows of a block.

        Args:
            block: The rows.
            after: Rows up to this time were read before and are passed over.
        """
        if after == -math.inf and self._apply_table(block):
            return
        for place, sample in self.samples(block):
            if sample.timestamp > after:
                self.take(block, place, sample)

    def samples(self, block: RowBlock) -> Iterator[tuple[int, Sample]]:
        """Yield the usable rows of a block with their numbers; the others are counted and noted."""
        parse = block.parser.parse
        for number, cells in block.rows():
            if isinstance(cells, RowError):
                self._reject(block, number, cells)
                continue
            try:
                sample = parse(cells)
            except RowError as error:
                self._reject(block, number, error)
                continue
            yield number, sample

    def take(self, block: RowBlock, number: int, sample: Sample) -> None:
        """Take one row in, unless it is out of order."""
        if self._replaced:
            self._begin_again_if_older(sample.timestamp)
        known = self._latest.get(sample.server)
        if known is not None and sample.timestamp <= known.timestamp:
            if sample.timestamp == known.timestamp:
                problem = RowError(RowOutcome.DUPLICATE, f"a second row of {sample.server!r} for the same moment")
            else:
                behind = known.timestamp - sample.timestamp
                problem = RowError(RowOutcome.OUT_OF_ORDER, f"{sample.server!r} goes back in time by {behind:g} s")
            self._reject(block, number, problem)
            return
        if sample.timestamp > self.horizon:
            ahead = sample.timestamp - self.horizon
            said = f"timestamp of {sample.server!r} is {ahead:g} s too far ahead"
            cure = partial(block.parser.cure_of_future, sample.timestamp, self.horizon)
            problem = RowError(RowOutcome.OUT_OF_RANGE, said, cure)
            self._reject(block, number, problem)
            return
        # One that is refused tells the time, too: it may make room.
        self._note_newest(sample)
        if known is None and not self._has_room(1):
            self.rows[RowOutcome.OVER_LIMIT] += 1
            self._refused["fleet_server_risk_ratio"] += 1
            return
        self._latest[sample.server] = sample
        self.rows[RowOutcome.OK] += 1
        if sample.phase is not None:
            self._note_phase(sample.phase)
        if sample.oom:
            self.oom[sample.server] += 1

    def _apply_table(self, block: RowBlock) -> bool:
        """Take in a block the fast way; False when that is not possible and nothing was taken."""
        if block.parser.aware is None:
            # Any row tells whether times carry a zone, on which their type depends.
            cells = block.last()
            if cells is not None:
                with contextlib.suppress(RowError):
                    block.parser.parse(cells, peek=True)
        table = block.table()
        found = None if table is None else digest(table, block.parser)
        if found is None or found.last.timestamp > self.horizon:
            return False
        if self._replaced:
            self._begin_again_if_older(min(found.oldest.values()))
        latest = self._latest
        if not self._has_room(sum(server not in latest for server in found.newest)):
            return False
        for server, time in found.oldest.items():
            known = latest.get(server)
            if known is not None and time <= known.timestamp:
                return False
        latest.update(found.newest)
        self._note_newest(found.last)
        self.rows[RowOutcome.OK] += found.rows
        self.oom.update(found.oom)
        for phase in found.phases:
            self._note_phase(phase)
        return True

    def _note_phase(self, phase: str) -> None:
        if phase in self.phases or len(self.phases) < _MOST_PHASES:
            self.phases.add(phase)
        else:
            self._refused["fleet_incident_phase"] += 1

    def _note_newest(self, sample: Sample) -> None:
        if sample.timestamp >= self.position:
            self.last, self.position = sample, sample.timestamp

    def _reject(self, block: RowBlock, number: int, error: RowError) -> None:
        self.rows[error.outcome] += 1
        if len(self._problems) < _LISTED_PROBLEMS:
            self._problems.append(f"{block.file}, row {number}: {error}")
        else:
            self._unlisted_problems += 1
