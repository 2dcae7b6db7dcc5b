"""Writes the fleet demo: a reproducible incident as CSV, Parquet and a JSON file that explains it.

The same arguments give the same bytes (CSV, JSON) and the same values (Parquet) on any machine; see `fleet_incident`
for how. Rows are written as they are made, so that memory does not grow with the duration.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, TextIO

from demo.fleet_incident import COLUMNS, PROFILES, Incident, Row
from ml_monitoring.exporter.command_line import duration
from ml_monitoring.exporter.errors import ConfigError

NAME: Final = "fleet"
DEFAULT_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Rows a Parquet row group: large enough to compress, small enough to hold in memory.
_ROW_GROUP = 65_536
_BAR_AFTER = 1.0
_BAR_WIDTH = 30
_MAX_SEED = 2**32

_ROW_FORMAT = ",".join("%s" if column.decimals is None else f"%.{column.decimals}f" for column in COLUMNS) + "\n"
_ROUND = [(index, column.decimals) for index, column in enumerate(COLUMNS) if column.decimals is not None]
_OFFLINE_AT = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this demo."""
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="made when it is missing")
    parser.add_argument("--format", choices=("csv", "parquet", "both"), default="both", help="default both")
    parser.add_argument(
        "--duration", type=_milliseconds, default=300_000, metavar="TIME", help="length of the story, default 5m"
    )
    parser.add_argument(
        "--interval", type=_milliseconds, default=5_000, metavar="TIME", help="between rows of a server, default 5s"
    )
    parser.add_argument(
        "--fleet-size", type=_positive, default=24, metavar="N", help="servers, default 24: four of each profile"
    )
    parser.add_argument("--seed", type=_seed, default=42, metavar="N", help="same seed, same bytes; default 42")
    parser.add_argument(
        "--start",
        type=_moment,
        default=DEFAULT_START,
        metavar="TIME",
        help="default 2026-01-01T00:00:00Z",
    )
    parser.add_argument("--calm", action="store_true", help="without the incident")


def run(options: argparse.Namespace) -> int:
    """Write the files and say where they are.

    Raises:
        ConfigError: The folder cannot be written to, or the duration holds no row.
    """
    incident = Incident(
        duration_ms=options.duration,
        interval_ms=options.interval,
        fleet_size=options.fleet_size,
        seed=options.seed,
        start=options.start,
        calm=options.calm,
    )
    formats = ("csv", "parquet") if options.format == "both" else (options.format,)
    try:
        paths = write(incident, options.output_dir, formats, progress=Progress(sys.stderr))
    except OSError as error:
        raise ConfigError([f"--output-dir: {options.output_dir}: {error.strerror or error}"]) from None
    print(f"{incident.ticks * incident.fleet_size:,} rows of {incident.fleet_size:,} servers")  # noqa: T201  # a command
    for path in paths:
        print(path)  # noqa: T201  # a command's output
    return 0


def write(
    incident: Incident, folder: Path, formats: Iterable[str], *, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Write the incident and its metadata; return the paths.

    Args:
        incident: What to write.
        folder: Where; made when it is missing.
        formats: `csv`, `parquet` or both.
        progress: Called with the moments written so far and in all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, Callable[[Path], _Writer]] = {"csv": _CsvWriter, "parquet": _ParquetWriter}
    paths = [folder / f"{NAME}.{form}" for form in formats]
    with ExitStack() as stack:
        open_writers = [stack.enter_context(writers[path.suffix.removeprefix(".")](path)) for path in paths]
        for tick, rows in enumerate(incident, start=1):
            for writer in open_writers:
                writer.write(rows)
            if progress is not None:
                progress(tick, incident.ticks)
    explanation = folder / f"{NAME}.metadata.json"
    explanation.write_text(json.dumps(metadata(incident, paths), indent=2) + "\n", encoding="utf-8", newline="\n")
    return [*paths, explanation]


def metadata(incident: Incident, paths: Iterable[Path]) -> dict[str, Any]:
    """Explain a file: its phases, the affected servers, columns and units, and the arguments that made it."""
    return {
        "description": "Every server works at its profile's normal."
        if incident.calm
        else "An incident in four phases; it hits the first server of each profile, the others stay stable.",
        "files": [path.name for path in paths],
        "arguments": {
            "duration_seconds": incident.duration_ms / 1000,
            "interval_seconds": incident.interval_ms / 1000,
            "fleet_size": incident.fleet_size,
            "seed": incident.seed,
            "start": incident.time(0),
        },
        "rows": incident.ticks * incident.fleet_size,
        "phases": [
            {
                "name": phase.name,
                "begin_seconds": incident.phase_begin(phase) / 1000,
                "end_seconds": incident.duration_ms * phase.end // 1000 / 1000,
                "begin": incident.time(incident.phase_begin(phase)),
                "meaning": phase.meaning,
            }
            for phase in incident.phases
        ],
        "affected_servers": incident.affected,
        "profiles": {
            profile.name: {name: getattr(profile, name) for name in profile.__slots__ if name != "name"}
            for profile in PROFILES[: incident.fleet_size]
        },
        "columns": [{"name": column.name, "unit": column.unit, "meaning": column.meaning} for column in COLUMNS],
    }


class Progress:
    """A bar on a terminal, a line for every tenth elsewhere; silent for what takes less than a second."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._started = clock()
        self._terminal = stream.isatty()
        self._shown = 0

    def __call__(self, done: int, total: int) -> None:
        """Show how far it is."""
        elapsed = self._clock() - self._started
        percent = 100 * done // total
        if elapsed < _BAR_AFTER or percent == self._shown:
            return
        if self._terminal:
            filled = _BAR_WIDTH * done // total
            left = elapsed * (total - done) / done
            bar = "#" * filled + "-" * (_BAR_WIDTH - filled)
            end = "\n" if done == total else ""
            self._stream.write(f"\r[{bar}] {percent:3d} %  {left:5.0f} s left{end}")
        elif percent // 10 > self._shown // 10:
            self._stream.write(f"{percent - percent % 10:3d} % after {elapsed:.0f} s\n")
        self._shown = percent
        self._stream.flush()


class _Writer(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, rows: list[Row]) -> None: ...


class _Finished:
    """A file that appears under its name only when it is complete: a source may be waiting for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")

    def _settle(self, failed: bool) -> None:
        try:
            if not failed:
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)


class _CsvWriter(_Finished):
    def __enter__(self) -> Self:
        self._file = self._part.open("w", encoding="utf-8", newline="\n")
        self._file.write(",".join(column.name for column in COLUMNS) + "\n")
        return self

    def write(self, rows: list[Row]) -> None:
        self._file.write("".join([_csv_line(row) for row in rows]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._settle(failed=error is not None)


def _csv_line(row: Row) -> str:
    *values, affected, oom = row
    flags = ("true" if affected else "false", "true" if oom else "false")
    if row[_OFFLINE_AT] is None:
        return ",".join("" if value is None else str(value) for value in (*values, *flags)) + "\n"
    return _ROW_FORMAT % (*values, *flags)


class _ParquetWriter(_Finished):
    def __enter__(self) -> Self:
        import pyarrow as pa  # noqa: PLC0415  # needed for this format only
        from pyarrow import parquet  # noqa: PLC0415  # the same

        text, number, flag = pa.dictionary(pa.int32(), pa.string()), pa.float64(), pa.bool_()
        self._schema = pa.schema(
            [pa.field(column.name, text if column.decimals is None else number) for column in COLUMNS]
        )
        for name, kind in (
            ("timestamp", pa.timestamp("ms", tz="UTC")),
            ("problem_child", flag),
            ("container_oom", flag),
        ):
            self._schema = self._schema.set(self._schema.get_field_index(name), pa.field(name, kind))
        self._writer = parquet.ParquetWriter(self._part, self._schema, compression="zstd")
        self._rows: list[Row] = []
        return self

    def write(self, rows: list[Row]) -> None:
        self._rows.extend(rows)
        while len(self._rows) >= _ROW_GROUP:
            self._flush(self._rows[:_ROW_GROUP])
            del self._rows[:_ROW_GROUP]

    def _flush(self, rows: list[Row]) -> None:
        import pyarrow as pa  # noqa: PLC0415  # needed for this format only

        columns: list[list[Any]] = [list(values) for values in zip(*rows, strict=True)]
        columns[0] = [datetime.fromisoformat(text) for text in columns[0]]
        for index, decimals in _ROUND:
            # Exactly the number that the CSV file shows.
            columns[index] = [None if value is None else round(value, decimals) for value in columns[index]]
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._rows:
            self._flush(self._rows)
        self._writer.close()
        self._settle(failed=error is not None)


def _milliseconds(text: str) -> int:
    return round(duration(text) * 1000)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def _seed(text: str) -> int:
    if not 0 <= (number := int(text)) < _MAX_SEED:
        raise ValueError(text)
    return number


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
