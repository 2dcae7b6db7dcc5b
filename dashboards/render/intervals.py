"""Time ranges and query steps by Grafana's rules."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ml_monitoring.dashboards.render.errors import RenderError

# Grafana's own default where a data source says nothing of its scrape interval.
DEFAULT_SCRAPE = 15.0
# Prometheus answers at most this many points for a series.
SAFE_RESOLUTION = 11_000

_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
    "M": 2_592_000.0,
    "y": 31_536_000.0,
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwMy])")
_RELATIVE = re.compile(r"now(?:([+-])(\d+)([smhdwMyQ]))?(?:/([smhdwMyQ]))?")

# Below each bound (milliseconds), the round interval that is taken; Grafana's table.
_ROUND = (
    (10, 1), (15, 10), (35, 20), (75, 50), (150, 100), (350, 200), (750, 500), (1500, 1000), (3500, 2000),
    (7500, 5000), (12_500, 10_000), (17_500, 15_000), (25_000, 20_000), (45_000, 30_000), (90_000, 60_000),
    (210_000, 120_000), (450_000, 300_000), (750_000, 600_000), (1_050_000, 900_000), (1_500_000, 1_200_000),
    (2_700_000, 1_800_000), (5_400_000, 3_600_000), (9_000_000, 7_200_000), (16_200_000, 10_800_000),
    (32_400_000, 21_600_000), (86_400_000, 43_200_000), (604_800_000, 86_400_000),
    (1_814_400_000, 604_800_000), (3_628_800_000, 2_592_000_000),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TimeRange:
    """What is shown: seconds since the epoch."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Return how long the range is."""
        return self.end - self.start

    def describe(self, zone: str = "utc") -> str:
        """Return the range in words, such as on a cover page."""
        first, last = (at(moment, zone) for moment in (self.start, self.end))
        return f"{first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} {last:%Z}"


@dataclass(frozen=True, slots=True)
class Steps:
    """The intervals of one query, in seconds."""

    step: float
    rate: float


def at(moment: float, zone: str = "utc") -> datetime:
    """Return a moment in a time zone."""
    return datetime.fromtimestamp(moment, UTC if zone.lower() == "utc" else ZoneInfo(zone))


def parse_duration(text: str) -> float:
    """Return a duration such as `15s` or `1h30m` in seconds.

    Raises:
        RenderError: If it is none.
    """
    text = text.strip().lstrip(">")
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise RenderError(f"{text!r} is no duration such as 15s or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """Return seconds as Prometheus writes durations, in the largest unit that fits exactly."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds >= size and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def parse_moment(text: str, *, now: float, end: bool = False, zone: str = "utc") -> float:
    """Return a moment such as `now-6h`, `now/d`, `2026-11-21T10:00:00Z` or epoch seconds or milliseconds.

    Args:
        text: The moment.
        now: What `now` means.
        end: Whether `/d` rounds up, as it does at the end of a range.
        zone: Time zone of `/d` and of dates without one.

    Raises:
        RenderError: If it is none of these.
    """
    text = text.strip()
    found = _RELATIVE.fullmatch(text)
    if found:
        sign, number, unit, rounding = found.groups()
        moment = at(now, zone)
        if number:
            moment = _shift(moment, int(number) * (-1 if sign == "-" else 1), unit)
        if rounding:
            moment = _floor(moment, rounding)
            if end:
                moment = _shift(moment, 1, rounding) - timedelta(milliseconds=1)
        return moment.timestamp()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        number_ = float(text)
        # Grafana's addresses count in milliseconds, Prometheus and `date +%s` in seconds.
        return number_ / 1000 if number_ > 1e11 else number_
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RenderError(f"{text!r} is no time: give now-6h, 2026-11-21T10:00:00Z or seconds since 1970") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=at(now, zone).tzinfo)).timestamp()


def parse_range(start: str, end: str, *, now: float, zone: str = "utc") -> TimeRange:
    """Return the time range between two moments.

    Raises:
        RenderError: If one is no moment, or the end is not after the start.
    """
    found = TimeRange(parse_moment(start, now=now, zone=zone), parse_moment(end, now=now, end=True, zone=zone))
    if found.seconds <= 0:
        raise RenderError(f"the time range from {start} to {end} is empty: the end must be after the start")
    return found


def round_interval(seconds: float) -> float:
    """Return the round interval that Grafana takes for an exact one."""
    milliseconds = seconds * 1000
    return next((rounded for bound, rounded in _ROUND if milliseconds < bound), 31_536_000_000) / 1000


def query_steps(
    span: TimeRange,
    *,
    max_data_points: int,
    scrape: float = DEFAULT_SCRAPE,
    min_step: str = "",
    panel_step: str = "",
    factor: int = 1,
) -> Steps:
    """Return `$__interval` and `$__rate_interval` of a query.

    Args:
        span: What is shown.
        max_data_points: The panel's setting, else its width in pixels.
        scrape: The data source's scrape interval.
        min_step: The query's own lower bound, such as `30s`; may be empty. It stands for the scrape interval in rates.
        panel_step: The panel's lower bound for all its queries; may be empty. It leaves rates alone.
        factor: The query's resolution factor of old (1/2 is 2).
    """
    rate_step = min_step in ("$__rate_interval", "${__rate_interval}")
    given = parse_duration(min_step) if min_step and not rate_step and not min_step.startswith("$") else 0.0
    low = given or (parse_duration(panel_step) if panel_step else scrape)
    exact = span.seconds / max(1, max_data_points)
    calculated = low if exact < low else round_interval(exact)
    safe = round_interval(span.seconds / SAFE_RESOLUTION) if span.seconds / SAFE_RESOLUTION >= 0.001 else 0.001
    step = max(safe, calculated)
    scrape = given or scrape
    rate = max(step + scrape, 4 * scrape)
    if rate_step:
        return Steps(rate, rate)
    return Steps(step * max(1, factor), rate)


def align(span: TimeRange, step: float) -> TimeRange:
    """Return the range with both ends on multiples of the step, so that a repeated query gives the same points."""
    return TimeRange(math.floor(span.start / step) * step, math.floor(span.end / step) * step)


def _shift(moment: datetime, count: int, unit: str) -> datetime:
    if unit in ("M", "Q", "y"):
        months = moment.year * 12 + moment.month - 1 + count * {"M": 1, "Q": 3, "y": 12}[unit]
        year, month = divmod(months, 12)
        last = (datetime(year + (month + 1) // 12, (month + 1) % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)).day
        return moment.replace(year=year, month=month + 1, day=min(moment.day, last))
    return moment + timedelta(seconds=count * _UNITS[unit])


def _floor(moment: datetime, unit: str) -> datetime:
    cleared = {"s": 1, "m": 2, "h": 3}.get(unit, 4)
    fields = ("microsecond", "second", "minute", "hour")[:cleared]
    moment = moment.replace(**dict.fromkeys(fields, 0))  # type: ignore[arg-type] # all four take whole numbers
    if unit == "w":
        return moment - timedelta(days=moment.weekday())
    month = {"M": moment.month, "Q": 3 * ((moment.month - 1) // 3) + 1, "y": 1}.get(unit)
    return moment.replace(month=month, day=1) if month else moment
