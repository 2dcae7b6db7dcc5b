"""Grafana's value formats: a number with its unit, as text.

`units.json` names for each unit id the kind of format and its arguments; the kinds are repeated here from Grafana's
own, so that a picture says exactly what Grafana would.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ml_monitoring.dashboards.render import durations
from ml_monitoring.dashboards.render.dates import ISO, format_date, same_day, time_ago
from ml_monitoring.dashboards.render.numbers import js_exponential, js_hex, js_locale, js_string
from ml_monitoring.dashboards.render.text import Text, to_fixed

_US = "MM/DD/YYYY h:mm:ss a"
# Between time and AM/PM, English writes a narrow space that does not break.
_LOCAL = "MM/DD/YYYY, hh:mm:ss\u202fA"
_SI = ["f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P", "E", "Z", "Y"]
_BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]
_COUNT = ["", "K", "M", "B", "T"]


@dataclass(frozen=True, slots=True)
class Clock:
    """What dates depend on: the time zone, and now (seconds since the epoch; None is the present)."""

    zone: str = "utc"
    now: float | None = None


Formatter = Callable[[float, int | None, Clock], Text]
UTC_CLOCK = Clock()


def format_value(value: float, unit: str = "", decimals: int | None = None, clock: Clock = UTC_CLOCK) -> Text:
    """Return a number in a unit.

    Args:
        value: The number.
        unit: Grafana's unit id; a custom one such as `suffix:req` or `currency:€` too.
        decimals: Digits after the point; None lets Grafana's rule choose.
        clock: What dates depend on.
    """
    return formatter(unit)(value, decimals, clock)


@cache
def formatter(unit: str) -> Formatter:
    """Return the format of a unit; what is no known unit is shown behind the number, as in Grafana."""
    known = unit_table().get(_ALIASES.get(unit, unit))
    if known is not None:
        kind, *arguments = known
        return _KINDS[kind](*arguments)
    if not unit:
        return _fixed("")
    kind, colon, rest = unit.partition(":")
    custom: dict[str, Callable[[str], Formatter]] = {
        "prefix": lambda text: _fixed(text, prefix=True),
        "suffix": _fixed,
        "time": _date,
        "si": _custom_si,
        "count": _count,
        "currency": _custom_currency,
        "bool": lambda text: _boolean(*((text.split("/", 1)) if "/" in text else (text, "-"))),
    }
    return custom[kind](rest) if colon and kind in custom else _fixed(unit)


@cache
def unit_table() -> dict[str, Sequence[str]]:
    """Return kind and arguments of each of Grafana's units."""
    path = Path(__file__).with_name("units.json")
    table: dict[str, Sequence[str]] = json.loads(path.read_text(encoding="utf-8"))
    return table


_ALIASES = {"farenheit": "fahrenheit"}


def _fixed(unit: str, *, prefix: bool = False) -> Formatter:
    def one(value: float, decimals: int | None, _: Clock) -> Text:
        text = to_fixed(value, decimals)
        if unit and prefix:
            return Text(text, prefix=unit)
        return Text(text, suffix=f" {unit}" if unit else "")

    return one


def _scaled(factor: float, suffixes: Sequence[str], offset: int = 0) -> Formatter:
    def one(value: float, decimals: int | None, _: Clock) -> Text:
        if not math.isfinite(value):
            return Text(js_locale(value))
        power = 0 if value == 0 else math.floor(math.log10(abs(value)) / math.log10(factor))
        suffix = suffixes[max(0, min(offset + power, len(suffixes) - 1))]
        power = max(-offset, min(power, len(suffixes) - offset - 1))
        return Text(to_fixed(value / float(factor) ** power, decimals), suffix=suffix)

    return one


def _si(unit: str, offset: int = 0) -> Formatter:
    return _scaled(1000, [f" {prefix}{unit}" for prefix in _SI], _SI.index("") + int(offset))


def _binary(unit: str, offset: int = 0) -> Formatter:
    return _scaled(1024, [f" {prefix}{unit}" for prefix in _BINARY], int(offset))


def _count(symbol: str) -> Formatter:
    return _scaled(1000, [f"{unit} {symbol}" for unit in _COUNT])


def _currency(symbol: str, as_suffix: bool = False) -> Formatter:
    scaled = _scaled(1000, _COUNT)

    def one(value: float, decimals: int | None, clock: Clock) -> Text:
        text = scaled(abs(value), decimals, clock)
        sign = "-" if value < 0 else ""
        if as_suffix:
            suffix = f"{text.suffix}{symbol}" if math.isfinite(value) else ""
            return Text(text.text, prefix=sign, suffix=suffix)
        return Text(text.text, prefix=f"{sign}{symbol}", suffix=text.suffix)

    return one


def _custom_currency(text: str) -> Formatter:
    parts = text.split(":")
    if parts[0] != "financial" or len(parts) < 2:
        return _currency(text)
    symbol, as_suffix = parts[1], parts[2:3] == ["suffix"]
    if not symbol:
        return _fixed("")

    def one(value: float, decimals: int | None, _: Clock) -> Text:
        least, most = (0, 1) if decimals is None else (decimals, decimals)
        number = js_locale(value, least, most)
        return Text(number, prefix="" if as_suffix else symbol, suffix=symbol if as_suffix else "")

    return one


def _custom_si(text: str) -> Formatter:
    # The micro sign may be typed as the Greek letter.
    first = text[:1].replace("μ", "µ")
    offset = _SI.index(first) - _SI.index("") if first in _SI and first else 0
    return _si(text[1:] if offset else text, offset)


def _boolean(true: str, false: str) -> Formatter:
    return lambda value, _, __: Text(true if value and not math.isnan(value) else false)


def _date(pattern: str, today: str = "") -> Formatter:
    def one(value: float, _: int | None, clock: Clock) -> Text:
        chosen = today if today and same_day(value, clock.now, clock.zone) else pattern
        return Text(format_date(value, chosen, clock.zone))

    return one


def _from_now() -> Formatter:
    return lambda value, _, clock: Text(time_ago(value, clock.now))


def _percent(factor: int) -> Formatter:
    return lambda value, decimals, _: Text(to_fixed(factor * value, decimals), suffix="%")


def _hexadecimal(prefix: str = "") -> Formatter:
    def one(value: float, decimals: int | None, _: Clock) -> Text:
        fixed = to_fixed(value, decimals)
        text = js_hex(float(fixed.replace("∞", "nan")))
        return Text(f"-{prefix}{text[1:]}" if text.startswith("-") and prefix else prefix + text)

    return one


def _locale() -> Formatter:
    return lambda value, decimals, _: Text(js_locale(value, 0, decimals))


def _scientific() -> Formatter:
    return lambda value, decimals, _: Text(js_exponential(value, decimals))


def _string() -> Formatter:
    return lambda value, _, __: Text(js_string(value))


def _duration(name: str) -> Formatter:
    function = durations.DURATIONS[name]
    return lambda value, decimals, _: function(value, decimals)


_KINDS: dict[str, Callable[..., Formatter]] = {
    "fixed": _fixed,
    "scaled": lambda factor, *suffixes: _scaled(float(factor), suffixes),
    "si": _si,
    "binary": _binary,
    "count": _count,
    "currency": _currency,
    "bool": _boolean,
    "percent": lambda: _percent(1),
    "percentunit": lambda: _percent(100),
    "hex": _hexadecimal,
    "hex0x": lambda: _hexadecimal("0x"),
    "locale": _locale,
    "sci": _scientific,
    "string": _string,
    "date": _date,
    "fromNow": _from_now,
    "duration": _duration,
}

DATE_PATTERNS = {
    "dateTimeAsIso": (ISO,),
    "dateTimeAsIsoNoDateIfToday": (ISO, "HH:mm:ss"),
    "dateTimeAsUS": (_US,),
    "dateTimeAsUSNoDateIfToday": (_US, "h:mm:ss a"),
    "dateTimeAsLocal": (_LOCAL,),
    "dateTimeAsLocalNoDateIfToday": (_LOCAL, "hh:mm:ss\u202fA"),
    "dateTimeAsSystem": (ISO,),
}


def is_date(unit: str) -> bool:
    """Return whether the unit shows a time."""
    return unit in DATE_PATTERNS or unit == "dateTimeFromNow" or unit.startswith("time:")
