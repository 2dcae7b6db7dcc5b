"""Signals of trainings under way: do they get on, and do they use their machines?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.mlflow.signals import PAGE
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

_EXPERIMENT = ("experiment",)

TRAINING_SILENCE: Final = Signal(
    name="training_silence",
    title="Longest silent training",
    question="Does a training hang, although its run says RUNNING?",
    expr="time() - min without (instance) (mlflow_training_last_metric_timestamp_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

TRAINING_STEPS: Final = Signal(
    name="training_steps",
    title="Training steps",
    question="How fast do trainings get on?",
    expr="max without (instance) (increase(mlflow_training_steps_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

TRAINING_NOT_FINITE: Final = Signal(
    name="training_not_finite",
    title="Trainings with a loss that is NaN or infinite",
    question="Does a training compute on although its loss is lost?",
    expr="max without (instance) (mlflow_training_runs_not_finite{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

TRAINING_UTILIZATION: Final = Signal(
    name="training_utilization",
    title="Utilization of training machines",
    question="Which resource of the machines limits trainings, and which lies idle?",
    expr="max without (instance) (mlflow_training_utilization_ratio{<filter>})",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("experiment", "resource"),
    filters=_EXPERIMENT,
)

TRAINING_GPU: Final = Signal(
    name="training_gpu",
    title="Least used GPU of a training",
    question="Does a training hold GPUs that it does not use?",
    expr="max without (instance) (mlflow_training_gpu_lowest_utilization_ratio{<filter>})",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)
