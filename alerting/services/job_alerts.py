"""Alerts on batch jobs: they failed, or did not succeed in the time that they declare."""

from __future__ import annotations

from ml_monitoring.alerting.model.alert import Alert
from ml_monitoring.alerting.services.job_signals import JOB_FAILED, JOB_LATENESS

_NAME = "{{ $labels.job_name }}{{ with $labels.origin }} ({{ . }}){{ end }}"
_ABSENT = (
    "Before its first run a job has none; what OTLP brought is remembered for 35 days, and what a Pushgateway or a "
    "file holds stays there."
)

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="MlJobFailed",
        condition="The last run of a batch job ended with an exception.",
        signal=JOB_FAILED,
        comparison=">",
        absent=_ABSENT,
        summary="A batch job failed.",
        description=f"The last run of the job {_NAME} failed.",
    ),
    Alert(
        name="MlJobOverdue",
        condition="A batch job did not succeed for more than <threshold> times the interval that it declares.",
        signal=JOB_LATENESS,
        comparison=">",
        absent=_ABSENT,
        summary="A batch job did not succeed in time.",
        description=f"The job {_NAME} has not succeeded for {{{{ $value | humanize }}}} times its interval.",
    ),
)
