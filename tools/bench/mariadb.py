# ruff: noqa: S608  # put together of constants and numbers, for a server that is thrown away
"""What refreshes cost where the store is in MariaDB; the store is like the one that PostgreSQL is measured with."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import sys
from dataclasses import asdict

# The client reports usage to its makers unless told otherwise before its import.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient

from tools.bench.mlflow import refresh_results
from tools.bench.mlflow_refreshes import Refreshes
from tools.bench.mlflow_store import EXPERIMENTS, KEYS
from tools.bench.progress import Progress
from tools.bench.results import Result
from tools.mariadb import MariadbServer

_STORE = "mlflow"
_START = 1_790_000_000_000
_SETTINGS = {"innodb-buffer-pool-size": "2G", "innodb-flush-log-at-trx-commit": "0"}
_RUN = "md5(concat('run', i.seq))"
_COLUMNS = "run_uuid, name, source_type, status, lifecycle_stage, start_time, end_time, experiment_id"
_EXPERIMENT = f"1 + floor({EXPERIMENTS} * pow(((i.seq * 7919) % 100003) / 100003.0, 3))"
_KEYS = " union all ".join(f"select {number} as n, '{key}' as name" for number, key in enumerate(KEYS))


def run(options: argparse.Namespace) -> list[Result]:
    """Measure on a store of its own."""
    runs = options.runs or (2_000 if options.quick else 100_000)
    with MariadbServer(settings=_SETTINGS) as server, Progress() as progress:
        progress.step(f"{runs:,} runs in MariaDB")
        uri = _fill(server, runs)
        progress.step("refreshes")
        command = [sys.executable, "-m", "tools.bench.mlflow_refresh", uri]
        refreshes = Refreshes.measure(command, lambda number: _change(server, runs, number), options.quick)
    if options.json:
        content = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
        content.setdefault("mariadb", {})[str(runs)] = asdict(refreshes)
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return refresh_results({runs: refreshes}, " in MariaDB")


def _fill(server: MariadbServer, runs: int) -> str:
    """Make a store; return its address."""
    uri = server.create_database(_STORE)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with contextlib.redirect_stderr(io.StringIO()):
        MlflowClient(tracking_uri=uri).search_experiments()
    numbers = f"seq_1_to_{runs} i"
    server.execute(
        f"""insert into experiments (name, lifecycle_stage, creation_time, last_update_time)
            select concat('experiment-', i.seq), 'active', {_START}, {_START} from seq_1_to_{EXPERIMENTS} i;
            insert into runs ({_COLUMNS})
            select {_RUN}, 'run', 'LOCAL',
                   case when i.seq % 1000 = 1 then 'RUNNING' when i.seq % 10 = 2 then 'FAILED' else 'FINISHED' end,
                   if(i.seq % 33 = 4, 'deleted', 'active'), {_START} + i.seq * 1000,
                   if(i.seq % 1000 = 1, null, {_START} + i.seq * 1000 + (i.seq * 7907) % 9000000), {_EXPERIMENT}
            from {numbers};
            insert into latest_metrics (run_uuid, `key`, value, timestamp, step, is_nan)
            select {_RUN}, k.name, ((i.seq * 31 + k.n * 17) % 10007) / 10007.0, {_START}, 49, false
            from {numbers} join ({_KEYS}) k;
            insert into params (run_uuid, `key`, value)
            select {_RUN}, 'model_variant', if(i.seq % 2, 'model_a', 'model_b') from {numbers};
            insert into params (run_uuid, `key`, value) select {_RUN}, 'test_size', '0.2' from {numbers};
            insert into tags (run_uuid, `key`, value) select {_RUN}, 'mlflow.user', 'somebody' from {numbers};
            analyze table runs, latest_metrics, params, tags;
            -- What was written less than two seconds ago may be followed by more: the store is not at rest yet.
            do sleep(4)""",
        _STORE,
    )
    return uri


def _change(server: MariadbServer, runs: int, number: int) -> None:
    """Do what people do in an interval: 50 runs are new, and 50 end."""
    numbers = f"seq_{50 * number + 1}_to_{50 * number + 50} i"
    run = "md5(concat('new', i.seq))"
    server.execute(
        f"""insert into runs ({_COLUMNS})
            select {run}, 'new', 'LOCAL', 'FINISHED', 'active', {_START} + i.seq, {_START} + i.seq * 2, {_EXPERIMENT}
            from {numbers};
            insert into latest_metrics (run_uuid, `key`, value, timestamp, step, is_nan)
            select {run}, 'accuracy', i.seq / 1e9, {_START}, 1, false from {numbers};
            update runs r join {numbers} on r.run_uuid = md5(concat('run', 1 + i.seq * 37 % {runs}))
            set r.end_time = coalesce(r.end_time, {_START}) + 1, r.status = 'FINISHED'""",
        _STORE,
    )
