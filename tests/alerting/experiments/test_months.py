"""Months without a difference: numpy computes what the rules do, and "roll out" is said as rarely as promised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml_monitoring.alerting.domains import load_thresholds
from tests.support.rules import check_rules
from tools.soundness.experiments import months
from tools.soundness.experiments.cli import DATA
from tools.soundness.experiments.months import Counts
from tools.soundness.experiments.report import Measurements, misses, stored

MINUTES = 180
# Shorter in all, so that windows slide.
SHORT = load_thresholds().changed(
    {
        "ab_test": {"window": "2h", "duration": "8h", "minimum_duration": "30m"},
        "business": {"window": "1h", "base_volume": 1000},
    }
)


def drawn(accuracy: tuple[float, float], failing: tuple[float, float], share: float) -> Counts:
    chance = np.random.default_rng(5)
    requests = chance.poisson([80 * (1 - share), 80 * share], (MINUTES + 1, 2))
    # Counters begin at 0.
    requests[0] = 0
    failed = chance.binomial(requests, failing)
    right = chance.binomial(requests - failed, accuracy)
    return Counts(*(part.astype(float) for part in (requests, failed, requests - failed, right)))


def series(counts: Counts) -> dict[str, str]:
    found = {}
    for place, variant in enumerate("AB"):
        labels = f'job="ml",variant="{variant}"'
        truths = f'ml_prediction_truths_total{{{labels},model="m",model_version="1",outcome='
        for name, increments in (
            (f'ab_test_requests_total{{{labels},outcome="success"}}', counts.requests - counts.failed),
            (f'ab_test_requests_total{{{labels},outcome="error"}}', counts.failed),
            (f"ab_test_errors_total{{{labels}}}", counts.failed),
            (f'{truths}"correct"}}', counts.right),
            (f'{truths}"incorrect"}}', counts.truths - counts.right),
        ):
            found[name] = " ".join(f"{value:.0f}" for value in increments[:, place].cumsum())
    return found


@pytest.mark.parametrize(
    ("accuracy", "failing", "share", "cost", "said"),
    [
        pytest.param((0.8, 0.8), (0.02, 0.02), 0.5, 1, {1, 2}, id="alike"),
        pytest.param((0.68, 0.75), (0.02, 0.02), 0.5, 1, {1, 2, 3}, id="more accurate"),
        pytest.param((0.6, 0.75), (0.02, 0.02), 0.5, 15_000, {1, 2, 3}, id="hardly worth its cost"),
        pytest.param((0.6, 0.75), (0.02, 0.02), 0.5, 60_000, {0, 1}, id="not worth its cost"),
        pytest.param((0.6, 0.75), (0.02, 0.2), 0.5, 1, {0, 1}, id="more accurate, but fails"),
        pytest.param((0.8, 0.8), (0.02, 0.02), 0.6, 1, {1, 4}, id="split wrong"),
    ],
)
def test_numpy_says_at_all_times_what_the_rules_say(
    accuracy: tuple[float, float],
    failing: tuple[float, float],
    share: float,
    cost: float,
    said: set[int],
    programs: dict[str, Path],
    tmp_path: Path,
) -> None:
    thresholds = SHORT.changed({"business": {"infrastructure_annual_cost": cost}})
    counts = drawn(accuracy, failing, share)
    recommendations, verdicts = months.recommendations(counts, thresholds)
    expected: dict[str, float | None] = {}
    for minute in range(1, MINUTES, 8):
        ago = f"offset {MINUTES - minute}m"
        expected[f"origin:ab_test_verdict:code {ago}"] = int(verdicts[minute])
        expected[f":business_recommendation:code {ago}"] = int(recommendations[minute])
    assert set(recommendations[1:].tolist()) == said
    check_rules(
        programs["promtool"], tmp_path, series(counts), expected,
        at=f"{MINUTES}m", topics=("traffic", "ab_test", "business"), thresholds=thresholds,
    )  # fmt: skip


@pytest.mark.parametrize("place", range(3), ids=[condition.name for condition in months.CONDITIONS[:3]])
def test_roll_out_is_rarely_said_without_a_difference_and_said_with_one(place: int) -> None:
    # The page has the figures of many.
    null = months.judge(place, "usual", 0.0, 15, seed=99)
    found = months.judge(place, "usual", months.BETTER, 3, seed=99)
    assert np.isinf(null[:, 0]).all()
    assert np.isfinite(found[:, 0]).all()
    # Not before the minimum of days.
    assert found[:, 0].min() > 3 * 24 * 60


def test_the_page_has_what_today_s_rules_say_and_no_more_than_is_promised() -> None:
    measured = stored(DATA).months
    assert {(row.condition, row.level) for row in measured} == {
        (condition.name, level) for condition in months.CONDITIONS for level in condition.levels
    }
    assert {row.rules for row in measured} == {months.fingerprint()}, (
        "measure again with: python -m tools.soundness.experiments "
        + " ".join(f"'months: {condition.name}'" for condition in months.CONDITIONS)
    )
    assert misses(Measurements(months=measured)) == []


def test_more_than_is_promised_is_named() -> None:
    usual = next(row for row in stored(DATA).months if row.condition == "steady")
    wrong = replace(usual, false=0.2)
    assert misses(Measurements(months=[wrong])) == [f"months, steady, {usual.level}: 20.0% decided falsely"]
    assert misses(Measurements(months=[replace(wrong, limit=True)])) == []


def test_other_rules_have_another_fingerprint() -> None:
    assert months.fingerprint(SHORT) != months.fingerprint()
