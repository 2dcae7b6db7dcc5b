"""Reading Parquet files in batches, so that memory does not grow with the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typing_extensions import override

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.regular_files import Identity
from ml_monitoring.exporter.sources.fleet.blocks import Cells, RowBlock
from ml_monitoring.exporter.sources.fleet.bulk import cast_table, import_arrow, replace_undecodable, table_cells
from ml_monitoring.exporter.sources.fleet.columns import FIELDS, Layout, Parser, RowError
from ml_monitoring.exporter.sources.fleet.files import open_regular

_BATCH = 16_384
# Pages are read through a small buffer instead of whole column chunks at once.
_BUFFER = 64 << 10


class ParquetBlock(RowBlock):
    """A batch of rows."""

    def __init__(self, name: str, parser: Parser, table: Any, first_row: int) -> None:
        self.file = name
        self.parser = parser
        self._table = table
        self._first_row = first_row

    @override
    def rows(self) -> Iterator[tuple[int, Cells | RowError]]:
        yield from enumerate(table_cells(self._table), start=self._first_row)

    @override
    def first(self) -> Cells | None:
        return next(table_cells(self._table.slice(0, 1)), None)

    @override
    def last(self) -> Cells | None:
        return next(table_cells(self._table.slice(self._table.num_rows - 1)), None)

    @override
    def table(self) -> Any | None:
        return cast_table(self._table, self.parser)


class ParquetReader:
    """Reads one Parquet file.

    Args:
        path: The file.
        layout: Names and units of its columns.

    Raises:
        SourceError: It cannot be opened, is not complete, or lacks a column.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        try:
            arrow = import_arrow()
            from pyarrow import parquet  # noqa: PLC0415  # needed for such a file only
        except ModuleNotFoundError:
            raise SourceError(
                Reason.READ, f"{path.name}: Parquet needs pyarrow", hint="pip install 'ml-monitoring[fleet]'"
            ) from None
        self.name = path.name
        self.parser = Parser(layout)
        self._error = arrow.ArrowException
        self._raw = open_regular(path)
        try:
            self._file = parquet.ParquetFile(self._raw, buffer_size=_BUFFER, pre_buffer=False)
            header = list(self._file.schema_arrow.names)
        except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            self._raw.close()
            raise SourceError(
                Reason.READ,
                f"{path.name}: not a complete Parquet file: {_first_line(error)}",
                hint="is it still being written?",
            ) from None
        try:
            places = layout.places(header, path.name)
        except SourceError:
            self.close()
            raise
        self._names = {header[place]: name for name, place in zip(FIELDS, places, strict=True) if place is not None}
        self._row = 0
        self._batches = self._iterate()

    def _iterate(self, row_groups: list[int] | None = None) -> Iterator[Any]:
        batches: Iterator[Any] = self._file.iter_batches(
            batch_size=_BATCH, columns=list(self._names), row_groups=row_groups, use_threads=False
        )
        return batches

    def next_block(self, *, final: bool = False) -> ParquetBlock | None:  # noqa: ARG002  # a Parquet file is final
        """Return the next rows, None when all were handed out.

        Raises:
            SourceError: The file is damaged.
        """
        batch = self._next(self._batches)
        if batch is None:
            return None
        block = self._block(batch, self._row + 1)
        self._row += batch.num_rows
        return block

    def last_lines(self) -> ParquetBlock | None:
        """Return the last rows without changing the position."""
        groups = self._file.num_row_groups
        last = None
        if groups:
            batches = self._iterate([groups - 1])
            while (batch := self._next(batches)) is not None:
                last = batch
        return None if last is None else self._block(last, 0)

    @property
    def identity(self) -> Identity:
        """Return the identity of the open file, whatever its path leads to now."""
        return Identity.of(os.fstat(self._raw.fileno()))

    def skip_to_end(self) -> None:
        """Pass over all rows."""
        self._row = self._file.metadata.num_rows
        self._batches = iter(())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()

    def _next(self, batches: Iterator[Any]) -> Any | None:
        try:
            return next(batches, None)
        except (self._error, OSError) as error:
            raise SourceError(Reason.READ, f"{self.name}: damaged Parquet file: {_first_line(error)}") from None

    def _block(self, batch: Any, first_row: int) -> ParquetBlock:
        import pyarrow as pa  # noqa: PLC0415  # imported already by the constructor

        table = pa.Table.from_batches([batch])
        try:
            table.validate(full=True)
        except self._error:
            # Arrow takes whatever bytes a file calls text.
            table = pa.table([replace_undecodable(column) for column in table.columns], names=table.column_names)
        # The file gives its columns in its own order.
        return ParquetBlock(
            self.name, self.parser, table.rename_columns([self._names[name] for name in table.column_names]), first_row
        )


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
