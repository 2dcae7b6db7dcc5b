"""Recorded series about batch jobs: when they last ran, whether that went well, and whether they are late."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.recording import Record

_JOB: Final = ("job_name", "origin")
_LEVEL: Final = "job_name_origin"
# What OTLP brings of a job is there at its start and at its end, and then for five minutes. The longest month, and
# some days to be late in.
_REMEMBERED: Final = "35d"
_START: Final = f"{_LEVEL}:ml_job_last_start_timestamp_seconds:max"
_SUCCESS: Final = f"{_LEVEL}:ml_job_last_success_timestamp_seconds:max"
_FAILURE: Final = f"{_LEVEL}:ml_job_last_failure_timestamp_seconds:max"
_INTERVAL: Final = f"{_LEVEL}:ml_job_interval_seconds:max"
_DURATION: Final = f"{_LEVEL}:ml_job_last_duration_seconds:max"
_LATENESS: Final = f"{_LEVEL}:ml_job_lateness:ratio"
_FAILED: Final = f"{_LEVEL}:ml_job_failed:flag"
# The values of a job's state.
STATES: Final = ("succeeded", "running", "late", "failed")


def _last(name: str, meaning: str) -> Record:
    metric = name.split(":")[1]
    return Record(
        name=name,
        meaning=meaning,
        expr=f"""
            max without (instance, exporter) (
              {metric}{{exporter=""}} or last_over_time({metric}{{exporter="otlp"}}[{_REMEMBERED}])
            )
        """,
        by=_JOB,
    )


RECORDS: tuple[Record, ...] = (
    _last(_START, "When a job last started."),
    _last(_SUCCESS, "When a job last succeeded."),
    _last(_FAILURE, "When a job last failed."),
    _last(_INTERVAL, "Time within which a job is to succeed again; 0 when it declares none."),
    _last(_DURATION, "Time that the last run of a job took."),
    Record(
        name=_LATENESS,
        meaning="Time since a job succeeded, in intervals that it declares; since its start, if it never did.",
        expr=f"(time() - ({_SUCCESS} or {_START})) / ({_INTERVAL} > 0)",
        by=_JOB,
    ),
    Record(
        name=_FAILED,
        meaning="1 when the last run of a job that ended failed.",
        expr=f"{_FAILURE} > bool {_SUCCESS} or {_FAILURE} > bool 0",
        by=_JOB,
    ),
    Record(
        name=f"{_LEVEL}:ml_job_state:code",
        meaning="What there is to say of a job: it succeeded (0), runs (1), is late (2), or failed (3).",
        expr=f"""
            0 * ({_FAILED} > 0) + 3
            or
            0 * ({_LATENESS} > <MlJobOverdue.threshold>) + 2
            or
            0 * ({_START} > ({_SUCCESS} or 0 * {_START})) + 1
            or
            0 * {_START}
        """,
        by=_JOB,
    ),
)
