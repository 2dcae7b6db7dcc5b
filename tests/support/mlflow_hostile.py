"""What is done to a store behind MLflow's back, at random: by hand, by imports, by restores, by long transactions."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Any

from tools.mariadb import MariadbServer
from tools.postgres import PostgresServer

_SAVED = ("runs", "latest_metrics", "params", "tags")
_VALUES = (0.1, 0.5, 0.97, -3.0)
_YEAR = 365 * 86_400_000


class HostileWorkload:
    """Writes to a store by SQL.

    Args:
        server: Where the store is.
        store: Its database.
        seed: The same one makes the same choices.
    """

    def __init__(self, server: PostgresServer | MariadbServer, store: str, seed: int) -> None:
        self._server = server
        self._store = store
        self._random = random.Random(seed)
        self._postgres = isinstance(server, PostgresServer)
        self._key = "key" if self._postgres else "`key`"
        self._imported = 0
        # A transaction that is open, and the run that it keeps others from.
        self._open: Any = None
        self._held = ""
        self._connection = self._connect()
        self.actions: tuple[Callable[[], object], ...] = (
            *(self.another_status, self.another_experiment, self.deleted, self.restored, self.dated_back),
            *(self.exchanged, self.imported, self.removed, self.truncated_and_reloaded, self.rolled_back),
            *(self.begun, self.committed, self.late_metric, self.worse_metric, self.late_param, self.param_removed),
            *(self.tag_removed, self.rewritten, self.times_lost, self.nothing_new, self.emptied_and_refilled),
        )

    def close(self) -> None:
        """End what is open."""
        self.committed()
        self._connection.close()

    def step(self) -> str:
        """Do something; return what."""
        action = self._random.choice(self.actions)
        action()
        return action.__name__

    def another_status(self) -> None:
        """Change a run, but none of its times."""
        status = self._pick("FINISHED", "RUNNING", "FAILED", "KILLED")
        self._run(f"update runs set status = '{status}' where {self._one()}")

    def another_experiment(self) -> None:
        self._run(f"update runs set experiment_id = {self._experiment()} where {self._one()}")

    def deleted(self) -> None:
        self._run(f"update runs set lifecycle_stage = 'deleted' where {self._one()}")

    def restored(self) -> None:
        for run in self._column("select run_uuid from runs where lifecycle_stage = 'deleted'"):
            if run != self._held:
                self._run(f"update runs set lifecycle_stage = 'active' where run_uuid = '{run}'")

    def dated_back(self) -> None:
        """Write as a client does whose clock is a year behind."""
        times = f"start_time = start_time - {_YEAR}, end_time = end_time - {_YEAR}"
        self._run(f"update runs set {times} where {self._one()}")

    def exchanged(self) -> None:
        """Let two runs change places, so that all sums over them stay the same."""
        first, second = self._ids(2)
        self._run(
            f"update runs set run_uuid = 'x' where run_uuid = '{first}';"
            f"update runs set run_uuid = '{first}' where run_uuid = '{second}';"
            f"update runs set run_uuid = '{second}' where run_uuid = 'x'"
        )

    def imported(self) -> None:
        """Add runs whose ids are in a row and go down, the oldest last."""
        experiment = self._experiment()
        runs, metrics = [], []
        for number in range(20):
            self._imported += 1
            run = f"{2**128 - self._imported:032x}"
            time = 1_600_000_000_000 - 1000 * self._imported
            runs.append(f"('{run}', 'import', 'LOCAL', 'FINISHED', 'active', {time}, {time + number}, {experiment})")
            metrics.append(f"('{run}', 'accuracy', {self._pick(*_VALUES)}, 0, 0, false)")
        self._run(
            "insert into runs (run_uuid, name, source_type, status, lifecycle_stage, start_time, end_time,"
            f" experiment_id) values {', '.join(runs)};"
            f"insert into latest_metrics (run_uuid, {self._key}, value, timestamp, step, is_nan)"
            f" values {', '.join(metrics)}"
        )

    def removed(self) -> None:
        """Remove a run for good, as `mlflow gc` does."""
        (run,) = self._ids(1)
        self._run(";".join(f"delete from {table} where run_uuid = '{run}'" for table in reversed(_SAVED)))

    def truncated_and_reloaded(self) -> None:
        """Empty tables and fill them again with what was in them, but for a run."""
        self._refill("truncate table {} cascade" if self._postgres else "truncate table {}")

    def emptied_and_refilled(self) -> None:
        """Do the same in other words, which leave the tables' files as they are."""
        self._refill("delete from {}")

    def _refill(self, empty: str) -> None:
        (run,) = self._ids(1)
        if self._open is None:
            for table in _SAVED:
                self._run(f"create table saved_{table} as select * from {table} where run_uuid <> '{run}'")
            for table in _SAVED:
                self._run(empty.format(table))
            for table in _SAVED:
                self._run(f"insert into {table} select * from saved_{table}; drop table saved_{table}")

    def rolled_back(self) -> None:
        self._run(f"begin; update runs set status = 'FAILED' where {self._one()}; rollback")

    def begun(self) -> None:
        """Begin a transaction that others overtake."""
        if self._open is None:
            (run,) = self._ids(1)
            self._open, self._held = self._connect(), run
            with self._open.cursor() as cursor:
                cursor.execute("begin")
                cursor.execute(f"update latest_metrics set value = value + 0.001 where run_uuid = '{run}'")
                cursor.execute(f"update runs set end_time = coalesce(end_time, 0) + 1 where run_uuid = '{run}'")

    def committed(self) -> None:
        if self._open is not None:
            with contextlib.closing(self._open) as connection, connection.cursor() as cursor:
                cursor.execute("commit")
            self._open, self._held = None, ""

    def late_metric(self) -> None:
        """Write a metric to a run whatever its status."""
        (run,) = self._ids(1)
        self._run(
            f"delete from latest_metrics where run_uuid = '{run}' and {self._key} = 'accuracy';"
            f"insert into latest_metrics (run_uuid, {self._key}, value, timestamp, step, is_nan)"
            f" values ('{run}', 'accuracy', {self._pick(*_VALUES)}, 0, 0, false)"
        )

    def worse_metric(self) -> None:
        self._run(f"update latest_metrics set value = value - 0.3 where {self._one()}")

    def late_param(self) -> None:
        (run,) = self._ids(1)
        variant = self._pick("a", "b", "é")
        self._run(
            f"delete from params where run_uuid = '{run}' and {self._key} = 'model_variant';"
            f"insert into params (run_uuid, {self._key}, value) values ('{run}', 'model_variant', '{variant}')"
        )

    def param_removed(self) -> None:
        self._run(f"delete from params where {self._one()} and {self._key} = 'model_variant'")

    def tag_removed(self) -> None:
        self._run(f"delete from tags where {self._one()}")

    def rewritten(self) -> None:
        """Move rows to other pages, and let them be older than any transaction."""
        if self._open is None:
            for statement in ("vacuum full runs", "vacuum freeze") if self._postgres else ("alter table runs force",):
                self._run(statement)

    def times_lost(self) -> None:
        self._run(f"update runs set start_time = null, end_time = null where {self._one()}")

    def nothing_new(self) -> None:
        self._run(f"update runs set name = 'same' where {self._one()}")

    def _connect(self) -> Any:
        """Connect in a way that MLflow's foreign keys do not matter, and that holds no more rows than are written."""
        connection = self._server.connect(self._store)
        settings = (
            ("set session_replication_role = replica",)
            if self._postgres
            else ("set foreign_key_checks = 0", "set session transaction isolation level read committed")
        )
        with connection.cursor() as cursor:
            for setting in settings:
                cursor.execute(setting)
        return connection

    def _run(self, statements: str) -> None:
        with self._connection.cursor() as cursor:
            for statement in statements.split(";"):
                cursor.execute(statement)

    def _column(self, sql: str) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return sorted(value for (value,) in cursor.fetchall())

    def _ids(self, count: int) -> list[str]:
        # What waited for the open transaction would wait for ever.
        return self._random.sample(
            [run for run in self._column("select run_uuid from runs") if run != self._held], count
        )

    def _one(self) -> str:
        return f"run_uuid = '{self._ids(1)[0]}'"

    def _experiment(self) -> int:
        number: int = self._pick(*self._column("select experiment_id from experiments"))
        return number

    def _pick(self, *items: Any) -> Any:
        return self._random.choice(items)
