"""Times of `mute_times`: what Alertmanager refuses is refused with file and line, and nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.thresholds import read
from ml_monitoring.exporter.errors import ConfigError

_DAY = "write 1 to 31, or -1 for the last one and -31 to -1"
# An interval, and what is said of it; empty where it is right.
_INTERVALS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"weekdays": ["monday:friday"]}, ""),
    ({"weekdays": ["Sunday"], "location": "Europe/Berlin"}, ""),
    ({"weekdays": ["mondy"]}, "weekdays.0: 'mondy' is no day of the week; did you mean monday?"),
    ({"weekdays": ["monday", "mon:fri"]}, "weekdays.1: 'mon' is no day of the week; did you mean monday?"),
    ({"weekdays": ["saturday:sunday"]}, "ends before it begins: write saturday and sunday"),
    ({"weekdays": ["friday:monday"]}, "ends before it begins: write friday:saturday and sunday:monday"),
    ({"weekdays": [""]}, "weekdays.0: '' is no day of the week"),
    ({"months": ["january", "3", "May:august", "9:12"]}, ""),
    ({"months": ["jan"]}, "months.0: 'jan' is no month; did you mean january?"),
    ({"months": ["13"]}, "months.0: '13' is no month: they are numbered from 1 to 12"),
    ({"months": ["0"]}, "months.0: '0' is no month: they are numbered from 1 to 12"),
    ({"months": ["11:2"]}, "months.0: '11:2' ends before it begins: write 11:12 and 1:2"),
    ({"years": ["2026", "2026:2027"]}, ""),
    ({"years": ["2027:2026"]}, "years.0: '2027:2026' ends before it begins: write 2026:2027"),
    ({"years": ["next"]}, "years.0: 'next' is no year"),
    ({"days_of_month": ["1", "-1", "1:-1", "-3:-1", "1:31", "-31"]}, ""),
    ({"days_of_month": ["0"]}, f"days_of_month.0: '0' is no day of the month: {_DAY}"),
    ({"days_of_month": ["32"]}, f"days_of_month.0: '32' is no day of the month: {_DAY}"),
    ({"days_of_month": ["1:first"]}, f"days_of_month.0: 'first' is no day of the month: {_DAY}"),
    ({"days_of_month": ["-1:1"]}, "'-1:1' begins at the end of the month: write -1:-1 and 1:1"),
    ({"days_of_month": ["20:10"]}, "days_of_month.0: '20:10' ends before it begins"),
    ({"days_of_month": ["-1:-3"]}, "days_of_month.0: '-1:-3' ends before it begins"),
    ({"times": [{"start_time": "00:00", "end_time": "24:00"}], "location": "Local"}, ""),
    (
        {"times": [{"start_time": "20:00", "end_time": "06:00"}]},
        "times.0: ends before it begins: write two ranges, 20:00-24:00 and 00:00-06:00",
    ),
    ({"times": [{"start_time": "20:00", "end_time": "00:00"}]}, "times.0: ends before it begins: write 20:00-24:00"),
    (
        {"times": [{"start_time": "06:00", "end_time": "06:00"}]},
        "times.0: ends when it begins: write 00:00-24:00 for the whole day",
    ),
    ({"times": [{"start_time": "6:00", "end_time": "24:01"}]}, "'6:00' is not a time of day such as 08:00"),
    ({"location": "Berlin"}, "location: not a time zone like UTC or Europe/Berlin"),
)


@pytest.mark.parametrize(("interval", "said"), _INTERVALS, ids=[json.dumps(each) for each, _ in _INTERVALS])
def test_what_alertmanager_refuses_is_refused(
    interval: dict[str, Any], said: str, tmp_path: Path, programs: dict[str, Path]
) -> None:
    mute = {"severities": ["warning"], "intervals": [interval]}
    path = tmp_path / "alerting.yml"
    path.write_text(json.dumps({"notifications": {"mute_times": {"nights": mute}}}), encoding="utf-8")
    config = tmp_path / "alertmanager.yml"
    intervals = [{"name": "nights", "time_intervals": [interval]}]
    route = {"receiver": "none"}
    text = json.dumps({"route": route, "receivers": [{"name": "none"}], "time_intervals": intervals})
    config.write_text(text, encoding="utf-8")
    checked = subprocess.run(
        [programs["amtool"], "check-config", config], capture_output=True, text=True, check=False, timeout=30
    )
    # A month that there is not never comes, which Alertmanager says nothing about.
    assert (checked.returncode == 0) is (not said or said.endswith("from 1 to 12")), checked.stdout + checked.stderr
    if not said:
        assert "nights" in read(ALERTS, [path]).notifications.mute_times
        return
    with pytest.raises(ConfigError) as caught:
        read(ALERTS, [path])
    assert caught.value.problems[0].startswith(f"{path}:1: notifications.mute_times.nights.intervals.0.")
    assert caught.value.problems[0].endswith(said)
