from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tools.postgres import PostgresError, PostgresServer, _find_programs
from tools.processes import port_is_free


def one(uri: str, query: str) -> object:
    with contextlib.closing(psycopg2.connect(uri, connect_timeout=3)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
        assert row is not None
        return row[0]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(settings={"application_name": "throw-away"}) as server:
        yield server


def test_serves_databases_for_the_superuser_and_for_others(server: PostgresServer) -> None:
    uri = server.create_database("größe & more")
    server.execute("CREATE ROLE \"re@der\" LOGIN PASSWORD 'p/w:1'")
    assert one(uri, "SELECT current_database()") == "größe & more"
    other = server.uri("re@der", "p/w:1", "größe & more")
    assert one(other, "SELECT current_user::text") == "re@der"
    assert one(other, "SHOW application_name") == "throw-away"


def test_refuses_a_wrong_password(server: PostgresServer) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        one(server.uri(password="wrong"), "SELECT 1")


def test_a_database_can_be_copied(server: PostgresServer) -> None:
    server.create_database("original")
    server.execute("CREATE TABLE t AS SELECT 42 AS answer", "original")
    assert one(server.create_database("copy", template="original"), "SELECT answer FROM t") == 42


def test_a_restart_breaks_connections_and_keeps_data_and_port(server: PostgresServer) -> None:
    uri = server.create_database("lasting")
    server.execute("CREATE TABLE t AS SELECT 1 AS x", "lasting")
    with contextlib.closing(psycopg2.connect(uri)) as connection, connection.cursor() as cursor:
        server.restart()
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
    assert one(uri, "SELECT x FROM t") == 1


def test_a_paused_server_gives_no_answer_until_it_is_resumed(server: PostgresServer) -> None:
    server.pause()
    try:
        with pytest.raises(psycopg2.OperationalError, match="timeout expired"):
            psycopg2.connect(server.uri(), connect_timeout=2)
    finally:
        server.resume()
    assert one(server.uri(), "SELECT 1") == 1


def test_a_paused_server_can_be_stopped_and_leaves_nothing() -> None:
    with PostgresServer() as server, contextlib.closing(server.connect()):
        pids = server._pids()
        server.pause()
    assert not server.directory.exists()
    assert port_is_free(server.port)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
def test_root_can_start_programs_that_the_other_user_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    folder = _find_programs()
    package = folder.parent.parent
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, private / part.name)
    private.chmod(0o700)
    monkeypatch.setenv("PG_BIN", str(private / package.name / "pginstall" / "bin"))
    with PostgresServer() as server:
        assert one(server.uri(), "SELECT 1") == 1


def test_a_folder_without_programs_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    server = PostgresServer()
    with pytest.raises(PostgresError) as caught:
        server.start()
    assert str(caught.value) == f"no PostgreSQL: PG_BIN={tmp_path} holds no initdb and no postgres"
    assert not server.directory.exists()


def test_a_port_in_use_is_reported_with_the_servers_own_words(server: PostgresServer) -> None:
    second = PostgresServer(port=server.port)
    with pytest.raises(PostgresError, match="could not bind IPv4 address"):
        second.start()
    assert not second.directory.exists()
