"""The sequential test: the rules compute the formula, and looking at it all the time does not break its promise."""

from __future__ import annotations

from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_monitoring.alerting.domains import load_thresholds
from tests.support.rules import check_rules

SPREAD = 0.02
MINUTES = 60
EXPERIMENTS = 400
LOOKS = 200


# The default asks for three days.
SOON = load_thresholds().changed({"ab_test": {"minimum_duration": "10m"}})
# Weeks of the longest experiment.
WINDOWS = 90 / 7


def p_value(difference: Any, variance: Any, windows: float = 1) -> Any:
    """Return the p-value of the mixture sequential probability ratio test, as docs/experiments.md gives it."""
    total = variance + SPREAD**2
    ratio = np.sqrt(variance / total) * np.exp(SPREAD**2 * difference**2 / (2 * variance * total))
    return np.minimum(1, windows / ratio)


def half_width(variance: Any) -> Any:
    """Return half the width of the interval at all times: the difference whose p-value is the significance."""
    total = variance + SPREAD**2
    return np.sqrt(2 * variance * total / SPREAD**2 * (log(WINDOWS / 0.01) + 0.5 * np.log(total / variance)))


def series(variant: str, right: int, wrong: int, fine: int, failed: int) -> dict[str, str]:
    truths = f'ml_prediction_truths_total{{job="ml",model="m",model_version="1",variant="{variant}",outcome='
    requests = f'ab_test_requests_total{{job="ml",variant="{variant}",outcome='
    return {
        f'{truths}"correct"}}': f"0+{right}x{MINUTES}",
        f'{truths}"incorrect"}}': f"0+{wrong}x{MINUTES}",
        f'{requests}"success"}}': f"0+{fine}x{MINUTES}",
        f'{requests}"error"}}': f"0+{failed}x{MINUTES}",
        f'ab_test_errors_total{{job="ml",variant="{variant}"}}': f"0+{failed}x{MINUTES}",
    }


def test_the_rules_compute_the_formula(programs: dict[str, Path], tmp_path: Path) -> None:
    # Of 60 minutes: (right, wrong, without error, failed) a minute.
    counts = {"A": (40, 10, 48, 2), "B": (39, 11, 49, 1)}
    shares, variances = {}, {}
    for variant, (right, wrong, fine, failed) in counts.items():
        for metric, good, bad in (("accuracy", right, wrong), ("errors", fine, failed)):
            trials = MINUTES * (good + bad)
            share = (MINUTES * good + 1) / (trials + 2)
            shares[variant, metric], variances[variant, metric] = share, share * (1 - share) / trials
    expected: dict[str, float | None] = {}
    for metric in ("accuracy", "errors"):
        difference = shares["B", metric] - shares["A", metric]
        variance = variances["A", metric] + variances["B", metric]
        expected[f'metric_origin:ab_test_improvement:ratio{{metric="{metric}"}}'] = difference
        expected[f'metric_origin:ab_test_improvement:p_value{{metric="{metric}"}}'] = float(
            p_value(difference, variance, WINDOWS)
        )
        recent = float(p_value(difference, variance, 90 * 24))
        expected[f'metric_origin:ab_test_improvement:recent_p_value{{metric="{metric}"}}'] = recent
        expected[f'metric_origin:ab_test_improvement:half_width{{metric="{metric}"}}'] = float(half_width(variance))
        # Fewer failures are beyond chance, less accuracy is not.
        expected[f'metric_origin:ab_test_improvement:code{{metric="{metric}"}}'] = 2 if metric == "errors" else 0
    expected["origin:ab_test_split:p_value"] = 1
    expected["origin:ab_test_verdict:code"] = 2
    given = series("A", *counts["A"]) | series("B", *counts["B"])
    check_rules(
        programs["promtool"], tmp_path, given, expected, at="1h", topics=["ab_test"], tolerance=1e-6, thresholds=SOON
    )


@pytest.mark.parametrize(
    ("shares", "counts"),
    [
        ({"A": 0.5, "B": 0.25, "C": 0.25}, {"A": 50, "B": 25, "C": 25}),
        ({"A": 0.5, "B": 0.25, "C": 0.25}, {"A": 45, "B": 28, "C": 27}),
        # One that gets nothing has no series; one that has no share does not count.
        ({"A": 0.7, "B": 0.3}, {"A": 70, "D": 30}),
        ({"A": 0.7, "B": 0.3}, {"A": 68, "B": 32, "D": 50}),
    ],
    ids=["three as meant", "three otherwise", "one without requests", "one without a share"],
)
def test_the_split_of_all_variants_is_judged_by_the_multinomial_test(
    shares: dict[str, float], counts: dict[str, int], programs: dict[str, Path], tmp_path: Path
) -> None:
    total = MINUTES * sum(count for name, count in counts.items() if name in shares)
    meant = {name: share * total for name, share in shares.items()}
    squared = sum((MINUTES * counts.get(name, 0) - number) ** 2 / number for name, number in meant.items())
    spread = SPREAD**2 / np.mean([share * (1 - share) for share in shares.values()])
    seen = total * spread
    p = WINDOWS * (1 + seen) ** ((len(shares) - 1) / 2) * exp(-squared / 2 * seen / (1 + seen))
    given = {
        f'ab_test_requests_total{{job="ml",variant="{name}",outcome="success"}}': f"0+{count}x{MINUTES}"
        for name, count in counts.items()
    }
    expected: dict[str, float | None] = {"origin:ab_test_split:p_value": min(1, float(p))}
    thresholds = load_thresholds().changed({"ab_test": {"shares": shares}})
    check_rules(
        programs["promtool"], tmp_path, given, expected,
        at="1h", topics=["ab_test"], thresholds=thresholds, tolerance=1e-6,
    )  # fmt: skip


def test_the_older_setting_of_one_share_is_still_read(caplog: pytest.LogCaptureFixture) -> None:
    older = load_thresholds().changed({"ab_test": {"candidate_share": 0.2}}).section_placeholders()
    assert "ab_test.candidate_share is the older form of ab_test.shares" in caplog.text
    newer = load_thresholds().changed({"ab_test": {"shares": {"A": 0.8, "B": 0.2}}}).section_placeholders()
    assert older == newer


@pytest.mark.parametrize("shares", [{"A": 0.5, "B": 0.4}, {"A": 0.9999999}], ids=["too little", "one"])
def test_shares_that_are_no_split_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is not a split of all traffic"):
        load_thresholds().changed({"ab_test": {"shares": shares}})


def test_a_sudden_drop_after_a_good_week_shows_within_the_hour(programs: dict[str, Path], tmp_path: Path) -> None:
    # Two points better for two days, then five worse for an hour.
    before, after = 2 * 24 * 6, 6
    given = {}
    for variant, (good, bad) in {"A": (800, 800), "B": (820, 750)}.items():
        for outcome, early, late in (("correct", good, bad), ("incorrect", 1000 - good, 1000 - bad)):
            labels = f'job="ml",model="m",model_version="1",variant="{variant}",outcome="{outcome}"'
            given[f"ml_prediction_truths_total{{{labels}}}"] = (
                f"0+{early}x{before} {early * before + late}+{late}x{after - 1}"
            )
    expected: dict[str, float | None] = {
        "count(metric_origin:ab_test_worse:p_value < 0.01)": 1,
        "count(metric_origin:ab_test_improvement:ratio > 0.01)": 1,
    }
    check_rules(programs["promtool"], tmp_path, given, expected, at="49h", topics=["ab_test"], interval="10m")


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        pytest.param({"A": (30, 20, 50, 0), "B": (40, 10, 50, 0)}, 3, id="more accurate"),
        pytest.param({"A": (40, 10, 50, 0), "B": (30, 20, 50, 0)}, 0, id="less accurate"),
        pytest.param({"A": (30, 20, 50, 0), "B": (40, 10, 40, 10)}, 0, id="more accurate, but fails"),
        pytest.param({"A": (3, 2, 5, 0), "B": (4, 1, 5, 0)}, 1, id="too few"),
    ],
)
def test_the_verdict_in_words(
    counts: dict[str, tuple[int, int, int, int]], verdict: int, programs: dict[str, Path], tmp_path: Path
) -> None:
    given = series("A", *counts["A"]) | series("B", *counts["B"])
    expected: dict[str, float | None] = {"origin:ab_test_verdict:code": verdict}
    check_rules(programs["promtool"], tmp_path, given, expected, at="1h", topics=["ab_test"], thresholds=SOON)


@pytest.mark.parametrize(("b", "verdict"), [((40, 10, 50, 0), 1), ((20, 30, 50, 0), 0)], ids=["better", "worse"])
def test_within_the_first_days_nothing_is_better_but_what_is_worse_is_said(
    b: tuple[int, int, int, int], verdict: int, programs: dict[str, Path], tmp_path: Path
) -> None:
    given = series("A", 30, 20, 50, 0) | series("B", *b)
    expected: dict[str, float | None] = {"origin:ab_test_verdict:code": verdict}
    check_rules(programs["promtool"], tmp_path, given, expected, at="1h", topics=["ab_test"])


@pytest.mark.parametrize(
    ("counts", "shares", "split", "verdict"),
    [
        pytest.param({"A": (30, 20, 50, 0), "B": (40, 10, 50, 0)}, {"A": 0.5, "B": 0.5}, 1, 3, id="as meant"),
        pytest.param({"A": (30, 20, 70, 0), "B": (40, 10, 50, 0)}, {"A": 0.5, "B": 0.5}, 0, 4, id="not as meant"),
        pytest.param({"A": (40, 10, 70, 0), "B": (10, 40, 50, 0)}, {"A": 0.5, "B": 0.5}, 0, 4, id="whatever is worse"),
        pytest.param({"A": (30, 20, 70, 0), "B": (40, 10, 30, 0)}, {"A": 0.7, "B": 0.3}, 1, 3, id="unequal, as meant"),
        # 480 requests of one variant: they could not tell yet, whatever the others have.
        pytest.param({"A": (3, 2, 30, 0), "B": (4, 1, 8, 0)}, {"A": 0.5, "B": 0.5}, 1, 1, id="too few"),
        pytest.param(
            {"A": (30, 20, 50, 0), "B": (40, 10, 50, 0), "C": (30, 20, 90, 0)},
            {"A": 0.4, "B": 0.4, "C": 0.2},
            0,
            4,
            id="a third variant gets too much",
        ),
    ],
)
def test_a_split_that_is_not_as_meant_makes_the_verdict_invalid(
    counts: dict[str, tuple[int, int, int, int]],
    shares: dict[str, float],
    split: int,
    verdict: int,
    programs: dict[str, Path],
    tmp_path: Path,
) -> None:
    given = {name: values for variant, numbers in counts.items() for name, values in series(variant, *numbers).items()}
    expected: dict[str, float | None] = {"origin:ab_test_split:code": split, "origin:ab_test_verdict:code": verdict}
    check_rules(
        programs["promtool"], tmp_path, given, expected,
        at="1h", topics=["ab_test"], thresholds=SOON.changed({"ab_test": {"shares": shares}}),
    )  # fmt: skip


def looked_at(share_a: float, share_b: float, *, each: int) -> tuple[Any, Any]:
    """Return p-values and z-values of many experiments at many looks."""
    chance = np.random.default_rng(42)
    trials = each * np.arange(1, LOOKS + 1)
    good = [chance.binomial(each, share, (EXPERIMENTS, LOOKS)).cumsum(axis=1) for share in (share_a, share_b)]
    a, b = ((one + 1) / (trials + 2) for one in good)
    variance = (a * (1 - a) + b * (1 - b)) / trials
    return p_value(b - a, variance), np.abs(b - a) / np.sqrt(variance)


def test_looking_all_the_time_raises_no_more_false_alarms_than_promised() -> None:
    sequential, fixed = looked_at(0.8, 0.8, each=100)
    # One percent was promised; four of 400 experiments, and chance on top.
    assert (sequential.min(axis=1) < 0.01).mean() <= 0.02
    assert (sequential.min(axis=1) < 0.05).mean() <= 0.05
    # The usual test at the level of 5 %, looked at as often, alarms five times as often as it says.
    assert (fixed.max(axis=1) > 1.96).mean() > 0.25


def test_a_difference_of_the_expected_size_is_found() -> None:
    sequential, _fixed = looked_at(0.782, 0.818, each=100)
    assert (sequential.min(axis=1) < 0.01).mean() > 0.95


def test_the_logarithmic_form_does_not_overflow() -> None:
    # L would be e^2000 here.
    variance, difference = 1e-5, 0.2
    total = variance + SPREAD**2
    logarithm = 0.5 * log(total / variance) - SPREAD**2 * difference**2 / (2 * variance * total)
    assert logarithm < -1900
    assert exp(min(logarithm, 0)) == 0
