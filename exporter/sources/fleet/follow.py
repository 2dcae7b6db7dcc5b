"""Follow: a file that grows, or a folder that receives parts, read on from where the last refresh ended."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from typing_extensions import override

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.regular_files import Identity
from ml_monitoring.exporter.sources.fleet.columns import Layout
from ml_monitoring.exporter.sources.fleet.csv import BLOCK, CsvPosition, CsvReader
from ml_monitoring.exporter.sources.fleet.feed import Feed
from ml_monitoring.exporter.sources.fleet.files import identify
from ml_monitoring.exporter.sources.fleet.parquet import ParquetReader
from ml_monitoring.exporter.sources.fleet.parts import (
    PART_SUFFIXES,
    PartFile,
    PartReading,
    list_parts,
    time_of,
)
from ml_monitoring.exporter.sources.fleet.positions import BEGINNING, Part, load, save
from ml_monitoring.exporter.sources.fleet.state import FleetState

Start = Literal["beginning", "end"]
# A clock may be this much ahead of ours.
MAX_AHEAD: Final = 300.0
# So many parts are read side by side, in pieces of this size.
_MOST_OPEN = 200
_SMALL_BLOCK = 32 << 10


class Follow(Feed):
    """Feeds a state with what is new.

    Args:
        path: A file, or a folder of parts whose new rows are read in the order of their times.
        layout: Names and units of the columns.
        state: Takes the rows.
        start: Whether what is there at the first look counts.
        clock: The time of day, seconds since the epoch.
        position_file: Where positions outlast the process; nowhere by default.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        state: FleetState,
        *,
        start: Start,
        clock: Callable[[], float],
        position_file: Path | None = None,
    ) -> None:
        super().__init__(path, layout, state)
        self._start = start
        self._clock = clock
        self._position_file = position_file
        self._parts: dict[str, Part] | None = None
        self._from_end = start == "end"
        # Parts under way, and the first new row of those that wait.
        self._reading: dict[str, PartReading] = {}
        self._beginnings: dict[str, tuple[Identity, float]] = {}

    @override
    def close(self) -> None:
        super().close()
        for reading in self._reading.values():
            reading.close()
        self._reading.clear()
        self._beginnings.clear()

    @override
    def reset(self) -> None:
        self.close()
        self._parts = {}
        self._from_end = self._start == "end"

    @override
    def advance(self, go_on: Callable[[], bool]) -> bool:
        self._state.horizon = self._clock() + MAX_AHEAD
        if self._parts is None:
            self._parts = load(self._position_file, self._path)
        before = dict(self._parts)
        try:
            if self._path.is_dir():
                done = self._read_folder(self._parts, go_on)
            else:
                done = self._read_single(self._parts, go_on)
            if done:
                self._from_end = False
        finally:
            if self._parts != before:
                save(self._position_file, self._path, self._parts)
        return done

    def _read_single(self, parts: dict[str, Part], go_on: Callable[[], bool]) -> bool:
        try:
            file = PartFile(self._path.name, self._path, identify(self._path))
        except SourceError:
            # Whatever appears later was not there at the first look.
            self._from_end = False
            # Moved away or deleted: what was written before that still counts.
            if self._reader is not None and self._drain(self._reader, go_on, final=True):
                self._forget(parts)
            raise
        # It is kept open, so that nothing is lost when its path leads to another one.
        if self._reader is not None:
            if not file.identity.same_file(self._reader.identity):
                if not self._drain(self._reader, go_on, final=True):
                    return False
                self._forget(parts)
            elif isinstance(self._reader, CsvReader) and self._reader.rewritten():
                self._forget(parts)
                self._state.note_replaced()
        return self._read(parts, file, go_on, final=False)

    def _forget(self, parts: dict[str, Part]) -> None:
        self.close()
        parts.clear()
        # What comes after the first file was all written while we looked.
        self._from_end = False

    def _read_folder(self, parts: dict[str, Part], go_on: Callable[[], bool]) -> bool:
        files, passed_over = list_parts(self._path)
        self.notes = [f"{self._path.name}: passed over {passed_over}"] if passed_over else []
        if not files and not parts and self._state.position == BEGINNING:
            # Whatever appears later was not there at the first look.
            self._from_end = False
            raise SourceError(
                Reason.READ,
                f"{self._path} holds no file that ends in {', '.join(PART_SUFFIXES)}"
                + (f"; passed over {passed_over}" if passed_over else ""),
                hint="is sources.fleet.path right?",
            )
        for name in parts.keys() - {file.name for file in files}:
            del parts[name]
        problems = self.problems = []
        # Only what was written last can still be growing.
        newest = max(files, key=lambda file: (file.identity.modified, file.name), default=None)
        waiting: list[PartFile] = []
        for file in files:
            known = parts.get(file.name)
            if known is not None and known.identity == file.identity and (file is newest or known.final):
                if known.problem:
                    problems.append((Reason.READ, known.problem))
            elif file.name not in self._reading:
                waiting.append(file)
        try:
            return self._read_side_by_side(parts, waiting, newest, go_on)
        finally:
            for name, reading in self._reading.items():
                if reading.position is not None:
                    # Unread until it is done: another process goes on from here.
                    parts[name] = Part(Identity.none(), reading.position)

    def _read_side_by_side(
        self, parts: dict[str, Part], waiting: list[PartFile], newest: PartFile | None, go_on: Callable[[], bool]
    ) -> bool:
        """Read parts in the order of their rows; False when `go_on` ended it."""
        alone = len(waiting) + len(self._reading) == 1
        if not alone and not self._from_end:
            for file in waiting:
                known = self._beginnings.get(file.name)
                if known is not None and known[0] == file.identity:
                    continue
                if not go_on():
                    return False
                self._beginnings[file.name] = (file.identity, self._find_beginning(parts, file))
            # The one that begins first is the last one here.
            waiting.sort(key=lambda file: (self._beginnings[file.name][1], file.name), reverse=True)
        while waiting or self._reading:
            if not go_on():
                return False
            begins = -math.inf if alone or self._from_end or not waiting else self._beginnings[waiting[-1].name][1]
            times = {} if alone else self._next_times(parts)
            if waiting and (not self._reading or (times and begins <= min(times.values()) and len(times) < _MOST_OPEN)):
                self._begin(parts, waiting.pop(), newest)
                continue
            if not self._reading:
                continue
            name = min(times or self._reading, key=lambda name: times.get(name, 0.0))
            others = [time for other, time in times.items() if other != name]
            if waiting and len(times) < _MOST_OPEN:
                others.append(begins)
            self._feed(parts, self._reading[name], min(others, default=math.inf))
        self._beginnings.clear()
        return True

    def _find_beginning(self, parts: dict[str, Part], file: PartFile) -> float:
        """Look up the time of the first row that is new."""
        # What is wrong with it is said when it is read.
        with contextlib.suppress(SourceError):
            reader = self._open(file.path, _go_on_from(file, parts.get(file.name)))
            with contextlib.closing(reader):
                if isinstance(reader, CsvReader):
                    reader.block_size = _SMALL_BLOCK
                block = reader.next_block(final=True)
                if block is not None:
                    return time_of(block, block.first(), -math.inf)
        return -math.inf

    def _next_times(self, parts: dict[str, Part]) -> dict[str, float]:
        """Return the time of the next row of each part under way; those that have none are done."""
        times: dict[str, float] = {}
        for name, reading in list(self._reading.items()):
            try:
                time = reading.next_time()
            except SourceError as error:
                self._give_up(parts, reading.file, error)
                continue
            if time is None:
                self._finish(parts, reading)
            else:
                times[name] = time
        return times

    def _begin(self, parts: dict[str, Part], file: PartFile, newest: PartFile | None) -> None:
        known = parts.get(file.name)
        try:
            reader = self._open(file.path, _go_on_from(file, known))
            reader.name = file.name
            # A Parquet file is rewritten as a whole; what was read of it before does not count twice.
            rewritten = isinstance(reader, ParquetReader) and known is not None
            after = known.newest if known is not None and rewritten else BEGINNING
            reading = PartReading(file, reader, self._state, after=after, final=file != newest)
            self._reading[file.name] = reading
            if self._from_end and known is None:
                reader.skip_to_end()
        except SourceError as error:
            self._give_up(parts, file, error)

    def _feed(self, parts: dict[str, Part], reading: PartReading, until: float) -> None:
        if isinstance(reading.reader, CsvReader):
            reading.reader.block_size = BLOCK if len(self._reading) == 1 else _SMALL_BLOCK
        try:
            if not reading.feed(until):
                self._finish(parts, reading)
        except SourceError as error:
            self._give_up(parts, reading.file, error)

    def _finish(self, parts: dict[str, Part], reading: PartReading) -> None:
        file, reader = reading.file, reading.reader
        if isinstance(reader, CsvReader):
            parts[file.name] = Part(file.identity, reader.position, final=reading.final)
        else:
            parts[file.name] = Part(file.identity, newest=self._state.position, final=True)
        reading.close()
        del self._reading[file.name]

    def _give_up(self, parts: dict[str, Part], file: PartFile, error: SourceError) -> None:
        """Note a bad part: it costs no other, and is tried again when it changes."""
        reading = self._reading.pop(file.name, None)
        if reading is not None:
            reading.close()
        text = str(error)
        if text.startswith(file.path.name):
            text = file.name + text.removeprefix(file.path.name)
        parts[file.name] = Part(file.identity, final=True, problem=text)
        self.problems.append((error.reason, text))

    def _read(self, parts: dict[str, Part], file: PartFile, go_on: Callable[[], bool], *, final: bool) -> bool:
        """Read what is new in one file; False when `go_on` ended it."""
        known = parts.get(file.name)
        if self._reader is None:
            if known is not None and known.identity == file.identity and known.final:
                return True
            self._reader = self._open(file.path, _go_on_from(file, known))
            if known is not None and _is_older(self._reader, known):
                parts.pop(file.name)
                self._state.note_replaced()
                known = None
            if self._from_end and known is None:
                self._reader.skip_to_end()
        reader = self._reader
        # A Parquet file is rewritten as a whole; what was read of it before does not count twice.
        rewritten = isinstance(reader, ParquetReader) and known is not None
        after = known.newest if known is not None and rewritten else BEGINNING
        try:
            done = self._drain(reader, go_on, final=final, after=after)
        except SourceError:
            # Tried again from its beginning, or from where it broke: what was read before does not count twice.
            if isinstance(reader, CsvReader) and reader.position is not None:
                parts[file.name] = Part(file.identity, reader.position)
            self.close()
            raise
        if isinstance(reader, CsvReader):
            # Unread until it is done: the next look must not pass it over.
            parts[file.name] = Part(file.identity if done else Identity.none(), reader.position, final=final)
        elif done:
            parts[file.name] = Part(file.identity, newest=self._state.position, final=True)
            self.close()
        return done

    def _drain(
        self, reader: CsvReader | ParquetReader, go_on: Callable[[], bool], *, final: bool, after: float = BEGINNING
    ) -> bool:
        while go_on():
            block = reader.next_block(final=final)
            if block is None:
                return True
            self._state.apply(block, after=after)
        return False


def _go_on_from(file: PartFile, known: Part | None) -> CsvPosition | None:
    """Return where to go on in a CSV file that was read before."""
    if known is None or known.position is None:
        return None
    # Positions of an older version have no fingerprint for gzip: only its identity tells that it is the same one.
    is_same = known.position.fingerprint or known.grown_into(file.identity)
    return known.position if is_same else None


def _is_older(reader: CsvReader | ParquetReader, known: Part) -> bool:
    """Tell whether a Parquet file ends before what was read of it: an older one is in its place."""
    if not isinstance(reader, ParquetReader):
        return False
    ending = reader.last_lines()
    return ending is not None and time_of(ending, ending.last(), math.inf) < known.newest
