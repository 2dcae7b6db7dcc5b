"""The business rules on the requirement's figures, with every formula's input in plain sight, and in every mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.experiments.business_recording import MODES, RECOMMENDATIONS
from ml_monitoring.exporter.errors import ConfigError
from tests.support.rules import check_rules

LIVE = {
    'mlflow_metric_latest{metric="accuracy",model_variant="A",experiment="fraud"}': "0.70x75",
    'mlflow_metric_latest{metric="accuracy",model_variant="B",experiment="fraud"}': "0.71x75",
}
MINUTES = 75
TOPICS = ("traffic", "ab_test", "business")
DAY = 1440


def traffic(variant: str, *, requests: float, errors: float, seconds: float, origin: str = "") -> dict[str, str]:
    """Return a variant's counters: requests and errors a minute, and the mean seconds of a request."""
    labels = f'variant="{variant}",job="ml"' + (f',origin="{origin}"' if origin else "")
    return {
        f'ab_test_requests_total{{{labels},outcome="success"}}': f"0+{requests}x{MINUTES}",
        f"ab_test_errors_total{{{labels}}}": f"0+{errors}x{MINUTES}",
        f"ab_test_response_time_seconds_sum{{{labels}}}": f"0+{requests * seconds}x{MINUTES}",
        f"ab_test_response_time_seconds_count{{{labels}}}": f"0+{requests}x{MINUTES}",
        f"ab_test_model_accuracy{{{labels}}}": f"{0.78 if variant == 'A' else 0.82}x{MINUTES}",
    }


def service(origin: str = "") -> dict[str, str]:
    return {
        **traffic("A", requests=60, errors=3, seconds=0.050, origin=origin),
        **traffic("B", requests=40, errors=1, seconds=0.060, origin=origin),
    }


# Of three requests to two: else the split would be wrong, and no verdict be given.
HOUR = load_thresholds().changed({"business": {"window": "1h"}, "ab_test": {"shares": {"A": 0.6, "B": 0.4}}})


def test_the_figures_of_the_requirement(programs: dict[str, Path], tmp_path: Path) -> None:
    # A year's 672450 of revenue, 28930 of cost and 42180 of risk reduction, from the raw inputs of each formula.
    revenue, cost, risk = 672_450 / 365, 28_930 / 365, 42_180 / 365
    requests = 100 * DAY
    accuracy = revenue / (10_000_000 * 0.005 * 100)
    milliseconds = cost / (requests * 0.0001)
    errors = risk / (requests * 50)
    assert accuracy == pytest.approx(0.000368466, rel=1e-5)
    baseline, candidate = LIVE
    series = {
        baseline: f"0.782x{MINUTES}",
        candidate: f"{0.782 + accuracy!r}x{MINUTES}",
        **traffic("A", requests=50, errors=1, seconds=0.05),
        **traffic("B", requests=50, errors=1 - 50 * errors, seconds=0.05 + milliseconds / 1000),
    }
    expected = {
        ":business_revenue:daily * 365": 672_450,
        ":business_cost:daily * 365": 28_930,
        ":business_risk_reduction:daily * 365": 42_180,
        ":business_net:annual": 685_700,
        "round(:business_return_on_investment:ratio * 100)": 1194,
        "floor(:business_payback:days)": 28,
        ":business_data_mode:code": MODES.index("LIVE"),
    }
    check_rules(
        programs["promtool"], tmp_path, series, expected, at="70m", topics=TOPICS, thresholds=HOUR, tolerance=1e-6
    )


def test_each_formula_on_round_numbers(programs: dict[str, Path], tmp_path: Path) -> None:
    expected = {
        # One percentage point is 0.5 % of 10 million.
        ":business_revenue:daily": 50_000,
        # 144000 requests x 10 ms x 0.0001.
        ":business_cost:daily": 144,
        # 144000 requests x (5 % - 2.5 %) x 50.
        ":business_risk_reduction:daily": 180_000,
        ":business_net:daily": 50_000 - 144 + 180_000,
        ":business_net:annual": 229_856 * 365,
        ":business_return_on_investment:ratio": (229_856 * 365 - 53_000) / 53_000,
        ":business_payback:days": 53_000 / (229_856 * 365) * 365,
    }
    check_rules(programs["promtool"], tmp_path, LIVE | service(), expected, at="70m", topics=TOPICS, thresholds=HOUR)


def test_parameters_come_from_the_environment(programs: dict[str, Path], tmp_path: Path) -> None:
    environment = {
        "BASE_TRADING_VOLUME": "1000000",
        "ACCURACY_REVENUE_MULTIPLIER": "0.01",
        "ACCURACY_UNIT": "ratio",
        "LATENCY_COST_PER_MS": "0.001",
        "ERROR_COST_MULTIPLIER": "5",
        "INFRASTRUCTURE_ANNUAL_COST": "1000",
        "BASELINE_VARIANT": "B",
        "CANDIDATE_VARIANT": "A",
    }
    expected = {
        ":business_revenue:daily": -100,
        ":business_cost:daily": -1440,
        ":business_risk_reduction:daily": -18_000,
        ":business_return_on_investment:ratio": ((-100 + 1440 - 18_000) * 365 - 1000) / 1000,
        ":business_payback:days": None,
        ":business_recommendation:code": RECOMMENDATIONS.index("Keep the baseline"),
    }
    thresholds = HOUR.overridden(environment)
    check_rules(
        programs["promtool"], tmp_path, LIVE | service(), expected, at="70m", topics=TOPICS, thresholds=thresholds
    )


def test_a_parameter_that_cannot_be_used_is_named() -> None:
    with pytest.raises(ConfigError, match=r"LATENCY_COST_PER_MS: .*number"):
        load_thresholds().overridden({"LATENCY_COST_PER_MS": "cheap"})
    with pytest.raises(ConfigError, match="BASELINE_VARIANT"):
        load_thresholds().overridden({"BASELINE_VARIANT": 'A"} or vector(1) #'})


@pytest.mark.parametrize(
    ("series", "mode", "expected"),
    [
        pytest.param(LIVE | service(), "LIVE", {"role:business_accuracy:ratio": 1.41}, id="both"),
        pytest.param(
            service(),
            "OPERATIONAL",
            {"role:business_accuracy:ratio": 1.60, "sum(role:business_requests:daily)": 100 * DAY},
            id="services only",
        ),
        pytest.param(
            LIVE,
            "MODEL",
            {
                "role:business_accuracy:ratio": 1.41,
                "role:business_requests:daily": None,
                ":business_cost:daily": None,
                ":business_risk_reduction:daily": None,
                ":business_net:daily": 50_000,
            },
            id="mlflow only",
        ),
        pytest.param(
            service("simulated"),
            "SIMULATED",
            {"role:business_accuracy:ratio": 1.60, "sum(role:business_requests:daily)": 100 * DAY},
            id="a demo only",
        ),
        pytest.param(
            {},
            "SIMULATED",
            {"role:business_accuracy:ratio": 1.60, "sum(role:business_requests:daily)": 100_000},
            id="nothing",
        ),
        pytest.param(
            LIVE | service("simulated"),
            "MODEL",
            {"role:business_accuracy:ratio": 1.41, "role:business_requests:daily": None},
            id="simulated traffic is not mixed with live runs",
        ),
        pytest.param(
            service() | {name.replace("}", ',origin="simulated"}'): "0.5x75" for name in LIVE},
            "OPERATIONAL",
            {"role:business_accuracy:ratio": 1.60},
            id="simulated runs are not mixed with live traffic",
        ),
        pytest.param(
            LIVE | service() | {k: v for k, v in service("simulated").items() if "accuracy" not in k},
            "LIVE",
            {"sum(role:business_requests:daily)": 100 * DAY},
            id="live goes first",
        ),
        pytest.param(
            LIVE | traffic("A", requests=60, errors=3, seconds=0.05),
            "MODEL",
            {"role:business_requests:daily": None},
            id="one variant alone is no comparison",
        ),
    ],
)
def test_the_mode_follows_what_is_there(
    series: dict[str, str], mode: str, expected: dict[str, float | None], programs: dict[str, Path], tmp_path: Path
) -> None:
    wanted = {":business_data_mode:code": float(MODES.index(mode)), **expected}
    check_rules(programs["promtool"], tmp_path, series, wanted, at="70m", topics=TOPICS, thresholds=HOUR)


def test_what_is_nothing_is_no_negative_zero(programs: dict[str, Path], tmp_path: Path) -> None:
    # Without a difference in failures; too short an experiment to be significant.
    alike = {**traffic("A", requests=60, errors=3, seconds=0.05), **traffic("B", requests=40, errors=2, seconds=0.06)}
    expected = {
        "round(:business_risk_reduction:daily, 1e-6)": 0,
        "count(1 / :business_risk_reduction:daily > 0)": 1,
        'count(1 / metric_bound:business_improvement:ratio{bound="low"} > 0)': 1,
        'count(1 / metric_bound:business_improvement:ratio{bound="low"} < 0)': None,
    }
    check_rules(programs["promtool"], tmp_path, LIVE | alike, expected, at="70m", topics=TOPICS, thresholds=HOUR)


@pytest.mark.parametrize(
    ("gone", "mode"), [("mlflow", "OPERATIONAL"), ("ab_test", "MODEL"), ("", "LIVE"), ("all", "SIMULATED")]
)
def test_a_source_that_vanishes_changes_the_mode_at_once(
    gone: str, mode: str, programs: dict[str, Path], tmp_path: Path
) -> None:
    def for_an_hour(values: str) -> str:
        return values.partition("x")[0] + "x60 stale"

    series = {
        name: for_an_hour(values) if name.startswith(gone or "none") or gone == "all" else values
        for name, values in (LIVE | service()).items()
    }
    for at, expected in (("1h", "LIVE"), ("1h2m", mode)):
        wanted = {":business_data_mode:code": float(MODES.index(expected))}
        check_rules(programs["promtool"], tmp_path, series, wanted, at=at, topics=TOPICS, thresholds=HOUR)


def test_each_cluster_has_figures_of_its_own_whatever_namespaces_its_services_are_in(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    def placed(given: dict[str, str], cluster: str, namespace: str) -> dict[str, str]:
        place = f'{{cluster="{cluster}",namespace="{namespace}",'
        return {series.replace("{", place): values for series, values in given.items()}

    up = {'up{job="ml-monitoring"}': f"1x{MINUTES}"}
    series = {
        **placed(LIVE | up, "a", "ml"),
        **placed(service(), "a", "shop"),
        # Half of a comparison is none.
        **placed(traffic("A", requests=600, errors=3, seconds=0.5) | up, "b", "ml"),
    }
    expected = {
        ':business_data_mode:code{cluster="a"}': MODES.index("LIVE"),
        ':business_data_mode:code{cluster="b"}': MODES.index("SIMULATED"),
        "count(:business_data_mode:code)": 2,
        ':business_net:daily{cluster="a"}': 50_000 - 144 + 180_000,
        'role:business_requests:daily{cluster="a",role="baseline"}': 60 * DAY,
        'count(:business_net:daily{cluster="b"})': 1,
        "count(:business_recommendation:code)": 2,
    }
    check_rules(
        programs["promtool"], tmp_path, series, expected, at="70m", topics=("exporter", *TOPICS), thresholds=HOUR
    )
