"""Durations as Prometheus writes them, such as `1h30m`: the one grammar of settings, rules and command lines."""

from __future__ import annotations

import re
from typing import Final

# Prometheus reads them into 64 bits of nanoseconds.
_LONGEST: Final = 2**63 / 1e9
_UNITS: Final = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
# Units that are written only where the duration is a multiple of them.
_EXACT: Final = ("y", "w", "d")
# In this order, each at most once; nothing but 0 goes without a unit.
_PARTS: Final = "".join(f"(?:([0-9]+){unit})?" for unit in _UNITS)
PATTERN: Final = f"^(?:0|(?=[0-9]){_PARTS})$"
_DURATION: Final = re.compile(PATTERN)
_FRACTION: Final = re.compile(r"(\d{1,6}\.\d{1,3})(w|d|h|m|s)")


def parse(text: str) -> float:
    """Return the seconds of a duration, by the rules of Prometheus's own `ParseDuration`.

    Raises:
        ValueError: The text is not a duration as Prometheus writes it.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        if text.startswith("-") and _DURATION.fullmatch(text[1:]):
            raise ValueError("must not be negative")
        raise ValueError(f"not a duration: write it as {_without_point(text) or '30s, 5m, 6h, 1d or 1h30m'}")
    milliseconds = sum(int(number or 0) * size for number, size in zip(found.groups(), _UNITS.values(), strict=True))
    if milliseconds / 1000 > _LONGEST:
        raise ValueError("longer than Prometheus can count")
    return milliseconds / 1000


def _without_point(text: str) -> str:
    """Return a duration such as `0.5h` in whole numbers; empty where it is something else."""
    found = _FRACTION.fullmatch(text.strip())
    return format_seconds(float(found[1]) * _UNITS[found[2]] / 1000) if found else ""


def parse_positive(text: str) -> float:
    """Return the seconds of a duration that is longer than nothing.

    Raises:
        ValueError: The text is not a duration as Prometheus writes it, or is one of no length.
    """
    seconds = parse(text)
    if seconds <= 0:
        raise ValueError("must be longer than 0")
    return seconds


def refuse_number(value: object) -> object:
    """Return what is given in settings, unless it is a number, which has no unit.

    Raises:
        ValueError: It is a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if value <= 0:
        raise ValueError("is not a duration: write it as 30s, 10m, 1h or 1d, or 0s where none is meant and may be")
    raise ValueError(f"is not a duration: write it as {value}s, {value}m, {value}h or {value}d")


def format_seconds(seconds: float) -> str:
    """Return a duration as Prometheus writes it, to the millisecond."""
    rest = round(seconds * 1000)
    text = ""
    for unit, size in _UNITS.items():
        if rest >= size and not (unit in _EXACT and rest % size):
            text += f"{rest // size}{unit}"
            rest %= size
    return text or "0s"
