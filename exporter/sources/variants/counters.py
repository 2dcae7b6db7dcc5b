"""Counters over tables whose rows may shrink, vanish, or become visible late.

A Prometheus counter must never fall: a fall is taken for a restart, and the whole value counted again. Two parts see
to that. `RowCounter` counts the rows of a table that grows, reading each row once. `Ratchet` passes increases on and
holds still at decreases, for the counts that a row itself holds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable
from dataclasses import dataclass

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.sources.variants.sql import NEWEST

# Rows a query: what takes a few milliseconds.
BATCH = 10_000
# Different texts of one label; further ones are counted as OTHER. A text of free words must not become a series a row.
MOST_NAMES = 50
OTHER = "other"
# Personas that rows are counted by; further ones together. About 1 KB each.
MOST_PERSONAS = 20_000

Key = tuple[str, str, int]


@dataclass(slots=True)
class Sum:
    """Rows of one key, and the seconds they carry."""

    rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What a transaction sees: everything of transactions below `xmin`, nothing of those from `xmax` on."""

    xmin: int
    xmax: int


class RowCounter:
    """Counts the rows of a table by key; each row is read once.

    Rows get their ids in order but become visible in the order of commits, so that a row may turn up below the highest
    id. Rows are therefore settled, and not read again, only when no transaction is left that was under way when the
    highest of them was seen; those above are counted again each time. Rows that are deleted after they were settled
    stay counted. Ids must come from a sequence.

    Args:
        table: Name of the table.

    Attributes:
        sql: Query of rows (two labels, bucket, rows, seconds, highest id) for `after`, `upto` and `rows`; to be set
            before rows are read.
    """

    def __init__(self, table: str, sql: str = "") -> None:
        self._newest = NEWEST.format(table=table)
        self.sql = sql
        self._settled: dict[Key, Sum] = {}
        self._after = 0
        self._candidate: tuple[int, int] | None = None
        self._names: set[str] = set()
        self._personas: set[str] = set()

    def prefer(self, personas: Collection[str]) -> list[str]:
        """Count by these personas if there is still room; return those that are counted together with others."""
        return [persona for persona in personas if persona and not self._persona(persona)]

    def note(self, session: Session, moment: Moment) -> None:
        """Remember the highest id, so that a later `read` can settle up to there."""
        newest = int(session.rows(self._newest)[0][0])
        if newest < self._after:
            # The newest rows were deleted, or the table was emptied and its sequence restarted.
            self._after = newest
            self._candidate = None
        if self._candidate is None:
            self._candidate = (newest, moment.xmax)

    def read(self, session: Session, moment: Moment) -> dict[Key, Sum]:
        """Return the counts of all rows that are visible or were ever settled; of many personas some have none."""
        if self._candidate is not None and moment.xmin >= self._candidate[1]:
            upto = self._candidate[0]
            self._candidate = None
            while self._after < upto:
                highest = self._add(session, self._settled, self._after, upto)
                self._after = upto if highest is None else highest
        self.note(session, moment)
        counts = {key: Sum(item.rows, item.seconds) for key, item in self._settled.items()}
        after: int | None = self._after
        while after is not None:
            after = self._add(session, counts, after, 2**63 - 1)
        return counts

    def _add(self, session: Session, counts: dict[Key, Sum], after: int, upto: int) -> int | None:
        """Count one batch; return its highest id, None when it was the last one."""
        rows = session.rows(self.sql, after=after, upto=upto, rows=BATCH)
        for persona, name, bucket, number, seconds, _highest in sorted(rows, key=lambda row: -row[3]):
            item = counts.setdefault((self._persona(persona or ""), self._known(name or ""), bucket), Sum())
            item.rows += number
            item.seconds += seconds
        if sum(row[3] for row in rows) < BATCH:
            return None
        return max(int(row[5]) for row in rows)

    def _persona(self, persona: str) -> str:
        if persona not in self._personas:
            if len(self._personas) >= MOST_PERSONAS:
                return ""
            self._personas.add(persona)
        return persona

    def _known(self, name: str) -> str:
        if name not in self._names:
            if len(self._names) >= MOST_NAMES:
                return OTHER
            self._names.add(name)
        return name


class Ratchet:
    """Turns totals that may fall into counters that never do.

    A counter follows each increase of its total and ignores each decrease: a total that falls from 100 to 0 and rises
    to 30 is a counter that stays at 100 and rises to 130. One that vanishes and comes back goes on from where it was,
    as long as not more than `capacity` others were touched in between.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._states: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def advance(self, key: Hashable, total: float) -> float:
        """Take in a total and return the counter."""
        last, counter = self._states.pop(key, (0.0, 0.0))
        counter += max(0.0, total - last)
        self._states[key] = (total, counter)
        if len(self._states) > self._capacity:
            self._states.popitem(last=False)
        return counter
