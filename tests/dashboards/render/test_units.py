"""Values are formatted as Grafana formats them; the table was made by Grafana's own npm package (formats/make.py)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from ml_monitoring.dashboards.render.units import Clock, format_value, is_date, unit_table

# What "now" was when the table was made.
NOW = 1_763_700_000
GOLDEN: list[tuple[str, float, int | None, str]] = [
    (unit, value, decimals, text)
    for unit, value, decimals, text in json.loads(
        Path(__file__).with_name("formats").joinpath("golden.json").read_text(encoding="utf-8")
    )
]


def test_every_value_of_grafanas_own_table_is_formatted_the_same() -> None:
    wrong = [
        f"{unit} {value} ({decimals}): {text!r}, not {ours!r}"
        for unit, value, decimals, text in GOLDEN
        if (ours := str(format_value(float(value), unit, decimals, Clock(now=NOW)))) != text
    ]
    assert wrong == []


def test_the_table_covers_every_unit_and_enough_values() -> None:
    values = Counter(unit for unit, *_ in GOLDEN)
    assert set(unit_table()) <= set(values)
    assert len(GOLDEN) > 1500


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "prefix", "text", "suffix"),
    [
        (1536.0, "bytes", None, "", "1.50", " KiB"),
        (-12_345.0, "currencyUSD", 1, "-$", "12.3", "K"),
        (0.123, "percentunit", 1, "", "12.3", "%"),
        (float("inf"), "short", None, "", "∞", ""),
        (float("nan"), "s", None, "", "NaN", " year"),
    ],
)
def test_the_unit_is_apart_from_the_number(
    value: float, unit: str, decimals: int | None, prefix: str, text: str, suffix: str
) -> None:
    shown = format_value(value, unit, decimals)
    assert (shown.prefix, shown.text, shown.suffix) == (prefix, text, suffix)


def test_dates_follow_the_time_zone() -> None:
    assert str(format_value(NOW * 1000, "dateTimeAsIso", None, Clock("Europe/Zurich"))) == "2025-11-21 05:40:00"
    assert is_date("time:YYYY")
    assert not is_date("s")
