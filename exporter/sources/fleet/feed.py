"""What replaying a file and following one have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.sources.fleet.columns import Layout
from ml_monitoring.exporter.sources.fleet.csv import CsvPosition, CsvReader
from ml_monitoring.exporter.sources.fleet.files import FileFormat, open_regular, sniff
from ml_monitoring.exporter.sources.fleet.parquet import ParquetReader
from ml_monitoring.exporter.sources.fleet.state import FleetState


class Feed(ABC):
    """Feeds a state with the rows that count now.

    Args:
        path: A file, or a folder of files.
        layout: Names and units of its columns.
        state: Takes the rows.

    Attributes:
        ended: Whether no server is to be shown any more.
        problems: What cannot be read at present while the rest goes on.
        notes: What else there is to know; no fault.
    """

    def __init__(self, path: Path, layout: Layout, state: FleetState) -> None:
        self.ended = False
        self.problems: list[tuple[Reason, str]] = []
        self.notes: Sequence[str] = ()
        self._path = path
        self._layout = layout
        self._state = state
        # The file under way.
        self._reader: CsvReader | ParquetReader | None = None

    @property
    def progress(self) -> float | None:
        """Return how much of the file's time has passed, 0 to 1; None when that cannot be said."""
        return None

    @abstractmethod
    def advance(self, go_on: Callable[[], bool]) -> bool:
        """Feed what counts now; False when `go_on` ended it before all was read.

        Raises:
            SourceError: The file or folder cannot be read, or holds no usable row.
        """

    @abstractmethod
    def reset(self) -> None:
        """Begin as if for the first time."""

    def close(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self, path: Path, position: CsvPosition | None = None) -> CsvReader | ParquetReader:
        """Open a file as what its content shows it to be.

        Raises:
            SourceError: It cannot be opened, or lacks a column.
        """
        with open_regular(path) as file:
            form = sniff(path, file)
        if form is FileFormat.PARQUET:
            return ParquetReader(path, self._layout)
        return CsvReader(path, self._layout, position=position)
