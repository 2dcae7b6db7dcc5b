"""The history: alerts with their beginning and end, who was notified when, and totals for the metrics."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from math import inf
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

from ml_monitoring.alerting.log import database as files
from ml_monitoring.alerting.log.earlier import journal_files, lines_since, parse_line
from ml_monitoring.alerting.log.notification import UNKNOWN, Notification, NotificationError, NotifiedAlert
from ml_monitoring.alerting.log.totals import NamedTotals, Total, add, add_missing_starts, raise_start, read_totals
from ml_monitoring.exporter.catalog import NOTIFY_BUCKETS, RESOLVE_BUCKETS
from ml_monitoring.exporter.logs import event

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_DAY: Final = 86_400.0
# Rows that are removed in one transaction, between which notifications are taken.
_PRUNED_AT_ONCE: Final = 1_000
_READ_AT_ONCE: Final = 200

_PRUNE_NOTIFICATIONS = f"""
DELETE FROM notifications WHERE id IN
(SELECT id FROM notifications WHERE received < ? ORDER BY received LIMIT {_PRUNED_AT_ONCE})
"""  # noqa: S608  # a number of ours
_PRUNE_ALERTS = tuple(
    f"DELETE FROM {table} WHERE (fingerprint, starts) IN"  # noqa: S608  # names and a number of ours
    f" (SELECT fingerprint, starts FROM alerts WHERE told < ? ORDER BY told LIMIT {_PRUNED_AT_ONCE})"
    for table in ("told", "links", "last_texts", "alerts")
)
# That it began again: it had ended, at a moment that nobody was notified of, as in a silence.
_AGAIN = "SELECT 1 FROM alerts AS later WHERE later.fingerprint = alerts.fingerprint AND later.starts > alerts.starts"
_FIRES = f"ends IS NULL AND NOT EXISTS ({_AGAIN})"
_COLUMNS = (
    "fingerprint, starts, ends, labels, summary, description,"
    " (SELECT json_group_object(receiver, json_array(first, times)) FROM told"
    "  WHERE told.fingerprint = alerts.fingerprint AND told.starts = alerts.starts),"
    " (SELECT links FROM links WHERE links.fingerprint = alerts.fingerprint AND links.starts = alerts.starts),"
    " (SELECT last_texts.description FROM last_texts"
    "  WHERE last_texts.fingerprint = alerts.fingerprint AND last_texts.starts = alerts.starts), told"
)
# Where an alert leads, by the annotation that says it.
_LINKS: Final = {"runbook": "runbook_url", "dashboard": "dashboard_url", "logs": "logs_url"}
_LONGEST_LINK: Final = 2_000


class AlertLog:
    """Keeps notifications in a database; what `record` returned from is on disk.

    A damaged file is replaced, while the log runs too. With a full disk it opens later.

    Args:
        directory: Folder of the database; made if needed.
        retention: Seconds after which a notification is forgotten, and a name that was not heard of since.
        duplicate_window: Seconds within which the same notification is one that was sent again for want of an answer.
        reserved: Labels of totals that are kept however many others there are.

    Raises:
        OSError: The folder cannot be used.
        sqlite3.Error: The database cannot be used.
    """

    def __init__(
        self, directory: Path, *, retention: float, duplicate_window: float, reserved: Iterable[tuple[str, ...]] = ()
    ) -> None:
        self._directory = directory
        self._path = directory / "history.sqlite"
        self._retention = retention
        self._window = duplicate_window
        self._totals = NamedTotals(reserved)
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: list[int] = []
        self._alerts = 0
        try:
            with self._lock:
                self._database()
        except sqlite3.Error as error:
            self._close()
            if not files.may_pass(error):
                raise
            event(_log, logging.ERROR, "the alert log cannot be opened yet", reason=error)

    def record(self, notifications: Sequence[Notification], now: float) -> int:
        """Keep notifications, all or none; when this returns they survive a crash. Returns how many were new.

        Raises:
            OSError: They could not be written.
            sqlite3.Error: The same.
        """
        return self._write(lambda database: self._record(database, notifications, now))

    def prune(self, now: float) -> None:
        """Forget what is older than the retention.

        Raises:
            OSError: It could not be removed.
            sqlite3.Error: The same.
        """
        before = (now - self._retention,)
        while self._write(lambda database: database.execute(_PRUNE_NOTIFICATIONS, before).rowcount):
            pass
        while self._write(lambda database: self._remove_alerts(database, before)):
            pass
        self._write(lambda database: self._totals.prune(database, before))

    def check(self, now: float) -> None:
        """Write something.

        Raises:
            OSError: That is not possible.
            sqlite3.Error: The same.
        """
        self._write(lambda database: database.execute("REPLACE INTO checked VALUES (1, ?)", (now,)))

    def totals(self) -> list[Total]:
        """Return every total, and the number of alerts in the history.

        Raises:
            OSError: They cannot be read.
            sqlite3.Error: The same.
        """
        return [*self._read(read_totals), Total("alerts", (), self._alerts)]

    def history(self, *, since: float, limit: int, until: float = inf, **equal: str) -> list[dict[str, Any]]:
        """Return alerts that fired since a moment, newest first.

        Args:
            since: Seconds of the Unix epoch; alerts that ended before are left out.
            until: The same; alerts that began later are left out.
            limit: At most so many.
            equal: Values of `alertname`, `severity`, `team` that they must have.

        Raises:
            OSError: They cannot be read.
            sqlite3.Error: The same.
        """
        conditions = " AND starts <= ?" + "".join(f" AND {column} = ?" for column in equal)
        # Apart: each has an index that gives few rows, however long the history is.
        open_then = f"ends IS NULL AND NOT EXISTS ({_AGAIN} AND later.starts < ?)"
        parts = ("starts >= ?", f"starts < ? AND (ends >= ? OR {open_then})")

        def read(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
            rows: list[tuple[Any, ...]] = []
            for part in parts:
                query = f"SELECT {_COLUMNS}, {_FIRES} FROM alerts WHERE {part}{conditions} ORDER BY starts DESC LIMIT ?"  # noqa: S608
                moments = (since,) * part.count("?")
                rows += database.execute(query, (*moments, until, *equal.values(), limit - len(rows)))
            return rows

        return [
            {
                "fingerprint": fingerprint,
                "starts": starts,
                "ends": ends,
                "fires": bool(fires),
                "last_notified": last,
                "labels": json.loads(labels),
                "summary": summary,
                "description": description,
                "last_description": said,
                "notified": {
                    receiver: {"first": first, "times": times} for receiver, (first, times) in json.loads(told).items()
                },
                "links": json.loads(links or "{}"),
            }
            for fingerprint, starts, ends, labels, summary, description, told, links, said, last, fires in self._read(
                read
            )
        ]

    def damaged_files(self) -> list[Path]:
        """Return the damaged files that are kept."""
        return files.damaged_files(self._directory)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            with closing(files.reader(self._path)) as database:
                return read(database)
        except sqlite3.Error as error:
            if not files.is_damage(error):
                raise
        with self._lock:
            self._close()
            self._database()
        with closing(files.reader(self._path)) as database:
            return read(database)

    def _write(self, change: Callable[[sqlite3.Connection], _T]) -> _T:
        with self._lock:
            try:
                return self._change(change)
            except sqlite3.Error as error:
                if not files.is_damage(error):
                    raise
            # Opening it again replaces it.
            self._close()
            return self._change(change)

    def _change(self, change: Callable[[sqlite3.Connection], _T]) -> _T:
        database = self._database()
        names, alerts = self._totals.names, self._alerts
        try:
            with files.transaction(database):
                return change(database)
        except BaseException:
            self._totals.names, self._alerts = names, alerts
            raise

    def _database(self) -> sqlite3.Connection:
        """Return the connection, to the files that are there now: one that was moved away keeps nothing."""
        if self._connection is not None and self._inodes() != self._opened:
            event(_log, logging.ERROR, "the file of the alert log was taken away", file=self._path)
            self._close()
        if self._connection is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._connection = database = files.connect(self._path)
            self._take_over(database)
            with files.transaction(database):
                self._totals.load(database, time.time())
                # Now there is a write-ahead log.
                database.execute("REPLACE INTO checked VALUES (1, ?)", (time.time(),))
            (self._alerts,) = database.execute("SELECT count(*) FROM alerts").fetchone()
            self._opened = self._inodes()
        return self._connection

    def _inodes(self) -> list[int]:
        """Return which files there are: that of the database and its log."""
        found = []
        for path in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            try:
                found.append(path.stat().st_ino)
            except FileNotFoundError:
                found.append(0)
        return found

    def _record(self, database: sqlite3.Connection, notifications: Sequence[Notification], now: float) -> int:
        seen: set[str] = set()
        new = [one for one in notifications if not self._is_duplicate(database, one, seen)]
        for notification in new:
            self._insert(database, notification)
        if len(new) < len(notifications):
            add(database, {"duplicates": len(notifications) - len(new)}, now)
        return len(new)

    def _remove_alerts(self, database: sqlite3.Connection, before: tuple[float]) -> int:
        for statement in _PRUNE_ALERTS:
            removed = database.execute(statement, before).rowcount
        self._alerts -= removed
        return removed

    def _is_duplicate(self, database: sqlite3.Connection, notification: Notification, seen: set[str]) -> bool:
        digest = notification.digest
        if digest in seen:
            return True
        seen.add(digest)
        found = database.execute(
            "SELECT 1 FROM notifications WHERE digest = ? AND received > ? LIMIT 1",
            (digest, notification.received - self._window),
        )
        return found.fetchone() is not None

    def _take_over(self, database: sqlite3.Connection) -> None:
        """Take over what earlier versions kept: a journal that may be ahead, and no moment of the last start."""
        positions: dict[str, int] = {}
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'position'").fetchone():
            # One for all files: those before it were read.
            for file, byte in database.execute("SELECT file, byte FROM position"):
                older = (path for path in journal_files(self._directory) if path.name < file)
                positions |= {path.name: path.stat().st_size for path in older} | {file: byte}
        positions |= dict(database.execute("SELECT file, byte FROM positions"))
        for path in journal_files(self._directory):
            offset = positions.get(path.name, 0)
            found: list[Notification] = []
            for line, behind in lines_since(path, offset):
                offset = behind
                try:
                    found.append(parse_line(line))
                except NotificationError as error:
                    event(_log, logging.WARNING, "a line of the journal is left out", file=path.name, reason=error)
                if len(found) >= _READ_AT_ONCE:
                    self._take_over_lines(database, found, path.name, offset)
                    found = []
            self._take_over_lines(database, found, path.name, offset)
            path.unlink()
            database.execute("DELETE FROM positions WHERE file = ?", (path.name,))
            event(_log, logging.INFO, "a journal of an earlier version was taken over", file=path.name)
        database.execute("DROP TABLE IF EXISTS position")
        with files.transaction(database):
            add_missing_starts(database)

    def _take_over_lines(
        self, database: sqlite3.Connection, found: Sequence[Notification], file: str, offset: int
    ) -> None:
        with files.transaction(database):
            for notification in found:
                self._insert(database, notification)
            database.execute("REPLACE INTO positions VALUES (?, ?)", (file, offset))

    def _insert(self, database: sqlite3.Connection, notification: Notification) -> None:
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
        whose = (notification.receiver, notification.status)
        self._totals.add(database, {"notifications": 1}, whose, notification.received)
        if notification.left_out:
            add(database, {"left_out": notification.left_out}, notification.received)
        for alert in notification.alerts:
            self._insert_alert(database, alert, notification)

    def _insert_alert(self, database: sqlite3.Connection, alert: NotifiedAlert, notification: Notification) -> None:
        key = (alert.fingerprint, alert.starts)
        who = tuple(alert.labels.get(name, "") for name in ("alertname", "severity", "team"))
        known = database.execute(
            "SELECT ends, description FROM alerts WHERE fingerprint = ? AND starts = ?", key
        ).fetchone()
        texts = (alert.annotations.get("summary", ""), alert.annotations.get("description", ""))
        database.execute(
            "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint, starts) DO UPDATE SET"
            " ends = coalesce(excluded.ends, ends), told = excluded.told,"
            " description = CASE description WHEN '' THEN excluded.description ELSE description END",
            (*key, alert.ends, *who, json.dumps(dict(alert.labels)), *texts, notification.received),
        )
        database.execute(
            "INSERT INTO told VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
            (*key, notification.receiver, notification.received),
        )
        # What was said at first stays; values of the end are those of an alert that is over.
        if known is not None and known[1] == texts[1]:
            database.execute("DELETE FROM last_texts WHERE fingerprint = ? AND starts = ?", key)
        elif known is not None and known[1] and texts[1]:
            database.execute("REPLACE INTO last_texts VALUES (?, ?, ?)", (*key, texts[1]))
        if links := _links(alert.annotations):
            database.execute("REPLACE INTO links VALUES (?, ?, ?)", (*key, json.dumps(links)))
        counts: dict[str, float] = {}
        if known is None:
            self._alerts += 1
            counts["starts"] = 1
            if alert.starts != UNKNOWN:
                counts |= _took("notified", notification.received - alert.starts, NOTIFY_BUCKETS)
        if alert.ends is not None and (known is None or known[0] is None) and alert.starts != UNKNOWN:
            counts |= _took("resolved", alert.ends - alert.starts, RESOLVE_BUCKETS)
        has_totals = bool(counts) and self._totals.add(database, counts, who, notification.received)
        # What is to begin tomorrow did not begin.
        if has_totals and UNKNOWN < alert.starts < notification.received + _DAY:
            raise_start(database, who, alert.starts, notification.received)


def _links(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses that an alert leads to; anybody may post something else."""
    found = {name: annotations.get(annotation, "") for name, annotation in _LINKS.items()}
    return {
        name: address
        for name, address in found.items()
        if address.startswith(("http://", "https://")) and len(address) <= _LONGEST_LINK
    }


def _took(what: str, seconds: float, buckets: Sequence[float]) -> dict[str, float]:
    seconds = max(0.0, seconds)
    return {f"{what}_{sum(seconds > bound for bound in buckets)}": 1, f"{what}_seconds": seconds}
