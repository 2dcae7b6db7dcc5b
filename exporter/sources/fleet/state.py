"""What a fleet file says at present: the newest row of each server, and what became of all rows."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator

from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.risk import Sample
from ml_monitoring.exporter.sources.fleet.blocks import RowBlock
from ml_monitoring.exporter.sources.fleet.bulk import Newest, digest
from ml_monitoring.exporter.sources.fleet.columns import RowError, RowOutcome

_LISTED_PROBLEMS = 5


class FleetState:
    """Takes rows in, one file's block after the other's.

    A row counts when it is newer than the newest one of its server. Times of different servers need not be in step.

    Args:
        server_timeout: A server that is this many seconds of file time behind the newest row is gone.
    """

    def __init__(self, server_timeout: float) -> None:
        self._timeout = server_timeout
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

    def clear(self) -> None:
        """Forget the servers; what was counted stays counted."""
        self._latest.clear()
        self.last = None
        self.position = -math.inf

    def servers(self) -> list[Sample]:
        """Return the newest row of each server that still reports, by name."""
        oldest = self.position - self._timeout
        for name in [name for name, sample in self._latest.items() if sample.timestamp < oldest]:
            del self._latest[name]
        for name, known in self._latest.items():
            if isinstance(known, Newest):
                self._latest[name] = known.sample
        return [sample for _name, sample in sorted(self._latest.items()) if isinstance(sample, Sample)]

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
        known = self._latest.get(sample.server)
        if known is not None and sample.timestamp <= known.timestamp:
            if sample.timestamp == known.timestamp:
                problem = RowError(RowOutcome.DUPLICATE, f"a second row of {sample.server} for the same moment")
            else:
                behind = known.timestamp - sample.timestamp
                problem = RowError(RowOutcome.OUT_OF_ORDER, f"{sample.server} goes back in time by {behind:g} s")
            self._reject(block, number, problem)
            return
        if sample.timestamp > self.horizon:
            ahead = sample.timestamp - self.horizon
            problem = RowError(RowOutcome.OUT_OF_RANGE, f"timestamp of {sample.server} is {ahead:g} s too far ahead")
            self._reject(block, number, problem)
            return
        self._latest[sample.server] = sample
        self._note_newest(sample)
        self.rows[RowOutcome.OK] += 1
        if sample.phase is not None:
            self.phases.add(sample.phase)
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
        latest = self._latest
        for server, time in found.oldest.items():
            known = latest.get(server)
            if known is not None and time <= known.timestamp:
                return False
        latest.update(found.newest)
        self._note_newest(found.last)
        self.rows[RowOutcome.OK] += found.rows
        self.oom.update(found.oom)
        self.phases |= found.phases
        return True

    def _note_newest(self, sample: Sample) -> None:
        if sample.timestamp >= self.position:
            self.last, self.position = sample, sample.timestamp

    def _reject(self, block: RowBlock, number: int, error: RowError) -> None:
        self.rows[error.outcome] += 1
        if len(self._problems) < _LISTED_PROBLEMS:
            self._problems.append(f"{block.file}, row {number}: {error}")
        else:
            self._unlisted_problems += 1
