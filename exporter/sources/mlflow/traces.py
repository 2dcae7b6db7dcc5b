"""Counts traces of LLM applications as they end.

A store only knows what it holds, and holds no trace for ever, so what it holds cannot be a counter. Traces begun within
the last `trace_window` are counted at each refresh, through MLflow's own index; what came to be more is added up. Every
trace that takes no longer than the window is counted once, and what is deleted later is not taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from typing_extensions import override

from ml_monitoring.exporter.catalog.mlflow_traces import TRACE_BUCKETS
from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow.optional import OptionalCollector
from ml_monitoring.exporter.sources.mlflow.optional_sql import traces

_IN_PROGRESS = "IN_PROGRESS"
# Experiment, status and bucket.
_Group = tuple[int, str, int]
# Traces, milliseconds, input and output tokens, and dollars for both.
_Sums = tuple[float, ...]
_NONE: _Sums = (0,) * 6


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
        now: Returns the time in seconds.
    """

    table = "trace_info"

    def __init__(self, window: float, now: Callable[[], float]) -> None:
        super().__init__()
        self._now = now
        self._window_ms = int(window * 1000)
        self._since: int | None = None
        self._window: dict[_Group, _Sums] = {}
        self._totals: dict[int, _Totals] = defaultdict(_Totals)
        self._has_tokens = False
        self._has_cost = False

    @override
    def read(self, session: Session, columns: frozenset[str]) -> None:
        begin = max(int(self._now() * 1000) - self._window_ms, self._since or 0)
        since = begin if self._since is None else self._since
        self._has_tokens = {"input_tokens", "output_tokens"} <= columns
        self._has_cost = {"input_cost", "output_cost"} <= columns
        bounds = [round(bound * 1000) for bound in TRACE_BUCKETS]
        sql = traces(bounds, tokens=self._has_tokens, cost=self._has_cost)
        now: dict[_Group, _Sums] = defaultdict(lambda: _NONE)
        later: dict[_Group, _Sums] = defaultdict(lambda: _NONE)
        for experiment, status, bucket, in_window, *sums in session.rows(sql, since=since, begin=begin):
            group = (experiment, status or "", bucket)
            counts, dollars = sums[:-2], sums[-2:]
            values = (*(int(value or 0) for value in counts), *(float(value or 0) for value in dollars))
            now[group] = _add(now[group], values)
            if in_window:
                later[group] = _add(later[group], values)
        for totals in self._totals.values():
            totals.in_progress = 0
        for group, values in now.items():
            # What was there when the exporter began did not end while it ran.
            before = values if self._since is None else self._window.get(group, _NONE)
            self._count(group, values, before)
        self._since, self._window = begin, dict(later)

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

    def _count(self, group: _Group, values: _Sums, before: _Sums) -> None:
        experiment, status, bucket = group
        totals = self._totals[experiment]
        if status == _IN_PROGRESS:
            totals.in_progress += int(values[0])
            return
        count, milliseconds, *others = (max(0, value - old) for value, old in zip(values, before, strict=True))
        totals.ended[status] = totals.ended.get(status, 0) + int(count)
        totals.buckets[bucket] += int(count)
        totals.milliseconds += int(milliseconds)
        totals.tokens = [total + int(more) for total, more in zip(totals.tokens, others[:2], strict=True)]
        totals.dollars = [total + more for total, more in zip(totals.dollars, others[2:], strict=True)]


def _add(one: _Sums, other: _Sums) -> _Sums:
    return tuple(mine + more for mine, more in zip(one, other, strict=True))
