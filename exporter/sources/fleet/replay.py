"""Replay: a finished file's time mapped to wall time, so that an old incident happens again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from typing_extensions import override

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.regular_files import Identity
from ml_monitoring.exporter.risk import Sample
from ml_monitoring.exporter.sources.fleet.blocks import RowBlock
from ml_monitoring.exporter.sources.fleet.columns import Layout
from ml_monitoring.exporter.sources.fleet.feed import Feed
from ml_monitoring.exporter.sources.fleet.files import identify
from ml_monitoring.exporter.sources.fleet.parts import time_of
from ml_monitoring.exporter.sources.fleet.state import FleetState

AtEnd = Literal["loop", "hold", "stop"]


class Span(NamedTuple):
    """The time that a file covers, in seconds since the epoch, and the time between its first two moments."""

    first: float
    last: float
    gap: float

    @property
    def length(self) -> float:
        """Return how long one run takes: the last moment lasts as long as the first one."""
        return self.last - self.first + self.gap


class Replay(Feed):
    """Feeds a file's rows to a state when their time has come.

    Args:
        path: The file.
        layout: Names and units of its columns.
        state: Takes the rows.
        speed: Seconds of file time a second.
        at_end: Begin again, keep the last moment, or show no more servers.
        clock: Wall time in seconds; need not be that of the calendar.
    """

    def __init__(
        self, path: Path, layout: Layout, state: FleetState, *, speed: float, at_end: AtEnd, clock: Callable[[], float]
    ) -> None:
        super().__init__(path, layout, state)
        self._speed = speed
        self._at_end = at_end
        self._clock = clock
        self._identity: Identity | None = None
        self._span: Span | None = None
        self._started = 0.0
        # A block that reaches beyond the present, and the row of it that comes next.
        self._block: RowBlock | None = None
        self._pending: Iterator[tuple[int, Sample]] | None = None
        self._next: tuple[int, Sample] | None = None

    @property
    @override
    def progress(self) -> float | None:
        span = self._span
        if span is None:
            return None
        if self.ended or span.last == span.first:
            return 1.0
        return min(1.0, max(0.0, (self._state.position - span.first) / (span.last - span.first)))

    @override
    def reset(self) -> None:
        self._identity = None

    @override
    def advance(self, go_on: Callable[[], bool]) -> bool:
        identity = identify(self._path)
        if identity != self._identity:
            # Another file, or the same one rewritten: its story begins at its beginning.
            self._span = None
            self._restart()
            self._span = self._measure()
            # A row of after the end, amid the file, is a wrong clock; waiting for it would stop the story.
            self._state.horizon = self._span.last
            self._restart()
            self._identity = identity
            self._started = self._clock()
        assert self._span is not None  # noqa: S101  # set together with the identity
        elapsed = (self._clock() - self._started) * self._speed
        if self._at_end == "loop" and elapsed >= self._span.length:
            rounds = math.floor(elapsed / self._span.length)
            self._started += rounds * self._span.length / self._speed
            elapsed -= rounds * self._span.length
            self._restart()
        # Wall time in seconds is only exact to a fraction; the first moment must not wait for it.
        arrived = self._feed(self._span.first + elapsed + 1e-6, go_on)
        self.ended = self._at_end == "stop" and elapsed >= self._span.length
        return arrived

    def _restart(self) -> None:
        self.close()
        self._state.clear()
        self._layout.clock.clear()
        self.ended = False
        self._block = self._pending = self._next = None
        self._reader = self._open(self._path)

    def _feed(self, until: float, go_on: Callable[[], bool]) -> bool:
        assert self._reader is not None  # noqa: S101  # opened by _restart
        while go_on():
            if self._pending is not None:
                if not self._feed_rows(until):
                    return True
                continue
            block = self._reader.next_block(final=True)
            if block is None:
                return True
            if time_of(block, block.last(), math.inf) <= min(until, self._state.horizon):
                self._state.apply(block)
            else:
                self._block, self._pending = block, self._state.samples(block)
        return False

    def _feed_rows(self, until: float) -> bool:
        """Feed rows of the block in hand; False when the next one is not due yet."""
        assert self._pending is not None  # noqa: S101  # the caller looked
        assert self._block is not None  # noqa: S101  # set together
        while True:
            row = self._next or next(self._pending, None)
            self._next = None
            if row is None:
                self._pending = self._block = None
                return True
            number, sample = row
            if until < sample.timestamp <= self._state.horizon:
                self._next = row
                return False
            self._state.take(self._block, number, sample)

    def _measure(self) -> Span:
        """Look at the beginning and the end of the file."""
        probe = FleetState(math.inf)
        assert self._reader is not None  # noqa: S101  # opened by _restart
        times: list[float] = []
        while not times:
            block = self._reader.next_block(final=True)
            if block is None:
                problems = probe.take_problems()
                reason = f": {problems[0][1]}" if problems else ""
                raise SourceError(Reason.SCHEMA, f"{self._path.name}: holds no row that can be used{reason}")
            times = [sample.timestamp for _number, sample in probe.samples(block)]
        first = min(times)
        gap = next((time - first for time in times if time > first), 1.0)
        ending = self._reader.last_lines()
        times = [] if ending is None else [sample.timestamp for _number, sample in probe.samples(ending)]
        last = max(times, default=first)
        # Only going through all of it tells the end of a gzip file, or of one that ends in bad rows.
        while not times and block is not None:
            end = time_of(block, block.last(), math.inf)
            last = max(last, end) if math.isfinite(end) else last
            block = self._reader.next_block(final=True)
        return Span(first, max(first, last), gap)
