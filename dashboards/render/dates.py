"""Dates as Moment.js writes them, since Grafana's patterns are Moment's."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ml_monitoring.dashboards.render.intervals import at
from ml_monitoring.dashboards.render.numbers import js_round

ISO = "YYYY-MM-DD HH:mm:ss"

_TOKEN = re.compile(
    r"\[([^\]]*)\]|\\(.)|YYYY|YY|MMMM|MMM|MM|M|DDD|DD|Do|D|dddd|ddd|HH|H|hh|h|mm|m|ss|s|SSS|SS|S|ZZ|Z|z|A|a|X|x|.",
    re.DOTALL,
)

_PARTS: dict[str, Callable[[datetime], str]] = {
    "YYYY": lambda when: f"{when.year:04d}",
    "YY": lambda when: f"{when.year % 100:02d}",
    "MMMM": lambda when: f"{when:%B}",
    "MMM": lambda when: f"{when:%b}",
    "MM": lambda when: f"{when.month:02d}",
    "M": lambda when: str(when.month),
    "DDD": lambda when: str(when.timetuple().tm_yday),
    "DD": lambda when: f"{when.day:02d}",
    "Do": lambda when: _ordinal(when.day),
    "D": lambda when: str(when.day),
    "dddd": lambda when: f"{when:%A}",
    "ddd": lambda when: f"{when:%a}",
    "HH": lambda when: f"{when.hour:02d}",
    "H": lambda when: str(when.hour),
    "hh": lambda when: f"{when.hour % 12 or 12:02d}",
    "h": lambda when: str(when.hour % 12 or 12),
    "mm": lambda when: f"{when.minute:02d}",
    "m": lambda when: str(when.minute),
    "ss": lambda when: f"{when.second:02d}",
    "s": lambda when: str(when.second),
    "SSS": lambda when: f"{when.microsecond // 1000:03d}",
    "SS": lambda when: f"{when.microsecond // 10_000:02d}",
    "S": lambda when: str(when.microsecond // 100_000),
    "Z": lambda when: f"{when:%z}"[:3] + ":" + f"{when:%z}"[3:],
    "ZZ": lambda when: f"{when:%z}",
    "z": lambda when: f"{when:%Z}",
    "A": lambda when: "AM" if when.hour < 12 else "PM",
    "a": lambda when: "am" if when.hour < 12 else "pm",
    "X": lambda when: str(int(when.timestamp())),
    "x": lambda when: str(int(when.timestamp() * 1000)),
}


def format_date(milliseconds: float, pattern: str = ISO, zone: str = "utc") -> str:
    """Return a time in Moment's pattern; `Invalid date` where the number is no time."""
    when = _when(milliseconds, zone)
    if when is None:
        return "Invalid date"

    def part(found: re.Match[str]) -> str:
        if found[1] is not None:
            return found[1]
        if found[2] is not None:
            return found[2]
        return _PARTS[found[0]](when) if found[0] in _PARTS else found[0]

    return _TOKEN.sub(part, pattern)


def time_ago(milliseconds: float, now: float | None = None) -> str:
    """Return a time as `5 minutes ago` or `in 3 days`.

    Args:
        milliseconds: The time.
        now: Seconds since the epoch; the present by default.
    """
    if not math.isfinite(milliseconds):
        return "Invalid date"
    difference = milliseconds / 1000 - (time.time() if now is None else now)
    words = _humanized(abs(difference))
    return f"in {words}" if difference > 0 else f"{words} ago"


def parse_date(value: Any) -> float | None:
    """Return a cell as milliseconds since the epoch; None where it is no time."""
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    try:
        return datetime.fromisoformat(str(value)).timestamp() * 1000
    except ValueError:
        return None


def same_day(milliseconds: float, now: float | None, zone: str) -> bool:
    """Return whether a time is of today."""
    when = _when(milliseconds, zone)
    return when is not None and when.date() == at(time.time() if now is None else now, zone).date()


def _when(milliseconds: float, zone: str) -> datetime | None:
    try:
        return at(math.floor(milliseconds) / 1000, zone)
    except (ValueError, OverflowError, OSError):
        return None


def _humanized(seconds: float) -> str:
    """Return a distance in words with Moment's thresholds: 45 s, 45 min, 22 h, 26 d, 11 months."""
    minutes, hours, days = (int(js_round(seconds / size)) for size in (60, 3600, 86_400))
    months, years = int(js_round(seconds / 2_629_746)), int(js_round(seconds / 31_556_952))
    rounded = int(js_round(seconds))
    if rounded <= 44:
        return "a few seconds"
    steps = (
        (rounded < 45, "a few seconds"),
        (minutes <= 1, "a minute"),
        (minutes < 45, f"{minutes} minutes"),
        (hours <= 1, "an hour"),
        (hours < 22, f"{hours} hours"),
        (days <= 1, "a day"),
        (days < 26, f"{days} days"),
        (months <= 1, "a month"),
        (months < 11, f"{months} months"),
        (years <= 1, "a year"),
    )
    return next((words for holds, words in steps if holds), f"{years} years")


def _ordinal(number: int) -> str:
    ending = "th" if 10 < number % 100 < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
