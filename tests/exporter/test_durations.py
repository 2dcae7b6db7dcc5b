from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml_monitoring.exporter import durations

READ = {
    "30s": 30,
    "1h30m": 5400,
    "90m": 5400,
    "1d": 86_400,
    "500ms": 0.5,
    "2w1d": 1_296_000,
    "1y": 31_536_000,
    "1m0s": 60,
    "0s": 0,
    "0": 0,
}
REFUSED = ["", "5", "00", "1.5h", "-1h", "30m1h", "1h1h", "1 h", "h", "1M", "1H", "\u0967s", "400y"]


@pytest.mark.parametrize(("text", "seconds"), READ.items())
def test_a_duration_is_read_as_prometheus_reads_it(text: str, seconds: float) -> None:
    assert durations.parse(text) == seconds


@pytest.mark.parametrize("text", REFUSED)
def test_what_prometheus_does_not_read_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^not a duration: write it as (30s|1h30m$)|^longer than Prom|^must not be neg"
    ):
        durations.parse(text)


@pytest.mark.parametrize("text", ["0", "0s", "0h0m"])
def test_a_duration_of_no_length_is_not_positive(text: str) -> None:
    with pytest.raises(ValueError, match="must be longer than 0"):
        durations.parse_positive(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (70, "1m10s"), (3600, "1h"), (5400, "1h30m"), (90_000, "25h"), (259_200, "3d")],
)
def test_a_duration_is_written_as_prometheus_writes_it(seconds: float, text: str) -> None:
    assert durations.format_seconds(seconds) == text
    assert durations.parse(text) == seconds


def test_prometheus_itself_draws_the_same_line(programs: dict[str, Path], tmp_path: Path) -> None:
    verdicts = {}
    for number, text in enumerate([*READ, *REFUSED]):
        rule = f"{{alert: A, expr: up, for: '{text}'}}"
        path = tmp_path / f"{number}.yml"
        path.write_text(f"groups: [{{name: g, rules: [{rule}]}}]", encoding="utf-8")
        done = subprocess.run([programs["promtool"], "check", "rules", path], capture_output=True, check=False)
        verdicts[text] = done.returncode == 0
    assert verdicts == dict.fromkeys(READ, True) | dict.fromkeys(REFUSED, False)
