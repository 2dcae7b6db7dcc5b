"""Time ranges and query steps follow Grafana's rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.intervals import (
    Steps,
    TimeRange,
    align,
    format_duration,
    parse_duration,
    parse_moment,
    parse_range,
    query_steps,
    round_interval,
)

# A Saturday.
NOW = datetime(2026, 11, 21, 10, 30, 15, tzinfo=UTC).timestamp()


def moment(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc] # a datetime's own first arguments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("now-6h", NOW - 6 * 3600),
        ("now/d", moment(2026, 11, 21)),
        ("now-1d/d", moment(2026, 11, 20)),
        ("now/w", moment(2026, 11, 16)),
        ("now/M", moment(2026, 11, 1)),
        ("now/Q", moment(2026, 10, 1)),
        ("now/y", moment(2026, 1, 1)),
        ("now-1M", moment(2026, 10, 21, 10, 30, 15)),
        ("2026-11-21T10:00:00Z", moment(2026, 11, 21, 10)),
        ("2026-11-21 10:00", moment(2026, 11, 21, 10)),
        ("1768478400", 1_768_478_400.0),
        ("1768478400000", 1_768_478_400.0),
    ],
)
def test_moments_are_read_as_grafana_reads_them(text: str, expected: float) -> None:
    assert parse_moment(text, now=NOW) == expected


def test_rounding_at_the_end_of_a_range_goes_up() -> None:
    assert parse_moment("now/d", now=NOW, end=True) == pytest.approx(moment(2026, 11, 22) - 0.001)


def test_days_begin_at_midnight_of_the_time_zone() -> None:
    assert parse_moment("now/d", now=NOW, zone="Asia/Tokyo") == moment(2026, 11, 20, 15)


@pytest.mark.parametrize("text", ["yesterday", "now-", "now-3x", "2026-13-01", ""])
def test_what_is_no_moment_is_named(text: str) -> None:
    with pytest.raises(RenderError, match="is no time: give now-6h"):
        parse_moment(text, now=NOW)


def test_a_range_must_not_be_empty() -> None:
    with pytest.raises(RenderError, match="from now to now-1h is empty"):
        parse_range("now", "now-1h", now=NOW)


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("1h30m", 5400), ("250ms", 0.25), (">1m", 60), ("1d", 86400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.25, "250ms"), (15, "15s"), (90, "90s"), (3600, "1h"), (1_209_600, "2w")]
)
def test_durations_are_written_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [(0.004, 0.001), (7, 5), (8, 10), (22, 20), (44, 30), (60, 60), (700, 600), (5000, 3600), (90_000, 86_400)],
)
def test_intervals_are_rounded_by_grafanas_table(exact: float, rounded: float) -> None:
    assert round_interval(exact) == rounded


@pytest.mark.parametrize(
    ("hours", "points", "settings", "expected"),
    [
        # Never below the scrape interval; $__rate_interval is four of them, or the step and one.
        (1, 800, {}, Steps(15, 60)),
        (24, 800, {}, Steps(120, 135)),
        (24, 800, {"scrape": 60.0}, Steps(120, 240)),
        (1, 800, {"min_step": "1m"}, Steps(60, 240)),
        # The panel's own bound widens the step and leaves the scrape interval of rates alone.
        (1, 800, {"panel_step": "1m"}, Steps(60, 75)),
        (1, 800, {"min_step": "$__rate_interval"}, Steps(60, 60)),
        (1, 800, {"factor": 2}, Steps(30, 60)),
        # No more than 11,000 points a series.
        (24 * 365, 100_000, {}, Steps(3600, 3615)),
    ],
)
def test_steps(hours: float, points: int, settings: dict[str, object], expected: Steps) -> None:
    span = TimeRange(NOW - hours * 3600, NOW)
    assert query_steps(span, max_data_points=points, **settings) == expected  # type: ignore[arg-type] # a table of arguments


def test_ends_are_aligned_to_the_step() -> None:
    assert align(TimeRange(1007, 1093), 15) == TimeRange(1005, 1080)
