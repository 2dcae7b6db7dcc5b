"""Another time in which nothing is sent is named with the alerts that it is for."""

from __future__ import annotations

from typing import Any

import pytest

from ml_monitoring.alerting.operate.changes import Version, compare

Json = dict[str, Any]
SOONER, LATER, OTHERWISE = "Sooner or louder", "Later or quieter", "Changed otherwise"
NIGHT: Json = {"times": [{"start_time": "20:00", "end_time": "24:00"}], "weekdays": ["monday", "friday"]}
LONGER: Json = NIGHT | {"times": [{"start_time": "18:00", "end_time": "24:00"}]}
ELSEWHERE: Json = NIGHT | {"location": "Europe/Berlin"}


def config(*intervals: Json, use: str = "mute_time_intervals") -> Json:
    return {
        "route": {"receiver": "a", "routes": [{"matchers": ['severity="info"'], use: ["nights"]}]},
        "receivers": [{"name": "a", "email_configs": [{"to": "a@example.org"}]}],
        "time_intervals": [{"name": "nights", "time_intervals": list(intervals)}],
    }


@pytest.mark.parametrize(
    ("old", "new", "direction", "shown"),
    [
        ([NIGHT], [LONGER], LATER, "`20:00-24:00, monday friday` → `18:00-24:00, monday friday`"),
        ([LONGER], [NIGHT], SOONER, "`18:00-24:00, monday friday` → `20:00-24:00, monday friday`"),
        ([NIGHT], [ELSEWHERE], OTHERWISE, "`20:00-24:00, monday friday` → `20:00-24:00, monday friday, Europe/Berlin`"),
        (
            [NIGHT],
            [NIGHT, {"months": ["8"]}],
            LATER,
            "`20:00-24:00, monday friday` → `20:00-24:00, monday friday or months 8`",
        ),
    ],
)
def test_another_time_is_shown_before_and_after(old: list[Json], new: list[Json], direction: str, shown: str) -> None:
    rules = [
        {"alert": name, "expr": name, "labels": {"severity": severity, "team": "platform"}}
        for name, severity in (("Hot", "info"), ("Cold", "warning"))
    ]
    both = (Version([{"name": "house", "rules": rules}], config(*intervals)) for intervals in (old, new))
    assert compare(*both).splitlines() == [
        "- mute times: 1 changed",
        "",
        f"### {direction}",
        "",
        f"- **time nights** changed for Hot: {shown}",
    ]


@pytest.mark.parametrize(("old", "new", "direction"), [(NIGHT, LONGER, SOONER), (LONGER, NIGHT, LATER)])
def test_a_time_outside_of_which_nothing_is_sent_is_the_other_way_round(old: Json, new: Json, direction: str) -> None:
    hot = {"alert": "Hot", "expr": "hot", "labels": {"severity": "info", "team": "platform"}}
    both = (
        Version([{"name": "house", "rules": [hot]}], config(one, use="active_time_intervals")) for one in (old, new)
    )
    assert compare(*both).splitlines()[2:5] == [
        f"### {direction}",
        "",
        f"- **time nights** changed for Hot: `{shown(old)}` → `{shown(new)}`",
    ]


def shown(interval: Json) -> str:
    start = interval["times"][0]["start_time"]
    return f"{start}-24:00, monday friday"
