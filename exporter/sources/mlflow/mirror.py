"""What is remembered of each run between two refreshes, and the sums that are kept up to date from it.

The rows live in an SQLite database in memory: about 80 bytes a run, and what has to be looked up again (the next
latest run after the latest was deleted) is found by an index, without Python and without the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import sqlite3
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from ml_monitoring.exporter.catalog import CATALOG
from ml_monitoring.exporter.database import Row

FINISHED = "FINISHED"
RUNNING = "RUNNING"
_BUCKETS_MS = [round(bound * 1000) for bound in CATALOG["mlflow_run_duration_seconds"].buckets]
# Any SQLite takes as many values in a statement.
_AT_ONCE = 500
_ID_DIGITS = 32
_BATCH = 10_000
# Beyond what any clock says; makes times of equal length, so that they compare as text.
_TIME_BASE = 10**17
_Key = bytes | str
_Value = TypeVar("_Value")

_SCHEMA = """
    create table run (id blob primary key, experiment integer, state integer, started integer, ended integer,
                      labels integer) without rowid;
    create temp table incoming (id blob primary key, experiment integer, state integer, started integer,
                                ended integer, labels integer) without rowid;"""
_INDEX = "create index run_by_state on run (experiment, state)"


class Run(NamedTuple):
    """One run as the sums see it; times in ms, labels in the order of the settings; a child has a parent run."""

    id: str
    experiment: int
    status: str
    active: bool
    started: int | None
    ended: int | None
    child: bool
    labels: tuple[str, ...]

    @classmethod
    def of_row(cls, row: Row) -> Run:
        """Make a run of a row of `Queries.runs`; SQLite hands out whatever was written into a time."""
        run_id, experiment, status, stage, started, ended, child, *labels = row
        if type(started) is not int:
            started = _time(started)
        if type(ended) is not int:
            ended = _time(ended)
        return cls(run_id, experiment, status or "", stage == "active", started, ended, bool(child), tuple(labels))

    @property
    def counts_as_result(self) -> bool:
        """Tell whether the run's metrics count: it is finished and not deleted."""
        return self.active and self.status == FINISHED

    @property
    def rank(self) -> tuple[int, int, str]:
        """Return what the latest of several runs is told by."""
        return (self.ended or 0, self.started or 0, self.id)


@dataclass(slots=True)
class Tally:
    """The sums of one experiment; times in ms.

    Attributes:
        counts: Active runs by status.
        children: Those of them that have a parent.
        last: Latest end, or start without an end, of active runs by status.
        oldest_running: Earliest start of a run that is running.
        buckets: Durations of finished runs, deleted ones too, by bucket.
        duration: Sum of these durations.
        latest: Rank of the latest run that counts as a result by labels.
    """

    counts: dict[str, int] = field(default_factory=dict)
    children: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    oldest_running: int | None = None
    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS_MS) + 1))
    duration: int = 0
    latest: dict[tuple[str, ...], tuple[int, int, str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Lost:
    """The maxima that lost the run they came from and must be looked up again."""

    last: set[tuple[int, str]] = field(default_factory=set)
    running: set[int] = field(default_factory=set)
    latest: set[int] = field(default_factory=set)


class _Interned(Generic[_Value]):
    """Small numbers for values that many runs share."""

    def __init__(self) -> None:
        self._numbers: dict[_Value, int] = {}
        self._values: list[_Value] = []

    def __getitem__(self, number: int) -> _Value:
        return self._values[number]

    def number(self, value: _Value) -> int:
        number = self._numbers.setdefault(value, len(self._values))
        if number == len(self._values):
            self._values.append(value)
        return number


class Mirror:
    """All runs of a store."""

    def __init__(self) -> None:
        # The thread that refreshes is not the one that closes.
        self._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)
        self._states = _Interned[tuple[str, bool, bool]]()
        self._labels = _Interned[tuple[str, ...]]()
        self.tallies: dict[int, Tally] = {}

    def __len__(self) -> int:
        (count,) = self._database.execute("select count(*) from run").fetchone()
        return int(count)

    def close(self) -> None:
        """Give the memory back."""
        self._database.close()

    def load(self, runs: Iterable[Run]) -> None:
        """Replace everything."""
        with self._writing():
            self._database.execute("drop index if exists run_by_state")
            self._database.execute("delete from run")
            self._insert("run", runs)
            # Made at once it costs less than row by row.
            self._database.execute(_INDEX)
        self.tallies = {}
        self._count_all()

    def get(self, ids: Iterable[str]) -> dict[str, Run]:
        """Return those of the runs that are known."""
        keys = list(map(_key, ids))
        found: dict[str, Run] = {}
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            sql = f"select * from run where id in ({','.join('?' * len(some))})"  # noqa: S608  # places for values
            found.update((run.id, run) for run in map(self._run, self._database.execute(sql, some)))
        return found

    def gone(self, ids: Iterable[str]) -> list[str]:
        """Return the runs that are remembered but not among those that there are."""
        with self._writing():
            self._database.executemany("insert into incoming (id) values (?)", ((_key(run_id),) for run_id in ids))
            gone = self._database.execute("select id from run where id not in (select id from incoming)").fetchall()
            self._database.execute("delete from incoming")
        return [_text(key) for (key,) in gone]

    def labels_between(self, first: str, last: str) -> Iterator[tuple[str, tuple[str, ...], bool]]:
        """Return id, labels and childhood of the runs whose hexadecimal id lies between beginnings."""
        low, high = bytes.fromhex(first.ljust(_ID_DIGITS, "0")), bytes.fromhex(last.ljust(_ID_DIGITS, "f"))
        rows = self._database.execute("select id, labels, state from run where id between ? and ?", [low, high])
        return ((_text(key), self._labels[labels], self._states[state][2]) for key, labels, state in rows)

    def differences(self, runs: Iterable[Run]) -> dict[str, Run | None]:
        """Compare with the runs that there are; return those that changed, None for those that are gone."""
        with self._writing():
            self._insert("incoming", runs)
            changed = self._database.execute(
                """select i.* from incoming i left join run r on r.id = i.id where r.id is null
                   or (r.experiment, r.state, r.started, r.ended, r.labels)
                      is not (i.experiment, i.state, i.started, i.ended, i.labels)"""
            )
            result: dict[str, Run | None] = {run.id: run for run in map(self._run, changed.fetchall())}
            gone = self._database.execute("select id from run where id not in (select id from incoming)")
            result.update((_text(key), None) for (key,) in gone.fetchall())
            self._database.execute("delete from incoming")
        return result

    def apply(self, changes: Mapping[str, Run | None]) -> list[tuple[Run | None, Run | None]]:
        """Take changed runs over, None for those that are gone; return each as it was before and as it is now."""
        known = self.get(changes)
        pairs = [(known.get(run_id), run) for run_id, run in changes.items() if known.get(run_id) != run]
        lost = _Lost()
        with self._writing():
            for old, new in pairs:
                if old is not None:
                    self._subtract(old, lost)
                if new is None:
                    assert old is not None  # noqa: S101  # the two differ, so they are not both None
                    self._database.execute("delete from run where id = ?", [_key(old.id)])
                else:
                    self._add(new)
                    self._insert("run", [new])
        self._look_up(lost)
        return pairs

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._database.execute("begin")
        try:
            yield
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")

    def _insert(self, table: str, runs: Iterable[Run]) -> None:
        sql = f"insert or replace into {table} values (?, ?, ?, ?, ?, ?)"  # noqa: S608  # constants
        self._database.executemany(sql, self._packed(runs))

    def _packed(self, runs: Iterable[Run]) -> Iterator[Row]:
        """Return runs as rows; written for speed, as it is what the first read of a big store spends its time on."""
        states: dict[tuple[str, bool, bool], int] = {}
        label_sets: dict[tuple[str, ...], int] = {}
        for run_id, experiment, status, active, started, ended, child, labels in runs:
            kind = (status, active, child)
            if (state := states.get(kind)) is None:
                state = states[kind] = self._states.number(kind)
            if (number := label_sets.get(labels)) is None:
                number = label_sets[labels] = self._labels.number(labels)
            yield _key(run_id), experiment, state, started, ended, number

    def _run(self, row: Row) -> Run:
        key, experiment, state, started, ended, labels = row
        status, active, child = self._states[state]
        return Run(_text(key), experiment, status, active, started, ended, child, self._labels[labels])

    def _numbers(self, status: str, *, active: bool) -> list[int]:
        return [self._states.number((status, active, child)) for child in (False, True)]

    def _tally(self, experiment: int) -> Tally:
        if experiment not in self.tallies:
            self.tallies[experiment] = Tally()
        return self.tallies[experiment]

    def _add(self, run: Run) -> None:
        tally = self._tally(run.experiment)
        self._count_duration(tally, run, 1)
        if not run.active:
            return
        tally.counts[run.status] = tally.counts.get(run.status, 0) + 1
        if run.child:
            tally.children[run.status] = tally.children.get(run.status, 0) + 1
        time = run.started if run.ended is None else run.ended
        if time is not None:
            tally.last[run.status] = max(time, tally.last.get(run.status, time))
        if run.status == RUNNING and run.started is not None:
            oldest = tally.oldest_running
            tally.oldest_running = run.started if oldest is None else min(oldest, run.started)
        if run.status == FINISHED:
            tally.latest[run.labels] = max(run.rank, tally.latest.get(run.labels, run.rank))

    def _subtract(self, run: Run, lost: _Lost) -> None:
        tally = self._tally(run.experiment)
        self._count_duration(tally, run, -1)
        if not run.active:
            return
        tally.counts[run.status] -= 1
        if run.child:
            tally.children[run.status] -= 1
        time = run.started if run.ended is None else run.ended
        if time is not None and time == tally.last.get(run.status):
            lost.last.add((run.experiment, run.status))
        if run.status == RUNNING and run.started == tally.oldest_running:
            lost.running.add(run.experiment)
        if run.status == FINISHED and run.rank == tally.latest.get(run.labels):
            lost.latest.add(run.experiment)

    @staticmethod
    def _count_duration(tally: Tally, run: Run, sign: int) -> None:
        if run.status != FINISHED or run.started is None or run.ended is None or run.ended < run.started:
            return
        duration = run.ended - run.started
        tally.buckets[bisect_left(_BUCKETS_MS, duration)] += sign
        tally.duration += sign * duration

    def _count_all(self) -> None:
        """Make all sums anew."""
        rows = self._database.execute(
            """select experiment, state, count(*), max(coalesce(ended, started)), min(started)
               from run group by experiment, state"""
        )
        for experiment, state, count, last, earliest in rows:
            status, active, child = self._states[state]
            tally = self._tally(experiment)
            if not active:
                continue
            tally.counts[status] = tally.counts.get(status, 0) + count
            if child:
                tally.children[status] = count
            if last is not None:
                tally.last[status] = max(last, tally.last.get(status, last))
            if status == RUNNING and earliest is not None:
                oldest = tally.oldest_running
                tally.oldest_running = earliest if oldest is None else min(earliest, oldest)
        finished = [*self._numbers(FINISHED, active=True), *self._numbers(FINISHED, active=False)]
        rows = self._database.execute(
            f"""select experiment, {_bucket_case("ended - started")}, count(*), sum(ended - started)
                from run where state in (?, ?, ?, ?) and ended >= started group by 1, 2""",  # noqa: S608  # constants
            finished,
        )
        for experiment, bucket, count, duration in rows:
            tally = self._tally(experiment)
            tally.buckets[bucket] = count
            tally.duration += duration
        self._find_latest(None)

    def _look_up(self, lost: _Lost) -> None:
        for experiment, status in lost.last:
            tally = self.tallies[experiment]
            sql = "select max(coalesce(ended, started)) from run where experiment = ? and state in (?, ?)"
            (last,) = self._database.execute(sql, [experiment, *self._numbers(status, active=True)]).fetchone()
            tally.last.pop(status, None)
            if last is not None:
                tally.last[status] = last
        for experiment in lost.running:
            sql = "select min(started) from run where experiment = ? and state in (?, ?)"
            (started,) = self._database.execute(sql, [experiment, *self._numbers(RUNNING, active=True)]).fetchone()
            self.tallies[experiment].oldest_running = started
        if lost.latest:
            self._find_latest(lost.latest)

    def _find_latest(self, experiments: Collection[int] | None) -> None:
        """Find the latest run by labels of some experiments, or of all."""
        states = self._numbers(FINISHED, active=True)
        packed = f"printf('%018d%018d', {_TIME_BASE} + coalesce(ended, 0), {_TIME_BASE} + coalesce(started, 0))"
        text = "case typeof(id) when 'blob' then lower(hex(id)) else id end"
        # SQLite takes the other columns from the row of the maximum.
        sql = f"""select experiment, labels, ended, started, id, max({packed} || {text})
                  from run where {{}} state in (?, ?) group by experiment, labels"""  # noqa: S608  # constants
        if experiments is None:
            self._take_latest(self._database.execute(sql.format(""), states))
        for experiment in experiments or ():
            self.tallies[experiment].latest = {}
            self._take_latest(self._database.execute(sql.format("experiment = ? and"), [experiment, *states]))

    def _take_latest(self, rows: Iterable[Row]) -> None:
        for experiment, labels, ended, started, key, _packed in rows:
            self._tally(experiment).latest[self._labels[labels]] = (ended or 0, started or 0, _text(key))


def _time(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _key(run_id: str) -> _Key:
    """Return a run's id in half its length; MLflow draws 32 hexadecimal digits, but its column takes any text."""
    if len(run_id) == _ID_DIGITS:
        try:
            packed = bytes.fromhex(run_id)
        except ValueError:
            return run_id
        if packed.hex() == run_id:
            return packed
    return run_id


def _text(key: _Key) -> str:
    return key.hex() if isinstance(key, bytes) else key


def _bucket_case(milliseconds: str) -> str:
    cases = " ".join(f"when {milliseconds} <= {bound} then {index}" for index, bound in enumerate(_BUCKETS_MS))
    return f"case {cases} else {len(_BUCKETS_MS)} end"
