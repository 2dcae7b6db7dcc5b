"""The model registry: versions and their aliases, and how those compare with the champion."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import sqrt
from typing import NamedTuple

from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow.reader import StoreReader
from ml_monitoring.exporter.sources.mlflow.run_cache import Run, RunCache
from ml_monitoring.exporter.sources.mlflow.sql import STORED_INFINITY, qualified

_NO_STAGE = "None"
# Metrics by model and alias.
ModelMetrics = Mapping[tuple[str, str], Mapping[str, float]]


class ModelVersion(NamedTuple):
    """A version of a model, once for each of its aliases (empty without one); created in ms."""

    model: str
    version: int
    alias: str
    run: str | None
    created: int | None

    @property
    def newest_first(self) -> tuple[int, str, int, str]:
        """Return what versions are sorted by."""
        return -(self.created or 0), self.model, -self.version, self.alias


class Registry:
    """The registered versions as they were last read, which is done where something in the registry changed.

    Of more versions than may have a series those that have an alias are kept, and the newest of all others.

    Args:
        reader: Reads the store.
        runs: All runs of the store.
        owns: Tells whether a model is this exporter's.
        most: So many versions are kept at most.

    Attributes:
        versions: What is kept, the newest first.
        left_out: How many are not.
        stages: Versions by model and stage, of all.
    """

    def __init__(self, reader: StoreReader, runs: RunCache, owns: Callable[[str], bool], most: int) -> None:
        self._reader = reader
        self._runs = runs
        self._owns = owns
        self._most = most
        # By run of a version, as far as the run is known.
        self._statuses: dict[str, str] = {}
        self.versions: list[ModelVersion] = []
        self.left_out = 0
        self.stages: Counter[tuple[str, str]] = Counter()

    def load(self) -> None:
        """Read everything."""
        self.stages = Counter()
        self.left_out = 0
        kept = heapq.nsmallest(self._most, self._read(), key=lambda each: (not each.alias, each.newest_first))
        self.versions = sorted(kept, key=lambda each: each.newest_first)
        self.left_out -= len(kept)
        runs = self._runs.get({each.run for each in kept if each.run})
        self._statuses = {each.run: _status(runs.get(each.run)) for each in kept if each.run}

    def apply(self, changes: Iterable[tuple[Run | None, Run | None]]) -> None:
        """Take over what became of runs, as they were before and as they are now."""
        for old, new in changes:
            if (run := new or old) is not None and run.id in self._statuses:
                self._statuses[run.id] = _status(new)

    def aliased_runs(self) -> dict[tuple[str, str], str]:
        """Return the runs behind aliased versions, by model and alias in order."""
        return dict(sorted(((each.model, each.alias), each.run) for each in self.versions if each.alias and each.run))

    def add_versions(self, families: FamilySet) -> None:
        """Expose each version, with the status of its run where that is known."""
        family = families["mlflow_model_version_info"]
        for each in self.versions:
            family.add(1, each.model, str(each.version), each.alias, self._statuses.get(each.run or "", ""))
        family.drop(self.left_out)

    def add_stages_and_aliases(self, families: FamilySet) -> None:
        """Expose how many versions are in each stage, and when aliased ones were registered."""
        for (model, stage), count in sorted(self.stages.items()):
            families["mlflow_model_versions"].add(count, model, stage)
        created = {(each.model, each.alias): each.created for each in self.versions if each.alias}
        for (model, alias), milliseconds in sorted(created.items()):
            seconds = None if milliseconds is None else milliseconds / 1000
            families["mlflow_model_aliased_version_timestamp_seconds"].add(seconds, model, alias)

    def _read(self) -> Iterator[ModelVersion]:
        """Read all versions, and count them."""
        session, queries = self._reader.session, self._reader.queries
        aliases: defaultdict[tuple[str, str, int], list[str]] = defaultdict(list)
        for *version, alias in session.rows(queries.aliases) if queries.aliases is not None else ():
            workspace, name, number = version
            aliases[workspace, name, number].append(alias)
        for workspace, name, number, run, stage, created in session.stream(queries.versions):
            model = qualified(workspace, name)
            if not self._owns(model):
                continue
            self.stages[model, stage or _NO_STAGE] += 1
            for alias in aliases.get((workspace, name, number), ("",)):
                self.left_out += 1
                yield ModelVersion(model, number, alias, run, created)


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


def _status(run: Run | None) -> str:
    if run is None:
        return ""
    return run.status if run.active else "DELETED"
