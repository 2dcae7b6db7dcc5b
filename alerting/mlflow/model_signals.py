"""Signals of the page `mlflow-models`: which models are there, how old is the champion, is a candidate better?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-mlflow-models"
_EXPERIMENT = ("experiment",)

REGISTERED_VERSIONS: Final = Signal(
    name="registered_versions",
    title="Registered versions by stage",
    question="How many versions does each model have, and in which stage are they?",
    expr="max without (instance) (mlflow_model_versions{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("model", "stage"),
    filters=("model",),
)

ALIASED_VERSION_AGE: Final = Signal(
    name="aliased_version_age",
    title="Aliased version age",
    question="How long ago was the version registered that is the champion, or carries another alias?",
    expr="time() - max without (instance) (mlflow_model_aliased_version_timestamp_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=("model", "alias"),
    filters=("model", "alias"),
)

MODEL_LEAD: Final = Signal(
    name="model_lead",
    title="Improvement over champion",
    question="By what share is the version with another alias better than the champion, or worse (below 0)?",
    expr="max without (instance) (mlflow_model_metric_lead_ratio{<filter>})",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("model", "alias", "metric"),
    filters=("model", "alias", "metric"),
)

LOGGED_MODELS: Final = Signal(
    name="logged_models",
    title="Logged models by status",
    question="How many models were logged by each experiment, and are they ready?",
    expr="max without (instance) (mlflow_logged_models{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("experiment", "status"),
    filters=_EXPERIMENT,
)

LAST_LOGGED_MODEL_AGE: Final = Signal(
    name="last_logged_model_age",
    title="Time since last logged model",
    question="When did each experiment last log a model?",
    expr="time() - max without (instance) (mlflow_last_logged_model_timestamp_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

CHILD_RUNS: Final = Signal(
    name="child_runs",
    title="Child runs by status",
    question="How do the trials of searches end?",
    expr="max without (instance) (mlflow_child_runs{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("experiment", "status"),
    filters=_EXPERIMENT,
)

DATASETS: Final = Signal(
    name="datasets",
    title="Datasets",
    question="How many different datasets did the runs of each experiment use?",
    expr="max without (instance) (mlflow_datasets{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

TAGGED_RUNS: Final = Signal(
    name="tagged_runs",
    title="Runs by tag",
    question="How many runs have each value of the tags in `count_tags`?",
    expr="max without (instance) (mlflow_tagged_runs{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("tag", "value"),
)

MODEL_VERSIONS: Final = Signal(
    name="model_versions",
    title="Model versions",
    question="Which versions are registered, which carry an alias, and did the run behind them succeed?",
    expr="max without (instance) (mlflow_model_version_info{<filter>})",
    unit=Unit.INFO,
    dashboard=PAGE,
    by=("model", "version", "alias", "run_status"),
    filters=("model",),
)

MODEL_METRIC: Final = Signal(
    name="model_metric",
    title="Aliased model metrics",
    question="How good are the model versions that carry an alias, such as the one in production?",
    expr="max without (instance) (mlflow_model_metric{<filter>})",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("model", "alias", "metric"),
    filters=("model", "metric"),
)
