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
from ml_monitoring.exporter.regular_files import Identity
from ml_monitoring.exporter.sources.fleet.blocks import Cells, RowBlock
from ml_monitoring.exporter.sources.fleet.bulk import read_csv_table
from ml_monitoring.exporter.sources.fleet.columns import FIELDS, Layout, Parser, RowError, RowOutcome
from ml_monitoring.exporter.sources.fleet.files import Bytes, open_regular
from ml_monitoring.exporter.sources.fleet.signatures import other_format

BLOCK = 1 << 20
# Below this, Arrow's start-up costs more than it saves.
BULK_FROM = 256 << 10
_MAX_LINE = 1 << 20
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_DELIMITERS = "".join(_NAMES)
_FINGERPRINT = 512


class CsvPosition(NamedTuple):
    """Where to go on in a CSV file.

    Attributes:
        offset: Where the first unread row begins, in unpacked bytes.
        row: How many lines are before it, the header included.
        fingerprint: Digest of the first bytes and of those before it, for gzip of the first packed ones; where it
            differs, the file is another one.
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
        # What a crash of the machine leaves where the file grew.
        holes = "\0" in text
        for number, line in enumerate(text.split("\n"), start=self._first_row):
            content = line.removesuffix("\r")
            if holes and "\0" in content:
                yield number, RowError(RowOutcome.INVALID_VALUE, "holds NUL bytes")
            elif content:
                yield number, cells(content)

    @override
    def first(self) -> Cells | None:
        cells = self._reader.cells(self._data.partition(b"\n")[0].decode("utf-8", "replace").removesuffix("\r"))
        return None if isinstance(cells, RowError) else cells

    @override
    def last(self) -> Cells | None:
        line = self._data[self._data.rfind(b"\n") + 1 :].decode("utf-8", "replace").removesuffix("\r")
        cells = self._reader.cells(line)
        return None if isinstance(cells, RowError) else cells

    @override
    def table(self) -> Any | None:
        if len(self._data) < BULK_FROM or b"\0" in self._data:
            return None
        reader = self._reader
        table = read_csv_table(self._data, reader.header, reader.places, reader.delimiter, reader.parser)
        # To Arrow a quote that is open goes on in the next line.
        if table is not None and b'"' in self._data and table.num_rows != self._data.count(b"\n") + 1:
            return None
        return table


class LongLine(RowBlock):
    """A line that is too long to be a row, or a further piece of it."""

    def __init__(self, reader: CsvReader, *, row: int | None) -> None:
        self.file = reader.name
        self.parser = reader.parser
        self._row = row

    @override
    def rows(self) -> Iterator[tuple[int, Cells | RowError]]:
        if self._row is not None:
            yield self._row, RowError(RowOutcome.INCOMPLETE, f"is longer than {_MAX_LINE >> 20} MiB")

    @override
    def first(self) -> Cells | None:
        return None

    @override
    def last(self) -> Cells | None:
        return None

    @override
    def table(self) -> Any | None:
        return None


class CsvReader:
    """Reads one CSV file, which may grow.

    Args:
        path: The file.
        layout: Names and units of its columns.
        position: Where to go on, unless the file is no longer the same one; by default at the beginning.

    Attributes:
        name: What it is called in messages.
        block_size: How many bytes are read at once.

    Raises:
        SourceError: It cannot be opened.
    """

    def __init__(self, path: Path, layout: Layout, *, position: CsvPosition | None = None) -> None:
        self.name = path.name
        self.parser = Parser(layout)
        self.header: list[str] = []
        self._heading = ""
        self.places: tuple[int | None, ...] = ()
        self.delimiter = ","
        self._path = path
        self._layout = layout
        self._file = open_regular(path)
        self._bytes = Bytes(path, self._file)
        self._tail = b""
        self._row = 0
        self.block_size = BLOCK
        self._in_long_line = False
        self._old_line_ends = False
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
        return self._pick(fields, line)

    def plain_cells(self, line: str) -> Cells | RowError:
        """Split a line without quotes."""
        return self._pick(line.split(self.delimiter), line)

    def _pick(self, fields: Sequence[str], line: str) -> Cells | RowError:
        """Return the cells of our columns."""
        if line == self._heading:
            # Where files were put behind each other.
            return RowError(RowOutcome.INVALID_VALUE, "holds the names of the columns again: leave such lines out")
        if len(fields) != (count := len(self.header)):
            others = (one for one in _DELIMITERS if one != self.delimiter and line.count(one) == count - 1)
            other = next(others, "")
            said = f": separated by {_NAMES[other]}, the header by {_NAMES[self.delimiter]}" if other else ""
            return RowError(RowOutcome.INCOMPLETE, f"{len(fields)} fields instead of {count}{said}")
        if None not in self.places:
            return self._getter(fields)  # type: ignore[no-any-return]  # itemgetter returns a tuple for many places
        return [None if place is None else fields[place] for place in self.places]

    def rewritten(self) -> bool:
        """Tell whether what was read is no longer there: the file was truncated, or rewritten in its place."""
        if not self.header:
            return False
        read = self._file.tell() if self._bytes.packed else self._bytes.offset
        return self.identity.size < read or not self._fits(self._offset, self._fingerprint)

    def next_block(self, *, final: bool = False) -> RowBlock | None:
        """Return the next whole lines, None when there are none at present.

        Args:
            final: Nothing more will be written: a last line without its end is a row.

        Raises:
            SourceError: The file cannot be read, is not text, or lacks a column.
        """
        if not self.header and not self._read_header(final=final):
            return None
        if self._in_long_line:
            return self._pass_over()
        # Whole lines in hand go first: reading on may find damage.
        data = self._tail if b"\n" in self._tail else self._tail + self._read()
        end = data.rfind(b"\n") + 1
        while not end and len(data) > len(self._tail):
            # Half a line: there may be more of it.
            self._tail = data
            if len(data) > _MAX_LINE:
                self._drop_tail()
                return LongLine(self, row=self._row + 1)
            data += self._read()
            end = data.rfind(b"\n") + 1
        if final and not end:
            end = len(data)
        data, self._tail = data[:end], data[end:]
        if not data:
            return None
        self._note_fingerprint()
        block = CsvBlock(self, data.removesuffix(b"\n"), self._row + 1)
        self._row += data.count(b"\n") + (not data.endswith(b"\n"))
        return block

    def _pass_over(self) -> LongLine | None:
        """Go on to the end of a line that is too long, a block at a time; None when it is not there yet."""
        data = self._read()
        _before, end, self._tail = data.partition(b"\n")
        if end:
            self._in_long_line = False
            self._row += 1
        self._note_fingerprint()
        return LongLine(self, row=None) if data else None

    def _drop_tail(self) -> None:
        """Let go of the beginning of a line that is too long."""
        self._tail = b""
        self._in_long_line = True
        self._note_fingerprint()

    def _read(self) -> bytes:
        data = self._bytes.read(self.block_size)
        return data.replace(b"\r", b"\n") if self._old_line_ends else data

    def skip_to_end(self) -> None:
        """Go behind the last whole line: only what is written from now on counts."""
        if not self.header and not self._read_header(final=False):
            return
        more = b""
        while True:
            data = self._tail + more
            self._row += data.count(b"\n")
            if b"\n" in data:
                self._in_long_line = False
            self._tail = data[data.rfind(b"\n") + 1 :]
            if self._in_long_line or len(self._tail) > _MAX_LINE:
                self._drop_tail()
            if not (more := self._read()):
                break
        self._note_fingerprint()

    def last_lines(self) -> RowBlock | None:
        """Return the file's last lines without changing the position; None for a gzip file."""
        if self._bytes.packed or not self.header:
            return None
        size = self.identity.size
        start = max(self._offset, size - BULK_FROM)
        data = os.pread(self._file.fileno(), size - start, start)
        if self._old_line_ends:
            data = data.replace(b"\r", b"\n")
        if start > self._offset:
            data = data[data.find(b"\n") + 1 :]
        return CsvBlock(self, data.removesuffix(b"\n"), 0)

    def _read_header(self, *, final: bool) -> bool:
        """Read the first line; tell whether it is there."""
        while b"\n" not in self._tail:
            more = self._read()
            self._tail += more
            if b"\n" not in self._tail and b"\r" in self._tail[:-1]:
                # Lines of classic Mac OS, and of some instruments.
                self._old_line_ends = True
                self._tail = self._tail.replace(b"\r", b"\n")
            # The names in an archive may stand behind a byte that would end a line.
            _require_text(self.name, self._tail if self._tail.startswith(b"PK") else self._tail.partition(b"\n")[0])
            if not more:
                break
        line, end, rest = self._tail.partition(b"\n")
        if not end and not (final and line):
            return False
        text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace").removesuffix("\r")
        wanted = set(self._layout.names.values())

        def split(delimiter: str) -> list[str]:
            return [name.strip() for name in next(csv.reader([text], delimiter=delimiter), [])]

        try:
            self.delimiter = max(
                _DELIMITERS,
                key=lambda delimiter: (len(wanted.intersection(split(delimiter))), len(split(delimiter))),
            )
            header = split(self.delimiter)
        except csv.Error:
            raise SourceError(Reason.SCHEMA, f"{self.name}: the first line holds no names of columns") from None
        self.places = self._layout.places(header, self.name, rest.decode("utf-8", "replace"))
        self.header, self._heading = header, text
        self._getter = itemgetter(*(place or 0 for place in self.places))
        self._row = 1
        self._tail = rest
        position = self._resume
        if (
            position is not None
            and position.offset > self._offset
            and self._fits(position.offset, position.fingerprint)
        ):
            self._tail = b""
            self._bytes.skip(position.offset)
            self._row = position.row
        self._note_fingerprint()
        return True

    def _fits(self, offset: int, fingerprint: bytes) -> bool:
        """Tell whether the file still holds what was read when the fingerprint was taken."""
        if self._bytes.packed:
            length = int.from_bytes(fingerprint[:2], "big")
            # One of an older version has none; who follows has looked at the file's identity.
            return not fingerprint or self._digest_packed(length) == fingerprint
        return self._digest(offset) == fingerprint

    def _digest_packed(self, length: int) -> bytes:
        start = os.pread(self._file.fileno(), length, 0)
        return len(start).to_bytes(2, "big") + blake2b(start, digest_size=16).digest()

    def _digest(self, offset: int) -> bytes:
        if self._bytes.packed:
            return self._digest_packed(min(self._file.tell(), _FINGERPRINT))
        number = self._file.fileno()
        start = max(0, offset - _FINGERPRINT)
        ends = os.pread(number, min(offset, _FINGERPRINT), 0) + os.pread(number, offset - start, start)
        return blake2b(ends, digest_size=16).digest()

    def _note_fingerprint(self) -> None:
        self._fingerprint = self._digest(self._offset)


def _require_text(name: str, start: bytes) -> None:
    """Check the first line, or as much of it as there is; any other line costs only itself."""
    if other := other_format(start):
        raise SourceError(Reason.SCHEMA, f"{name}: {other[0]}", hint=other[1])
    if b"\0" in start:
        raise SourceError(Reason.SCHEMA, f"{name}: is not a text file, nor Parquet")
    if len(start) > _MAX_LINE:
        raise SourceError(Reason.SCHEMA, f"{name}: no line ends within {_MAX_LINE >> 20} MiB; is this a text file?")


assert len(FIELDS) > 1  # noqa: S101  # itemgetter of a single place would return no tuple
