"""Metrics of an MLflow backend store: experiments, runs, their metrics and the model registry.

Reads `experiments`, `runs`, `latest_metrics`, `params`, `tags`, `model_versions` and `registered_model_aliases`,
read-only. Runs count when they and their experiment are active (not deleted). In stores with workspaces, names outside
the workspace `default` are exposed as `workspace/name`. All is read once, and then what changed: see `store_cache`.
What else MLflow keeps is read by `optional`.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar, NamedTuple

from typing_extensions import override

from ml_monitoring.exporter.database import Session, connect
from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.base import Source, SourceSettings, describe_match, require_match
from ml_monitoring.exporter.sources.mlflow import registry, sql
from ml_monitoring.exporter.sources.mlflow.evaluations import Feedback, ModelTraces, PromptTraces
from ml_monitoring.exporter.sources.mlflow.optional import (
    Datasets,
    LoggedModels,
    OptionalCollector,
    OptionalCollectors,
    TaggedCosts,
    TaggedRuns,
)
from ml_monitoring.exporter.sources.mlflow.rest.session import RestSession
from ml_monitoring.exporter.sources.mlflow.settings import VARIANT_LABEL, MetricPatterns, MlflowSettings, is_server
from ml_monitoring.exporter.sources.mlflow.store_cache import StoreCache
from ml_monitoring.exporter.sources.mlflow.traces import Traces
from ml_monitoring.exporter.sources.mlflow.training import Trainings
from ml_monitoring.exporter.values import rereading

__all__ = ["RUN_STATUSES", "VARIANT_LABEL", "MetricPatterns", "MlflowSettings", "MlflowSource"]

_SOME_METRICS = "select distinct key from (select key from latest_metrics limit 10000) m"
# For so many intervals a counter that is new is at 0, so that Prometheus has seen it there: 60 s of the usual 15.
_AT_ZERO = 4
RUN_STATUSES = ("FAILED", "FINISHED", "KILLED", "RUNNING", "SCHEDULED")


class _LatestRun(NamedTuple):
    """The latest finished run of a label set, with its labels but for the metric's key."""

    run: str
    labels: dict[str, str]


class MlflowSource(Source):
    """Reads one MLflow store.

    Args:
        settings: Where it is, and what of it is wanted.
        now: Returns the time in seconds since the epoch.
    """

    name: ClassVar[str] = "mlflow"
    Settings: ClassVar[type[SourceSettings]] = MlflowSettings

    def __init__(self, settings: MlflowSettings, *, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._session = _session(settings, now)
        self._extra_labels = tuple(name for name in settings.labels if name != VARIANT_LABEL)
        self._store = StoreCache(self._session, settings)
        self._optional = _optional_collectors(self._session, settings, self._store, now)
        self._families: FamilySet | None = None

    @override
    def collect(self) -> FamilySet:
        """Read what changed since the last time, from one state of the database; the same object when nothing did."""
        try:
            with self._store.refreshed() as changed:
                if changed or self._families is None or self._optional.due:
                    columns = self._store.reader.columns
                    there = {table: names for table, names in columns.items() if table not in self._failed}
                    self._optional.refresh(there, changed=changed)
                    self._families = self._build()
        except BaseException:
            self._families = None
            raise
        return self._families

    @property
    def _failed(self) -> Mapping[str, str]:
        """Return the tables that a server fails to tell, and why."""
        return self._session.failed if isinstance(self._session, RestSession) else {}

    @override
    def check(self) -> str:
        """Count what the store holds, and say what `collect` leaves out."""
        families = self.collect()
        left_out = families.describe_problems(Reason.INVALID_VALUE) + families.describe_problems(Reason.READ)
        with self._session.transaction():
            (experiments,) = self._session.rows("select count(*) from experiments")[0]
            (runs,) = self._session.rows("select count(*) from runs")[0]
            found = f"{experiments} experiments, {runs} runs"
            found += self._require_matches(families)
            if isinstance(self._session, RestSession):
                return f"MLflow server, version {self._session.version()}: {found}{left_out}"
            revision = "unknown"
            if "alembic_version" in self._store.reader.columns:
                revision = ", ".join(
                    str(row[0]) for row in self._session.rows("select version_num from alembic_version")
                )
        return f"MLflow store on {self._session.dialect}, schema {revision}: {found}{left_out}"

    def _require_matches(self, families: FamilySet) -> str:
        """Refuse patterns that choose nothing of what the store holds, and say what those of experiments choose."""
        listed = self._session.rows(self._store.reader.queries.experiments)
        names = {sql.qualified(workspace, name) for _id, name, stage, workspace in listed if stage == "active"}
        require_match("experiments", self._settings.experiments, names, "experiments")
        # Of all metrics of a large store a part is enough: where one is exposed, the patterns are no mistake.
        if not families["mlflow_metric_latest"].samples and not families["mlflow_metric_best"].samples:
            keys = {key for (key,) in self._session.rows(_SOME_METRICS)}
            require_match("metrics", self._settings.metrics, keys, "metrics")
        return describe_match(self._settings.experiments, names, "experiments")

    @property
    @override
    def time_limit(self) -> tuple[str, float] | None:
        """Return the longer limit when everything is read; it holds until that has been rendered, too."""
        loading = self._store.loading or (isinstance(self._session, RestSession) and self._session.loading)
        return ("first_timeout", self._settings.first_limit) if loading else None

    @override
    def abort(self) -> None:
        self._session.abort()

    @override
    def close(self) -> None:
        self._session.close()
        self._store.close()

    def _build(self) -> FamilySet:
        families = FamilySet(self.name, max_series=self._settings.max_series, extra_labels=self._extra_labels)
        experiments = self._read_experiments(families)
        self._add_runs(experiments, families)
        latest = self._latest_runs(experiments, families)
        versions = self._store.registry
        versions.add_versions(families)
        if self._settings.registry:
            versions.add_stages_and_aliases(families)
        aliased = versions.aliased_runs()
        metrics = self._store.latest.read([each.run for each in latest], list(aliased.values()))
        _add_latest(latest, metrics, families)
        self._add_best(experiments, families)
        of_models = {model_and_alias: metrics[run] for model_and_alias, run in aliased.items()}
        registry.add_metrics(of_models, families)
        if self._settings.registry:
            champion = registry.Champion(self._settings.champion, self._store.reader.lower_wins)
            registry.add_leads(of_models, champion, self._test_sizes(aliased, metrics), families)
            registry.add_candidates(aliased, self._finished_beside(aliased), families)
        self._optional.add(families, experiments)
        if self._settings.shard.first:
            for table, estimate in self._session.rows(self._store.reader.queries.rows):
                families["mlflow_store_rows"].add(estimate, table)
        for problem in (*self._store.problems, *self._session.replaced.problems):
            families.skip(Reason.INVALID_VALUE, problem)
        for problem in self._failed.values():
            families.skip(Reason.READ, problem)
        return families

    def _read_experiments(self, families: FamilySet) -> dict[int, str]:
        """Count experiments; return the exposed names of the active ones by id, the most recently used first.

        Of more than may have a series each, those that nobody works on take no memory.
        """
        by_stage = {"active": 0, "deleted": 0}
        matching = 0

        def exposed() -> Iterator[tuple[int, str, int]]:
            nonlocal matching
            for experiment, name, stage, workspace in self._session.stream(self._store.reader.queries.experiments):
                if stage is None:
                    families.skip(
                        Reason.INVALID_VALUE, f"experiments.lifecycle_stage is null: experiment_id {experiment}"
                    )
                    continue
                by_stage[stage] = by_stage.get(stage, 0) + 1
                label = sql.qualified(workspace, name)
                if stage == "active" and self._exposes(label):
                    matching += 1
                    yield -self._store.aggregates.last_used(experiment), label, experiment

        # When a cap cuts, it is to cut what nobody works on.
        recent = heapq.nsmallest(self._settings.max_series, exposed())
        names: dict[str, int] = {}
        for _used, label, experiment in recent:
            if (first := names.setdefault(label, experiment)) != experiment:
                left_out = f"two experiments are exposed as {label!r}: {experiment} left out, {first} shown"
                families.skip(Reason.INVALID_VALUE, left_out)
        if self._settings.shard.first:
            for stage, count in sorted(by_stage.items()):
                families["mlflow_experiments"].add(count, stage)
        families["mlflow_runs"].drop((matching - len(recent)) * len(RUN_STATUSES))
        self._store.aggregates.trim(frozenset(names.values()))
        return {experiment: label for label, experiment in names.items()}

    def _exposes(self, experiment: str) -> bool:
        return self._settings.experiments.matches(experiment) and self._settings.shard.owns(experiment)

    def _add_runs(self, experiments: Mapping[int, str], families: FamilySet) -> None:
        runs, last_run = families["mlflow_runs"], families["mlflow_last_run_timestamp_seconds"]
        oldest = families["mlflow_running_run_start_timestamp_seconds"]
        durations = families["mlflow_run_duration_seconds"]
        for experiment, name in experiments.items():
            sums = self._store.aggregates.get(experiment)
            counts = dict.fromkeys(RUN_STATUSES, 0) | {status: count for status, count in sums.counts.items() if count}
            for status, count in sorted(counts.items()):
                runs.add(count, name, status)
            for status, last in sorted(sums.last.items()):
                last_run.add(last / 1000, name, status)
            if sums.oldest_running is not None:
                oldest.add(sums.oldest_running / 1000, name)
            if self._settings.children and any(sums.children.values()):
                for status in sorted(counts):
                    families["mlflow_child_runs"].add(sums.children.get(status, 0), name, status)
            if any(sums.buckets):
                durations.add_distribution(sums.buckets, sums.duration / 1000, name)

    def _latest_runs(self, experiments: Mapping[int, str], families: FamilySet) -> list[_LatestRun]:
        """Return the latest runs, at most as many as series are allowed, before their metrics take memory."""
        names = tuple(self._settings.labels)
        latest: list[_LatestRun] = []
        for number, experiment in experiments.items():
            of_labels = self._store.aggregates.get(number).latest
            room = self._settings.max_series - len(latest)
            families["mlflow_metric_latest"].drop(max(0, len(of_labels) - room))
            latest += [
                _LatestRun(run, {"experiment": experiment, **dict(zip(names, labels, strict=True))})
                for labels, (_ended, _started, run) in sorted(of_labels.items())[:room]
            ]
        return latest

    def _test_sizes(
        self, aliased: Mapping[tuple[str, str], str], metrics: Mapping[str, Mapping[str, float]]
    ) -> dict[tuple[str, str], float]:
        """Return of how many rows the test sets of aliased versions were, as far as a run says it."""
        names = self._settings.test_size
        said = {run: {key: metrics[run][key] for key in names if key in metrics[run]} for run in aliased.values()}
        for run, key, value in self._store.reader.texts(sorted(said), names):
            said[run].setdefault(key, registry.rows_of(value))
        # A share of all rows, as scikit-learn's parameter of this name is, says nothing.
        sizes = {run: next((of[key] for key in names if of.get(key, 0) > 1), None) for run, of in said.items()}
        assumed = float(self._settings.assumed_test_size)
        return {model_and_alias: sizes[run] or assumed for model_and_alias, run in aliased.items()}

    def _finished_beside(self, aliased: Mapping[tuple[str, str], str]) -> dict[str, int]:
        """Return how many runs have finished in the experiment of each aliased version's run, by that run."""
        runs = self._store.runs.get(set(aliased.values()))
        return {
            name: self._store.aggregates.get(run.experiment).counts.get("FINISHED", 0) for name, run in runs.items()
        }

    def _add_best(self, experiments: Mapping[int, str], families: FamilySet) -> None:
        family = families["mlflow_metric_best"]
        for experiment, name in experiments.items():
            for key, value in sorted(self._store.best.get(experiment).items()):
                family.add(value, name, key)


def _session(settings: MlflowSettings, now: Callable[[], float]) -> Session:
    uri = settings.uri.get_secret_value()
    if is_server(uri):
        return RestSession(settings, now)
    return connect(uri, timeout=settings.timeout, read_again=rereading(settings.uri))


def _add_latest(latest: Iterable[_LatestRun], metrics: Mapping[str, Mapping[str, float]], families: FamilySet) -> None:
    family = families["mlflow_metric_latest"]
    for run, labels in latest:
        for key, value in metrics[run].items():
            family.add_named(value, metric=key, **labels)


def _optional_collectors(
    session: Session, settings: MlflowSettings, store: StoreCache, now: Callable[[], float]
) -> OptionalCollectors:
    exposes = settings.shard.first
    if isinstance(session, RestSession):
        # What counts as recent does so by the server's clock.
        now = session.server_time
    window, hold = settings.trace_window, _AT_ZERO * settings.interval
    trainings = Trainings(
        store.runs,
        settings.metrics.lower_wins,
        now,
        losses=settings.metrics.losses,
        most=settings.top,
        exposes=exposes,
    )
    collectors: dict[OptionalCollector, bool] = {
        Datasets(): settings.datasets,
        LoggedModels(): settings.logged_models,
        TaggedRuns(settings.count_tags, exposes=exposes, most=settings.top): bool(settings.count_tags),
        TaggedCosts(settings.cost_tags): bool(settings.cost_tags),
        Traces(window, hold, now): settings.traces,
        Feedback(window, hold, now, settings.max_series): settings.traces,
        ModelTraces(window, hold, now, settings.max_series): settings.traces,
        PromptTraces(window, hold, now, settings.max_series): settings.traces,
        trainings: settings.training,
    }
    return OptionalCollectors(session, [collector for collector, wanted in collectors.items() if wanted])
