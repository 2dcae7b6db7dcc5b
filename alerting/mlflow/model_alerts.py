"""Alerts on registered models: the champion is old, or a candidate is better."""

from __future__ import annotations

from ml_monitoring.alerting.mlflow.model_signals import ALIASED_VERSION_AGE, MODEL_LEAD
from ml_monitoring.alerting.model.alert import Alert, Kind
from ml_monitoring.alerting.model.evidence import BestOf

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="MlflowChampionOld",
        condition="The version of a model that carries an alias matching `<aliases>` was registered <threshold> ago.",
        signal=ALIASED_VERSION_AGE,
        comparison=">",
        matchers='alias=~"<aliases>"',
        parameters={"aliases": Kind.PATTERN},
        source="mlflow",
        absent=(
            "Only models of the registry with such an alias have one; when the store cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="A model in production is old.",
        description=(
            "The {{ $labels.alias }} of {{ $labels.model }} was registered {{ $value | humanizeDuration }} ago."
        ),
    ),
    Alert(
        name="MlflowCandidateBetter",
        condition=(
            "A version that carries an alias matching `<aliases>` is better than the champion of its model by more "
            "than <threshold> in a metric matching `<metrics>`."
        ),
        signal=MODEL_LEAD,
        comparison=">",
        matchers='alias=~"<aliases>",metric=~"<metrics>"',
        evidence=(
            BestOf(
                "max without (instance) (mlflow_model_metric_lead_ratio)",
                "max without (instance) (mlflow_model_metric_lead_error_ratio)",
                "max without (instance) (mlflow_model_candidates)",
                "on (cluster, namespace, job, store, model, alias) group_left ()",
            ),
        ),
        parameters={"aliases": Kind.PATTERN, "metrics": Kind.PATTERN},
        source="mlflow",
        absent=(
            "Only models with aliases for a champion and a candidate have one; when the store cannot be "
            "read, MlMonitoringSourceDown fires."
        ),
        summary="A candidate is better than the model in production.",
        description=(
            "The {{ $labels.alias }} of {{ $labels.model }} is {{ $value | humanizePercentage }} better than its "
            "champion in {{ $labels.metric }}."
        ),
    ),
)
