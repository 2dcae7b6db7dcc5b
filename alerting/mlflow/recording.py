"""Recorded series about experiments.

`max without (instance)` makes one series out of those of several exporters on one store, and bridges a change of the
exporter's address; other target labels survive.
"""

from __future__ import annotations

from ml_monitoring.alerting.model.recording import Record

_EXPERIMENT = ("experiment",)
_RUN_METRIC = ("experiment", "model_variant", "metric")
_LATEST = "max without (instance) (mlflow_metric_latest)"
# An hour apart, so that many experiments cost little; where runs are more frequent there are enough of them.
_RECENT = f"({_LATEST})[<MlflowMetricWorseThanBest.finished_within>:1h]"
_LEVEL = "experiment_variant_metric:mlflow_metric"

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
        name="experiment:mlflow_last_success_age_seconds:unusual",
        meaning="Half again the longest time without a success in two weeks, but for the last day of them.",
        expr="""
            1.5 * max_over_time(
              experiment:mlflow_last_success_age_seconds:min[14d:1h] offset <MlflowNoSuccessfulRun.threshold>
            )
        """,
        by=_EXPERIMENT,
    ),
    Record(
        name="experiment:mlflow_runs_failed:recent",
        meaning="Runs that failed or were killed in <MlflowNoSuccessfulRun.threshold>, and as long before that.",
        expr="""
            sum without (status) (
              max without (instance) (mlflow_runs{status=~"FAILED|KILLED"})
              -
              min without (instance) (
                min_over_time(
                  mlflow_runs{status=~"FAILED|KILLED"}[<MlflowNoSuccessfulRun.threshold>]
                  offset <MlflowNoSuccessfulRun.threshold>
                )
              )
            )
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
        name=f"{_LEVEL}:best",
        meaning="What the best run of the experiment reached, for each of its variants.",
        # `on`, not `ignoring`: the exporter's settings may add labels to the latest value that the best one lacks.
        expr=f"""
            clamp({_LATEST}, 0, 0)
            + on (cluster, namespace, job, store, experiment, metric) group_left ()
            max without (instance) (mlflow_metric_best)
        """,
        by=_RUN_METRIC,
    ),
    Record(
        name=f"{_LEVEL}:usual",
        meaning="Median of what the recent runs reached.",
        expr=f"quantile_over_time(0.5, {_RECENT})",
        by=_RUN_METRIC,
    ),
    Record(
        name=f"{_LEVEL}:spread",
        meaning="Standard deviation of what recent runs reached, by their deciles; at least 3 % of the larger value.",
        # 1.28 standard deviations are between the median and a decile. The lower and the upper one may differ.
        expr=f"""
            max without (of) (
              label_replace((quantile_over_time(0.9, {_RECENT}) - {_LEVEL}:usual) / 1.2816, "of", "above", "", "")
              or
              label_replace(({_LEVEL}:usual - quantile_over_time(0.1, {_RECENT})) / 1.2816, "of", "below", "", "")
              or
              label_replace(0.03 * abs({_LEVEL}:usual), "of", "usual", "", "")
              or
              label_replace(0.03 * abs({_LEVEL}:best), "of", "best", "", "")
            )
        """,
        by=_RUN_METRIC,
    ),
    Record(
        name=f"{_LEVEL}:deviation",
        meaning="How much further from the best the latest run is than recent ones usually are.",
        # The best is the best: whether high or low is better, the distance from it is a loss.
        expr=f"abs({_LATEST} - {_LEVEL}:best) - abs({_LEVEL}:usual - {_LEVEL}:best)",
        by=_RUN_METRIC,
    ),
    Record(
        name=f"{_LEVEL}_shortfall:ratio",
        meaning="By what share of the best value (where that is 0, of the usual one) the latest run is worse than it.",
        expr=f"""
            abs({_LATEST} - {_LEVEL}:best)
            /
            (abs({_LEVEL}:best) > 0 or abs({_LEVEL}:usual))
        """,
        by=_RUN_METRIC,
    ),
    Record(
        name="model_alias_metric:mlflow_candidate_margin:ratio",
        meaning=(
            "By how much a candidate's lead over the champion may be chance: the standard errors that "
            "MlflowCandidateBetter asks for, more of the best of many runs."
        ),
        expr="""
            max without (instance) (mlflow_model_metric_lead_error_ratio)
            * on (cluster, namespace, job, store, model, alias) group_left ()
            sqrt(
              <MlflowCandidateBetter.deviations> ^ 2 + 2 * ln(max without (instance) (mlflow_model_candidates))
            )
        """,
        by=("model", "alias", "metric"),
    ),
)
