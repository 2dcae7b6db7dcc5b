"""Finds labels that were written to a run, or removed from it, without a change of the run's row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ml_monitoring.exporter.database import Row
from ml_monitoring.exporter.sources.mlflow.reader import StoreReader
from ml_monitoring.exporter.sources.mlflow.run_cache import LabelSet, RunCache
from ml_monitoring.exporter.sources.mlflow.sql import PARENT_TAG

_PREFIXES = 16**4


def ids_of_slice(number: int, slices: int) -> tuple[str, str] | None:
    """Return the first and last id that can be in a slice of the ids; None when none can."""
    low, high = (_PREFIXES * step // slices for step in (number, number + 1))
    return (f"{low:04x}", f"{high - 1:04x}" + "f" * 28) if low < high else None


def relabelled(reader: StoreReader, runs: RunCache, number: int, slices: int) -> set[str]:
    """Return the runs in a slice of ids whose labels are not those that are remembered.

    Args:
        reader: Reads the store.
        runs: What is remembered.
        number: Number of the slice, from 0.
        slices: In how many slices the ids are compared.
    """
    if (ids := ids_of_slice(number, slices)) is None:
        return set()
    first, last = ids
    ignored = "" if any(each.key == PARENT_TAG for sources in reader.labels for each in sources) else PARENT_TAG
    rows: defaultdict[str, tuple[Row, ...]] = defaultdict(tuple)
    for sql in reader.queries.label_rows:
        for table, run, key, value in reader.session.rows(sql, first=first, last=last, **_label_keys(reader)):
            # Whose child a run is would make each set of rows another one.
            rows[run] += ((table, key, "" if key == ignored else value),)
    # Few sets of labels are shared by many runs: what they come to is found out once.
    known: dict[tuple[Row, ...], tuple[LabelSet, bool]] = {}
    changed = set()
    for run, labels, child in runs.labels_between(first, last):
        given = rows.get(run, ())
        if given not in known:
            known[given] = _labels_of(reader, given)
        if known[given] != (labels, child):
            changed.add(run)
    return changed


def _labels_of(reader: StoreReader, rows: Iterable[Row]) -> tuple[LabelSet, bool]:
    """Return the labels that rows of params and tags come to, and whether they are those of a child run."""
    given = {(table, key): value for table, key, value in rows}
    labels = tuple(
        next((found for source in sources if (found := given.get((source.table, source.key))) is not None), "")
        for sources in reader.labels
    )
    return labels, reader.children and ("tags", PARENT_TAG) in given


def _label_keys(reader: StoreReader) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = {"params": [], "tags": [PARENT_TAG] if reader.children else []}
    for sources in reader.labels:
        for source in sources:
            keys[source.table].append(source.key)
    return keys
