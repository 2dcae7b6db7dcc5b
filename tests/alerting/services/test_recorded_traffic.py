"""Recorded series about services and experiments: what is counted, what is left out, and what an idle one gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from tests.support.rules import check_rules

MINUTES = 40
AT = "40m"


def counter(name: str, labels: str, each_minute: float) -> dict[str, str]:
    """Return a counter of the service `ml`, and of one that stands still."""
    return {
        f'{name}{{job="ml",instance="a",{labels}}}': f"0+{each_minute}x{MINUTES}",
        f'{name}{{job="idle",instance="a",{labels}}}': f"7x{MINUTES}",
    }


def test_means_and_ratios_of_a_service_and_none_of_an_idle_one(programs: dict[str, Path], tmp_path: Path) -> None:
    request = 'method="POST",route="/p"'
    model = 'model="m",model_version="1"'
    series = {
        **counter("ml_http_request_duration_seconds_sum", request, 15),
        **counter("ml_http_request_duration_seconds_count", request, 60),
        **counter("ml_prediction_absolute_error_sum", f'{model},variant="A"', 6),
        **counter("ml_prediction_absolute_error_count", f'{model},variant="A"', 24),
        **counter("ml_prediction_confidence_ratio_sum", f'{model},variant="A"', 48),
        **counter("ml_prediction_confidence_ratio_count", f'{model},variant="A"', 60),
        **counter("ml_prediction_truths_total", f'{model},variant="A",outcome="correct"', 30),
        **counter("ml_prediction_truths_total", f'{model},variant="A",outcome="incorrect"', 10),
        **counter("ab_test_requests_total", 'variant="A",outcome="success"', 30),
        **counter("ab_test_requests_total", 'variant="B",outcome="success"', 10),
        **counter("ab_test_errors_total", 'variant="A"', 6),
        **counter("ab_test_response_time_seconds_sum", 'variant="A"', 3),
        **counter("ab_test_response_time_seconds_count", 'variant="A"', 30),
    }
    values = {
        "model_version_variant_origin:ml_prediction_absolute_error:mean{%s}": 0.25,
        "model_version_variant_origin:ml_prediction_confidence:mean{%s}": 0.8,
        "model_version_variant_origin:ml_prediction_accuracy:ratio{%s}": 0.75,
        'variant_origin:ab_test_requests:share{variant="A",%s}': 0.75,
        'variant_origin:ab_test_errors:ratio{variant="A",%s}': 0.2,
        # One that counts no errors has none.
        'variant_origin:ab_test_errors:ratio{variant="B",%s}': 0,
        "variant_origin:ab_test_response_time_seconds:mean{%s}": 0.1,
    }
    expected: dict[str, float | None] = {name % 'job="ml"': value for name, value in values.items()}
    expected |= {name % 'job="idle"': None for name in values}
    check_rules(programs["promtool"], tmp_path, series, expected, at=AT, topics=("traffic", "quality"))


def truths(job: str, variant: str, outcome: str, number: float) -> dict[str, str]:
    labels = f'job="{job}",instance="a",model="m",model_version="1",variant="{variant}",outcome="{outcome}"'
    return {f"ml_prediction_truths_total{{{labels}}}": f"0+{number / MINUTES}x{MINUTES}"}


def test_accuracy_is_counted_where_twenty_truths_are_known_else_it_is_what_the_service_says(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    # One more right and one more wrong than there were.
    variance = 25 * 7 / 32**2 / 30
    series = {
        **truths("ml", "A", "correct", 24),
        **truths("ml", "A", "incorrect", 6),
        **truths("ml", "B", "correct", 9),
        **truths("ml", "B", "incorrect", 1),
        **truths("ml", "", "correct", 100),
        **{
            f'ab_test_model_accuracy{{job="ml",instance="a",variant="{variant}"}}': f"0.5x{MINUTES}" for variant in "AB"
        },
    }
    expected = {
        'variant_origin:ab_test_accuracy:ratio{variant="A"}': 0.8,
        'variant_origin:ab_test_accuracy:ratio{variant="B"}': 0.5,
        'variant_origin:ab_test_accuracy:ratio{variant=""}': None,
        'variant_origin:ab_test_accuracy:variance{variant="A"}': variance,
        # The service does not say of how many it speaks.
        'variant_origin:ab_test_accuracy:variance{variant="B"}': 0,
        'variant_origin:ab_test_accuracy:shortfall_error{variant="B"}': 0.5 / 0.8 * variance**0.5 / 0.8,
    }
    check_rules(programs["promtool"], tmp_path, series, expected, at=AT, topics=("traffic",))


def test_the_baselines_accuracy_is_compared_with_its_runs_of_the_chosen_experiments(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    thresholds = load_thresholds().changed({"business": {"experiments": "fraud"}})

    def latest(experiment: str, variant: str, metric: str, value: float) -> dict[str, str]:
        labels = f'experiment="{experiment}",model_variant="{variant}",metric="{metric}"'
        return {f'mlflow_metric_latest{{job="ml-monitoring",instance="a",{labels}}}': f"{value}x{MINUTES}"}

    def says(job: str, variant: str, value: float) -> dict[str, str]:
        return {f'ab_test_model_accuracy{{job="{job}",instance="a",variant="{variant}"}}': f"{value}x{MINUTES}"}

    series = {
        **latest("fraud", "A", "accuracy", 0.8),
        **latest("fraud", "B", "accuracy", 0.95),
        **latest("fraud", "A", "f1", 0.9),
        **latest("churn", "A", "accuracy", 0.99),
        **says("ml", "A", 0.6),
        **says("ml", "B", 0.3),
        **truths("broken", "A", "incorrect", 40),
        **truths("broken", "A", "correct", 0),
        # Without the baseline there is nothing to compare the candidate with.
        **says("alone", "B", 0.3),
    }
    expected = {
        'variant_origin:ab_test_accuracy:shortfall{job="ml",variant="A"}': 1 - 0.6 / 0.8,
        'variant_origin:ab_test_accuracy:shortfall{job="ml",variant="B"}': 1 - 0.3 / 0.6,
        'variant_origin:ab_test_accuracy:shortfall{job="alone"}': None,
        # Nothing was right: still wrong beyond chance.
        'variant_origin:ab_test_accuracy:shortfall{job="broken",variant="A"}': 1,
        'variant_origin:ab_test_accuracy:shortfall_error{job="broken",variant="A"}': (41 / 42**2 / 40) ** 0.5 / 0.8,
    }
    check_rules(programs["promtool"], tmp_path, series, expected, at=AT, topics=("traffic",), thresholds=thresholds)


def test_the_reference_of_the_drift_needs_its_number_of_predictions(programs: dict[str, Path], tmp_path: Path) -> None:
    thresholds = load_thresholds().changed(
        {"drift": {"window": "10m", "reference_window": "20m", "reference_offset": "10m", "minimum_predictions": 100}}
    )
    scores = 'ml_prediction_scores_total{job="ml",instance="a",model="%s",model_version="1",variant="A",bin="0.1"}'
    series = {
        # 240 in the reference window, then 120; 60 in the reference window, then 120.
        scores % "enough": "0+12x40",
        scores % "few": "0+3x30 102+12x10",
    }
    reference = 'model_version_variant_origin_bin:ml_prediction_scores:reference_share{model="%s"}'
    share = 'model_version_variant_origin_bin:ml_prediction_scores:share{model="%s"}'
    expected = {reference % "enough": 1, reference % "few": None, share % "enough": 1, share % "few": 1}
    check_rules(programs["promtool"], tmp_path, series, expected, at=AT, topics=("quality",), thresholds=thresholds)


def test_only_the_two_variants_of_the_experiment_are_counted(programs: dict[str, Path], tmp_path: Path) -> None:
    series: dict[str, str] = {}
    for variant, each in (("A", 30), ("B", 10), ("C", 60)):
        truth = f'model="m",model_version="1",variant="{variant}"'
        series |= counter("ab_test_requests_total", f'variant="{variant}",outcome="success"', each)
        series |= counter("ml_prediction_truths_total", f'{truth},outcome="correct"', 2 * each)
    trials = 'variant_metric_origin:ab_test_trials:count{job="ml",metric="%s",variant="%s"}'
    expected = {
        trials % ("errors", "A"): 30 * MINUTES,
        trials % ("errors", "C"): None,
        trials % ("accuracy", "B"): 20 * MINUTES,
        trials % ("accuracy", "C"): None,
    }
    check_rules(programs["promtool"], tmp_path, series, expected, at=AT, topics=("ab_test",))


@pytest.mark.parametrize(
    ("metric", "difference", "p_value", "verdict"),
    [
        ("errors", -0.1, 0.005, 0),
        ("errors", -0.1, 0.05, 2),
        ("accuracy", 0.1, 0.005, 3),
        ("accuracy", 0.1, 0.05, 2),
        # Fewer errors alone do not make a model better.
        ("errors", 0.1, 0.005, 2),
    ],
)
def test_a_verdict_needs_a_p_value_below_one_percent(
    metric: str, difference: float, p_value: float, verdict: int, programs: dict[str, Path], tmp_path: Path
) -> None:
    recorded = f'{{job="ml",metric="{metric}"}}'
    series = {
        f"metric_origin:ab_test_trials:min{recorded}": "1000x5",
        f"metric_origin:ab_test_improvement:ratio{recorded}": f"{difference}x5",
        f"metric_origin:ab_test_improvement:p_value{recorded}": f"{p_value}x5",
    }
    expected: dict[str, float | None] = {"origin:ab_test_verdict:code": verdict}
    soon = load_thresholds().changed({"ab_test": {"minimum_duration": "1m"}})
    check_rules(programs["promtool"], tmp_path, series, expected, at="5m", topics=("ab_test",), thresholds=soon)


def test_how_long_an_experiment_fails_is_counted_from_its_first_failure_not_from_other_runs(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    run = 'mlflow_last_run_timestamp_seconds{job="ml-monitoring",instance="a",experiment="new",status="%s"}'
    series = {run % "RUNNING": "-300000x60", run % "FAILED": "-100000x60"}
    age = "experiment:mlflow_last_success_age_seconds:min"
    for at, expected in (("1h", 3_600 + 100_000), ("26h", 93_600 + 100_000)):
        check_rules(programs["promtool"], tmp_path, series, {age: expected}, at=at, topics=("mlflow",), interval="30m")


WEEKDAY, WEEKEND = 5 * 48, 2 * 48


def workweek(weeks: int, each: int) -> str:
    """Return a counter, twice an hour, that grows from Monday to Friday in so many weeks, then stands still."""
    values = []
    for week in range(weeks):
        begins = week * WEEKDAY * each
        values += [f"{begins}+{each}x{WEEKDAY - 1}", f"{begins + WEEKDAY * each}x{WEEKEND - 1}"]
    return " ".join([*values, f"{weeks * WEEKDAY * each}x{WEEKEND}"])


@pytest.mark.parametrize(
    ("weeks", "day", "missing"),
    [
        # Two samples an hour of 100 each. On Saturday it was quiet a week ago, on Monday it was not.
        (3, 19, 0),
        (3, 21, 200),
        # Of one week there are one week's hours, of less there are none.
        (1, 7, 200),
        (1, 5, None),
    ],
    ids=["a Saturday", "a Monday", "the second Monday of all", "the first Saturday of all"],
)
def test_predictions_are_missing_when_they_came_at_these_hours_of_earlier_weeks(
    weeks: int, day: int, missing: float | None, programs: dict[str, Path], tmp_path: Path
) -> None:
    series = {
        'ml_predictions_total{job="ml",instance="a",model="m",model_version="1",variant="A"}': workweek(weeks, 100)
    }
    expected = {
        "origin:ml_predictions:missing": missing,
        "origin:ml_predictions:recent": None if missing is None else 0,
    }
    check_rules(
        programs["promtool"], tmp_path, series, expected,
        at=f"{24 * day + 12}h", topics=["traffic"], interval="30m",
        thresholds=load_thresholds().changed({"traffic": {"window": "1h"}}),
    )  # fmt: skip


def test_a_batch_that_comes_once_an_hour_is_not_missed_within_the_hour(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    # A hundred at once every hour, which count five each: of an hour too few to be missed, of six enough.
    batches = " ".join(f"{100 * hour}x5" for hour in range(60))
    series = {
        'ml_predictions_total{job="ml",instance="a",model="m",model_version="1",variant="A"}': f"{batches} 5900x60"
    }
    # Yesterday was last week.
    for at, missing in (("61h30m", 5), ("66h10m", 30)):
        expected: dict[str, float | None] = {"origin:ml_predictions:missing": missing}
        check_rules(
            programs["promtool"], tmp_path, series, expected,
            at=at, topics=["traffic"], interval="10m",
            thresholds=load_thresholds().changed({"traffic": {"window": "20m", "week": "1d"}}),
        )  # fmt: skip
