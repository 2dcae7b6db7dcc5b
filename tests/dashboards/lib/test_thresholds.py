from __future__ import annotations

from dataclasses import replace

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.exporter.signals import SOURCE_INTERVAL, SOURCE_UP
from ml_monitoring.alerting.fleet.signals import FLEET_SERVER_IN_TROUBLE
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.monitoring.signals import ALERT_HISTORY
from ml_monitoring.dashboards.lib import thresholds
from ml_monitoring.dashboards.lib.style import Colour

ALERTS = load_alerts()


def test_a_signal_that_no_alert_judges_is_neither_good_nor_bad() -> None:
    assert thresholds.steps(SOURCE_INTERVAL, ALERTS) == [{"color": Colour.PLAIN, "value": None}]
    assert thresholds.flag_colours(ALERT_HISTORY, ALERTS) == (Colour.MUTED, Colour.GOOD)


def test_a_value_above_the_threshold_has_the_colour_of_the_severity() -> None:
    (alert,) = (alert for alert in ALERTS if alert.name == "MlflowFailedRunRatioHigh")
    assert thresholds.steps(alert.signal, ALERTS) == [
        {"color": Colour.GOOD, "value": None},
        {"color": Colour.WARNING, "value": alert.threshold},
    ]


def test_a_value_below_the_threshold_of_a_falling_alert_has_the_colour_of_the_severity() -> None:
    assert thresholds.steps(SOURCE_UP, ALERTS) == [
        {"color": Colour.FAILURE, "value": None},
        {"color": Colour.GOOD, "value": 1},
    ]
    assert thresholds.flag_colours(SOURCE_UP, ALERTS) == (Colour.FAILURE, Colour.GOOD)


def test_of_more_than_nothing_a_nought_is_still_good() -> None:
    (alert,) = (alert for alert in ALERTS if alert.name == "AlertLogDamaged")
    assert thresholds.steps(alert.signal, ALERTS) == [
        {"color": Colour.GOOD, "value": None},
        {"color": Colour.WARNING, "value": 1e-9},
    ]


def test_a_flag_that_alerts_above_nought_is_good_at_nought() -> None:
    assert thresholds.flag_colours(FLEET_SERVER_IN_TROUBLE, ALERTS) == (Colour.GOOD, Colour.WARNING)


@pytest.mark.parametrize("name", ["source_up", "failed_run_ratio"])
def test_the_louder_of_two_alerts_on_one_number_colours(name: str) -> None:
    (loud,) = (alert for alert in ALERTS if alert.signal.name == name)
    numbers = loud.numbers.model_copy(update={"severity": "info"})
    quiet = type(loud)(loud.alert, numbers, load_thresholds().links, {})
    assert thresholds.steps(loud.signal, (loud, quiet)) == thresholds.steps(loud.signal, (loud,))


def test_alerts_whose_thresholds_cross_are_refused() -> None:
    (high,) = (alert for alert in ALERTS if alert.name == "MlflowFailedRunRatioHigh")
    low = BoundAlert(replace(high.alert, comparison="<"), high.numbers, high.links, {})
    with pytest.raises(ValueError, match=r"cross each other: \[0\.3, 0\.3\]"):
        thresholds.steps(high.signal, (low, high))
