"""The page `MLflow models`: which models are there, how old is the champion, is a candidate better?"""

from __future__ import annotations

from ml_monitoring.alerting.mlflow.model_signals import (
    ALIASED_VERSION_AGE,
    CHILD_RUNS,
    DATASETS,
    LAST_LOGGED_MODEL_AGE,
    LOGGED_MODELS,
    MODEL_LEAD,
    MODEL_METRIC,
    MODEL_VERSIONS,
    PAGE,
    REGISTERED_VERSIONS,
    TAGGED_RUNS,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import OUTCOME, RUN_STATUS
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import firing_alerts, verdict

_NO_REGISTRY = "no registered models, or no data from Prometheus"
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
            verdict(
                "How old is the champion, and is a candidate better?",
                stat(Query(MODEL_LEAD, name="{{model}} {{alias}} {{metric}}"), width=16, empty=_NO_MODELS),
                page=PAGE,
            ),
            Row(
                "Champions, candidates and their metrics",
                (
                    _model_versions(),
                    _candidates(),
                    firing_alerts(context, PAGE),
                    timeseries(MODEL_LEAD, title="Improvement over champion over time", height=7, empty=_NO_MODELS),
                ),
            ),
            Row(
                "Metrics and age",
                (_model_metrics(), timeseries(ALIASED_VERSION_AGE, width=12, empty=_NO_MODELS)),
                collapsed=True,
            ),
            Row(
                "Logged models, child runs and datasets",
                (
                    timeseries(REGISTERED_VERSIONS, stepped=True, empty=_NO_REGISTRY),
                    timeseries(
                        LOGGED_MODELS,
                        stepped=True,
                        colours=OUTCOME,
                        empty="no logged models, or no data from Prometheus",
                    ),
                    timeseries(LAST_LOGGED_MODEL_AGE, empty="no logged models, or no data from Prometheus"),
                    timeseries(
                        CHILD_RUNS,
                        stepped=True,
                        colours=RUN_STATUS,
                        stacked=True,
                        empty="no runs with a parent, or no data from Prometheus",
                    ),
                    timeseries(DATASETS, stepped=True, empty="no data sets of runs, or no data from Prometheus"),
                    table(
                        (Column("tag", "Tag"), Column("value", "Value")),
                        Query(TAGGED_RUNS, name="Runs"),
                        title="Runs by tag",
                        empty="no tags (see the setting sources.mlflow.count_tags), or no data from Prometheus",
                        width=12,
                    ),
                ),
                collapsed=True,
            ),
        ),
    )


def _candidates() -> Panel:
    return table(
        (Column("model", "Model"), Column("alias", "Candidate"), Column("metric", "Metric")),
        Query(MODEL_LEAD, name="Improvement over champion"),
        title="Candidates vs champion",
        sort_by="Improvement over champion",
        descending=True,
        empty="no models with a champion and another alias, or no data from Prometheus",
        width=12,
    )


def _model_versions() -> Panel:
    statuses = {status: (status, colour) for status, colour in RUN_STATUS.items()}
    return table(
        (
            Column("model", "Model"),
            Column("version", "Version"),
            Column("alias", "Alias"),
            Column("run_status", "Run status", values=statuses),
        ),
        MODEL_VERSIONS,
        title="Model versions",
        empty="no registered models, or no data from Prometheus",
        width=12,
    )


def _model_metrics() -> Panel:
    return table(
        (Column("model", "Model"), Column("alias", "Alias"), Column("metric", "Metric")),
        Query(MODEL_METRIC, name="Value"),
        title="Aliased model metrics",
        empty="no metrics of versions with an alias, or no data from Prometheus",
        width=12,
    )
