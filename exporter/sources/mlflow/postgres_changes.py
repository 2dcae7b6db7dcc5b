"""Tracks the changes of a store in PostgreSQL.

* Whether anything was written at all shows in `pg_current_snapshot()`: it is the same text as long as no transaction
  of the cluster ended that wrote something. It needs no rights, and no statistics, which may be late or reset.
* Which runs changed shows in `xmin`, the transaction that wrote a row: it is not older than the oldest one that was
  at work at the last scan. New, edited, deleted (in MLflow's sense), restored and back-dated runs all show. Of a big
  table a refresh scans some pages: the end, where new rows mostly are, and others in turns.
* Rows that are gone show in the number of rows, which a scan of the whole table counts; in a big one they show where
  labels are compared.
* Metrics and params that were written to a run after it was read show by their own `xmin`, in slices of the tables'
  pages; tags that are labels, and which params there are, are compared in slices of run ids, because what is removed
  leaves no trace.
* A result whose run changed in another way (resumed, finished again, deleted) may have overwritten a best value that
  it held: what was written to it since the last pass began is looked up at once.
* A table that was written again as a whole keeps its transactions, but not its pages. It shows by its file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from typing_extensions import override

from ml_monitoring.exporter.sources.mlflow.changes import ChangeTracker, StoreChanges
from ml_monitoring.exporter.sources.mlflow.late_labels import ids_of_slice, label_keys, relabelled
from ml_monitoring.exporter.sources.mlflow.postgres_registry import RegistryWatch
from ml_monitoring.exporter.sources.mlflow.reader import Pair, StoreReader
from ml_monitoring.exporter.sources.mlflow.run_cache import Run, RunCache

_POSITION = """
    select pg_current_snapshot()::text, pg_is_in_recovery(), pg_postmaster_start_time()::text,
           (select oid::bigint from pg_catalog.pg_database where datname = current_database()),
           current_setting('server_version_num')::int"""
# Views and foreign tables have no transactions that could be asked for.
_PLAIN = """
    select bool_and(relkind in ('r', 'p')) filter (where oid <> 'params'::regclass),
           bool_and(relkind in ('r', 'p')) filter (where oid = 'params'::regclass)
    from pg_catalog.pg_class where oid in ('runs'::regclass, 'latest_metrics'::regclass, 'params'::regclass)"""
# Of a partitioned table there are no pages of its own, and it is scanned as a whole.
_FILES = """
    select pg_relation_size('runs') / block, pg_relation_size('latest_metrics') / block,
           pg_relation_size('params') / block, pg_relation_filenode('runs')::bigint,
           pg_relation_filenode('latest_metrics')::bigint, pg_relation_filenode('params')::bigint
    from (select current_setting('block_size')::int as block) setting"""
# Beyond this many transactions the age of a row cannot be distinguished from that of one written 2^32 transactions ago.
_MAX_DISTANCE = 2**30
_XIDS = 2**32
_FIRST_NORMAL_XID = 3
_LAST_PAGE = 2**32 - 1
_TID_RANGE_SCANS = 140000
# What is scanned of `runs` at a refresh: at most 64 MB, some 300,000 runs, which takes the server 30 ms.
_PAGES_A_SHARE = 2048
_SHARES_AT_ONCE = 4
# What a step of a pass looks through; it takes about as long.
_PAGES_A_SLICE = 1024
_RUNS_A_SLICE = 10_000


@dataclass(frozen=True, slots=True)
class ClusterPosition:
    """Where a cluster stands.

    Attributes:
        snapshot: Which transactions can be seen.
        standby: Whether this is a copy; it does not list the transactions that are at work.
        server: Another value means another server, or that it was restarted.
        version: The server's version, as 150018.
    """

    snapshot: str
    standby: bool
    server: tuple[str, int]
    version: int

    @property
    def oldest(self) -> int:
        """Return the oldest transaction at work; everything before it is visible, or never will be."""
        return int(self.snapshot.split(":")[0])

    @property
    def next(self) -> int:
        """Return a transaction that had not ended yet, nor any after it."""
        return int(self.snapshot.split(":")[1])

    @property
    def xid(self) -> str:
        """Return the oldest transaction at work as rows name it, without the epoch."""
        return str(max(self.oldest % _XIDS, _FIRST_NORMAL_XID))

    def sees_the_same_as(self, other: ClusterPosition) -> bool:
        """Tell whether nothing can have been written between the two."""
        complete = not self.standby or self.oldest == self.next
        return self.snapshot == other.snapshot and self.server == other.server and complete

    def comparable(self, other: ClusterPosition) -> bool:
        """Tell whether rows written since the other position can be found by their transactions."""
        near = other.oldest <= self.oldest and self.next - other.oldest < _MAX_DISTANCE
        return self.server == other.server and near


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of the tables.

    Attributes:
        run_pages: Pages of `runs`.
        metric_pages: Pages of `latest_metrics`.
        param_pages: Pages of `params`.
        run_file: Another value means that its rows may be on other pages.
        metric_file: The same.
        param_file: The same.
    """

    run_pages: int
    metric_pages: int
    param_pages: int
    run_file: int | None
    metric_file: int | None
    param_file: int | None

    def moved(self, before: _Files) -> bool:
        """Tell whether rows may be on other pages than before, although nobody wrote them."""
        files = (self.run_file, self.metric_file, self.param_file)
        return files != (before.run_file, before.metric_file, before.param_file)


@dataclass(slots=True)
class _Share:
    """Some pages of `runs`, all of the same number; the last share has no end.

    Attributes:
        seen: Where the cluster stood when they were last scanned.
        found: How many runs had changed then.
    """

    seen: ClusterPosition
    found: int = 0


@dataclass(slots=True)
class _Pass:
    """A pass through the store that looks for late changes.

    Attributes:
        since: Rows of transactions from this position on are looked for.
        begun: Where the cluster stood when the pass began.
        metric_pages: Pages of `latest_metrics` then.
        param_pages: Pages of `params` then.
        slices: In how many refreshes it is done.
        slice: What comes next.
    """

    since: ClusterPosition
    begun: ClusterPosition
    metric_pages: int
    param_pages: int
    slices: int
    slice: int = 0


class PostgresChangeTracker(ChangeTracker):
    """Tracks the changes of a store in PostgreSQL.

    Args:
        reader: Reads the store.
        runs: The runs as they were at the last refresh.
        slices: How many refreshes a pass through the store takes; in a big store it takes more.
    """

    # A column of numbers holds numbers.
    problems: Sequence[str] = ()

    def __init__(self, reader: StoreReader, runs: RunCache, slices: int) -> None:
        self._reader = reader
        self._runs = runs
        self._slices = slices
        self._position: ClusterPosition | None = None
        self._previous: ClusterPosition | None = None
        self._registry = RegistryWatch(reader, slices)
        self._plain = True
        self._plain_params = True
        self._reconciled: ClusterPosition | None = None
        self._files: _Files | None = None
        self._shares: list[_Share] = []
        self._pass: _Pass | None = None
        # The oldest transaction at work when the metrics of a run were read, kept while a pass can ask for it.
        self._read_at: dict[str, int] = {}

    @property
    @override
    def lost(self) -> bool:
        previous, reconciled = self._previous, self._reconciled
        return (
            not self._plain
            or previous is None
            or reconciled is None
            or not self._here.comparable(previous)
            or not self._here.comparable(reconciled)
            or not all(self._here.comparable(share.seen) for share in self._shares)
        )

    @property
    def _written(self) -> bool:
        return not self._plain or self._previous is None or not self._here.sees_the_same_as(self._previous)

    @property
    def _here(self) -> ClusterPosition:
        assert self._position is not None  # noqa: S101  # set first thing in each refresh
        return self._position

    @override
    def advance(self) -> bool:
        snapshot, standby, started, database, version = self._reader.session.rows(_POSITION)[0]
        position = ClusterPosition(snapshot, standby, (started, database), version)
        self._previous, self._position = self._position, position
        return self._written

    @override
    def restart(self) -> None:
        ((self._plain, self._plain_params),) = self._reader.session.rows(_PLAIN)
        self._registry.restart(self._here.xid)
        self._reconciled = self._position
        self._files = self._read_files()
        self._shares = []
        self._divide(self._files)
        self._pass = None
        self._read_at.clear()

    @override
    def changes(self) -> StoreChanges:
        previous = self._previous
        assert previous is not None  # noqa: S101  # else everything is read
        unseen = not all(self._here.sees_the_same_as(share.seen) for share in self._shares)
        if unseen or (self._pass is None and self._passes_again):
            files = self._read_files()
            if self._files is None or files.moved(self._files):
                return StoreChanges(replaced=True)
            self._files = files
        changed, gone = self._changed_rows(self._files) if unseen and self._files else (set(), set())
        late: set[tuple[str, Pair]] = set()
        work = self._pass or self._begin_pass()
        if work is not None:
            changed |= self._relabelled(work)
            if len(self._shares) > _SHARES_AT_ONCE:
                new, missing = self._compare_ids(work)
                changed |= new
                gone |= missing
            late = self._late_metrics_of_slice(work)
            work.slice += 1
            if work.slice >= work.slices:
                self._reconciled, self._pass = work.begun, None
        runs = {**dict.fromkeys(gone), **self._reader.runs(changed)}
        late |= self._overwritten(runs)
        return StoreChanges(
            runs=runs,
            metrics=frozenset(run for run, _pair in late),
            best=frozenset(pair for _run, pair in late),
            registry=self._written and self._registry.changed(previous.xid),
        )

    @override
    def note_metrics_read(self, runs: Iterable[str]) -> None:
        self._read_at.update(dict.fromkeys(runs, self._here.oldest))

    @property
    def _scans_ranges(self) -> bool:
        """Tell whether some pages can be scanned without the others."""
        return self._here.version >= _TID_RANGE_SCANS

    @property
    def _passes_again(self) -> bool:
        """Tell whether anything was written since the last pass began."""
        return self._reconciled is None or not self._here.sees_the_same_as(self._reconciled)

    def _read_files(self) -> _Files:
        return _Files(*self._reader.session.rows(_FILES)[0])

    def _divide(self, files: _Files) -> None:
        """Make as many shares as there are pages for."""
        count = max(1, math.ceil(files.run_pages / _PAGES_A_SHARE)) if self._scans_ranges else 1
        # What is new at the table's end was a part of the last share.
        seen = self._shares[-1].seen if self._shares else self._here
        self._shares += [_Share(seen) for _new in range(count - len(self._shares))]
        del self._shares[count:]

    def _changed_rows(self, files: _Files) -> tuple[set[str], set[str]]:
        """Return the runs whose rows were written, and those that are gone, of the pages whose turn it is."""
        self._divide(files)
        count = len(self._shares)
        changed: set[str] = set()
        rows = 0
        for number in self._next_shares():
            share, end = self._shares[number], (number + 1) * _PAGES_A_SHARE if number + 1 < count else _LAST_PAGE
            ((found, written),) = self._reader.session.rows(
                self._reader.queries.changed_runs,
                since=share.seen.xid,
                first=f"({number * _PAGES_A_SHARE},0)",
                last=f"({end},0)",
            )
            rows += found
            changed.update(written or ())
            self._shares[number] = _Share(self._here, len(written or ()))
        new = len(changed) - len(self._runs.get(changed))
        if count > _SHARES_AT_ONCE or rows == len(self._runs) + new:
            return changed, set()
        ids = (run for (run,) in self._reader.session.stream(self._reader.queries.run_ids))
        return changed, set(self._runs.gone(ids))

    def _next_shares(self) -> list[int]:
        """Return the shares whose turn it is: all of few, or the last, the busiest and those not seen for longest."""
        numbers = range(len(self._shares))
        if len(numbers) <= _SHARES_AT_ONCE:
            return list(numbers)
        # What is new is rather at the end.
        due = [number for number in reversed(numbers) if not self._here.sees_the_same_as(self._shares[number].seen)]
        busiest = max(due, key=lambda number: self._shares[number].found)
        busy = [busiest] if self._shares[busiest].found else []
        waiting = sorted(due, key=lambda number: self._shares[number].seen.oldest)
        return list(islice(dict.fromkeys([due[0], *busy, *waiting]), _SHARES_AT_ONCE))

    def _compare_ids(self, work: _Pass) -> tuple[set[str], set[str]]:
        """Return the runs in a slice of the ids that are not remembered, and those that are gone."""
        if (ids := ids_of_slice(work.slice, work.slices)) is None:
            return set(), set()
        first, last = ids
        there = {
            run for (run,) in self._reader.session.rows(self._reader.queries.run_ids_between, first=first, last=last)
        }
        known = {run for run, _labels, _child in self._runs.labels_between(first, last)}
        return there - known, known - there

    def _begin_pass(self) -> _Pass | None:
        since, files = self._reconciled, self._files
        assert since is not None  # noqa: S101  # set when everything was read
        assert files is not None  # noqa: S101  # the same
        if not self._passes_again:
            return None
        self._read_at = {run: oldest for run, oldest in self._read_at.items() if oldest >= since.oldest}
        slices = max(self._slices, files.metric_pages // _PAGES_A_SLICE, len(self._runs) // _RUNS_A_SLICE)
        self._pass = _Pass(since, self._here, files.metric_pages, files.param_pages, slices)
        return self._pass

    def _relabelled(self, work: _Pass) -> set[str]:
        """Return runs that may have other labels than those that are remembered."""
        found = relabelled(self._reader, self._runs, work.slice, work.slices, param_values=not self._plain_params)
        keys = label_keys(self._reader)["params"]
        if self._plain_params and keys and (pages := self._pages_of_slice(work, work.param_pages)):
            rows = self._reader.session.rows(
                self._reader.queries.late_params, since=work.since.xid, params=keys, **pages
            )
            found.update(run for (run,) in rows)
        return found

    def _late_metrics_of_slice(self, work: _Pass) -> set[tuple[str, Pair]]:
        """Return the metrics in a slice of pages that were written to a result after they were read."""
        if (pages := self._pages_of_slice(work, work.metric_pages)) is None:
            return set()
        return self._late_metrics(self._reader.queries.late_metrics, work.since, **pages)

    def _overwritten(self, runs: Mapping[str, Run | None]) -> set[tuple[str, Pair]]:
        """Return the metrics of changed runs that were results, as far as they were written after they were read."""
        since = self._reconciled
        assert since is not None  # noqa: S101  # set when everything was read
        results = sorted(run for run, old in self._runs.get(runs).items() if old.counts_as_result and runs[run] != old)
        if not results:
            return set()
        return self._late_metrics(self._reader.queries.late_metrics_of_runs, since, runs=results)

    def _late_metrics(self, query: str, since: ClusterPosition, **parameters: object) -> set[tuple[str, Pair]]:
        """Return those of the metrics that a query finds which were written to a result after they were read."""
        rows = self._reader.session.rows(query, since=since.xid, **parameters)
        known = self._runs.get({run for run, _key, _distance in rows})
        return {
            (run_id, (run.experiment, key))
            for run_id, key, distance in rows
            if (run := known.get(run_id)) is not None
            and run.counts_as_result
            and since.oldest + distance >= self._read_at.get(run_id, 0)
            and self._reader.exposes(key)
        }

    def _pages_of_slice(self, work: _Pass, pages: int) -> dict[str, str] | None:
        """Return the first and the end of the pages of a table whose turn it is; None for none."""
        last_slice = work.slice == work.slices - 1
        if not self._scans_ranges and not last_slice:
            # Each slice would be a scan of the whole table; one at the end does it all.
            return None
        first, last = (pages * step // work.slices for step in (work.slice, work.slice + 1))
        return {
            "first": f"({first if self._scans_ranges else 0},0)",
            "last": f"({_LAST_PAGE if last_slice else last},0)",
        }
