"""Metrics of an MLflow backend store: experiments, runs, their metrics and the model registry.

Reads `experiments`, `runs`, `latest_metrics`, `params`, `tags`, `model_versions` and `registered_model_aliases`,
read-only. Runs count when they and their experiment are active (not deleted). In stores with workspaces, names outside
the workspace `default` are exposed as `workspace/name`. All is read once, and then what changed: see `follow`.
What else MLflow keeps is read by `more`.
"""

from __future__ import annotations

from typing import ClassVar

from ml_monitoring.exporter.database import Session, connect
from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.base import Source, SourceSettings
from ml_monitoring.exporter.sources.mlflow import sql
from ml_monitoring.exporter.sources.mlflow.follow import Follower
from ml_monitoring.exporter.sources.mlflow.follow_postgres import PostgresFollower
from ml_monitoring.exporter.sources.mlflow.follow_sqlite import SqliteFollower
from ml_monitoring.exporter.sources.mlflow.mirror import Run, Tally
from ml_monitoring.exporter.sources.mlflow.more import More, add_leads, add_registry
from ml_monitoring.exporter.sources.mlflow.settings import VARIANT_LABEL, MetricPatterns, MlflowSettings
from ml_monitoring.exporter.sources.mlflow.shown import ShownMetrics

__all__ = ["RUN_STATUSES", "VARIANT_LABEL", "MetricPatterns", "MlflowSettings", "MlflowSource"]

RUN_STATUSES = ("FAILED", "FINISHED", "KILLED", "RUNNING", "SCHEDULED")
# A run that shall be shown, with its labels but for the metric's key.
_Latest = tuple[tuple[str, ...], str]


class MlflowSource(Source):
    """Reads one MLflow store."""

    name: ClassVar[str] = "mlflow"
    Settings: ClassVar[type[SourceSettings]] = MlflowSettings

    def __init__(self, settings: MlflowSettings) -> None:
        self._settings = settings
        self._session: Session = connect(settings.uri.get_secret_value(), timeout=settings.timeout)
        # A label set keeps its place in the output, whatever the order in the settings.
        self._extra_labels = tuple(name for name in settings.labels if name != VARIANT_LABEL)
        self._variant_at = list(settings.labels).index(VARIANT_LABEL)
        follower = PostgresFollower if self._session.dialect == "postgresql" else SqliteFollower
        self._follower: Follower = follower(self._session, settings)
        self._shown = ShownMetrics(self._follower)
        self._more = More(self._session, settings)
        self._families: FamilySet | None = None

    def collect(self) -> FamilySet:
        """Read what changed since the last time, from one state of the database; the same object when nothing did."""
        self._follower.reads_all = False
        try:
            with self._session.transaction():
                changed = self._follower.refresh()
                if changed or self._families is None or self._more.due:
                    self._more.refresh(self._follower.columns, changed=changed)
                    self._families = self._build()
        except BaseException:
            # It is not known how far it came.
            self._follower.forget()
            self._families = None
            raise
        return self._families

    def check(self) -> str:
        """Count what the store holds."""
        with self._session.transaction():
            columns = self._session.columns(sql.TABLES)
            sql.require_schema(columns)
            (experiments,) = self._session.rows("select count(*) from experiments")[0]
            (runs,) = self._session.rows("select count(*) from runs")[0]
            revision = "unknown"
            if "alembic_version" in columns:
                revision = ", ".join(
                    str(row[0]) for row in self._session.rows("select version_num from alembic_version")
                )
        return f"MLflow store on {self._session.dialect}, schema {revision}: {experiments} experiments, {runs} runs"

    @property
    def time_limit(self) -> tuple[str, float] | None:
        """Return the longer limit when everything is read; it holds until that has been rendered, too."""
        return ("first_timeout", self._settings.first_limit) if self._follower.reads_all else None

    def abort(self) -> None:
        """Break off a running query."""
        self._session.abort()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()
        self._follower.close()

    def _build(self) -> FamilySet:
        families = FamilySet(self.name, max_series=self._settings.max_series, extra_labels=self._extra_labels)
        experiments = self._read_experiments(families)
        self._add_runs(experiments, families)
        latest = self._latest_runs(experiments)
        versions = self._read_versions(families)
        metrics = self._shown.read([run for _labels, run in latest], [run for _model, _alias, run in versions])
        self._add_latest(latest, metrics, families)
        self._add_best(experiments, families)
        of_models = {(model, alias): metrics.get(run, {}) for model, alias, run in versions}
        for (model, alias), values in of_models.items():
            for key, value in values.items():
                families["mlflow_model_metric"].add(value, model, alias, key)
        if self._settings.registry:
            add_leads(of_models, self._settings.champion, self._follower.best, families)
        self._more.add(families, experiments)
        if self._settings.shard.first:
            for table, estimate in self._session.rows(self._follower.queries.rows):
                families["mlflow_store_rows"].add(estimate, table)
        if isinstance(self._follower, SqliteFollower):
            for problem in self._follower.problems:
                families.skip(Reason.INVALID_VALUE, problem)
        return families

    def _read_experiments(self, families: FamilySet) -> dict[int, str]:
        """Count experiments; return the exposed names of the active ones by id, the most recently used first."""
        by_stage = {"active": 0, "deleted": 0}
        active: dict[int, str] = {}
        taken: set[str] = set()
        for experiment, name, stage, workspace in self._session.rows(self._follower.queries.experiments):
            by_stage[stage] = by_stage.get(stage, 0) + 1
            label = _qualified(workspace, name)
            if stage != "active" or not self._exposes(label):
                continue
            if label in taken:
                families.skip(Reason.INVALID_VALUE, f"two experiments are exposed as {label!r}: {experiment} left out")
                continue
            taken.add(label)
            active[experiment] = label
        if self._settings.shard.first:
            for stage, count in sorted(by_stage.items()):
                families["mlflow_experiments"].add(count, stage)
        # When a cap cuts, it shall cut what nobody works on.
        return dict(
            sorted(active.items(), key=lambda item: (-max(self._tally(item[0]).last.values(), default=0), item[1]))
        )

    def _exposes(self, experiment: str) -> bool:
        return self._settings.experiments.matches(experiment) and self._settings.shard.owns(experiment)

    def _tally(self, experiment: int) -> Tally:
        return self._follower.mirror.tallies.get(experiment) or Tally()

    def _add_runs(self, experiments: dict[int, str], families: FamilySet) -> None:
        runs, last_run = families["mlflow_runs"], families["mlflow_last_run_timestamp_seconds"]
        oldest = families["mlflow_running_run_start_timestamp_seconds"]
        durations = families["mlflow_run_duration_seconds"]
        for experiment, name in experiments.items():
            tally = self._tally(experiment)
            counts = dict.fromkeys(RUN_STATUSES, 0) | {status: count for status, count in tally.counts.items() if count}
            for status, count in sorted(counts.items()):
                runs.add(count, name, status)
            for status, last in sorted(tally.last.items()):
                last_run.add(last / 1000, name, status)
            if tally.oldest_running is not None:
                oldest.add(tally.oldest_running / 1000, name)
            if self._settings.children and any(tally.children.values()):
                for status in sorted(counts):
                    families["mlflow_child_runs"].add(tally.children.get(status, 0), name, status)
            if any(tally.buckets):
                durations.add_distribution(tally.buckets, tally.duration / 1000, name)

    def _latest_runs(self, experiments: dict[int, str]) -> list[_Latest]:
        """Return the latest finished run of each label set."""
        latest = []
        for experiment, name in experiments.items():
            for labels, (_ended, _started, run) in sorted(self._tally(experiment).latest.items()):
                values = list(labels)
                variant = values.pop(self._variant_at)
                latest.append(((name, variant, *values), run))
        return latest

    def _read_versions(self, families: FamilySet) -> list[tuple[str, str, str]]:
        """Expose the registry; return (model, alias, run id) of each aliased version that has a run."""
        aliased = []
        registered = []
        rows = self._session.rows(self._follower.queries.versions)
        runs = self._follower.mirror.get({row[4] for row in rows if row[4]})
        for workspace, name, version, alias, run, stage, created in rows:
            model = _qualified(workspace, name)
            if not self._settings.shard.owns(model):
                continue
            families["mlflow_model_version_info"].add(1, model, str(version), alias, _run_status(runs.get(run)))
            registered.append((model, str(version), stage, alias, created))
            if alias and run:
                aliased.append((model, alias, run))
        if self._settings.registry:
            add_registry(registered, families)
        return sorted(aliased)

    def _add_latest(self, latest: list[_Latest], metrics: dict[str, dict[str, float]], families: FamilySet) -> None:
        family = families["mlflow_metric_latest"]
        for (experiment, variant, *extra), run in latest:
            for key, value in metrics.get(run, {}).items():
                family.add(value, experiment, variant, key, *extra)

    def _add_best(self, experiments: dict[int, str], families: FamilySet) -> None:
        family = families["mlflow_metric_best"]
        for experiment, name in experiments.items():
            for key, value in sorted(self._follower.best.values.get(experiment, {}).items()):
                family.add(value, name, key)


def _run_status(run: Run | None) -> str:
    if run is None:
        return ""
    return run.status if run.active else "DELETED"


def _qualified(workspace: str, name: str) -> str:
    return name if workspace == "default" else f"{workspace}/{name}"
