"""The runs of a store as they were last read.

The rows live in an SQLite database in memory: about 50 bytes a run. What has to be looked up again (the next latest run
after the latest was deleted) takes a scan of all; only the runs that are running, of which some end all the time, have
an index.
"""

from __future__ import annotations

import contextlib
import sqlite3
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from ml_monitoring.exporter.database import Row

FINISHED = "FINISHED"
RUNNING = "RUNNING"
# Any SQLite takes as many values in a statement.
_AT_ONCE = 500
_ID_DIGITS = 32
_Key = bytes | str
_Value = TypeVar("_Value")
# A run's end and start in ms, and its id: the latest of several runs has the highest.
Rank = tuple[int, int, str]
LabelSet = tuple[str, ...]

_SCHEMA = """
    create table run (id blob primary key, experiment integer, state integer, started integer, ended integer,
                      labels integer) without rowid;
    create temp table incoming (id blob primary key, experiment integer, state integer, started integer,
                                ended integer, labels integer) without rowid;"""
# The numbers of the states of active runs that are running.
_RUNNING_STATES = 2
_INDEX = f"create index running_run on run (experiment) where state < {_RUNNING_STATES}"


class Run(NamedTuple):
    """One run; times in ms, labels in the order of the settings; a child has a parent run."""

    id: str
    experiment: int
    status: str
    active: bool
    started: int | None
    ended: int | None
    child: bool
    labels: LabelSet

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
    def last_activity(self) -> int | None:
        """Return when the run ended, or started while it has not ended."""
        return self.started if self.ended is None else self.ended

    @property
    def rank(self) -> Rank:
        """Return what the latest of several runs is found by."""
        return (self.ended or 0, self.started or 0, self.id)


class StateTotals(NamedTuple):
    """The runs of one experiment in one state whose durations are in one bucket; times in ms.

    There is no bucket where they are not finished, or their durations are not known.
    """

    experiment: int
    status: str
    active: bool
    child: bool
    bucket: int | None
    runs: int
    last_activity: int | None
    first_start: int | None
    duration: int


@dataclass(slots=True)
class _Group:
    """What `StateTotals` has of a group, as it is added up."""

    runs: int = 0
    last: int | None = None
    first: int | None = None
    duration: int = 0


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


class RunCache:
    """All runs of a store."""

    def __init__(self) -> None:
        # The thread that refreshes is not the one that closes.
        self._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        # Without it even this database sorts in files, for which a read-only root has no place.
        self._database.execute("pragma temp_store = memory")
        self._database.executescript(_SCHEMA)
        self._states = _Interned[tuple[str, bool, bool]]()
        self._numbers(RUNNING, active=True)
        self._labels = _Interned[LabelSet]()

    def __len__(self) -> int:
        (count,) = self._database.execute("select count(*) from run").fetchone()
        return int(count)

    def close(self) -> None:
        """Give the memory back."""
        self._database.close()

    def load(self, runs: Iterable[Run]) -> None:
        """Replace everything."""
        with self._writing():
            self._database.execute("drop index if exists running_run")
            self._database.execute("delete from run")
            self._insert("run", runs)
            # Made at once it costs less than row by row.
            self._database.execute(_INDEX)

    def apply(self, changes: Mapping[str, Run | None]) -> list[tuple[Run | None, Run | None]]:
        """Take changed runs over, None for those that are gone.

        Returns:
            Each run that is not what it was, before and now.
        """
        known = self.get(changes)
        pairs = [(known.get(run_id), run) for run_id, run in changes.items() if known.get(run_id) != run]
        with self._writing():
            self._insert("run", (new for _old, new in pairs if new is not None))
            gone = [(_key(old.id),) for old, new in pairs if old is not None and new is None]
            self._database.executemany("delete from run where id = ?", gone)
        return pairs

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

    def experiments(self) -> list[int]:
        """Return the experiments that have runs, in order."""
        return [row[0] for row in self._database.execute("select distinct experiment from run order by 1")]

    def labels_between(self, first: str, last: str) -> Iterator[tuple[str, LabelSet, bool]]:
        """Return id, labels and childhood of the runs whose hexadecimal id lies between beginnings."""
        low, high = bytes.fromhex(first.ljust(_ID_DIGITS, "0")), bytes.fromhex(last.ljust(_ID_DIGITS, "f"))
        rows = self._database.execute("select id, labels, state from run where id between ? and ?", [low, high])
        return ((_text(key), self._labels[labels], self._states[state][2]) for key, labels, state in rows)

    # Groups are made here and not by SQLite, which would sort all runs for it; that takes longer, and more memory.

    def totals(self, bounds_ms: Sequence[int], experiment: int | None = None) -> Iterator[StateTotals]:
        """Count runs by experiment, state and bucket of their durations, of one experiment or of all."""
        rows = self._database.execute(
            f"select experiment, state, started, ended from run {'' if experiment is None else 'where experiment = ?'}",  # noqa: S608  # constants
            [] if experiment is None else [experiment],
        )
        finished = {*self._numbers(FINISHED, active=True), *self._numbers(FINISHED, active=False)}
        groups: dict[tuple[int, int, int | None], _Group] = {}
        for of, state, started, ended in rows:
            bucket, duration = None, 0
            if state in finished and started is not None and ended is not None and ended >= started:
                duration = ended - started
                bucket = bisect_left(bounds_ms, duration)
            if (group := groups.get((of, state, bucket))) is None:
                group = groups[of, state, bucket] = _Group()
            group.runs += 1
            group.duration += duration
            last = started if ended is None else ended
            if last is not None and (group.last is None or last > group.last):
                group.last = last
            if started is not None and (group.first is None or started < group.first):
                group.first = started
        for (of, state, bucket), group in groups.items():
            yield StateTotals(of, *self._states[state], bucket, group.runs, group.last, group.first, group.duration)

    def last_used(self) -> dict[int, int]:
        """Return the latest end, or start without an end, of the active runs by experiment; 0 for none."""
        used: dict[int, int] = {}
        for experiment, state, last in self._database.execute(
            "select experiment, state, coalesce(ended, started) from run"
        ):
            time = (last or 0) if self._states[state][1] else 0
            if time >= used.get(experiment, 0):
                used[experiment] = time
        return used

    def last_activities(self, experiments: Collection[int]) -> dict[tuple[int, str], int]:
        """Return the latest end, or start without an end, of the active runs of experiments by status."""
        rows = self._database.execute(
            f"""select experiment, state, max(coalesce(ended, started)) from run
                where experiment in ({_list(experiments)}) group by experiment, state"""  # noqa: S608  # numbers
        )
        found: dict[tuple[int, str], int] = {}
        for experiment, state, last in rows:
            status, active, _child = self._states[state]
            if active and last is not None:
                found[experiment, status] = max(last, found.get((experiment, status), last))
        return found

    def running(self, experiment: int) -> tuple[int | None, int | None]:
        """Return when the first and the last run of an experiment started that is running."""
        row = self._database.execute(
            f"""select min(started), max(coalesce(ended, started)) from run
                where experiment = ? and state < {_RUNNING_STATES}""",  # noqa: S608  # a number
            [experiment],
        ).fetchone()
        return row[0], row[1]

    def running_runs(self, most: int) -> dict[str, int]:
        """Return the experiments of the runs that are running by id, of those that were started last."""
        rows = self._database.execute(
            f"select id, experiment from run where state < {_RUNNING_STATES} order by started desc limit ?",  # noqa: S608  # a number
            [most],
        )
        return {_text(key): experiment for key, experiment in rows}

    def latest_results(self, experiments: Collection[int] | None = None) -> dict[tuple[int, LabelSet], Rank]:
        """Return the rank of the latest run that counts as a result by experiment and labels."""
        only = "" if experiments is None else f"and experiment in ({_list(experiments)})"
        rows = self._database.execute(
            f"""select experiment, labels, coalesce(ended, 0), coalesce(started, 0), id from run
                where state in (?, ?) {only}""",  # noqa: S608  # numbers
            self._numbers(FINISHED, active=True),
        )
        latest: dict[tuple[int, int], Rank] = {}
        for experiment, labels, ended, started, key in rows:
            known = latest.get((experiment, labels))
            if known is None or (ended, started) >= known[:2]:
                rank = (ended, started, _text(key))
                if known is None or rank > known:
                    latest[experiment, labels] = rank
        return {(experiment, self._labels[labels]): rank for (experiment, labels), rank in latest.items()}

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
        label_sets: dict[LabelSet, int] = {}
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


def _list(numbers: Iterable[int]) -> str:
    return ",".join(str(int(number)) for number in numbers)


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
