"""By how much a candidate's lead may be chance, and what is said of it."""

from __future__ import annotations

from math import log, sqrt
from pathlib import Path

import pytest

from ml_monitoring.alerting.mlflow.model_signals import CANDIDATE_VERDICT, CANDIDATES
from tests.support.rules import check_rules

ALIAS = 'job="ml-monitoring",instance="a",store="s",model="churn",alias="candidate"'
ERROR = 0.01
# Standard errors of one comparison with the confidence of 99 %.
ONE = 2.326
HUNDRED = sqrt(ONE**2 + 2 * log(100))
VERDICT = CANDIDATE_VERDICT.expr.replace("<filter>", "")


@pytest.mark.parametrize(
    ("candidates", "lead", "deviations", "verdict"),
    [
        pytest.param(1, 0.024, ONE, "candidate is better", id="beyond the error of one"),
        pytest.param(1, 0.022, ONE, "no difference yet", id="within the error of one"),
        pytest.param(1, -0.024, ONE, "champion is better", id="worse beyond it"),
        # The best of many runs leads by chance.
        pytest.param(100, 0.037, HUNDRED, "no difference yet", id="within that of the best of a hundred"),
        pytest.param(100, 0.039, HUNDRED, "candidate is better", id="beyond that of the best of a hundred"),
    ],
)
def test_the_best_of_many_runs_has_to_lead_by_more(
    candidates: int, lead: float, deviations: float, verdict: str, programs: dict[str, Path], tmp_path: Path
) -> None:
    series = {
        f"mlflow_model_candidates{{{ALIAS}}}": f"{candidates}x5",
        f'mlflow_model_metric_lead_ratio{{{ALIAS},metric="auc"}}': f"{lead}x5",
        f'mlflow_model_metric_lead_error_ratio{{{ALIAS},metric="auc"}}': f"{ERROR}x5",
        # Says less: its lead is fewer of its own errors.
        f'mlflow_model_metric_lead_ratio{{{ALIAS},metric="f1"}}': "0.05x5",
        f'mlflow_model_metric_lead_error_ratio{{{ALIAS},metric="f1"}}': "0.05x5",
    }
    # A second exporter on the same store adds nothing.
    series |= {name.replace('instance="a"', 'instance="b"'): values for name, values in series.items()}
    expected: dict[str, float | None] = {
        'model_alias_metric:mlflow_candidate_margin:ratio{metric="auc"}': ERROR * deviations,
        'model_alias_metric:mlflow_candidate_margin:ratio{metric="f1"}': 0.05 * deviations,
        "count(model_alias_metric:mlflow_candidate_margin:ratio)": 2,
        VERDICT: CANDIDATES.index(verdict),
    }
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=["mlflow"], tolerance=1e-5)
