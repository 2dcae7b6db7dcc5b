"""A formatted value, and the rule by which Grafana chooses decimals."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ml_monitoring.dashboards.render.numbers import js_locale, js_round, js_string


@dataclass(frozen=True, slots=True)
class Text:
    """A formatted value; prefix and suffix are drawn smaller than the number."""

    text: str
    prefix: str = ""
    suffix: str = ""

    def __str__(self) -> str:
        return f"{self.prefix}{self.text}{self.suffix}"


def to_fixed(value: float, decimals: int | None = None) -> str:
    """Return a number with so many decimals; None shows about three digits that tell something."""
    if math.isinf(value):
        return js_locale(value)
    if math.isnan(value):
        return "NaN"
    if decimals is None:
        decimals = decimals_for(value)
    if value == 0:
        return f"{0:.{decimals}f}"
    factor = 10.0 ** max(0, decimals) if decimals else 1.0
    scaled = value * factor
    formatted = js_string(js_round(scaled) / factor) if math.isfinite(scaled) else js_string(scaled / factor)
    if "e" in formatted or "y" in formatted:
        return formatted
    _, _, fraction = formatted.partition(".")
    if len(fraction) < decimals:
        zeros = js_string(factor)[1 : decimals - len(fraction) + 1]
        return (formatted if fraction else f"{formatted}.") + zeros
    return formatted


def decimals_for(value: float) -> int:
    """Return how many decimals Grafana shows when nobody said."""
    if value == 0 or value.is_integer():
        return 0
    magnitude = math.floor(math.log(abs(value)) / math.log(10))
    decimals = -magnitude + 1
    if abs(value) / 10.0**-decimals > 2.25:
        decimals += 1
    return max(0, decimals)
