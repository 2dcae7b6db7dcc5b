"""The runs of a store as they were last read.

The rows live in an SQLite database in memory: about 80 bytes a run, and what has to be looked up again (the next
latest run after the latest was deleted) is found by an index, without Python and without the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from ml_monitoring.exporter.database import Row

FINISHED = "FINISHED"
RUNNING = "RUNNING"
# Any SQLite takes as many values in a statement.
_AT_ONCE = 500
_ID_DIGITS = 32
# Beyond what any clock says; makes times of equal length, so that they compare as text.
_TIME_BASE = 10**17
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
_INDEX = "create index run_by_state on run (experiment, state)"


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
    """The runs of one experiment in one state; times in ms."""

    experiment: int
    status: str
    active: bool
    child: bool
    runs: int
    last_activity: int | None
    first_start: int | None


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
            self._database.execute("drop index if exists run_by_state")
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

    def totals(self, experiment: int | None = None) -> Iterator[StateTotals]:
        """Count runs by experiment and state, of one experiment or of all."""
        rows = self._database.execute(
            f"""select experiment, state, count(*), max(coalesce(ended, started)), min(started)
                from run {"" if experiment is None else "where experiment = ?"} group by experiment, state""",  # noqa: S608  # constants
            [] if experiment is None else [experiment],
        )
        return (StateTotals(experiment, *self._states[state], *rest) for experiment, state, *rest in rows)

    def durations(self, bounds_ms: Sequence[int], experiment: int | None = None) -> Iterator[tuple[int, int, int, int]]:
        """Return experiment, bucket, number of finished runs and the sum of their durations, deleted runs too."""
        cases = " ".join(f"when ended - started <= {bound} then {index}" for index, bound in enumerate(bounds_ms))
        states = [*self._numbers(FINISHED, active=True), *self._numbers(FINISHED, active=False)]
        return self._database.execute(
            f"""select experiment, case {cases} else {len(bounds_ms)} end, count(*), sum(ended - started)
                from run where {"" if experiment is None else "experiment = ? and"} state in (?, ?, ?, ?)
                and ended >= started group by 1, 2""",  # noqa: S608  # numbers
            [*([] if experiment is None else [experiment]), *states],
        )

    def last_activity(self, experiment: int, status: str) -> int | None:
        """Return the latest end, or start without an end, of active runs."""
        return self._number("max(coalesce(ended, started))", experiment, status)

    def first_start(self, experiment: int, status: str) -> int | None:
        """Return the earliest start of active runs."""
        return self._number("min(started)", experiment, status)

    def latest_results(self, experiment: int | None = None) -> Iterator[tuple[int, LabelSet, Rank]]:
        """Return experiment, labels and rank of the latest run that counts as a result, of one experiment or of all."""
        packed = f"printf('%018d%018d', {_TIME_BASE} + coalesce(ended, 0), {_TIME_BASE} + coalesce(started, 0))"
        text = "case typeof(id) when 'blob' then lower(hex(id)) else id end"
        # SQLite takes the other columns from the row of the maximum.
        rows = self._database.execute(
            f"""select experiment, labels, ended, started, id, max({packed} || {text})
                from run where {"" if experiment is None else "experiment = ? and"} state in (?, ?)
                group by experiment, labels""",  # noqa: S608  # constants
            [*([] if experiment is None else [experiment]), *self._numbers(FINISHED, active=True)],
        )
        for of_experiment, labels, ended, started, key, _packed in rows:
            yield of_experiment, self._labels[labels], (ended or 0, started or 0, _text(key))

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

    def _number(self, expression: str, experiment: int, status: str) -> int | None:
        sql = f"select {expression} from run where experiment = ? and state in (?, ?)"  # noqa: S608  # constants
        row = self._database.execute(sql, [experiment, *self._numbers(status, active=True)]).fetchone()
        return None if row[0] is None else int(row[0])


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
