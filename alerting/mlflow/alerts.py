"""Alerts on experiments: they stopped succeeding, fail too often, or got worse."""

from __future__ import annotations

from ml_monitoring.alerting.mlflow.signals import (
    FAILED_RUN_RATIO,
    LAST_SUCCESS_AGE,
    METRIC_SHORTFALL,
    OLDEST_RUNNING_AGE,
)
from ml_monitoring.alerting.model.alert import Alert, Kind
from ml_monitoring.alerting.model.evidence import Events, Exceptional, Trials, Unusual

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="MlflowNoSuccessfulRun",
        condition=(
            "No run of an experiment has finished for <threshold>, although one failed or was killed since, within the "
            "last <failed_within>; where it took two thirds as long in the two weeks before, only if "
            "<minimum_failures> did."
        ),
        signal=LAST_SUCCESS_AGE,
        comparison=">",
        guards=(
            "experiment:mlflow_last_failure_age_seconds:min < <failed_within>",
            # Whatever failed before the last success was fixed by it.
            "experiment:mlflow_last_failure_age_seconds:min <= experiment:mlflow_last_success_age_seconds:min",
        ),
        evidence=(
            Exceptional(
                "experiment:mlflow_last_success_age_seconds:min",
                "experiment:mlflow_last_success_age_seconds:unusual",
                "experiment:mlflow_runs_failed:recent",
                "minimum_failures",
                "runs that failed of late",
            ),
        ),
        parameters={"failed_within": Kind.DURATION, "minimum_failures": Kind.COUNT},
        source="mlflow",
        summary="An experiment has had no successful run for too long.",
        description=(
            'No run of experiment "{{ $labels.experiment }}" has finished for {{ $value | humanizeDuration }}, '
            "although at least one failed or was killed since."
        ),
    ),
    Alert(
        name="MlflowFailedRunRatioHigh",
        condition=(
            "More than <threshold> of the runs of an experiment that finished or failed within <window> failed."
        ),
        signal=FAILED_RUN_RATIO,
        comparison=">",
        evidence=(
            Trials("experiment:mlflow_runs_ended:recent"),
            Events("experiment:mlflow_runs_ended:recent", "minimum_runs", "runs that finished or failed"),
        ),
        parameters={"window": Kind.DURATION, "minimum_runs": Kind.COUNT},
        source="mlflow",
        absent=(
            "Nothing ended in an experiment without one; a last failure long ago is for "
            "MlflowNoSuccessfulRun; when the store cannot be read, MlMonitoringSourceDown fires."
        ),
        summary="Too many recent runs of an experiment failed.",
        description=(
            '{{ $value | humanizePercentage }} of the runs of experiment "{{ $labels.experiment }}" that '
            "were seen to end lately failed."
        ),
    ),
    Alert(
        name="MlflowMetricWorseThanBest",
        condition=(
            "The latest finished run of an experiment and variant is worse than the experiment's best run by more than "
            "<threshold> of the best value, and further from it than runs of the last <finished_within> usually are; "
            "metrics `<ignored_metrics>` and experiments without a finished run within <finished_within> do not count."
        ),
        signal=METRIC_SHORTFALL,
        comparison=">",
        evidence=(
            Unusual(
                "experiment_variant_metric:mlflow_metric:deviation", "experiment_variant_metric:mlflow_metric:spread"
            ),
        ),
        matchers='metric!~"<ignored_metrics>"',
        # `on (...)`: the left side has labels that the experiment's age has not.
        guards=(
            "on (cluster, namespace, job, store, experiment) "
            "experiment:mlflow_last_success_age_seconds:min < <finished_within>",
        ),
        parameters={"ignored_metrics": Kind.PATTERN, "finished_within": Kind.DURATION},
        source="mlflow",
        absent=(
            "Runs without metrics, or whose best value is 0, have no shortfall; when the store cannot be "
            "read, MlMonitoringSourceDown fires."
        ),
        summary="The latest run of an experiment is much worse than its best.",
        description=(
            '{{ $labels.metric }} of the latest finished run of experiment "{{ $labels.experiment }}"'
            "{{ with $labels.model_variant }}, variant {{ . }},{{ end }} "
            "is {{ $value | humanizePercentage }} worse than the best run's."
        ),
    ),
    Alert(
        name="MlflowRunHanging",
        condition="A run of an experiment has been running for more than <threshold>.",
        signal=OLDEST_RUNNING_AGE,
        comparison=">",
        source="mlflow",
        absent=(
            "A store in which no run is under way has none; when the store cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="A run seems to hang.",
        description=(
            'The oldest running run of experiment "{{ $labels.experiment }}" began '
            "{{ $value | humanizeDuration }} ago: "
            "it hangs, or it ended without telling MLflow."
        ),
    ),
)
