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
    return f"; {_SETTINGS}.columns.timestamp.unit: {unit} reads it" if unit else ""


def of_state(text: str, known: Collection[str]) -> str:
    """Return what makes a word a state."""
    plain = re.sub(r"[\s-]", "_", text.lower())
    return f"; say which of them it is: {_SETTINGS}.states: {{{text}: {plain if plain in known else '...'}}}"


def of_header(missing: Sequence[str], header: Sequence[str], wanted: Collection[str]) -> str:
    """Return what makes the first line one with the names of the columns.

    Args:
        missing: Names that there are not.
        header: What the line holds.
        wanted: All names that may be there.
    """
    cells = [cell.strip() for cell in header]
    if not set(cells) & set(wanted) and any(_NUMBER.fullmatch(cell) or _TIME.fullmatch(cell) for cell in cells):
        return "the first line looks like a row: put one with the names of the columns before it"
    others = [cell for cell in cells if cell and cell not in wanted]
    found = next(((name, near) for name in missing if (near := closest(name, others))), None)
    such = f", such as `{found[0]}: {found[1][:40]}`" if found else ""
    return f"map other names with {_SETTINGS}.columns{such}; `name: null` says that there is no such column"
