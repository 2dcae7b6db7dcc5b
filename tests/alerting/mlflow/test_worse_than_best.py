"""What counts as worse than the best: the latest run against the spread of the recent ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rules import check_rules

_LEVEL = "experiment_variant_metric:mlflow_metric"
_UNUSUAL = f"count({_LEVEL}:deviation > 3.719 * {_LEVEL}:spread)"


@pytest.mark.parametrize(
    ("best", "latest", "is_unusual"),
    [
        pytest.param(0.99, "0.99x29 0.98x22 0.8x2", True, id="accuracy drops from 99 % to 80 %"),
        pytest.param(0.99, "0.99 0.5x55", False, id="the best was an outlier"),
        pytest.param(1, "0.7x8 0.8x8 0.9x8 1x8 0.8x8 0.7x8 0.6x7", False, id="a noisy metric"),
        pytest.param(1, "0.7x8 0.8x8 0.9x8 1x8 0.8x8 0.7x6 0.1x3", True, id="a noisy metric that breaks"),
        pytest.param(0, "0 0.1x52 0.2x3", True, id="a loss whose best is 0"),
        pytest.param(0, "0x53 0.2x3", True, id="one that always was 0"),
        pytest.param(-10, "-12x52 -30x3", True, id="a reward below 0"),
        pytest.param(0.1, "0.2x52 0.1x3", False, id="a loss that is as good as the best again"),
    ],
)
def test_the_latest_run_is_compared_with_the_spread_of_recent_ones(
    best: float, latest: str, is_unusual: bool, programs: dict[str, Path], tmp_path: Path
) -> None:
    labels = 'job="ml-monitoring",instance="a",experiment="churn",metric="m"'
    series = {
        f"mlflow_metric_best{{{labels}}}": f"{best}x60",
        f'mlflow_metric_latest{{{labels},model_variant="b"}}': latest,
    }
    expected = {_UNUSUAL: 1.0 if is_unusual else None}
    check_rules(programs["promtool"], tmp_path, series, expected, at="55h", topics=["mlflow"], interval="1h")
