"""Metrics of an MLflow backend store: experiments, runs, their metrics and the model registry.

Reads `experiments`, `runs`, `latest_metrics`, `params`, `tags`, `model_versions` and `registered_model_aliases`,
read-only. Runs count when they and their experiment are active (not deleted). In stores with workspaces, names outside
the workspace `default` are exposed as `workspace/name`.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from exporter.catalog import CATALOG
from exporter.database import Row, Session, connect
from exporter.errors import Reason
from exporter.families import FamilySet
from exporter.shard import Shard
from exporter.sources import mlflow_sql
from exporter.sources.base import Source, SourceSettings
from exporter.sources.mlflow_sql import LabelSource
from exporter.values import Names, Patterns, matches_any

RUN_STATUSES = ("FAILED", "FINISHED", "KILLED", "RUNNING", "SCHEDULED")
VARIANT_LABEL = "model_variant"
_DEFAULT_LABELS: dict[str, Names] = {VARIANT_LABEL: (f"param:{VARIANT_LABEL}", f"tag:{VARIANT_LABEL}")}
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN_LABELS = frozenset({"experiment", "metric", "job", "instance", "le", "quantile"})
_SHOWN_PROBLEMS = 5


def _valid_uri(value: SecretStr) -> SecretStr:
    connect(value.get_secret_value(), timeout=1.0)
    return value


def _valid_labels(value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for name, sources in value.items():
        if not _LABEL_NAME.fullmatch(name) or name.startswith("__") or name in _TAKEN_LABELS:
            raise ValueError(f"{name!r} cannot be a label name here")
        for source in sources:
            LabelSource.parse(source)
    return value


def _with_variant(value: object) -> object:
    return {**_DEFAULT_LABELS, **value} if isinstance(value, dict) else value


class MetricPatterns(Patterns):
    """Which metric keys are exposed, and for which of them lower is better (lower-case patterns)."""

    lower_is_better: Names = (
        *("*loss*", "*error*", "*mae", "*mape", "*mse", "*rmse", "*perplexity*"),
        *("*latency*", "*duration*", "*_seconds", "*_ms"),
    )

    def lower_wins(self, key: str) -> bool:
        """Tell whether the lowest value of this metric is the best one."""
        return matches_any(self.lower_is_better, key.lower())


class MlflowSettings(SourceSettings):
    """Settings of the `mlflow` source.

    Attributes:
        uri: Backend store, as given to `mlflow server --backend-store-uri`.
        experiments: Names of the experiments to expose.
        metrics: Keys of the metrics to expose.
        labels: Labels of `mlflow_metric_latest` and the params or tags they are taken from, first found counts.
        shard: Which experiments and models are this exporter's, where several share a store.
    """

    uri: Annotated[SecretStr, AfterValidator(_valid_uri)]
    experiments: Patterns = Patterns()
    metrics: MetricPatterns = MetricPatterns()
    shard: Shard = Shard()
    labels: Annotated[dict[str, Names], BeforeValidator(_with_variant), AfterValidator(_valid_labels)] = Field(
        default=_DEFAULT_LABELS
    )


@dataclass(slots=True)
class _Experiment:
    """What is known of one active experiment."""

    name: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RUN_STATUSES, 0))
    last: dict[str, float] = field(default_factory=dict)
    oldest_running: float | None = None


class MlflowSource(Source):
    """Reads one MLflow store."""

    name: ClassVar[str] = "mlflow"
    Settings: ClassVar[type[SourceSettings]] = MlflowSettings

    def __init__(self, settings: MlflowSettings) -> None:
        self._settings = settings
        self._session: Session = connect(settings.uri.get_secret_value(), timeout=settings.timeout)
        self._labels = [[LabelSource.parse(text) for text in sources] for sources in settings.labels.values()]
        # A label set keeps its place in the output, whatever the order in the settings.
        self._extra_labels = tuple(name for name in settings.labels if name != VARIANT_LABEL)
        self._variant_at = list(settings.labels).index(VARIANT_LABEL)
        self._wanted_metric = lru_cache(maxsize=10_000)(settings.metrics.matches)

    def collect(self) -> FamilySet:
        """Read the store once, from one state of the database."""
        families = FamilySet(self.name, max_series=self._settings.max_series, extra_labels=self._extra_labels)
        with self._session.transaction():
            queries = self._queries()
            experiments = self._read_experiments(queries, families)
            self._read_durations(queries, experiments, families)
            latest = self._read_latest_runs(queries, experiments)
            versions = self._read_versions(queries, families)
            aliased = {run for _model, _alias, run in versions}
            metrics = self._read_metrics(queries, sorted(aliased.union(run for _labels, run in latest)), families)
            self._add_latest(latest, metrics, families)
            self._read_best(queries, experiments, families)
            for model, alias, run in versions:
                for key, value in metrics[run]:
                    families["mlflow_model_metric"].add(value, model, alias, key)
            if self._settings.shard.first:
                for table, estimate in self._session.rows(queries.rows):
                    families["mlflow_store_rows"].add(estimate, table)
        return families

    def check(self) -> str:
        """Count what the store holds."""
        with self._session.transaction():
            columns = self._session.columns(mlflow_sql.TABLES)
            mlflow_sql.require_schema(columns)
            (experiments,) = self._session.rows("select count(*) from experiments")[0]
            (runs,) = self._session.rows("select count(*) from runs")[0]
            revision = "unknown"
            if "alembic_version" in columns:
                revision = ", ".join(
                    str(row[0]) for row in self._session.rows("select version_num from alembic_version")
                )
        return f"MLflow store on {self._session.dialect}, schema {revision}: {experiments} experiments, {runs} runs"

    def abort(self) -> None:
        """Break off a running query."""
        self._session.abort()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _exposes(self, experiment: str) -> bool:
        return self._settings.experiments.matches(experiment) and self._settings.shard.owns(experiment)

    def _queries(self) -> mlflow_sql.Queries:
        # Looked up at each refresh: it costs a millisecond, and the store may be upgraded under a running exporter.
        columns = self._session.columns(mlflow_sql.TABLES)
        mlflow_sql.require_schema(columns)
        return mlflow_sql.build(self._session.dialect, columns, self._labels)

    def _read_experiments(self, queries: mlflow_sql.Queries, families: FamilySet) -> dict[int, _Experiment]:
        """Expose counts and times; return active experiments by id, the most recently used first."""
        by_stage = {"active": 0, "deleted": 0}
        active: dict[int, _Experiment] = {}
        taken: set[str] = set()
        for experiment_id, name, stage, workspace in self._session.rows(queries.experiments):
            by_stage[stage] = by_stage.get(stage, 0) + 1
            label = _qualified(workspace, name)
            if stage != "active" or not self._exposes(label):
                continue
            if label in taken:
                families.skip(
                    Reason.INVALID_VALUE, f"two experiments are exposed as {label!r}: {experiment_id} left out"
                )
                continue
            taken.add(label)
            active[experiment_id] = _Experiment(label)
        for experiment_id, status, count, last, earliest_start in self._session.rows(queries.runs):
            experiment = active.get(experiment_id)
            if experiment is None:
                continue
            experiment.counts[status] = count
            last_seconds = _seconds(last)
            if last_seconds is not None:
                experiment.last[status] = last_seconds
            if status == "RUNNING":
                experiment.oldest_running = _seconds(earliest_start)
        # When a cap cuts, it shall cut what nobody works on.
        ordered = dict(
            sorted(active.items(), key=lambda item: (-max(item[1].last.values(), default=0.0), item[1].name))
        )
        if self._settings.shard.first:
            for stage, count in sorted(by_stage.items()):
                families["mlflow_experiments"].add(count, stage)
        for experiment in ordered.values():
            for status, count in sorted(experiment.counts.items()):
                families["mlflow_runs"].add(count, experiment.name, status)
            for status, last in sorted(experiment.last.items()):
                families["mlflow_last_run_timestamp_seconds"].add(last, experiment.name, status)
            families["mlflow_running_run_start_timestamp_seconds"].add(experiment.oldest_running, experiment.name)
        return ordered

    def _read_durations(
        self, queries: mlflow_sql.Queries, experiments: dict[int, _Experiment], families: FamilySet
    ) -> None:
        buckets = len(CATALOG["mlflow_run_duration_seconds"].buckets) + 1
        counts: dict[int, list[int]] = defaultdict(lambda: [0] * buckets)
        totals: dict[int, float] = defaultdict(float)
        for experiment_id, bucket, runs, milliseconds in self._session.rows(queries.durations):
            counts[experiment_id][bucket] = runs
            totals[experiment_id] += float(milliseconds) / 1000
        family = families["mlflow_run_duration_seconds"]
        for experiment_id, experiment in experiments.items():
            if experiment_id in counts:
                family.add_distribution(counts[experiment_id], totals[experiment_id], experiment.name)

    def _read_latest_runs(
        self, queries: mlflow_sql.Queries, experiments: dict[int, _Experiment]
    ) -> list[tuple[tuple[str, ...], str]]:
        """Return (label values without the metric's, run id) of the latest finished run of each label set."""
        rows = self._session.rows(queries.latest_runs, **mlflow_sql.label_parameters(self._labels))
        by_experiment: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            by_experiment[row[0]].append(row)
        latest = []
        for experiment_id, experiment in experiments.items():
            for _id, *values, packed in sorted(by_experiment[experiment_id]):
                variant = values.pop(self._variant_at)
                labels = (experiment.name, variant, *values)
                latest.append((labels, packed[mlflow_sql.PACKED_TIMES_DIGITS :]))
        return latest

    def _read_versions(self, queries: mlflow_sql.Queries, families: FamilySet) -> list[tuple[str, str, str]]:
        """Expose the registry; return (model, alias, run id) of each aliased version that has a run."""
        aliased = []
        for workspace, name, version, alias, run, status, stage in self._session.rows(queries.versions):
            model = _qualified(workspace, name)
            if not self._settings.shard.owns(model):
                continue
            run_status = "DELETED" if stage == "deleted" else status or ""
            families["mlflow_model_version_info"].add(1, model, str(version), alias, run_status)
            if alias and run:
                aliased.append((model, alias, run))
        return sorted(aliased)

    def _read_metrics(
        self, queries: mlflow_sql.Queries, runs: list[str], families: FamilySet
    ) -> dict[str, list[tuple[str, float]]]:
        """Return the last-logged values of each run by key, NaN left out."""
        metrics: dict[str, list[tuple[str, float]]] = defaultdict(list)
        if runs:
            for run, key, value, is_nan in self._session.rows(queries.run_metrics, runs=runs):
                if not is_nan and self._wanted_metric(key):
                    metrics[run].append((key, _translate_infinity(value)))
        if queries.bad_values is not None:
            bad = [f"{key!r} of run {run}" for run, key in self._session.rows(queries.bad_values)]
            for shown in bad[:_SHOWN_PROBLEMS]:
                families.skip(Reason.INVALID_VALUE, f"latest_metrics.value is text, not a number: metric {shown}")
            if len(bad) > _SHOWN_PROBLEMS:
                families.skip(Reason.INVALID_VALUE, f"and {len(bad) - _SHOWN_PROBLEMS} more such values")
        return metrics

    def _add_latest(
        self,
        latest: list[tuple[tuple[str, ...], str]],
        metrics: dict[str, list[tuple[str, float]]],
        families: FamilySet,
    ) -> None:
        family = families["mlflow_metric_latest"]
        for (experiment, variant, *extra), run in latest:
            for key, value in metrics[run]:
                family.add(value, experiment, variant, key, *extra)

    def _read_best(self, queries: mlflow_sql.Queries, experiments: dict[int, _Experiment], families: FamilySet) -> None:
        rows: dict[int, list[Row]] = defaultdict(list)
        for row in self._session.rows(queries.best):
            rows[row[0]].append(row)
        family = families["mlflow_metric_best"]
        for experiment_id, experiment in experiments.items():
            for _id, key, highest, lowest in rows[experiment_id]:
                if self._wanted_metric(key):
                    best = lowest if self._settings.metrics.lower_wins(key) else highest
                    family.add(best, experiment.name, key)


def _qualified(workspace: str, name: str) -> str:
    return name if workspace == "default" else f"{workspace}/{name}"


def _seconds(milliseconds: Any) -> float | None:
    """Return ms as seconds; SQLite hands out whatever was written into the column."""
    return milliseconds / 1000 if isinstance(milliseconds, int | float) else None


def _translate_infinity(value: float) -> float:
    if abs(value) >= mlflow_sql.STORED_INFINITY:
        return math.copysign(math.inf, value)
    return value
