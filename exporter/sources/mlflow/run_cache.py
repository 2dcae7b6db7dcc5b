"""The runs of a store as they were last read.

They lie in columns of numbers, about 40 bytes a run: id, start, end, and the number of what many runs have in common,
which is kept once. Runs are found by the beginning of their ids; what has to be looked up again (the next latest run
after the latest was deleted) takes a scan of a column. The runs that are running, of which some end all the time, lie
by themselves.
"""

from __future__ import annotations

import heapq
import re
from array import array
from binascii import hexlify, unhexlify
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ml_monitoring.exporter.database import Row
from ml_monitoring.exporter.database.text import decode

FINISHED = "FINISHED"
RUNNING = "RUNNING"
# Of an id of MLflow's.
_BYTES = 16
_DIGITS = 2 * _BYTES
# So many runs in a bucket, on average, before there are 16 times as many buckets.
_CROWDED = 1024
_MOST_BITS = 16
# A bucket in which more gather, as of ids that all begin alike, has an index.
_INDEXED = 4096
# Stands for a time that is not known.
_NEVER = -(2**63)
_ALWAYS = 2**63
# How PostgreSQL writes texts in a line.
_NULL = b"\\N"
_ESCAPED = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
# Lines that end alike are known by their ends; of more than so many they are looked at again.
_MOST_ENDS = 100_000
_Key = bytes | str
# A run's end and start in ms, and its id: the latest of several runs has the highest.
Rank = tuple[int, int, str]
LabelSet = tuple[str, ...]


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
        run_id, started, ended, experiment, status, stage, child, *labels = row
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
    last: int = _NEVER
    first: int = _ALWAYS
    duration: int = 0


class _Kind(NamedTuple):
    """What many runs have in common."""

    experiment: int
    status: str
    active: bool
    child: bool
    labels: LabelSet


class _Bucket:
    """Some runs in columns, in any order.

    Attributes:
        keys: Their ids, one after the other.
        kinds: Numbers of what they are.
        started: In ms, `_NEVER` where that is not known.
        ended: The same.
    """

    __slots__ = ("_places", "ended", "keys", "kinds", "started")

    def __init__(self) -> None:
        self.keys = bytearray()
        self.kinds = array("I")
        self.started = array("q")
        self.ended = array("q")
        self._places: dict[bytes, int] | None = None

    def __len__(self) -> int:
        return len(self.kinds)

    def key(self, place: int) -> bytes:
        return bytes(self.keys[place * _BYTES : (place + 1) * _BYTES])

    def place(self, key: bytes) -> int:
        """Return where a run is, -1 where it is not here."""
        if len(self.kinds) > _INDEXED:
            if self._places is None:
                self._places = {self.key(place): place for place in range(len(self))}
            return self._places.get(key, -1)
        at = self.keys.find(key)
        while at > 0 and at % _BYTES:
            at = self.keys.find(key, at + 1)
        return at // _BYTES

    def append(self, key: bytes, kind: int, started: int, ended: int) -> None:
        self.keys += key
        self.kinds.append(kind)
        self.started.append(started)
        self.ended.append(ended)
        if self._places is not None:
            self._places[key] = len(self.kinds) - 1

    def remove(self, place: int) -> None:
        """Put the last run where this one was."""
        removed, last = self.key(place), self.key(len(self) - 1)
        self.keys[place * _BYTES : (place + 1) * _BYTES] = last
        del self.keys[-_BYTES:]
        for column in (self.kinds, self.started, self.ended):
            column[place] = column[-1]
            column.pop()
        if self._places is not None:
            self._places[last] = place
            del self._places[removed]


class _Columns(NamedTuple):
    """Some runs in columns, and what returns the id of the one at a place."""

    key: Callable[[int], _Key]
    kinds: Sequence[int]
    started: Sequence[int]
    ended: Sequence[int]


class _Table:
    """Runs by their ids: where they are MLflow's, in buckets by how they begin."""

    def __init__(self) -> None:
        self._count = 0
        self._bits = 0
        self._buckets = [_Bucket()]
        # Other ids, which no MLflow makes.
        self._texts: dict[str, tuple[int, int, int]] = {}

    def __len__(self) -> int:
        return self._count + len(self._texts)

    def append(self, key: _Key, kind: int, started: int, ended: int) -> None:
        """Add a run that is not here yet."""
        if isinstance(key, str):
            self._texts[key] = (kind, started, ended)
            return
        self._bucket(key).append(key, kind, started, ended)
        self._count += 1
        if self._count > _CROWDED << self._bits and self._bits < _MOST_BITS:
            self._split()

    def get(self, key: _Key) -> tuple[int, int, int] | None:
        """Return kind, start and end of a run."""
        if isinstance(key, str):
            return self._texts.get(key)
        bucket = self._bucket(key)
        if (place := bucket.place(key)) < 0:
            return None
        return bucket.kinds[place], bucket.started[place], bucket.ended[place]

    def remove(self, key: _Key) -> None:
        """Forget a run that is here."""
        if isinstance(key, str):
            del self._texts[key]
            return
        bucket = self._bucket(key)
        bucket.remove(bucket.place(key))
        self._count -= 1

    def columns(self) -> Iterator[_Columns]:
        """Return all runs, some at a time."""
        for bucket in self._buckets:
            yield _Columns(bucket.key, bucket.kinds, bucket.started, bucket.ended)
        if self._texts:
            kinds, started, ended = zip(*self._texts.values(), strict=True)
            yield _Columns(list(self._texts).__getitem__, kinds, started, ended)

    def between(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, int]]:
        """Return id and kind of the runs whose ids are MLflow's and lie between two."""
        for bucket in self._buckets[self._bucket_number(first) : self._bucket_number(last) + 1]:
            for place, kind in enumerate(bucket.kinds):
                if first <= (key := bucket.key(place)) <= last:
                    yield key, kind

    def _bucket(self, key: bytes) -> _Bucket:
        return self._buckets[self._bucket_number(key)]

    def _bucket_number(self, key: bytes) -> int:
        """Return the number of the bucket of ids that begin so."""
        return (key[0] << 8 | key[1]) >> (_MOST_BITS - self._bits)

    def _split(self) -> None:
        """Make 16 buckets of each."""
        before = self._buckets
        self._bits += 4
        self._buckets = []
        for number, bucket in enumerate(before):
            # What was moved takes no memory any more.
            before[number] = _Bucket()
            self._buckets += [_Bucket() for _part in range(16)]
            for place, row in enumerate(zip(bucket.kinds, bucket.started, bucket.ended, strict=True)):
                key = bucket.key(place)
                self._bucket(key).append(key, *row)


class RunCache:
    """All runs of a store."""

    def __init__(self) -> None:
        self.clear()

    def __len__(self) -> int:
        return len(self._idle) + len(self._running)

    def clear(self) -> None:
        """Forget everything."""
        self._idle, self._running = _Table(), _Table()
        self._kinds: list[_Kind] = []
        self._numbers: dict[_Kind, int] = {}
        self._running_kinds: set[int] = set()
        # Numbers of kinds by how lines of PostgreSQL end.
        self._ends: dict[bytes, int] = {}

    def load(self, runs: Iterable[Run]) -> None:
        """Replace everything."""
        self.clear()
        for run in runs:
            self._append(run)

    def add_line(self, line: bytes) -> None:
        """Add a run that is not here yet; this is what the first read of a big store spends its time on.

        Args:
            line: A row of `Queries.runs` as PostgreSQL's command COPY writes it.
        """
        run_id, start, end, rest = line.split(b"\t", 3)
        if (kind := self._ends.get(rest)) is None:
            kind = self._note_end(rest)
        started = _NEVER if start == _NULL else int(start)
        ended = _NEVER if end == _NULL else int(end)
        try:
            key: _Key = unhexlify(run_id)
        except ValueError:
            key = b""
        if len(key) != _BYTES or hexlify(key) != run_id:  # type: ignore[arg-type]  # it is bytes here
            key = _key(_unescaped(run_id))
        (self._running if kind in self._running_kinds else self._idle).append(key, kind, started, ended)

    def apply(self, changes: Mapping[str, Run | None]) -> list[tuple[Run | None, Run | None]]:
        """Take changed runs over, None for those that are gone.

        Returns:
            Each run that is not what it was, before and now.
        """
        known = self.get(changes)
        pairs = [(known.get(run_id), run) for run_id, run in changes.items() if known.get(run_id) != run]
        for old, new in pairs:
            if old is not None:
                (self._running if _runs(old) else self._idle).remove(_key(old.id))
            if new is not None:
                self._append(new)
        return pairs

    def get(self, ids: Iterable[str]) -> dict[str, Run]:
        """Return those of the runs that are known."""
        found: dict[str, Run] = {}
        for run_id in ids:
            if (row := self._row(_key(run_id))) is not None:
                kind, started, ended = row
                found[run_id] = self._run(run_id, kind, started, ended)
        return found

    def gone(self, ids: Iterable[str]) -> list[str]:
        """Return the runs that are remembered but not among those that there are."""
        return self._gone(set(map(_key, ids)))

    def differences(self, runs: Iterable[Run]) -> dict[str, Run | None]:
        """Compare with the runs that there are; return those that changed, None for those that are gone."""
        result: dict[str, Run | None] = {}
        there: set[_Key] = set()
        for run in runs:
            key = _key(run.id)
            there.add(key)
            if self._row(key) != self._packed(run):
                result[run.id] = run
        if len(there) - len(result) < len(self):
            result.update(dict.fromkeys(self._gone(there)))
        return result

    def experiments(self) -> list[int]:
        """Return the experiments that have runs, in order."""
        kinds: set[int] = set()
        for columns in self._columns():
            kinds.update(columns.kinds)
        return sorted({self._kinds[kind].experiment for kind in kinds})

    def labels_between(self, first: str, last: str) -> Iterator[tuple[str, LabelSet, bool]]:
        """Return id, labels and childhood of the runs whose hexadecimal id lies between beginnings."""
        low, high = bytes.fromhex(first.ljust(_DIGITS, "0")), bytes.fromhex(last.ljust(_DIGITS, "f"))
        for table in (self._idle, self._running):
            for key, kind in table.between(low, high):
                yield key.hex(), self._kinds[kind].labels, self._kinds[kind].child

    def totals(self, bounds_ms: Sequence[int], experiment: int | None = None) -> Iterator[StateTotals]:
        """Count runs by experiment, state and bucket of their durations, of one experiment or of all."""
        finished = self._which(lambda kind: kind.status == FINISHED)
        only = None if experiment is None else self._which(lambda kind: kind.experiment == experiment)
        groups: dict[tuple[int, int | None], _Group] = {}
        for columns in self._columns():
            for kind, started, ended in zip(columns.kinds, columns.started, columns.ended, strict=True):
                if only is not None and kind not in only:
                    continue
                bucket, duration = None, 0
                if kind in finished and ended >= started > _NEVER:
                    duration = ended - started
                    bucket = bisect_left(bounds_ms, duration)
                if (group := groups.get((kind, bucket))) is None:
                    group = groups[kind, bucket] = _Group()
                group.runs += 1
                group.duration += duration
                last = started if ended == _NEVER else ended
                if last > group.last:  # noqa: PLR1730  # max() would cost as much as all else here
                    group.last = last
                if _NEVER < started < group.first:
                    group.first = started
        for (number, bucket), group in groups.items():
            kind_ = self._kinds[number]
            first = None if group.first == _ALWAYS else group.first
            yield StateTotals(
                kind_.experiment, kind_.status, kind_.active, kind_.child, bucket,
                group.runs, _time_of(group.last), first, group.duration,
            )  # fmt: skip

    def last_used(self) -> dict[int, int]:
        """Return the latest end, or start without an end, of the active runs by experiment; 0 for none."""
        used = dict.fromkeys(self.experiments(), 0)
        for (experiment, _status), last in self._last_activities(lambda kind: kind.active).items():
            used[experiment] = max(last, used[experiment])
        return used

    def last_activities(self, experiments: Collection[int]) -> dict[tuple[int, str], int]:
        """Return the latest end, or start without an end, of the active runs of experiments by status."""
        return self._last_activities(lambda kind: kind.active and kind.experiment in experiments)

    def running(self, experiment: int) -> tuple[int | None, int | None]:
        """Return when the first and the last run of an experiment started that is running."""
        wanted = self._which(lambda kind: kind.experiment == experiment)
        first, last = _ALWAYS, _NEVER
        for columns in self._running.columns():
            for kind, started, ended in zip(columns.kinds, columns.started, columns.ended, strict=True):
                if kind in wanted:
                    first = min(first, started) if started > _NEVER else first
                    last = max(last, started if ended == _NEVER else ended)
        return None if first == _ALWAYS else first, _time_of(last)

    def running_runs(self, most: int) -> dict[str, int]:
        """Return the experiments of the runs that are running by id, of those that were started last."""
        rows = (
            (started, columns.key, place, kind)
            for columns in self._running.columns()
            for place, (kind, started) in enumerate(zip(columns.kinds, columns.started, strict=True))
        )
        latest = heapq.nlargest(most, rows, key=lambda row: row[0])
        return {_text(key(place)): self._kinds[kind].experiment for _started, key, place, kind in latest}

    def latest_results(self, experiments: Collection[int] | None = None) -> dict[tuple[int, LabelSet], Rank]:
        """Return the rank of the latest run that counts as a result by experiment and labels."""
        results = self._which(
            lambda kind: (
                kind.active and kind.status == FINISHED and (experiments is None or kind.experiment in experiments)
            )
        )
        latest: dict[int, Rank] = {}
        for columns in self._idle.columns():
            for place, kind in enumerate(columns.kinds):
                if kind not in results:
                    continue
                ended = columns.ended[place]
                known = latest.get(kind)
                if known is None or (0 if ended == _NEVER else ended) >= known[0]:
                    rank = (_time_of(ended) or 0, _time_of(columns.started[place]) or 0, _text(columns.key(place)))
                    if known is None or rank > known:
                        latest[kind] = rank
        found: dict[tuple[int, LabelSet], Rank] = {}
        for number, rank in latest.items():
            of = self._kinds[number]
            # Children and others are of one label set.
            found[of.experiment, of.labels] = max(rank, found.get((of.experiment, of.labels), rank))
        return found

    def _gone(self, there: Collection[_Key]) -> list[str]:
        return [
            _text(key)
            for columns in self._columns()
            for place in range(len(columns.kinds))
            if (key := columns.key(place)) not in there
        ]

    def _columns(self) -> Iterator[_Columns]:
        yield from self._idle.columns()
        yield from self._running.columns()

    def _last_activities(self, wanted: Callable[[_Kind], bool]) -> dict[tuple[int, str], int]:
        kinds = self._which(wanted)
        latest: dict[int, int] = {}
        for columns in self._columns():
            for kind, started, ended in zip(columns.kinds, columns.started, columns.ended, strict=True):
                if kind in kinds:
                    last = started if ended == _NEVER else ended
                    if last > latest.get(kind, _NEVER):
                        latest[kind] = last
        found: dict[tuple[int, str], int] = {}
        for number, last in latest.items():
            of = self._kinds[number]
            found[of.experiment, of.status] = max(last, found.get((of.experiment, of.status), last))
        return found

    def _which(self, wanted: Callable[[_Kind], bool]) -> set[int]:
        return {number for number, kind in enumerate(self._kinds) if wanted(kind)}

    def _append(self, run: Run) -> None:
        (self._running if _runs(run) else self._idle).append(_key(run.id), *self._packed(run))

    def _packed(self, run: Run) -> tuple[int, int, int]:
        _id, experiment, status, active, started, ended, child, labels = run
        kind = self._number(_Kind(experiment, status, active, child, labels))
        return kind, _NEVER if started is None else started, _NEVER if ended is None else ended

    def _number(self, kind: _Kind) -> int:
        if (number := self._numbers.get(kind)) is None:
            number = self._numbers[kind] = len(self._kinds)
            self._kinds.append(kind)
            if kind.active and kind.status == RUNNING:
                self._running_kinds.add(number)
        return number

    def _note_end(self, end: bytes) -> int:
        """Return the kind of runs whose lines end so."""
        experiment, status, stage, child, *labels = end.removesuffix(b"\n").split(b"\t")
        kind = _Kind(
            int(experiment),
            "" if status == _NULL else _unescaped(status),
            stage == b"active",
            child == b"t",
            tuple(map(_unescaped, labels)),
        )
        if len(self._ends) >= _MOST_ENDS:
            self._ends.clear()
        number = self._ends[end] = self._number(kind)
        return number

    def _row(self, key: _Key) -> tuple[int, int, int] | None:
        row = self._idle.get(key)
        return self._running.get(key) if row is None else row

    def _run(self, run_id: str, kind: int, started: int, ended: int) -> Run:
        experiment, status, active, child, labels = self._kinds[kind]
        return Run(run_id, experiment, status, active, _time_of(started), _time_of(ended), child, labels)


def _runs(run: Run) -> bool:
    return run.active and run.status == RUNNING


def _time(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _time_of(time: int) -> int | None:
    return None if time == _NEVER else time


def _key(run_id: str) -> _Key:
    """Return a run's id in half its length; MLflow draws 32 hexadecimal digits, but its column takes any text."""
    if len(run_id) == _DIGITS:
        try:
            packed = bytes.fromhex(run_id)
        except ValueError:
            return run_id
        if packed.hex() == run_id:
            return packed
    return run_id


def _text(key: _Key) -> str:
    return key.hex() if isinstance(key, bytes) else key


def _unescaped(field: bytes) -> str:
    """Return a text of a line of PostgreSQL's."""
    if b"\\" in field:
        field = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), field)
    return decode(field)
