"""Small fleet files, and sources on them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from demo.fleet import DEFAULT_START, write
from demo.fleet_incident import COLUMNS, Incident
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.fleet import FleetSettings, FleetSource
from tests.support.serving import parse_samples

# Sources that a fixture closes after each test.
OPENED: list[FleetSource] = []

NAMES = [column.name for column in COLUMNS]
HEADER = ",".join(NAMES)
START = 1767225600.0  # 2026-01-01T00:00:00Z


def line(second: int = 0, server: str = "web-001", **cells: object) -> str:
    """Return a row of the file, `second` seconds after the start."""
    values: dict[str, object] = {
        "timestamp": f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}Z",
        "server_name": server,
        "profile": "web",
        "state": "online",
        "cpu_pct": 40,
        "mem_pct": 50,
        "latency_ms": 45,
        "error_rate": 0.002,
        "disk_io_mb_s": 8,
        "net_in_mb_s": 12,
        "net_out_mb_s": 30,
        "gc_pause_ms": 4,
        "incident_phase": "stable",
        "problem_child": "false",
        "container_oom": "false",
        **cells,
    }
    return ",".join(str(values[name]) for name in NAMES)


def write_csv(path: Path, *lines: str, header: str = HEADER) -> Path:
    """Write a file of whole lines."""
    path.write_text("".join(f"{text}\n" for text in (header, *lines)), encoding="utf-8")
    return path


def incident(**changes: Any) -> Incident:
    """Return the default demo incident, or one that differs as given."""
    values: dict[str, Any] = {
        "duration_ms": 300_000,
        "interval_ms": 5_000,
        "fleet_size": 12,
        "seed": 42,
        "start": DEFAULT_START,
    }
    return Incident(**{**values, **changes})


def write_demo(folder: Path, form: str = "csv", **changes: Any) -> Path:
    """Write a demo incident and return its file."""
    return write(incident(**changes), folder, (form,))[0]


class Clock:
    """A clock that a test puts forward."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def follow(path: Path, **settings: Any) -> FleetSource:
    """Return a source that follows a file or folder."""
    return _open(Clock(), {"path": path, "mode": "follow", **settings})


def replay(path: Path, clock: Clock, **settings: Any) -> FleetSource:
    """Return a source that replays a file by the given clock."""
    return _open(clock, {"path": path, "mode": "replay", **settings})


def _open(clock: Clock, settings: dict[str, Any]) -> FleetSource:
    source = FleetSource(FleetSettings.model_validate(settings), clock=clock)
    OPENED.append(source)
    return source


def samples(families: FamilySet) -> dict[str, float]:
    """Return what a scrape would show, by series."""
    return parse_samples(render_text(families).decode())


def outcomes(shown: dict[str, float]) -> dict[str, float]:
    """Return the counts of rows by outcome, those that are not 0."""
    family = "fleet_file_rows_total{"
    return {
        series.split('outcome="')[1].removesuffix('"}'): count
        for series, count in shown.items()
        if series.startswith(family) and count
    }


def messages(families: FamilySet) -> list[str]:
    """Return what was left out, in words."""
    return [problem.message for problem in families.problems]
