"""Which setting reads what a fleet file holds and cannot be used: ends of messages, empty where none does."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from ml_monitoring.exporter.suggestions import closest

_SETTINGS: Final = "sources.fleet"
_COMMA: Final = re.compile(r"[-+]?\d+,\d+")
_WITH_UNIT: Final = re.compile(r"[-+]?\d[\d.,]*\s*(%|[a-zA-Z]+(?:/s)?)")
_NUMBER: Final = re.compile(r"[-+]?\d+(?:[.,]\d+)?")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d\b.*")
_SINCE_1970: Final = re.compile(r"(\d{9,19})(?:\.\d+)?")
# Of so many digits is the time of this century since 1970 in each unit.
_DIGITS: Final = {"s": (9, 10), "ms": (12, 13), "us": (15, 16), "ns": (18, 19)}
_PERCENT: Final = "percent"
_EXAMPLE: Final = "write it as 2026-11-30T18:00:00Z"
_THOUSANDS: Final = re.compile(r"[-+]?\d{1,3}(?:([,.' \u00a0\u202f])\d{3})+(?:[.,]\d+)?")
# Days since 1900, as spreadsheets count them, of this century.
_DAYS: Final = re.compile(r"[3-7]\d{4}(?:[.,]\d+)?")
# How far local times can be ahead of UTC.
_MOST_OFFSET: Final = 14 * 3600.0
# What people write where there is no value; other words may be a mistake.
_NO_VALUE: Final = frozenset({"n/a", "#n/a", "-", "--", "\u2013", "\u2014", "missing", "unknown", "undefined", "nil"})
# How many lines below the first are looked at for names of columns, and how many names make such a line.
_LINES: Final = 20
_NAMES: Final = 3


def of_number(cell: object, name: str, unit: str, units: Collection[str], decimal: str) -> str:
    """Return what makes a text a number.

    Args:
        cell: The text.
        name: The column.
        unit: The unit that it has by the settings.
        units: Those that it may have.
        decimal: The decimal mark by the settings.
    """
    text = str(cell).strip()
    if decimal == "." and _COMMA.fullmatch(text):
        return f'; {_SETTINGS}.decimal: "," reads it'
    if "iso" in units and _TIME.fullmatch(text):
        return f"; {_SETTINGS}.columns.{name}.unit: iso reads it"
    if text.lower() in _NO_VALUE:
        return "; leave the cell empty, or write NULL or NaN, where there is no value"
    if grouped := _THOUSANDS.fullmatch(text):
        return f"; write numbers without {grouped[1]!r} between thousands"
    written = _WITH_UNIT.fullmatch(text)
    meant = written and (_PERCENT if written[1] == "%" else written[1])
    if meant not in units:
        return ""
    given = "" if meant == unit else f", and their unit as {_SETTINGS}.columns.{name}.unit: {meant}"
    return f"; write numbers without {written[1] if written else ''} behind them{given}"


def of_share(value: float, name: str, unit: str) -> str:
    """Return what makes a number that is too large a share."""
    is_percent = unit == "ratio" and 1 < value <= 100
    return f"; if it is percent, give {_SETTINGS}.columns.{name}.unit: {_PERCENT}" if is_percent else ""


def of_time(cell: object) -> str:
    """Return what makes a number a time."""
    number = _SINCE_1970.fullmatch(str(cell).strip())
    unit = next((unit for unit, digits in _DIGITS.items() if number and len(number[1]) in digits), "")
    if unit:
        return f"; {_SETTINGS}.columns.timestamp.unit: {unit} reads it"
    text = "" if cell is None else str(cell).strip()
    if not text:
        return ""
    days = " (a spreadsheet's number of days)" if _DAYS.fullmatch(text) else ""
    return f"{days}; {_EXAMPLE}"


def of_local_time(ahead: float, zone: str) -> str:
    """Return what may make a time without a zone one that is not in the future.

    Args:
        ahead: Seconds by which it is.
        zone: As which it was read.
    """
    return f"; read as {zone}: {_SETTINGS}.timezone says which zone it is" if ahead <= _MOST_OFFSET else ""


def of_unit(time: float, latest: float, unit: str) -> str:
    """Return what makes a number of a wrong unit a time.

    Args:
        time: What it is in its unit, seconds since the epoch.
        latest: The latest that it can be.
        unit: Its unit.
    """
    units = list(_DIGITS)
    for step, smaller in enumerate(units[units.index(unit) + 1 :], start=1):
        if latest / 3 < time / 1000**step < latest * 3:
            return f"; {_SETTINGS}.columns.timestamp.unit: {smaller} reads it"
    return ""


def of_state(text: str, known: Collection[str]) -> str:
    """Return what makes a word a state."""
    plain = re.sub(r"[\s-]", "_", text.lower())
    return f"; say which of them it is: {_SETTINGS}.states: {{{text}: {plain if plain in known else '...'}}}"


def of_header(missing: Sequence[str], header: Sequence[str], wanted: Collection[str], below: str = "") -> str:
    """Return what makes the first line one with the names of the columns.

    Args:
        missing: Names that there are not.
        header: What the line holds.
        wanted: All names that may be there.
        below: The lines below it.
    """
    cells = [cell.strip() for cell in header]
    for number, line in enumerate(below.split("\n")[:_LINES], start=2):
        if len({cell.strip(' "\r') for cell in re.split(r"[,;\t|]", line)} & set(wanted)) >= _NAMES:
            return f"the names of the columns stand in line {number}: take out what is above it"
    if not set(cells) & set(wanted) and any(_NUMBER.fullmatch(cell) or _TIME.fullmatch(cell) for cell in cells):
        return "the first line looks like a row: put one with the names of the columns before it"
    others = [cell for cell in cells if cell and cell not in wanted]
    found = {}
    for name in missing:
        if near := closest(name, others):
            found[name] = near
            others.remove(near)
    such = f", such as `{', '.join(f'{name}: {near[:40]}' for name, near in found.items())}`" if found else ""
    return f"map other names with {_SETTINGS}.columns{such}; `name: null` says that there is no such column"
