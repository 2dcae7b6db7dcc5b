"""What a fleet file holds and cannot be used is said with the setting that reads it."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ml_monitoring.exporter.config import load, read_all
from ml_monitoring.exporter.errors import SourceError
from ml_monitoring.exporter.sources.fleet import FleetSource
from ml_monitoring.exporter.sources.fleet.columns import REQUIRED
from ml_monitoring.exporter.sources.fleet.source import FleetSettings, RiskSettings

_ROW = dict(
    zip(REQUIRED, ["2026-01-01T00:00:00Z", "a", "web", "online", "1", "50", "100", "0.01", *"1111"], strict=True)
)


def _refused(tmp_path: Path, header: str, row: Mapping[str, str], settings: str = "") -> SourceError:
    (tmp_path / "fleet.csv").write_text(f"{header}{';'.join(row.values())}\n", encoding="utf-8")
    path = tmp_path / "ml-monitoring.yml"
    path.write_text(f"sources: {{fleet: {{path: {tmp_path}/fleet.csv{settings}}}}}", encoding="utf-8")
    section: Any = load(path, {}).sources
    with pytest.raises(SourceError) as caught:
        FleetSource(section.fleet).check()
    return caught.value


@pytest.mark.parametrize(
    ("name", "cell", "settings", "said"),
    [
        ("cpu_pct", "12,5", "", """not a number; sources.fleet.decimal: "," reads it"""),
        ("cpu_pct", "85%", "", "not a number; write numbers without % behind them"),
        (
            "error_rate",
            "85 %",
            "",
            "not a number; write numbers without % behind them, and their unit as "
            "sources.fleet.columns.error_rate.unit: percent",
        ),
        (
            "latency_ms",
            "1.2s",
            "",
            "not a number; write numbers without s behind them, and their unit as "
            "sources.fleet.columns.latency_ms.unit: s",
        ),
        (
            "error_rate",
            "85",
            "",
            "must be 0 to 1; if it is percent, give sources.fleet.columns.error_rate.unit: percent",
        ),
        ("error_rate", "850", "", "must be 0 to 1"),
        ("latency_ms", "1,234.5", "", "not a number; write numbers without ',' between thousands"),
        ("latency_ms", "1'234'567", "", """not a number; write numbers without "'" between thousands"""),
        *(
            ("cpu_pct", word, "", "not a number; leave the cell empty, or write NULL or NaN, where there is no value")
            for word in ("N/A", "-", "#N/A")
        ),
        *(
            ("timestamp", time, "", "not an ISO 8601 time; write it as 2026-11-30T18:00:00Z")
            for time in ("30.11.2026", "11/30/2026 18:00", "yesterday")
        ),
        (
            "timestamp",
            "46356.75",
            "",
            "not an ISO 8601 time (a spreadsheet's number of days); write it as 2026-11-30T18:00:00Z",
        ),
        *(
            (
                "timestamp",
                f"1767225600{digits}",
                "",
                f"not an ISO 8601 time; sources.fleet.columns.timestamp.unit: {unit} reads it",
            )
            for unit, digits in (("s", ""), ("s", ".5"), ("ms", "000"), ("us", "000000"), ("ns", "000000000"))
        ),
        (
            "timestamp",
            "2026-01-01 08:00",
            ", columns: {timestamp: {unit: s}}",
            "not a number; sources.fleet.columns.timestamp.unit: iso reads it",
        ),
        (
            "state",
            "Online",
            "",
            "not one of critical_issue, offline, online, warning; say which of them it is: sources.fleet.states: "
            "{Online: online}",
        ),
    ],
)
def test_a_cell_is_named_with_the_setting_that_reads_it(
    name: str, cell: str, settings: str, said: str, tmp_path: Path
) -> None:
    refused = _refused(tmp_path, ";".join(REQUIRED) + "\n", {**_ROW, name: cell}, settings)
    assert str(refused).endswith(f"first fleet.csv, row 2: {name} is {cell!r}, {said}")


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("", "the first line looks like a row: put one with the names of the columns before it"),
        (
            ";".join(REQUIRED).replace("cpu_pct", "cpu") + "\n",
            "map other names with sources.fleet.columns, such as `cpu_pct: cpu`; `name: null` says that there is no "
            "such column",
        ),
        (
            ";".join(REQUIRED).replace("cpu_pct", "CPU_PCT").replace("profile", "Profile") + "\n",
            "map other names with sources.fleet.columns, such as `profile: Profile, cpu_pct: CPU_PCT`; `name: null` "
            "says that there is no such column",
        ),
        (
            f"Servers of November;;\n{';'.join(REQUIRED)}\n",
            "the names of the columns stand in line 2: take out what is above it",
        ),
        (
            f"{';'.join(REQUIRED)};cpu_pct\n",
            "take one of them out, or name another one with sources.fleet.columns.cpu_pct",
        ),
    ],
)
def test_a_first_line_is_said_to_be_a_row_or_to_have_another_name(header: str, hint: str, tmp_path: Path) -> None:
    assert _refused(tmp_path, header, _ROW).hint == hint


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("columns: {cpu: cpu_pct}", "columns: cpu: no such column; our name stands first: `cpu_pct: cpu`"),
        (
            "states: {online: up}",
            "states: up: not one of critical_issue, offline, online, warning; the file's word stands first: "
            "`up: online`",
        ),
        ("cpu_pct: cpu", "cpu_pct: unknown key; it belongs below sources.fleet.columns"),
        ("file: fleet.csv", "file: unknown key; did you mean path?"),
    ],
)
def test_settings_the_wrong_way_round_or_elsewhere_are_named(settings: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "ml-monitoring.yml"
    path.write_text(f"sources: {{fleet: {{path: x, {settings}}}}}", encoding="utf-8")
    assert [problem.partition("sources.fleet.")[2] for problem in read_all(path, {}).problems][:1] == [said]


def test_names_of_columns_in_the_middle_are_said_to_be_there_again(tmp_path: Path) -> None:
    header = ";".join(REQUIRED) + "\n"
    refused = _refused(tmp_path, header, {"all": header.strip()})
    assert str(refused).endswith("row 2: holds the names of the columns again: leave such lines out")


@pytest.mark.parametrize(
    ("time", "settings", "said"),
    [
        (lambda: f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}", "", "UTC: sources.fleet.timezone says"),
        (lambda: f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}", "", "s too far ahead"),
        *(
            (
                lambda digits=digits: f"{datetime.now(UTC).timestamp():.0f}{digits}",
                ", columns: {timestamp: {unit: s}}",
                f"too far ahead; sources.fleet.columns.timestamp.unit: {unit} reads it",
            )
            for unit, digits in (("ms", "000"), ("us", "000000"), ("ns", "000000000"))
        ),
    ],
)
def test_a_time_of_the_future_is_named_with_zone_or_unit(
    time: Callable[[], str], settings: str, said: str, tmp_path: Path
) -> None:
    refused = _refused(tmp_path, ";".join(REQUIRED) + "\n", {**_ROW, "timestamp": time()}, settings)
    assert said in str(refused)
    assert ("timezone" in str(refused)) is ("timezone" in said)


def _workbook() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "said", "hint"),
    [
        (b'{"timestamp": 1}\n', "is JSON", "CSV or Parquet is read"),
        (b'[\n  {"timestamp": 1}]\n', "is JSON", "CSV or Parquet is read"),
        (gzip.compress(b'{"timestamp": 1}\n', mtime=0), "is JSON", "CSV or Parquet is read"),
        (_workbook(), "is an Excel file", "save it as CSV"),
        (b"\xd0\xcf\x11\xe0 more", "is a file of an old Excel or another Office program", "save it as CSV"),
        (b"<!DOCTYPE html>\n", "is HTML or XML", "CSV or Parquet is read"),
        (b"\x28\xb5\x2f\xfd\0", "is packed with zstd", "unpack it, or pack it with gzip"),
    ],
)
def test_a_file_of_another_form_is_called_what_it_is(content: bytes, said: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        FleetSource(FleetSettings(path=path)).check()
    assert (str(caught.value), caught.value.hint) == (f"fleet.csv: {said}", hint)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("~/fleet.csv", "~ is not expanded: write the whole path"),
        ("/nowhere/*.csv", "it takes one file, no pattern; a folder stands for all in it"),
        ("https://host/fleet.csv", "an address is not fetched: write the path of a file"),
        ("s3://bucket/fleet.parquet", "an address is not fetched: write the path of a file"),
        ("/nowhere/fleet.csv", "does it exist, and is sources.fleet.path right?"),
    ],
)
def test_a_path_that_leads_to_nothing_is_said_to_be_odd(path: str, hint: str) -> None:
    with pytest.raises(SourceError) as caught:
        FleetSource(FleetSettings(path=Path(path))).check()
    assert caught.value.hint == hint


@pytest.mark.parametrize(("name", "value"), [("cpu", 40), ("memory", 62.5), ("error", 2)])
def test_a_normal_ratio_in_percent_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=f"{name}: must be at most 1: write {value / 100:g} for {value:g} %"):
        RiskSettings(normals={"web": {name: value}})


@pytest.mark.parametrize("name", ["latency", "gc_pause"])
def test_a_normal_time_that_is_long_is_noted(name: str, tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_text(f"{';'.join(REQUIRED)}\n{';'.join(_ROW.values())}\n", encoding="utf-8")
    source = FleetSource(FleetSettings(path=path, risk=RiskSettings(normals={"web": {name: 45}})))
    assert f"; sources.fleet.risk.normals.web.{name} is 45: seconds are meant" in source.check()
