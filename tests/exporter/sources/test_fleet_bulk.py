"""The fast way and the row parser say the same of the same file."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import compute as pc
from pyarrow import parquet

from ml_monitoring.exporter.errors import SourceError
from ml_monitoring.exporter.sources.fleet import bulk, csv
from tests.support.fleet_files import HEADER, Clock, follow, messages, replay, samples, write_demo


def collect(path: Path, **settings: Any) -> tuple[dict[str, float], list[str]]:
    families = follow(path, **settings).collect()
    return samples(families), messages(families)


def compare(path: Path, monkeypatch: pytest.MonkeyPatch, *, fast: bool = True, **settings: Any) -> dict[str, float]:
    """Read a file both ways and return what both show."""
    digests: list[bool] = []
    digest = bulk.digest

    def counting(*arguments: Any) -> Any:
        found = digest(*arguments)
        digests.append(found is not None)
        return found

    monkeypatch.setattr("ml_monitoring.exporter.sources.fleet.state.digest", counting)
    monkeypatch.setattr(csv, "BULK_FROM", 1)
    quick = collect(path, **settings)
    assert any(digests) is fast
    monkeypatch.setattr("ml_monitoring.exporter.sources.fleet.state.digest", lambda *_arguments: None)
    slow = collect(path, **settings)
    assert quick == slow
    return quick[0]


def columns(**changes: Callable[[Any], Any]) -> Callable[[Path], Path]:
    """Return a function that changes columns of a Parquet file."""

    def change(path: Path) -> Path:
        table = parquet.read_table(path)
        for name, cast in changes.items():
            table = table.set_column(table.schema.get_field_index(name), name, cast(table[name]))
        parquet.write_table(table, path)
        return path

    return change


def in_another_order(path: Path) -> Path:
    table = parquet.read_table(path)
    parquet.write_table(table.select(list(reversed(table.column_names))), path)
    return path


ALTERED = {
    "as written": lambda path: path,
    "columns in another order": in_another_order,
    "plain strings": columns(server_name=lambda column: column.cast(pa.string())),
    "large strings": columns(server_name=lambda column: column.cast(pa.large_string())),
    "nanoseconds": columns(timestamp=lambda column: column.cast(pa.timestamp("ns", "UTC"))),
    "another zone": columns(timestamp=lambda column: column.cast(pa.timestamp("us", "America/Lima"))),
    "without a zone": columns(timestamp=lambda column: column.cast(pa.timestamp("us"))),
    "single precision": columns(cpu_pct=lambda column: column.cast(pa.float32())),
    "flags as text": columns(container_oom=lambda column: column.cast(pa.string())),
}


@pytest.mark.parametrize("name", ALTERED)
def test_parquet_of_every_common_kind_takes_the_fast_way(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = compare(ALTERED[name](write_demo(tmp_path, "parquet")), monkeypatch)
    assert shown['fleet_file_rows_total{file="fleet.parquet",outcome="ok"}'] == 720
    assert shown['fleet_server_oom_events_total{profile="worker",server="worker-001"}'] == 1


ODD = {
    "text numbers": columns(cpu_pct=lambda column: column.cast(pa.string())),
    "text times": columns(timestamp=lambda column: pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ")),
}


@pytest.mark.parametrize("name", ODD)
def test_parquet_of_text_is_read_row_by_row(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = compare(ODD[name](write_demo(tmp_path, "parquet")), monkeypatch, fast=name == "text numbers")
    assert shown['fleet_file_rows_total{file="fleet.parquet",outcome="ok"}'] == 720


def test_the_demo_file_takes_the_fast_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(write_demo(tmp_path), monkeypatch)


def test_epoch_times_take_the_fast_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_demo(tmp_path)
    first, *lines = path.read_text().splitlines()
    stamped = [f"{1767225600123 + 5000 * (index // 12)},{line.split(',', 1)[1]}" for index, line in enumerate(lines)]
    path.write_text("\n".join([first, *stamped, ""]))
    compare(path, monkeypatch, columns={"timestamp": {"unit": "ms"}})


# What a file's cells may hold, good and bad.
CELLS = {
    "timestamp": [
        "",
        "2026-01-01T00:00:00",
        "2025-12-31T23:00:00Z",
        "2026-01-01T01:00:30+01:00",
        "2999-01-01T00:00:00Z",
        "x",
    ],
    "server_name": ["", " web-001 ", "web-\u00e9", '"q,""q"', "NA"],
    "profile": ["", "NULL", "x" * 201],
    "state": ["", "offline", "up", " online"],
    "cpu_pct": [
        "",
        "nan",
        "NaN",
        "-0",
        "250",
        "1e1",
        "0x10",
        "1_0",
        " 5",
        "+7",
        "inf",
        "100",
        "100.0000001",
        "NULL",
        "none",
    ],
    "latency_ms": ["", "-1", "1e400", "infinity", "1,5", "0", "-0.0"],
    "error_rate": ["1", "1.0000001", "-1e-9", "-nan"],
    "incident_phase": ["", "peak", "other"],
    "problem_child": ["", "True", "1", "0", "yes", "maybe"],
    "container_oom": ["", "TRUE", "1", "no", "2"],
}


@pytest.mark.parametrize("seed", range(60))
def test_both_ways_agree_on_files_with_anything_in_them(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    path = write_demo(tmp_path, duration_ms=60_000, fleet_size=6)
    names = HEADER.split(",")
    lines = path.read_text().splitlines()
    for _ in range(draw.choice([1, 1, 2, 5])):
        number = draw.randrange(1, len(lines))
        kind = draw.randrange(8)
        if kind == 0:
            lines[number] = lines[draw.randrange(1, len(lines))]
        elif kind == 1:
            lines[number] = lines[number][: draw.randrange(len(lines[number]) + 1)]
        elif kind == 2:
            lines.insert(number, "")
        else:
            name = draw.choice(list(CELLS))
            cells = lines[number].split(",")
            if len(cells) == len(names):
                cells[names.index(name)] = draw.choice(CELLS[name])
                lines[number] = ",".join(cells)
    path.write_text("\n".join(lines) + draw.choice(["", "\n"]))
    fast: list[bool] = []
    monkeypatch.setattr(csv, "BULK_FROM", 1)
    quick = collect(path)
    digest = bulk.digest
    monkeypatch.setattr(
        "ml_monitoring.exporter.sources.fleet.state.digest",
        lambda *arguments: fast.append(digest(*arguments) is not None),
    )
    assert quick == collect(path)


def test_the_fast_way_does_without_pandas(tmp_path: Path) -> None:
    paths = [str(write_demo(tmp_path, form, fleet_size=60)) for form in ("csv", "parquet")]
    code = (
        "import sys\n"
        "from exporter.sources.fleet import FleetSettings, FleetSource\n"
        f"for path in {paths!r}:\n"
        "    FleetSource(FleetSettings(path=path)).collect()\n"
        "print([name for name in ('pandas', 'pyarrow') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['pyarrow']\n"


@pytest.mark.parametrize("mode", ["follow", "replay"])
def test_without_pyarrow_csv_files_are_read_row_by_row(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_demo(tmp_path)
    clock = Clock()
    monkeypatch.setattr(csv, "BULK_FROM", 1)

    def read() -> dict[str, float]:
        source = follow(path) if mode == "follow" else replay(path, clock, at_end="hold")
        source.collect()
        clock.now += 1e6
        return samples(source.collect())

    expected = read()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert read() == expected


@pytest.mark.parametrize("mode", ["follow", "replay"])
def test_without_pyarrow_a_parquet_file_is_refused_with_what_to_install(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_demo(tmp_path, "parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match=r"^fleet\.parquet: Parquet needs pyarrow$") as found:
        (follow(path) if mode == "follow" else replay(path, Clock())).collect()
    assert found.value.hint == "pip install 'ml-monitoring[fleet]'"
