"""Opening fleet files: what they are is decided by their content, and nothing that is not a regular file is opened."""

from __future__ import annotations

import os
import zlib
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from ml_monitoring.exporter import regular_files
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.path_checks import describe_missing
from ml_monitoring.exporter.regular_files import Identity

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_DELIMITERS = (b",", b";", b"\t", b"|")
_FIRST_BYTES = 4096
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class FileFormat(StrEnum):
    """What a file holds."""

    CSV = "csv"
    PARQUET = "parquet"


def identify(path: Path) -> Identity:
    """Look at a path without opening it.

    Raises:
        SourceError: There is no regular file.
    """
    try:
        return Identity.of(regular_files.require_regular(path))
    except OSError as error:
        raise _unreadable(path, error) from None


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        SourceError: There is no regular file, or it may not be read.
    """
    try:
        return regular_files.open_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from None


def sniff(path: Path, file: BinaryIO) -> FileFormat:
    """Tell what an open file holds from its first bytes; its name decides where they are those of neither."""
    start = os.pread(file.fileno(), _FIRST_BYTES, 0)
    is_parquet = start.startswith(_PARQUET)
    if path.suffix.lower() == ".parquet" and not start.startswith(_GZIP):
        line = start.partition(b"\n")[0]
        # No names of columns either: what is empty or broken is to be called what its name says.
        is_parquet |= b"\0" in line or not any(delimiter in line for delimiter in _DELIMITERS)
    return FileFormat.PARQUET if is_parquet else FileFormat.CSV


class Bytes:
    """The content of a file from its beginning, unpacked when it is gzip; the file may grow.

    Attributes:
        offset: How much of the content was read.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._gzip: Any = None
        self._packed = os.pread(file.fileno(), len(_GZIP), 0) == _GZIP
        self._raw = b""
        self.offset = 0

    @property
    def packed(self) -> bool:
        """Tell whether the file is gzip."""
        return self._packed

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none when there are no more at present.

        Raises:
            SourceError: The disk or the gzip stream is damaged.
        """
        try:
            content = self._unpack(size) if self._packed else self._file.read(size)
        except OSError as error:
            raise _unreadable(self._path, error) from None
        except zlib.error as error:
            raise SourceError(Reason.READ, f"{self._path.name}: damaged gzip: {error}") from None
        self.offset += len(content)
        return content

    def skip(self, offset: int) -> None:
        """Go to a place that was read before."""
        if not self._packed:
            self._file.seek(offset)
            self.offset = offset
        while self.offset < offset and self.read(min(offset - self.offset, 1 << 20)):
            pass

    def _unpack(self, size: int) -> bytes:
        # A file of several gzip members is what `cat a.gz b.gz` and appending loggers make.
        while True:
            if not self._raw:
                self._raw = self._file.read(1 << 16)
                if not self._raw:
                    return b""
            if self._gzip is None:
                self._gzip = zlib.decompressobj(_GZIP_WINDOW)
            content: bytes = self._gzip.decompress(self._raw, size)
            self._raw = self._gzip.unconsumed_tail or self._gzip.unused_data
            if self._gzip.eof:
                self._gzip = None
            if content:
                return content


def _unreadable(path: Path, error: OSError) -> SourceError:
    if isinstance(error, regular_files.NotRegularError):
        hint = "use mode: follow for a folder of parts" if error.is_directory else ""
        return SourceError(Reason.READ, f"{path} {error.strerror}", hint=hint)
    hint = {
        FileNotFoundError: describe_missing(path, takes_folder=True)
        or "does it exist, and is sources.fleet.path right?",
        PermissionError: f"may the user {os.getuid()} read it, and enter its folders?",
    }.get(type(error), "")
    return SourceError(Reason.READ, f"{path} cannot be read: {error.strerror}", hint=hint)
