"""Calculations that make one value of a field's many, with Grafana's names and its treatment of nulls."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from ml_monitoring.dashboards.render.frames import Field, FieldKind

_ALIASES = {"current": "lastNotNull", "avg": "mean", "total": "sum"}

NAMES = {
    "lastNotNull": "Last *", "last": "Last", "firstNotNull": "First *", "first": "First", "min": "Min", "max": "Max",
    "mean": "Mean", "median": "Median", "variance": "Variance", "stdDev": "StdDev", "sum": "Total", "count": "Count",
    "countAll": "Count all", "range": "Range", "delta": "Delta", "step": "Step", "diff": "Difference",
    "logmin": "Min (above zero)", "allIsZero": "All Zeros", "allIsNull": "All Nulls", "changeCount": "Change Count",
    "distinctCount": "Distinct Count", "diffperc": "Difference percent", "allValues": "All values",
    "uniqueValues": "All unique values",
}  # fmt: skip

# What these give is no quantity of the field's unit.
UNITLESS = frozenset({"count", "countAll", "allIsNull", "changeCount", "distinctCount", "diffperc"})


def calculation_name(calculation: str) -> str:
    """Return how legends and columns call a calculation."""
    calculation = _ALIASES.get(calculation, calculation)
    if calculation[:1] == "p" and calculation[1:].isdigit():
        number = int(calculation[1:])
        ending = "th" if 3 < number < 21 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
        return f"{number}{ending} %"
    return NAMES.get(calculation, calculation)


def reduce_field(field: Field, calculation: str) -> Any:
    """Return the calculation over the field; None where there is nothing to calculate from."""
    calculation = _ALIASES.get(calculation, calculation)
    if calculation in _RAW:
        return _RAW[calculation](field.values)
    present = [value for value in field.values if value is not None and not _is_nan(value)]
    if calculation in ("lastNotNull", "firstNotNull"):
        return present[-1 if calculation == "lastNotNull" else 0] if present else None
    if field.kind not in (FieldKind.NUMBER, FieldKind.TIME):
        return 0 if calculation == "sum" else None
    numbers = [float(value) for value in present]
    if calculation in _ON_NUMBERS:
        return _ON_NUMBERS[calculation](numbers)
    if calculation[:1] == "p" and calculation[1:].isdigit():
        # Grafana takes the nearest rank of all non-null values.
        return sorted(numbers)[_js_round((len(numbers) - 1) * int(calculation[1:]) / 100)] if numbers else None
    return None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _js_round(value: float) -> int:
    return math.floor(value + 0.5)


def _sum(numbers: list[float]) -> float:
    total = 0.0
    for number in numbers:
        total += number
    return total


def _or_none(call: Callable[[list[float]], float], least: int = 1) -> Callable[[list[float]], float | None]:
    return lambda numbers: call(numbers) if len(numbers) >= least else None


def _delta(numbers: list[float]) -> float:
    """Return by how much a counter rose; after a fall the next rise is not counted, as in Grafana."""
    total, up = 0.0, True
    for before, after in pairwise(numbers):
        if before > after:
            up = False
        else:
            total += after - before if up else 0.0
            up = True
    return total


def _diff_percent(numbers: list[float]) -> float:
    change = numbers[-1] - numbers[0]
    if numbers[0] == 0:
        return math.nan if change == 0 else math.copysign(math.inf, change)
    return change / numbers[0] * 100


def _spread(values: list[float]) -> float:
    return statistics.pvariance(values)


_ON_NUMBERS: dict[str, Callable[[list[float]], float | None]] = {
    "min": _or_none(min),
    "max": _or_none(max),
    "mean": _or_none(lambda numbers: _sum(numbers) / len(numbers)),
    "median": _or_none(statistics.median),
    "variance": lambda numbers: _spread(numbers) if numbers else 0.0,
    "stdDev": lambda numbers: math.sqrt(_spread(numbers)) if numbers else 0.0,
    "sum": _sum,
    "range": _or_none(lambda numbers: max(numbers) - min(numbers)),
    "delta": _delta,
    "step": _or_none(lambda numbers: min(after - before for before, after in pairwise(numbers)), least=2),
    "diff": _or_none(lambda numbers: numbers[-1] - numbers[0]),
    "diffperc": _or_none(_diff_percent),
    "logmin": lambda numbers: min((number for number in numbers if number > 0), default=None),
    "allIsZero": lambda numbers: bool(numbers) and not any(numbers),
    "allIsNull": lambda numbers: not numbers,
}

_RAW: dict[str, Callable[[Sequence[Any]], Any]] = {
    "last": lambda values: values[-1] if values else None,
    "first": lambda values: values[0] if values else None,
    "count": lambda values: sum(value is not None for value in values),
    "countAll": len,
    "distinctCount": lambda values: len({str(value) for value in values if value is not None}),
    "changeCount": lambda values: sum(
        before != after for before, after in pairwise([value for value in values if value is not None])
    ),
    "allValues": list,
    "uniqueValues": lambda values: list(dict.fromkeys(values)),
}
