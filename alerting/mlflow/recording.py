"""Recorded series about experiments.

`max without (instance)` makes one series out of those of several exporters on one store, and bridges a change of the
exporter's address; other target labels survive.
"""

from __future__ import annotations

from ml_monitoring.alerting.model.recording import Record

_EXPERIMENT = ("experiment",)

RECORDS: tuple[Record, ...] = (
    Record(
        name="experiment:mlflow_last_run_age_seconds:min",
        meaning="Time since the experiment was last active: since a run ended, or started while it has not ended.",
        expr="time() - max without (instance, status) (mlflow_last_run_timestamp_seconds)",
        by=_EXPERIMENT,
    ),
    Record(
        name="experiment:mlflow_last_failure_age_seconds:min",
        meaning="Time since a run of the experiment last failed or was killed.",
        expr="""
            time() - max without (instance, status) (mlflow_last_run_timestamp_seconds{status=~"FAILED|KILLED"})
        """,
        by=_EXPERIMENT,
    ),
    Record(
        name="experiment:mlflow_last_success_age_seconds:min",
        meaning="Time since a run of the experiment last finished; if none ever did, how long it fails, at least.",
        # Without a success only the latest failure is known, and each new one would start the clock again. So the
        # latest failure is taken that was known when the alert's threshold began, if there was one.
        expr="""
            time() - max without (instance, status) (mlflow_last_run_timestamp_seconds{status="FINISHED"})
            or
            time() - min without (instance, status) (
              mlflow_last_run_timestamp_seconds{status=~"FAILED|KILLED"} offset <MlflowNoSuccessfulRun.threshold>
            )
            or
            time() - min without (instance, status) (mlflow_last_run_timestamp_seconds{status=~"FAILED|KILLED"})
        """,
        by=_EXPERIMENT,
    ),
    Record(
        name="experiment_status:mlflow_runs:recent",
        meaning="Runs that ended in the window of MlflowFailedRunRatioHigh, by status.",
        # Not delta(): it extrapolates, and is negative after runs were deleted. Against the lowest count in the
        # window a deletion only hides the runs before it, and a store that appears does not count as new runs.
        expr="""
            max without (instance) (mlflow_runs{status=~"FAILED|FINISHED|KILLED"})
            -
            min without (instance) (
              min_over_time(mlflow_runs{status=~"FAILED|FINISHED|KILLED"}[<MlflowFailedRunRatioHigh.window>])
            )
        """,
        by=("experiment", "status"),
    ),
    Record(
        name="experiment:mlflow_runs_ended:recent",
        meaning="Runs that finished or failed in that window. Killed ones say nothing: somebody changed their mind.",
        expr='sum without (status) (experiment_status:mlflow_runs:recent{status=~"FAILED|FINISHED"})',
        by=_EXPERIMENT,
    ),
    Record(
        name="experiment:mlflow_runs_failed_per_ended:recent_ratio",
        meaning="Failed share of the runs that finished or failed in that window; absent when there were none.",
        expr="""
            sum without (status) (experiment_status:mlflow_runs:recent{status="FAILED"})
            /
            (experiment:mlflow_runs_ended:recent > 0)
        """,
        by=_EXPERIMENT,
    ),
    Record(
        name="experiment_variant_metric:mlflow_metric_shortfall:ratio",
        meaning="By what share of the best value the latest run is worse than the best one; absent where that is 0.",
        # The best is the best: whether high or low is better, the distance from it is a loss. `on`, not `ignoring`:
        # the exporter's settings may add labels to the latest value that the best one does not have.
        expr="""
            abs(
              max without (instance) (mlflow_metric_latest)
              - on (cluster, namespace, job, experiment, metric) group_left ()
              max without (instance) (mlflow_metric_best)
            )
            / on (cluster, namespace, job, experiment, metric) group_left ()
            abs(max without (instance) (mlflow_metric_best) != 0)
        """,
        by=("experiment", "model_variant", "metric"),
    ),
)
