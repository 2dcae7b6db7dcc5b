"""Wrong values that a service hands to a recording method: what is wrong, and in which of its lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import inf, isfinite
from typing import Final

from ml_monitoring.instrument.labels import clean, is_label_value

_LONG: Final = 80
_FLAG: Final = "True or False"
# What sums of numbers of 32 bits, such as those of a softmax, are off by.
_ROUNDING: Final = 1e-6
# Of these `float` makes numbers as well.
_TEXTS: Final = (str, bytes, bytearray)


class WrongValueError(ValueError):
    """A value that cannot be recorded; the message names its argument.

    Args:
        text: What is wrong.
        place: File and line of the mistake, where that is not what called.
    """

    def __init__(self, text: str, place: str = "") -> None:
        super().__init__(text)
        self.place = place


def is_true(name: str, value: object) -> bool:
    """Return whether an argument that is a flag is set.

    Raises:
        WrongValueError: It is anything else, most of which counts as true in Python.
    """
    if value is True or value is False:
        return value
    number = as_number(value)
    if number not in (0, 1):
        raise WrongValueError(_wrong(name, value, _FLAG))
    return bool(number)


def finite(name: str, value: float, at_least: float = -inf) -> float:
    """Return a number that can be recorded as one of Python.

    Raises:
        WrongValueError: It is no number, not finite, or less than it can be.
    """
    if type(value) is not float:
        value = _number(name, value)
    if not isfinite(value) or value < at_least:
        raise WrongValueError(_wrong(name, value, "a finite number" if at_least < 0 else "a number of 0 or more"))
    return value


def share(name: str, value: float) -> float:
    """Return a number from 0 to 1; what rounding puts beyond is the end.

    Raises:
        WrongValueError: It is another one.
    """
    if type(value) is not float:
        value = _number(name, value)
    if 0 <= value <= 1:
        return value
    if not -_ROUNDING <= value <= 1 + _ROUNDING:
        raise WrongValueError(_wrong(name, value, "a share from 0 to 1"))
    return 0.0 if value < 0 else 1.0


def _number(name: str, value: object) -> float:
    number = as_number(value)
    if number is None:
        raise WrongValueError(_wrong(name, value, "a number"))
    return number


def text(name: str, value: object) -> str:
    """Return the value of a label that a service names.

    Raises:
        WrongValueError: It is none: a collection, or nothing.
    """
    if value is None or not is_label_value(value):
        raise WrongValueError(_wrong(name, value, "text"))
    return clean(value)


def as_number(value: object) -> float | None:
    """Return a number of any package as one of Python, also the only one of an array; None if it is something else."""
    try:
        plain = value.item() if hasattr(value, "item") else value
        return None if isinstance(plain, _TEXTS) else float(plain)  # type: ignore[arg-type]  # that is the question
    except OverflowError:
        return inf
    except Exception:  # noqa: BLE001  # packages raise what they like
        return None


def close_to(name: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Return the known name that another is most like; empty if it is like none."""
    from difflib import get_close_matches  # noqa: PLC0415  # takes long to import, and mistakes are rare

    return "".join(get_close_matches(name, known, 1, alike))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question whether another name is meant; empty if none is like it."""
    meant = close_to(name, known)
    return f"; did you mean {meant!r}?" if meant else ""


def shown(value: object) -> str:
    """Return what was given as an option, in short: nobody reads a table or an address in memory."""
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return name
    # Up to the last @ of an address there may be a password.
    text = re.sub(r"(\w+://).*@", r"\1...@", repr(value))
    is_short = len(text) <= _LONG and "\n" not in text
    return text if is_short and not text.startswith("<") and " at 0x" not in text else f"this {type(value).__name__}"


def _wrong(name: str, value: object, wanted: str) -> str:
    # Of what is no number, never the value: it may be anything of anybody's.
    if (number := as_number(value)) is not None:
        given = f"{number:g}"
    else:
        given = "None" if value is None else f"of type {type(value).__name__}"
    return f"{name} is {given}, not {wanted}"
