"""Alerts on trainings under way: they hang, compute nothing of use, become worse, or let GPUs lie idle."""

from __future__ import annotations

from ml_monitoring.alerting.mlflow.training_signals import (
    TRAINING_GPU,
    TRAINING_NOT_FINITE,
    TRAINING_RISING,
    TRAINING_SILENCE,
)
from ml_monitoring.alerting.model.alert import Alert

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="MlflowTrainingSilent",
        condition="A running run of an experiment that logs metrics has logged none for more than <threshold>.",
        signal=TRAINING_SILENCE,
        comparison=">",
        source="mlflow",
        absent=(
            "A store in which no run with metrics is under way has none; when the store cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="A training seems to hang.",
        description=(
            'A running run of experiment "{{ $labels.experiment }}" has logged no metric for '
            "{{ $value | humanizeDuration }}: "
            "it hangs, or it ended without telling MLflow."
        ),
    ),
    Alert(
        name="MlflowTrainingLossNotFinite",
        condition="A metric of a running run where lower is better, such as its loss, is NaN or infinite.",
        signal=TRAINING_NOT_FINITE,
        comparison=">",
        source="mlflow",
        absent=(
            "A store in which no run with metrics is under way has none; when the store cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="A training goes on although its loss is no number any more.",
        description=(
            'The loss of {{ $value }} running runs of experiment "{{ $labels.experiment }}" is NaN or infinite.'
        ),
    ),
    Alert(
        name="MlflowTrainingLossRising",
        condition="A loss of a running run is worse than in most of the run before, for a quarter of it.",
        signal=TRAINING_RISING,
        comparison=">",
        source="mlflow",
        absent=(
            "A store in which no run with metrics is under way has none; when the store cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="The loss of a training rises.",
        description=(
            'The loss of {{ $value }} running runs of experiment "{{ $labels.experiment }}" rises and '
            "does not come back."
        ),
    ),
    Alert(
        name="MlflowTrainingGpuIdle",
        condition="A running run of an experiment uses less than <threshold> of its GPUs.",
        signal=TRAINING_GPU,
        comparison="<",
        source="mlflow",
        absent=(
            "Only runs that log MLflow's system metrics, on machines with GPUs, have it; when the store cannot be "
            "read, MlMonitoringSourceDown fires."
        ),
        summary="A training lets its GPUs lie idle.",
        description=(
            'A running run of experiment "{{ $labels.experiment }}" uses {{ $value | humanizePercentage }} of its GPUs.'
        ),
    ),
)
