"""How a value that was refused is written right: numbers, variables, quotes and braces."""

from __future__ import annotations

import re
from typing import Final

_PERCENTAGE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")
_DECIMAL: Final = re.compile(r"(-?\d+),(\d+)")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_WITH_UNIT: Final = re.compile(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]{1,3})")
_MULTIPLES: Final = {"k": 1e3, "M": 1e6, "G": 1e9}
_THOUSANDS: Final = 3
# How others write variables, and who fills in templates.
_VARIABLE: Final = re.compile(r"\$[A-Za-z_]\w*|\$\(\w+\)|%\w+%|\$\{\w*|\{\{.*", re.DOTALL)
# Straight ones, and those that word processors put.
_QUOTES: Final = "\"'`\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
VARIABLES: Final = "a variable is written ${NAME}, or ${NAME:-default}"


def share_hint(value: object) -> str:
    """Return how a percentage is written where a share is expected, as the end of a message; empty for others."""
    given = _PERCENTAGE.fullmatch(str(value).strip())
    if given is None or not (given[2] or 1 < float(given[1]) < 100):
        return ""
    percent = float(given[1])
    return f": write {percent / 100:.12g} for {percent:.12g} %"


def number_hint(value: object, *, is_whole: bool = False) -> str:
    """Return how a text that is no number is written as one, as the end of a message; empty where it is none at all."""
    text = value.strip() if isinstance(value, str) else ""
    if found := _DECIMAL.fullmatch(text):
        whole, part = found.groups()
        if len(part) == _THOUSANDS and whole.strip("-0"):
            return f": write {whole}{part}{'' if is_whole else f', or {whole}.{part} with a point'}"
        return "" if is_whole else f": write {whole}.{part}, with a point"
    if _NUMBER.fullmatch(text):
        return ": write it without quotes"
    if found := _WITH_UNIT.fullmatch(text):
        number, unit = found.groups()
        if times := _MULTIPLES.get(unit):
            return f": write {float(number) * times:.12g}"
        seconds = f", or {float(number) / 1e3:.12g} where seconds are meant" if unit == "ms" and not is_whole else ""
        return f": write {number} alone{seconds}"
    return ""


def form_hint(value: object, *, takes_variables: bool) -> str:
    """Return what is wrong with the form of a text; empty where something else is.

    Args:
        value: What was given.
        takes_variables: Whether `${NAME}` counts where it stands.
    """
    # Of `{{ name }}` without quotes, YAML makes two mappings.
    if isinstance(value, dict) and [*value.values()] == [None] and not isinstance(next(iter(value)), str | int):
        return VARIABLES if takes_variables else "must be a text: write one that begins with {{ in quotes"
    text = value.strip() if isinstance(value, str) else ""
    if takes_variables and _VARIABLE.fullmatch(text):
        return VARIABLES
    is_quoted = len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES
    return "holds quotes itself: take them out" if is_quoted else ""
