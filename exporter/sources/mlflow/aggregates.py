"""The sums over the runs of each experiment, kept up to date by what changed."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ml_monitoring.exporter.catalog import CATALOG
from ml_monitoring.exporter.sources.mlflow.run_cache import FINISHED, RUNNING, LabelSet, Rank, Run, RunCache

_BUCKETS_MS = [round(bound * 1000) for bound in CATALOG["mlflow_run_duration_seconds"].buckets]


@dataclass(slots=True)
class ExperimentAggregate:
    """The sums of one experiment; times in ms.

    Attributes:
        counts: Active runs by status.
        children: Those of them that have a parent.
        last: Latest end, or start without an end, of active runs by status.
        oldest_running: Earliest start of a run that is running.
        buckets: Durations of finished runs, deleted ones too, by bucket.
        duration: Sum of these durations.
        latest: Rank of the latest run that counts as a result by labels.
    """

    counts: dict[str, int] = field(default_factory=dict)
    children: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    oldest_running: int | None = None
    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS_MS) + 1))
    duration: int = 0
    latest: dict[LabelSet, Rank] = field(default_factory=dict)

    def add_duration(self, run: Run, sign: int) -> None:
        """Add a run's duration, or take it back with a sign of -1."""
        if run.status != FINISHED or run.started is None or run.ended is None or run.ended < run.started:
            return
        duration = run.ended - run.started
        self.buckets[bisect_left(_BUCKETS_MS, duration)] += sign
        self.duration += sign * duration

    def count(self, status: str, runs: int, *, child: bool) -> None:
        """Add so many active runs of a status."""
        self.counts[status] = self.counts.get(status, 0) + runs
        if child:
            self.children[status] = self.children.get(status, 0) + runs

    def extend(self, status: str, last_activity: int | None, first_start: int | None) -> None:
        """Take the times of active runs of a status into account."""
        if last_activity is not None:
            self.last[status] = max(last_activity, self.last.get(status, last_activity))
        if status == RUNNING and first_start is not None:
            oldest = self.oldest_running
            self.oldest_running = first_start if oldest is None else min(oldest, first_start)


@dataclass(slots=True)
class _Lost:
    """The maxima that lost the run they came from and must be looked up again."""

    last: set[tuple[int, str]] = field(default_factory=set)
    running: set[int] = field(default_factory=set)
    latest: set[int] = field(default_factory=set)


class Aggregates:
    """The aggregates of experiments: of all, or where there are very many of those that were used or asked for last.

    Args:
        runs: Where a maximum is looked up that lost the run it came from.
        most: Of so many experiments they are kept, or up to twice as many for a while.
    """

    def __init__(self, runs: RunCache, most: int) -> None:
        self._runs = runs
        self._most = most
        self._by_experiment: dict[int, ExperimentAggregate] = {}
        # When the others that have runs were last used.
        self._others: dict[int, int] = {}

    def get(self, experiment: int) -> ExperimentAggregate:
        """Return the sums of an experiment; of one without runs they are empty."""
        if self._others.pop(experiment, None) is not None:
            self._count(experiment)
        return self._by_experiment.get(experiment) or ExperimentAggregate()

    def last_used(self, experiment: int) -> int:
        """Return when an active run of an experiment last began or ended; 0 for never."""
        if (known := self._by_experiment.get(experiment)) is not None:
            return max(known.last.values(), default=0)
        return self._others.get(experiment, 0)

    def load(self) -> None:
        """Count all runs."""
        self._by_experiment = {}
        self._others = {}
        if len(self._runs.experiments()) > self._most:
            self._others = self._runs.last_used()
            for experiment in heapq.nlargest(self._most, self._others, key=self._others.__getitem__):
                del self._others[experiment]
        self._count()

    def trim(self, shown: Collection[int]) -> None:
        """Forget those that are not shown, where they are too many."""
        if len(self._by_experiment) > 2 * self._most:
            for experiment in self._by_experiment.keys() - shown:
                self._others[experiment] = self.last_used(experiment)
                del self._by_experiment[experiment]

    def _count(self, one: int | None = None) -> None:
        """Count the runs of one experiment, or of all that are kept."""
        for totals in self._runs.totals(_BUCKETS_MS, one):
            if totals.experiment in self._others:
                continue
            aggregate = self._of(totals.experiment)
            if totals.active:
                aggregate.count(totals.status, totals.runs, child=totals.child)
                aggregate.extend(totals.status, totals.last_activity, totals.first_start)
            if totals.bucket is not None:
                aggregate.buckets[totals.bucket] += totals.runs
                aggregate.duration += totals.duration
        for (experiment, labels), rank in self._runs.latest_results(None if one is None else [one]).items():
            if experiment not in self._others:
                self._of(experiment).latest[labels] = rank

    def apply(self, changes: Iterable[tuple[Run | None, Run | None]]) -> None:
        """Correct the sums by runs as they were before and as they are now."""
        lost = _Lost()
        for old, new in changes:
            if old is not None:
                self._subtract(old, lost)
            if new is not None:
                self._add(new)
        self._look_up(lost)

    def _of(self, experiment: int) -> ExperimentAggregate:
        return self._by_experiment.setdefault(experiment, ExperimentAggregate())

    def _add(self, run: Run) -> None:
        if run.experiment in self._others:
            last = (run.last_activity or 0) if run.active else 0
            self._others[run.experiment] = max(last, self._others[run.experiment])
            return
        aggregate = self._of(run.experiment)
        aggregate.add_duration(run, 1)
        if run.active:
            aggregate.count(run.status, 1, child=run.child)
            aggregate.extend(run.status, run.last_activity, run.started)
        if run.counts_as_result:
            aggregate.latest[run.labels] = max(run.rank, aggregate.latest.get(run.labels, run.rank))

    def _subtract(self, run: Run, lost: _Lost) -> None:
        if run.experiment in self._others:
            return
        aggregate = self._of(run.experiment)
        aggregate.add_duration(run, -1)
        if not run.active:
            return
        aggregate.count(run.status, -1, child=run.child)
        was_last = run.last_activity is not None and run.last_activity == aggregate.last.get(run.status)
        if run.status == RUNNING and (was_last or run.started == aggregate.oldest_running):
            lost.running.add(run.experiment)
        elif was_last:
            lost.last.add((run.experiment, run.status))
        if run.status == FINISHED and run.rank == aggregate.latest.get(run.labels):
            lost.latest.add(run.experiment)

    def _look_up(self, lost: _Lost) -> None:
        for experiment in lost.running:
            aggregate = self._of(experiment)
            aggregate.oldest_running, last = self._runs.running(experiment)
            _set(aggregate.last, RUNNING, last)
        others = {experiment for experiment, _status in lost.last}
        activities = self._runs.last_activities(others) if others else {}
        for experiment, status in lost.last:
            _set(self._of(experiment).last, status, activities.get((experiment, status)))
        latest = self._runs.latest_results(lost.latest) if lost.latest else {}
        for experiment in lost.latest:
            self._of(experiment).latest.clear()
        for (experiment, labels), rank in latest.items():
            self._of(experiment).latest[labels] = rank


def _set(times: dict[str, int], status: str, time: int | None) -> None:
    times.pop(status, None)
    if time is not None:
        times[status] = time
