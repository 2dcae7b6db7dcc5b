"""Grafana's formats of time spans."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ml_monitoring.dashboards.render.dates import format_date
from ml_monitoring.dashboards.render.text import Text, to_fixed

_PLURALS = frozenset({" min", " hour", " day", " week", " year"})
_UNITS = (
    ("year", 31_536_000.0), ("month", 2_592_000.0), ("week", 604_800.0), ("day", 86_400.0), ("hour", 3600.0),
    ("minute", 60.0), ("second", 1.0), ("millisecond", 0.001),
)  # fmt: skip
# Up to which absolute value, divided by what, with which suffix.
Scale = Sequence[tuple[float, float, str]]


def _scaled(value: float, decimals: int | None, suffix: str) -> Text:
    plural = suffix in _PLURALS and abs(value) > 1
    return Text(to_fixed(value, decimals), suffix=f"{suffix}s" if plural else suffix)


def _ladder(scale: Scale, *, first_plain: bool = True) -> Callable[[float, int | None], Text]:
    def one(value: float, decimals: int | None) -> Text:
        for place, (bound, divisor, suffix) in enumerate(scale):
            if abs(value) < bound or place == len(scale) - 1:
                if place == 0 and first_plain:
                    return Text(to_fixed(value, decimals), suffix=suffix)
                return _scaled(value / divisor, decimals, suffix)
        raise AssertionError("the last rung holds everything")

    return one


_INF = math.inf
_NANOSECONDS = _ladder(
    (
        (1e3, 1, " ns"), (1e6, 1e3, " µs"), (1e9, 1e6, " ms"), (6e10, 1e9, " s"), (36e11, 6e10, " min"),
        (864e11, 36e11, " hour"), (_INF, 864e11, " day"),
    )
)  # fmt: skip
_MICROSECONDS = _ladder(((1e3, 1, " µs"), (1e6, 1e3, " ms"), (_INF, 1e6, " s")))
_MILLISECONDS = _ladder(
    (
        (1e3, 1, " ms"), (6e4, 1e3, " s"), (36e5, 6e4, " min"), (864e5, 36e5, " hour"), (31536e6, 864e5, " day"),
        (_INF, 31536e6, " year"),
    )
)  # fmt: skip
_MINUTES = _ladder(
    ((60, 1, " min"), (1440, 60, " hour"), (10_080, 1440, " day"), (604_800, 10_080, " week"), (_INF, 525_948, " year"))
)
_HOURS = _ladder(((24, 1, " hour"), (168, 24, " day"), (8760, 168, " week"), (_INF, 8760, " year")))
_DAYS = _ladder(((7, 1, " day"), (365, 7, " week"), (_INF, 365, " year")), first_plain=False)
_LONG_SECONDS = _ladder(
    (
        (60, 1, " s"), (3600, 60, " min"), (86_400, 3600, " hour"), (604_800, 86_400, " day"),
        (31_536_000, 604_800, " week"), (_INF, 31_556_900, " year"),
    )
)  # fmt: skip


def _seconds(value: float, decimals: int | None) -> Text:
    if value == 0:
        return Text("0", suffix=" s")
    for bound, factor, suffix in ((1e-6, 1e9, " ns"), (1e-3, 1e6, " µs"), (1.0, 1e3, " ms")):
        if abs(value) < bound:
            return _scaled(value * factor, decimals, suffix)
    return _LONG_SECONDS(value, decimals)


def _words(value: float, decimals: int | None, unit: str) -> Text:
    if value == 0:
        return Text("0", suffix=f" {unit}s")
    if value < 0:
        before = _words(-value, decimals, unit)
        return Text(before.text, suffix=f"{before.suffix} ago")
    if not math.isfinite(value):
        return Text("")
    left = value * dict(_UNITS)[unit] * 1000
    count, begun, parts = decimals or 0, False, []
    for name, seconds in _UNITS:
        if count < 0:
            break
        size = seconds * 1000
        if left / size >= 1 or begun:
            begun = True
            whole = math.floor(left / size)
            parts.append(f"{whole} {name}{'' if whole == 1 else 's'}")
            left = math.fmod(left, size)
            count -= 1
    return Text(", ".join(parts))


def _clock(milliseconds: float, decimals: int | None) -> Text:
    if not math.isfinite(milliseconds):
        return Text("Invalid date")
    if milliseconds < 1000:
        return Text(format_date(milliseconds, r"SSS\m\s"))
    if milliseconds < 60_000:
        return Text(format_date(milliseconds, r"ss\s" if decimals == 0 else r"ss\s:SSS\m\s"))
    shorter = {0: r"mm\m", 1: r"mm\m:ss\s"}
    if milliseconds < 3_600_000:
        return Text(format_date(milliseconds, shorter.get(-1 if decimals is None else decimals, r"mm\m:ss\s:SSS\m\s")))
    hours = f"{math.floor(milliseconds / 3_600_000)}h"
    patterns = {0: "", 1: r"mm\m", 2: r"mm\m:ss\s"}
    pattern = patterns.get(-1 if decimals is None else decimals, r"mm\m:ss\s:SSS\m\s")
    return Text(f"{hours}:{format_date(milliseconds, pattern)}" if pattern else hours)


def _hms(value: float, _: int | None) -> Text:
    if value < 0:
        before = _hms(-value, None)
        return Text(before.text, suffix=f"{before.suffix} ago")
    if not math.isfinite(value):
        return Text(":".join(["0NaN"] * 3))
    return Text(f"{int(value // 3600):02d}:{int(value % 3600 // 60):02d}:{int(value % 60):02d}")


def _dhms(value: float, _: int | None) -> Text:
    if value < 0:
        before = _dhms(-value, None)
        return Text(before.text, suffix=f"{before.suffix} ago")
    days = int(value // 86_400) if math.isfinite(value) else 0
    clock = _hms(value - days * 86_400, None)
    return Text(f"{days} d {clock.text}" if days else clock.text)


DURATIONS: dict[str, Callable[[float, int | None], Text]] = {
    "toNanoSeconds": _NANOSECONDS,
    "toMicroSeconds": _MICROSECONDS,
    "toMilliSeconds": _MILLISECONDS,
    "toSeconds": _seconds,
    "toMinutes": _MINUTES,
    "toHours": _HOURS,
    "toDays": _DAYS,
    "toDurationInMilliseconds": lambda value, decimals: _words(value, decimals, "millisecond"),
    "toDurationInSeconds": lambda value, decimals: _words(value, decimals, "second"),
    "toDurationInHoursMinutesSeconds": _hms,
    "toDurationInDaysHoursMinutesSeconds": _dhms,
    "toTimeTicks": lambda value, decimals: _seconds(value / 100, decimals),
    "toClockMilliseconds": _clock,
    "toClockSeconds": lambda value, decimals: _clock(value * 1000, decimals),
}
