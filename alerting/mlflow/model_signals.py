"""Signals of the page `mlflow-models`: which models are there, how old is the champion, is a candidate better?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-mlflow-models"
_EXPERIMENT = ("experiment",)

REGISTERED_VERSIONS: Final = Signal(
    name="registered_versions",
    title="Registered versions",
    question="How many versions does each model have?",
    expr="sum without (stage) (max without (instance) (mlflow_model_versions{<filter>}))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("model",),
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
    signed=True,
)

_LEAD = "max without (instance) (mlflow_model_metric_lead_ratio{<filter>})"
_ERROR = "max without (instance) (mlflow_model_metric_lead_error_ratio{<filter>})"
_PLACES = "cluster, namespace, job, store"
# Of several metrics, that which says most: its lead is the most of its own standard errors.
_DECISIVE = f"topk by ({_PLACES}, model, alias) (1, abs({_LEAD} / {_ERROR}))"
# By so much a lead may be off.
_MARGIN = "model_alias_metric:mlflow_candidate_margin:ratio{<filter>}"
# The versions that serve, as the alert has them.
_CHAMPION = 'alias=~"<MlflowChampionOld.aliases>",<filter>'
# What a candidate is called by its code.
CANDIDATES: Final = ("champion is better", "no difference yet", "candidate is better")


def _decisive(name: str, title: str, question: str, expr: str, unit: Unit = Unit.RATIO) -> Signal:
    return Signal(
        name=name,
        title=title,
        question=question,
        expr=f"({expr}) and {_DECISIVE}",
        unit=unit,
        dashboard=PAGE,
        by=("model", "alias", "metric"),
        filters=("model", "alias", "metric"),
    )


CANDIDATE_LEAD: Final = _decisive(
    "candidate_lead", "Lead", "By what share is the candidate better in the metric that says most?", _LEAD
)

CANDIDATE_LEAD_LOW: Final = _decisive(
    "candidate_lead_low",
    "Lowest likely lead",
    "By how much is it better at least, by the sizes of the test sets (99 % sure)?",
    f"{_LEAD} - {_MARGIN}",
)

CANDIDATE_LEAD_HIGH: Final = _decisive(
    "candidate_lead_high", "Highest likely lead", "By how much is it better at most?", f"{_LEAD} + {_MARGIN}"
)

CANDIDATE_VERDICT: Final = _decisive(
    "candidate_verdict",
    "Verdict",
    "Is the candidate better than the champion, or worse, and is that no chance?",
    f"1 + ({_LEAD} > bool {_MARGIN}) - ({_LEAD} < bool 0 - {_MARGIN})",
    Unit.ANY,
)

CANDIDATES_BETTER: Final = Signal(
    name="candidates_better",
    title="Better candidates (offline)",
    question="Which candidates are better than their champion in their tests, by which share, and that is no chance? "
    "The three with the highest leads.",
    expr=f"topk by (cluster, namespace) (3, max by ({_PLACES}, model, alias) ({_LEAD} > {_MARGIN}))",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("model", "alias"),
    filters=("model", "alias", "metric"),
)

CHAMPIONS: Final = Signal(
    name="champions",
    title="Champions",
    question="Which version of each model serves?",
    expr=(
        f"max by ({_PLACES}, model, champion) (label_join("
        f"label_replace(label_replace(label_replace(mlflow_model_version_info{{{_CHAMPION}}}, "
        '"word", "version ", "", ""), '
        '"open", " (", "", ""), "close", ")", "", ""), "champion", "", "word", "version", "open", "alias", "close"))'
        f" or label_replace(max by ({_PLACES}, model) (mlflow_model_version_info{{<filter>}}) "
        f"unless on ({_PLACES}, model) mlflow_model_version_info{{{_CHAMPION}}}, "
        '"champion", "none", "", "")'
    ),
    unit=Unit.INFO,
    dashboard=PAGE,
    by=("model", "champion"),
    filters=("model",),
)

CHAMPION_AGE: Final = Signal(
    name="champion_age",
    title="Champion's age",
    question="How long ago was the version that serves registered?",
    expr=(f"time() - max by ({_PLACES}, model) (mlflow_model_aliased_version_timestamp_seconds{{{_CHAMPION}}})"),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=("model",),
    filters=("model",),
)

OLDEST_CHAMPION: Final = Signal(
    name="oldest_champion",
    title="Oldest champion",
    question="How long ago was the oldest version that serves registered?",
    expr=(
        f"time() - bottomk by (cluster, namespace) (1, max by ({_PLACES}, model) "
        f"(mlflow_model_aliased_version_timestamp_seconds{{{_CHAMPION}}}))"
    ),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=("model",),
    filters=("model",),
)

CANDIDATE_VERSIONS: Final = Signal(
    name="candidate_versions",
    title="Candidates",
    question="Which version is compared with the champion?",
    expr=(
        f"max by ({_PLACES}, model, alias, candidate) (label_join("
        f"mlflow_model_version_info{{<filter>}} and on ({_PLACES}, model, alias) "
        "mlflow_model_metric_lead_ratio{<place>}, "
        '"candidate", "", "version"))'
    ),
    unit=Unit.INFO,
    dashboard=PAGE,
    by=("model", "alias", "candidate"),
    filters=("model",),
)

LOGGED_MODELS: Final = Signal(
    name="logged_models",
    title="Logged models by status",
    question="How many models were logged by each experiment, and are they ready?",
    expr="max without (instance) (mlflow_logged_models{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("experiment", "status"),
    filters=("experiment", "status"),
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
    filters=("experiment", "status"),
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

TAG_VALUES: Final = Signal(
    name="tag_values",
    title="Values by tag",
    question="How many values has each tag in `count_tags`, also those that are shown together as (other)?",
    expr="max without (instance) (mlflow_tag_values{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("tag",),
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
