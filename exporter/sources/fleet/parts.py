"""The parts in a folder: which files they are, and reading those that are new side by side in the order of their rows.

Names say nothing about time: writers number them, draw them at random, or write several at once.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.regular_files import Identity
from ml_monitoring.exporter.risk import Sample
from ml_monitoring.exporter.sources.fleet.blocks import RowBlock
from ml_monitoring.exporter.sources.fleet.columns import RowError
from ml_monitoring.exporter.sources.fleet.csv import CsvPosition, CsvReader
from ml_monitoring.exporter.sources.fleet.parquet import ParquetReader
from ml_monitoring.exporter.sources.fleet.state import FleetState

PART_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")
# `year=2026/month=11/day=28/hour=16` and a few levels more.
_DEEPEST = 8
_MOST_PARTS = 20_000
_NAMED = 5


class PartFile(NamedTuple):
    """A file, by its path from the folder that is followed."""

    name: str
    path: Path
    identity: Identity


class Listing(NamedTuple):
    """What a folder holds.

    Attributes:
        parts: The parts, by name.
        passed_over: What else there is, the first few by name.
    """

    parts: Sequence[PartFile]
    passed_over: str


def list_parts(folder: Path) -> Listing:
    """Look for parts in a folder and the folders below it.

    Raises:
        SourceError: The folder cannot be read.
    """
    parts: list[PartFile] = []
    others: list[str] = []
    for path, status in _walk(folder, others):
        name = path.relative_to(folder).as_posix()
        if not name.lower().endswith(PART_SUFFIXES):
            others.append(name)
        elif not stat.S_ISREG(status.st_mode):
            others.append(f"{name} (not a regular file)")
        elif len(parts) < _MOST_PARTS:
            parts.append(PartFile(name, path, Identity.of(status)))
        else:
            others.append(f"{name} (more than {_MOST_PARTS} parts)")
    return Listing(sorted(parts), _join(sorted(others)))


def _walk(folder: Path, unreadable: list[str]) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what is no folder in a folder and those below it."""
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = here.stat()
            # A link may lead back to a folder above it.
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            # Writers use a dot or an underscore for what is not finished, or not for readers.
            paths = sorted(path for path in here.iterdir() if not path.name.startswith((".", "_")))
        except OSError as error:
            if here == folder:
                raise SourceError(Reason.READ, f"{folder} cannot be read: {error.strerror}") from None
            unreadable.append(f"{here.relative_to(folder)} ({error.strerror})")
            continue
        for path in paths:
            try:
                status = path.stat()
            except OSError as error:
                unreadable.append(f"{path.relative_to(folder)} ({error.strerror})")
                continue
            if not stat.S_ISDIR(status.st_mode):
                yield path, status
            elif len(path.relative_to(folder).parts) <= _DEEPEST:
                waiting.append(path)
            else:
                unreadable.append(f"{path.relative_to(folder)} (below {_DEEPEST} folders)")


def _join(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


class PartReading:
    """A part that is being read, row by row beside others or block by block alone.

    Args:
        file: The part.
        reader: The open file.
        state: Takes the rows.
        after: Rows up to this time were read before.
        final: Nothing more will be written to it.

    Attributes:
        file: The part.
        reader: The open file.
        final: Nothing more will be written to it.
        position: Where to go on in a CSV file when reading ends before its end.
    """

    def __init__(
        self, file: PartFile, reader: CsvReader | ParquetReader, state: FleetState, *, after: float, final: bool
    ) -> None:
        self.file = file
        self.reader = reader
        self.final = final
        self.position: CsvPosition | None = None
        self._state = state
        self._after = after
        self._block: RowBlock | None = None
        self._rows: Iterator[tuple[int, Sample]] | None = None
        self._next: tuple[int, Sample] | None = None
        self._begins: float | None = None

    def next_time(self) -> float | None:
        """Return the time of the next row, at the earliest when it cannot be said; None when there are none.

        Raises:
            SourceError: The file is damaged.
        """
        if self._next is not None:
            return self._next[1].timestamp
        if self._begins is None and self._has_block():
            assert self._block is not None  # noqa: S101  # there is one
            self._begins = time_of(self._block, self._block.first(), -math.inf)
        return self._begins

    def feed(self, until: float) -> bool:
        """Feed a block, or its rows up to a time; False when there are none any more.

        Raises:
            SourceError: The file is damaged.
        """
        if not self._has_block():
            return False
        assert self._block is not None  # noqa: S101  # there is one
        self._begins = None
        if self._rows is None:
            if until == math.inf or time_of(self._block, self._block.last(), math.inf) <= until:
                self._state.apply(self._block, after=self._after)
                self._block = None
                return True
            self._rows = self._state.samples(self._block)
        while (row := self._next or next(self._rows, None)) is not None:
            self._next = row if row[1].timestamp > until else None
            if self._next is not None:
                return True
            if row[1].timestamp > self._after:
                self._state.take(self._block, *row)
        self._block = self._rows = None
        return True

    def close(self) -> None:
        """Close the file."""
        self.reader.close()

    def _has_block(self) -> bool:
        if self._block is None:
            if isinstance(self.reader, CsvReader):
                self.position = self.reader.position
            self._block = self.reader.next_block(final=self.final)
        return self._block is not None


def time_of(block: RowBlock, cells: Sequence[object] | None, otherwise: float) -> float:
    """Return the time of a row whose turn has not come, or something else when it cannot be used."""
    try:
        return otherwise if cells is None else block.parser.parse(cells, peek=True).timestamp
    except RowError:
        return otherwise
