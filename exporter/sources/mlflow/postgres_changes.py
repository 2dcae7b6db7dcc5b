"""Tracks the changes of a store in PostgreSQL.

* Whether anything was written at all shows in `pg_current_snapshot()`: it is the same text as long as no transaction
  of the cluster ended that wrote something. It needs no rights, and no statistics, which may be late or reset.
* Which runs changed shows in `xmin`, the transaction that wrote a row: it is not older than the oldest one that was
  at work at the last refresh. New, edited, deleted (in MLflow's sense), restored and back-dated runs all show.
* Rows that are gone show in the number of rows, which the same scan counts.
* Metrics that were written to a run after it was read show by their own `xmin`, in slices of the table's pages;
  params and tags that are labels are compared in slices of run ids, because a tag can be removed without a trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from typing_extensions import override

from ml_monitoring.exporter.sources.mlflow.changes import ChangeTracker, StoreChanges
from ml_monitoring.exporter.sources.mlflow.late_labels import relabelled
from ml_monitoring.exporter.sources.mlflow.reader import Pair, StoreReader
from ml_monitoring.exporter.sources.mlflow.run_cache import RunCache

_POSITION = """
    select pg_current_snapshot()::text, pg_is_in_recovery(), pg_postmaster_start_time()::text,
           (select oid::bigint from pg_catalog.pg_database where datname = current_database()),
           current_setting('server_version_num')::int"""
# Views and foreign tables have no transactions that could be asked for.
_PLAIN = """
    select bool_and(relkind in ('r', 'p')) from pg_catalog.pg_class
    where oid in ('runs'::regclass, 'latest_metrics'::regclass)"""
_PAGES = "select pg_relation_size('latest_metrics') / current_setting('block_size')::int"
# Beyond this many transactions the age of a row cannot be distinguished from that of one written 2^32 transactions ago.
_MAX_DISTANCE = 2**30
_XIDS = 2**32
_FIRST_NORMAL_XID = 3
_LAST_PAGE = 2**32 - 1
_TID_RANGE_SCANS = 140000


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


@dataclass(slots=True)
class _Pass:
    """A pass through the store that looks for late changes.

    Attributes:
        since: Rows of transactions from this position on are looked for.
        begun: Where the cluster stood when the pass began.
        pages: Size of `latest_metrics` then.
        slice: What comes next.
    """

    since: ClusterPosition
    begun: ClusterPosition
    pages: int
    slice: int = 0


class PostgresChangeTracker(ChangeTracker):
    """Tracks the changes of a store in PostgreSQL.

    Args:
        reader: Reads the store.
        runs: The runs as they were at the last refresh.
        slices: How many refreshes a pass through the store takes.
    """

    # A column of numbers holds numbers.
    problems: Sequence[str] = ()

    def __init__(self, reader: StoreReader, runs: RunCache, slices: int) -> None:
        self._reader = reader
        self._runs = runs
        self._slices = slices
        self._position: ClusterPosition | None = None
        self._previous: ClusterPosition | None = None
        self._plain = True
        self._reconciled: ClusterPosition | None = None
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
        ((self._plain,),) = self._reader.session.rows(_PLAIN)
        self._reconciled = self._position
        self._pass = None
        self._read_at.clear()

    @override
    def changes(self) -> StoreChanges:
        changed, gone = self._changed_rows() if self._written else (set(), [])
        late: set[tuple[str, Pair]] = set()
        work = self._pass or self._begin_pass()
        if work is not None:
            changed |= relabelled(self._reader, self._runs, work.slice, self._slices)
            late = self._late_metrics(work)
            work.slice += 1
            if work.slice >= self._slices:
                self._reconciled, self._pass = work.begun, None
        return StoreChanges(
            runs={**dict.fromkeys(gone), **self._reader.runs(changed)},
            metrics=frozenset(run for run, _pair in late),
            best=frozenset(pair for _run, pair in late),
        )

    @override
    def note_metrics_read(self, runs: Iterable[str]) -> None:
        self._read_at.update(dict.fromkeys(runs, self._here.oldest))

    def _changed_rows(self) -> tuple[set[str], list[str]]:
        """Return the runs whose rows were written, and those that are gone."""
        assert self._previous is not None  # noqa: S101  # without it everything is read
        count, written = self._reader.session.rows(self._reader.queries.changed_runs, since=self._previous.xid)[0]
        changed = set(written or ())
        new = len(changed) - len(self._runs.get(changed))
        if count == len(self._runs) + new:
            return changed, []
        ids = (run for (run,) in self._reader.session.stream(self._reader.queries.run_ids))
        return changed, self._runs.gone(ids)

    def _begin_pass(self) -> _Pass | None:
        since = self._reconciled
        assert since is not None  # noqa: S101  # set when everything was read
        if self._here.sees_the_same_as(since):
            return None
        self._read_at = {run: oldest for run, oldest in self._read_at.items() if oldest >= since.oldest}
        ((pages,),) = self._reader.session.rows(_PAGES)
        self._pass = _Pass(since, self._here, pages)
        return self._pass

    def _late_metrics(self, work: _Pass) -> set[tuple[str, Pair]]:
        """Return the metrics in a slice of pages that were written to an ended run after they were read."""
        last_slice = work.slice == self._slices - 1
        scans_ranges = work.since.version >= _TID_RANGE_SCANS
        if not scans_ranges and not last_slice:
            # Each slice would be a scan of the whole table; one at the end does it all.
            return set()
        first, last = (work.pages * step // self._slices for step in (work.slice, work.slice + 1))
        rows = self._reader.session.rows(
            self._reader.queries.late_metrics,
            since=work.since.xid,
            first=f"({first if scans_ranges else 0},0)",
            last=f"({_LAST_PAGE if last_slice else last},0)",
        )
        known = self._runs.get({run for run, _key, _distance in rows})
        return {
            (run_id, (run.experiment, key))
            for run_id, key, distance in rows
            if (run := known.get(run_id)) is not None
            and run.counts_as_result
            and work.since.oldest + distance >= self._read_at.get(run_id, 0)
            and self._reader.exposes(key)
        }
