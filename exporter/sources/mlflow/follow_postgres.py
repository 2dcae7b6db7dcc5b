"""Follows a store in PostgreSQL.

* Whether anything was written at all, `pg_current_snapshot()` tells: it is the same text as long as no transaction
  of the cluster ended that wrote something. It needs no rights, and no statistics, which may be late or reset.
* Which runs changed, `xmin` tells, the transaction that wrote a row: it is not older than the oldest one that was
  at work at the last refresh. New, edited, deleted (in MLflow's sense), restored and back-dated runs all show.
* Rows that are gone show in the number of rows, which the same scan counts.
* Metrics that were written to a run after it was read show by their own `xmin`, in slices of the table's pages;
  params and tags that are labels are compared in slices of run ids, because a tag can be removed without a trace.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ml_monitoring.exporter.database import Row, Session
from ml_monitoring.exporter.sources.mlflow.follow import Findings, Follower
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings
from ml_monitoring.exporter.sources.mlflow.sql import PARENT_TAG

_POSITION = """
    select pg_current_snapshot()::text, pg_is_in_recovery(), pg_postmaster_start_time()::text,
           (select oid::bigint from pg_catalog.pg_database where datname = current_database()),
           current_setting('server_version_num')::int"""
# Views and foreign tables have no transactions that could be asked for.
_PLAIN = """
    select bool_and(relkind in ('r', 'p')) from pg_catalog.pg_class
    where oid in ('runs'::regclass, 'latest_metrics'::regclass)"""
_PAGES = "select pg_relation_size('latest_metrics') / current_setting('block_size')::int"
# Beyond this many transactions the age of a row cannot be told from that of one written 2^32 transactions ago.
_MAX_DISTANCE = 2**30
_XIDS = 2**32
_FIRST_NORMAL_XID = 3
_LAST_PAGE = 2**32 - 1
_TID_RANGE_SCANS = 140000
_PREFIXES = 16**4


@dataclass(frozen=True, slots=True)
class Position:
    """Where a cluster stands.

    Attributes:
        snapshot: Which transactions can be seen.
        standby: Whether this is a copy; it does not list the transactions that are at work.
        server: Another value means another server, or that it was started anew.
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

    def sees_the_same_as(self, other: Position) -> bool:
        """Tell whether nothing can have been written between the two."""
        complete = not self.standby or self.oldest == self.next
        return self.snapshot == other.snapshot and self.server == other.server and complete

    def comparable(self, other: Position) -> bool:
        """Tell whether rows written since the other position can be told by their transactions."""
        near = other.oldest <= self.oldest and self.next - other.oldest < _MAX_DISTANCE
        return self.server == other.server and near


@dataclass(slots=True)
class _Round:
    """A look through the store for late changes.

    Attributes:
        since: Rows of transactions from this position on are looked for.
        begun: Where the cluster stood when the round began.
        pages: Size of `latest_metrics` then.
        slice: What comes next.
    """

    since: Position
    begun: Position
    pages: int
    slice: int = 0


class PostgresFollower(Follower):
    """Follows a store in PostgreSQL."""

    def __init__(self, session: Session, settings: MlflowSettings) -> None:
        super().__init__(session, settings)
        self._position: Position | None = None
        self._previous: Position | None = None
        self._plain = True
        self._swept: Position | None = None
        self._round: _Round | None = None
        # The oldest transaction at work when the metrics of a run were read, kept while a round can ask for it.
        self._read_at: dict[str, int] = {}

    def _moved(self) -> bool:
        snapshot, standby, started, database, version = self._session.rows(_POSITION)[0]
        position = Position(snapshot, standby, (started, database), version)
        self._previous, self._position = self._position, position
        return not self._plain or self._previous is None or not position.sees_the_same_as(self._previous)

    def _must_renew(self) -> bool:
        previous, swept = self._previous, self._swept
        return (
            super()._must_renew()
            or not self._plain
            or previous is None
            or swept is None
            or not self._here.comparable(previous)
            or not self._here.comparable(swept)
        )

    @property
    def _here(self) -> Position:
        assert self._position is not None  # noqa: S101  # set first thing in each refresh
        return self._position

    def _find_changes(self, findings: Findings) -> None:
        assert self._previous is not None  # noqa: S101  # without it everything is read
        count, changed = self._session.rows(self.queries.changed_runs, since=self._previous.xid)[0]
        findings.runs.update(changed or ())
        new = len(findings.runs) - len(self.mirror.get(findings.runs))
        if count != len(self.mirror) + new:
            ids = (run for (run,) in self._session.stream(self.queries.run_ids))
            findings.changes.update(dict.fromkeys(self.mirror.gone(ids)))

    def _restart_rounds(self) -> None:
        ((self._plain,),) = self._session.rows(_PLAIN)
        self._swept = self._position
        self._round = None
        self._read_at.clear()

    def _note_reading(self, runs: Iterable[str]) -> None:
        self._read_at.update(dict.fromkeys(runs, self._here.oldest))

    def _reconcile(self, findings: Findings) -> None:
        if self._round is None and not self._begin_round():
            return
        work = self._round
        assert work is not None  # noqa: S101  # begun above
        self._compare_labels(work, findings)
        self._find_late_metrics(work, findings)
        work.slice += 1
        if work.slice >= self.slices:
            self._swept, self._round = work.begun, None

    def _begin_round(self) -> bool:
        assert self._swept is not None  # noqa: S101  # set when everything was read
        if self._here.sees_the_same_as(self._swept):
            return False
        since = self._swept
        self._read_at = {run: oldest for run, oldest in self._read_at.items() if oldest >= since.oldest}
        ((pages,),) = self._session.rows(_PAGES)
        self._round = _Round(since, self._here, pages)
        return True

    def _compare_labels(self, work: _Round, findings: Findings) -> None:
        """Compare the labels of the runs in a slice of ids with those that are remembered."""
        low, high = (_PREFIXES * step // self.slices for step in (work.slice, work.slice + 1))
        if low == high:
            return
        first, last = f"{low:04x}", f"{high - 1:04x}" + "f" * 28
        ignored = PARENT_TAG if all(each.key != PARENT_TAG for sources in self._labels for each in sources) else ""
        rows: defaultdict[str, tuple[Row, ...]] = defaultdict(tuple)
        for sql in self.queries.label_rows:
            for table, run, key, value in self._session.rows(sql, first=first, last=last, **self._label_keys()):
                # Whose child a run is would make each set of rows another one.
                rows[run] += ((table, key, "" if key == ignored else value),)
        # Few sets of labels are shared by many runs: what they come to is found out once.
        known: dict[tuple[Row, ...], tuple[tuple[str, ...], bool]] = {}
        for run, labels, child in self.mirror.labels_between(first, last):
            given = rows.get(run, ())
            if given not in known:
                known[given] = self._labels_of(given)
            if known[given] != (labels, child):
                findings.runs.add(run)

    def _labels_of(self, rows: Iterable[Row]) -> tuple[tuple[str, ...], bool]:
        """Return the labels that rows of params and tags come to, and whether they are those of a child run."""
        given = {(table, key): value for table, key, value in rows}
        labels = tuple(
            next((found for source in sources if (found := given.get((source.table, source.key))) is not None), "")
            for sources in self._labels
        )
        return labels, self._children and ("tags", PARENT_TAG) in given

    def _label_keys(self) -> dict[str, list[str]]:
        keys: dict[str, list[str]] = {"params": [], "tags": [PARENT_TAG] if self._children else []}
        for sources in self._labels:
            for source in sources:
                keys[source.table].append(source.key)
        return keys

    def _find_late_metrics(self, work: _Round, findings: Findings) -> None:
        """Find metrics of ended runs in a slice of pages that were written after their run was read."""
        last_slice = work.slice == self.slices - 1
        if work.since.version < _TID_RANGE_SCANS and not last_slice:
            # Each slice would be a scan of the whole table; one at the end does it all.
            return
        first, last = (work.pages * step // self.slices for step in (work.slice, work.slice + 1))
        if work.since.version < _TID_RANGE_SCANS:
            first = 0
        rows = self._session.rows(
            self.queries.late_metrics,
            since=work.since.xid,
            first=f"({first},0)",
            last=f"({_LAST_PAGE if last_slice else last},0)",
        )
        known = self.mirror.get({run for run, _key, _distance in rows})
        for run_id, key, distance in rows:
            run = known.get(run_id)
            if run is None or not run.counts_as_result:
                continue
            if work.since.oldest + distance >= self._read_at.get(run_id, 0) and self.best.wanted(key):
                findings.touched.add(run_id)
                findings.pairs.add((run.experiment, key))
