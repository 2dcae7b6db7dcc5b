"""The alert log's one file, a database of SQLite: opened so that a commit is on disk, replaced when it is damaged."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.logs import event

_log = logging.getLogger(__name__)

_TABLES: Final = """
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
CREATE INDEX IF NOT EXISTS alerts_ends ON alerts (ends);
CREATE INDEX IF NOT EXISTS alerts_told ON alerts (told);
CREATE TABLE IF NOT EXISTS told (
    fingerprint TEXT NOT NULL, starts REAL NOT NULL, receiver TEXT NOT NULL, first REAL NOT NULL,
    times INTEGER NOT NULL, PRIMARY KEY (fingerprint, starts, receiver)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (
    fingerprint TEXT NOT NULL, starts REAL NOT NULL, links TEXT NOT NULL, PRIMARY KEY (fingerprint, starts)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last_texts (
    fingerprint TEXT NOT NULL, starts REAL NOT NULL, description TEXT NOT NULL, PRIMARY KEY (fingerprint, starts)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
    metric TEXT NOT NULL, labels TEXT NOT NULL, value REAL NOT NULL, seen REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (metric, labels)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checked (id INTEGER PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS positions (file TEXT PRIMARY KEY, byte INTEGER NOT NULL) WITHOUT ROWID;
"""
# What is copied out of a damaged file, by the order in which it can be read from both ends.
_KEYS: Final = {
    "notifications": "id",
    "alerts": "fingerprint {0}, starts",
    "told": "fingerprint {0}, starts {0}, receiver",
    "links": "fingerprint {0}, starts",
    "last_texts": "fingerprint {0}, starts",
    "totals": "metric {0}, labels",
    "positions": "file",
}
_JSON: Final = frozenset({"labels", "links"})
# What can only be wrong with constant SQL is that tables are not those that were made here.
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_RECOVERED: Final = ".recovered"


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Make the folder if needed, and keep other alert logs from it meanwhile: each would count for itself.

    Raises:
        ConfigError: Another one uses it.
        OSError: It cannot be used.
    """
    directory.mkdir(parents=True, exist_ok=True)
    # Of the folder itself, as nothing can be written into it while the disk is full.
    lock = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = f"--directory: {directory} is in use by an alert log that runs: give each a folder of its own"
            raise ConfigError([problem]) from None
        except OSError as error:
            # Network file systems that cannot lock folders.
            event(_log, logging.WARNING, "the folder of the alert log cannot be locked", reason=error.strerror)
        yield
    finally:
        os.close(lock)


def is_damage(error: BaseException) -> bool:
    """Tell whether an error says that the file is damaged, no database, or not one of the alert log's."""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) in _DAMAGE


def may_pass(error: BaseException) -> bool:
    """Tell whether an error can be over by itself, as that of a full disk."""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) in _NO_ROOM


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that writes, to a file that was checked and has all tables.

    A damaged file is kept beside its successor, which gets what can be read of it.

    Raises:
        OSError: The file cannot be used.
        sqlite3.Error: The same.
    """
    for suffix in ("", "-wal", "-shm", "-journal", _RECOVERED):
        file = path.with_name(path.name + suffix)
        if file.exists() and not file.is_file():
            raise OSError(f"{file} is no file")
    _finish_replacement(path)
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        _replace(path, str(error))
    return _open(path)


def reader(path: Path) -> sqlite3.Connection:
    """Return a connection of its own that only reads, so that a long answer does not hold up the writer."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    _bound(connection)
    return connection


def damaged_files(directory: Path) -> list[Path]:
    """Return the damaged files that are kept."""
    return sorted(path for path in directory.glob("*.damaged-*") if not path.name.endswith(("-wal", "-shm")))


def _code(error: sqlite3.DatabaseError) -> int:
    # Errors that Python raises by itself have none.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _bound(connection: sqlite3.Connection) -> None:
    """Let a connection take little memory, and no temporary file: the root of a container is read-only."""
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -4096")
    connection.execute("PRAGMA mmap_size = 0")
    # What a disk or a memory changed may be no text at all, which must not cost all else.
    connection.text_factory = lambda value: value.decode("utf-8", "replace")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        _bound(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        # A commit has returned when it is on disk: that is what is acknowledged.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 8388608")
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise _damage(answer)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(totals)")]
        if columns and "seen" not in columns:
            connection.execute("ALTER TABLE totals ADD COLUMN seen REAL NOT NULL DEFAULT 0")
        connection.executescript(_TABLES)
        _check_contents(connection)
        # Of earlier versions, which did not note it.
        connection.execute("UPDATE totals SET seen = ? WHERE seen = 0", (time.time(),))
    except BaseException:
        connection.close()
        raise
    return connection


def _damage(reason: str) -> sqlite3.DatabaseError:
    damage = sqlite3.DatabaseError(reason)
    damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return damage


def _check_contents(connection: sqlite3.Connection) -> None:
    """Find what SQLite takes for sound: columns and values that are not the alert log's.

    Raises:
        sqlite3.DatabaseError: There are some.
    """
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(_TABLES)
        expected = {table: _columns(made, table) for table in _KEYS}
    for table, columns in expected.items():
        if [column[:2] for column in _columns(connection, table)] != [column[:2] for column in columns]:
            raise _damage(f"the columns of {table} are others")
        sound = " AND ".join(map(_condition, columns))
        if connection.execute(f"SELECT 1 FROM {table} WHERE NOT ({sound}) LIMIT 1").fetchone():  # noqa: S608  # names of ours
            raise _damage(f"a row of {table} holds what it is not for")


def _condition(column: tuple[str, str, bool]) -> str:
    """Return the condition, in SQL, under which a column holds what it is for; see `_fits`."""
    name, kind, optional = column
    if kind != "TEXT":
        return f"(typeof({name}) IN ('integer', 'real'){f' OR {name} IS NULL' if optional else ''})"
    if name not in _JSON:
        return f"typeof({name}) = 'text'"
    return f"json_valid({name}) AND substr({name}, 1, 1) IN ('{{', '[')"


def _columns(connection: sqlite3.Connection, table: str) -> list[tuple[str, str, bool]]:
    """Return name, type and whether it may be null of each column."""
    return [(row[1], row[2], not row[3]) for row in connection.execute(f"PRAGMA table_info({table})")]


def _replace(path: Path, reason: str) -> None:
    """Put a file with all that can be read in the place of a damaged one, which is kept."""
    recovered = _recovered(path)
    recovered.unlink(missing_ok=True)
    counts = _copy(path, recovered)
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    # Its log first: it would be read into the successor.
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(aside.with_name(aside.name + suffix))
    path.rename(aside)
    recovered.rename(path)
    _sync(path.parent)
    event(_log, logging.ERROR, "the alert log was damaged", reason=reason, kept=aside.name, **counts)


def _finish_replacement(path: Path) -> None:
    """Go on where a process was killed while it replaced a damaged file."""
    recovered = _recovered(path)
    if not recovered.exists():
        return
    if path.exists():
        # It was not finished.
        recovered.unlink()
    else:
        recovered.rename(path)


def _recovered(path: Path) -> Path:
    return path.with_name(path.name + _RECOVERED)


def _copy(damaged: Path, recovered: Path) -> dict[str, int]:
    """Copy the rows that can be read; return how many of each table."""
    with closing(sqlite3.connect(recovered, isolation_level=None)) as target:
        _bound(target)
        target.executescript(_TABLES)
        counts = {}
        for table, key in _KEYS.items():
            columns = _columns(target, table)
            for order in ("ASC", "DESC"):
                _insert(target, table, len(columns), _rows(damaged, table, columns, f"{key.format(order)} {order}"))
            (counts[table],) = target.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  # a name of ours
    return counts


def _insert(target: sqlite3.Connection, table: str, columns: int, rows: Iterable[Sequence[Any]]) -> None:
    statement = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * columns)})"  # noqa: S608  # a name of ours
    left = iter(rows)
    while some := list(islice(left, 1_000)):
        target.execute("BEGIN")
        target.executemany(statement, some)
        target.execute("COMMIT")


def _rows(path: Path, table: str, columns: Sequence[tuple[str, str, bool]], order: str) -> Iterator[Sequence[Any]]:
    """Yield the rows in an order, up to where the file cannot be read."""
    try:
        with closing(reader(path)) as source:
            there = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
            names = ", ".join(name if name in there else "''" if kind == "TEXT" else "0" for name, kind, _ in columns)
            for row in source.execute(f"SELECT {names} FROM {table} ORDER BY {order}"):  # noqa: S608  # names of ours
                if all(map(_fits, row, columns)):
                    yield row
    except sqlite3.Error as error:
        event(_log, logging.WARNING, "not all of a damaged file can be read", table=table, order=order, reason=error)


def _fits(value: Any, column: tuple[str, str, bool]) -> bool:
    name, kind, optional = column
    if value is None:
        return optional
    if kind != "TEXT":
        return isinstance(value, int | float)
    if not isinstance(value, str):
        return False
    try:
        return name != "labels" or isinstance(json.loads(value), dict | list)
    except ValueError:
        return False


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Change the database as a whole or not at all."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
