"""Stores that other versions of MLflow wrote, in each kind of database, and the tracking servers of those versions: the
same values, as far as they know of them.

The matrix is the table of `docs/mlflow.md`; its newest version is the one that is installed.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tests.support.files import ROOT
from tests.support.mlflow_server import MlflowServer
from tests.support.mlflow_store import reference_client
from tests.support.serving import serving
from tools.debian import TOOLS_DIR
from tools.mariadb import MariadbServer
from tools.postgres import PostgresServer
from tools.processes import free_port

_GOLDEN = Path("tests/golden/mlflow.txt")
# The families that are there only where the store has a table or column for them.
_EXTRA = {
    "datasets": frozenset({"mlflow_datasets"}),
    "traces": frozenset({"mlflow_traces_total", "mlflow_traces_in_progress", "mlflow_trace_duration_seconds"}),
    "logged models": frozenset({"mlflow_logged_models", "mlflow_last_logged_model_timestamp_seconds"}),
    "tokens and cost of traces": frozenset({"mlflow_trace_tokens_total", "mlflow_trace_cost_dollars_total"}),
    "feedback": frozenset({"mlflow_trace_feedback_total", "mlflow_trace_feedback_score"}),
    "prompts of traces": frozenset({"mlflow_prompt_traces_total", "mlflow_prompt_trace_seconds_total"}),
    "models of traces": frozenset({"mlflow_model_traces_total", "mlflow_model_trace_seconds_total"}),
}
_TOKENS = "tokens and cost of traces"
# The first with aliases, the last of the second and of early third generations, some between, and the one installed;
# and what its stores have of what is read besides runs, metrics, labels and the registry with its aliases.
MATRIX = {
    "2.3.2": (),
    "2.9.2": ("datasets",),
    "2.14.3": ("datasets", "traces"),
    "2.22.1": ("datasets", "traces"),
    "3.1.4": ("datasets", "traces", "logged models", "models of traces"),
    "newest": (
        *("datasets", "traces", "logged models", "models of traces"),
        *("prompts of traces", "feedback", _TOKENS),
    ),
}
BACK_ENDS = {"postgresql": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite", "server": "tracking server"}
# What is not said by what MLflow asks for itself.
_WITH = ("sqlalchemy<2.1", "pymysql", "psycopg2-binary", "setuptools<80", "numpy<2", "pandas<3")
_WRITE = """
import sys
from tests.support import mlflow_store as store
if sys.argv[1] == "reference":
    store.write_reference_store(sys.argv[2], colon=".")
else:
    store.write_extras(sys.argv[2])
"""


@pytest.fixture(scope="module", params=MATRIX)
def writer(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """Return a version of MLflow and the interpreter of an environment with it."""
    if request.param == "newest":
        return request.param, Path(sys.executable)
    folder: Path = TOOLS_DIR / "mlflow" / request.param
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():
        uv = [str(Path(sys.executable).with_name("uv")), "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", "3.11", str(folder)], check=True)
        needed = (f"mlflow=={request.param}", *_WITH)
        subprocess.run([*uv, "pip", "install", "--python", str(interpreter), *needed], check=True)
        (folder / "complete").touch()
    return request.param, interpreter


@pytest.mark.wide
@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_a_store_of_another_version_has_the_same_values(
    back_end: str, writer: tuple[str, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    of_version, interpreter = writer
    if back_end in ("sqlite", "server"):
        uri = f"sqlite:///{tmp_path}/mlflow.db"
    else:
        fixture = "mariadb_server" if back_end == "mariadb" else "postgres_server"
        database: MariadbServer | PostgresServer = request.getfixturevalue(fixture)
        uri = database.create_database(f"mlflow_{of_version.replace('.', '_')}")
    _run(interpreter, "reference", uri)
    expected = _GOLDEN.read_text(encoding="utf-8").replace("loss/train: top-5", "loss/train. top-5")
    extras = set().union(*(_EXTRA[part] for part in MATRIX[of_version]))
    with contextlib.ExitStack() as stack:
        read = uri
        if back_end == "server":
            read = stack.enter_context(MlflowServer(uri, tmp_path, python=interpreter)).url
            # A server tells metadata of traces, which hold these, whatever its store has columns for.
            extras |= _EXTRA[_TOKENS] if "traces" in MATRIX[of_version] else set()
        text, families = _collect(read)
        assert _values(text) == _values(expected)
        _run(interpreter, "extras", uri)
        _text, more = _collect(read)
    assert more - families == extras


@pytest.mark.wide
@pytest.mark.parametrize("writer", ["2.22.1"], indirect=True)
def test_a_server_may_be_upgraded_under_a_running_exporter(
    writer: tuple[str, Path], tmp_path: Path, write_config: Callable[..., Path]
) -> None:
    _version, interpreter = writer
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    _run(interpreter, "reference", uri)
    up = 'ml_monitoring_source_up{source="mlflow"}'
    finished = 'mlflow_runs{experiment="churn",status="FINISHED"}'
    port = free_port()
    config = write_config(f"http://127.0.0.1:{port}", requests_per_minute=6000)
    with contextlib.ExitStack() as stack:
        with MlflowServer(uri, tmp_path, python=interpreter, port=port):
            exporter = stack.enter_context(serving(config))
            before = exporter.wait_for(up, 1)
        assert exporter.wait_for(up, 0).get(finished, before[finished]) == before[finished]
        subprocess.run([sys.executable, "-m", "mlflow", "db", "upgrade", uri], check=True, capture_output=True)
        stack.enter_context(MlflowServer(uri, tmp_path, port=port))
        after = exporter.wait_for(up, 1)
        assert after[finished] == before[finished]
        client = reference_client(uri)
        found = client.get_experiment_by_name("churn")
        assert found is not None
        client.set_terminated(client.create_run(found.experiment_id).info.run_id)
        exporter.wait_for(finished, before[finished] + 1)
        # What the older server had no listing for is read from the newer one.
        _run(Path(sys.executable), "extras", uri)
        exporter.wait_for('mlflow_traces_total{experiment="empty",status="OK"}', 1, timeout=120)


def test_the_table_in_the_docs_is_the_matrix() -> None:
    pinned = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    (newest,) = re.findall(r"(?m)^mlflow==(\S+)", pinned)
    lines = ["| MLflow | " + " | ".join(BACK_ENDS.values()) + " | read besides |", "|---" * (len(BACK_ENDS) + 2) + "|"]
    for of_version, parts in MATRIX.items():
        name = newest if of_version == "newest" else of_version
        lines.append(f"| {name} | " + "yes | " * len(BACK_ENDS) + f"{', '.join(parts) or '-'} |")
    assert "\n".join(lines) in (ROOT / "docs" / "mlflow.md").read_text(encoding="utf-8")


def _run(interpreter: Path, what: str, uri: str) -> None:
    done = subprocess.run([interpreter, "-c", _WRITE, what, uri], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _collect(uri: str) -> tuple[str, frozenset[str]]:
    """Return what is exposed, and the names of the families that have samples."""
    source = MlflowSource(MlflowSettings.model_validate({"uri": uri}))
    families = source.collect()
    source.close()
    return render_text(families).decode(), frozenset(family.metric.name for family in families if family.samples)


def _values(text: str) -> list[str]:
    """Return the samples, without estimates of rows and with the time at which versions were registered left out."""
    text = re.sub(r"(?m)^(mlflow_model_aliased_version_timestamp_seconds{.*}) .*$", r"\1 NOW", text)
    return sorted(line for line in text.splitlines() if not line.startswith(("#", "mlflow_store_rows")))
