"""What a served model's verdict says, with limits and margins of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.services.quality_recording import QUALITIES
from tests.support.rules import check_rules

DRIFT = {"window": "20m", "reference_window": "40m", "reference_offset": "30m", "minimum_predictions": 100}
THRESHOLDS = load_thresholds().changed({"drift": DRIFT})
MODEL = 'job="ml",model="m",model_version="1",variant="A"'
# Of a store elsewhere: another job and namespace.
OFFLINE = {
    'mlflow_model_metric{job="ml-monitoring",namespace="x",model="m",alias="champion",metric="accuracy"}': "0.8x100",
    'mlflow_model_version_info{job="ml-monitoring",namespace="x",model="m",alias="champion",version="1"}': "1x100",
}


def served(right: float, of: float = 100, upper: str = "0.1") -> dict[str, str]:
    """Return predictions of which so many each minute are right; from minute 70 on scores are in the bin `upper`."""
    return {
        f"ml_predictions_total{{{MODEL}}}": f"0+{of}x100",
        f'ml_prediction_truths_total{{{MODEL},outcome="correct"}}': f"0+{right}x100",
        f'ml_prediction_truths_total{{{MODEL},outcome="incorrect"}}': f"0+{of - right}x100",
        f'ml_prediction_scores_total{{{MODEL},bin="0.1"}}': f"0+{of}x70 {70 * of}+{of * (upper == '0.1'):.0f}x29",
        f'ml_prediction_scores_total{{{MODEL},bin="0.9"}}': f"0x70 0+{of * (upper == '0.9'):.0f}x29",
    }


@pytest.mark.parametrize(
    ("series", "changes", "quality"),
    [
        pytest.param(served(80), {}, "not compared", id="no version in MLflow"),
        pytest.param(served(80) | OFFLINE, {}, "as tested", id="as accurate"),
        # One in a hundred of 6,000 is 1.9 standard errors, three are 5.8.
        pytest.param(served(79) | OFFLINE, {}, "as tested", id="less accurate by chance"),
        pytest.param(served(77) | OFFLINE, {}, "worse than tested", id="less accurate beyond chance"),
        pytest.param(
            served(79) | OFFLINE,
            {"MlModelAccuracyLow": {"confidence": 0.9}},
            "worse than tested",
            id="the confidence is that of the settings",
        ),
        pytest.param(served(80, upper="0.9") | OFFLINE, {}, "drifting", id="other scores"),
        pytest.param(
            served(80, upper="0.9") | OFFLINE,
            {"MlPredictionDrift": {"threshold": 100}},
            "as tested",
            id="the limit of the scores is that of the settings",
        ),
    ],
)
def test_a_model_as_it_is_served(
    series: dict[str, str],
    changes: dict[str, object],
    quality: str,
    programs: dict[str, Path],
    tmp_path: Path,
) -> None:
    expected: dict[str, float | None] = {
        "model_version_variant_origin:ml_model_verdict:code": QUALITIES.index(quality),
    }
    thresholds = THRESHOLDS.changed({"alerts": changes})
    check_rules(programs["promtool"], tmp_path, series, expected, at="95m", topics=("quality",), thresholds=thresholds)
