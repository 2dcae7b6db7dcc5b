"""The page `Model quality`: are the models right, sure, unchanged, and in use?"""

from __future__ import annotations

from ml_monitoring.alerting.mlflow.model_signals import MODEL_METRIC
from ml_monitoring.alerting.services.quality_signals import (
    MODEL_ACCURACY,
    MODEL_CONFIDENCE,
    MODEL_CONFIDENCE_BUCKETS,
    MODEL_DRIFT,
    MODEL_ERROR_BUCKETS,
    MODEL_LAST_PREDICTION_AGE,
    MODEL_LOAD_DURATION,
    MODEL_LOADED_AGE,
    MODEL_MAE,
    MODEL_PREDICTION_ERRORS,
    MODEL_PREDICTION_P95,
    MODEL_PREDICTION_RATE,
    MODEL_R2,
    MODEL_REFERENCE_SHARE,
    MODEL_SCORE_SHARE,
    PAGE,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, barchart, heatmap, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import data_mode, firing_alerts, verdict


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="Model quality",
        description="For those who own models: are they still right, and still the models that were tested?",
        folder="ML",
        tags=("quality",),
        variables=(
            datasource(),
            label_values("model", "ml_predictions_total", title="Model"),
            label_values(
                "model_version", "ml_predictions_total", title="Version", within=("model",), may_be_empty=True
            ),
            label_values(
                "variant",
                "ml_predictions_total",
                name="served_variant",
                title="Variant",
                within=("model",),
                may_be_empty=True,
            ),
        ),
        rows=(
            verdict(
                "Are the models still accurate, confident and undrifted?",
                stat(MODEL_ACCURACY, width=6),
                stat(MODEL_DRIFT, width=5),
                stat(MODEL_CONFIDENCE, width=5, title="Confidence"),
                page=PAGE,
            ),
            Row(
                "Accuracy and drift over time",
                (
                    timeseries(MODEL_ACCURACY, title="Accuracy over time", height=7),
                    timeseries(MODEL_DRIFT, title="Score drift over time", height=7),
                    _models(),
                    firing_alerts(context, PAGE, width=24, height=5),
                ),
            ),
            Row(
                "Error",
                (
                    timeseries(MODEL_MAE),
                    heatmap(MODEL_ERROR_BUCKETS),
                    timeseries(MODEL_R2, width=24),
                ),
                collapsed=True,
            ),
            Row(
                "Confidence",
                (
                    heatmap(MODEL_CONFIDENCE_BUCKETS),
                    timeseries(MODEL_CONFIDENCE),
                ),
                collapsed=True,
            ),
            Row(
                "Scores by bin",
                (
                    barchart(MODEL_SCORE_SHARE, x="bin", series="served"),
                    barchart(MODEL_REFERENCE_SHARE, x="bin", series="served"),
                ),
                collapsed=True,
            ),
            Row("Champion vs candidate", (_registry(),), collapsed=True),
            Row(
                "Usage",
                (
                    timeseries(MODEL_PREDICTION_P95, width=8),
                    timeseries(
                        MODEL_PREDICTION_ERRORS,
                        width=8,
                        bars=True,
                        empty="no failed predictions, or no data from Prometheus",
                    ),
                    timeseries(MODEL_LAST_PREDICTION_AGE, width=8),
                    timeseries(MODEL_PREDICTION_RATE, width=16, height=6),
                    data_mode(width=8, height=6),
                ),
                collapsed=True,
            ),
        ),
    )


def _models() -> Panel:
    return table(
        (Column("model", "Model"), Column("model_version", "Version"), Column("variant", "Variant")),
        Query(MODEL_LOADED_AGE, name="Time since load"),
        Query(MODEL_LOAD_DURATION, name="Load duration"),
        Query(MODEL_LAST_PREDICTION_AGE, name="Time since last prediction"),
        Query(MODEL_CONFIDENCE, name="Confidence"),
        title="Deployed versions",
        empty="no models of services, or no data from Prometheus",
        sort_by="Variant",
        height=6,
    )


def _registry() -> Panel:
    return table(
        (Column("model", "Model"), Column("alias", "Alias"), Column("metric", "Metric")),
        Query(MODEL_METRIC, name="In MLflow"),
        title="Registered versions by alias",
        empty="no metrics of registered versions with an alias, or no data from Prometheus",
        sort_by="Metric",
        width=24,
    )
