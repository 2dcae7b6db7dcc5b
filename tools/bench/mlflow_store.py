# ruff: noqa: S608  # put together of constants and numbers, for a server that is thrown away
"""A big MLflow store, built in seconds: MLflow makes its tables, PostgreSQL fills them.

Experiments are of very different sizes, as people's are; two variants, ten metrics, three params and two tags a run; a
registered version for every fiftieth run; now and then a failed, running or deleted run, a NaN, an infinity.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

# The client reports usage to its makers unless told otherwise before its import.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient

from tools.postgres import PostgresServer

EXPERIMENTS = 200
KEYS = ("accuracy", "precision", "recall", "f1", "auc", "val_loss", "train_loss", "rmse", "latency_ms", "score")
READER = "reader"
DATABASE = "mlflow"
_START = 1_790_000_000_000
_INFINITY = "1.7976931348623157e308"
# Experiment of run i: small numbers are many times likelier than big ones.
_EXPERIMENT = f"floor({EXPERIMENTS} * power(((i * 7919) % 100003) / 100003.0, 3))::int"


@dataclass(frozen=True, slots=True)
class Size:
    """How big a store is.

    Attributes:
        runs: Rows of `runs`.
        metric_rows: Rows of `metrics`, the history, which the exporter never reads.
    """

    runs: int
    metric_rows: int


def create(server: PostgresServer) -> str:
    """Make an empty store, and a role that may read it; return the reader's address."""
    uri = server.create_database(DATABASE)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with contextlib.redirect_stderr(io.StringIO()):
        MlflowClient(tracking_uri=uri.replace("postgresql://", "postgresql+psycopg2://", 1)).search_experiments()
    server.execute(
        f"CREATE ROLE {READER} LOGIN PASSWORD '{READER}'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}",
        DATABASE,
    )
    server.execute(
        f"""insert into experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time,
                                     workspace)
            select 'experiment-' || lpad(e::text, 3, '0'), '/nonexistent', 'active', {_START}, {_START}, 'default'
            from generate_series(1, {EXPERIMENTS}) e""",
        DATABASE,
    )
    server.execute(
        f"""insert into registered_models (name, creation_time, last_updated_time, workspace)
            select 'model-' || e, {_START}, {_START}, 'default' from generate_series(1, {EXPERIMENTS}) e""",
        DATABASE,
    )
    return server.uri(READER, READER, DATABASE)


def grow(server: PostgresServer, before: Size, after: Size, step: Callable[[str], None]) -> None:
    """Add what a store of one size lacks to be of another.

    Args:
        server: Where the store is.
        before: What it has.
        after: What it must have.
        step: Told what comes next.
    """
    # Products of numbers of runs leave the range of an integer at a quarter of a million runs.
    runs = f"generate_series({before.runs + 1}::bigint, {after.runs}) i"
    run_id = "md5('run' || i)"
    history = after.metric_rows - before.metric_rows
    keys = "array[" + ", ".join(f"'{key}'" for key in KEYS) + "]"
    value = f"""case when i % 997 = 0 and k = 3 then {_INFINITY} when i % 499 = 0 and k = 4 then 0
                else ((i * 31 + k * 17) % 10007) / 10007.0 end"""
    statements = {
        "runs": f"""
            insert into runs (run_uuid, name, user_id, source_type, status, lifecycle_stage, start_time, end_time,
                              experiment_id, artifact_uri)
            select {run_id}, 'run-' || i, 'somebody', 'LOCAL',
                   case when i % 1000 = 1 then 'RUNNING' when i % 10 = 2 then 'FAILED' when i % 50 = 3 then 'KILLED'
                        else 'FINISHED' end,
                   case when i % 33 = 4 then 'deleted' else 'active' end,
                   {_START} + i::bigint * 1000,
                   case when i % 1000 = 1 then null else {_START} + i::bigint * 1000 + (i * 7907) % 9000000 end,
                   1 + {_EXPERIMENT}, '/nonexistent'
            from {runs}""",
        "latest metrics": f"""
            insert into latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
            select {run_id}, ({keys})[k], {value}, {_START} + i::bigint * 1000, 49, i % 499 = 0 and k = 4
            from {runs}, generate_series(1, {len(KEYS)}) k""",
        "params": f"""
            insert into params (run_uuid, key, value)
            select {run_id}, key, value from {runs}, lateral (values
                ('model_variant', 'model_' || chr(97 + (i % 2)::int)), ('test_size', '0.2'), ('lr', (i % 13)::text)
            ) given (key, value)""",
        "tags": f"""
            insert into tags (run_uuid, key, value)
            select {run_id}, key, value from {runs}, lateral (values
                ('mlflow.user', 'somebody'), ('mlflow.runName', 'run-' || i)) given (key, value)""",
        "model versions": f"""
            insert into model_versions (name, version, creation_time, last_updated_time, current_stage, source, run_id,
                                        status, workspace)
            select 'model-' || 1 + (i / 50) % {EXPERIMENTS}, 1 + i / 50 / {EXPERIMENTS}, {_START} + i, {_START} + i,
                   'None', '/nonexistent', {run_id}, 'READY', 'default'
            from {runs} where i % 50 = 0""",
        "aliases": f"""
            insert into registered_model_aliases (name, alias, version, workspace)
            select 'model-' || m, 'champion', 1, 'default' from generate_series(1, {EXPERIMENTS}) m
            where exists (select from model_versions v where v.name = 'model-' || m and v.version = 1)
            on conflict do nothing""",
        "metric history": f"""
            insert into metrics (run_uuid, key, value, timestamp, step, is_nan)
            select md5('run' || 1 + j % {max(1, after.runs)}), ({keys})[1 + j / {max(1, after.runs)} % {len(KEYS)}],
                   (j % 10007) / 10007.0, {_START} + j, j, false
            from generate_series({before.metric_rows + 1}, {after.metric_rows}) j""",
    }
    for what, sql in statements.items():
        if what == "metric history" and history <= 0:
            continue
        step(what)
        server.execute(sql, DATABASE)
    step("vacuum")
    server.execute("vacuum analyze", DATABASE)


def change_runs(server: PostgresServer, size: Size, count: int, number: int) -> None:
    """Do what people do in an interval: some runs end, some are new, some are deleted."""
    first = size.runs + number * count
    run_id = f"md5('new-{size.runs}-' || i)"
    changed = f"md5('run' || {number} * 7 + i * 37 % {size.runs})"
    server.execute(
        f"""insert into runs (run_uuid, name, source_type, status, lifecycle_stage, start_time, end_time, experiment_id,
                              artifact_uri)
            select {run_id}, 'new', 'LOCAL', 'FINISHED', 'active', {_START} + i, {_START} + i * 2, 1 + {_EXPERIMENT},
                   '/nonexistent' from generate_series({first + 1}::bigint, {first + count // 2}) i;
            insert into latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
            select {run_id}, key, i / 1e9, {_START}, 1, false
            from generate_series({first + 1}, {first + count // 2}) i, unnest(array['accuracy', 'val_loss']) key;
            update runs set end_time = coalesce(end_time, {_START}) + 1, status = 'FINISHED'
            where run_uuid in (select {changed} from generate_series(1, {count - count // 2}) i)""",
        DATABASE,
    )
