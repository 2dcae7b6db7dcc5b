"""Metrics of the source `mlflow` about registered and logged models, and about what belongs to runs."""

from __future__ import annotations

from ml_monitoring.exporter.catalog.base import Unit, gauge

MLFLOW_MODEL_METRICS = (
    gauge(
        "mlflow_model_versions",
        "Registered versions of the model by stage; None is what MLflow calls a version without one.",
        Unit.COUNT,
        "model",
        "stage",
        origin="mlflow",
    ),
    gauge(
        "mlflow_model_aliased_version_timestamp_seconds",
        "When the version that carries the alias was registered; when the alias was given is not stored.",
        Unit.TIMESTAMP,
        "model",
        "alias",
        origin="mlflow",
    ),
    gauge(
        "mlflow_model_metric_lead_ratio",
        "By what share of the champion's value the aliased version is better, below 0 where it is worse.",
        Unit.RATIO,
        "model",
        "alias",
        "metric",
        origin="mlflow",
    ),
    gauge(
        "mlflow_model_metric_lead_error_ratio",
        "Standard error of that share, by the sizes of both test sets, see the settings test_size and "
        "assumed_test_size.",
        Unit.RATIO,
        "model",
        "alias",
        "metric",
        origin="mlflow",
    ),
    gauge(
        "mlflow_model_candidates",
        "Runs that have finished in the experiment of the aliased version's run: from how many it may be the best.",
        Unit.COUNT,
        "model",
        "alias",
        origin="mlflow",
    ),
    gauge(
        "mlflow_child_runs",
        "Active runs that belong to a parent run, such as the trials of a search, by status.",
        Unit.COUNT,
        "experiment",
        "status",
        origin="mlflow",
    ),
    gauge(
        "mlflow_datasets",
        "Datasets that runs of the experiment used, by name and digest.",
        Unit.COUNT,
        "experiment",
        origin="mlflow",
    ),
    gauge(
        "mlflow_tagged_runs",
        "Active runs by value of the tags that the setting count_tags names; (other) are all but those with most runs.",
        Unit.COUNT,
        "tag",
        "value",
        origin="mlflow",
    ),
    gauge(
        "mlflow_tag_values",
        "Values of the tags that the setting count_tags names, those in (other) counted one by one.",
        Unit.COUNT,
        "tag",
        origin="mlflow",
    ),
    gauge(
        "mlflow_tagged_cost",
        "Sum of the numbers that active runs have in the tags that the setting cost_tags names.",
        Unit.ANY,
        "experiment",
        "tag",
        origin="mlflow",
    ),
    gauge(
        "mlflow_logged_models",
        "Logged models of MLflow 3 that are not deleted, by status.",
        Unit.COUNT,
        "experiment",
        "status",
        origin="mlflow",
    ),
    gauge(
        "mlflow_last_logged_model_timestamp_seconds",
        "When a model was last logged to the experiment.",
        Unit.TIMESTAMP,
        "experiment",
        origin="mlflow",
    ),
)
