"""The page `MLflow models`: which models are there, how old is the champion, is a candidate better?"""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.mlflow_models import PAGE
from dashboards.common import firing_alerts
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import Column, table, timeseries
from dashboards.lib.queries import Query
from dashboards.lib.variables import datasource, label_values

_NO_MODELS = "no version has an alias"


def build() -> Page:
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
                    timeseries(SIGNAL["model_lead"], width=12, empty=_NO_MODELS),
                    timeseries(SIGNAL["registered_versions"], stepped=True, width=12, empty="no model is registered"),
                    table(
                        (Column("model", "Model"), Column("alias", "Alias"), Column("metric", "Metric")),
                        Query(SIGNAL["model_lead"], name="Better than the champion by"),
                        title="Candidates against the champion, best first",
                        sort_by="Better than the champion by",
                        descending=True,
                        empty="no model has a champion and another alias",
                        width=9,
                        height=9,
                    ),
                    timeseries(SIGNAL["aliased_version_age"], width=8, height=9, empty=_NO_MODELS),
                    firing_alerts(width=7, height=9),
                ),
            ),
            Row(
                "Logged models, searches and data",
                (
                    timeseries(SIGNAL["logged_models"], stepped=True, empty="no model was logged"),
                    timeseries(SIGNAL["last_logged_model_age"], empty="no model was logged"),
                    timeseries(SIGNAL["child_runs"], stepped=True, stacked=True, empty="no run has a parent"),
                    timeseries(SIGNAL["datasets"], stepped=True, empty="no run names its data"),
                    table(
                        (Column("tag", "Tag"), Column("value", "Value")),
                        Query(SIGNAL["tagged_runs"], name="Runs"),
                        title="Runs by tag",
                        empty="the exporter is told to count no tags (sources.mlflow.count_tags)",
                    ),
                ),
            ),
        ),
    )
