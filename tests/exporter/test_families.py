import math
import re

import pytest

from ml_monitoring.exporter.errors import CatalogError, Reason
from ml_monitoring.exporter.families import FamilySet


@pytest.fixture
def families() -> FamilySet:
    return FamilySet("mlflow")


def test_a_missing_value_is_no_sample(families: FamilySet) -> None:
    family = families["mlflow_metric_best"]
    family.add(None, "churn", "accuracy")
    family.add(math.nan, "churn", "loss")
    family.add(0, "churn", "zero")
    assert family.samples == {("churn", "zero"): 0.0}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("churn",), r"mlflow_metric_best: label values \('churn',\) for labels \('experiment', 'metric'\)"),
        (("churn", "accuracy", "more"), "mlflow_metric_best: label values"),
        (("churn", 5), "mlflow_metric_best: label values must be text"),
        (("churn", None), "mlflow_metric_best: label values must be text"),
    ],
)
def test_labels_that_do_not_fit_are_refused(families: FamilySet, labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        families["mlflow_metric_best"].add(1, *labels)


def test_labels_given_by_name_are_put_in_the_declared_order() -> None:
    family = FamilySet("mlflow", extra_labels=["origin"])["mlflow_metric_latest"]
    family.add_named(0.9, metric="accuracy", origin="demo", model_variant="a", experiment="churn")
    assert family.samples == {("churn", "a", "accuracy", "demo"): 0.9}


@pytest.mark.parametrize("labels", [{"experiment": "churn"}, {"experiment": "churn", "metric": "f1", "run": "a"}])
def test_label_names_that_do_not_fit_are_refused(families: FamilySet, labels: dict[str, str]) -> None:
    message = rf"mlflow_metric_best: labels {sorted(labels)} instead of ['experiment', 'metric']"
    with pytest.raises(CatalogError, match=re.escape(message)):
        families["mlflow_metric_best"].add_named(1, **labels)


def test_a_duplicate_label_set_is_refused(families: FamilySet) -> None:
    families["mlflow_metric_best"].add(1, "churn", "accuracy")
    with pytest.raises(CatalogError, match="mlflow_metric_best: duplicate labels"):
        families["mlflow_metric_best"].add(2, "churn", "accuracy")


def test_an_undeclared_name_is_refused(families: FamilySet) -> None:
    with pytest.raises(CatalogError, match="mlflow_nonsense: the catalog has no such metric of mlflow"):
        families["mlflow_nonsense"]


def test_a_metric_of_another_origin_is_refused(families: FamilySet) -> None:
    with pytest.raises(CatalogError, match="ml_monitoring_source_up"):
        families["ml_monitoring_source_up"]


def test_a_gauge_takes_no_distribution_and_a_histogram_no_number(families: FamilySet) -> None:
    with pytest.raises(CatalogError, match="mlflow_experiments: declared as a gauge"):
        families["mlflow_experiments"].add_distribution([1], 1.0, "active")
    with pytest.raises(CatalogError, match="mlflow_run_duration_seconds: declared as a histogram"):
        families["mlflow_run_duration_seconds"].add(1, "churn")
    with pytest.raises(CatalogError, match="mlflow_run_duration_seconds: 2 counts for 12 buckets"):
        families["mlflow_run_duration_seconds"].add_distribution([1, 2], 1.0, "churn")


def test_what_exceeds_the_cap_is_dropped_and_counted() -> None:
    families = FamilySet("mlflow", max_series=2)
    for number in range(5):
        families["mlflow_metric_best"].add(number, "churn", f"metric-{number}")
    assert list(families["mlflow_metric_best"].samples) == [("churn", "metric-0"), ("churn", "metric-1")]
    assert families["mlflow_metric_best"].dropped == 3
    assert families.series == 2


def test_a_histogram_counts_all_its_series_towards_the_cap() -> None:
    # 12 buckets, +Inf, sum and count are 15 series each.
    families = FamilySet("mlflow", max_series=31)
    for number in range(3):
        families["mlflow_run_duration_seconds"].add_distribution([0] * 13, 0.0, f"experiment-{number}")
    assert families["mlflow_run_duration_seconds"].series == 30
    assert families["mlflow_run_duration_seconds"].dropped == 15


def test_extra_labels_go_to_extensible_metrics_only() -> None:
    families = FamilySet("mlflow", extra_labels=["team"])
    assert families["mlflow_metric_latest"].labels == ("experiment", "model_variant", "metric", "team")
    assert families["mlflow_metric_best"].labels == ("experiment", "metric")


def test_a_left_out_row_is_noted(families: FamilySet) -> None:
    families.skip(Reason.INVALID_VALUE, "row 7")
    assert [(problem.reason, problem.message) for problem in families.problems] == [(Reason.INVALID_VALUE, "row 7")]


def test_a_label_value_of_huge_length_is_dropped_and_counted() -> None:
    families = FamilySet("mlflow")
    for length in (1000, 1001, 100_000):
        families["mlflow_datasets"].add(1, "e" * length)
    assert [len(experiment) for (experiment,) in families["mlflow_datasets"].samples] == [1000]
    assert families["mlflow_datasets"].dropped == 2
