"""The page `Model quality`: are the models right, sure, unchanged, and in use?"""

from __future__ import annotations

from ml_monitoring.alerting.experiments.signals import PAGE as AB_PAGE
from ml_monitoring.alerting.services.quality_signals import (
    MODEL_ACCURACY,
    MODEL_ACCURACY_JUDGED,
    MODEL_ACCURACY_POINTS,
    MODEL_CONFIDENCE,
    MODEL_CONFIDENCE_BUCKETS,
    MODEL_DRIFT,
    MODEL_ERROR_BUCKETS,
    MODEL_LAST_PREDICTION_AGE,
    MODEL_LOAD_DURATION,
    MODEL_LOADED_AGE,
    MODEL_MAE,
    MODEL_OFFLINE_ACCURACY,
    MODEL_PREDICTION_ERRORS,
    MODEL_PREDICTION_MEAN,
    MODEL_PREDICTION_P95,
    MODEL_PREDICTION_RATE,
    MODEL_R2,
    MODEL_REFERENCE_SHARE,
    MODEL_SCORE_SHARE,
    MODEL_VERDICT,
    MODELS_VERDICT,
    PAGE,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, barchart, heatmap, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import SHOWN_RANGE, Query
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import (
    NOT_COUNTED,
    QUALITY_WORDS,
    chosen,
    colours_of,
    data_mode,
    firing_alerts,
    service,
    verdict,
)

# The accuracy of models that share traffic is judged on the page of A/B tests.
_OF_MODELS = "Ml"
# Alerts of what is chosen above.
_CHOSEN = chosen(model="model", model_version="model_version")


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
            service(),
        ),
        rows=(
            verdict(
                context,
                "Are the models still accurate and undrifted?",
                stat(
                    MODEL_ACCURACY_JUDGED,
                    width=8,
                    show="value_and_name",
                    colours=colours_of(QUALITY_WORDS),
                    empty="no known outcomes, or no data from Prometheus",
                ),
                stat(MODEL_DRIFT, width=6, empty="no reference yet, or no data from Prometheus"),
                page=PAGE,
                only=_CHOSEN,
                also=(AB_PAGE,),
                named=_OF_MODELS,
                state=stat(
                    MODELS_VERDICT,
                    values=QUALITY_WORDS,
                    width=6,
                    empty="no models of services, or no data from Prometheus",
                ),
            ),
            Row(
                "Live beside offline",
                (
                    _models(context),
                    timeseries(MODEL_ACCURACY, title="Accuracy over time", height=7),
                    firing_alerts(context, PAGE, AB_PAGE, only=_CHOSEN, named=_OF_MODELS),
                ),
            ),
            Row(
                "Regression",
                (
                    timeseries(MODEL_MAE, height=12),
                    heatmap(MODEL_ERROR_BUCKETS),
                    stat(MODEL_R2, width=24),
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
                "Drift and scores by bin",
                (
                    timeseries(MODEL_DRIFT, title="Score drift over time", width=24),
                    barchart(MODEL_SCORE_SHARE, x="bin", series="served"),
                    barchart(MODEL_REFERENCE_SHARE, x="bin", series="served"),
                ),
                collapsed=True,
            ),
            Row(
                "Usage",
                (
                    timeseries(MODEL_PREDICTION_P95, MODEL_PREDICTION_MEAN, title="Inference latency"),
                    timeseries(MODEL_PREDICTION_RATE),
                    _deployed(),
                    data_mode(width=12),
                    stat(
                        Query(MODEL_PREDICTION_ERRORS, window=SHOWN_RANGE),
                        width=12,
                        empty=NOT_COUNTED,
                    ),
                ),
                collapsed=True,
            ),
        ),
    )


def _models(context: PageContext) -> Panel:
    # Without the alert there is none.
    limit = "".join(f" (limit {alert.threshold:g})" for alert in context.alerts if alert.signal is MODEL_DRIFT)
    return table(
        (Column("model", "Model"), Column("model_version", "Version"), Column("variant", "Variant")),
        Query(MODEL_VERDICT, name="Verdict", values=QUALITY_WORDS),
        Query(MODEL_OFFLINE_ACCURACY, name="Offline accuracy"),
        Query(MODEL_ACCURACY, name="Live accuracy"),
        Query(MODEL_ACCURACY_POINTS, name="Difference (pp)", decimals=2),
        Query(MODEL_DRIFT, name=f"PSI{limit}", decimals=3),
        Query(MODEL_CONFIDENCE, name="Confidence"),
        title="Models as they are served",
        empty="no models of services, or no data from Prometheus",
        sort_by="Verdict",
        descending=True,
        height=7,
    )


def _deployed() -> Panel:
    return table(
        (Column("model", "Model"), Column("model_version", "Version"), Column("variant", "Variant")),
        Query(MODEL_LOADED_AGE, name="Time since load"),
        Query(MODEL_LOAD_DURATION, name="Load duration"),
        Query(MODEL_LAST_PREDICTION_AGE, name="Time since last prediction"),
        title="Deployed versions",
        empty="no models of services, or no data from Prometheus",
        sort_by="Variant",
        height=6,
    )
