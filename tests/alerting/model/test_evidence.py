"""Guards against chance: their arithmetic beside the textbook's, and what the settings say of them."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_monitoring.alerting.domains import ALERTS, load_alerts
from ml_monitoring.alerting.model.evidence import (
    Also,
    BestOf,
    Claim,
    Comparison,
    Events,
    Percentile,
    StandardError,
    Trials,
)
from ml_monitoring.alerting.model.thresholds import DEFAULT_PATHS, read
from ml_monitoring.exporter.errors import ConfigError

RUNBOOKS = {path.stem: path for path in Path("alerting").glob("*/runbooks/*.md")}


def wilson(successes: int, trials: int, z: float) -> tuple[float, float]:
    """Return Wilson's interval, by the formula of textbooks."""
    ratio = successes / trials
    centre = (ratio + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * math.sqrt(ratio * (1 - ratio) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    return centre - half, centre + half


def holds(guard: str, **values: float) -> bool:
    """Return the guard's value; where it is arithmetic only, PromQL is Python."""
    return bool(eval(guard, {"sqrt": math.sqrt, "__builtins__": {}}, values))


@given(
    trials=st.integers(1, 10**9),
    share=st.floats(0, 1),
    threshold=st.floats(0.001, 0.999),
    confidence=st.floats(0.8, 0.99999),
    comparison=st.sampled_from(("<", ">")),
)
def test_trials_hold_when_the_wilson_bound_is_beyond_the_threshold(
    trials: int, share: float, threshold: float, confidence: float, comparison: Comparison
) -> None:
    successes = round(share * trials)
    claim = Claim("ratio", comparison, threshold, confidence)
    # The guard has four digits: whatever is so close to the bound that they decide is left out.
    looser, tighter = (wilson(successes, trials, claim.deviations * factor) for factor in (0.999, 1.001))
    beyond = [low > threshold if comparison == ">" else high < threshold for low, high in (looser, tighter)]
    if beyond[0] == beyond[1]:
        assert holds(Trials("trials").guard(claim), ratio=successes / trials, trials=trials) is beyond[0]


def test_one_failure_of_five_is_no_proof_of_five_percent_but_thirty_of_three_hundred_are() -> None:
    guard = Trials("trials").guard(Claim("ratio", ">", 0.05, 0.999))
    assert guard == "(ratio - 0.05) * sqrt(trials) > 0.6735"
    assert not holds(guard, ratio=0.2, trials=5)
    assert holds(guard, ratio=0.1, trials=300)


@pytest.mark.parametrize("among", [1, 10, 100, 10_000])
def test_the_best_of_many_equal_ones_is_seldom_a_lead(among: int) -> None:
    guard = BestOf("lead", "error", "among", "").guard(Claim("lead", ">", 0.02, 0.99))
    guard = guard.replace("ln(", "log(")
    needed = next(
        z / 1000 for z in range(10_000) if eval(guard, vars(math), {"lead": z / 1000, "error": 1, "among": among})
    )
    # The chance that the best of so many is above.
    chance = 1 - NormalDist().cdf(needed) ** among
    assert 0.001 < chance < 0.0101


def test_a_standard_error_is_multiplied_by_what_the_confidence_asks_for() -> None:
    assert StandardError("spread").guard(Claim("a", ">", 0.2, 0.999)) == "(a - 0.2) > 3.09 * spread"
    assert StandardError("spread").guard(Claim("a", "<", 0.2, 0.975)) == "(0.2 - a) > 1.96 * spread"


def test_a_percentile_of_few_values_takes_a_lower_percentile_beyond_the_threshold() -> None:
    guard = Percentile("n", "b", 95).guard(Claim("p95", ">", 0.5, 0.999))
    assert guard.splitlines() == [
        "(",
        "  (histogram_quantile(0.94, b) > 0.5 and n >= 4537)",
        "  or (histogram_quantile(0.9, b) > 0.5 and n >= 182)",
        "  or (histogram_quantile(0.75, b) > 0.5 and n >= 12)",
        "  or (histogram_quantile(0.5, b) > 0.5 and n >= 3)",
        ")",
    ]
    # Each number is the least for which the score test of `Trials` refuses chance.
    trials = Trials("trials").guard(Claim("ratio", ">", 0.05, 0.999))
    for above, needed in ((0.06, 4537), (0.1, 182), (0.25, 12)):
        assert holds(trials, ratio=above, trials=needed + 1)
        assert not holds(trials, ratio=above, trials=needed - 1)


def test_a_second_signal_is_compared_with_the_same_threshold() -> None:
    assert Also("b", "It").guard(Claim("a", ">", 0.25, None)) == "b > 0.25"


def test_events_are_counted() -> None:
    assert Events("n", "minimum", "runs").guard(Claim("a", ">", 0.2, None)) == "n >= <minimum>"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    confidence: 0.999\n", "", "confidence: is missing: how sure must the alert be, such as 0.999?"),
        ("    confidence: 0.999\n", "    confidence: 99\n", "confidence: "),
        ("    confidence: 0.999\n", "    confidence: 0.5\n", "confidence: "),
        ("    team: platform\n", "    team: platform\n    confidence: 0.9\n", "this alert does not judge chance"),
    ],
)
def test_a_confidence_that_cannot_be_meant_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    copy = tmp_path / "thresholds.yml"
    copy.write_text(DEFAULT_PATHS[0].read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read(ALERTS, defaults=[copy, DEFAULT_PATHS[1]])


def test_the_evidence_is_said_in_words_with_the_numbers_in_force() -> None:
    (alert,) = (alert for alert in load_alerts() if alert.name == "MlApiErrorRatioHigh")
    assert alert.evidence == (
        "Chance must not explain it, given the number of trials (Wilson bound, confidence 99.9 %).",
        "It takes at least 8 failed requests within 5m.",
    )


def test_the_runbook_of_an_alert_that_judges_chance_says_what_its_confidence_does() -> None:
    judging = [alert.name for alert in ALERTS if any(evidence.takes_confidence for evidence in alert.evidence)]
    assert "MlApiErrorRatioHigh" in judging
    assert [name for name in judging if "`confidence`" not in RUNBOOKS[name].read_text(encoding="utf-8")] == []
