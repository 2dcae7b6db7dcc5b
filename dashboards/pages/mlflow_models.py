"""The page `MLflow models`: which models are there, how old is the champion, is a candidate better?"""

from __future__ import annotations

from ml_monitoring.alerting.mlflow.model_signals import (
    ALIASED_VERSION_AGE,
    CHILD_RUNS,
    DATASETS,
    LAST_LOGGED_MODEL_AGE,
    LOGGED_MODELS,
    MODEL_LEAD,
    PAGE,
    REGISTERED_VERSIONS,
    TAGGED_RUNS,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import domain_alerts

_NO_MODELS = "no versions with an alias, or no data from Prometheus"


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="MLflow models",
        description="For those who promote models: how old is the champion, and is a candidate better?",
        folder="ML",
        tags=("mlflow",),
        variables=(
            datasource(),
            label_values("model", "mlflow_model_version_info", title="Model"),
            label_values("alias", "mlflow_model_aliased_version_timestamp_seconds", title="Alias", within=("model",)),
            label_values("metric", "mlflow_model_metric", title="Metric", within=("model",)),
            label_values("experiment", "mlflow_runs", title="Experiment"),
        ),
        rows=(
            Row(
                "Champions and candidates",
                (
                    # Before the table of the same signal: the alert links to the first panel that leads with it.
                    timeseries(MODEL_LEAD, width=12, empty=_NO_MODELS),
                    timeseries(
                        REGISTERED_VERSIONS,
                        stepped=True,
                        width=12,
                        empty="no registered models, or no data from Prometheus",
                    ),
                    table(
                        (Column("model", "Model"), Column("alias", "Alias"), Column("metric", "Metric")),
                        Query(MODEL_LEAD, name="Improvement over champion"),
                        title="Candidates vs champion",
                        sort_by="Improvement over champion",
                        descending=True,
                        empty="no models with a champion and another alias, or no data from Prometheus",
                        width=12,
                        height=9,
                    ),
                    timeseries(ALIASED_VERSION_AGE, width=12, height=9, empty=_NO_MODELS),
                ),
            ),
            domain_alerts(context, "mlflow_models", "mlflow"),
            Row(
                "Logged models, child runs and datasets",
                (
                    timeseries(LOGGED_MODELS, stepped=True, empty="no logged models, or no data from Prometheus"),
                    timeseries(LAST_LOGGED_MODEL_AGE, empty="no logged models, or no data from Prometheus"),
                    timeseries(
                        CHILD_RUNS,
                        stepped=True,
                        stacked=True,
                        empty="no runs with a parent, or no data from Prometheus",
                    ),
                    timeseries(DATASETS, stepped=True, empty="no data sets of runs, or no data from Prometheus"),
                    table(
                        (Column("tag", "Tag"), Column("value", "Value")),
                        Query(TAGGED_RUNS, name="Runs"),
                        title="Runs by tag",
                        empty="no tags (see the setting sources.mlflow.count_tags), or no data from Prometheus",
                    ),
                ),
            ),
        ),
    )
