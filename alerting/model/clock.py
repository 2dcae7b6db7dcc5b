"""Times and dates as Alertmanager takes them: for one that it does not take, it refuses its whole file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, StrictStr, WithJsonSchema

from ml_monitoring.exporter.suggestions import suggestion
from ml_monitoring.exporter.values import valid_zone

_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_NUMBER: Final = re.compile(r"-?\d{1,4}")
_LONGEST_MONTH: Final = 31


def _time(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", text):
        raise ValueError(f"{text!r} is not a time of day such as 08:00")
    return text


def _range(parse: Callable[[str], int], ends: Sequence[str], text: str) -> str:
    """Return the text when it is one of a kind, or from one to another with a colon between them."""
    first, colon, last = text.partition(":")
    if colon and parse(first) > parse(last):
        parts = [(first, ends[-1]), (ends[0], last)] if ends else [(last, first)]
        wanted = " and ".join(one if one == other else f"{one}:{other}" for one, other in parts)
        raise ValueError(f"{text!r} ends before it begins: write {wanted}")
    parse(first)
    return text


def _named(names: Sequence[str], what: str, text: str) -> int:
    if text.lower() not in names:
        raise ValueError(f"{text!r} is no {what}{suggestion(text, names)}")
    return names.index(text.lower())


def _month(text: str) -> int:
    if _NUMBER.fullmatch(text):
        if not 1 <= int(text) <= len(_MONTHS):
            raise ValueError(f"{text!r} is no month: they are numbered from 1 to 12")
        return int(text)
    return _named(_MONTHS, "month", text) + 1


def _year(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no year")
    return int(text)


def _day(text: str) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= abs(int(text)) <= _LONGEST_MONTH:
        raise ValueError(f"{text!r} is no day of the month: write 1 to 31, or -1 for the last one and -31 to -1")
    return int(text)


def _days(text: str) -> str:
    first, colon, last = text.partition(":")
    begin, end = _day(first), _day(last if colon else first)
    if begin < 0 < end:
        raise ValueError(f"{text!r} begins at the end of the month: write {first}:-1 and 1:{last}")
    # From the end, as far as in the longest month.
    if begin > (end if end > 0 or begin < 0 else end + _LONGEST_MONTH + 1):
        raise ValueError(f"{text!r} ends before it begins")
    return text


def _number_as_text(value: object) -> object:
    # As Alertmanager reads it: 12 is '12'.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _zone(text: str) -> str:
    # That of the machine where Alertmanager runs.
    return text if text == "Local" else valid_zone(text)


def refuse_backwards(start: str, end: str) -> None:
    """Refuse a part of a day that ends before it begins, as Alertmanager takes no night as one.

    Raises:
        ValueError: It does.
    """
    if start == end:
        raise ValueError("ends when it begins: write 00:00-24:00 for the whole day")
    if start > end:
        parts = [f"{start}-24:00", *([f"00:00-{end}"] if end != "00:00" else [])]
        wanted = f"two ranges, {' and '.join(parts)}" if len(parts) > 1 else parts[0]
        raise ValueError(f"ends before it begins: write {wanted}")


Clock = Annotated[StrictStr, AfterValidator(_time)]
Weekdays = Annotated[
    StrictStr, AfterValidator(partial(_range, partial(_named, _WEEKDAYS, "day of the week"), _WEEKDAYS))
]
# A number alone needs no quotes.
_Numbers = Annotated[StrictStr, BeforeValidator(_number_as_text), WithJsonSchema({"type": ["string", "integer"]})]
Months = Annotated[_Numbers, AfterValidator(partial(_range, _month, ("1", "12")))]
Years = Annotated[_Numbers, AfterValidator(partial(_range, _year, ()))]
Days = Annotated[_Numbers, AfterValidator(_days)]
Zone = Annotated[StrictStr, AfterValidator(_zone)]
