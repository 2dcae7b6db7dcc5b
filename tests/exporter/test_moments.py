"""Moments on command lines, as `alerts maintenance --start` takes them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ml_monitoring.exporter.command_line import coming_moment, moment_text

TOKYO = timezone(timedelta(hours=9))


@pytest.fixture(autouse=True)
def _in_tokyo() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("ahead", [timedelta(minutes=2), timedelta(hours=5), timedelta(hours=23, minutes=55)])
def test_a_time_of_day_is_the_next_one_by_the_local_clock(ahead: timedelta) -> None:
    meant = (datetime.now(TOKYO) + ahead).replace(second=0, microsecond=0)
    assert coming_moment(f"{meant:%H:%M}") == meant
    assert coming_moment(f"{meant:%H:%M}".removeprefix("0")) == meant
    assert moment_text(coming_moment(f"{meant:%H:%M}")) == f"{meant:%Y-%m-%d %H:%M} JST"


def test_a_date_and_a_time_are_local_unless_a_zone_is_named() -> None:
    day = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}"
    expected = datetime.fromisoformat(f"{day}T13:00:00Z")
    texts = [f"{day}T22:00", f"{day} 22:00:00", f"{day}T13:00Z", f"{day}T14:00+01:00"]
    assert {coming_moment(text) for text in texts} == {expected}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2020-01-01T22:00", "2020-01-01 22:00 JST is past"),
        ("2020-01-01T22:00Z", "2020-01-02 07:00 JST is past"),
        ("2990-01-01T22:00Z", "2990-01-02 07:00 JST is more than a year ahead"),
        *(
            (text, f"{text!r} is no time: write it as 22:00, 2026-12-01T22:00 or 2026-12-01T22:00+01:00")
            for text in (
                "",
                "22",
                "24:00",
                "22:60",
                "22:00Z",
                "1h",
                "tomorrow",
                "2026-12-01",
                "2026-02-30T22:00",
                "0001-01-01T00:00",
                "9999-12-31T23:59Z",
            )
        ),
    ],
)
def test_the_past_and_what_is_no_time_are_refused(text: str, why: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        coming_moment(text)
    assert str(refused.value) == why
