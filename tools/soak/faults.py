"""The faults: what breaks, for how long, and how it ends."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tools.processes import Process, ProcessError, wait_until
from tools.soak.stores import STORE_ERRORS
from tools.soak.world import World

Happens = Callable[[World, random.Random], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: In words.
        happens: Breaks something, and mends it at the end of the `with` block.
        longest: Seconds that it lasts at most; 0 for what is over at once.
    """

    name: str
    happens: Happens
    longest: float = 0.0


@contextlib.contextmanager
def _database_frozen(world: World, _chance: random.Random) -> Iterator[None]:
    world.server.pause()
    yield
    world.server.resume()


@contextlib.contextmanager
def _database_stopped(world: World, _chance: random.Random) -> Iterator[None]:
    world.server.shutdown()
    yield
    world.server.boot()


@contextlib.contextmanager
def _connections_ended(world: World, _chance: random.Random) -> Iterator[None]:
    world.server.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where backend_type = 'client backend' and pid <> pg_backend_pid()"
    )
    yield


@contextlib.contextmanager
def _backend_killed(world: World, chance: random.Random) -> Iterator[None]:
    with contextlib.closing(world.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        pids = [row[0] for row in cursor.fetchall()]
    if pids:
        # PostgreSQL ends all others too, and recovers from its log.
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(pids), signal.SIGKILL)
    yield


def _database_restored(name: str) -> Happens:
    @contextlib.contextmanager
    def happens(world: World, _chance: random.Random) -> Iterator[None]:
        store = world.mlflow if name == "mlflow" else world.variants
        world.databases[name].restore(store)
        yield

    return happens


@contextlib.contextmanager
def _sqlite_replaced(world: World, chance: random.Random) -> Iterator[None]:
    world.sqlite.restore(in_place=chance.random() < 0.5)
    yield


@contextlib.contextmanager
def _sqlite_locked(world: World, _chance: random.Random) -> Iterator[None]:
    with (
        world.sqlite.lock,
        contextlib.closing(sqlite3.connect(world.sqlite.path, timeout=20, isolation_level=None)) as connection,
    ):
        connection.execute("begin exclusive")
        yield
        connection.execute("rollback")


@contextlib.contextmanager
def _sqlite_torn(world: World, _chance: random.Random) -> Iterator[None]:
    store = world.sqlite
    with store.lock:
        content = store.tear()
        yield
        store.begin()
        for ending in ("-wal", "-shm"):
            store.path.with_name(store.path.name + ending).unlink(missing_ok=True)
        with store.path.open("r+b") as file:
            file.write(content)
        store.record()


@contextlib.contextmanager
def _fleet_rotated(world: World, _chance: random.Random) -> Iterator[None]:
    world.fleet.rotate()
    yield


@contextlib.contextmanager
def _fleet_rewritten(world: World, chance: random.Random) -> Iterator[None]:
    world.fleet.rewrite(older=chance.random() < 0.5)
    yield


@contextlib.contextmanager
def _fleet_torn(world: World, chance: random.Random) -> Iterator[None]:
    store = world.fleet
    with store.lock:
        rows = store.rows()
        place = chance.randrange(1, len(rows))
        store.begin()
        store.append(rows[:place])
        store.record()
        yield
        store.begin()
        store.append(rows[place:])
        store.record()


@contextlib.contextmanager
def _fleet_garbage(world: World, chance: random.Random) -> Iterator[None]:
    store = world.fleet
    garbage = (
        b"\0" * 500 + b"\n",
        b'"open,quote\n',
        b"\xff\xfe,\xe9\n",
        chance.randbytes(300).replace(b"\n", b"") + b"\n",
    )
    with store.changing():
        store.append(chance.choice(garbage))
    yield


@contextlib.contextmanager
def _fleet_away(world: World, _chance: random.Random) -> Iterator[None]:
    store = world.fleet
    with store.lock:
        away = store.path.with_name("away.csv")
        store.path.replace(away)
        yield
        away.replace(store.path)


def _killed(process: Callable[[World], Process]) -> Happens:
    @contextlib.contextmanager
    def happens(world: World, _chance: random.Random) -> Iterator[None]:
        target = process(world)
        if target.pid is not None:
            os.kill(target.pid, signal.SIGKILL)
            wait_until(lambda: not target.running, timeout=10)
        yield
        target.start()

    return happens


def _frozen(process: Callable[[World], Process]) -> Happens:
    @contextlib.contextmanager
    def happens(world: World, _chance: random.Random) -> Iterator[None]:
        pid = process(world).pid
        if pid is None:
            raise ProcessError(f"{process(world).name} does not run")
        os.kill(pid, signal.SIGSTOP)
        yield
        os.kill(pid, signal.SIGCONT)

    return happens


@contextlib.contextmanager
def _clock_moved(world: World, chance: random.Random) -> Iterator[None]:
    # Not further back: rows that are more than five minutes ahead of the clock are refused.
    world.clock.write_text(chance.choice(["-240\n", "+7200\n", "+90000\n"]), encoding="ascii")
    yield
    world.clock.write_text("+0\n", encoding="ascii")


@contextlib.contextmanager
def _disk_full(world: World, _chance: random.Random) -> Iterator[None]:
    processes = [world.alert_log, world.victim.process]
    world.disk.fill(processes)
    yield
    world.disk.free(processes)
    # A logger that lost the end of a line begins its next one on a new line.
    with contextlib.suppress(*STORE_ERRORS), world.fleet.changing():
        world.fleet.append(b"\n")


FAULTS = (
    Fault("PostgreSQL frozen", _database_frozen, 15),
    Fault("PostgreSQL stopped and started", _database_stopped, 8),
    Fault("connections to PostgreSQL ended", _connections_ended),
    Fault("a process of PostgreSQL killed", _backend_killed),
    Fault("MLflow's PostgreSQL database restored", _database_restored("mlflow")),
    Fault("variants' PostgreSQL database restored", _database_restored("variants")),
    Fault("SQLite store replaced by a backup", _sqlite_replaced),
    Fault("SQLite store locked", _sqlite_locked, 10),
    Fault("SQLite store cut in half", _sqlite_torn, 8),
    Fault("fleet file rotated", _fleet_rotated),
    Fault("fleet file truncated and rewritten", _fleet_rewritten),
    Fault("fleet file ends within a line", _fleet_torn, 8),
    Fault("garbage in the fleet file", _fleet_garbage),
    Fault("fleet file away", _fleet_away, 8),
    Fault("exporter killed", _killed(lambda world: world.victim.process), 3),
    Fault("exporter frozen", _frozen(lambda world: world.victim.process), 15),
    Fault("alert log killed", _killed(lambda world: world.alert_log), 3),
    Fault("alert log frozen", _frozen(lambda world: world.alert_log), 8),
    Fault("exporter's clock moved", _clock_moved, 10),
    Fault("disk full", _disk_full, 10),
)
