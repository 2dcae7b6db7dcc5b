"""Finds labels that were written to a run, or removed from it, without a change of the run's row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ml_monitoring.exporter.sources.mlflow.reader import StoreReader
from ml_monitoring.exporter.sources.mlflow.run_cache import RunCache
from ml_monitoring.exporter.sources.mlflow.sql import PARENT_TAG

_PREFIXES = 16**4
# Stands for a value that was not read.
_SOME = object()
# Table, key and value of a param or tag.
_Given = tuple[str, str, object]


def ids_of_slice(number: int, slices: int) -> tuple[str, str] | None:
    """Return the first and last id that can be in a slice of the ids; None when none can."""
    low, high = (_PREFIXES * step // slices for step in (number, number + 1))
    return (f"{low:04x}", f"{high - 1:04x}" + "f" * 28) if low < high else None


def relabelled(reader: StoreReader, runs: RunCache, number: int, slices: int, *, param_values: bool = True) -> set[str]:
    """Return the runs in a slice of ids whose labels are not those that are remembered.

    Args:
        reader: Reads the store.
        runs: What is remembered.
        number: Number of the slice, from 0.
        slices: In how many slices the ids are compared.
        param_values: Whether the values of params are compared, too, or only which there are. The values lie all over
            the table, so that they cost the more the bigger it is.
    """
    if (ids := ids_of_slice(number, slices)) is None:
        return set()
    first, last = ids
    ignored = "" if any(each.key == PARENT_TAG for sources in reader.labels for each in sources) else PARENT_TAG
    rows: defaultdict[str, tuple[_Given, ...]] = defaultdict(tuple)
    keys = label_keys(reader)
    for table, sql in reader.queries.label_rows.items():
        valued = param_values or table != "params"
        query = sql if valued else reader.queries.param_keys
        for run, key, *values in reader.session.rows(query, first=first, last=last, **keys):
            # Whose child a run is would make each set of rows another one.
            value = "" if key == ignored else values[0] if valued else _SOME
            rows[run] += ((table, key, value),)
    # Few sets of labels are shared by many runs: what they come to is found out once.
    known: dict[tuple[_Given, ...], tuple[Sequence[str | object], bool]] = {}
    changed = set()
    for run, labels, child in runs.labels_between(first, last):
        given = rows.get(run, ())
        if given not in known:
            known[given] = _labels_of(reader, given)
        expected, is_child = known[given]
        if is_child != child or any(there not in (_SOME, label) for there, label in zip(expected, labels, strict=True)):
            changed.add(run)
    return changed


def _labels_of(reader: StoreReader, rows: Iterable[_Given]) -> tuple[Sequence[str | object], bool]:
    """Return the labels that rows of params and tags come to, and whether they are those of a child run."""
    given = {(table, key): value for table, key, value in rows}
    labels = [
        next((found for source in sources if (found := given.get((source.table, source.key))) is not None), "")
        for sources in reader.labels
    ]
    return labels, reader.children and ("tags", PARENT_TAG) in given


def label_keys(reader: StoreReader) -> dict[str, list[str]]:
    """Return which params and tags count, by table."""
    keys: dict[str, list[str]] = {"params": [], "tags": [PARENT_TAG] if reader.children else []}
    for sources in reader.labels:
        for source in sources:
            keys[source.table].append(source.key)
    return keys
