"""The history in SQLite: alerts with their beginning and end, who was notified when, and totals for the metrics."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from ml_monitoring.alerting.log.journal import Journal, JournalPosition
from ml_monitoring.alerting.log.notification import Notification, NotificationError, NotifiedAlert, parse_line
from ml_monitoring.exporter.catalog import RESOLVE_BUCKETS
from ml_monitoring.exporter.logs import event

_log = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE IF NOT EXISTS notifications (
    id INTEGER PRIMARY KEY, received REAL NOT NULL, receiver TEXT NOT NULL, status TEXT NOT NULL,
    alerts INTEGER NOT NULL, digest TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS notifications_digest ON notifications (digest, received);
CREATE INDEX IF NOT EXISTS notifications_received ON notifications (received);
CREATE TABLE IF NOT EXISTS alerts (
    fingerprint TEXT NOT NULL, starts REAL NOT NULL, ends REAL, alertname TEXT NOT NULL, severity TEXT NOT NULL,
    team TEXT NOT NULL, labels TEXT NOT NULL, summary TEXT NOT NULL, description TEXT NOT NULL, told REAL NOT NULL,
    PRIMARY KEY (fingerprint, starts)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alerts_starts ON alerts (starts);
CREATE TABLE IF NOT EXISTS told (
    fingerprint TEXT NOT NULL, starts REAL NOT NULL, receiver TEXT NOT NULL, first REAL NOT NULL,
    times INTEGER NOT NULL, PRIMARY KEY (fingerprint, starts, receiver)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
    metric TEXT NOT NULL, labels TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (metric, labels)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (file TEXT PRIMARY KEY, byte INTEGER NOT NULL) WITHOUT ROWID;
"""
_ADD = """
INSERT INTO totals VALUES (?, ?, ?) ON CONFLICT (metric, labels) DO UPDATE SET value = value + excluded.value
"""
_PRUNE = (
    "DELETE FROM notifications WHERE received < ?1",
    "DELETE FROM alerts WHERE told < ?1",
    "DELETE FROM told WHERE NOT EXISTS (SELECT 1 FROM alerts AS a"
    " WHERE a.fingerprint = told.fingerprint AND a.starts = told.starts)",
)


@dataclass(frozen=True, slots=True)
class Total:
    """A number that only grows, kept through restarts and retention."""

    metric: str
    labels: tuple[str, ...]
    value: float


class AlertLog:
    """Keeps notifications: first in the journal, then in SQLite, which is brought up to the journal at the start.

    Args:
        directory: Folder for the journal and the database.
        retention: Seconds after which a notification is forgotten.
        duplicate_window: Seconds within which the same notification is one that was sent again for want of an answer.

    Raises:
        OSError: The folder cannot be used.
        sqlite3.Error: The database cannot be used.
    """

    def __init__(self, directory: Path, *, retention: float, duplicate_window: float) -> None:
        self._journal = Journal(directory)
        self._path = directory / "history.sqlite"
        self._retention = retention
        self._window = duplicate_window
        self._lock = Lock()
        # The journal is what survives; losing SQLite's last moments to a power cut costs a replay.
        self._database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_TABLES)
        self._behind = True
        with self._lock:
            self._take_over()
            self._catch_up()

    def record(self, notifications: Sequence[Notification], now: float) -> int:
        """Keep notifications, all or none; when this returns they survive a crash. Returns how many were new.

        Raises:
            OSError: They could not be written.
            sqlite3.Error: The same.
        """
        with self._lock:
            if self._behind:
                self._catch_up()
            seen: set[str] = set()
            new = [one for one in notifications if not self._is_duplicate(one, seen)]
            duplicates = len(notifications) - len(new)
            position = self._journal.append([one.line for one in new], now) if new else None
            # From here on they count even if SQLite fails: the next call catches up.
            self._behind = True
            self._apply(new, [position] if position else [], duplicates)
            self._behind = False
            return len(new)

    def prune(self, now: float) -> None:
        """Forget what is older than the retention."""
        with self._lock:
            dropped = self._journal.drop_before(now - self._retention)
            with self._transaction() as database:
                database.executemany("DELETE FROM positions WHERE file = ?", [(name,) for name in dropped])
                for statement in _PRUNE:
                    database.execute(statement, (now - self._retention,) if "?1" in statement else ())

    def totals(self) -> list[Total]:
        """Return every total, and the number of alerts in the history."""
        with closing(self._reader()) as database:
            rows = database.execute("SELECT metric, labels, value FROM totals ORDER BY metric, labels").fetchall()
            (alerts,) = database.execute("SELECT count(*) FROM alerts").fetchone()
            starts = database.execute("SELECT alertname, severity, team, max(starts) FROM alerts GROUP BY 1, 2, 3")
            return [
                *(Total(metric, tuple(json.loads(labels)), value) for metric, labels, value in rows),
                *(Total("last_start", (name, severity, team), at) for name, severity, team, at in starts),
                Total("alerts", (), alerts),
            ]

    def history(self, *, since: float, limit: int, **equal: str) -> list[dict[str, Any]]:
        """Return alerts that fired since a moment, newest first.

        Args:
            since: Seconds of the Unix epoch; alerts that ended before are left out.
            limit: At most so many.
            equal: Values of `alertname`, `severity`, `team` that they must have.
        """
        conditions = ["(ends IS NULL OR ends >= ?)", *(f"{column} = ?" for column in equal)]
        query = (
            "SELECT fingerprint, starts, ends, labels, summary, description,"  # noqa: S608  # names of columns only
            " (SELECT json_group_object(receiver, json_array(first, times)) FROM told"
            "  WHERE told.fingerprint = alerts.fingerprint AND told.starts = alerts.starts)"
            f" FROM alerts WHERE {' AND '.join(conditions)} ORDER BY starts DESC LIMIT ?"
        )
        with closing(self._reader()) as database:
            rows = database.execute(query, (since, *equal.values(), limit)).fetchall()
        return [
            {
                "fingerprint": fingerprint,
                "starts": starts,
                "ends": ends,
                "labels": json.loads(labels),
                "summary": summary,
                "description": description,
                "notified": {
                    receiver: {"first": first, "times": times} for receiver, (first, times) in json.loads(told).items()
                },
            }
            for fingerprint, starts, ends, labels, summary, description, told in rows
        ]

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def _reader(self) -> sqlite3.Connection:
        # Of its own, so that a long answer does not hold up the writer.
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)

    def _is_duplicate(self, notification: Notification, seen: set[str]) -> bool:
        digest = notification.digest
        if digest in seen:
            return True
        seen.add(digest)
        found = self._database.execute(
            "SELECT 1 FROM notifications WHERE digest = ? AND received > ? LIMIT 1",
            (digest, notification.received - self._window),
        )
        return found.fetchone() is not None

    def _take_over(self) -> None:
        """Turn the one position of earlier versions, before which everything was read, into one for each file."""
        if not self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'position'").fetchone():
            return
        read = dict(self._database.execute("SELECT file, byte FROM position"))
        read |= {name: size for name, size in self._journal.sizes().items() if name < max(read, default="")}
        with self._transaction() as database:
            database.executemany("REPLACE INTO positions VALUES (?, ?)", read.items())
            database.execute("DROP TABLE position")

    def _catch_up(self) -> None:
        """Apply what is in the journal and not in SQLite."""
        offsets = dict(self._database.execute("SELECT file, byte FROM positions"))
        found: list[Notification] = []
        last: dict[str, JournalPosition] = {}
        for line, behind in self._journal.since(offsets):
            last[behind.file] = behind
            try:
                found.append(parse_line(line))
            except NotificationError as error:
                event(_log, logging.WARNING, "a line of the journal is left out", file=behind.file, reason=error)
        if last:
            self._apply(found, last.values(), 0)
            event(_log, logging.INFO, "the history was brought up to the journal", notifications=len(found))
        self._behind = False

    def _apply(
        self, notifications: Iterable[Notification], positions: Iterable[JournalPosition], duplicates: int
    ) -> None:
        with self._transaction() as database:
            for notification in notifications:
                self._insert(notification)
            if duplicates:
                database.execute(_ADD, ("duplicates", "[]", duplicates))
            for position in positions:
                database.execute("REPLACE INTO positions VALUES (?, ?)", (position.file, position.offset))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the database, to be changed as a whole or not at all."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _insert(self, notification: Notification) -> None:
        database = self._database
        database.execute(
            "INSERT INTO notifications (received, receiver, status, alerts, digest) VALUES (?, ?, ?, ?, ?)",
            (
                notification.received,
                notification.receiver,
                notification.status,
                len(notification.alerts),
                notification.digest,
            ),
        )
        labels = json.dumps([notification.receiver, notification.status])
        database.execute(_ADD, ("notifications", labels, 1))
        for alert in notification.alerts:
            self._insert_alert(alert, notification)

    def _insert_alert(self, alert: NotifiedAlert, notification: Notification) -> None:
        database = self._database
        key = (alert.fingerprint, alert.starts)
        who = tuple(alert.labels.get(name, "") for name in ("alertname", "severity", "team"))
        known = database.execute("SELECT ends FROM alerts WHERE fingerprint = ? AND starts = ?", key).fetchone()
        texts = (alert.annotations.get("summary", ""), alert.annotations.get("description", ""))
        database.execute(
            "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint, starts) DO UPDATE SET"
            " ends = coalesce(excluded.ends, ends), told = excluded.told, description = excluded.description",
            (*key, alert.ends, *who, json.dumps(dict(alert.labels)), *texts, notification.received),
        )
        database.execute(
            "INSERT INTO told VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
            (*key, notification.receiver, notification.received),
        )
        labels = json.dumps(who)
        if known is None:
            database.execute(_ADD, ("starts", labels, 1))
        if alert.ends is not None and (known is None or known[0] is None):
            took = max(0.0, alert.ends - alert.starts)
            bucket = sum(took > bound for bound in RESOLVE_BUCKETS)
            database.execute(_ADD, (f"resolved_{bucket}", labels, 1))
            database.execute(_ADD, ("resolved_seconds", labels, took))
