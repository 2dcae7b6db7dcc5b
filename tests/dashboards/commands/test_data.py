"""A panel's data come out as CSV, JSON and Parquet, the same in all three."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.commands.options import split_panel
from tests.dashboards.render.test_pictures import panel, write
from tests.support.panel_store import END, SPECIMEN, START, Store


def export(store: Store, name: str, *arguments: str) -> int:
    return main(["data", name, "--prometheus", store.url, "--from", str(START), "--to", str(END), *arguments])


def test_a_table_is_written_as_the_panel_shows_it(store: Store, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert export(store, f"{SPECIMEN}/Requests by instance") == 0
    rows = list(csv.reader(io.StringIO(capsysbinary.readouterr().out.decode())))
    assert rows[0] == ["instance", "status", "Total", "Rate"]
    assert [row[:2] for row in rows[1:]] == [["a:80", "200"], ["a:80", "500"], ["b:80", "200"], ["b:80", "500"]]
    assert float(rows[1][2]) == pytest.approx(32_300, rel=0.02)


def test_a_query_without_a_result_costs_a_table_its_column_only(
    store: Store, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    exprs = ("sum by (instance) (http_requests_total)", "nothing", "count by (instance) (http_requests_total)")
    names = ["instance", "Value #A", "Value #B", "Value #C"]
    transformations = [
        {"id": "filterFieldsByName", "options": {"include": {"names": ["Time", *names]}}},
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}}},
    ]
    instances = panel(1, "table", "Instances", *exprs, transformations=transformations)
    for target in instances["targets"]:
        target |= {"format": "table", "instant": True, "range": False}
    assert export(store, f"{write(tmp_path, instances)}/1") == 0
    rows = list(csv.reader(io.StringIO(capsysbinary.readouterr().out.decode())))
    assert rows[0] == names
    assert [(row[0], row[2], row[3]) for row in rows[1:]] == [("a:80", "", "2.0"), ("b:80", "", "2.0")]


def test_a_panel_without_data_says_so_and_writes_no_line(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = write(tmp_path, panel(1, "timeseries", "Nothing", "nothing"))
    assert export(store, f"{page}/1") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith(": Nothing: no data\n")


def test_series_stand_side_by_side_on_their_time(store: Store, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert export(store, f"{SPECIMEN}/Doors", "--format", "json") == 0
    rows = json.loads(capsysbinary.readouterr().out)
    assert list(rows[0]) == ["Time", "back", "front"]
    assert rows[0] == {"Time": "2026-01-15T11:00:00.000Z", "back": 1.0, "front": 1.0}
    assert len(rows) == 241


def test_a_name_that_a_spreadsheet_takes_for_a_formula_is_text_unless_it_is_to_be_raw(
    store: Store, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    named = panel(1, "timeseries", "Odd", 'label_replace(sum(temperature_celsius), "named", "=1+1", "", "")')
    named["targets"][0]["legendFormat"] = "{{named}}"
    page = write(tmp_path, named)
    for arguments, header in (([], "Time,'=1+1"), (["--raw"], "Time,=1+1")):
        assert export(store, f"{page}/1", *arguments) == 0
        assert capsysbinary.readouterr().out.decode().splitlines()[0] == header


def test_all_three_formats_say_the_same(store: Store, tmp_path: Path) -> None:
    page = write(tmp_path, panel(1, "timeseries", "Odd", "odd", "temperature_celsius", maxDataPoints=20))
    for form in ("csv", "json", "parquet"):
        assert export(store, f"{page}/1", "--format", form, "--out", str(tmp_path / f"data.{form}")) == 0
    table = pq.read_table(tmp_path / "data.parquet").to_pydict()
    rows = json.loads((tmp_path / "data.json").read_text(encoding="utf-8"))
    with (tmp_path / "data.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(table) == list(rows[0]) == list(lines[0])
    for name in [name for name in table if name != "Time"]:
        plain = [None if value is None else str(value) for value in table[name]]
        assert [line[name] or None for line in lines] == plain
        said = [
            None if row[name] is None else str(row[name]).replace("+Inf", "inf").replace("-Inf", "-inf") for row in rows
        ]
        assert said == plain
    # NaN is no value; infinities are, and have names.
    infinite = next(name for name in table if "+Inf" in name)
    assert set(table[infinite]) == {float("inf")}
    assert {row[infinite] for row in rows} == {"+Inf"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("home/Requests/min", ("home", "Requests/min")),
        ("pages/home.json/Requests/min", ("pages/home.json", "Requests/min")),
        ("/dev/fd/63/7", ("/dev/fd/63", "7")),
        ("home", ("home", "")),
    ],
)
def test_titles_and_paths_may_have_slashes(name: str, meant: tuple[str, str]) -> None:
    assert split_panel(name) == meant


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("specimen", "specimen: write it as UID/PANEL"),
        (f"{SPECIMEN}/Nothing", "specimen has no panel 'Nothing'; it has 1 (Temperature)"),
        ("nowhere/1", "no dashboard 'nowhere'"),
    ],
)
def test_what_is_not_there_is_said(store: Store, capsys: pytest.CaptureFixture[str], name: str, message: str) -> None:
    assert export(store, name) == (1 if "/" in name else 2)
    assert message in capsys.readouterr().err


def test_a_panel_that_fails_is_named(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = write(tmp_path, panel(1, "stat", "Broken", "rate("))
    assert export(store, f"{page}/1") == 1
    assert "page: panel 1 (Broken): query A:" in capsys.readouterr().err
