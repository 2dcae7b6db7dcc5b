"""What a fleet file holds and cannot be used is said with the setting that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.exporter.config import load, read_all
from ml_monitoring.exporter.errors import SourceError
from ml_monitoring.exporter.sources.fleet import FleetSource
from ml_monitoring.exporter.sources.fleet.columns import REQUIRED

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
