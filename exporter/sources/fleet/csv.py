"""Reading CSV files in blocks of whole lines, so that memory does not grow with the file.

A line is a row: fields may be quoted but hold no line breaks, so that a broken line costs itself and no other. A small
block is parsed with plain Python, because that is what a refresh usually brings: a few rows, for which importing
Arrow costs 50 MB and a tenth of a second. A large one, when there is much to catch up with, goes through Arrow's
reader; see `bulk`.
"""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import override

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.sources.fleet.blocks import Cells, RowBlock
from ml_monitoring.exporter.sources.fleet.bulk import read_csv_table
from ml_monitoring.exporter.sources.fleet.columns import FIELDS, Layout, Parser, RowError, RowOutcome
from ml_monitoring.exporter.sources.fleet.files import Bytes, Identity, open_regular

BLOCK = 1 << 20
# Below this, Arrow's start-up costs more than it saves.
BULK_FROM = 256 << 10
_MAX_LINE = 1 << 20
_DELIMITERS = ",;\t|"
_FINGERPRINT = 512


class CsvPosition(NamedTuple):
    """Where to go on in a CSV file.

    Attributes:
        offset: Where the first unread row begins, in unpacked bytes.
        row: How many lines are before it, the header included.
        fingerprint: Digest of the first bytes and of those before it; where it differs, the file is another one.
            Empty for gzip.
    """

    offset: int
    row: int
    fingerprint: bytes


class CsvBlock(RowBlock):
    """Some whole lines of a CSV file."""

    def __init__(self, reader: CsvReader, data: bytes, first_row: int) -> None:
        self.file = reader.name
        self.parser = reader.parser
        self._reader = reader
        self._data = data
        self._first_row = first_row

    @override
    def rows(self) -> Iterator[tuple[int, Cells | RowError]]:
        # What is not UTF-8 shows in the cell it spoils.
        text = self._data.decode("utf-8", "replace")
        cells = self._reader.cells if '"' in text else self._reader.plain_cells
        for number, line in enumerate(text.split("\n"), start=self._first_row):
            content = line.removesuffix("\r")
            if content:
                yield number, cells(content)

    @override
    def last(self) -> Cells | None:
        line = self._data[self._data.rfind(b"\n") + 1 :].decode("utf-8", "replace").removesuffix("\r")
        cells = self._reader.cells(line)
        return None if isinstance(cells, RowError) else cells

    @override
    def table(self) -> Any | None:
        if len(self._data) < BULK_FROM:
            return None
        reader = self._reader
        return read_csv_table(self._data, reader.header, reader.places, reader.delimiter, reader.parser)


class CsvReader:
    """Reads one CSV file, which may grow.

    Args:
        path: The file.
        layout: Names and units of its columns.
        position: Where to go on, unless the file is no longer the same one; by default at the beginning.

    Raises:
        SourceError: It cannot be opened.
    """

    def __init__(self, path: Path, layout: Layout, *, position: CsvPosition | None = None) -> None:
        self.name = path.name
        self.parser = Parser(layout)
        self.header: list[str] = []
        self.places: tuple[int | None, ...] = ()
        self.delimiter = ","
        self._path = path
        self._layout = layout
        self._file = open_regular(path)
        self._bytes = Bytes(path, self._file)
        self._tail = b""
        self._row = 0
        self._resume = position
        self._fingerprint = b""

    @property
    def position(self) -> CsvPosition | None:
        """Return where to go on later; None when the header was not read yet."""
        return CsvPosition(self._offset, self._row, self._fingerprint) if self.header else self._resume

    @property
    def _offset(self) -> int:
        """Return where the first row begins that was not handed out yet."""
        return self._bytes.offset - len(self._tail)

    @property
    def identity(self) -> Identity:
        """Return the identity of the open file, whatever its path leads to now."""
        return Identity.of(os.fstat(self._file.fileno()))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def cells(self, line: str) -> Cells | RowError:
        """Split a line that may hold quotes."""
        try:
            fields = next(csv.reader([line], delimiter=self.delimiter), [])
        except csv.Error as error:
            return RowError(RowOutcome.INVALID_VALUE, str(error))
        return self._pick(fields)

    def plain_cells(self, line: str) -> Cells | RowError:
        """Split a line without quotes."""
        return self._pick(line.split(self.delimiter))

    def _pick(self, fields: Sequence[str]) -> Cells | RowError:
        """Return the cells of our columns."""
        if len(fields) != len(self.header):
            return RowError(RowOutcome.INCOMPLETE, f"{len(fields)} fields instead of {len(self.header)}")
        if None not in self.places:
            return self._getter(fields)  # type: ignore[no-any-return]  # itemgetter returns a tuple for many places
        return [None if place is None else fields[place] for place in self.places]

    def rewritten(self) -> bool:
        """Tell whether what was read is no longer there: the file was truncated, or rewritten in its place."""
        if self._bytes.packed or not self.header:
            return False
        return self.identity.size < self._bytes.offset or self._digest(self._offset) != self._fingerprint

    def next_block(self, *, final: bool = False) -> CsvBlock | None:
        """Return the next whole lines, None when there are none at present.

        Args:
            final: Nothing more will be written: a last line without its end is a row.

        Raises:
            SourceError: The file cannot be read, is not text, or lacks a column.
        """
        if not self.header and not self._read_header(final=final):
            return None
        # Whole lines in hand go first: reading on may find damage.
        data = self._tail if b"\n" in self._tail else self._tail + self._bytes.read(BLOCK)
        end = data.rfind(b"\n") + 1
        while not end and len(data) > len(self._tail):
            # Half a line: there may be more of it.
            self._tail = data
            self._require_line_end()
            data += self._bytes.read(BLOCK)
            end = data.rfind(b"\n") + 1
        if final and not end:
            end = len(data)
        data, self._tail = data[:end], data[end:]
        self._require_line_end()
        if not data:
            return None
        self._note_fingerprint()
        block = CsvBlock(self, data.removesuffix(b"\n"), self._row + 1)
        self._row += data.count(b"\n") + (not data.endswith(b"\n"))
        return block

    def skip_to_end(self) -> None:
        """Go behind the last whole line: only what is written from now on counts."""
        if not self.header and not self._read_header(final=False):
            return
        more = b""
        while True:
            data = self._tail + more
            self._row += data.count(b"\n")
            self._tail = data[data.rfind(b"\n") + 1 :]
            self._require_line_end()
            if not (more := self._bytes.read(BLOCK)):
                break
        self._note_fingerprint()

    def last_lines(self) -> CsvBlock | None:
        """Return the file's last lines without changing the position; None for a gzip file."""
        if self._bytes.packed or not self.header:
            return None
        size = self.identity.size
        start = max(self._offset, size - BULK_FROM)
        data = os.pread(self._file.fileno(), size - start, start)
        if start > self._offset:
            data = data[data.find(b"\n") + 1 :]
        return CsvBlock(self, data.removesuffix(b"\n"), 0)

    def _read_header(self, *, final: bool) -> bool:
        """Read the first line; tell whether it is there."""
        while b"\n" not in self._tail:
            more = self._bytes.read(BLOCK)
            self._tail += more
            _require_text(self.name, self._tail)
            self._require_line_end()
            if not more:
                break
        line, end, rest = self._tail.partition(b"\n")
        if not end and not (final and line):
            return False
        text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace").removesuffix("\r")
        wanted = set(self._layout.names.values())

        def split(delimiter: str) -> list[str]:
            return [name.strip() for name in next(csv.reader([text], delimiter=delimiter), [])]

        self.delimiter = max(_DELIMITERS, key=lambda delimiter: len(wanted.intersection(split(delimiter))))
        self.places = self._layout.places(split(self.delimiter), self.name)
        self.header = split(self.delimiter)
        self._getter = itemgetter(*(place or 0 for place in self.places))
        self._row = 1
        self._tail = rest
        position = self._resume
        if (
            position is not None
            and position.offset > self._offset
            and self._digest(position.offset) == position.fingerprint
        ):
            self._tail = b""
            self._bytes.skip(position.offset)
            self._row = position.row
        self._note_fingerprint()
        return True

    def _digest(self, offset: int) -> bytes:
        if self._bytes.packed:
            return b""
        number = self._file.fileno()
        start = max(0, offset - _FINGERPRINT)
        ends = os.pread(number, min(offset, _FINGERPRINT), 0) + os.pread(number, offset - start, start)
        return blake2b(ends, digest_size=16).digest()

    def _note_fingerprint(self) -> None:
        self._fingerprint = self._digest(self._offset)

    def _require_line_end(self) -> None:
        if len(self._tail) > _MAX_LINE and b"\n" not in self._tail:
            raise SourceError(
                Reason.SCHEMA, f"{self.name}: no line ends within {_MAX_LINE >> 20} MiB; is this a text file?"
            )


def _require_text(name: str, start: bytes) -> None:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceError(Reason.SCHEMA, f"{name}: is UTF-16", hint="save it as UTF-8")
    if b"\0" in start[:1024]:
        raise SourceError(Reason.SCHEMA, f"{name}: is not a text file, nor Parquet")


assert len(FIELDS) > 1  # noqa: S101  # itemgetter of a single place would return no tuple
