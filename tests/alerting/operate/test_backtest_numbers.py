"""How `alerts backtest` writes numbers: readable at night, however small or large they are."""

from __future__ import annotations

import pytest

from ml_monitoring.alerting.commands.backtest import rate_text, value_text
from ml_monitoring.alerting.domains import load_alerts


@pytest.mark.parametrize(
    ("a_month", "text"),
    [
        (0.0, "0"),
        (1 / 24, "1 in 24 months"),
        (0.00321, "1 in 312 months"),
        (0.5, "1 in 2 months"),
        (0.92, "0.92"),
        (2.25, "2.2"),
        (1234.0, "1200"),
    ],
)
def test_what_is_rarer_than_once_a_month_is_said_in_months(a_month: float, text: str) -> None:
    assert rate_text(a_month) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        # A ratio, a time, and a number.
        ("MlApiErrorRatioHigh", 0.05, "5 %"),
        ("MlApiErrorRatioHigh", 0.07, "7 %"),
        ("MlApiErrorRatioHigh", 0.00000312, "0.000312 %"),
        ("MlApiLatencyHigh", 0.5, "500ms"),
        ("MlApiLatencyHigh", 0.00012, "under 1ms"),
        ("MlApiLatencyHigh", 0.0, "0s"),
        ("GpuTemperatureHigh", 87.5, "87.5"),
        ("LlmQueueBacklog", 12_500_000.0, "12500000"),
        ("LlmQueueBacklog", None, ""),
        ("MlMonitoringDown", 1.0, "-"),
    ],
)
def test_a_threshold_is_written_in_its_unit_and_without_an_exponent(name: str, value: float | None, text: str) -> None:
    (alert,) = (one for one in load_alerts() if one.name == name)
    assert value_text(alert, value) == text
