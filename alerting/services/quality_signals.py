"""Signals of the page `model-quality`: are the models right, sure, unchanged, and in use?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.foreign import SERVICE_LABEL
from ml_monitoring.alerting.model.signal import Signal, named_by_code
from ml_monitoring.alerting.services.quality_recording import QUALITIES
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-model-quality"
_MODEL = ("model", "model_version", "variant", "origin")
# As `ML API` narrows its table of models, too.
_FILTERS = ("model", "model_version", "variant", "job", SERVICE_LABEL)
_LEGEND = "{{model}} {{model_version}} {{variant}}"
_LEVEL = "model_version_variant_origin"
_OFFLINE = f"{_LEVEL}:ml_model_offline_accuracy:ratio"

MODEL_PREDICTION_RATE: Final = Signal(
    name="model_prediction_rate",
    title="Predictions per minute",
    question="How many predictions does each model version make?",
    expr=f"60 * {_LEVEL}:ml_predictions:rate{{<filter>}}",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_ACCURACY: Final = Signal(
    name="model_accuracy",
    title="Live accuracy",
    question="Which share of the predictions turned out right?",
    expr=f"{_LEVEL}:ml_prediction_accuracy:ratio{{<filter>}}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_OFFLINE_ACCURACY: Final = Signal(
    name="model_offline_accuracy",
    title="Offline accuracy",
    question="How accurate was the version in its test, as MLflow has it?",
    expr=f"{_OFFLINE}{{<filter>}}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_ACCURACY_POINTS: Final = Signal(
    name="model_accuracy_points",
    title="Live minus offline, percentage points",
    question="How many percentage points more accurate (+) or less (-) is it than in its test?",
    expr=f"100 * ({_LEVEL}:ml_prediction_accuracy:ratio{{<filter>}} - {_OFFLINE}{{<filter>}})",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_VERDICT: Final = Signal(
    name="model_verdict",
    title="Verdict",
    question=(
        "Does it do as in its test? Worse is more than chance explains, drifting is a PSI beyond the limit of "
        "MlPredictionDrift; without a test value in MLflow it is compared with nothing."
    ),
    expr=f"{_LEVEL}:ml_model_verdict:code{{<filter>}}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_ACCURACY_JUDGED: Final = Signal(
    name="model_accuracy_judged",
    title="Live accuracy",
    question="Which share of the predictions turned out right, and is that less than in the test of the version?",
    expr=named_by_code(MODEL_ACCURACY.expr, MODEL_VERDICT.expr, QUALITIES),
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=(*_MODEL, "verdict"),
    filters=_FILTERS,
    legend=f"{_LEGEND}: {{{{verdict}}}}",
)

MODELS_VERDICT: Final = Signal(
    name="models_verdict",
    title="Models",
    question="Do all models do as in their tests? Of several the worst decides.",
    expr=f"max by (cluster, namespace) ({MODEL_VERDICT.expr})",
    unit=Unit.ANY,
    dashboard=PAGE,
    filters=_FILTERS,
    legend="models",
)

MODEL_MAE: Final = Signal(
    name="model_mae",
    title="Mean absolute error",
    question="How large is the mean error of numeric predictions, in the target's own unit?",
    expr=f"{_LEVEL}:ml_prediction_absolute_error:mean{{<filter>}}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_R2: Final = Signal(
    name="model_r2",
    title="R2",
    question="Which share of the target's variance do the predictions explain? Below 0 the mean would do better.",
    expr="avg without (instance) (ml_model_r2_ratio{<filter>})",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_CONFIDENCE: Final = Signal(
    name="model_confidence",
    title="Mean confidence",
    question="How sure are the models of their predictions?",
    expr=f"{_LEVEL}:ml_prediction_confidence:mean{{<filter>}}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_CONFIDENCE_BUCKETS: Final = Signal(
    name="model_confidence_buckets",
    title="Confidence",
    question="How is the confidence distributed, and does it fall or split into two modes?",
    expr="sum by (le) (increase(ml_prediction_confidence_ratio_bucket{<filter>}[<window>]))",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("le",),
    filters=_FILTERS,
)

MODEL_ERROR_BUCKETS: Final = Signal(
    name="model_error_buckets",
    title="Absolute error distribution",
    question="How large are the errors, and are there outliers?",
    expr="sum by (le) (increase(ml_prediction_absolute_error_bucket{<filter>}[<window>]))",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("le",),
    filters=_FILTERS,
)

MODEL_PREDICTION_P95: Final = Signal(
    name="model_prediction_p95",
    title="Inference latency (p95)",
    question="How long does a slow prediction take, without the request around it?",
    expr=(
        "histogram_quantile(0.95, sum without (instance) "
        "(rate(ml_prediction_duration_seconds_bucket{<filter>}[<window>])))"
    ),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_PREDICTION_MEAN: Final = Signal(
    name="model_prediction_mean",
    title="Mean inference latency",
    question="How long does a prediction take on average? A server with a summary has no percentiles, only this.",
    expr=(
        "sum without (instance) (rate(ml_prediction_duration_seconds_sum{<filter>}[<window>]))"
        " / (sum without (instance) (rate(ml_prediction_duration_seconds_count{<filter>}[<window>])) > 0)"
    ),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=f"mean {_LEGEND}",
)

MODEL_PREDICTION_ERRORS: Final = Signal(
    name="model_prediction_errors",
    title="Prediction errors",
    question="Does a model raise exceptions?",
    expr="sum without (instance) (increase(ml_prediction_errors_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_DRIFT: Final = Signal(
    name="model_drift",
    title="Score drift (PSI)",
    question="How far are the scores from those of the reference window? 0.1 is a shift, 0.25 a large one.",
    expr=f"{_LEVEL}:ml_prediction_scores:psi{{<filter>}}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

# One label that names a model as it is served, for bars side by side.
_SERVED = '"served", " ", "model", "model_version", "variant", "cluster", "namespace"'

MODEL_SCORE_SHARE: Final = Signal(
    name="model_score_share",
    title="Score distribution",
    question="Which scores do the models give now?",
    expr=f"label_join({_LEVEL}_bin:ml_prediction_scores:share{{<filter>}}, {_SERVED})",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=(*_MODEL, "bin", "served"),
    filters=_FILTERS,
    legend="{{variant}} up to {{bin}}",
)

MODEL_REFERENCE_SHARE: Final = Signal(
    name="model_reference_share",
    title="Score distribution (reference)",
    question="Which scores did the models give in the reference window?",
    expr=f"label_join({_LEVEL}_bin:ml_prediction_scores:reference_share{{<filter>}}, {_SERVED})",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=(*_MODEL, "bin", "served"),
    filters=_FILTERS,
    legend="{{variant}} up to {{bin}}",
)

MODEL_LAST_PREDICTION_AGE: Final = Signal(
    name="model_last_prediction_age",
    title="Time since last prediction",
    question="How long ago did each model version last predict?",
    expr="time() - max without (instance) (ml_last_prediction_timestamp_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_LOADED_AGE: Final = Signal(
    name="model_loaded_age",
    title="Time since load",
    question="How long ago was each model version last loaded?",
    expr="time() - max without (instance) (ml_model_loaded_timestamp_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)

MODEL_LOAD_DURATION: Final = Signal(
    name="model_load_duration",
    title="Load duration",
    question="How long did the last load of each model version take?",
    expr="max without (instance) (ml_model_load_duration_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend=_LEGEND,
)
