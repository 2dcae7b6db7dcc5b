"""The neighbours: exporters that run SQL, on the same database and with the same queries.

Both run their queries in the background, at the interval at which ours refreshes, which is when they answer fastest.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import yaml

from tools import debian
from tools.bench.usage import answers
from tools.processes import Process, free_port

# The newest that runs on Python 3.11; psycopg is what it needs for PostgreSQL and does not ask for.
QUERY_EXPORTER = ("query-exporter==5.0.2", "psycopg[binary]==3.3.9")
SQL_EXPORTER = "prometheus-sql-exporter"
_FINITE = "not m.is_nan and abs(m.value) < 1.7976931348623157e308"
_RESULTS = "r.status = 'FINISHED' and r.lifecycle_stage = 'active'"
_LATEST = f"""
    with latest as (
        select distinct on (r.experiment_id, p.value) r.experiment_id, p.value as model_variant, r.run_uuid
        from runs r join params p on p.run_uuid = r.run_uuid and p.key = 'model_variant'
        where {_RESULTS} order by r.experiment_id, p.value, r.end_time desc, r.start_time desc, r.run_uuid desc)
    select e.name as experiment, l.model_variant, m.key as metric, m.value as mlflow_metric_latest
    from latest l join experiments e using (experiment_id) join latest_metrics m using (run_uuid)
    where {_FINITE}"""  # noqa: S608  # constants
# By metric: labels and the query, whose value has the metric's name.
Queries: TypeAlias = Mapping[str, tuple[tuple[str, ...], str]]
QUERIES: Queries = {
    "mlflow_runs": (
        ("experiment", "status"),
        """select e.name as experiment, r.status, count(*) as mlflow_runs
           from runs r join experiments e using (experiment_id) where r.lifecycle_stage = 'active' group by 1, 2""",
    ),
    "mlflow_last_run_timestamp_seconds": (
        ("experiment", "status"),
        """select e.name as experiment, r.status,
                  max(coalesce(r.end_time, r.start_time)) / 1000.0 as mlflow_last_run_timestamp_seconds
           from runs r join experiments e using (experiment_id) where r.lifecycle_stage = 'active' group by 1, 2""",
    ),
    "mlflow_metric_latest": (("experiment", "model_variant", "metric"), _LATEST),
    "mlflow_metric_best": (
        ("experiment", "metric"),
        f"""select e.name as experiment, m.key as metric, max(m.value) as mlflow_metric_best
            from runs r join experiments e using (experiment_id) join latest_metrics m using (run_uuid)
            where {_RESULTS} and {_FINITE} group by 1, 2""",  # noqa: S608  # constants
    ),
    "mlflow_model_version_info": (
        ("model", "version", "alias"),
        """select v.name as model, v.version::text as version, coalesce(a.alias, '') as alias,
                  1 as mlflow_model_version_info
           from model_versions v left join registered_model_aliases a on a.name = v.name and a.version = v.version""",
    ),
}


class PeerError(Exception):
    """Report a neighbour that cannot be had; the message says why."""


def query_exporter(uri: str, folder: Path, interval: int, queries: Queries = QUERIES) -> tuple[str, Process]:
    """Describe query-exporter, installed into a folder of its own before; return its address, too.

    Raises:
        PeerError: It could not be installed.
    """
    place = debian.TOOLS_DIR / "bench" / "query-exporter"
    program = place / "bin" / "query-exporter"
    if not program.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", place], check=True, capture_output=True, text=True)
            install: list[str | Path] = [place / "bin" / "python", "-m", "pip", "install", "--quiet", *QUERY_EXPORTER]
            subprocess.run(install, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise PeerError(f"query-exporter: {error.stderr.strip()[-300:]}") from error
    config = folder / "query-exporter.yaml"
    content = {
        "databases": {"mlflow": {"dsn": uri.replace("postgresql://", "postgresql+psycopg://", 1)}},
        "metrics": {
            name: {"type": "gauge", "description": name, "labels": list(labels)}
            for name, (labels, _sql) in queries.items()
        },
        "queries": {
            name: {"interval": interval, "databases": ["mlflow"], "metrics": [name], "sql": sql}
            for name, (_labels, sql) in queries.items()
        },
    }
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    command: list[str | Path] = [
        # By its interpreter: the script names that by the path at which it was installed.
        place / "bin" / "python",
        program,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--config",
        config,
        "--log-level",
        "error",
    ]
    return url, _process("query-exporter", command, folder, url, f"{list(queries)[-1]}{{")


def sql_exporter(uri: str, folder: Path, interval: int, queries: Queries = QUERIES) -> tuple[str, Process]:
    """Describe Debian's sql_exporter, unpacked before; return its address, too.

    Raises:
        PeerError: It could not be unpacked.
    """
    place = debian.TOOLS_DIR / "packages" / SQL_EXPORTER
    program = place / "usr" / "bin" / SQL_EXPORTER
    if not program.exists():
        try:
            debian.unpack([SQL_EXPORTER], place)
        except debian.AptError as error:
            raise PeerError(f"{SQL_EXPORTER}: {error}") from error
    parts = urlsplit(uri)
    config = folder / "sql-exporter.yaml"
    content = {
        "jobs": [
            {
                "name": "mlflow",
                "interval": f"{interval}s",
                "connections": [f"postgres://{parts.netloc}{parts.path}?sslmode=disable"],
                "queries": [
                    {"name": name, "help": name, "labels": list(labels), "values": [name], "query": sql}
                    for name, (labels, sql) in queries.items()
                ],
            }
        ]
    }
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    command: list[str | Path] = [program, "-config.file", config, "-web.listen-address", f"127.0.0.1:{port}"]
    return url, _process("sql_exporter", command, folder, url, f"sql_{list(queries)[-1]}{{")


def _process(name: str, command: list[str | Path], folder: Path, url: str, sample: str) -> Process:
    return Process(
        name, command, log=folder / f"{name}.log", healthy=lambda: sample in answers(url), start_timeout=180, cwd=folder
    )
