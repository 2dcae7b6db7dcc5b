"""What runs that are running logged last: whether they get on, and what their machines do.

MLflow's system metrics (`mlflow.enable_system_metrics_logging()`) are metrics of the run like all others. They go on
while the training hangs, so they do not count as a sign of life; and a run that was killed leaves the last ones behind,
so what is older than ten minutes is not what the machine does. Where several machines train one run, each has a node id
(`mlflow.set_system_metrics_node_id()`) in the keys of its metrics.

A loss is followed by the values that are last at each refresh, as reading all that a run ever logged would cost a
store more than everything else.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from typing_extensions import override

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow.optional import OptionalCollector, most_common
from ml_monitoring.exporter.sources.mlflow.optional_sql import RUNNING_METRICS, RUNNING_TAGS
from ml_monitoring.exporter.sources.mlflow.rising import LossCurve
from ml_monitoring.exporter.sources.mlflow.run_cache import RunCache
from ml_monitoring.exporter.sources.mlflow.sql import STORED_INFINITY
from ml_monitoring.exporter.values import matches_any

# So many runs at most, those that were started last.
_MOST_RUNS = 1_000
_FRESH_MS = 600_000
_UNKNOWN = "unknown"
_SYSTEM = "system/"
_GPU = "gpu"
_RESOURCES = re.compile(
    r"system/(?:(?P<node>.+)/)?(?:(?P<gpu>gpu)_\d+_utilization|(?P<gpu_memory>gpu)_\d+_memory_usage"
    r"|(?P<cpu>cpu)_utilization|(?P<memory>system)_memory_usage|(?P<disk>disk)_usage)_percentage"
)
_BY_TAG = {
    "mlflow.user": ("user", "mlflow_training_user_runs"),
    "mlflow.source.name": ("source", "mlflow_training_source_runs"),
}


@dataclass(slots=True)
class _Training:
    """The runs of an experiment that are running; times in ms.

    Attributes:
        last_metrics: When each last logged a metric, system metrics not counted.
        not_finite: Those of which a loss is not a number any more.
        rising: Those of which a loss rises.
        used: Percentages by resource and run.
    """

    last_metrics: dict[str, int] = field(default_factory=dict)
    not_finite: set[str] = field(default_factory=set)
    rising: set[str] = field(default_factory=set)
    used: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))


class Trainings(OptionalCollector):
    """Follows the runs that are running, by experiment.

    Args:
        runs: All runs of the store.
        lower_wins: Tells whether the lowest value of a metric is the best one.
        losses: Patterns of the metrics that are not to rise, in lower case.
        now: Returns the time in seconds.
        most: So many users and so many sources at most.
        exposes: Whether this exporter is the one of several that exposes what is of the whole store.
    """

    table = "latest_metrics"

    def __init__(
        self,
        runs: RunCache,
        lower_wins: Callable[[str], bool],
        now: Callable[[], float],
        *,
        losses: tuple[str, ...],
        most: int,
        exposes: bool,
    ) -> None:
        super().__init__()
        self._runs = runs
        self._lower_wins = lower_wins
        self._losses = losses
        self._now = now
        self._most = most
        self._exposes = exposes
        # Runs by tag and value; percentages by node and resource.
        self._tagged: Mapping[str, Counter[str]] = {}
        self._nodes: Mapping[tuple[str, str], list[float]] = {}
        self._trainings: Mapping[int, _Training] = {}
        # The highest step of each run that is running.
        self._steps: dict[str, int] | None = None
        self._made: defaultdict[int, int] = defaultdict(int)
        # By run and metric, with the time and step of its last value.
        self._curves: dict[tuple[str, str], tuple[LossCurve, tuple[int, int]]] = {}

    @override
    def read(self, session: Session, columns: frozenset[str]) -> None:
        running = self._runs.running_runs(_MOST_RUNS)
        fresh = self._now() * 1000 - _FRESH_MS
        trainings: defaultdict[int, _Training] = defaultdict(_Training)
        steps: dict[str, int] = {}
        nodes: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        curves: dict[tuple[str, str], tuple[LossCurve, tuple[int, int]]] = {}
        rows = session.rows(RUNNING_METRICS, runs=sorted(running)) if running else []
        for run, key, value, is_nan, timestamp, step in rows:
            # SQLite keeps anything in any column.
            if not (isinstance(timestamp, int) and isinstance(step, int)):
                continue
            training = trainings[running[run]]
            if not key.startswith(_SYSTEM):
                training.last_metrics[run] = max(timestamp, training.last_metrics.get(run, timestamp))
                steps[run] = max(step, steps.get(run, 0))
                finite = not is_nan and abs(value) < STORED_INFINITY
                if not finite and self._lower_wins(key):
                    training.not_finite.add(run)
                if matches_any(self._losses, key.lower()):
                    curve, last = self._curves.get((run, key), (LossCurve(), None))
                    if finite and last != (timestamp, step):
                        curve.add(value)
                    curves[run, key] = curve, (timestamp, step)
                    if curve.rises:
                        training.rising.add(run)
            elif (found := _RESOURCES.fullmatch(key)) and found.lastgroup and not is_nan and timestamp >= fresh:
                training.used[found.lastgroup, run].append(value)
                if node := found["node"]:
                    nodes[node, found.lastgroup].append(value)
        for run, step in steps.items():
            # What was there when the exporter began was not made while it ran.
            before = step if self._steps is None else self._steps.get(run, 0)
            self._made[running[run]] += max(0, step - before)
        self._steps, self._trainings, self._nodes, self._curves = steps, trainings, nodes, curves
        self._tagged = self._read_tags(session, running) if self._exposes else {}

    def _read_tags(self, session: Session, running: Mapping[str, int]) -> dict[str, Counter[str]]:
        tagged = {tag: Counter[str]() for tag in _BY_TAG}
        rows = session.rows(RUNNING_TAGS, runs=sorted(running), keys=list(_BY_TAG)) if running else []
        for _run, tag, value in rows:
            # MySQL finds keys of other case as well.
            if tag in tagged and value:
                tagged[tag][value] += 1
        for counts in tagged.values():
            if unknown := len(running) - counts.total():
                counts[_UNKNOWN] += unknown
        return tagged

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
                families["mlflow_training_runs_rising"].add(len(training.rising), name)
            by_resource: defaultdict[str, list[float]] = defaultdict(list)
            for (resource, _run), percentages in training.used.items():
                by_resource[resource].append(fmean(percentages) / 100)
            for resource, ratios in sorted(by_resource.items()):
                families["mlflow_training_utilization_ratio"].add(fmean(ratios), name, resource)
            if _GPU in by_resource:
                families["mlflow_training_gpu_lowest_utilization_ratio"].add(min(by_resource[_GPU]), name)
        for (node, resource), percentages in sorted(self._nodes.items()):
            families["mlflow_training_node_utilization_ratio"].add(fmean(percentages) / 100, node, resource)
        for tag, counts in self._tagged.items():
            kind, family = _BY_TAG[tag]
            families["mlflow_training_labels"].add(len(counts), kind)
            for value, runs in most_common(counts, self._most):
                families[family].add(runs, value)
