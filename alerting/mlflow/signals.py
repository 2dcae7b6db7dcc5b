"""Signals of the page `mlflow-experiments`: do experiments run, succeed, and get better?

`max without (instance)` makes one series out of those of several exporters on one store, and bridges a change of
the exporter's address; other target labels survive, so that two stores can be told apart by one.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-mlflow-experiments"
_EXPERIMENT = ("experiment",)
_METRIC = ("experiment", "metric")
_VARIANT_METRIC = ("experiment", "model_variant", "metric")

EXPERIMENTS: Final = Signal(
    name="experiments",
    title="Experiments",
    question="How many experiments does the store hold, active and deleted?",
    expr="max without (instance) (mlflow_experiments{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("lifecycle_stage",),
)

RUNS: Final = Signal(
    name="runs",
    title="Runs by status",
    question="How many runs are stored, and how did they end?",
    expr="sum without (experiment) (max without (instance) (mlflow_runs{<filter>}))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("status",),
    filters=_EXPERIMENT,
)

EXPERIMENT_RUNS: Final = Signal(
    name="experiment_runs",
    title="Runs by experiment and status",
    question="How do the runs of each experiment end?",
    expr="max without (instance) (mlflow_runs{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("experiment", "status"),
    filters=("experiment", "status"),
)

OLDEST_RUNNING_AGE: Final = Signal(
    name="oldest_running_age",
    title="Longest running run",
    question="Does a run hang, or did one die without reporting to MLflow?",
    expr="time() - min without (instance) (mlflow_running_run_start_timestamp_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

RECENT_RUNS: Final = Signal(
    name="recent_runs",
    title="Recently ended runs",
    question=(
        "How many runs ended in the window of the failed-run alert, and how? Counted are those that were seen to end: "
        "what had ended before Prometheus first saw the store is in the table below, and not here."
    ),
    expr="sum without (experiment) (experiment_status:mlflow_runs:recent{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("status",),
    filters=_EXPERIMENT,
)

RUNS_RUNNING: Final = Signal(
    name="runs_running",
    title="Running",
    question="How many runs are under way?",
    expr='sum without (experiment, status) (max without (instance) (mlflow_runs{status="RUNNING",<filter>}))',
    unit=Unit.COUNT,
    dashboard=PAGE,
    filters=_EXPERIMENT,
    legend="running",
)

_ONE = "cluster, namespace, job, store, experiment"


def _experiments_with(names: str) -> str:
    """Return the experiments for which one of the alerts fires, as many series of 1."""
    return f'group by ({_ONE}) (ALERTS{{alertname=~"{names}",alertstate="firing",<own_alerts>,<filter>}})'


EXPERIMENTS_STALLED: Final = Signal(
    name="experiments_stalled",
    title="Stalled",
    question="Of how many experiments does a run hang, or has none succeeded for so long that an alert fires?",
    expr=(
        f"count by (cluster, namespace) ({_experiments_with('MlflowNoSuccessfulRun|MlflowRunHanging')})"
        " or 0 * max by (cluster, namespace) (mlflow_runs{<filter>})"
    ),
    unit=Unit.COUNT,
    dashboard=PAGE,
    filters=_EXPERIMENT,
    legend="stalled",
)

MOST_WORSE: Final = Signal(
    name="most_worse",
    title="Furthest below best",
    question="Which of the experiments whose metrics got so much worse that an alert fires is furthest below its best?",
    expr=(
        f"topk by (cluster, namespace) (1, max by ({_ONE}) "
        "(experiment_variant_metric:mlflow_metric_shortfall:ratio{<filter>}) "
        f"and {_experiments_with('MlflowMetricWorseThanBest')})"
    ),
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

FAILED_RUN_RATIO: Final = Signal(
    name="failed_run_ratio",
    title="Failed run ratio",
    question=(
        "Do recent runs fail more often than they should? Counted are those that were seen to end, not those that had "
        "ended before Prometheus first saw the store."
    ),
    expr="experiment:mlflow_runs_failed_per_ended:recent_ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

RUNS_FINISHED: Final = Signal(
    name="runs_finished",
    title="Run completion rate",
    question="How many runs finish per unit of time?",
    expr="max without (instance) (increase(mlflow_run_duration_seconds_count{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

LAST_SUCCESS_AGE: Final = Signal(
    name="last_success_age",
    title="Time since last successful run",
    question="How long ago did a run last finish? If none ever did: how long it has been tried, at least.",
    expr="experiment:mlflow_last_success_age_seconds:min{<filter>}",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

LAST_RUN_AGE: Final = Signal(
    name="last_run_age",
    title="Time since last run",
    question="Is the experiment still in use? A dormant one does not alert.",
    expr="experiment:mlflow_last_run_age_seconds:min{<filter>}",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

METRIC_LATEST: Final = Signal(
    name="metric_latest",
    title="Latest metric by variant",
    question="What did the latest finished run of each variant reach?",
    # `without`, not `by`: the exporter's settings may add labels of the user's own.
    expr="max without (instance) (mlflow_metric_latest{<filter>})",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_VARIANT_METRIC,
    filters=_VARIANT_METRIC,
)

METRIC_BEST: Final = Signal(
    name="metric_best",
    title="Best metric",
    question="What is the best that any finished run of the experiment reached?",
    expr="max without (instance) (mlflow_metric_best{<filter>})",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_METRIC,
    filters=_METRIC,
    legend="best {{experiment}} {{metric}}",
)

WORST_SHORTFALL: Final = Signal(
    name="worst_shortfall",
    title="Worst metric against best",
    question="By what share of the experiment's best value is the latest run worse, in the metric that is worst?",
    expr="max without (model_variant, metric) (experiment_variant_metric:mlflow_metric_shortfall:ratio{<filter>})",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

METRICS_WORSE: Final = Signal(
    name="metrics_worse",
    title="Metrics that got worse",
    question="In how many metrics is the latest run of each experiment so much worse that an alert fires?",
    expr=(
        "count by (cluster, namespace, job, store, experiment) (ALERTS{"
        'alertname="MlflowMetricWorseThanBest",alertstate="firing",<own_alerts>,<filter>})'
        " or 0 * max by (cluster, namespace, job, store, experiment) (mlflow_runs{<filter>})"
    ),
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

METRIC_SHORTFALL: Final = Signal(
    name="metric_shortfall",
    title="Regression from best metric",
    question="By what share of the best value is the latest run worse than the best one?",
    expr="experiment_variant_metric:mlflow_metric_shortfall:ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_VARIANT_METRIC,
    filters=_VARIANT_METRIC,
    above_one=True,
)

RUN_DURATION_P50: Final = Signal(
    name="run_duration_p50",
    title="Run duration (p50)",
    question="How long does a usual run take, over all stored runs?",
    # No rate(): runs are too few for a window, and the question is about all of them.
    expr="histogram_quantile(0.5, max without (instance) (mlflow_run_duration_seconds_bucket{<filter>}))",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
    legend="p50 {{experiment}}",
)

RUN_DURATION_P95: Final = Signal(
    name="run_duration_p95",
    title="Run duration (p95)",
    question="How long does a long run take, over all stored runs?",
    expr="histogram_quantile(0.95, max without (instance) (mlflow_run_duration_seconds_bucket{<filter>}))",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
    legend="p95 {{experiment}}",
)
