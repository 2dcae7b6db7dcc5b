"""The user's own columns, units and words, settings that cannot be meant, and the documentation of both."""

import re
from pathlib import Path

import pytest

from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.sources.fleet import FleetSettings, FleetSource, RiskSettings
from ml_monitoring.exporter.sources.fleet.columns import FIELDS, STATES
from tests.support.fleet_files import START, samples, write_csv

MAPPED = "when;host;rolle;zustand;cpu;ram;lat;fehler;disk;rein;raus"


def test_columns_units_words_and_marks_of_the_users_own(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "fleet.csv",
        "1767225600500;db 1;database;läuft;0,25;75;0,5;2,5;2;8;1",
        header=MAPPED,
    )
    config = tmp_path / "ml-monitoring.yml"
    config.write_text(f"""
sources:
  fleet:
    path: {path}
    decimal: ","
    states: {{läuft: online, steht: offline}}
    columns:
      timestamp: {{column: when, unit: ms}}
      server_name: host
      profile: rolle
      state: zustand
      cpu_pct: {{column: cpu, unit: ratio}}
      mem_pct: ram
      latency_ms: {{column: lat, unit: s}}
      error_rate: {{column: fehler, unit: percent}}
      disk_io_mb_s: {{column: disk, unit: MiB/s}}
      net_in_mb_s: {{column: rein, unit: Mbit/s}}
      net_out_mb_s: {{column: raus, unit: kB/s}}
      gc_pause_ms: null
""")
    settings = load(config, {}).enabled_sources()["fleet"]
    assert isinstance(settings, FleetSettings)
    mapped = FleetSource(settings)
    shown = samples(mapped.collect())
    mapped.close()
    labels = '{profile="database",server="db 1"}'
    assert {series.removesuffix(labels): value for series, value in shown.items() if series.endswith(labels)} == {
        "fleet_server_cpu_utilization_ratio": 0.25,
        "fleet_server_memory_utilization_ratio": 0.75,
        "fleet_server_latency_seconds": 0.5,
        "fleet_server_error_ratio": 0.025,
        "fleet_server_disk_io_bytes_per_second": 2 * 1024 * 1024,
        "fleet_server_network_receive_bytes_per_second": 1e6,
        "fleet_server_network_transmit_bytes_per_second": 1000,
        "fleet_server_risk_ratio": pytest.approx(0.006, abs=0.001),
    }
    assert shown['fleet_file_position_timestamp_seconds{file="fleet.csv"}'] == START + 0.5


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("columns: {cpu: x}", "sources.fleet.columns: cpu: no such column; did you mean cpu_pct?"),
        ("columns: {timestamp: null}", "sources.fleet.columns: timestamp: cannot be absent"),
        ("columns: {cpu_pct: {unit: ms}}", "sources.fleet.columns: cpu_pct: unit must be one of ratio, percent"),
        ("columns: {state: {unit: ms}}", "sources.fleet.columns: state: unit must be left out, this column has none"),
        ("columns: {cpu_pct: {colum: x}}", "sources.fleet.columns.cpu_pct.colum: unknown key"),
        ("timezone: Mars/Olympus", "sources.fleet.timezone: not a time zone like UTC or Europe/Berlin"),
        ("timezone: ../../etc/passwd", "sources.fleet.timezone: not a time zone like UTC or Europe/Berlin"),
        ("states: {up: fine}", "sources.fleet.states: fine: not one of critical_issue, offline, online, warning"),
        ("speed: 2", "sources.fleet.speed: has no meaning in mode follow"),
        ("{mode: replay, start: end}", "sources.fleet.start: has no meaning in mode replay"),
        ("{mode: replay, speed: 0}", "sources.fleet.speed: must be above 0"),
        ("risk: {model: oracle}", "sources.fleet.risk.model: no such risk model is installed; there are: builtin"),
        (
            "risk: {normals: {web: {disk: 1}}}",
            "sources.fleet.risk.normals.web: disk: no such measure; there are: cpu, ",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(setting: str, problem: str, tmp_path: Path) -> None:
    config = tmp_path / "ml-monitoring.yml"
    inner = setting.strip("{}") if setting.startswith("{") else setting
    config.write_text(f"sources: {{fleet: {{path: x, {inner}}}}}\n")
    with pytest.raises(ConfigError) as found:
        load(config, {})
    (line_,) = found.value.problems
    assert line_.startswith(f"{config}:1: {problem}")


DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "fleet.md").read_text(encoding="utf-8")


def test_the_documentation_names_every_setting_and_column() -> None:
    names = {*FleetSettings.model_fields, *RiskSettings.model_fields, *FIELDS, *STATES} - {
        "staleness",
        "max_series",
        "timeout",
    }
    assert sorted(name for name in names if name not in DOCUMENT) == []


def test_the_settings_in_the_documentation_are_taken(tmp_path: Path) -> None:
    taken = []
    for block in re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL):
        config = tmp_path / "ml-monitoring.yml"
        config.write_text(block, encoding="utf-8")
        settings = load(config, {}).enabled_sources()["fleet"]
        assert isinstance(settings, FleetSettings)
        taken.append(settings)
    _first, columns, risk = taken
    assert columns.columns["gc_pause_ms"] is None
    assert risk.risk.normals == {"web": {"cpu": 0.4, "latency": 0.05}}
