"""What readers of fleet files hand out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ml_monitoring.exporter.sources.fleet.columns import Parser, RowError

# One row in the order of `FIELDS`: text or typed values, None for no value.
Cells = Sequence[Any]


class RowBlock(Protocol):
    """Some rows of one file, small enough to hold in memory."""

    file: str
    parser: Parser

    def rows(self) -> Iterator[tuple[int, Cells | RowError]]:
        """Yield the number and the cells of each row, or why it has none."""

    def first(self) -> Cells | None:
        """Return the cells of the first row; None when it has none."""

    def last(self) -> Cells | None:
        """Return the cells of the last row; None when it has none."""

    def table(self) -> Any | None:
        """Return the rows as an Arrow table of our columns; None when there are few, or any is odd."""
