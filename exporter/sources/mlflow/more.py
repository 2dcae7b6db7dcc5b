"""What MLflow keeps besides runs and their metrics; each part can be switched off.

None of it can be followed by what changed, so the parts are counted anew; one that takes long is counted less often.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_monitoring.exporter.database import Row, Session
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow import more_sql as sql
from ml_monitoring.exporter.sources.mlflow.best import Best
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings
from ml_monitoring.exporter.sources.mlflow.sql import STORED_INFINITY
from ml_monitoring.exporter.sources.mlflow.traces import Traces

# A part that takes longer than this is read so rarely that it keeps the database busy for this share of the time.
_CHEAP_SECONDS = 0.1
_SHARE = 0.01
_LOGGED_MODEL_STATUS = {1: "PENDING", 2: "READY", 3: "FAILED"}
_NO_STAGE = "None"


class _Part:
    """Something that is read as a whole."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self._due_at = 0.0
        self._pending = True
        self.result: Any = None

    @property
    def due(self) -> bool:
        """Tell whether a change waits to be read, and may be read now."""
        return self._pending and time.monotonic() >= self._due_at

    def changed(self) -> None:
        """Note that something was written."""
        self._pending = True

    def refresh(self) -> None:
        """Read it if that is due."""
        if not self.due:
            return
        started = time.monotonic()
        self.result = self._read()
        ended = time.monotonic()
        self._pending = False
        self._due_at = ended + (ended - started) / _SHARE if ended - started > _CHEAP_SECONDS else 0.0


class More:
    """The parts that are switched on and that the store has."""

    def __init__(self, session: Session, settings: MlflowSettings) -> None:
        self._session = session
        self._settings = settings
        self._columns: Mapping[str, frozenset[str]] = {}
        self._traces = Traces(settings.trace_window)
        parts: dict[str, tuple[bool, Callable[[], Any]]] = {
            "datasets": (settings.datasets, lambda: session.rows(sql.DATASETS)),
            "logged_models": (settings.logged_models, lambda: session.rows(sql.LOGGED_MODELS)),
            "tags": (bool(settings.count_tags), self._read_tags),
            "trace_info": (settings.traces, lambda: self._traces.read(session, self._columns["trace_info"])),
        }
        self._parts = {table: _Part(read) for table, (wanted, read) in parts.items() if wanted}

    @property
    def due(self) -> bool:
        """Tell whether a part waits to be read although nothing was written since the last refresh."""
        return any(part.due for table, part in self._parts.items() if table in self._columns)

    def refresh(self, columns: Mapping[str, frozenset[str]], *, changed: bool) -> None:
        """Read the parts that are due.

        Args:
            columns: What the store has.
            changed: Whether anything was written since the last time.
        """
        self._columns = columns
        for table, part in self._parts.items():
            if changed:
                part.changed()
            if table in columns:
                part.refresh()

    def add(self, families: FamilySet, experiments: Mapping[int, str]) -> None:
        """Expose what was read about these experiments, and about the store where no other exporter does."""
        for table, part in self._parts.items():
            if table not in self._columns:
                continue
            if table == "datasets":
                counts = dict(part.result)
                for experiment, name in experiments.items():
                    families["mlflow_datasets"].add(counts.get(experiment), name)
            elif table == "logged_models":
                _add_logged_models(part.result, families, experiments)
            elif table == "trace_info":
                self._traces.add(families, experiments)
            elif self._settings.shard.first:
                for tag, value, runs in sorted(part.result):
                    families["mlflow_tagged_runs"].add(runs, tag, value or "")

    def _read_tags(self) -> list[Row]:
        return self._session.rows(sql.TAGGED_RUNS, keys=list(self._settings.count_tags))


def _add_logged_models(rows: Sequence[Row], families: FamilySet, experiments: Mapping[int, str]) -> None:
    by_experiment: dict[int, list[Row]] = defaultdict(list)
    for experiment, *row in rows:
        by_experiment[experiment].append(tuple(row))
    counts, last = families["mlflow_logged_models"], families["mlflow_last_logged_model_timestamp_seconds"]
    for experiment, name in experiments.items():
        found = by_experiment.get(experiment, ())
        for status, count, _created in sorted(found):
            counts.add(count, name, _LOGGED_MODEL_STATUS.get(status, str(status)))
        if found:
            last.add(max(created for _status, _count, created in found) / 1000, name)


def add_registry(versions: Sequence[tuple[str, str, str, str, int | None]], families: FamilySet) -> None:
    """Expose versions by stage, and when aliased ones were registered.

    Args:
        versions: Model, version, stage, alias and time of creation (ms), once for each alias of a version.
        families: Where to.
    """
    stages = Counter(
        (model, stage or _NO_STAGE) for model, _version, stage in {version[:3]: None for version in versions}
    )
    created: dict[tuple[str, str], int | None] = {}
    for model, _version, _stage, alias, created_ms in versions:
        if alias:
            created[(model, alias)] = created_ms
    for (model, stage), count in sorted(stages.items()):
        families["mlflow_model_versions"].add(count, model, stage)
    for (model, alias), created_ms in sorted(created.items()):
        seconds = None if created_ms is None else created_ms / 1000
        families["mlflow_model_aliased_version_timestamp_seconds"].add(seconds, model, alias)


def add_leads(
    metrics: Mapping[tuple[str, str], Mapping[str, float]], champion: str, best: Best, families: FamilySet
) -> None:
    """Expose how much better or worse other aliased versions are than the champion.

    Args:
        metrics: Metrics by model and alias.
        champion: Alias of the version that others are compared with.
        best: Knows for which metrics lower is better.
        families: Where to.
    """
    family = families["mlflow_model_metric_lead_ratio"]
    for (model, alias), values in metrics.items():
        reference = metrics.get((model, champion), {})
        if alias == champion:
            continue
        for key, value in values.items():
            base = reference.get(key)
            if base and max(abs(base), abs(value)) < STORED_INFINITY:
                lead = (value - base) / abs(base)
                family.add(-lead if best.lower_wins(key) else lead, model, alias, key)
