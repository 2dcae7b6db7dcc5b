"""Files as they should not be: good rows always count, and what is wrong is named with file and row."""

import gzip
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.sources.fleet import FleetSource
from tests.support.fleet_files import HEADER, START, Clock, follow, line, messages, outcomes, replay, samples, write_csv


def source(mode: str, path: Path) -> FleetSource:
    return follow(path) if mode == "follow" else replay(path, Clock(), speed=1000)


def read(mode: str, path: Path, tmp_path: Path) -> tuple[dict[str, float], list[str], dict[str, float]]:
    """Return the outcomes, messages and metrics after all of a file was read."""
    clock = Clock()
    opened = follow(path) if mode == "follow" else replay(path, clock, at_end="hold")
    families = opened.collect()
    reported = messages(families)
    for _ in range(40):
        clock.now += 1
        families = opened.collect()
        reported += messages(families)
    return outcomes(samples(families)), reported, samples(families)


class Bad(NamedTuple):
    """A row between two good ones, and what becomes of it."""

    rows: list[str]
    outcome: str
    message: str


BAD_ROWS = {
    "text in a number": Bad([line(1, cpu_pct="high")], "invalid_value", "row 3: cpu_pct is 'high', not a number"),
    "a number with an underscore": Bad(
        [line(1, cpu_pct="4_0")], "invalid_value", "row 3: cpu_pct is '4_0', not a number"
    ),
    "cpu 250": Bad([line(1, cpu_pct=250)], "out_of_range", "row 3: cpu_pct is '250', must be 0 to 100"),
    "memory below 0": Bad([line(1, mem_pct=-0.1)], "out_of_range", "row 3: mem_pct is '-0.1', must be 0 to 100"),
    "error rate -1": Bad([line(1, error_rate=-1)], "out_of_range", "row 3: error_rate is '-1', must be 0 to 1"),
    "negative latency": Bad([line(1, latency_ms=-5)], "out_of_range", "row 3: latency_ms is '-5', must be 0 or more"),
    "infinite latency": Bad(
        [line(1, latency_ms="inf")], "out_of_range", "row 3: latency_ms is 'inf', must be 0 or more"
    ),
    "unknown state": Bad(
        [line(1, state="fine")],
        "invalid_value",
        "row 3: state is 'fine', not one of critical_issue, offline, online, warning; say which of them it is: "
        "sources.fleet.states: {fine: ...}",
    ),
    "no server": Bad([line(1, " ")], "invalid_value", "row 3: server_name is empty"),
    "endless name": Bad([line(1, "x" * 201)], "invalid_value", "row 3: server_name is longer than 200 characters"),
    "flag of another kind": Bad(
        [line(1, problem_child="maybe")], "invalid_value", "row 3: problem_child is 'maybe', not true or false"
    ),
    "no time": Bad([line(1, timestamp="")], "invalid_value", "row 3: timestamp is '', not an ISO 8601 time"),
    "another day format": Bad(
        [line(1, timestamp="01/02/2026 00:00")],
        "invalid_value",
        "row 3: timestamp is '01/02/2026 00:00', not an ISO 8601 time; write it as 2026-11-30T18:00:00Z",
    ),
    "mixed time zones": Bad(
        [line(1, timestamp="2026-01-01T00:00:01")],
        "invalid_value",
        "row 3: timestamp is '2026-01-01T00:00:01', without the time zone that earlier rows give",
    ),
    "duplicate server in a tick": Bad([line(0)], "duplicate", "row 3: a second row of 'web-001' for the same moment"),
    "time going backwards": Bad(
        [line(0, timestamp="2025-12-31T23:59:50Z")], "out_of_order", "row 3: 'web-001' goes back in time by 10 s"
    ),
    "fields missing": Bad([line(1)[:60]], "incomplete", "row 3: 11 fields instead of 15"),
    "a field too many": Bad([line(1) + ",x"], "incomplete", "row 3: 16 fields instead of 15"),
    "a second header": Bad(
        [HEADER], "invalid_value", "row 3: holds the names of the columns again: leave such lines out"
    ),
    "an open quote": Bad(['"' + line(1)], "incomplete", "row 3: 1 fields instead of 15"),
    "semicolons": Bad(
        [line(1).replace(",", ";")],
        "incomplete",
        "row 3: 1 fields instead of 15: separated by semicolons, the header by commas",
    ),
    "tabs": Bad(
        [line(1).replace(",", "\t")],
        "incomplete",
        "row 3: 1 fields instead of 15: separated by tabs, the header by commas",
    ),
}


@pytest.mark.parametrize("mode", ["follow", "replay"])
@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_and_costs_no_other(name: str, mode: str, tmp_path: Path) -> None:
    bad = BAD_ROWS[name]
    path = write_csv(tmp_path / "fleet.csv", line(0), *bad.rows, line(2, cpu_pct=55))
    found, reported, metrics = read(mode, path, tmp_path)
    assert found == {"ok": 2, bad.outcome: 1}
    assert reported == [f"fleet.csv, {bad.message}"]
    assert metrics['fleet_server_cpu_utilization_ratio{profile="web",server="web-001"}'] == 0.55


def test_other_time_zones_are_converted(tmp_path: Path) -> None:
    zoned = line(1, timestamp="2026-01-01T05:30:01+05:30")
    found, reported, metrics = read("follow", write_csv(tmp_path / "fleet.csv", line(0), zoned), tmp_path)
    assert (found, reported) == ({"ok": 2}, [])
    assert metrics['fleet_file_position_timestamp_seconds{file="fleet.csv"}'] == START + 1


def test_bytes_that_are_not_utf_8_spoil_their_row_only(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0), line(1, "web-é"), line(2))
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xe9"))
    found, reported, _metrics = read("follow", path, tmp_path)
    assert found == {"ok": 2, "invalid_value": 1}
    assert reported == ["fleet.csv, row 3: server_name is 'web-\ufffd', not UTF-8 text"]


# What stands between a file's good rows, and how many rows it costs.
DAMAGE = {
    "NUL bytes": (bytes(100) + b"\n", 1),
    "NUL bytes in front of a row": (bytes(100) + line(4).encode() + b"\n", 1),
    "bytes of another encoding": (line(4, "web-é").encode("latin-1") + b"\n", 1),
    "a byte order mark": (b"\xef\xbb\xbf" + line(4).encode() + b"\n", 1),
    "UTF-16": (line(4).encode("utf-16") + b"\n", 1),
    "a line of 3 MiB": (b"x" * (3 << 20) + b"\n", 1),
    "a row with a cell of 3 MiB": (line(4, "x" * (3 << 20)).encode() + b"\n", 1),
    "an open quote": (b'"' + line(4).encode() + b"\n" + line(5).encode() + b"\n", 1),
    "a torn row": (line(4).encode()[:70] + b"\n", 1),
    "a torn row and another header": (line(4).encode()[:70] + HEADER.encode() + b"\n", 1),
    "empty lines": (b"\r\n\n\r\n", 0),
}


@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
@pytest.mark.parametrize("name", DAMAGE)
def test_damage_costs_its_own_row_and_no_other(name: str, many: bool, tmp_path: Path) -> None:
    damage, cost = DAMAGE[name]
    # Many rows are read another way.
    before = [line(second, f"s{number}") for second in range(4) for number in range(700 if many else 1)] + [line(3)]
    after = [line(10, f"s{number}") for number in range(700 if many else 1)] + [line(10)]
    path = write_csv(tmp_path / "fleet.csv", *before)
    with path.open("ab") as file:
        file.write(damage)
        file.write("".join(f"{text}\n" for text in after).encode())
    opened = follow(path)
    found = outcomes(samples(opened.collect()))
    good = found.pop("ok")
    assert sum(found.values()) == cost
    # An open quote may stand in front of a row that is good.
    assert good == len(before) + len(after) + (name == "an open quote")
    assert not opened._feed._reader.rewritten()  # type: ignore[union-attr]  # a CSV file is kept open


@pytest.mark.parametrize("mode", ["follow", "replay"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "BOM"])
def test_any_line_end_will_do(mode: str, end: str, mark: str, tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    text = mark + end.join([HEADER, line(0), line(1), line(2), ""])
    path.write_bytes(text.encode())
    found, reported, _metrics = read(mode, path, tmp_path)
    assert (found, reported) == ({"ok": 3}, [])


def test_a_line_that_is_too_long_is_passed_over_while_it_grows(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0))
    saved = tmp_path / "position.json"
    opened = follow(path, position_file=saved)
    for _ in range(4):
        with path.open("ab") as file:
            file.write(b"x" * (700 << 10))
        families = opened.collect()
    with path.open("a") as file:
        file.write(f"\n{line(5)}\n{line(6, cpu_pct='?')}\n")
    families = opened.collect()
    assert outcomes(samples(families)) == {"ok": 2, "incomplete": 1, "invalid_value": 1}
    assert messages(families) == ["fleet.csv, row 5: cpu_pct is '?', not a number"]
    assert outcomes(samples(follow(path, position_file=saved).collect())) == {}


def test_a_quote_that_opens_in_one_row_and_closes_in_another_joins_none(tmp_path: Path) -> None:
    rows = [f"{line(second, f's{number}')},fine" for second in range(20) for number in range(200)]
    rows[1000] = rows[1000].replace("fine", '"open')
    rows[1001] = rows[1001].replace("fine", 'closed"')
    path = write_csv(tmp_path / "fleet.csv", *rows, header=f"{HEADER},remark")
    assert outcomes(samples(follow(path).collect())) == {"ok": 4000}


def test_strange_names_are_labels_like_any_other(tmp_path: Path) -> None:
    name = 'a "b" \\ 服务器 🚀'
    quoted = '"' + name.replace('"', '""') + '"'
    found, reported, metrics = read("follow", write_csv(tmp_path / "fleet.csv", line(0, quoted)), tmp_path)
    assert (found, reported) == ({"ok": 1}, [])
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    assert f'fleet_server_risk_ratio{{profile="web",server="{escaped}"}}' in metrics


@pytest.mark.parametrize("cell", ["", "NaN", "null", " ", "NA"])
def test_a_missing_value_is_no_sample_and_no_fault(cell: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0, cpu_pct=cell, gc_pause_ms=cell))
    found, reported, metrics = read("follow", path, tmp_path)
    assert (found, reported) == ({"ok": 1}, [])
    shown = {series.split("{")[0] for series in metrics}
    assert "fleet_server_memory_utilization_ratio" in shown
    assert not shown & {"fleet_server_cpu_utilization_ratio", "fleet_server_gc_pause_seconds"}


def test_a_fleet_without_any_measurement_has_neither_risk_nor_probability(tmp_path: Path) -> None:
    network = ("net_in_mb_s", "net_out_mb_s")
    nothing = dict.fromkeys(("cpu_pct", "mem_pct", "latency_ms", "error_rate", *network, "gc_pause_ms"), "")
    _found, _told, metrics = read("follow", write_csv(tmp_path / "fleet.csv", line(0, **nothing)), tmp_path)
    assert not [series for series in metrics if series.startswith("fleet_server_risk_ratio")]
    assert "fleet_incident_probability_ratio" not in metrics


PARQUET_CELLS = {
    "far future": ("timestamp", pa.array([2**62], pa.timestamp("us", "UTC")), "invalid_value"),
    "a bare number as time": ("timestamp", pa.array([5], pa.int64()), "invalid_value"),
    "a date as time": ("timestamp", pa.array([1], pa.date32()), "invalid_value"),
    "no time": ("timestamp", pa.array([None], pa.timestamp("us", "UTC")), "invalid_value"),
    "a list as number": ("cpu_pct", pa.array([[1.0]]), "invalid_value"),
    "a flag as number": ("cpu_pct", pa.array([True]), "invalid_value"),
    "a decimal": ("cpu_pct", pa.array([Decimal("41.5")]), "ok"),
    "NaN": ("cpu_pct", pa.array([math.nan]), "ok"),
    "infinity": ("latency_ms", pa.array([math.inf]), "out_of_range"),
    "an empty name": ("server_name", pa.array([""]), "invalid_value"),
    "no name": ("server_name", pa.array([None], pa.string()), "invalid_value"),
    "a number as name": ("server_name", pa.array([17]), "ok"),
    "bytes as name": ("server_name", pa.array([b"web-001"]), "ok"),
    "an empty table": ("server_name", pa.array([], pa.string()), ""),
}


@pytest.mark.parametrize("name", PARQUET_CELLS)
def test_strange_parquet_columns_are_judged_row_by_row(name: str, tmp_path: Path) -> None:
    column, values, outcome = PARQUET_CELLS[name]
    row = dict(zip(HEADER.split(","), line(0).split(","), strict=True))
    table = pa.table({key: values if key == column else [cell] * len(values) for key, cell in row.items()})
    path = tmp_path / "fleet.parquet"
    parquet.write_table(table, path)
    shown = samples(follow(path).collect())
    assert outcomes(shown) == ({outcome: 1} if outcome else {})
    names = {
        series.split('server="')[1].removesuffix('"}') for series in shown if series.startswith("fleet_server_risk")
    }
    assert names <= {"web-001", "17"}


@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "dictionary"])
def test_text_of_parquet_that_is_not_utf8_costs_its_rows_only(tmp_path: Path, encoded: bool) -> None:
    cells = [dict(zip(HEADER.split(","), line(second).split(","), strict=True)) for second in range(3)]
    table = pa.Table.from_pylist(cells)
    names = pa.array([b"a\x80", b"ok", b"\xff"]).view(pa.string())
    place = table.column_names.index("server_name")
    table = table.set_column(place, "server_name", names.dictionary_encode() if encoded else names)
    path = tmp_path / "fleet.parquet"
    parquet.write_table(table, path)
    families = follow(path).collect()
    assert messages(families) == [
        "fleet.parquet, row 1: server_name is 'a\ufffd', not UTF-8 text",
        "fleet.parquet, row 3: server_name is '\ufffd', not UTF-8 text",
    ]
    assert outcomes(samples(families)) == {"ok": 1, "invalid_value": 2}


def test_a_header_that_cannot_be_split_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_bytes(b"timestamp,\rserver_name\n")
    with pytest.raises(SourceError, match=r"^fleet\.csv: the first line holds no names of columns$"):
        follow(path).collect()


def test_many_bad_rows_are_counted_and_a_few_are_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0), *(line(second, cpu_pct=999) for second in range(1, 1001)))
    found, reported, _metrics = read("follow", path, tmp_path)
    assert found == {"ok": 1, "out_of_range": 1000}
    assert reported == [
        *(f"fleet.csv, row {row}: cpu_pct is '999', must be 0 to 100" for row in range(3, 8)),
        "and 995 more rows that cannot be used",
    ]


def write(content: bytes) -> object:
    def make(path: Path) -> None:
        path.write_bytes(content)

    return make


WITHOUT_CPU = HEADER.replace("cpu_pct,", "").encode()
BAD_FILES = {
    "missing column": (
        write(WITHOUT_CPU + b"\n1\n"),
        Reason.SCHEMA,
        "{path.name}: column cpu_pct missing; found timestamp, ",
    ),
    "a column twice": (
        write(HEADER.encode() + b",state\n"),
        Reason.SCHEMA,
        "{path.name}: column state is there more than once",
    ),
    "no header": (
        write(line(0).encode() + b"\n"),
        Reason.SCHEMA,
        "{path.name}: column timestamp, server_name, profile",
    ),
    "UTF-16": (write(HEADER.encode("utf-16")), Reason.SCHEMA, "{path.name}: is UTF-16"),
    "binary": (write(bytes(range(256)) * 40), Reason.SCHEMA, "{path.name}: is not a text file, nor Parquet"),
    "one endless line": (
        write(b"x" * (3 << 20)),
        Reason.SCHEMA,
        "{path.name}: no line ends within 1 MiB; is this a text file?",
    ),
    "half-written Parquet": (write(b"PAR1" + b"\1" * 500), Reason.READ, "{path.name}: not a complete Parquet file: "),
    "damaged gzip": (write(gzip.compress(b"x" * 5000)[:12] + b"\xff" * 50), Reason.READ, "{path.name}: damaged gzip: "),
    "FIFO": (os.mkfifo, Reason.READ, "{path} is a FIFO, not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), Reason.READ, "{path} is a device, not a regular file"),
    "not there": (lambda path: None, Reason.READ, "{path} cannot be read: No such file or directory"),
    "a link to itself": (
        lambda path: path.symlink_to(path),
        Reason.READ,
        "{path} cannot be read: Too many levels of symbolic links",
    ),
}


@pytest.mark.parametrize("mode", ["follow", "replay"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_used_is_refused_and_then_recovers(name: str, mode: str, tmp_path: Path) -> None:
    make, reason, message = BAD_FILES[name]
    path = tmp_path / "fleet.csv"
    make(path)  # type: ignore[operator]  # a table of functions of several kinds
    opened = source(mode, path)
    for _ in range(2):
        with pytest.raises(SourceError) as found:
            opened.collect()
        assert str(found.value).startswith(message.format(path=path))
        assert found.value.reason is reason
    path.unlink(missing_ok=True)
    write_csv(path, line(0))
    assert outcomes(samples(opened.collect())) == {"ok": 1}


def test_rows_before_the_damage_count_once(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    good = gzip.compress(f"{HEADER}\n{line(0)}\n{line(1)}\n".encode())
    # A second member with a block of a type that does not exist.
    path.write_bytes(good + good[:10] + b"\xff" * 50)
    opened = follow(path)
    for _ in range(3):
        with pytest.raises(SourceError, match="damaged gzip"):
            opened.collect()
    path.unlink()
    write_csv(path, line(2))
    assert outcomes(samples(opened.collect())) == {"ok": 3}


def test_a_directory_cannot_be_replayed(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as found:
        replay(tmp_path, Clock()).collect()
    assert str(found.value) == f"{tmp_path} is a directory, not a regular file"
    assert found.value.hint == "use mode: follow for a folder of parts"


@pytest.mark.parametrize("content", [b"", HEADER.encode(), HEADER.encode() + b"\n"])
def test_an_empty_file_cannot_be_replayed(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"^fleet\.csv: holds no row that can be used$"):
        replay(path, Clock()).collect()


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is unreadable for root")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0))
    path.chmod(0)
    with pytest.raises(SourceError, match="Permission denied"):
        follow(path).collect()


def test_a_torn_last_row_of_a_finished_file_is_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0))
    path.write_text(path.read_text() + line(1)[:50])
    found, reported, _metrics = read("replay", path, tmp_path)
    assert found == {"ok": 1, "incomplete": 1}
    assert reported == ["fleet.csv, row 3: 8 fields instead of 15"]


def test_reading_can_be_broken_off_and_goes_on_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_csv(tmp_path / "fleet.csv", *(line(second % 3600, f"w-{second // 3600}") for second in range(60_000)))
    opened = follow(path, timeout="10m")
    advance = opened._feed.advance

    def advance_and_be_aborted(go_on: Callable[[], bool]) -> bool:
        asked = []

        def go_on_until_aborted() -> bool:
            asked.append(True)
            if len(asked) == 3:
                opened.abort()
            return go_on()

        return advance(go_on_until_aborted)

    monkeypatch.setattr(opened._feed, "advance", advance_and_be_aborted)
    assert 0 < outcomes(samples(opened.collect()))["ok"] < 60_000
    monkeypatch.undo()
    assert outcomes(samples(opened.collect())) == {"ok": 60_000}


def _local_rows(zone: str, start: str, minutes: int, count: int, servers: int = 1) -> list[str]:
    """Return rows as a clock on a wall writes them."""
    begin = datetime.fromisoformat(start).timestamp()
    return [
        line(0, f"web-{server}", timestamp=f"{moment:%Y-%m-%d %H:%M:%S}")
        for step in range(count)
        for server in range(servers)
        if (moment := datetime.fromtimestamp(begin + 60 * minutes * step, ZoneInfo(zone)))
    ]


@pytest.mark.parametrize("minutes", [1, 5, 30, 60])
@pytest.mark.parametrize("servers", [1, 3])
@pytest.mark.parametrize("mode", ["follow", "replay"])
@pytest.mark.parametrize(
    ("zone", "start"), [("Europe/Berlin", "2025-10-25T20:00:00Z"), ("Australia/Lord_Howe", "2026-04-04T12:00:00Z")]
)
def test_all_rows_of_an_hour_that_comes_twice_count(
    zone: str, start: str, minutes: int, servers: int, mode: str, tmp_path: Path
) -> None:
    rows = _local_rows(zone, start, minutes, 600 // minutes, servers)
    path = write_csv(tmp_path / "fleet.csv", *rows)
    clock = Clock()
    end = datetime.fromisoformat(start).timestamp() + 60 * minutes * (600 // minutes - 1)
    if mode == "follow":
        opened = follow(path, timezone=zone, server_timeout="1d")
    else:
        opened = replay(path, clock, timezone=zone, at_end="hold", speed=1000)
    for _ in range(3):
        shown = samples(opened.collect())
        clock.now += 60
    assert outcomes(shown) == {"ok": len(rows)}
    assert shown['fleet_file_position_timestamp_seconds{file="fleet.csv"}'] == end


def test_the_second_hour_may_begin_in_the_next_part(tmp_path: Path) -> None:
    rows = _local_rows("Europe/Berlin", "2025-10-25T23:00:00Z", 5, 36)
    for number, part in enumerate((rows[:24], rows[24:])):
        write_csv(tmp_path / f"{number}.csv", *part)
    assert outcomes(samples(follow(tmp_path, timezone="Europe/Berlin").collect())) == {"ok": 36}


def test_a_row_that_comes_late_is_not_taken_for_one_of_the_second_hour(tmp_path: Path) -> None:
    rows = _local_rows("Europe/Berlin", "2025-10-26T00:00:00Z", 1, 5)
    path = write_csv(tmp_path / "fleet.csv", rows[0], rows[2], rows[1], rows[2], rows[3])
    found = outcomes(samples(follow(path, timezone="Europe/Berlin").collect()))
    assert found == {"ok": 3, "out_of_order": 1, "duplicate": 1}


def test_a_time_that_clocks_pass_over_is_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(timestamp="2026-03-29 02:30:00"), line(timestamp="2026-03-29 03:00"))
    families = follow(path, timezone="Europe/Berlin").collect()
    assert outcomes(samples(families)) == {"ok": 1, "invalid_value": 1}
    assert messages(families) == [
        "fleet.csv, row 2: timestamp is '2026-03-29 02:30:00', a time that Europe/Berlin passes over"
    ]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_many_local_times_are_read_in_their_zone(form: str, tmp_path: Path) -> None:
    rows = [
        {**dict(zip(HEADER.split(","), line(0, f"s{number}").split(","), strict=True)), "timestamp": moment}
        for moment in (datetime(2026, 1, 1, 1, second) for second in range(20))  # noqa: DTZ001  # without a zone
        for number in range(200)
    ]
    path = tmp_path / f"fleet.{form}"
    table = pa.Table.from_pylist(rows)
    parquet.write_table(table, path) if form == "parquet" else csv.write_csv(table, path)
    shown = samples(follow(path, timezone="Europe/Berlin").collect())
    assert outcomes(shown) == {"ok": 4000}
    position = shown[f'fleet_file_position_timestamp_seconds{{file="{path.name}"}}']
    assert position == datetime(2026, 1, 1, 0, 19, tzinfo=UTC).timestamp()


def test_more_servers_than_may_be_shown_take_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_monitoring.exporter.sources.fleet.source._LEAST_SERVERS", 100)
    # Many rows are read another way; the second 5,000 servers report when the first are gone.
    rows = [line(second, f"s{second}-{number}") for second in (0, 300) for number in range(5000)]
    rows += [line(300, f"s300-{number}") for number in range(50)]
    source = follow(write_csv(tmp_path / "fleet.csv", *rows), max_series=400)
    families = source.collect()
    assert {family.metric.name: family.dropped for family in families if family.dropped} == {
        "fleet_server_risk_ratio": 2 * 4900
    }
    assert outcomes(samples(families)) == {"ok": 200, "over_limit": 9800, "duplicate": 50}
    assert len(source._state._latest) == 100
    assert source._state._latest.keys() == {f"s300-{number}" for number in range(100)}
    assert messages(families)[0].startswith("fleet.csv, row 10002: a second row of 's300-0")


def test_a_column_that_names_endless_phases_or_profiles_is_bounded(tmp_path: Path) -> None:
    rows = [line(number % 60, f"s{number}", incident_phase=f"p{number}", profile=f"q{number}") for number in range(500)]
    families = follow(write_csv(tmp_path / "fleet.csv", *rows)).collect()
    assert families["fleet_incident_phase"].dropped == 400
    assert len(families["fleet_incident_phase"].samples) <= 105
