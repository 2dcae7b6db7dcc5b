"""Fleet sources that get closed, and MLflow stores with the reference content.

The stores exist in each kind of database; they are written once and copied for each test.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.fleet_files import OPENED
from tests.support.mlflow_store import write_reference_store
from tools.mariadb import MariadbServer
from tools.postgres import PostgresServer

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _closed_fleet_sources() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture(scope="session")
def _sqlite_reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "mlflow.db"
    write_reference_store(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_store(_sqlite_reference: Path, tmp_path: Path) -> Path:
    """Return the file of a SQLite store with the reference content."""
    return Path(shutil.copy(_sqlite_reference, tmp_path / "mlflow.db"))


@pytest.fixture(scope="session")
def _postgres_reference(postgres_server: PostgresServer) -> str:
    name = "mlflow_reference"
    write_reference_store(postgres_server.create_database(name))
    postgres_server.execute("VACUUM ANALYZE", name)
    return name


@pytest.fixture
def postgres_store(postgres_server: PostgresServer, _postgres_reference: str) -> Iterator[str]:
    """Give the name of a PostgreSQL database with the reference content."""
    # MLflow's engine keeps its connections, and nobody may be connected to a template.
    postgres_server.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_postgres_reference}'"
    )
    name = f"mlflow_{next(_numbers)}"
    with postgres_server.temporary_database(name, template=_postgres_reference):
        yield name


@pytest.fixture(scope="session")
def _mariadb_reference(mariadb_server: MariadbServer) -> str:
    name = "mlflow_reference"
    write_reference_store(mariadb_server.create_database(name))
    return name


@pytest.fixture
def mariadb_store(mariadb_server: MariadbServer, _mariadb_reference: str) -> str:
    """Return the name of a MariaDB database with the reference content."""
    name = f"mlflow_{next(_numbers)}"
    mariadb_server.create_database(name, template=_mariadb_reference)
    return name


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def store_uri(request: pytest.FixtureRequest) -> str:
    """Return the URI of a store with the reference content, once in each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_store')}"
    if request.param == "mariadb":
        mariadb: MariadbServer = request.getfixturevalue("mariadb_server")
        return mariadb.uri(database=request.getfixturevalue("mariadb_store"))
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.uri(database=request.getfixturevalue("postgres_store"))


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes settings with one `mlflow` section and returns the file."""

    def write(uri: str, **section: object) -> Path:
        lines = "".join(f"    {key}: {value}\n" for key, value in {"interval": "200ms", **section}.items())
        path = tmp_path / "ml-monitoring.yml"
        path.write_text(f"web: {{port: 0}}\nsources:\n  mlflow:\n    uri: {uri!r}\n{lines}", encoding="utf-8")
        return path

    return write
