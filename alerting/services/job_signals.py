"""Signals about batch jobs and notebooks with the recorder's `job`, which the page `training` shows."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.mlflow.training_signals import PAGE
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

_JOB: Final = ("job_name", "origin")


def _of_jobs(name: str, title: str, question: str, expr: str, unit: Unit) -> Signal:
    return Signal(name=name, title=title, question=question, expr=expr, unit=unit, dashboard=PAGE, by=_JOB)


JOBS_IN_TROUBLE: Final = Signal(
    name="jobs_in_trouble",
    title="Jobs failed or late",
    question="How many batch jobs failed in their last run, or did not succeed in the time that they declare?",
    expr=(
        "count by (cluster, namespace) (job_name_origin:ml_job_state:code{<filter>} >= 2) "
        "or 0 * count by (cluster, namespace) (job_name_origin:ml_job_state:code{<filter>})"
    ),
    unit=Unit.COUNT,
    dashboard=PAGE,
    legend="jobs",
)

JOB_STATE: Final = _of_jobs(
    "job_state",
    "Batch jobs",
    "Which batch job failed, is late, or runs?",
    "job_name_origin:ml_job_state:code{<filter>}",
    Unit.ANY,
)

JOB_FAILED: Final = _of_jobs(
    "job_failed",
    "Failed jobs",
    "Did the last run of a batch job end with an exception?",
    "job_name_origin:ml_job_failed:flag{<filter>}",
    Unit.FLAG,
)

JOB_LATENESS: Final = _of_jobs(
    "job_lateness",
    "Job lateness",
    "Did a batch job not succeed in the time that it declares?",
    "job_name_origin:ml_job_lateness:ratio{<filter>}",
    Unit.ANY,
)

JOB_SUCCESS_AGE: Final = _of_jobs(
    "job_success_age",
    "Time since last success of a job",
    "How old is what a batch job makes?",
    "time() - job_name_origin:ml_job_last_success_timestamp_seconds:max{<filter>}",
    Unit.SECONDS,
)

JOB_INTERVAL: Final = _of_jobs(
    "job_interval",
    "Declared interval of a job",
    "How soon is a batch job to succeed again?",
    "job_name_origin:ml_job_interval_seconds:max{<filter>} > 0",
    Unit.SECONDS,
)

JOB_DURATION: Final = _of_jobs(
    "job_duration",
    "Last duration of a job",
    "How long did the last run of a batch job take?",
    "job_name_origin:ml_job_last_duration_seconds:max{<filter>}",
    Unit.SECONDS,
)
