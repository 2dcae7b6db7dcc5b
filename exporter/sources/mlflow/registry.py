"""The model registry: versions and their aliases, and how those compare with the champion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ml_monitoring.exporter.database import Row
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow.run_cache import Run
from ml_monitoring.exporter.sources.mlflow.sql import STORED_INFINITY, qualified

_NO_STAGE = "None"
# Metrics by model and alias.
ModelMetrics = Mapping[tuple[str, str], Mapping[str, float]]


class ModelVersion(NamedTuple):
    """A version of a model, once for each of its aliases (empty without one); created in ms."""

    model: str
    version: str
    alias: str
    run: str | None
    stage: str | None
    created: int | None

    @classmethod
    def of_row(cls, row: Row) -> ModelVersion:
        """Make a version of a row of `Queries.versions`."""
        workspace, name, version, *rest = row
        return cls(qualified(workspace, name), str(version), *rest)


def aliased_runs(versions: Iterable[ModelVersion]) -> dict[tuple[str, str], str]:
    """Return the runs behind aliased versions, by model and alias in order."""
    return dict(sorted(((each.model, each.alias), each.run) for each in versions if each.alias and each.run))


def add_versions(versions: Iterable[ModelVersion], runs: Mapping[str, Run], families: FamilySet) -> None:
    """Expose each version, with the status of its run where that is known."""
    for each in versions:
        status = _run_status(runs.get(each.run or ""))
        families["mlflow_model_version_info"].add(1, each.model, each.version, each.alias, status)


def add_stages_and_aliases(versions: Sequence[ModelVersion], families: FamilySet) -> None:
    """Expose how many versions are in each stage, and when aliased ones were registered."""
    staged = {(each.model, each.version, each.stage or _NO_STAGE) for each in versions}
    stages = Counter((model, stage) for model, _version, stage in staged)
    for (model, stage), count in sorted(stages.items()):
        families["mlflow_model_versions"].add(count, model, stage)
    created = {(each.model, each.alias): each.created for each in versions if each.alias}
    for (model, alias), milliseconds in sorted(created.items()):
        seconds = None if milliseconds is None else milliseconds / 1000
        families["mlflow_model_aliased_version_timestamp_seconds"].add(seconds, model, alias)


def add_metrics(metrics: ModelMetrics, families: FamilySet) -> None:
    """Expose the metrics of aliased versions."""
    for (model, alias), values in metrics.items():
        for key, value in values.items():
            families["mlflow_model_metric"].add(value, model, alias, key)


def add_leads(metrics: ModelMetrics, champion: str, lower_wins: Callable[[str], bool], families: FamilySet) -> None:
    """Expose how much better or worse other aliased versions are than the champion.

    Args:
        metrics: Metrics by model and alias.
        champion: Alias of the version that others are compared with.
        lower_wins: Tells for which metrics lower is better.
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
                family.add(-lead if lower_wins(key) else lead, model, alias, key)


def _run_status(run: Run | None) -> str:
    if run is None:
        return ""
    return run.status if run.active else "DELETED"
