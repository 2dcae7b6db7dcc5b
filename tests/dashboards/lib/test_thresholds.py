from __future__ import annotations

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.exporter.signals import SOURCE_INTERVAL, SOURCE_UP
from ml_monitoring.alerting.fleet.signals import FLEET_SERVER_IN_TROUBLE
from ml_monitoring.alerting.monitoring.signals import ALERT_HISTORY
from ml_monitoring.dashboards.lib import thresholds
from ml_monitoring.dashboards.lib.style import Colour


def test_a_signal_that_no_alert_judges_is_neither_good_nor_bad() -> None:
    assert thresholds.steps(SOURCE_INTERVAL) == [{"color": "blue", "value": None}]
    assert thresholds.flag_colours(ALERT_HISTORY) == (Colour.MUTED, Colour.GOOD)


def test_a_value_above_the_threshold_has_the_colour_of_the_severity() -> None:
    (alert,) = (alert for alert in load_alerts() if alert.name == "MlflowFailedRunRatioHigh")
    assert thresholds.steps(alert.signal) == [
        {"color": "green", "value": None},
        {"color": "orange", "value": alert.threshold},
    ]


def test_a_value_below_the_threshold_of_a_falling_alert_has_the_colour_of_the_severity() -> None:
    assert thresholds.steps(SOURCE_UP) == [{"color": "red", "value": None}, {"color": "green", "value": 1}]
    assert thresholds.flag_colours(SOURCE_UP) == (Colour.FAILURE, Colour.GOOD)


def test_a_flag_that_alerts_above_nought_is_good_at_nought() -> None:
    assert thresholds.flag_colours(FLEET_SERVER_IN_TROUBLE) == (Colour.GOOD, Colour.WARNING)


@pytest.mark.parametrize("name", ["source_up", "failed_run_ratio"])
def test_the_louder_of_two_alerts_on_one_number_colours(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (loud,) = (alert for alert in load_alerts() if alert.signal.name == name)
    numbers = loud.numbers.model_copy(update={"severity": "info"})
    quiet = type(loud)(loud.alert, numbers, load_thresholds().links)
    monkeypatch.setattr(thresholds, "alerts_on", lambda _: (loud, quiet))
    both = thresholds.steps(loud.signal)
    monkeypatch.setattr(thresholds, "alerts_on", lambda _: (loud,))
    assert thresholds.steps(loud.signal) == both


def test_alerts_whose_thresholds_cross_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    (low,) = (alert for alert in load_alerts() if alert.name == "MlMonitoringSourceDown")
    (high,) = (alert for alert in load_alerts() if alert.name == "MlflowFailedRunRatioHigh")
    monkeypatch.setattr(thresholds, "alerts_on", lambda _: (low, high))
    with pytest.raises(ValueError, match=r"cross each other: \[1, 0\.3\]"):
        thresholds.steps(low.signal)
