"""Numbers that cannot be meant for their alert: missing ones, of another unit, out of range."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from ml_monitoring.alerting.model import regex
from ml_monitoring.alerting.model.alert import Alert, Kind
from ml_monitoring.alerting.model.numbers import Numbers
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog import Unit
from ml_monitoring.exporter.settings_hints import Location, fields_at
from ml_monitoring.exporter.suggestions import suggestion_or_all
from ml_monitoring.exporter.value_hints import number_hint, share_hint


def misfits(alert: Alert, numbers: Numbers) -> Iterator[tuple[Location, str]]:
    """Yield what of its numbers cannot be meant for an alert, each with its place in them."""
    yield from _check_threshold(alert, numbers)
    yield from _check_parameters(alert, numbers)
    yield from _check_confidence(alert, numbers)


def _check_threshold(alert: Alert, numbers: Numbers) -> Iterator[tuple[Location, str]]:
    given = {"threshold": numbers.threshold, "unit": numbers.unit}
    for key, value in given.items():
        if alert.comparison is None and value is not None:
            yield (key,), "this alert compares nothing"
        if alert.comparison is not None and value is None:
            yield (key,), "is missing"
    if alert.comparison is None or numbers.threshold is None or numbers.unit is None:
        return
    if numbers.unit is not alert.signal.unit:
        yield ("unit",), f"the signal {alert.signal.name} is in {alert.signal.unit.value}, not {numbers.unit.value}"
    elif message := _misfit(numbers.threshold, numbers.unit) or _never(alert, numbers.threshold):
        yield ("threshold",), message


def _never(alert: Alert, threshold: float | str) -> str:
    """Return that no value can be beyond a threshold; empty where one can."""
    lowest, highest, _ = _RANGES.get(alert.signal.unit, _ANY)
    if alert.signal.signed or alert.signal.above_one:
        return ""
    for comparison, end, word in ((">", highest, "above"), ("<", lowest, "below")):
        if alert.comparison == comparison and threshold == end:
            hint = _PERCENT if end == 1 and alert.signal.unit is Unit.RATIO else "; to switch it off write null"
            return f"can never fire: no value is {word} {end}{hint}"
    return ""


def always(alert: Alert, numbers: Numbers, usual: object) -> str:
    """Return that most values are beyond the threshold of an alert on a share; empty where that is not so.

    Args:
        alert: The alert.
        numbers: Its numbers.
        usual: Its threshold by default.
    """
    is_share = alert.signal.unit is Unit.RATIO and not alert.signal.signed
    if is_share and alert.comparison == "<" and numbers.threshold == 1 and numbers.enabled:
        return f"as good as always fires: nearly every value is below 1{_PERCENT}"
    given = numbers.threshold
    if not (isinstance(given, float) and isinstance(usual, float)):
        return ""
    if is_share and alert.comparison == "<" and numbers.enabled and usual < _HALF < given:
        return f"fires below {given:.12g}, by default below {usual:.12g}: write {1 - given:.12g} if the rest is meant"
    return ""


def _check_parameters(alert: Alert, numbers: Numbers) -> Iterator[tuple[Location, str]]:
    for name in numbers.parameters.keys() - alert.parameters.keys():
        is_above = name in fields_at(Numbers, ())
        meant = "; it belongs beside parameters" if is_above else suggestion_or_all(name, alert.parameters)
        yield ("parameters", name), f"is not a parameter of this alert{meant}"
    for name, kind in alert.parameters.items():
        if name not in numbers.parameters:
            yield ("parameters", name), "is missing"
        elif message := _misfit(numbers.parameters[name], kind):
            yield ("parameters", name), message


def _check_confidence(alert: Alert, numbers: Numbers) -> Iterator[tuple[Location, str]]:
    takes = any(evidence.takes_confidence for evidence in alert.evidence)
    if takes and numbers.confidence is None:
        yield ("confidence",), "is missing: how sure must the alert be, such as 0.999?"
    if not takes and numbers.confidence is not None:
        yield ("confidence",), "this alert does not judge chance"


_HALF = 0.5
_PERCENT = ", which is 100 %: write 0.01 for 1 %"
# What a number in a unit must be, in words and as a range; other units take any number.
_COUNT = (0, sys.float_info.max, "a count")
_ANY = (-sys.float_info.max, sys.float_info.max, "a finite number")
_RATIO = (0, 1, "a ratio in 0..1")
_RANGES: Mapping[Unit | Kind, tuple[float, float, str]] = {
    Unit.RATIO: _RATIO,
    Unit.FLAG: (0, 1, "0 or 1"),
    Unit.COUNT: _COUNT,
    Kind.COUNT: _COUNT,
    Kind.RATIO: _RATIO,
}


def _misfit(value: float | str, unit: Unit | Kind) -> str:
    """Return why the value cannot be meant in this unit, or nothing."""
    if unit in (Unit.SECONDS, Kind.DURATION):
        return _duration_misfit(value)
    if unit is Kind.PATTERN:
        return _pattern_misfit(value)
    hint = share_hint(value) if _RANGES.get(unit) is _RATIO else ""
    if isinstance(value, str):
        of_unit = (
            f": it is in {unit.value}, of which there is no %" if not hint and value.rstrip().endswith("%") else ""
        )
        return f"{value!r} is not a number{hint or of_unit or number_hint(value)}"
    lowest, highest, meaning = _RANGES.get(unit, _ANY)
    return "" if lowest <= value <= highest else f"{value!r} is not {meaning}{hint}"


def _duration_misfit(value: float | str) -> str:
    if not isinstance(value, str):
        return f"{value!r} has no unit: write a duration such as 5m, 6h or 1d"
    try:
        durations.parse_positive(value)
    except ValueError as error:
        return str(error)
    return ""


def _pattern_misfit(value: float | str) -> str:
    if not isinstance(value, str):
        return f"{value!r} is not a regular expression: write it in quotes"
    problem = regex.problem_of(value)
    return f"{value!r} is not a regular expression: {problem}" if problem else ""
