"""Totals for the metrics of the alert log: numbers that only grow, by names of alerts and receivers, up to so many."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# Names of alerts and of receivers that have totals, beside those of the project: anybody can make some up.
_MAX_NAMES: Final = 500
_MAX_LENGTH: Final = 200

_ADD = """
INSERT INTO totals VALUES (?, ?, ?, ?) ON CONFLICT (metric, labels) DO UPDATE
SET value = value + excluded.value, seen = excluded.seen
"""
_RAISE = """
INSERT INTO totals VALUES ('last_start', ?, ?, ?) ON CONFLICT (metric, labels) DO UPDATE
SET value = max(value, excluded.value), seen = excluded.seen
"""
# All that is said of a name goes at once: a histogram without some of its buckets would count backwards.
_PRUNE = """
DELETE FROM totals WHERE labels IN (SELECT labels FROM totals WHERE labels != '[]' GROUP BY labels HAVING max(seen) < ?)
"""


@dataclass(frozen=True, slots=True)
class Total:
    """A number that only grows, kept through restarts and for as long as its name is heard of."""

    metric: str
    labels: tuple[str, ...]
    value: float


class NamedTotals:
    """Adds to totals by name, of which only so many are kept.

    Args:
        reserved: Names that are kept however many others there are.

    Attributes:
        names: Those that have totals; to be set back where a change is not kept.
    """

    def __init__(self, reserved: Iterable[tuple[str, ...]]) -> None:
        self._reserved = frozenset(reserved)
        self.names: frozenset[tuple[str, ...]] = frozenset()

    def load(self, database: sqlite3.Connection, now: float) -> None:
        """Read which names there are, after removing those beyond the limit, which earlier versions did not have."""
        # The newest stay.
        rows = database.execute(
            "SELECT labels FROM totals WHERE labels != '[]' GROUP BY labels ORDER BY max(seen) DESC"
        )
        made_up = [labels for (labels,) in rows if tuple(json.loads(labels)) not in self._reserved]
        dropped = made_up[_MAX_NAMES:]
        database.executemany("DELETE FROM totals WHERE labels = ?", ((labels,) for labels in dropped))
        if dropped:
            add(database, {"names_dropped": len(dropped)}, now)
        self._read_names(database)

    def add(self, database: sqlite3.Connection, counts: Mapping[str, float], labels: Sequence[str], now: float) -> bool:
        """Add to totals of a name; return whether it has some: beyond so many it is one that was made up."""
        name = _name(labels)
        if name not in self.names and name not in self._reserved:
            if len(self.names - self._reserved) >= _MAX_NAMES:
                add(database, {"names_dropped": 1}, now)
                return False
            self.names |= {name}
        add(database, counts, now, name)
        return True

    def prune(self, database: sqlite3.Connection, before: tuple[float]) -> None:
        """Remove the totals of names that were not heard of since a moment."""
        database.execute(_PRUNE, before)
        self._read_names(database)

    def _read_names(self, database: sqlite3.Connection) -> None:
        rows = database.execute("SELECT DISTINCT labels FROM totals WHERE labels != '[]'")
        self.names = frozenset(tuple(json.loads(labels)) for (labels,) in rows)


def read_totals(database: sqlite3.Connection) -> list[Total]:
    """Return every total."""
    rows = database.execute("SELECT metric, labels, value FROM totals ORDER BY metric, labels")
    return [Total(metric, tuple(json.loads(labels)), value) for metric, labels, value in rows]


def add(database: sqlite3.Connection, counts: Mapping[str, float], now: float, name: tuple[str, ...] = ()) -> None:
    """Add to totals, of no name by default."""
    labels = json.dumps(name)
    database.executemany(_ADD, [(metric, labels, value, now) for metric, value in counts.items()])


def raise_start(database: sqlite3.Connection, who: Sequence[str], at: float, now: float) -> None:
    """Keep when an alert began last, by its name, severity and team."""
    database.execute(_RAISE, (json.dumps(_name(who)), at, now))


def add_missing_starts(database: sqlite3.Connection) -> None:
    """Keep when alerts began last, where an earlier version did not."""
    if database.execute("SELECT 1 FROM totals WHERE metric = 'last_start' LIMIT 1").fetchone():
        return
    last: dict[tuple[str, ...], float] = {}
    for *who, at in database.execute("SELECT alertname, severity, team, starts FROM alerts"):
        name = _name(who)
        if name in last or len(last) < _MAX_NAMES:
            last[name] = max(at, last.get(name, at))
    for name, at in last.items():
        raise_start(database, name, at, at)


def _name(labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(label[:_MAX_LENGTH] for label in labels)
