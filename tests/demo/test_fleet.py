import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest
from pyarrow import parquet

from demo.cli import main
from demo.fleet import Progress
from demo.fleet_incident import COLUMNS, PHASES, PROFILES
from tests.support.fleet_files import incident, write_demo

# What seed 42 gives, on any machine and any version of Python. A change of the story changes it on purpose.
CSV_SHA256 = "b4262841ae4a41392f694625f4829863bac3a7d4068f2fa97c036f08b5e02949"
JSON_SHA256 = "7607b0d49d8d2ce98fb79dd0450db6229612d08f742b5bfa601827a4fa7ee6e9"
NUMBERS = [column.name for column in COLUMNS if column.decimals is not None]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def seconds(row: dict[str, str]) -> int:
    minute, second = row["timestamp"].removesuffix("Z").split(":")[1:]
    return int(minute) * 60 + int(second)


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_the_same_arguments_give_the_same_bytes_in_every_process(tmp_path: Path, hash_seed: str) -> None:
    command = [sys.executable, "-m", "demo", "fleet", "--output-dir", str(tmp_path), "--format", "csv"]
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"}
    done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "1,440 rows of 24 servers",
        str(tmp_path / "fleet.csv"),
        str(tmp_path / "fleet.metadata.json"),
    ]
    assert digest(tmp_path / "fleet.csv") == CSV_SHA256
    assert digest(tmp_path / "fleet.metadata.json") == JSON_SHA256


def test_another_seed_gives_other_values(tmp_path: Path) -> None:
    assert digest(write_demo(tmp_path / "a")) != digest(write_demo(tmp_path / "b", seed=43))


def test_parquet_holds_the_values_of_the_csv(tmp_path: Path) -> None:
    lines = rows(write_demo(tmp_path, "csv"))
    table = parquet.read_table(write_demo(tmp_path, "parquet")).to_pylist()
    assert len(table) == len(lines) == 720
    for line, row in zip(lines, table, strict=True):
        assert row["timestamp"].strftime("%Y-%m-%dT%H:%M:%SZ") == line["timestamp"]
        assert {name: row[name] for name in NUMBERS} == {
            name: float(line[name]) if line[name] else None for name in NUMBERS
        }
        assert [str(row[name]).lower() for name in ("problem_child", "container_oom")] == [
            line["problem_child"],
            line["container_oom"],
        ]
        for name in ("server_name", "profile", "state", "incident_phase"):
            assert row[name] == line[name]


def test_phases_last_as_long_as_required(tmp_path: Path) -> None:
    begins: dict[str, int] = {}
    for row in rows(write_demo(tmp_path)):
        begins.setdefault(row["incident_phase"], seconds(row))
    assert begins == {"stable": 0, "escalation": 90, "peak": 150, "recovery": 210}


def test_the_peak_hits_the_first_server_of_each_profile_only(tmp_path: Path) -> None:
    hit = [row for row in rows(write_demo(tmp_path, fleet_size=24)) if row["problem_child"] == "true"]
    assert {row["server_name"] for row in hit} == {f"{profile.name}-001" for profile in PROFILES}
    peak = [row for row in hit if row["incident_phase"] == "peak"]
    assert {row["state"] for row in peak} == {"critical_issue", "offline"}
    up = [row for row in peak if row["state"] != "offline"]
    assert all(80 <= float(row["cpu_pct"]) <= 90 for row in up)
    normal = {profile.name: profile.latency_ms for profile in PROFILES}
    assert all(float(row["latency_ms"]) > 5 * normal[row["profile"]] for row in up)


def test_the_others_stay_stable_throughout(tmp_path: Path) -> None:
    spared = [row for row in rows(write_demo(tmp_path, fleet_size=24)) if row["problem_child"] == "false"]
    normal = {profile.name: profile for profile in PROFILES}
    assert len(spared) == 18 * 60
    assert {row["state"] for row in spared} == {"online"}
    for row in spared:
        usual = normal[row["profile"]]
        assert abs(float(row["cpu_pct"]) - usual.cpu_pct) < 0.3 * usual.cpu_pct + 1.1
        assert float(row["latency_ms"]) < 1.6 * usual.latency_ms
        assert float(row["error_rate"]) < 0.01


def test_a_server_runs_out_of_memory_once_and_is_offline_without_values(tmp_path: Path) -> None:
    lines = rows(write_demo(tmp_path))
    (oom,) = (row for row in lines if row["container_oom"] == "true")
    assert (oom["server_name"], oom["mem_pct"], seconds(oom)) == ("worker-001", "100.00", 180)
    offline = [row for row in lines if row["state"] == "offline"]
    assert [(row["server_name"], seconds(row)) for row in offline] == [("worker-001", 185), ("worker-001", 190)]
    assert {row[name] for row in offline for name in NUMBERS} == {""}


def test_a_larger_fleet_does_not_change_the_servers_of_a_smaller_one(tmp_path: Path) -> None:
    small, large = rows(write_demo(tmp_path / "s", fleet_size=7)), rows(write_demo(tmp_path / "l", fleet_size=20))
    names = {row["server_name"] for row in small}
    assert [row for row in large if row["server_name"] in names] == small


def test_the_metadata_explain_the_file(tmp_path: Path) -> None:
    path = write_demo(tmp_path)
    metadata = json.loads((tmp_path / "fleet.metadata.json").read_text())
    assert [(phase["name"], phase["begin_seconds"], phase["end_seconds"]) for phase in metadata["phases"]] == [
        ("stable", 0, 90),
        ("escalation", 90, 150),
        ("peak", 150, 210),
        ("recovery", 210, 300),
    ]
    assert metadata["files"] == ["fleet.csv"]
    assert metadata["rows"] == len(rows(path))
    assert [column["name"] for column in metadata["columns"]] == path.read_text().split("\n", 1)[0].split(",")
    assert all(column["unit"] and column["meaning"] for column in metadata["columns"])
    assert metadata["affected_servers"] == [f"{profile.name}-001" for profile in PROFILES]


def test_a_day_of_ten_thousand_servers_begins_at_once() -> None:
    first = next(iter(incident(duration_ms=86_400_000, fleet_size=10_000)))
    assert len(first) == 10_000
    assert {row[12] for row in first} == {PHASES[0].name}


def test_times_with_fractions_are_written_with_milliseconds(tmp_path: Path) -> None:
    lines = rows(write_demo(tmp_path, duration_ms=1_000, interval_ms=250, fleet_size=1))
    assert [row["timestamp"][17:] for row in lines] == ["00.000Z", "00.250Z", "00.500Z", "00.750Z"]


def test_a_file_that_cannot_be_finished_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "fleet.parquet").mkdir()
    with pytest.raises(IsADirectoryError):
        write_demo(tmp_path, "parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.parquet"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--duration", "0s"), ("--duration", "soon"), ("--interval", "-1s"), ("--fleet-size", "0"), ("--seed", "-1")],
)
def test_an_option_that_makes_no_sense_is_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["fleet", "--output-dir", "x", f"{option}={value}"])
    assert stopped.value.code == 2
    assert option in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["fleet", "--output-dir", str(tmp_path / "file" / "x")]) == 1
    assert f"--output-dir: {tmp_path}/file/x: Not a directory" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "shown"),
    [
        (
            Terminal(),
            f"\r[{'#' * 15}{'-' * 15}]  50 %      2 s left\r[{'#' * 30}] 100 %      0 s left\n",
        ),
        (io.StringIO(), " 50 % after 2 s\n100 % after 4 s\n"),
    ],
)
def test_progress_is_shown_when_it_takes_longer_than_a_second(stream: TextIO, shown: str) -> None:
    times = iter([0.0, 0.5, 2.0, 4.0])
    progress = Progress(stream, clock=lambda: next(times))
    for done in (1, 5, 10):
        progress(done, 10)
    assert isinstance(stream, io.StringIO)
    assert stream.getvalue() == shown


def test_while_it_is_calm_every_server_stays_stable(tmp_path: Path) -> None:
    told = rows(write_demo(tmp_path, calm=True))
    assert {(row["state"], row["incident_phase"], row["problem_child"]) for row in told} == {
        ("online", "stable", "false")
    }
    explained = json.loads((tmp_path / "fleet.metadata.json").read_text(encoding="utf-8"))
    assert [(phase["name"], phase["end_seconds"]) for phase in explained["phases"]] == [("stable", 300.0)]
    assert explained["affected_servers"] == []
