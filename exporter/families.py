"""Strict builders for metric families.

prometheus_client zips label names with label values and silently drops the rest, and it renders two families of one
name as two blocks. Here an undeclared name, a wrong number of labels, a label value that is not text and a duplicate
label set are errors, and a missing value is no sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ml_monitoring.exporter.catalog import CATALOG, Metric, MetricKind
from ml_monitoring.exporter.errors import CatalogError, Reason
from ml_monitoring.exporter.suggestions import suggestion

LabelValues = tuple[str, ...]
# MLflow's longest name has 500 characters, but a param's value can have 8,000, in each of thousands of series.
_LONGEST_LABEL = 1_000


@dataclass(frozen=True, slots=True)
class Distribution:
    """The state of one histogram series.

    Attributes:
        counts: Observations a bucket, not cumulative; one more than the metric has bounds (the last is +Inf).
        total: Sum of all observations, in the metric's base unit.
    """

    counts: tuple[int, ...]
    total: float


class MetricFamily:
    """The samples of one metric, in the order in which they were added."""

    def __init__(self, metric: Metric, extra_labels: Sequence[str], max_series: int) -> None:
        self.metric = metric
        self.labels: LabelValues = (*metric.labels, *extra_labels)
        self.samples: dict[LabelValues, float | Distribution] = {}
        self.dropped = 0
        self._series_each = len(metric.buckets) + 3 if metric.kind is MetricKind.HISTOGRAM else 1
        self._max_samples = max_series // self._series_each

    @property
    def series(self) -> int:
        """Return how many series Prometheus will see."""
        return len(self.samples) * self._series_each

    def drop(self, samples: int) -> None:
        """Count samples that a source left out before they took memory."""
        self.dropped += samples * self._series_each

    def add(self, value: float | None, *labels: str) -> None:
        """Add a gauge's or counter's sample.

        Args:
            value: In the metric's base unit; None and NaN mean that there is no sample.
            labels: One value for each label, in the declared order.

        Raises:
            CatalogError: The labels do not fit the declaration, or the label set was added before.
        """
        if value is None or math.isnan(value):
            return
        self._store(labels, float(value))

    def add_named(self, value: float | None, **labels: str) -> None:
        """Add a gauge's or counter's sample by the names of its labels.

        Raises:
            CatalogError: The labels do not fit the declaration, or the label set was added before.
        """
        if labels.keys() != set(self.labels):
            raise CatalogError(f"{self.metric.name}: labels {sorted(labels)} instead of {sorted(self.labels)}")
        self.add(value, *(labels[name] for name in self.labels))

    def add_distribution(self, counts: Sequence[int], total: float, *labels: str) -> None:
        """Add a histogram's sample.

        Args:
            counts: Observations a bucket, not cumulative, +Inf last.
            total: Sum of all observations, in the metric's base unit.
            labels: One value for each label, in the declared order.

        Raises:
            CatalogError: The labels or the number of buckets do not fit the declaration.
        """
        if len(counts) != len(self.metric.buckets) + 1:
            raise CatalogError(f"{self.metric.name}: {len(counts)} counts for {len(self.metric.buckets)} buckets")
        self._store(labels, Distribution(tuple(counts), total))

    def _store(self, labels: LabelValues, value: float | Distribution) -> None:
        name = self.metric.name
        if isinstance(value, Distribution) is not (self.metric.kind is MetricKind.HISTOGRAM):
            raise CatalogError(f"{name}: declared as a {self.metric.kind}, given {value!r}")
        if len(labels) != len(self.labels):
            raise CatalogError(f"{name}: label values {labels!r} for labels {self.labels!r}")
        for label in labels:
            if not isinstance(label, str):
                raise CatalogError(f"{name}: label values must be text, got {labels!r}")
            if len(label) > _LONGEST_LABEL:
                self.dropped += self._series_each
                return
        if labels in self.samples:
            raise CatalogError(f"{name}: duplicate labels {labels!r}")
        if len(self.samples) >= self._max_samples:
            self.dropped += self._series_each
            return
        self.samples[labels] = value


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was left out; the rest of the refresh counts."""

    reason: Reason
    message: str


class FamilySet:
    """All families of one refresh of one source.

    Args:
        origin: Only metrics that the catalog gives this origin can be built.
        catalog: The metrics that there are.
        max_series: Cap on the series of each family; what exceeds it is counted in `MetricFamily.dropped`.
        extra_labels: Appended to the labels of every metric that is declared extensible.
    """

    def __init__(
        self,
        origin: str,
        *,
        catalog: Mapping[str, Metric] = CATALOG,
        max_series: int = 1_000_000,
        extra_labels: Sequence[str] = (),
    ) -> None:
        self._origin = origin
        self._catalog = catalog
        self._max_series = max_series
        self._extra_labels = tuple(extra_labels)
        self._families: dict[str, MetricFamily] = {}
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def __getitem__(self, name: str) -> MetricFamily:
        """Return the family of this name, made on first use.

        Raises:
            CatalogError: The catalog has no such metric of this origin.
        """
        if name not in self._families:
            metric = self._catalog.get(name)
            if metric is None or metric.origin != self._origin:
                known = (each.name for each in self._catalog.values() if each.origin == self._origin)
                raise CatalogError(f"{name}: the catalog has no such metric of {self._origin}{suggestion(name, known)}")
            extra = self._extra_labels if metric.extensible else ()
            self._families[name] = MetricFamily(metric, extra, self._max_series)
        return self._families[name]

    def __iter__(self) -> Iterator[MetricFamily]:
        return iter(self._families.values())

    @property
    def series(self) -> int:
        """Return how many series Prometheus will see."""
        return sum(family.series for family in self)

    def note(self, message: str) -> None:
        """Note something that is no fault, but that an operator may look for."""
        self.notes.append(message)

    def skip(self, reason: Reason, message: str) -> None:
        """Note a row that had to be left out."""
        self.problems.append(Problem(reason, message))

    def describe_problems(self, reason: Reason) -> str:
        """Return what was left out for a reason, to be appended to a sentence; nothing where all is well."""
        messages = [problem.message for problem in self.problems if problem.reason is reason]
        return f"; left out: {'; '.join(messages)}" if messages else ""
