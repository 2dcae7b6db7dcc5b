from __future__ import annotations

from collections.abc import Iterator
from math import sin
from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.operate.history import History
from ml_monitoring.alerting.operate.subqueries import evaluated_sparingly
from tools.backfilled_prometheus import backfilled_prometheus

USUAL = 'quantile_over_time(0.5, (max without (instance) (x{a="b)[7d:1h]("}))[7d:1h])'


@pytest.mark.parametrize(
    ("expr", "sparing"),
    [
        (USUAL, f"last_over_time({USUAL}[1h:1h])"),
        (f"x > 2 * ({USUAL})", f"x > 2 * (last_over_time({USUAL}[1h:1h]))"),
        ("max_over_time(x[14d:1h] offset 1d)", "last_over_time(max_over_time(x[14d:1h] offset 1d)[1h:1h])"),
        ("max(f_over_time(x[9d:1h]) - y[5m])", "max(last_over_time(f_over_time(x[9d:1h])[1h:1h]) - y[5m])"),
        (
            "f_over_time(g_over_time(x[5d:1h])[20d:2h])",
            "last_over_time(f_over_time(last_over_time(g_over_time(x[5d:1h])[1h:1h])[20d:2h])[2h:2h])",
        ),
        # One moment more would count, or they are asked for as often anyway.
        ("sum_over_time(x[6h:5m])", "sum_over_time(x[6h:5m])"),
        ("sum_over_time(x[6h:1m])", "sum_over_time(x[6h:1m])"),
        ("rate(x[7d]) > 1", "rate(x[7d]) > 1"),
    ],
)
def test_a_function_over_a_long_subquery_is_evaluated_once_a_step(expr: str, sparing: str) -> None:
    assert evaluated_sparingly(expr, 60) == sparing


def test_what_is_not_asked_for_more_often_stays() -> None:
    assert evaluated_sparingly(USUAL, 3600) == USUAL
    assert any(evaluated_sparingly(alert.expr, 60) == alert.expr for alert in load_alerts())


@pytest.fixture(scope="module")
def past(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a Prometheus with ten days of a value that goes up and down."""
    lines = [f"x {1 + sin(minute / 300):.4f} {minute * 60}" for minute in range(14400)]
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("past"), lines) as url:
        yield url


def test_the_values_are_those_of_the_whole_query_but_for_one_moment_of_its_window(past: str) -> None:
    history = History(past, 8 * 86400, 10 * 86400, 600)
    expr = "quantile_over_time(0.5, (max(x))[7d:1h])"
    (whole,) = history.samples(expr)
    (sparing,) = history.samples(evaluated_sparingly(expr, 600))
    assert sparing.times == whole.times
    # Of 168 values in order, one more moves the middle one by half a place.
    assert list(sparing.values) == pytest.approx(list(whole.values), abs=0.05)
    assert len(set(sparing.values)) > 10
