"""What a tracking server answered, in tables in memory that are read like those of a store.

The columns that queries know are views; below them a run's id and each text stand once, which makes a metric about 20
bytes. Of params and tags those are kept that are read.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ml_monitoring.exporter.sources.mlflow.sql import STORED_INFINITY

SCHEMA: Final = """
    create table experiments (experiment_id integer primary key, name text, lifecycle_stage text, workspace text,
                              creation_time integer, last_update_time integer);
    create table runs (number integer primary key, run_uuid text unique, experiment_id integer, status text,
                       lifecycle_stage text, start_time integer, end_time integer, digest integer);
    create index runs_by_experiment on runs (experiment_id);
    create index runs_by_start on runs (start_time);
    create table word (number integer primary key, content text unique);
    create table metric (run integer, key integer, value real, is_nan integer, timestamp integer, step integer,
                         primary key (run, key)) without rowid;
    create table label (run integer, kind integer, key integer, value integer, primary key (run, kind, key))
        without rowid;
    create view latest_metrics as
        select r.run_uuid, k.content as key, m.value, m.is_nan, m.timestamp, m.step
        from runs r join metric m on m.run = r.number join word k on k.number = m.key;
    create view params as
        select r.run_uuid, k.content as key, v.content as value from runs r join label l on l.run = r.number
        join word k on k.number = l.key join word v on v.number = l.value where l.kind = 0;
    create view tags as
        select r.run_uuid, k.content as key, v.content as value from runs r join label l on l.run = r.number
        join word k on k.number = l.key join word v on v.number = l.value where l.kind = 1;
    create table datasets (experiment_id integer, name text, digest text,
                           primary key (experiment_id, name, digest)) without rowid;
    create table model_versions (workspace text, name text, version integer, run_id text, current_stage text,
                                 creation_time integer, primary key (workspace, name, version)) without rowid;
    create table registered_model_aliases (workspace text, name text, alias text, version integer,
                                           primary key (workspace, name, alias)) without rowid;
    create table logged_models (model_id text primary key, experiment_id integer, status integer,
                                creation_timestamp_ms integer, name text, lifecycle_stage text default 'active')
        without rowid;
    create table trace_info (request_id text primary key, experiment_id integer, timestamp_ms integer,
                             execution_time_ms integer, status text, input_tokens integer, output_tokens integer,
                             input_cost real, output_cost real, prompts text, model text, feedback text) without rowid;
    create index traces_by_time on trace_info (timestamp_ms);
    create view trace_tags as
        select request_id, 'mlflow.linkedPrompts' as key, prompts as value from trace_info where prompts is not null;
    create view trace_request_metadata as
        select request_id, 'mlflow.modelId' as key, model as value from trace_info where model is not null;
    create view assessments as
        select t.request_id as trace_id, 'feedback' as assessment_type, json_extract(f.value, '$[0]') as name,
               json_extract(f.value, '$[1]') as source_type, json_extract(f.value, '$[2]') as value,
               json_extract(f.value, '$[3]') as error, json_extract(f.value, '$[4]') as created_timestamp,
               json_extract(f.value, '$[5]') as last_updated_timestamp
        from trace_info t join json_each(t.feedback) f;"""
_PARAM, _TAG = 0, 1
Object = Mapping[str, Any]


class RunState(NamedTuple):
    """What tells whether a run is as it is remembered: its experiment, its metrics by key."""

    experiment: int
    metrics: Mapping[str, float]


class Wanted(NamedTuple):
    """Which params and tags are kept."""

    params: frozenset[str]
    tags: frozenset[str]


class _Described(NamedTuple):
    """What is taken over of a run.

    Attributes:
        row: Its columns.
        metrics: Key, value, whether that is NaN, time and step of each.
        labels: Kind, key and value of params and tags.
        datasets: Names and digests.
    """

    row: tuple[Any, ...]
    metrics: list[tuple[Any, ...]]
    labels: list[tuple[int, str, str]]
    datasets: list[tuple[str, str]]

    @classmethod
    def of(cls, run: Object, wanted: Wanted) -> _Described:
        info, data = run["info"], run.get("data") or {}
        row = (
            # Very old servers know no other name for it.
            str(info.get("run_id") or info["run_uuid"]),
            int(info["experiment_id"]),
            str(info["status"]) if info.get("status") else None,
            str(info.get("lifecycle_stage") or "active"),
            _whole(info.get("start_time")),
            _whole(info.get("end_time")),
        )
        metrics = [
            (str(each["key"]), *_value(each.get("value", 0.0)), *_when(each)) for each in data.get("metrics", ())
        ]
        labels = [
            (kind, str(each["key"]), str(each.get("value", "")))
            for kind, name, keys in ((_PARAM, "params", wanted.params), (_TAG, "tags", wanted.tags))
            for each in data.get(name, ())
            if each["key"] in keys
        ]
        inputs = (run.get("inputs") or {}).get("dataset_inputs", ())
        datasets = [(str(each["dataset"].get("name", "")), str(each["dataset"].get("digest", ""))) for each in inputs]
        # Servers list them in no order.
        return cls(row, sorted(metrics), sorted(labels), sorted(datasets))

    @property
    def experiment(self) -> int:
        """Return the experiment's id."""
        return int(self.row[1])

    @property
    def digest(self) -> int:
        """Return what tells two descriptions apart."""
        hashed = hashlib.blake2b(repr(tuple(self)).encode(errors="replace"), digest_size=8)
        return int.from_bytes(hashed.digest(), "big", signed=True)


class ServerTables:
    """The tables of one server.

    Args:
        database: What has the tables of `SCHEMA`.
        wanted: Which params and tags are kept.
    """

    def __init__(self, database: sqlite3.Connection, wanted: Wanted) -> None:
        self._wanted = wanted
        self._database = database
        self._words: dict[str, int] = {}

    def clear(self) -> None:
        """Forget everything."""
        with self.writing():
            for table in _TABLES:
                self._database.execute(f"delete from {table}")  # noqa: S608  # constants

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Take over all of what is written inside, or nothing of it."""
        self._database.execute("begin")
        try:
            yield
        except BaseException:
            self._database.execute("rollback")
            # Words of the transaction are gone, too.
            self._words.clear()
            raise
        self._database.execute("commit")

    def experiments(self) -> dict[int, tuple[Any, ...]]:
        """Return name, stage, workspace, creation and last update of each experiment."""
        return {row[0]: row[1:] for row in self._database.execute("select * from experiments")}

    def put_experiments(self, rows: Iterable[tuple[Any, ...]], gone: Iterable[int] = ()) -> list[str]:
        """Take experiments over, and forget others with their runs, whose ids it returns."""
        lost: list[str] = []
        with self.writing():
            self._database.executemany("insert or replace into experiments values (?, ?, ?, ?, ?, ?)", rows)
            for experiment in gone:
                self._database.execute("delete from experiments where experiment_id = ?", [experiment])
                self._database.execute("delete from datasets where experiment_id = ?", [experiment])
                runs = self._database.execute("select run_uuid from runs where experiment_id = ?", [experiment])
                lost += [run for (run,) in runs]
            self._delete(lost)
        return lost

    def put_runs(self, runs: Collection[Object]) -> dict[str, RunState | None]:
        """Take runs over as a server describes them; return those that changed as they were, None for new ones.

        Raises:
            ValueError, KeyError, TypeError: One is described in another way than MLflow's.
        """
        changed: dict[str, RunState | None] = {}
        with self.writing():
            for run in runs:
                described = _Described.of(run, self._wanted)
                run_id, digest = described.row[0], described.digest
                row = self._database.execute(
                    "select number, digest, experiment_id from runs where run_uuid = ?", [run_id]
                ).fetchone()
                if row is not None and row[1] == digest:
                    continue
                changed[run_id] = None if row is None else RunState(row[2], self._metrics(row[0]))
                self._put(None if row is None else row[0], described, digest)
        return changed

    def delete_runs(self, runs: Iterable[str]) -> None:
        """Forget runs."""
        with self.writing():
            self._delete(runs)

    def runs_between(self, first: int, last: int | None, experiments: Collection[int]) -> set[str]:
        """Return the runs of experiments that began at or after the one time (ms) and before the other one."""
        sql = """select run_uuid, experiment_id from runs where start_time >= ? and (? is null or start_time < ?)"""
        return {run for run, of in self._database.execute(sql, [first, last, last]) if of in experiments}

    def runs_of_status(self, status: str) -> set[str]:
        """Return the active runs of a status."""
        sql = "select run_uuid from runs where status = ? and lifecycle_stage = 'active'"
        return {run for (run,) in self._database.execute(sql, [status])}

    def models(self, table: str, workspace: str) -> set[tuple[Any, ...]]:
        """Return the versions or aliases of a workspace."""
        return set(self._database.execute(f"select * from {table} where workspace = ?", [workspace]))  # noqa: S608  # a constant

    def replace_models(self, table: str, workspace: str, rows: Collection[tuple[Any, ...]], *, complete: bool) -> bool:
        """Take versions or aliases over, all or some of those of a workspace; return whether anything changed."""
        known = self.models(table, workspace)
        given = set(rows)
        fresh, gone = given - known, known - given if complete else set()
        if not fresh and not gone:
            return False
        places = ",".join("?" * len(next(iter(fresh or gone))))
        with self.writing():
            sql = f"delete from {table} where workspace = ? and name = ? and {_KEYS[table]} = ?"  # noqa: S608  # constants
            self._database.executemany(sql, [row[:3] for row in gone])
            self._database.executemany(f"insert or replace into {table} values ({places})", list(fresh))  # noqa: S608  # constants
        return True

    def forget_workspaces(self, kept: Collection[str]) -> None:
        """Forget what is of other workspaces than these."""
        with self.writing():
            for table in _KEYS:
                found = self._database.execute(f"select distinct workspace from {table}").fetchall()  # noqa: S608  # a constant
                gone = [row for row in found if row[0] not in kept]
                self._database.executemany(f"delete from {table} where workspace = ?", gone)  # noqa: S608  # a constant

    def put_logged_models(self, rows: Iterable[tuple[Any, ...]]) -> bool:
        """Take logged models over; return whether any is not what it was."""
        sql = """insert into logged_models (model_id, experiment_id, status, creation_timestamp_ms, name)
                 values (?, ?, ?, ?, ?)
                 on conflict (model_id) do update set status = excluded.status where status <> excluded.status"""
        return self._change(sql, rows)

    def keep_logged_models(self, kept: Collection[str]) -> bool:
        """Forget other logged models than these; return whether there were any."""
        known = self._database.execute("select model_id from logged_models")
        return self._change(
            "delete from logged_models where model_id = ?", [row for row in known if row[0] not in kept]
        )

    def put_traces(self, rows: Iterable[tuple[Any, ...]]) -> bool:
        """Take traces over; return whether any is not what it was."""
        sets, differs = (
            text.join(f"{name} {sign} excluded.{name}" for name in _OF_TRACES)
            for text, sign in ((", ", "="), (" or ", "is not"))
        )
        sql = f"""insert into trace_info values ({", ".join("?" * 12)})
                  on conflict (request_id) do update set {sets} where {differs}"""  # noqa: S608  # constants
        return self._change(sql, rows)

    def forget_traces(self, before: int) -> None:
        """Forget traces that began before a time (ms)."""
        self._change("delete from trace_info where timestamp_ms < ?", [(before,)])

    def _change(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> bool:
        with self.writing():
            changes = self._database.total_changes
            self._database.executemany(sql, rows)
            return self._database.total_changes > changes

    def _delete(self, runs: Iterable[str]) -> None:
        for run in runs:
            row = self._database.execute("select number from runs where run_uuid = ?", [run]).fetchone()
            if row is not None:
                for table, column in (("metric", "run"), ("label", "run"), ("runs", "number")):
                    self._database.execute(f"delete from {table} where {column} = ?", row)  # noqa: S608  # constants

    def _metrics(self, number: int) -> dict[str, float]:
        sql = """select w.content, m.value from metric m join word w on w.number = m.key
                 where m.run = ? and not m.is_nan"""
        return dict(self._database.execute(sql, [number]))

    def _put(self, number: int | None, run: _Described, digest: int) -> None:
        if number is not None:
            self._database.execute("delete from metric where run = ?", [number])
            self._database.execute("delete from label where run = ?", [number])
        placed = self._database.execute(
            "insert or replace into runs values (?, ?, ?, ?, ?, ?, ?, ?)", [number, *run.row, digest]
        )
        number = number if number is not None else placed.lastrowid
        metrics = [(number, self._word(key), *rest) for key, *rest in run.metrics]
        self._database.executemany("insert or replace into metric values (?, ?, ?, ?, ?, ?)", metrics)
        labels = [(number, kind, self._word(key), self._word(value)) for kind, key, value in run.labels]
        self._database.executemany("insert or replace into label values (?, ?, ?, ?)", labels)
        datasets = [(run.experiment, *dataset) for dataset in run.datasets]
        self._database.executemany("insert or ignore into datasets values (?, ?, ?)", datasets)

    def _word(self, text: object) -> int:
        content = str(text)
        if (number := self._words.get(content)) is not None:
            return number
        self._database.execute("insert or ignore into word (content) values (?)", [content])
        ((number,),) = self._database.execute("select number from word where content = ?", [content])
        if len(self._words) > _KNOWN_WORDS:
            self._words.clear()
        self._words[content] = number
        return int(number)


_TABLES: Final = (
    *("experiments", "runs", "metric", "label", "datasets", "model_versions", "registered_model_aliases"),
    *("logged_models", "trace_info"),
)
_KEYS: Final = {"model_versions": "version", "registered_model_aliases": "alias"}
_OF_TRACES: Final = (
    *("execution_time_ms", "status", "input_tokens", "output_tokens", "input_cost", "output_cost"),
    *("prompts", "model", "feedback"),
)
_KNOWN_WORDS: Final = 50_000


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))


def _when(metric: Object) -> tuple[int | None, int | None]:
    return _whole(metric.get("timestamp")), _whole(metric.get("step"))


def _value(value: object) -> tuple[float, bool]:
    """Return a value as a store keeps it, and whether it is NaN."""
    number = float(value) if isinstance(value, int | float | str) else math.nan
    if math.isnan(number):
        return 0.0, True
    return (math.copysign(STORED_INFINITY, number), False) if math.isinf(number) else (number, False)
