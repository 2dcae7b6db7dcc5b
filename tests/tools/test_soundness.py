"""Simulated months and faults, judged by the real rules in a real Prometheus."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate.expanded import recorded_expressions
from ml_monitoring.alerting.operate.soundness import Detection, Measured, TrafficLevel, fingerprint, load
from tools.soundness.cli import PAGE
from tools.soundness.judge import Effort, is_today, judge
from tools.soundness.report import interval, misses, write
from tools.soundness.scenario import Scenario
from tools.soundness.scenarios import NOT_SIMULATED, SCENARIOS
from tools.soundness.world import DAY, Series, World


def test_a_counter_is_born_at_zero_begins_anew_at_a_restart_and_lacks_lost_scrapes() -> None:
    world = World(np.random.default_rng(1), 6, 6)
    world.restarts = np.array([False, False, False, True, False, False])
    world.lost = np.array([False, True, False, False, False, False])
    series = world.counter("c_total", {"job": "ml"}, np.array([0.0, 1, 2, 4, 8, 16]))
    assert list(series.lines("s")) == [
        'c_total{job="ml",namespace="s"} 0 1700006400',
        'c_total{job="ml",namespace="s"} 3 1700006520',
        'c_total{job="ml",namespace="s"} 0 1700006580',
        'c_total{job="ml",namespace="s"} 8 1700006640',
        'c_total{job="ml",namespace="s"} 24 1700006700',
    ]


def test_traffic_has_its_mean_and_its_daily_curve() -> None:
    world = World(np.random.default_rng(1), 30 * 1440, 30 * 1440)
    events = world.events(0.5 * world.daily)
    assert events.mean() == pytest.approx(30, rel=0.02)
    by_hour = events.reshape(30, 24, 60).mean(axis=(0, 2))
    assert (by_hour.argmin() in {23, 0}, by_hour.argmax() in {11, 12}) == (True, True)
    # The variance of a Poisson number, and that of its rate.
    assert world.events(0.5).var() == pytest.approx(30 + 0.2 * 30**2, rel=0.1)


def test_the_interval_of_a_rate_is_the_exact_one() -> None:
    assert interval(0, 12) == pytest.approx((0, 3.6889 / 12), abs=1e-4)
    assert interval(3, 1) == pytest.approx((0.6187, 8.7673), abs=1e-4)


def test_a_goal_that_is_missed_is_named() -> None:
    found = (Detection("all fail", 20, 18, 60.0), Detection("few fail", 20, 0, None, "too few"))
    measured = Measured(
        "critical", "r", "s", 1, "calm", "requests a minute", "", (TrafficLevel("low", 1.0, 12.0, 2, found),)
    )
    assert list(misses("A", measured)) == ["A, low: 0.17 false alarms a month", "A, low: finds 90% of `all fail`"]


def test_every_alert_has_one_scenario_or_a_reason_for_none() -> None:
    simulated = [scenario.alert for scenario in SCENARIOS]
    alerts = {alert.name for alert in load_alerts()}
    assert alerts
    assert sorted([*simulated, *NOT_SIMULATED]) == sorted(alerts)
    assert all(len(reason.split()) > 3 for reason in NOT_SIMULATED.values())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.alert)
def test_a_scenario_says_what_is_healthy_and_what_is_wrong(scenario: Scenario) -> None:
    assert scenario.healthy
    assert scenario.unit
    assert scenario.traffic
    # Without a fault nobody knows whether the alert fires at all.
    assert scenario.faults
    # What it cannot find is one of them.
    assert scenario.cannot.keys() <= {(level, fault) for level in scenario.traffic for fault in scenario.faults}
    assert all(len(reason.split()) > 3 for reason in scenario.cannot.values())


def test_the_rules_of_an_alert_judge_what_is_simulated(programs: dict[str, Path]) -> None:
    (scenario,) = [scenario for scenario in SCENARIOS if scenario.alert == "MlApiErrorRatioHigh"]
    effort = Effort(months=2, faults=4, month=2 * DAY)
    measured = judge(scenario, effort, programs)
    low, usual, high = measured.levels
    assert [level.name for level in measured.levels] == ["low", "usual", "high"]
    assert usual.months == pytest.approx(2 * 2 / 30)
    assert usual.false_alarms == high.false_alarms == 0
    assert [found.share for found in (*usual.found, *high.found)] == [1, 1, 1, 1]
    # Not before `for` is over.
    assert min(found.median_delay or 0 for found in usual.found) >= 120
    assert [bool(found.cannot) for found in low.found] == [True, True]
    assert is_today(scenario, effort, measured)
    assert not is_today(replace(scenario, traffic={"low": 2, "usual": 60, "high": 3000}), effort, measured)
    assert not is_today(scenario, effort, replace(measured, rule="of another rule"))


def test_an_alert_that_fires_on_anything_is_found_out(programs: dict[str, Path]) -> None:
    (scenario,) = [scenario for scenario in SCENARIOS if scenario.alert == "MlApiErrorRatioHigh"]

    def always_failing(world: World, traffic: float, _size: float | None) -> list[Series]:
        labels = {"job": "ml", "instance": "a", "method": "GET", "route": "/", "status": "500"}
        return [world.counter("ml_http_requests_total", labels, world.events(traffic / 60))]

    broken = replace(scenario, simulate=always_failing, traffic={"usual": 60})
    measured = judge(broken, Effort(months=1, faults=1, month=DAY), programs)
    assert measured.levels[0].false_alarms > 0
    assert next(misses(broken.alert, measured)).startswith("MlApiErrorRatioHigh, usual: ")


def test_every_result_is_of_the_rule_that_is_generated_now() -> None:
    alerts = {alert.name: alert for alert in load_alerts()}
    recorded = recorded_expressions(load_thresholds())
    stale = [name for name, one in load().items() if one.rule != fingerprint(alerts[name], recorded)]
    assert stale == [], f"measure again with: make soundness ARGS='{' '.join(stale)}'"


def test_the_page_says_what_was_measured(tmp_path: Path) -> None:
    page = tmp_path / "soundness.md"
    shutil.copyfile(PAGE, page)
    write(load(), page)
    assert page.read_text() == PAGE.read_text(), "write it again with: python -m tools.soundness --document"


def test_critical_alerts_were_watched_for_two_years() -> None:
    short = {
        (name, level.name): level.months
        for name, one in load().items()
        for level in one.levels
        if one.severity == "critical" and level.months < 24
    }
    assert short == {}
