"""Stores that other versions of MLflow wrote, in each kind of database: the same values, as far as they know of them.

The newest version, which is installed, writes the stores of `test_mlflow.py`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tests.support.files import ROOT
from tools.debian import TOOLS_DIR
from tools.mariadb import MariadbServer
from tools.postgres import PostgresServer

_GOLDEN = Path("tests/golden/mlflow.txt")
# The first with aliases, the last of the second and of early third generations, and some between.
VERSIONS = ("2.3.2", "2.9.2", "2.14.3", "2.22.1", "3.1.4")
# What the part of MLflow that writes stores needs, and does not bring itself.
_WITH = (
    "sqlalchemy<2.1",
    "alembic",
    "sqlparse",
    "pymysql",
    "psycopg2-binary",
    "setuptools<80",
    "numpy<2",
    "pandas<3",
    "cachetools",
)
_WRITE = (
    "import sys; from tests.support.mlflow_store import write_reference_store as write; write(sys.argv[1], colon='.')"
)


@pytest.fixture(scope="module", params=VERSIONS)
def python(request: pytest.FixtureRequest) -> Path:
    """Return the interpreter of an environment with a version of MLflow."""
    folder: Path = TOOLS_DIR / "mlflow" / request.param
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():
        uv = [str(Path(sys.executable).with_name("uv")), "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", "3.11", str(folder)], check=True)
        needed = (f"mlflow-skinny=={request.param}", *_WITH)
        subprocess.run([*uv, "pip", "install", "--python", str(interpreter), *needed], check=True)
        (folder / "complete").touch()
    return interpreter


@pytest.mark.wide
@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_a_store_of_another_version_has_the_same_values(
    kind: str, python: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "sqlite":
        uri = f"sqlite:///{tmp_path}/mlflow.db"
    elif kind == "mariadb":
        mariadb: MariadbServer = request.getfixturevalue("mariadb_server")
        uri = mariadb.create_database(f"mlflow_{python.parent.parent.name.replace('.', '_')}")
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        uri = postgres.create_database(f"mlflow_{python.parent.parent.name}")
    done = subprocess.run([python, "-c", _WRITE, uri], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    source = MlflowSource(MlflowSettings.model_validate({"uri": uri}))
    text = render_text(source.collect()).decode()
    source.close()
    expected = _GOLDEN.read_text(encoding="utf-8").replace("loss/train: top-5", "loss/train. top-5")
    assert _values(text) == _values(expected)


def _values(text: str) -> list[str]:
    """Return the samples, without estimates of rows and with the time at which versions were registered left out."""
    text = re.sub(r"(?m)^(mlflow_model_aliased_version_timestamp_seconds{.*}) .*$", r"\1 NOW", text)
    return sorted(line for line in text.splitlines() if not line.startswith(("#", "mlflow_store_rows")))
