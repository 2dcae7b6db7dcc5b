"""Filling placeholders: every one, in one pass, or an error that names what is missing."""

from __future__ import annotations

import pytest

from ml_monitoring.alerting.domains import SIGNALS
from ml_monitoring.alerting.model.placeholders import fill


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("rate(x[<window>]) > <Alert.threshold>", {"window": "5m", "Alert.threshold": "1"}, "rate(x[5m]) > 1"),
        ("x < 1 and y > 2", {}, "x < 1 and y > 2"),
        ("x < <low> or x > <high>", {"low": "1", "high": "2"}, "x < 1 or x > 2"),
        ('x{a="<a>"}', {"a": "<b>", "b": "never"}, 'x{a="<b>"}'),
        ("no placeholder", {"unused": "1"}, "no placeholder"),
    ],
)
def test_each_placeholder_gets_its_value(text: str, values: dict[str, str], filled: str) -> None:
    assert fill(text, values) == filled


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("x{<filter>}", "x"),
        ('x{a="b",<filter>}', 'x{a="b"}'),
        ('x{<filter>,a="b"}', 'x{a="b"}'),
        ('x{<job>,<filter>,a="b"}', 'x{job="node",a="b"}'),
        ("x{<filter>,<filter>} / y{<filter>}", "x / y"),
        ("x{<job>,<filter>}", 'x{job="node"}'),
        ("x{<filter>,<job>}", 'x{job="node"}'),
    ],
)
def test_matchers_that_are_empty_leave_nothing_behind(text: str, filled: str) -> None:
    assert fill(text, {"filter": "", "job": 'job="node"'}) == filled


@pytest.mark.parametrize("text", ["rate(x[<windows>])", "x < <Alert.window>", "<windows> and <Alert.window>"])
def test_a_placeholder_without_a_value_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"no value for <(windows|Alert\.window)>.*known are: filter, window"):
        fill(text, {"window": "5m", "filter": ""})


def test_a_signal_with_a_misspelt_placeholder_is_refused() -> None:
    signal = next(signal for signal in SIGNALS if "<window>" in signal.expr)
    broken = type(signal)("x", "X", "X?", signal.expr.replace("<window>", "<widnow>"), signal.unit, signal.dashboard)
    with pytest.raises(ValueError, match="no value for <widnow>"):
        broken.promql({})
