"""Rows of CSV files and whole Parquet files of the source `fleet`."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.fleet import FleetSettings, FleetSource
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Check, Target
from tests.support.fleet_files import HEADER, NAMES, START, line
from tests.support.serving import parse_samples

# Rows after the made-up ones have the last time that is no future one, so that none of those comes after them.
_AHEAD = 299
_GOOD = {f'fleet_server_cpu_utilization_ratio{{profile="web",server="good-{number}"}}': 0.4 for number in range(3)}
_CELLS = st.one_of(
    st.text(max_size=12),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(
        [
            *(
                "",
                "NaN",
                "inf",
                "-0",
                "1e308",
                "1_000",
                "٣",
                "0x1p3",
                "1,5",
                "true",
                "online",
                "\ufeff",
                '"',
                '""',
                '"a',
            ),
            *("2026-01-01T00:00:00", "2026-01-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30T00:00Z"),
            *("2026-01-01T00:00:60Z", "2026-01-01T00:00:00+99:99", "=1+1", "../../etc", "a" * 5000, "\x1b[31m"),
        ]
    ),
)
_LINES = st.one_of(
    st.dictionaries(st.sampled_from(NAMES), _CELLS, min_size=1, max_size=4).map(
        lambda cells: line(1, **{"server": "web-001", **cells}).encode("utf-8", "surrogatepass")
    ),
    mutated([line(1).encode(), line(2, "web-002", incident_phase="peak").encode()]),
    st.binary(max_size=120),
)


def _source(path: Path, **settings: Any) -> FleetSource:
    today = START + 1
    return FleetSource(
        FleetSettings.model_validate({"path": str(path), "mode": "follow", **settings}), today=lambda: today
    )


@contextlib.contextmanager
def _rows(folder: Path) -> Iterator[Check]:
    path = folder / "fleet.csv"
    good = "".join(f"{line(_AHEAD, f'good-{number}')}\n" for number in range(3)).encode()

    def check(content: bytes) -> None:
        path.write_bytes(f"{HEADER}\n{line(0)}\n".encode() + content + b"\n" + good)
        with contextlib.closing(_source(path)) as source:
            families = source.collect()
            samples = parse_samples(render_text(families).decode())
        # Bad rows cost themselves.
        assert {series: samples.get(series) for series in _GOOD} == _GOOD
        assert samples['fleet_file_rows_total{file="fleet.csv",outcome="ok"}'] >= 4
        for problem in families.problems:
            assert problem.reason is not Reason.INTERNAL
            # After five, the rest is counted.
            assert "fleet.csv" in problem.message or problem.message.startswith("and "), problem.message
            assert problem.message.isprintable(), problem.message

    yield check


CSV_ROWS = Target("csv_rows", st.lists(_LINES, min_size=1, max_size=8).map(b"\n".join), _rows, short=150)


@contextlib.contextmanager
def _whole_file(suffix: str, folder: Path) -> Iterator[Check]:
    path = folder / f"fleet.{suffix}"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        os.utime(path, (START, START))
        with contextlib.closing(_source(path)) as source:
            problems: list[tuple[Reason, str]]
            try:
                families = source.collect()
                parse_samples(render_text(families).decode())
                problems = [(problem.reason, problem.message) for problem in families.problems]
            except SourceError as error:
                problems = [(error.reason, str(error))]
        for reason, message in problems:
            assert reason is not Reason.INTERNAL
            assert path.name in message or message.startswith("and "), message
            assert len(message) < 2_000, message

    yield check


@contextlib.contextmanager
def _csv_file(folder: Path) -> Iterator[Check]:
    with _whole_file("csv", folder) as check:
        yield check


@contextlib.contextmanager
def _parquet_file(folder: Path) -> Iterator[Check]:
    with _whole_file("parquet", folder) as check:
        yield check


_CSV = f"{HEADER}\n{line(0)}\n{line(1)}\n".encode()
CSV_FILE = Target(
    "csv_file",
    st.one_of(
        mutated(
            [
                _CSV,
                _CSV.replace(b",", b";"),
                b"\xef\xbb\xbf" + _CSV,
                _CSV.replace(b"\n", b"\r\n"),
                _CSV.replace(b"\n", b"\r"),
            ]
        ),
        st.lists(_CELLS, max_size=40).map(lambda cells: ",".join(cells).encode("utf-8", "surrogatepass")),
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda content: b"\x1f\x8b" + content),
        st.binary(max_size=200).map(lambda content: b"PAR1" + content),
    ),
    _csv_file,
    short=100,
)

_WHEN = datetime.fromtimestamp(START, UTC)
_COLUMN_TYPES: tuple[Any, ...] = (
    pa.string(), pa.large_string(), pa.binary(), pa.int64(), pa.uint8(), pa.float16(), pa.float64(), pa.bool_(),
    pa.null(), pa.date32(), pa.timestamp("ns"), pa.timestamp("s", "Europe/Berlin"), pa.time64("us"), pa.duration("ms"),
    pa.decimal128(38, 20), pa.list_(pa.string()), pa.struct([("a", pa.int8())]), pa.dictionary(pa.int8(), pa.string()),
)  # fmt: skip


@st.composite
def _parquet(draw: st.DrawFn) -> bytes:
    """Return a sound file whose columns have types that they should not have."""
    columns: dict[str, Any] = {}
    rows = draw(st.integers(0, 4))
    good = dict(zip(NAMES, line(0).split(","), strict=True))
    odd = draw(st.sets(st.sampled_from(NAMES), max_size=4))
    for name in NAMES:
        if name in odd:
            kind = draw(st.sampled_from(_COLUMN_TYPES))
            columns[name] = _column(draw, kind, rows)
        elif name == "timestamp":
            columns[name] = pa.array([_WHEN] * rows, pa.timestamp("us", "UTC"))
        elif name in {"server_name", "profile", "state", "incident_phase"}:
            columns[name] = pa.array([good[name]] * rows, pa.string())
        elif name in {"problem_child", "container_oom"}:
            columns[name] = pa.array([False] * rows)
        else:
            columns[name] = pa.array([float(good[name])] * rows)
    for name in draw(st.sets(st.sampled_from(NAMES), max_size=1)):
        del columns[name]
    sink = io.BytesIO()
    compression = draw(st.sampled_from(["none", "snappy", "gzip", "zstd"]))
    pq.write_table(pa.table(columns), sink, compression=compression)
    return sink.getvalue()


def _column(draw: st.DrawFn, kind: Any, rows: int) -> Any:
    values = [draw(st.one_of(st.none(), st.integers(0, 100))) for _ in range(rows)]
    for conversion in (lambda v: v, str, lambda v: str(v).encode(), bool, lambda v: [str(v)], lambda v: {"a": v}):
        with contextlib.suppress(pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError):
            return pa.array([None if value is None else conversion(value) for value in values], kind)
    return pa.nulls(rows, kind)


def _seed_parquet() -> bytes:
    sink = io.BytesIO()
    good = dict(zip(NAMES, line(0).split(","), strict=True))
    table = pa.table({name: [value] * 3 for name, value in good.items()})
    pq.write_table(table, sink)
    return sink.getvalue()


PARQUET_FILE = Target("parquet_file", st.one_of(_parquet(), mutated([_seed_parquet()])), _parquet_file, short=60)
