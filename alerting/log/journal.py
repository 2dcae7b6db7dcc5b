"""Lines in files, one file a day: what is in here survives a crash, and everything else can be rebuilt from it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_PATTERN = "notifications-*.jsonl"


@dataclass(frozen=True, slots=True)
class JournalPosition:
    """How far a file of the journal has been read: its name, and bytes into it."""

    file: str
    offset: int


class Journal:
    """Appends lines durably.

    Args:
        directory: Folder of the files; made if needed.

    Raises:
        OSError: The folder cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        for path in self._files():
            _cut_torn_line(path)

    def append(self, lines: Sequence[str], now: float) -> JournalPosition:
        """Write lines; when this returns they are on disk. Returns the position behind them.

        Raises:
            OSError: They could not be written; the file is as before.
        """
        path = self._directory / f"notifications-{datetime.fromtimestamp(now, UTC):%Y-%m-%d}.jsonl"
        is_new = not path.exists()
        # JSON may hold half of a character, which is no text.
        data = "".join(lines).encode("utf-8", "replace")
        # Without a buffer: what it still held after an error would be written when the file is closed.
        with path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                # A full disk takes part of a line.
                os.truncate(path, before)
                raise
        if is_new:
            self._sync_directory()
        return JournalPosition(path.name, before + len(data))

    def since(self, offsets: Mapping[str, int]) -> Iterator[tuple[str, JournalPosition]]:
        """Yield the lines that were not read yet, each with the position behind it.

        Args:
            offsets: How far each file has been read. Of each: a clock that is set back writes to an earlier day's.
        """
        for path in self._files():
            offset = offsets.get(path.name, 0)
            with path.open("rb") as file:
                file.seek(offset)
                for line in file:
                    offset += len(line)
                    yield line.decode("utf-8", "replace"), JournalPosition(path.name, offset)

    def drop_before(self, moment: float) -> list[str]:
        """Remove the files of days that ended before a moment; return their names."""
        first = f"notifications-{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}.jsonl"
        dropped = [path for path in self._files() if path.name < first]
        for path in dropped:
            path.unlink()
        return [path.name for path in dropped]

    def sizes(self) -> dict[str, int]:
        """Return the size of each file."""
        return {path.name: path.stat().st_size for path in self._files()}

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob(_PATTERN))

    def _sync_directory(self) -> None:
        # Otherwise a new file's name may be lost with the power although its content is not.
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _cut_torn_line(path: Path) -> None:
    """Remove what follows the last complete line: its sender was never answered and sends it again."""
    content = path.read_bytes()
    complete = content.rfind(b"\n") + 1
    if complete < len(content):
        os.truncate(path, complete)
