"""Tracks the changes of a store in MySQL or MariaDB, whose rows do not say when they were written.

* Whether a table was written to shows in `information_schema.tables.update_time`, which the server sets when a
  transaction ends. It is a whole second, so what is younger than two may be followed by more. A server that starts
  knows of none: as long as it knows that of no table, each may have been written to.
* Which runs changed shows in sums over the rows, by the first digits of their ids, that the server makes in one scan of
  `runs`: whatever changed in a run, and a run that is gone, shows at once. A big table is scanned in shares, one at
  each refresh.
* Metrics that were written to a run after it was read show in the best values of a slice of the ids: one that is better
  than what is known, or one that is nowhere held any more when all slices were seen. The metrics of the latest runs are
  read again anyhow.
* Params and tags that are labels are compared in slices of the ids.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import override

from ml_monitoring.exporter.sources.mlflow import sql
from ml_monitoring.exporter.sources.mlflow.best import BestMetrics
from ml_monitoring.exporter.sources.mlflow.changes import ChangeTracker, StoreChanges
from ml_monitoring.exporter.sources.mlflow.late_labels import relabelled
from ml_monitoring.exporter.sources.mlflow.reader import Pair, StoreReader
from ml_monitoring.exporter.sources.mlflow.run_cache import RunCache

_SERVER = "select now(), @@hostname, @@port"
_UPTIME = "show global status like 'Uptime'"
_TABLES = """
    select table_name, create_time, update_time from information_schema.tables
    where table_schema = database() and table_name = any(%(tables)s)"""
# The history of metrics is never read.
_WATCHED = tuple(table for table in sql.TABLES if table != "metrics")
_WITH_LATE_CHANGES = ("latest_metrics", "params", "tags")
_MARGIN = datetime.timedelta(seconds=2)
_DIGITS = 3
_PREFIXES = 16**_DIGITS
_PREFIX = re.compile(f"[0-9a-f]{{{_DIGITS}}}")
# Scanning so many runs takes the server some tenths of a second.
_RUNS_A_SHARE = 500_000
# Comparing the best values of so many runs, ten metrics each, takes it 10 to 20 ms. A refresh sees two slices, but one
# where so many runs changed that taking them over costs as much as the other.
_RUNS_A_SLICE = 500
_SLICES_AT_ONCE = 2
_MANY_CHANGES = 50
# A statement for each range would cost more than its rows do.
_RANGES_AT_ONCE = 100
# Beyond any id that is made of letters and digits.
_END = "z" * 32


@dataclass(frozen=True, slots=True)
class StorePosition:
    """Where a store stands.

    Attributes:
        now: The server's time.
        started: When it was started, to a second.
        server: Another value means another server.
        tables: By table when it was made and last written to, as far as that is known.
    """

    now: datetime.datetime
    started: datetime.datetime
    server: tuple[str, int]
    tables: Mapping[str, tuple[datetime.datetime | None, datetime.datetime | None]]

    def written_since(self, before: StorePosition | None, tables: Iterable[str]) -> bool:
        """Tell whether any of the tables may have been written to."""
        if before is None or self.server != before.server or self.started > before.started + _MARGIN:
            return True
        # Some servers that speak like MySQL never know.
        known = any(written for _made, written in self.tables.values())
        return not known or any(self._written(table, before) for table in tables)

    def _written(self, table: str, before: StorePosition) -> bool:
        stamps = self.tables.get(table)
        if stamps != before.tables.get(table):
            return True
        if stamps is None:
            return False
        made, written = stamps
        # Nothing is known of a view; of a table, that nobody wrote to it since the server was started.
        return made is None if written is None else written >= before.now - _MARGIN

    def replaces(self, before: StorePosition) -> bool:
        """Tell whether the tables are others than before, as after a backup was restored."""
        if self.server != before.server:
            # What another server tells of its tables says nothing of these; the sums compare their content.
            return False
        made, made_before = (
            [stamps[0] for table in ("runs", "latest_metrics") if (stamps := position.tables.get(table))]
            for position in (self, before)
        )
        return made != made_before


@dataclass(slots=True)
class _Pass:
    """A pass through the store that looks for late changes.

    Attributes:
        slices: In how many slices it is done.
        known: The best values when it began.
        unheld: Those of them that no run was seen to hold yet.
        slice: What comes next.
    """

    slices: int
    known: Mapping[Pair, float]
    unheld: set[Pair]
    slice: int = 0


class MysqlChangeTracker(ChangeTracker):
    """Tracks the changes of a store in MySQL or MariaDB.

    Args:
        reader: Reads the store.
        runs: The runs as they were at the last refresh.
        best: The best values as they were at the last refresh.
        slices: How many refreshes a pass through the store takes, at least.
    """

    # A column of numbers holds numbers.
    problems: Sequence[str] = ()

    def __init__(self, reader: StoreReader, runs: RunCache, best: BestMetrics, slices: int) -> None:
        self._reader = reader
        self._runs = runs
        self._best = best
        self._slices = slices
        self._position: StorePosition | None = None
        self._previous: StorePosition | None = None
        # By share of the ids, and by the beginnings of ids in it.
        self._sums: list[dict[str, int]] = []
        self._turn = 0
        self._unscanned = 0
        self._late = False
        self._pass: _Pass | None = None

    @property
    @override
    def lost(self) -> bool:
        return self._previous is None or not self._sums or self._here.replaces(self._previous)

    @property
    def _here(self) -> StorePosition:
        assert self._position is not None  # noqa: S101  # set first thing in each refresh
        return self._position

    @override
    def advance(self) -> bool:
        session = self._reader.session
        ((now, host, port),) = session.rows(_SERVER)
        ((_name, uptime),) = session.rows(_UPTIME)
        tables = {name: (made, written) for name, made, written in session.rows(_TABLES, tables=list(_WATCHED))}
        started = now - datetime.timedelta(seconds=int(uptime))
        self._previous, self._position = self._position, StorePosition(now, started, (host, port), tables)
        return self._here.written_since(self._previous, _WATCHED)

    @override
    def restart(self) -> None:
        shares = 2 ** max(0, math.ceil(math.log2(max(1, len(self._runs)) / _RUNS_A_SHARE)))
        self._sums = [{} for _ in range(shares)]
        for share in range(shares):
            self._sums[share] = self._read_sums(share)
        self._turn = self._unscanned = 0
        self._late = False
        self._pass = None

    @override
    def changes(self) -> StoreChanges:
        if self._here.written_since(self._previous, ["runs"]):
            self._unscanned = len(self._sums)
        if self._here.written_since(self._previous, _WITH_LATE_CHANGES):
            self._late = True
        changed: set[str] = set()
        gone: set[str] = set()
        if self._unscanned:
            beginnings = self._scan()
            # Where that many differ, as in another store, it costs less to read everything.
            if len(beginnings) > _PREFIXES // len(self._sums) // 2 or not all(map(_PREFIX.fullmatch, beginnings)):
                return StoreChanges(replaced=True)
            changed, gone = self._compare(beginnings)
        best = self._go_on(changed)
        return StoreChanges(
            runs={**dict.fromkeys(gone), **self._reader.runs(changed)},
            best=frozenset(best),
            registry=self._here.written_since(self._previous, sql.REGISTRY_TABLES),
        )

    @override
    def note_metrics_read(self, runs: Iterable[str]) -> None:
        # A pass compares what is there; it does not look for what is new.
        pass

    def _read_sums(self, share: int) -> dict[str, int]:
        first, last = _ids(share, len(self._sums))
        rows = self._reader.session.rows(self._reader.queries.run_sums, digits=_DIGITS, first=first, last=last)
        return {beginning.lower(): int(total) for beginning, total in rows}

    def _scan(self) -> set[str]:
        """Return the beginnings of ids, in the share that comes next, of which a run is not what it was."""
        share = self._turn
        self._turn = (share + 1) % len(self._sums)
        self._unscanned -= 1
        before, now = self._sums[share], self._read_sums(share)
        self._sums[share] = now
        return {beginning for beginning in before.keys() | now.keys() if before.get(beginning) != now.get(beginning)}

    def _compare(self, beginnings: Iterable[str]) -> tuple[set[str], set[str]]:
        """Return the runs with these beginnings that changed, and those that are gone."""
        changed: set[str] = set()
        gone: set[str] = set()
        remaining = sorted(beginnings)
        while remaining:
            some, remaining = remaining[:_RANGES_AT_ONCE], remaining[_RANGES_AT_ONCE:]
            rows = self._reader.run_rows([_ids(int(beginning, 16), _PREFIXES) for beginning in some])
            known = self._runs.get(row[0] for row in rows)
            for run_id, experiment, status, stage, started, ended in rows:
                run = known.get(run_id)
                now = (experiment, status or "", stage == "active", started, ended)
                if run is None or (run.experiment, run.status, run.active, run.started, run.ended) != now:
                    changed.add(run_id)
            for beginning in some:
                gone |= {run_id for run_id, *_labels in self._runs.labels_between(beginning, beginning)} - known.keys()
        return changed, gone

    def _go_on(self, changed: set[str]) -> set[Pair]:
        """Look for late changes in the next slices; add the runs with others; return the best values that differ."""
        if self._pass is None and self._late:
            self._late = False
            slices = max(self._slices, math.ceil(len(self._runs) / _RUNS_A_SLICE))
            known = self._best.pairs()
            self._pass = _Pass(slices, known, set(known))
        work = self._pass
        if work is None:
            return set()
        better: set[Pair] = set()
        at_once = 1 if len(changed) >= _MANY_CHANGES else min(_SLICES_AT_ONCE, math.ceil(work.slices / self._slices))
        for number in range(work.slice, min(work.slice + at_once, work.slices)):
            changed |= relabelled(self._reader, self._runs, number, work.slices)
            better |= self._better(work, number)
        work.slice += at_once
        if work.slice < work.slices:
            return better
        self._pass = None
        # What became better meanwhile is held by a run of a slice that was seen before.
        now = self._best.pairs()
        return better | {pair for pair in work.unheld if now.get(pair) == work.known[pair]}

    def _better(self, work: _Pass, number: int) -> set[Pair]:
        """Return which values of a pass's slice are better than what is known, and note which known ones it holds."""
        better: set[Pair] = set()
        for experiment, values in self._reader.best_between(*_ids(number, work.slices)).items():
            for key, value in values.items():
                if self._best.improves(experiment, key, value):
                    better.add((experiment, key))
                if work.known.get((experiment, key)) == value:
                    work.unheld.discard((experiment, key))
        return better


def _ids(number: int, parts: int) -> tuple[str, str]:
    """Return where a part of the ids begins, and where the next one does."""
    low, high = (16**4 * step // parts for step in (number, number + 1))
    return f"{low:04x}" if low else "", f"{high:04x}" if high < 16**4 else _END
