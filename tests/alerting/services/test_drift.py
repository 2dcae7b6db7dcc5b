"""The drift rules against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.instrument.catalog import SCORE_BINS
from tests.support.rules import check_rules

THRESHOLDS = load_thresholds().changed(
    {"drift": {"window": "20m", "reference_window": "40m", "reference_offset": "30m", "minimum_predictions": 100}}
)
RECORDED = "model_version_variant_origin:ml_prediction_scores:psi"


def psi(now: np.ndarray, then: np.ndarray) -> float:
    """Return the population stability index of two samples of scores, from the scores themselves."""
    edges = [-np.inf, *(float(bound) for bound in SCORE_BINS[:-1]), np.inf]
    # A bin includes its upper bound.
    shares = [
        np.clip(np.histogram(-scores, bins=[-edge for edge in reversed(edges)])[0][::-1] / len(scores), 1e-4, None)
        for scores in (now, then)
    ]
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())


def counted(scores: np.ndarray) -> dict[str, int]:
    bounds = np.array([float(bound) for bound in SCORE_BINS])
    places = np.minimum(np.searchsorted(bounds, scores), len(bounds) - 1)
    return {name: int((places == place).sum()) for place, name in enumerate(SCORE_BINS)}


@pytest.mark.parametrize(
    ("now", "then"),
    [((2.0, 5.0), (2.0, 5.0)), ((2.5, 5.0), (2.0, 5.0)), ((5.0, 2.0), (2.0, 5.0)), ((60.0, 60.0), (2.0, 5.0))],
    ids=["the same", "a small shift", "turned round", "empty bins"],
)
def test_the_index_is_numpys(
    now: tuple[float, float], then: tuple[float, float], programs: dict[str, Path], tmp_path: Path
) -> None:
    chance = np.random.default_rng(7)
    before, after = chance.beta(*then, 500), chance.beta(*now, 500)
    old, new = counted(before), counted(after)
    series = {
        # The same 500 scores each minute, old ones for 70 minutes and new ones from then on.
        f'ml_prediction_scores_total{{job="ml",model="m",model_version="1",variant="A",bin="{name}"}}': (
            f"0+{old[name]}x70 {70 * old[name] + new[name]}+{new[name]}x29"
        )
        for name in SCORE_BINS
    }
    expected: dict[str, float | None] = {RECORDED: psi(after, before)}
    check_rules(
        programs["promtool"], tmp_path, series, expected,
        at="100m", topics=["quality"], thresholds=THRESHOLDS, tolerance=1e-6,
    )  # fmt: skip


def test_few_predictions_say_nothing(programs: dict[str, Path], tmp_path: Path) -> None:
    series = {
        f'ml_prediction_scores_total{{job="ml",model="m",model_version="1",variant="A",bin="{name}"}}': "0+0.4x100"
        for name in SCORE_BINS
    }
    check_rules(
        programs["promtool"], tmp_path, series, {RECORDED: None},
        at="100m", topics=["quality"], thresholds=THRESHOLDS,
    )  # fmt: skip
