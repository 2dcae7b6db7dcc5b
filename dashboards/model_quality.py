"""The page `Model quality`: are the models right, sure, unchanged, and in use?"""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.model_quality import PAGE
from dashboards.common import data_mode, firing_alerts
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import Column, Panel, barchart, heatmap, stat, table, timeseries
from dashboards.lib.queries import Query
from dashboards.lib.variables import datasource, label_values


def build() -> Page:
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
            label_values("variant", "ml_predictions_total", title="Variant", within=("model",), may_be_empty=True),
        ),
        rows=(
            Row(
                "Now",
                (
                    data_mode(width=4),
                    stat(SIGNAL["model_accuracy"], width=7),
                    stat(SIGNAL["model_drift"], width=6),
                    stat(SIGNAL["model_prediction_rate"], width=7),
                    _models(),
                    firing_alerts(width=8, height=7),
                ),
            ),
            Row(
                "Right?",
                (
                    timeseries(SIGNAL["model_accuracy"], title="Accuracy over time"),
                    timeseries(SIGNAL["model_mae"]),
                    heatmap(SIGNAL["model_error_buckets"]),
                    timeseries(SIGNAL["model_r2"]),
                ),
            ),
            Row(
                "Sure?",
                (
                    heatmap(SIGNAL["model_confidence_buckets"]),
                    timeseries(SIGNAL["model_confidence"]),
                ),
            ),
            Row(
                "Unchanged?",
                (
                    timeseries(SIGNAL["model_drift"], title="Drift over time", width=8),
                    barchart(SIGNAL["model_score_share"], x="bin", width=8),
                    barchart(SIGNAL["model_reference_share"], x="bin", width=8),
                ),
            ),
            Row("Champion against candidate", (_registry(),)),
            Row(
                "In use?",
                (
                    timeseries(SIGNAL["model_prediction_p95"], width=8),
                    timeseries(SIGNAL["model_prediction_errors"], width=8, bars=True, empty="no prediction failed"),
                    timeseries(SIGNAL["model_last_prediction_age"], width=8),
                ),
            ),
        ),
    )


def _models() -> Panel:
    return table(
        (Column("model", "Model"), Column("model_version", "Version"), Column("variant", "Variant")),
        Query(SIGNAL["model_loaded_age"], name="Loaded"),
        Query(SIGNAL["model_load_duration"], name="Load time"),
        Query(SIGNAL["model_last_prediction_age"], name="Last prediction"),
        Query(SIGNAL["model_confidence"], name="Confidence"),
        title="Versions in services",
        empty="no service reports models",
        sort_by="Variant",
        width=16,
        height=7,
    )


def _registry() -> Panel:
    return table(
        (Column("model", "Model"), Column("alias", "Alias"), Column("metric", "Metric")),
        Query(SIGNAL["model_metric"], name="In MLflow"),
        title="Registered versions by alias",
        empty="no registered version with an alias has metrics",
        sort_by="Metric",
        width=24,
    )
