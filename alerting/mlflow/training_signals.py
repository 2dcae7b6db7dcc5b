"""Signals of the page `training`: do trainings under way get on, and do they use their machines?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-training"
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

TRAINING_RISING: Final = Signal(
    name="training_rising",
    title="Trainings with a rising loss",
    question="Does a training become worse the longer it goes on?",
    expr="max without (instance) (mlflow_training_runs_rising{<filter>})",
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
    filters=("experiment", "resource"),
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

TRAINING_RUNS: Final = Signal(
    name="training_runs",
    title="Running runs",
    question="How many trainings are under way?",
    expr='sum by (cluster, namespace) (max without (instance) (mlflow_runs{status="RUNNING",<filter>}))',
    unit=Unit.COUNT,
    dashboard=PAGE,
    filters=_EXPERIMENT,
    legend="running",
)

TRAINING_RUNNING: Final = Signal(
    name="training_running",
    title="Running runs by experiment",
    question="How many trainings of each experiment are under way?",
    expr='max without (instance, status) (mlflow_runs{status="RUNNING",<filter>}) > 0',
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

TRAINING_STEP_RATE: Final = Signal(
    name="training_step_rate",
    title="Steps per second",
    question="How fast do the trainings of each experiment get on, and do they become slower?",
    expr="max without (instance) (rate(mlflow_training_steps_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

NODE_UTILIZATION: Final = Signal(
    name="training_node_utilization",
    title="Utilization by machine",
    question="Which machine of those that name themselves lies idle, and which is full?",
    expr="max without (instance) (mlflow_training_node_utilization_ratio{<filter>})",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("node", "resource"),
    filters=("resource",),
)

TRAINING_USERS: Final = Signal(
    name="training_users",
    title="Running runs by user",
    question="Whose trainings are under way?",
    expr="max without (instance) (mlflow_training_user_runs{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("user",),
)

TRAINING_SOURCES: Final = Signal(
    name="training_sources",
    title="Running runs by source",
    question="Which scripts and notebooks started the trainings under way?",
    expr="max without (instance) (mlflow_training_source_runs{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("source_name",),
)

TRAINING_LABELS: Final = Signal(
    name="training_labels",
    title="Users and sources",
    question="How many users and sources have trainings under way, also those that are shown together as (other)?",
    expr="max without (instance) (mlflow_training_labels{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("kind",),
)

TAGGED_COST: Final = Signal(
    name="training_tagged_cost",
    title="Cost",
    question="What have the runs of each experiment cost, by the tags in `cost_tags`?",
    expr="max without (instance) (mlflow_tagged_cost{<filter>})",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("experiment", "tag"),
    filters=_EXPERIMENT,
)
