"""What runs that are running logged last: whether they get on, and what their machines do.

MLflow's system metrics (`mlflow.enable_system_metrics_logging()`) are metrics of the run like all others. They go on
while the training hangs, so they do not count as a sign of life; and a run that was killed leaves the last ones behind,
so what is older than ten minutes is not what the machine does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from typing_extensions import override

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow.optional import OptionalCollector
from ml_monitoring.exporter.sources.mlflow.optional_sql import RUNNING_METRICS
from ml_monitoring.exporter.sources.mlflow.run_cache import RunCache
from ml_monitoring.exporter.sources.mlflow.sql import STORED_INFINITY

# So many runs at most, those that were started last.
_MOST_RUNS = 1_000
_FRESH_MS = 600_000
_SYSTEM = "system/"
_GPU = "gpu"
_RESOURCES = re.compile(
    r"system/(?:(?P<gpu>gpu)_\d+_utilization|(?P<gpu_memory>gpu)_\d+_memory_usage"
    r"|(?P<cpu>cpu)_utilization|(?P<memory>system)_memory_usage|(?P<disk>disk)_usage)_percentage"
)


@dataclass(slots=True)
class _Training:
    """The runs of an experiment that are running; times in ms.

    Attributes:
        last_metrics: When each last logged a metric, system metrics not counted.
        not_finite: Those of which a loss is not a number any more.
        used: Percentages by resource and run.
    """

    last_metrics: dict[str, int] = field(default_factory=dict)
    not_finite: set[str] = field(default_factory=set)
    used: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))


class Trainings(OptionalCollector):
    """Follows the runs that are running, by experiment.

    Args:
        runs: All runs of the store.
        lower_wins: Tells whether the lowest value of a metric is the best one.
        now: Returns the time in seconds.
    """

    table = "latest_metrics"

    def __init__(self, runs: RunCache, lower_wins: Callable[[str], bool], now: Callable[[], float]) -> None:
        super().__init__()
        self._runs = runs
        self._lower_wins = lower_wins
        self._now = now
        self._trainings: Mapping[int, _Training] = {}
        # The highest step of each run that is running.
        self._steps: dict[str, int] | None = None
        self._made: defaultdict[int, int] = defaultdict(int)

    @override
    def read(self, session: Session, columns: frozenset[str]) -> None:
        running = self._runs.running_runs(_MOST_RUNS)
        fresh = self._now() * 1000 - _FRESH_MS
        trainings: defaultdict[int, _Training] = defaultdict(_Training)
        steps: dict[str, int] = {}
        rows = session.rows(RUNNING_METRICS, runs=sorted(running)) if running else []
        for run, key, value, is_nan, timestamp, step in rows:
            # SQLite keeps anything in any column.
            if not (isinstance(timestamp, int) and isinstance(step, int)):
                continue
            training = trainings[running[run]]
            if not key.startswith(_SYSTEM):
                training.last_metrics[run] = max(timestamp, training.last_metrics.get(run, timestamp))
                steps[run] = max(step, steps.get(run, 0))
                if (is_nan or abs(value) >= STORED_INFINITY) and self._lower_wins(key):
                    training.not_finite.add(run)
            elif (found := _RESOURCES.fullmatch(key)) and found.lastgroup and not is_nan and timestamp >= fresh:
                training.used[found.lastgroup, run].append(value)
        for run, step in steps.items():
            # What was there when the exporter began was not made while it ran.
            before = step if self._steps is None else self._steps.get(run, 0)
            self._made[running[run]] += max(0, step - before)
        self._steps, self._trainings = steps, trainings

    @override
    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        for experiment, name in experiments.items():
            if experiment in self._made:
                families["mlflow_training_steps_total"].add(self._made[experiment], name)
            if (training := self._trainings.get(experiment)) is None:
                continue
            if training.last_metrics:
                oldest = min(training.last_metrics.values())
                families["mlflow_training_last_metric_timestamp_seconds"].add(oldest / 1000, name)
                families["mlflow_training_runs_not_finite"].add(len(training.not_finite), name)
            by_resource: defaultdict[str, list[float]] = defaultdict(list)
            for (resource, _run), percentages in training.used.items():
                by_resource[resource].append(fmean(percentages) / 100)
            for resource, ratios in sorted(by_resource.items()):
                families["mlflow_training_utilization_ratio"].add(fmean(ratios), name, resource)
            if _GPU in by_resource:
                families["mlflow_training_gpu_lowest_utilization_ratio"].add(min(by_resource[_GPU]), name)
