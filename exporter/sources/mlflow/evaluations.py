"""What MLflow 3 keeps of the evaluation of LLM applications: feedback on traces, and their models and prompts."""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from statistics import fmean
from typing import ClassVar

from typing_extensions import override

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow import optional_sql as sql
from ml_monitoring.exporter.sources.mlflow.optional import OptionalCollector
from ml_monitoring.exporter.sources.mlflow.windows import Sums, Window

# What yes and no are in JSON, as judges and people say it.
_RESULTS = {"true": "pass", '"yes"': "pass", "false": "fail", '"no"': "fail"}
# Experiment and label values.
_Group = tuple[int, tuple[str, ...]]
_Row = tuple[_Group, bool, Sums]


class _Counted(OptionalCollector):
    """Adds up what comes to be while the exporter runs, by experiment and labels.

    Args:
        window: Seconds; what is written later after the trace began may be missed.
        hold: For how many seconds a new combination of labels is at 0.
        now: Returns the time in seconds.
        most: So many combinations of labels at most; what exceeds it is counted as dropped.

    Attributes:
        families: The counters, one for each sum, by what the sum is to be multiplied with.
    """

    families: ClassVar[Mapping[str, float]]

    def __init__(self, window: float, hold: float, now: Callable[[], float], most: int) -> None:
        super().__init__()
        self._window = Window[_Group](window, hold, now)
        self._most = most
        self._totals: dict[_Group, Sums] = {}
        self._dropped = 0

    @property
    @override
    def due(self) -> bool:
        return super().due or self._window.due

    @override
    def read(self, session: Session, columns: frozenset[str]) -> None:
        rows = self._rows(session, self._window.bounds())
        self._dropped = 0
        for group, _sums, increase in self._window.increases(rows, self._totals.__contains__):
            if group not in self._totals and len(self._totals) >= self._most:
                self._dropped += 1
                continue
            before = self._totals.get(group, (0,) * len(increase))
            self._totals[group] = tuple(total + more for total, more in zip(before, increase, strict=True))

    @abstractmethod
    def _rows(self, session: Session, bounds: Mapping[str, int]) -> Iterable[_Row]:
        """Read what was written since the bounds."""

    @override
    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        for (experiment, labels), sums in sorted(self._totals.items()):
            if experiment in experiments:
                for (family, factor), total in zip(self.families.items(), sums, strict=True):
                    families[family].add(total * factor, experiments[experiment], *labels)
        if self._dropped:
            for family in self.families:
                families[family].drop(self._dropped)


class PromptTraces(_Counted):
    """Counts traces as they end by the versions of prompts that are linked to them."""

    table = "trace_tags"
    needs = ("trace_info",)
    families: ClassVar[Mapping[str, float]] = {
        "mlflow_prompt_traces_total": 1,
        "mlflow_prompt_trace_seconds_total": 0.001,
    }

    @override
    def _rows(self, session: Session, bounds: Mapping[str, int]) -> Iterator[_Row]:
        for experiment, status, linked, *sums, in_window in session.rows(sql.prompt_traces(session.dialect), **bounds):
            for name, version in _prompts(linked):
                yield (experiment, (name, version, status)), bool(in_window), tuple(map(float, sums))


class ModelTraces(_Counted):
    """Counts traces as they end by the logged model that they are of."""

    table = "trace_request_metadata"
    needs = ("trace_info", "logged_models")
    families: ClassVar[Mapping[str, float]] = {
        "mlflow_model_traces_total": 1,
        "mlflow_model_trace_seconds_total": 0.001,
    }

    @override
    def _rows(self, session: Session, bounds: Mapping[str, int]) -> Iterator[_Row]:
        for experiment, status, model, *sums, in_window in session.rows(sql.model_traces(session.dialect), **bounds):
            if isinstance(model, str):
                yield (experiment, (model, status)), bool(in_window), tuple(map(float, sums))


class Feedback(_Counted):
    """Counts feedback on traces as it is given, by people, code and judges."""

    table = "assessments"
    needs = ("trace_info",)
    families: ClassVar[Mapping[str, float]] = {"mlflow_trace_feedback_total": 1}

    def __init__(self, window: float, hold: float, now: Callable[[], float], most: int) -> None:
        super().__init__(window, hold, now, most)
        self._scores: Mapping[_Group, list[float]] = {}

    @override
    def _rows(self, session: Session, bounds: Mapping[str, int]) -> Iterator[_Row]:
        scores: defaultdict[_Group, list[float]] = defaultdict(list)
        for experiment, name, source, value, failed, in_window in session.rows(sql.FEEDBACK, **bounds):
            # SQLite keeps anything in any column.
            if not (isinstance(name, str) and isinstance(source, str) and isinstance(value, str)):
                continue
            result = "error" if failed else _RESULTS.get(value.lower(), "other")
            if result == "other" and (score := _number(value)) is not None:
                result = "score"
                scores[experiment, (name, source)].append(score)
            yield (experiment, (name, source, result)), bool(in_window), (1,)
        self._scores = scores

    @override
    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        super().add(families, experiments)
        for (experiment, labels), scores in sorted(self._scores.items()):
            if experiment in experiments:
                families["mlflow_trace_feedback_score"].add(fmean(scores), experiments[experiment], *labels)


def _prompts(linked: object) -> set[tuple[str, str]]:
    """Return name and version of each prompt of a tag of a trace."""
    try:
        return {(str(each["name"]), str(each["version"])) for each in json.loads(str(linked))}
    except (ValueError, TypeError, KeyError):
        return set()


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
