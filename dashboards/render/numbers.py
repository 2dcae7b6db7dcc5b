"""Numbers as JavaScript writes them, since Grafana's formats are made of its functions."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal


def js_round(value: float) -> float:
    """Return the nearest whole number, halves towards positive infinity."""
    floor = math.floor(value)
    return float(floor + 1 if value - floor >= 0.5 else floor)


def js_string(value: float) -> str:
    """Return a number as `String(value)` does."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign, digits, exponent = _shortest(value)
    point = exponent + 1  # where the point stands, counted from the first digit
    if 0 < point <= 21:
        text = digits.ljust(point, "0")
        text = text if len(text) == point else f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
        text = f"{mantissa}e{exponent:+d}"
    return sign + text


def js_exponential(value: float, decimals: int | None) -> str:
    """Return a number as `toExponential(decimals)` does."""
    if not math.isfinite(value):
        return js_string(value)
    if decimals is None:
        sign, digits, exponent = _shortest(value)
        mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
        return f"{sign}{mantissa}e{exponent:+d}"
    if value == 0:
        return f"{0:.{decimals}f}e+0"
    exact = Decimal(abs(value))
    exponent = exact.adjusted()
    mantissa_ = exact.scaleb(-exponent).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    if mantissa_ >= 10:
        exponent += 1
        mantissa_ = (mantissa_ / 10).quantize(Decimal(1).scaleb(-decimals))
    return f"{'-' if value < 0 else ''}{mantissa_}e{exponent:+d}"


def js_locale(value: float, least: int = 0, most: int | None = None) -> str:
    """Return a number as `toLocaleString` does in en-US: grouped, by default with at most three decimals."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    most = max(least, 3) if most is None else most
    # The shortest digits, not the exact binary value, are what is rounded.
    rounded = abs(Decimal(js_string(value)).quantize(Decimal(1).scaleb(-most), rounding=ROUND_HALF_UP))
    whole, _, fraction = f"{rounded:,f}".partition(".")
    fraction = fraction.rstrip("0").ljust(least, "0")
    text = f"{whole}.{fraction}" if fraction else whole
    return f"-{text}" if value < 0 or math.copysign(1, value) < 0 else text


def js_hex(value: float) -> str:
    """Return a number as `toString(16)` does, upper case."""
    if not math.isfinite(value):
        return js_string(value).upper()
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, fraction = math.floor(value), value - math.floor(value)
    text = f"{whole:X}"
    # Digits are written until they tell the number from its neighbour.
    delta = max(0.5 * (math.nextafter(value, math.inf) - value), math.nextafter(0.0, 1.0))
    if fraction < delta:
        return sign + text
    digits: list[int] = []
    while True:
        fraction, delta = fraction * 16, delta * 16
        digit = int(fraction)
        fraction -= digit
        digits.append(digit)
        if (fraction > 0.5 or (fraction == 0.5 and digit & 1)) and fraction + delta > 1:
            digits[-1] += 1
            break
        if fraction < delta:
            break
    return f"{sign}{text}.{''.join(f'{digit:X}' for digit in digits)}"


def _shortest(value: float) -> tuple[str, str, int]:
    """Return sign, digits and decimal exponent of the shortest text that reads back as the number."""
    _, digits_, exponent = Decimal(repr(abs(value))).as_tuple()
    digits = "".join(map(str, digits_)).lstrip("0")
    exponent_ = int(exponent) + len(digits) - 1
    digits = digits.rstrip("0") or "0"
    return "-" if value < 0 else "", digits, exponent_ if digits != "0" else 0
