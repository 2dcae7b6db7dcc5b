"""The model registry: versions and their aliases, and how those compare with the champion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
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


class Champion(NamedTuple):
    """What versions are compared with: the alias of the champion, and for which metrics lower is better."""

    alias: str
    lower_wins: Callable[[str], bool]


def add_leads(
    metrics: ModelMetrics, champion: Champion, test_sizes: Mapping[tuple[str, str], float], families: FamilySet
) -> None:
    """Expose how much better or worse other aliased versions are than the champion, and how sure that is.

    Args:
        metrics: Metrics by model and alias.
        champion: What others are compared with.
        test_sizes: Rows of the test set by model and alias.
        families: Where to.
    """
    lead, error = families["mlflow_model_metric_lead_ratio"], families["mlflow_model_metric_lead_error_ratio"]
    for (model, alias), values in metrics.items():
        reference = metrics.get((model, champion.alias), {})
        if alias == champion.alias:
            continue
        for key, value in values.items():
            base = reference.get(key)
            if base and max(abs(base), abs(value)) < STORED_INFINITY:
                gain = (value - base) / abs(base)
                lead.add(-gain if champion.lower_wins(key) else gain, model, alias, key)
                sizes = test_sizes[(model, alias)], test_sizes[(model, champion.alias)]
                error.add(lead_error((value, base), sizes), model, alias, key)


def lead_error(values: tuple[float, float], sizes: tuple[float, float]) -> float:
    """Return the standard error of how much better a value is than another, as a share of the other.

    Of a metric in 0..1 it is that of two shares of the rows: exact for an accuracy, near enough for F1 and AUC. Of
    others, such as a root mean square error, it is that of a mean whose parts spread as much as they are large.

    Args:
        values: Of the version and of the champion, which is not 0.
        sizes: Rows of the test sets of both.
    """
    if all(0 <= value <= 1 for value in values):
        # A success and a failure more than there were, so that few rows are not a certainty.
        shares = [(value * size + 1) / (size + 2) for value, size in zip(values, sizes, strict=True)]
        variance = sum(share * (1 - share) / size for share, size in zip(shares, sizes, strict=True))
        return sqrt(variance) / abs(values[1])
    return sqrt(sum(1 / size for size in sizes))


def add_candidates(aliased: Mapping[tuple[str, str], str], finished: Mapping[str, int], families: FamilySet) -> None:
    """Expose how many runs each aliased version may have been chosen from.

    Args:
        aliased: Runs by model and alias.
        finished: By run, how many have finished in its experiment.
        families: Where to.
    """
    for (model, alias), run in aliased.items():
        families["mlflow_model_candidates"].add(max(1, finished.get(run, 1)), model, alias)


def rows_of(text: str) -> float:
    """Return the number in a param or tag; 0 where it is none."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def _run_status(run: Run | None) -> str:
    if run is None:
        return ""
    return run.status if run.active else "DELETED"
