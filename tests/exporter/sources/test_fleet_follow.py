import gzip
import json
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.sources.fleet import FleetSource
from tests.support.fleet_files import HEADER, START, follow, line, messages, outcomes, samples, write_csv, write_demo
from tests.support.serving import serving

CPU = 'fleet_server_cpu_utilization_ratio{profile="web",server="web-001"}'


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(f"{text}\n" for text in lines)


def shown(source: FleetSource) -> dict[str, float]:
    return samples(source.collect())


def position(metrics: dict[str, float]) -> float:
    (value,) = (value for series, value in metrics.items() if series.startswith("fleet_file_position"))
    return value - START


def parquet_part(path: Path, *seconds: int) -> Path:
    rows = [dict(zip(HEADER.split(","), line(second).split(","), strict=True)) for second in seconds]
    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_rows_that_are_appended_are_read_once(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0), line(5))
    source = follow(path)
    assert outcomes(shown(source)) == {"ok": 2}
    assert outcomes(shown(source)) == {"ok": 2}
    append(path, line(10, cpu_pct=77))
    metrics = shown(source)
    assert (outcomes(metrics), position(metrics), metrics[CPU]) == ({"ok": 3}, 10, 0.77)


def test_a_torn_last_line_waits_for_its_rest(tmp_path: Path) -> None:
    whole = line(5, cpu_pct=61)
    path = write_csv(tmp_path / "fleet.csv", line(0))
    source = follow(path)
    for part in (whole[:30], whole[30:50]):
        with path.open("a") as file:
            file.write(part)
        families = source.collect()
        assert (position(samples(families)), messages(families)) == (0, [])
    append(path, whole[50:])
    metrics = shown(source)
    assert (outcomes(metrics), metrics[CPU]) == ({"ok": 2}, 0.61)


def test_a_header_that_is_torn_waits_too(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_text(HEADER[:40])
    source = follow(path)
    assert outcomes(shown(source)) == {}
    append(path, HEADER[40:], line(0))
    assert outcomes(shown(source)) == {"ok": 1}


def test_an_empty_file_is_one_that_was_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.touch()
    source = follow(path)
    assert outcomes(shown(source)) == {}
    append(path, HEADER, line(0))
    assert outcomes(shown(source)) == {"ok": 1}


def test_rotation_by_rename_loses_no_row(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0))
    source = follow(path)
    shown(source)
    append(path, line(5))
    with path.open("a") as file:
        file.write(line(10)[:40])
        path.rename(tmp_path / "fleet.csv.1")
        # The writer still has the old file open.
        file.write(line(10)[40:])
    write_csv(path, line(15))
    metrics = shown(source)
    assert (outcomes(metrics), position(metrics)) == ({"ok": 4}, 15)


def test_rows_written_before_a_rename_count_even_when_nothing_follows_yet(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0))
    source = follow(path)
    shown(source)
    append(path, line(5))
    path.rename(tmp_path / "fleet.csv.1")
    with pytest.raises(SourceError, match=f"{path} cannot be read: No such file") as found:
        source.collect()
    assert found.value.reason is Reason.READ
    write_csv(path, line(10))
    assert outcomes(shown(source)) == {"ok": 3}


@pytest.mark.parametrize("rows", [[line(5)], [line(5 * second) for second in range(1, 20)]], ids=["shorter", "longer"])
def test_a_file_that_is_truncated_and_rewritten_is_read_from_its_beginning(tmp_path: Path, rows: list[str]) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0, latency_ms=12345))
    source = follow(path)
    shown(source)
    write_csv(path, *rows)
    assert outcomes(shown(source)) == {"ok": 1 + len(rows)}


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("rows", [2, 3, 5], ids=["shorter", "as long", "longer"])
@pytest.mark.parametrize("inode", ["kept", "new"])
def test_an_older_file_that_is_restored_is_shown(tmp_path: Path, form: str, rows: int, inode: str) -> None:
    def write(path: Path, *seconds: int) -> None:
        if form == "parquet":
            parquet_part(path, *seconds)
        else:
            text = "".join(f"{row}\n" for row in (HEADER, *map(line, seconds)))
            path.write_bytes(gzip.compress(text.encode(), mtime=0) if form == "csv.gz" else text.encode())

    path = tmp_path / f"fleet.{form}"
    write(path, 600, 605, 610)
    source = follow(path)
    assert position(shown(source)) == 610
    write(tmp_path / "older", *range(100, 100 + rows))
    if inode == "kept":
        path.write_bytes((tmp_path / "older").read_bytes())
    else:
        (tmp_path / "older").replace(path)
    for _ in range(2):
        metrics = shown(source)
    if inode == "kept" or form == "parquet":
        assert (outcomes(metrics), position(metrics)) == ({"ok": 3 + rows}, 99 + rows)
    else:
        # What takes the place of a log file goes on where that one ended.
        assert outcomes(metrics) == {"ok": 3, "out_of_order": rows}


def test_a_file_deleted_and_created_again_goes_on(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0))
    source = follow(path)
    shown(source)
    path.unlink()
    for _ in range(2):
        with pytest.raises(SourceError, match="No such file"):
            source.collect()
    write_csv(path, line(5))
    assert outcomes(shown(source)) == {"ok": 2}


def test_start_at_the_end_counts_only_what_comes(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0), line(5))
    with path.open("a") as file:
        file.write(line(10)[:20])
    source = follow(path, start="end")
    assert outcomes(shown(source)) == {}
    append(path, line(10)[20:], line(15, cpu_pct="?"))
    families = source.collect()
    assert outcomes(samples(families)) == {"ok": 1, "invalid_value": 1}
    assert messages(families) == ["fleet.csv, row 5: cpu_pct is '?', not a number"]


def test_a_file_that_appears_after_the_first_look_counts_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    source = follow(path, start="end")
    with pytest.raises(SourceError):
        source.collect()
    write_csv(path, line(0), line(5))
    assert outcomes(shown(source)) == {"ok": 2}


def test_a_gzip_file_grows_by_members(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{line(0)}\n".encode()))
    source = follow(path)
    assert outcomes(shown(source)) == {"ok": 1}
    member = gzip.compress(f"{line(5)}\n{line(10)}\n".encode())
    for part in (member[:25], member[25:]):
        with path.open("ab") as file:
            file.write(part)
        metrics = shown(source)
    assert outcomes(metrics) == {"ok": 3}


def test_a_gzip_part_that_is_replaced_is_read_from_its_beginning(tmp_path: Path) -> None:
    part = tmp_path / "1.csv.gz"
    part.write_bytes(gzip.compress(f"{HEADER}\n{line(0)}\n{line(5)}\n".encode()))
    source = follow(tmp_path)
    assert outcomes(shown(source)) == {"ok": 2}
    (tmp_path / "new").write_bytes(gzip.compress(f"{HEADER}\n{line(10)}\n{line(15)}\n".encode()))
    (tmp_path / "new").replace(part)
    assert outcomes(shown(source)) == {"ok": 4}


@pytest.mark.parametrize("restart", ["same file", "appended", "rotated", "rewritten in place"])
def test_a_position_file_outlasts_the_process(tmp_path: Path, restart: str) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0), line(5))
    saved = tmp_path / "position.json"
    assert outcomes(shown(follow(path, position_file=saved))) == {"ok": 2}
    expected: dict[str, float] = {}
    if restart == "appended":
        append(path, line(10))
        expected = {"ok": 1}
    elif restart == "rotated":
        path.rename(tmp_path / "fleet.csv.1")
        write_csv(path, line(10), line(15), line(20))
        expected = {"ok": 3}
    elif restart == "rewritten in place":
        write_csv(path, line(10, latency_ms=1), line(15, latency_ms=12345), line(20))
        expected = {"ok": 3}
    assert outcomes(shown(follow(path, position_file=saved, start="end"))) == expected


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 1, "path": 2, "parts": []}'])
def test_a_position_file_that_is_not_one_is_named_not_overwritten(tmp_path: Path, content: str) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0))
    saved = tmp_path / "position.json"
    saved.write_text(content.replace("2", json.dumps(str(path))))
    before = saved.read_text()
    source = follow(path, position_file=saved)
    with pytest.raises(SourceError, match=r"position\.json: not a position file"):
        source.collect()
    assert saved.read_text() == before


def test_a_position_file_of_another_file_is_replaced(tmp_path: Path) -> None:
    saved = tmp_path / "position.json"
    shown(follow(write_csv(tmp_path / "a.csv", line(0)), position_file=saved))
    assert outcomes(shown(follow(write_csv(tmp_path / "b.csv", line(0)), position_file=saved))) == {"ok": 1}


def test_reset_reads_everything_again(tmp_path: Path) -> None:
    source = follow(write_csv(tmp_path / "fleet.csv", line(0), line(5)))
    shown(source)
    source.reset()
    metrics = shown(source)
    assert (outcomes(metrics), position(metrics)) == ({"ok": 4}, 5)


def test_a_folder_is_read_part_by_part(tmp_path: Path) -> None:
    write_csv(tmp_path / "part-2.csv", line(10), line(15))
    parquet_part(tmp_path / "part-1.parquet", 0, 5)
    (tmp_path / "part-3.csv.gz").write_bytes(gzip.compress(f"{HEADER}\n{line(20)}\n".encode()))
    (tmp_path / "notes.txt").write_text("not a part")
    write_csv(tmp_path / ".part-4.csv.tmp", line(25))
    write_csv(tmp_path / "_part-4.csv", line(25))
    source = follow(tmp_path)
    metrics = shown(source)
    assert (outcomes(metrics), position(metrics)) == ({"ok": 5}, 20)
    append(tmp_path / "part-2.csv")
    parquet_part(tmp_path / "part-4.parquet", 25)
    metrics = shown(source)
    assert (outcomes(metrics), position(metrics)) == ({"ok": 6}, 25)
    assert f'fleet_file_info{{file="{tmp_path.name}",mode="follow",model="builtin"}}' in metrics


def test_the_torn_line_of_a_part_counts_when_the_next_part_begins(tmp_path: Path) -> None:
    part = write_csv(tmp_path / "1.csv", line(0))
    part.write_text(part.read_text() + line(5))
    source = follow(tmp_path)
    assert outcomes(shown(source)) == {"ok": 1}
    write_csv(tmp_path / "2.csv", line(10))
    assert outcomes(shown(source)) == {"ok": 3}
    assert outcomes(shown(source)) == {"ok": 3}


def test_parts_that_were_there_before_do_not_count_when_starting_at_the_end(tmp_path: Path) -> None:
    write_csv(tmp_path / "1.csv", line(0))
    parquet_part(tmp_path / "2.parquet", 5)
    source = follow(tmp_path, start="end")
    assert outcomes(shown(source)) == {}
    append(tmp_path / "1.csv", line(10))
    parquet_part(tmp_path / "3.parquet", 15)
    assert outcomes(shown(source)) == {"ok": 2}


def test_a_half_written_parquet_part_costs_no_other_and_counts_when_it_is_complete(tmp_path: Path) -> None:
    whole = parquet_part(tmp_path / "whole", 5).read_bytes()
    write_csv(tmp_path / "1.csv", line(0))
    (tmp_path / "2.parquet").write_bytes(whole[: len(whole) // 2])
    source = follow(tmp_path)
    for _ in range(2):
        families = source.collect()
        assert outcomes(samples(families)) == {"ok": 1}
        (message,) = messages(families)
        assert message.startswith("2.parquet: not a complete Parquet file: ")
        assert [problem.reason for problem in families.problems] == [Reason.READ]
    (tmp_path / "2.parquet").write_bytes(whole)
    families = source.collect()
    assert (outcomes(samples(families)), messages(families)) == ({"ok": 2}, [])


def test_a_part_without_a_column_costs_no_other(tmp_path: Path) -> None:
    write_csv(tmp_path / "1.csv", "a,b", header="timestamp,server_name")
    write_csv(tmp_path / "2.csv", line(5))
    families = follow(tmp_path).collect()
    assert outcomes(samples(families)) == {"ok": 1}
    assert messages(families)[0].startswith("1.csv: column profile, state, cpu_pct, ")


def test_a_parquet_file_rewritten_with_more_rows_counts_the_new_ones(tmp_path: Path) -> None:
    path = parquet_part(tmp_path / "fleet.parquet", 0, 5)
    source = follow(path)
    assert outcomes(shown(source)) == {"ok": 2}
    parquet_part(tmp_path / "new", 0, 5, 10).replace(path)
    assert outcomes(shown(source)) == {"ok": 3}


def test_a_folder_that_vanishes_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    part = write_csv(folder / "1.csv", line(0))
    source = follow(folder)
    shown(source)
    part.unlink()
    # A folder whose parts are taken away when they were read is in order.
    shown(source)
    folder.rmdir()
    with pytest.raises(SourceError, match=f"{folder} cannot be read: No such file"):
        source.collect()


@pytest.mark.parametrize("kind", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("deal", ["in turn", "at random", "backwards"])
def test_parts_that_are_new_together_are_read_in_the_order_of_time(tmp_path: Path, kind: str, deal: str) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    write_csv(folder / "5.csv", line(0))
    source = follow(folder)
    shown(source)
    count, seconds = 10, range(1, 241)
    draw = random.Random(deal)  # not a secret
    names = [f"{draw.randrange(1 << 30):x}{kind}" for _ in range(count)]
    shares: list[list[int]] = [[] for _ in names]
    for second in seconds:
        place = {"in turn": second % count, "at random": draw.randrange(count)}.get(deal, (240 - second) // 24)
        shares[place].append(second)
    for name, share in zip(sorted(names) if deal == "backwards" else names, shares, strict=True):
        if kind == ".parquet":
            parquet_part(folder / name, *share)
        else:
            text = "".join(f"{row}\n" for row in (HEADER, *map(line, share)))
            (folder / name).write_bytes(gzip.compress(text.encode()) if kind == ".csv.gz" else text.encode())
    metrics = shown(source)
    assert outcomes(metrics) == {"ok": 241}
    assert position(metrics) == 240


def test_many_rows_of_overlapping_parts_count_however_often_reading_is_broken_off(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    saved = tmp_path / "position.json"
    for number in range(60):
        write_csv(folder / f"{number * 7919 % 61}.csv", *(line(second) for second in range(number, 600, 60)))
    # Over before the folder is listed.
    source = follow(folder, timeout="1ms", position_file=saved)
    looks = 0
    while outcomes(shown(source)) != {"ok": 600}:
        looks += 1
        assert looks < 1_000
    assert looks > 1
    # A look that was broken off after its last row saves where it is with the next one that comes to its end.
    for _look in range(500):
        shown(source)
    assert outcomes(shown(follow(folder, position_file=saved))) == {}


def test_parts_that_grow_side_by_side_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    parts = [write_csv(tmp_path / f"{number}.csv", line(number)) for number in range(3)]
    source = follow(tmp_path)
    assert outcomes(shown(source)) == {"ok": 3}
    for second in range(3, 60):
        append(parts[second * 2 % 3], line(second))
    assert outcomes(shown(source)) == {"ok": 60}


def test_folders_of_partitions_are_read(tmp_path: Path) -> None:
    for day, hour, second in (("28", "01", 20), ("27", "23", 10), ("28", "00", 15)):
        folder = tmp_path / "year=2026" / f"date=2026-11-{day}" / f"hour={hour}"
        folder.mkdir(parents=True)
        write_csv(folder / "part.csv", line(second), line(second, cpu_pct="?"))
        write_csv(folder / "_temporary.csv", line(second + 1))
    (tmp_path / "_delta_log").mkdir()
    write_csv(tmp_path / "_delta_log" / "part.csv", line(50))
    (tmp_path / "year=2026" / "loop").symlink_to(tmp_path)
    families = follow(tmp_path).collect()
    assert outcomes(samples(families)) == {"ok": 3, "invalid_value": 3}
    assert messages(families) == [
        f"year=2026/date=2026-11-{when}/part.csv, row 3: cpu_pct is '?', not a number"
        for when in ("27/hour=23", "28/hour=00", "28/hour=01")
    ]


def test_what_is_passed_over_is_named_in_check_log_and_page(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    (folder / "a" / "b").mkdir(parents=True)
    write_csv(folder / "a" / "1.csv", line(0))
    (folder / "a" / "b" / "data.json").touch()
    (folder / "notes.txt").touch()
    os.mkfifo(folder / "2.csv")
    text = "parts: passed over 2.csv (not a regular file), a/b/data.json, notes.txt"
    source = follow(folder)
    assert source.check() == f"{folder}, mode follow: 1 servers; {text}"
    config = tmp_path / "ml-monitoring.yml"
    config.write_text(f"web: {{port: 0}}\nsources: {{fleet: {{path: {folder}, interval: 100ms}}}}\n")
    with serving(config) as exporter:
        samples = exporter.wait_for('ml_monitoring_source_up{source="fleet"}', 1)
        assert samples['ml_monitoring_source_errors_total{reason="read",source="fleet"}'] == 0
        assert text in exporter.wait_for_log("to be known")
        assert text in exporter.get("/").text


def test_folders_below_folders_end_somewhere(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*("x" for _ in range(12)))
    deep.mkdir(parents=True)
    write_csv(deep / "1.csv", line(0))
    write_csv(tmp_path / "1.csv", line(0))
    families = follow(tmp_path).collect()
    assert families.notes == [f"{tmp_path.name}: passed over x/x/x/x/x/x/x/x/x (below 8 folders)"]


@pytest.mark.parametrize("others", [(), ("readme.md", "part.json")])
def test_a_folder_without_a_part_is_down_until_one_comes(tmp_path: Path, others: tuple[str, ...]) -> None:
    for name in others:
        (tmp_path / name).touch()
    source = follow(tmp_path, start="end")
    with pytest.raises(SourceError) as error:
        source.collect()
    passed_over = "; passed over part.json, readme.md" if others else ""
    assert str(error.value) == f"{tmp_path} holds no file that ends in .csv, .csv.gz, .parquet{passed_over}"
    write_csv(tmp_path / "1.csv", line(0))
    assert outcomes(shown(source)) == {"ok": 1}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_is_behind_takes_several_refreshes(tmp_path: Path, form: str) -> None:
    source = follow(write_demo(tmp_path, form, duration_ms=500_000, interval_ms=1000, fleet_size=100), timeout="4ms")
    woken: list[bool] = []
    source.start(lambda: woken.append(True))
    counts: list[float] = []
    while not counts or len(woken) == len(counts):
        counts.append(outcomes(shown(source)).get("ok", 0))
        assert len(counts) < 1000
    assert counts[-1] == 50_000
    assert counts == sorted(counts)
    assert len(counts) > 1


def test_a_server_that_stopped_reporting_is_no_longer_shown(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0), line(0, "web-002"), line(60, "web-002"))
    source = follow(path)
    assert CPU in shown(source)
    append(path, line(61, "web-002"))
    assert CPU not in shown(source)


def test_a_clock_that_is_ahead_does_not_hide_the_others(tmp_path: Path) -> None:
    ahead = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 900))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    path = write_csv(tmp_path / "fleet.csv", line(timestamp=now), line(server="web-002", timestamp=ahead))
    families = follow(path).collect()
    assert outcomes(samples(families)) == {"ok": 1, "out_of_range": 1}
    assert messages(families)[0].startswith("fleet.csv, row 3: timestamp of 'web-002' is ")
    assert CPU in samples(families)


def test_the_cap_keeps_the_riskiest_servers(tmp_path: Path) -> None:
    rows = [line(0, f"web-{number:03d}") for number in range(20)]
    rows.append(line(0, "web-999", cpu_pct=99, latency_ms=9000))
    families = follow(write_csv(tmp_path / "fleet.csv", *rows), max_series=8).collect()
    assert 'fleet_server_risk_ratio{profile="web",server="web-999"}' in samples(families)
    assert {family.metric.name: family.dropped for family in families}["fleet_server_state"] == 21 * 4 - 8


def test_a_real_exporter_survives_what_happens_to_files(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fleet.csv", line(0))
    config = tmp_path / "ml-monitoring.yml"
    config.write_text(f"web: {{port: 0}}\nsources: {{fleet: {{path: {path}, interval: 100ms}}}}\n")
    ok, up = 'fleet_file_rows_total{file="fleet.csv",outcome="ok"}', 'ml_monitoring_source_up{source="fleet"}'
    with serving(config) as exporter:
        exporter.wait_for(ok, 1)
        path.unlink()
        exporter.wait_for(up, 0)
        assert "does it exist" in exporter.wait_for_log("source failed")
        write_csv(path, line(5), line(5))
        metrics: dict[str, Any] = exporter.wait_for(ok, 2)
        assert metrics[up] == 1
        assert metrics['fleet_file_rows_total{file="fleet.csv",outcome="duplicate"}'] == 1
        assert "a second row of 'web-001' for the same moment" in exporter.wait_for_log("left out")


def test_pyarrow_is_only_imported_when_it_is_needed(tmp_path: Path) -> None:
    import subprocess  # noqa: PLC0415  # used by this test only
    import sys  # noqa: PLC0415  # the same

    shutil.copy(write_demo(tmp_path / "demo"), tmp_path / "fleet.csv")
    code = (
        "import sys\n"
        "from exporter.config import Settings\n"
        "from exporter.sources.fleet import FleetSettings, FleetSource\n"
        f"FleetSource(FleetSettings(path={str(tmp_path / 'fleet.csv')!r})).collect()\n"
        "print([name for name in ('numpy', 'pandas', 'pyarrow') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
