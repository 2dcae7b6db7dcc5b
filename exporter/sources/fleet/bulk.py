"""The fast way for large blocks: rows as an Arrow table, checked and reduced to what is needed column by column.

It accepts only what the row parser accepts too, and anything odd makes it give up, so that the row parser can name
the file and the row. Of a good block it keeps the newest row of each server. pyarrow is imported here, at the first
large block: an exporter that follows a small file never pays for it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, NamedTuple

from ml_monitoring.exporter.risk import Sample
from ml_monitoring.exporter.sources.fleet.blocks import Cells
from ml_monitoring.exporter.sources.fleet.columns import FIELDS, NULL_WORDS, QUANTITIES, Parser, RowError

_TEXTS = ("server_name", "profile", "state", "incident_phase", "problem_child", "container_oom")
_MICROSECONDS = 1e6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TableRows:
    """A few rows of a table, turned into samples when somebody asks."""

    def __init__(self, table: Any, parser: Parser) -> None:
        self._table = table
        self._parser = parser
        self._samples: list[Sample] | None = None

    def sample(self, index: int) -> Sample:
        """Return one of them."""
        if self._samples is None:
            self._samples = [self._parser.parse(cells) for cells in table_cells(self._table)]
            self._table = None
        return self._samples[index]


class Newest(NamedTuple):
    """The newest row of one server in a block, not parsed yet: the next block may bring a newer one."""

    timestamp: float
    rows: TableRows
    place: int

    @property
    def sample(self) -> Sample:
        """Parse it."""
        return self.rows.sample(self.place)


@dataclass(frozen=True, slots=True)
class Digest:
    """What a good block comes down to.

    Attributes:
        rows: How many rows it has.
        newest: The newest row of each server.
        oldest: Time of the oldest row of each server.
        last: The last row.
        oom: TableRows with the out-of-memory flag by server.
        phases: Phases that the rows name.
    """

    rows: int
    newest: dict[str, Newest]
    oldest: dict[str, float]
    last: Sample
    oom: Counter[str]
    phases: set[str]


def import_arrow() -> Any:
    """Import pyarrow.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    # Its other allocators keep 30 MB more of what was freed, and are not measurably faster here. There is no other way
    # to choose one for what its C++ parts ask for by themselves.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    import pyarrow as pa  # noqa: PLC0415  # see the module's docstring

    return pa


def read_csv_table(
    data: bytes, header: Sequence[str], places: Sequence[int | None], delimiter: str, parser: Parser
) -> Any | None:
    """Parse whole lines of CSV into a table of our columns; None when any is odd."""
    try:
        pa = import_arrow()
        from pyarrow import csv  # noqa: PLC0415  # the same
    except ModuleNotFoundError:
        return None
    layout = parser.layout
    if _needs_a_clock(parser):
        return None
    text = pa.dictionary(pa.int32(), pa.string())
    types = dict.fromkeys(FIELDS, text) | {quantity.name: pa.float64() for quantity in QUANTITIES}
    types["timestamp"] = _timestamp_type(pa, parser)
    # Columns are found by place: the file's names may be anything.
    names = [f"#{index}" for index in range(len(header))]
    present = {name: names[place] for name, place in zip(FIELDS, places, strict=True) if place is not None}
    try:
        table = csv.read_csv(
            BytesIO(data),
            read_options=csv.ReadOptions(use_threads=False, column_names=names, block_size=len(data) + 1),
            parse_options=csv.ParseOptions(delimiter=delimiter),
            convert_options=csv.ConvertOptions(
                column_types={present[name]: types[name] for name in present},
                include_columns=list(present.values()),
                null_values=list(NULL_WORDS),
                decimal_point=layout.decimal,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return table.rename_columns(list(present))


def _needs_a_clock(parser: Parser) -> bool:
    """Tell whether times are those of a place, or it is not known yet."""
    layout = parser.layout
    return layout.iso_timestamps and (parser.aware is None or (not parser.aware and layout.zone is not UTC))


def cast_table(table: Any, parser: Parser) -> Any | None:
    """Cast the columns of a Parquet file's rows to the types that `digest` works on; None when that does not fit."""
    import pyarrow as pa  # noqa: PLC0415  # see the module's docstring

    if _needs_a_clock(parser):
        return None
    text = pa.dictionary(pa.int32(), pa.string())
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            if name in _TEXTS:
                # Numbers with a fraction have more than one spelling.
                if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
                    return None
                columns.append(column if column.type == text else column.cast(pa.string()).dictionary_encode())
                continue
            kind: Any = _timestamp_type(pa, parser) if name == "timestamp" else pa.float64()
            # A cast between a time with and one without a zone would not fail, but shift it.
            if pa.types.is_timestamp(kind) and (
                not pa.types.is_timestamp(column.type) or (column.type.tz is None) is parser.aware
            ):
                return None
            columns.append(column.cast(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
    return pa.table(columns, names=table.column_names)


def digest(table: Any, parser: Parser) -> Digest | None:
    """Check a table and reduce it; None when any row is odd or out of order, or there is none."""
    import numpy as np  # noqa: PLC0415  # comes with pyarrow, see the module's docstring
    import pyarrow as pa  # noqa: PLC0415  # see the module's docstring
    from pyarrow import compute as pc  # noqa: PLC0415  # the same

    table = table.combine_chunks()
    if not _fits(table, parser, pc):
        return None
    rows = table.num_rows
    times = _seconds(table["timestamp"], parser, pa, np)
    servers = table["server_name"].chunk(0)
    names = [name.strip() for name in servers.dictionary.to_pylist()]
    codes = _view(servers.indices, np.int32, np).astype(np.int64)
    # Times do not fall, so a server's rows are in order unless two are of one moment.
    moments = np.concatenate(([0], np.cumsum(times[1:] != times[:-1])))
    if len(np.unique(moments * len(names) + codes)) != rows or len(set(names)) != len(names):
        return None
    first, last = np.full(len(names), -1), np.full(len(names), -1)
    places = np.arange(rows)
    # Of several values for one place, the last one stays.
    last[codes] = places
    first[codes[::-1]] = places[::-1]
    # The dictionary of a Parquet file names servers of other batches too.
    present = np.flatnonzero(last >= 0)
    names, first, last = [names[code] for code in present], first[present], last[present]
    newest = TableRows(table.take(_indices(last, pa)), parser)
    return Digest(
        rows,
        {
            name: Newest(time, newest, place)
            for place, (name, time) in enumerate(zip(names, times[last].tolist(), strict=True))
        },
        dict(zip(names, times[first].tolist(), strict=True)),
        TableRows(table.slice(rows - 1), parser).sample(0),
        _count_oom(table, parser, np),
        _phases(table),
    )


# Going between Arrow and numpy by their buffers: Arrow's own `array` and `to_numpy` import pandas, when there is one,
# to see whether they were given some of its objects, and that is 50 MB.


def _view(array: Any, kind: Any, np: Any) -> Any:
    return np.frombuffer(array.buffers()[1], kind)[array.offset : array.offset + len(array)]


def _indices(places: Any, pa: Any) -> Any:
    return pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places)])


def _fits(table: Any, parser: Parser, pc: Any) -> bool:
    """Tell whether the row parser would take every row, and times do not fall."""
    times = table["timestamp"]
    return (
        table.num_rows > 0
        and times.null_count == 0
        and table["server_name"].null_count == 0
        and _texts_fit(table, parser)
        and _numbers_fit(table, parser, pc)
        and (parser.layout.iso_timestamps or pc.all(pc.is_finite(times)).as_py())
        and (table.num_rows == 1 or pc.all(pc.greater_equal(times[1:], times[:-1])).as_py())
    )


def _timestamp_type(pa: Any, parser: Parser) -> Any:
    if not parser.layout.iso_timestamps:
        return pa.float64()
    return pa.timestamp("us", "UTC" if parser.aware else None)


def _texts_fit(table: Any, parser: Parser) -> bool:
    """Check each different text once."""
    for name in _TEXTS:
        if name not in table.column_names:
            continue
        column = table[name].chunk(0)
        for text in column.dictionary.to_pylist():
            try:
                if not parser.accepts(name, text):
                    return False
            except RowError:
                return False
    return True


def _numbers_fit(table: Any, parser: Parser, pc: Any) -> bool:
    for quantity in QUANTITIES:
        if quantity.name not in table.column_names:
            continue
        column = table[quantity.name]
        factor = parser.layout.factors[quantity.name]
        lowest, highest = pc.min_max(column).as_py().values()
        if lowest is None:
            continue
        # Minimum and maximum pass over NaN, which is no value here either.
        if not (
            lowest * factor.multiply / factor.divide >= 0
            and highest * factor.multiply / factor.divide <= quantity.highest
        ):
            return False
        if highest == float("inf"):
            return False
    return True


def _seconds(times: Any, parser: Parser, pa: Any, np: Any) -> Any:
    """Return times in seconds as a numpy array, rounded exactly as the row parser does."""
    factor = parser.layout.factors["timestamp"]
    if parser.layout.iso_timestamps:
        return _view(times.cast(pa.int64()).chunk(0), np.int64, np) / _MICROSECONDS
    return _view(times.chunk(0), np.float64, np) * factor.multiply / factor.divide


def table_cells(table: Any) -> Iterator[Cells]:
    """Yield the rows of a table of our columns in the order of `FIELDS`."""
    present = set(table.column_names)
    columns = [_values(table[name]) if name in present else [None] * table.num_rows for name in FIELDS]
    return zip(*columns, strict=True)


def _values(column: Any) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415  # see the module's docstring

    kind = column.type
    if not pa.types.is_timestamp(kind):
        return column.to_pylist()  # type: ignore[no-any-return]  # a list
    # Arrow's own way to a datetime imports pandas, 50 MB, and cannot do nanoseconds without it.
    epoch = _EPOCH if kind.tz is not None else _EPOCH.replace(tzinfo=None)
    microseconds = column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64()).to_pylist()
    return [None if number is None else _moment(epoch, number) for number in microseconds]


def replace_undecodable(column: Any) -> Any:
    """Return a column of text with what is not UTF-8 replaced, so that it spoils its own cells only."""
    import pyarrow as pa  # noqa: PLC0415  # see the module's docstring

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return column
    values = column.cast(pa.large_binary()).to_pylist()
    return pa.chunked_array(
        [[None if value is None else value.decode("utf-8", "replace") for value in values]], pa.string()
    )


def _moment(epoch: datetime, microseconds: int) -> Any:
    try:
        return epoch + timedelta(microseconds=microseconds)
    except OverflowError:
        # Beyond the year 9999; the row parser will not take the bare number for a time, and says so.
        return microseconds


def _phases(table: Any) -> set[str]:
    if "incident_phase" not in table.column_names:
        return set()
    texts = (text and text.strip() for text in table["incident_phase"].unique().to_pylist())
    return {text for text in texts if text}


def _count_oom(table: Any, parser: Parser, np: Any) -> Counter[str]:
    if "container_oom" not in table.column_names:
        return Counter()
    flags = table["container_oom"].chunk(0)
    true = [code for code, text in enumerate(flags.dictionary.to_pylist()) if parser.is_true(text)]
    if not true:
        return Counter()
    codes = _view(flags.indices, np.int32, np)
    if flags.null_count:
        codes = np.array([-1 if code is None else code for code in flags.indices.to_pylist()])
    hits = np.isin(codes, true)
    servers = table["server_name"].chunk(0)
    names = servers.dictionary.to_pylist()
    return Counter(names[code].strip() for code in _view(servers.indices, np.int32, np)[hits].tolist())
