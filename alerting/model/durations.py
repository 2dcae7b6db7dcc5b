"""Prometheus durations such as `1d` or `1h30m`."""

from __future__ import annotations

import re

_DURATION = re.compile(
    r"(?:(?P<y>\d+)y)?(?:(?P<w>\d+)w)?(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?(?:(?P<ms>\d+)ms)?"
)
_SECONDS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def to_positive_seconds(duration: str) -> float:
    """Return the length of a Prometheus duration that is longer than nothing.

    Raises:
        ValueError: The text is not a duration as Prometheus writes it, or is one of no length.
    """
    seconds = to_seconds(duration)
    if seconds <= 0:
        raise ValueError("must be longer than 0")
    return seconds


def to_seconds(duration: str) -> float:
    """Return the length of a Prometheus duration.

    Raises:
        ValueError: The text is not a duration as Prometheus writes it.
    """
    match = _DURATION.fullmatch(duration)
    if not duration or match is None:
        raise ValueError(f"{duration!r} is not a duration: write it as 30s, 5m, 6h, 1d or 1h30m")
    return sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict(default="0").items())
