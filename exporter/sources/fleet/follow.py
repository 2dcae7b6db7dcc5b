"""Follow: a file that grows, or a folder that receives parts, read on from where the last refresh ended."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from typing_extensions import override

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.sources.fleet.columns import Layout
from ml_monitoring.exporter.sources.fleet.csv import CsvPosition, CsvReader
from ml_monitoring.exporter.sources.fleet.feed import Feed
from ml_monitoring.exporter.sources.fleet.files import Identity, identify
from ml_monitoring.exporter.sources.fleet.parquet import ParquetReader
from ml_monitoring.exporter.sources.fleet.positions import BEGINNING, Part, load, save
from ml_monitoring.exporter.sources.fleet.state import FleetState

Start = Literal["beginning", "end"]
PART_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")
# A clock may be this much ahead of ours.
MAX_AHEAD: Final = 300.0


class _File(NamedTuple):
    name: str
    path: Path
    identity: Identity


class Follow(Feed):
    """Feeds a state with what is new.

    Args:
        path: A file, or a folder of parts that are read in the order of their names.
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
            file = _File(self._path.name, self._path, identify(self._path))
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
        return self._read(parts, file, go_on, final=False)

    def _forget(self, parts: dict[str, Part]) -> None:
        self.close()
        parts.clear()
        # What comes after the first file was all written while we looked.
        self._from_end = False

    def _read_folder(self, parts: dict[str, Part], go_on: Callable[[], bool]) -> bool:
        files = sorted(self._list_parts())
        problems: list[tuple[Reason, str]] = []
        self.problems = problems
        for name in parts.keys() - {file.name for file in files}:
            del parts[name]
        for file in files:
            last = file is files[-1]
            known = parts.get(file.name)
            if known is not None and known.identity == file.identity and (last or known.final):
                if known.problem:
                    problems.append((Reason.READ, known.problem))
                continue
            try:
                if not go_on() or not self._read(parts, file, go_on, final=not last):
                    return False
            except SourceError as error:
                # One bad part costs no other; it is tried again when it changes.
                parts[file.name] = Part(file.identity, final=True, problem=str(error))
                problems.append((error.reason, str(error)))
            self.close()
        return True

    def _list_parts(self) -> Iterator[_File]:
        try:
            with os.scandir(self._path) as entries:
                for entry in entries:
                    # Writers use a dot or an underscore for what is not finished.
                    if entry.name.startswith((".", "_")) or not entry.name.lower().endswith(PART_SUFFIXES):
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        if entry.is_file():
                            yield _File(entry.name, Path(entry.path), Identity.of(entry.stat()))
        except OSError as error:
            raise SourceError(Reason.READ, f"{self._path} cannot be read: {error.strerror}") from None

    def _read(self, parts: dict[str, Part], file: _File, go_on: Callable[[], bool], *, final: bool) -> bool:
        """Read what is new in one file; False when `go_on` ended it."""
        known = parts.get(file.name)
        if self._reader is None:
            if known is not None and known.identity == file.identity and known.final:
                return True
            self._reader = self._open(file.path, _go_on_from(file, known))
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


def _go_on_from(file: _File, known: Part | None) -> CsvPosition | None:
    """Return where to go on in a CSV file that was read before."""
    if known is None or known.position is None:
        return None
    # Positions of an older version have no fingerprint for gzip: only its identity tells that it is the same one.
    is_same = known.position.fingerprint or known.grown_into(file.identity)
    return known.position if is_same else None
