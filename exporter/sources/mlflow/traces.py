"""Counts traces of LLM applications as they end; those that take longer than the window may be missed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from typing_extensions import override

from ml_monitoring.exporter.catalog.mlflow_traces import TRACE_BUCKETS
from ml_monitoring.exporter.database import Row, Session
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow.optional import OptionalCollector
from ml_monitoring.exporter.sources.mlflow.optional_sql import traces
from ml_monitoring.exporter.sources.mlflow.windows import Sums, Window

_IN_PROGRESS = "IN_PROGRESS"
# Experiment, status and bucket.
_Group = tuple[int, str, int]


@dataclass(slots=True)
class _Totals:
    """What was counted of one experiment."""

    ended: dict[str, int] = field(default_factory=lambda: {"OK": 0, "ERROR": 0})
    buckets: list[int] = field(default_factory=lambda: [0] * (len(TRACE_BUCKETS) + 1))
    milliseconds: int = 0
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    dollars: list[float] = field(default_factory=lambda: [0.0, 0.0])
    in_progress: int = 0


class Traces(OptionalCollector):
    """Counts traces as they end, by experiment.

    Args:
        window: Seconds; traces that take longer may be missed.
        hold: For how many seconds the counters of a new experiment are at 0.
        now: Returns the time in seconds.
    """

    table = "trace_info"

    def __init__(self, window: float, hold: float, now: Callable[[], float]) -> None:
        super().__init__()
        self._window = Window[_Group](window, hold, now)
        self._totals: dict[int, _Totals] = defaultdict(_Totals)
        self._has_tokens = False
        self._has_cost = False

    @property
    @override
    def due(self) -> bool:
        return super().due or self._window.due

    @override
    def read(self, session: Session, columns: frozenset[str]) -> None:
        self._has_tokens = {"input_tokens", "output_tokens"} <= columns
        self._has_cost = {"input_cost", "output_cost"} <= columns
        bounds = [round(bound * 1000) for bound in TRACE_BUCKETS]
        sql = traces(bounds, tokens=self._has_tokens, cost=self._has_cost)
        rows = session.rows(sql, **self._window.bounds())
        for totals in self._totals.values():
            totals.in_progress = 0
        # All counters of an experiment begin together.
        known = self._totals.keys() - {experiment for experiment, *_rest in self._window.held}
        for group, sums, increase in self._window.increases(map(_split, rows), lambda group: group[0] in known):
            self._count(group, sums, increase)

    @override
    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        ended, running = families["mlflow_traces_total"], families["mlflow_traces_in_progress"]
        durations, tokens = families["mlflow_trace_duration_seconds"], families["mlflow_trace_tokens_total"]
        cost = families["mlflow_trace_cost_dollars_total"]
        for experiment, name in experiments.items():
            totals = self._totals.get(experiment)
            if totals is None:
                continue
            for status, count in sorted(totals.ended.items()):
                ended.add(count, name, status)
            running.add(totals.in_progress, name)
            durations.add_distribution(totals.buckets, totals.milliseconds / 1000, name)
            if self._has_tokens:
                for kind, count in zip(("input", "output"), totals.tokens, strict=True):
                    tokens.add(count, name, kind)
            if self._has_cost:
                for kind, dollars in zip(("input", "output"), totals.dollars, strict=True):
                    cost.add(dollars, name, kind)

    def _count(self, group: _Group, sums: Sums, increase: Sums) -> None:
        experiment, status, bucket = group
        totals = self._totals[experiment]
        if status == _IN_PROGRESS:
            totals.in_progress += int(sums[0])
            return
        # Traces, milliseconds, input and output tokens, and dollars for both.
        count, milliseconds, *others = increase
        totals.ended[status] = totals.ended.get(status, 0) + int(count)
        totals.buckets[bucket] += int(count)
        totals.milliseconds += int(milliseconds)
        totals.tokens = [total + int(more) for total, more in zip(totals.tokens, others[:2], strict=True)]
        totals.dollars = [total + more for total, more in zip(totals.dollars, others[2:], strict=True)]


def _split(row: Row) -> tuple[_Group, bool, Sums]:
    experiment, status, bucket, in_window, *sums = row
    counts, dollars = sums[:-2], sums[-2:]
    values = (*(int(value or 0) for value in counts), *(float(value or 0) for value in dollars))
    return (experiment, status or "", bucket), bool(in_window), values
