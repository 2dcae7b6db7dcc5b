"""Batch jobs and notebooks: when a run last started, succeeded or failed, how long it took, how often it is due."""

from __future__ import annotations

import re
from datetime import timedelta
from time import time
from typing import TYPE_CHECKING, Final

from ml_monitoring.instrument.blocks import ReusableBlock
from ml_monitoring.instrument.catalog import JOB_LABEL, ORIGIN_LABEL
from ml_monitoring.instrument.exporters import JobSamples
from ml_monitoring.instrument.families import guarded
from ml_monitoring.instrument.labels import OTHER
from ml_monitoring.instrument.mistakes import as_number, shown

if TYPE_CHECKING:
    from ml_monitoring.instrument.recorder import Recorder

_START: Final = "ml_job_last_start_timestamp_seconds"
_SUCCESS: Final = "ml_job_last_success_timestamp_seconds"
_FAILURE: Final = "ml_job_last_failure_timestamp_seconds"
_DURATION: Final = "ml_job_last_duration_seconds"
_INTERVAL: Final = "ml_job_interval_seconds"

_DURATION_TEXT: Final = re.compile(r"(\d+)([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def interval_seconds(every: str | float | timedelta | None) -> float:
    """Return how often a job is due, in seconds; 0 when it declares nothing.

    Raises:
        ValueError: It is no positive duration.
    """
    if every is None:
        return 0.0
    if isinstance(every, str):
        parts = _DURATION_TEXT.findall(every)
        if "".join(f"{number}{unit}" for number, unit in parts) != every:
            raise ValueError(f"every: {shown(every)} is not a duration such as 30m, 1d or 1d12h")
        seconds = float(sum(int(number) * _SECONDS[unit] for number, unit in parts))
    else:
        number = every.total_seconds() if isinstance(every, timedelta) else as_number(every)
        if number is None or isinstance(every, bool):
            raise ValueError(f"every: {shown(every)} is not a duration such as 30m, 1d or 1d12h")
        seconds = number
    if not 0 < seconds < float("inf"):
        raise ValueError(f"every: {shown(every)} is not a positive duration")
    return seconds


class Job(ReusableBlock["Recorder"], operation="job"):
    """A batch job, each block of which is a run; `Recorder.job` makes it.

    Args:
        recorder: Where it is recorded; its exporter pushes the samples, beside their being scraped.
        name: Of the job.
        interval: Seconds within which it is to succeed again; 0 when it declares nothing.
    """

    def __init__(self, recorder: Recorder, name: str, interval: float) -> None:
        super().__init__(recorder)
        self._name = name
        self._interval = interval

    def _begin(self) -> None:
        self._record({_START: time(), _INTERVAL: self._interval})

    def _end(self, seconds: float, error: BaseException | None) -> None:
        succeeded = error is None or (isinstance(error, SystemExit) and not error.code)
        self._record({_SUCCESS if succeeded else _FAILURE: time(), _DURATION: seconds})

    def _record(self, values: dict[str, float]) -> None:
        if not self._metrics.disabled:
            self._keep_job(values)
            self._push_job(values)

    @guarded
    def _keep_job(self, values: dict[str, float]) -> None:
        for metric, value in values.items():
            self._metrics.gauge(metric).child(self._name).set(value)

    @guarded
    def _push_job(self, values: dict[str, float]) -> None:
        exporter = self._owner._exporter
        if exporter is not None:
            # As many files or groups as series, at most.
            name = self._name if self._metrics.gauge(_START).keeps(self._name) else OTHER
            origin = {ORIGIN_LABEL: self._metrics.origin} if self._metrics.origin else {}
            exporter._push_job(JobSamples(name, {JOB_LABEL: name, **origin}, values))
