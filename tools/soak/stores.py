"""The stores that are watched: how they change each second, and what they hold by a reading of our own.

Nothing here comes from the exporter: its SQL and its reader of files are what is checked.
"""

from __future__ import annotations

import contextlib
import csv
import os
import random
import shutil
import sqlite3
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import psycopg2
from typing_extensions import override

from tools.postgres import PostgresServer
from tools.soak.truth import History, Series, Values, series

# What a writer runs into while its store is broken.
STORE_ERRORS = (psycopg2.Error, sqlite3.Error, OSError)
_MOST_RUNS = 300
_MOST_VARIANTS = 30
_ROTATE_BYTES = 400_000
_TAIL_BYTES = 64_000
_SERVERS = 6
_HEADER = (
    "timestamp,server_name,profile,state,cpu_pct,mem_pct,latency_ms,error_rate,disk_io_mb_s,net_in_mb_s,"
    "net_out_mb_s,gc_pause_ms\n"
)
_FIELDS = _HEADER.count(",") + 1
Execute = Callable[..., list[Any]]


class Store(ABC):
    """One store; `lock` is held while it changes.

    Attributes:
        source: The exporter's source that reads it.
        families: The families that are compared.
        history: What it held, and when.
        unknown_since: Since when it may hold what is not recorded yet.
    """

    source: ClassVar[str]
    families: ClassVar[frozenset[str]]

    def __init__(self, chance: random.Random) -> None:
        self.history = History()
        self.lock = threading.Lock()
        self.unknown_since: float | None = None
        self._chance = chance

    def step(self) -> None:
        """Change it a little.

        Raises:
            One of `STORE_ERRORS`: It could not be written; whether it changed is found out at the next step.
        """
        with self.changing():
            self.change()

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Take the lock, and record what it holds after the block."""
        with self.lock:
            self.begin()
            yield
            self.record()

    def begin(self) -> None:
        """Note that it may change from now on; `lock` is held."""
        if self.unknown_since is not None:
            self.record()
        self.unknown_since = time.monotonic()

    def record(self, *, readable: bool = True) -> None:
        """Record what it holds since `begin`; `lock` is held."""
        began = time.monotonic() if self.unknown_since is None else self.unknown_since
        # Twelve digits: how a number is written must not matter.
        values = {key: float(f"{value:.12g}") for key, value in self.read().items()} if readable else None
        self.history.record(began, values)
        self.unknown_since = None

    @abstractmethod
    def change(self) -> None:
        """Write something."""

    @abstractmethod
    def read(self) -> Values:
        """Read all of it."""


class MlflowStore(Store):
    """A store of MLflow's tables."""

    source = "mlflow"
    families = frozenset({"mlflow_runs", "mlflow_metric_best", "mlflow_metric_latest"})

    @abstractmethod
    def session(self) -> contextlib.AbstractContextManager[Execute]:
        """Open a transaction and give what executes a statement in it."""

    @override
    def change(self) -> None:
        with self.session() as execute:
            self._change(execute)

    def _change(self, execute: Execute) -> None:
        chance, now = self._chance, int(time.time() * 1000)
        experiments = [
            row[0] for row in execute("select experiment_id from experiments where lifecycle_stage = 'active'")
        ]
        running = [row[0] for row in execute("select run_uuid from runs where status = 'RUNNING'")]
        if running and chance.random() < 0.5:
            run = chance.choice(running)
            status = chance.choice(["FINISHED", "FINISHED", "FINISHED", "FAILED"])
            execute("update runs set status = %s, end_time = %s where run_uuid = %s", status, now, run)
            for key in ("accuracy", "loss"):
                execute(
                    "insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
                    " values (%s, %s, %s, 0, %s, %s)",
                    *(key, round(chance.random(), 6), now, False, run),
                )
        elif chance.random() < 0.2 or len(running) > 20:
            old = execute(
                "select run_uuid from runs where lifecycle_stage = 'active' and status <> 'RUNNING'"
                " order by end_time limit 5"
            )
            if old:
                execute(
                    "update runs set lifecycle_stage = 'deleted', deleted_time = %s where run_uuid = %s",
                    *(now, chance.choice(old)[0]),
                )
        else:
            run = uuid.UUID(int=chance.getrandbits(128), version=4).hex
            execute(
                "insert into runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,"
                " start_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
                " values (%s, %s, 'LOCAL', '', '', 'soak', 'RUNNING', %s, '', 'active', '', %s)",
                *(run, run[:8], now, chance.choice(experiments)),
            )
            execute(
                "insert into params (key, value, run_uuid) values ('model_variant', %s, %s)", chance.choice("ab"), run
            )
        ((count,),) = execute("select count(*) from runs where lifecycle_stage = 'active'")
        if count > _MOST_RUNS:
            execute(
                "update runs set lifecycle_stage = 'deleted', deleted_time = %s where run_uuid in"
                " (select run_uuid from runs where lifecycle_stage = 'active' order by start_time limit 20)",
                now,
            )

    @override
    def read(self) -> Values:
        with self.session() as execute:
            counts = execute(
                "select e.name, r.status, count(*) from runs r join experiments e on e.experiment_id = r.experiment_id"
                " where r.lifecycle_stage = 'active' and e.lifecycle_stage = 'active' group by e.name, r.status"
            )
            results = execute(
                "select e.name, p.value, m.key, m.value from runs r"
                " join experiments e on e.experiment_id = r.experiment_id"
                " join latest_metrics m on m.run_uuid = r.run_uuid"
                " join params p on p.run_uuid = r.run_uuid and p.key = 'model_variant'"
                " where r.lifecycle_stage = 'active' and e.lifecycle_stage = 'active' and r.status = 'FINISHED'"
                " order by r.end_time"
            )
        values: dict[Series, float] = {
            series("mlflow_runs", experiment=name, status=status): float(count) for name, status, count in counts
        }
        for name, variant, key, value in results:
            # The last one counts.
            latest = series("mlflow_metric_latest", experiment=name, model_variant=variant, metric=key)
            values[latest] = value
            best = series("mlflow_metric_best", experiment=name, metric=key)
            choose = min if key == "loss" else max
            values[best] = choose(value, values.get(best, value))
        return values


class SqliteStore(MlflowStore):
    """MLflow's tables in an SQLite file with a write-ahead log.

    Args:
        path: The file, which MLflow has made.
        chance: Decides what changes.
    """

    def __init__(self, path: Path, chance: random.Random) -> None:
        super().__init__(chance)
        self.path = path
        self.backup = path.with_name("backup.db")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("pragma journal_mode = wal")
        shutil.copy(path, self.backup)

    @override
    @contextlib.contextmanager
    def session(self) -> Iterator[Execute]:
        # Opened each time: what an open connection sees is what is in question.
        with contextlib.closing(sqlite3.connect(self.path, timeout=20)) as connection:

            def execute(statement: str, *values: Any) -> list[Any]:
                return connection.execute(statement.replace("%s", "?"), values).fetchall()

            with connection:
                yield execute

    def restore(self, *, in_place: bool) -> None:
        """Put the backup in the place of the file, over it or by renaming."""
        with self.changing():
            for ending in ("-wal", "-shm"):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
            if in_place:
                with self.path.open("r+b") as file:
                    file.write(self.backup.read_bytes())
                    file.truncate()
            else:
                new = Path(shutil.copy(self.backup, self.path.with_name("new.db")))
                new.replace(self.path)

    def tear(self) -> bytes:
        """Cut the file in half, as an interrupted copy does; return what it held. `lock` is held."""
        self.begin()
        with contextlib.closing(sqlite3.connect(self.path, timeout=20)) as connection:
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        content = self.path.read_bytes()
        os.truncate(self.path, len(content) // 2)
        self.record(readable=False)
        return content


class PostgresMlflowStore(MlflowStore):
    """MLflow's tables in PostgreSQL.

    Args:
        uri: The database, in which MLflow has made its tables.
        chance: Decides what changes.
    """

    def __init__(self, uri: str, chance: random.Random) -> None:
        super().__init__(chance)
        self._uri = uri

    @override
    def session(self) -> contextlib.AbstractContextManager[Execute]:
        return postgres_session(self._uri)


@contextlib.contextmanager
def postgres_session(uri: str) -> Iterator[Execute]:
    """Open a transaction of one snapshot, and give what executes a statement in it."""
    with contextlib.closing(psycopg2.connect(uri, connect_timeout=60)) as connection:
        connection.set_session(isolation_level="REPEATABLE READ")
        with connection, connection.cursor() as cursor:

            def execute(statement: str, *values: Any) -> list[Any]:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []

            yield execute


class VariantsStore(Store):
    """The tables of variants in PostgreSQL.

    Args:
        uri: The database with the tables.
        chance: Decides what changes.
    """

    source = "variants"
    families = frozenset({"variants", "variant_engagement_ratio"})

    def __init__(self, uri: str, chance: random.Random) -> None:
        super().__init__(chance)
        self._uri = uri
        self._posted = 0

    @override
    def change(self) -> None:
        with postgres_session(self._uri) as execute:
            self._change(execute)

    def _change(self, execute: Execute) -> None:
        chance = self._chance
        active = [row[0] for row in execute("select id from variants where status = 'active' order by id")]
        if len(active) < 3 or (len(active) < _MOST_VARIANTS and chance.random() < 0.2):
            self._posted += 1
            # A restored database must not be given a name that it has.
            variant = f"v{self._posted}-{chance.getrandbits(32):08x}"
            execute(
                "insert into variants (id, persona_id, content, predicted_er, pattern_used, status, posted_at)"
                " values (%s, %s, 'text', 0.1, 'story', 'active', now())",
                *(variant, chance.choice(["ada", "grace"])),
            )
            execute(
                "insert into variant_monitoring (variant_id, persona_id, current_er, interaction_count, view_count)"
                " select id, persona_id, 0, 0, 0 from variants where id = %s",
                variant,
            )
        elif chance.random() < 0.15:
            execute("update variants set status = 'killed' where id = %s", chance.choice(active))
        else:
            execute(
                "update variant_monitoring set view_count = view_count + 100,"
                " interaction_count = interaction_count + 10, current_er = %s, last_updated = now()"
                " where variant_id = %s",
                *(round(chance.random(), 6), chance.choice(active)),
            )

    @override
    def read(self) -> Values:
        with postgres_session(self._uri) as execute:
            counts = execute("select persona_id, status, count(*) from variants group by 1, 2")
            rates = execute(
                "select v.persona_id, v.id, v.pattern_used, m.current_er from variants v"
                " join variant_monitoring m on m.variant_id = v.id where v.status = 'active'"
            )
        return {
            **{series("variants", persona=persona, status=status): float(n) for persona, status, n in counts},
            **{
                series("variant_engagement_ratio", persona=persona, variant=variant, pattern=pattern): float(rate)
                for persona, variant, pattern, rate in rates
            },
        }


class PostgresDatabase:
    """A database that can be put back to how it was.

    Args:
        server: Where it is.
        name: Its name.
    """

    def __init__(self, server: PostgresServer, name: str) -> None:
        self._server = server
        self._name = name
        # What made the tables may still hold connections.
        server.execute(f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{name}'")  # noqa: S608  # a name of our own
        server.create_database(f"{name}_backup", template=name)

    def restore(self, store: Store) -> None:
        """Drop the database with all connections to it, and make it again from the backup."""
        with store.changing():
            self._server.execute(f'drop database "{self._name}" with (force)')
            self._server.create_database(self._name, template=f"{self._name}_backup")


class FleetFile(Store):
    """A CSV file to which servers report each second.

    Args:
        path: The file.
        chance: Decides what they report.
    """

    source = "fleet"
    families = frozenset({"fleet_server_cpu_utilization_ratio", "fleet_file_position_timestamp_seconds"})

    def __init__(self, path: Path, chance: random.Random) -> None:
        super().__init__(chance)
        self.path = path
        self.rotated = path.with_name("fleet.csv.1")
        self._read_rotated = False
        self._backup = b""
        self._reported = datetime.min.replace(tzinfo=UTC)
        path.write_text(_HEADER, encoding="utf-8")
        self.change()
        self._backup = path.read_bytes()

    def rows(self) -> bytes:
        """Return a row for each server, of this moment."""
        # Rows give milliseconds: a second report in one would not be newer than the first.
        self._reported = max(datetime.now(UTC), self._reported + timedelta(milliseconds=1))
        now = self._reported.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        lines = [
            f"{now},web-{number},web,online,{self._chance.randrange(1, 99)},50,50,0.001,10,10,10,5\n"
            for number in range(_SERVERS)
        ]
        return "".join(lines).encode()

    @override
    def change(self) -> None:
        self.append(self.rows())
        if self.path.stat().st_size > _ROTATE_BYTES:
            self._rotate()

    def append(self, content: bytes) -> None:
        """Write at the end of the file, in one piece."""
        with self.path.open("ab", buffering=0) as file:
            written = file.write(content)
        # A disk that fills takes a part of it.
        if written < len(content):
            raise OSError(f"only {written} of {len(content)} bytes were written")

    def rotate(self) -> None:
        """Rename the file and begin a new one."""
        with self.changing():
            self._rotate()

    def _rotate(self) -> None:
        self.path.replace(self.rotated)
        self.path.write_bytes(_HEADER.encode() + self.rows())
        self._read_rotated = True

    def rewrite(self, *, older: bool) -> None:
        """Truncate the file and write it again in its place, with the first rows of all or with new ones."""
        with self.changing():
            content = self._backup if older else _HEADER.encode() + self.rows()
            with self.path.open("r+b", buffering=0) as file:
                file.truncate()
                file.write(content)
            self._read_rotated = False

    @override
    def read(self) -> Values:
        newest: dict[str, tuple[float, float]] = {}
        files = [self.rotated] if self._read_rotated else []
        for path in [*files, self.path]:
            for when, server, cpu in _rows(path):
                if server not in newest or when > newest[server][0]:
                    newest[server] = (when, cpu)
        values = {
            series("fleet_server_cpu_utilization_ratio", server=server, profile="web"): cpu / 100
            for server, (_when, cpu) in newest.items()
        }
        if newest:
            position = series("fleet_file_position_timestamp_seconds", file=self.path.name)
            values[position] = max(when for when, _cpu in newest.values())
        return values


def _rows(path: Path) -> Iterator[tuple[float, str, float]]:
    """Read the whole lines at a file's end, and pass over those that are no rows."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        content = file.read()
    # What follows the last line break is not complete yet; what precedes the first may be a piece of a line.
    lines = content.rpartition(b"\n")[0].decode("utf-8", "replace").split("\n")[1:]
    for line in lines:
        # By itself, as an open quote must not take the next ones along.
        with contextlib.suppress(ValueError, csv.Error):
            fields = next(csv.reader([line]), [])
            if len(fields) == _FIELDS and "\0" not in line:
                yield datetime.fromisoformat(fields[0]).timestamp(), fields[1], float(fields[4])


def steps(store: Store, stop: threading.Event, *, errors: Callable[[], None]) -> None:
    """Change a store once a second until told to stop; `errors` hears of those that come of its being broken."""
    while not stop.wait(1):
        try:
            store.step()
        except STORE_ERRORS:
            errors()
