"""Sessions on a real MariaDB, and as others provide it: frozen, restarted, with TLS, with passwords that change."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring.exporter.database import connect
from ml_monitoring.exporter.database.mysql import MysqlSession
from ml_monitoring.exporter.database.uri import DatabaseUri
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.values import FileSecret
from tools.mariadb import MariadbServer
from tools.processes import free_port, wait_until


@pytest.fixture(scope="module")
def uri(mariadb_server: MariadbServer) -> str:
    """Return the URI of a database with a table of one row."""
    uri = mariadb_server.create_database("sessions")
    mariadb_server.execute(
        "create table t (n int, name text); insert into t values (1, 'naïve 検 \\' \\\\')", "sessions"
    )
    return uri


@pytest.fixture(scope="module")
def own_server() -> Iterator[MariadbServer]:
    """Give a server with TLS that may be frozen and stopped."""
    # Its user may not enter pytest's own folders.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        _make_certificate(folder)
        settings = {"ssl": "1", "ssl-cert": f"{folder}/cert.pem", "ssl-key": f"{folder}/key.pem"}
        with MariadbServer(settings=settings) as server:
            server.create_database("tls")
            server.create_database("ca")
            (server.directory / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
            yield server


def _make_certificate(folder: Path) -> None:
    command: list[str | Path] = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "key.pem").chmod(0o644)


@contextlib.contextmanager
def _session(uri: str, *, timeout: float = 5) -> Iterator[MysqlSession]:
    with contextlib.closing(MysqlSession(uri, timeout=timeout)) as session:
        yield session


def _fails(session: MysqlSession, sql: str = "select 1") -> SourceError:
    with pytest.raises(SourceError) as error, session.transaction():
        session.rows(sql)
    return error.value


def test_a_transaction_sees_one_state_whatever_the_server_is_set_to(mariadb_server: MariadbServer, uri: str) -> None:
    mariadb_server.execute("set global sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES'; create table sessions.u (n int)")
    with _session(uri) as session:
        with session.transaction():
            assert session.rows("select count(*) from u") == [(0,)]
            mariadb_server.execute("insert into u values (1)", "sessions")
            assert list(session.stream("select count(*) from u")) == [(0,)]
            name = "naïve 検 ' \\"
            assert session.rows('select "n", name from t where name = any(%(names)s)', names=[name, "x"]) == [
                ("n", name)
            ]
            assert session.rows("select 1 from t where name = any(%(names)s)", names=[]) == []
        with session.transaction():
            assert session.rows("select count(*) from u") == [(1,)]
    mariadb_server.execute("set global sql_mode = default")


def test_nothing_can_be_written(uri: str) -> None:
    with _session(uri) as session:
        assert "READ ONLY transaction" in str(_fails(session, "insert into t values (2, 'x')"))


def test_a_slow_statement_is_ended_by_the_server_and_may_take_longer_where_that_is_allowed(uri: str) -> None:
    with _session(uri, timeout=0.5) as session:
        error = _fails(session, "select sleep(10)")
        assert error.reason is Reason.TIMEOUT
        assert "query took longer than 0.5 s" in str(error)
        with session.transaction():
            session.allow(30)
            assert session.rows("select @@max_statement_time") == [(30,)]
        with session.transaction():
            assert session.rows("select @@max_statement_time, @@tx_isolation") == [(0.5, "REPEATABLE-READ")]


def test_a_query_can_be_broken_off_from_another_thread(mariadb_server: MariadbServer, uri: str) -> None:
    with _session(uri, timeout=60) as session, contextlib.closing(mariadb_server.connect()) as other:

        def abort_once_asked() -> None:
            with other.cursor() as cursor:
                assert wait_until(
                    lambda: (
                        cursor.execute("select 1 from information_schema.processlist where info like '%sleep(29)'") > 0
                    ),
                    timeout=20,
                )
            session.abort()

        thread = threading.Thread(target=abort_once_asked)
        thread.start()
        error = _fails(session, "select sleep(29)")
        thread.join()
        assert error.reason is Reason.CONNECT


def _end_connection(server: MariadbServer, session: MysqlSession) -> None:
    number = session.connection.thread_id()  # type: ignore[no-untyped-call]  # the stubs leave its type out
    server.execute(f"kill {number}")
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        left = f"select 1 from information_schema.processlist where id = {number}"
        assert wait_until(lambda: cursor.execute(left) == 0, timeout=20)


def test_a_kept_connection_that_was_ended_is_replaced_at_once(mariadb_server: MariadbServer, uri: str) -> None:
    with _session(uri) as session:
        for opened in (1, 2, 3):
            with session.transaction():
                assert session.rows("select 1") == [(1,)]
            assert session.opened == opened
            _end_connection(mariadb_server, session)


def test_a_loss_in_the_middle_of_a_transaction_is_an_error(mariadb_server: MariadbServer, uri: str) -> None:
    with _session(uri) as session:

        def lose() -> None:
            with session.transaction():
                session.rows("select 1")
                _end_connection(mariadb_server, session)
                session.rows("select 1")

        with pytest.raises(SourceError) as error:
            lose()
        assert error.value.reason is Reason.CONNECT


def test_rows_that_nobody_reads_to_their_end_cost_only_the_connection(uri: str) -> None:
    with _session(uri) as session:

        def stop_early() -> None:
            with session.transaction():
                for _row in session.stream("select seq from seq_1_to_1000000"):
                    raise SourceError(Reason.READ, "enough")

        with pytest.raises(SourceError, match="enough"):
            stop_early()
        with session.transaction():
            assert session.rows("select 1") == [(1,)]


def test_what_the_user_may_not_read_is_refused(mariadb_server: MariadbServer, uri: str) -> None:
    mariadb_server.execute(
        "create user shy identified by 's3cret'; grant select (n) on sessions.t to shy; create view sessions.v as"
        " select 1 as one; grant show view on sessions.v to shy"
    )
    with _session(mariadb_server.uri("shy", "s3cret", "sessions")) as session:
        with session.transaction():
            assert session.readable(["t", "u", "v", "none"]) == {"t"}
            assert session.columns(["t"]) == {"t": {"n"}}
        error = _fails(session, "select name from t")
        assert error.reason is Reason.AUTH
        assert "grant the user SELECT" in error.hint
    assert _fails_at(mariadb_server.uri("shy", "wr0ng:s3cret", "sessions")).reason is Reason.AUTH
    assert _fails_at(mariadb_server.uri("shy", "s3cret", "mysql")).reason is Reason.AUTH
    assert "wr0ng" not in str(_fails_at(mariadb_server.uri("shy", "wr0ng", "sessions")))


def _fails_at(uri: str, *, timeout: float = 5) -> SourceError:
    with _session(uri, timeout=timeout) as session:
        return _fails(session)


def test_what_cannot_be_reached_is_said(mariadb_server: MariadbServer, uri: str) -> None:
    missing = _fails_at(mariadb_server.uri(database="nowhere"))
    assert missing.reason is Reason.CONNECT
    assert "the database does not exist" in str(missing)
    assert "refused" in str(_fails_at(f"mysql://u:s3cret@127.0.0.1:{free_port()}/d"))
    assert _fails_at(f"{uri}?unix_socket=/nonexistent/socket").reason is Reason.CONNECT


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\0\0\0\x0aabc\0", b"\0" * 64])
def test_another_server_on_the_port_is_no_server(greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            taken, _address = listener.accept()
            taken.sendall(greeting)
            taken.close()

        thread = threading.Thread(target=answer)
        thread.start()
        error = _fails_at(f"mysql://u:s3cret@127.0.0.1:{listener.getsockname()[1]}/d")
        thread.join()
    assert error.reason is Reason.CONNECT
    assert "s3cret" not in str(error)


def test_a_host_that_does_not_answer_is_bounded_by_the_timeout(own_server: MariadbServer) -> None:
    own_server.pause()
    try:
        error = _fails_at(own_server.uri(database="tls"), timeout=0.5)
    finally:
        own_server.resume()
    assert error.reason is Reason.TIMEOUT
    assert "cannot connect within 0.5 s" in str(error)


def test_a_server_that_stays_away_is_an_error_until_it_is_back(own_server: MariadbServer) -> None:
    with _session(own_server.uri(database="tls")) as session:
        with session.transaction():
            session.rows("select 1")
        own_server.shutdown()
        assert _fails(session).reason is Reason.CONNECT
        assert session.opened == 1
        own_server.boot()
        with session.transaction():
            assert session.rows("select 1") == [(1,)]


def test_a_connection_is_encrypted_and_verified_as_the_uri_says(own_server: MariadbServer) -> None:
    base, authority = own_server.uri(database="tls"), own_server.directory / "ca.pem"
    by_name = base.replace("127.0.0.1", "localhost")

    def cipher(uri: str) -> str:
        with _session(uri) as session, session.transaction():
            ((_name, value),) = session.rows("show status like 'Ssl_cipher'")
            return str(value)

    assert cipher(base)
    assert cipher(f"{base}?ssl_mode=REQUIRED")
    assert not cipher(f"{base}?ssl_disabled=true")
    assert not cipher(f"{base}?ssl_mode=disabled")
    assert cipher(f"{by_name}?ssl_ca={authority}")
    assert cipher(f"{base}?ssl_ca={authority}&ssl_check_hostname=false")
    assert cipher(f"{base}?ssl_ca={authority}&ssl_mode=VERIFY_CA")
    for refused in (f"ssl_ca={authority}", f"ssl_ca={authority}&ssl_mode=VERIFY_IDENTITY", "ssl_mode=VERIFY_CA"):
        error = _fails_at(f"{base}?{refused}")
        assert error.reason is Reason.CONNECT
        assert "no TLS that is trusted" in str(error)
    assert "No such file" in str(_fails_at(f"{base}?ssl_ca=/nonexistent/ca.pem"))


def test_a_kept_connection_ends_when_its_server_is_trusted_no_more(own_server: MariadbServer, tmp_path: Path) -> None:
    own_server.execute("create database if not exists trust")
    authority = tmp_path / "ca.pem"
    authority.write_bytes((own_server.directory / "ca.pem").read_bytes())
    uri = own_server.uri(database="trust").replace("127.0.0.1", "localhost")
    with _session(f"{uri}?ssl_ca={authority}") as session:
        for _ in range(2):
            with session.transaction():
                session.rows("select 1")
        assert session.opened == 1
        authority.unlink()
        with pytest.raises(SourceError) as error, session.transaction():
            pass
        assert error.value.reason is Reason.CONNECT
        authority.write_bytes((own_server.directory / "ca.pem").read_bytes())
        with session.transaction():
            assert session.rows("select 1") == [(1,)]


def test_a_server_without_tls_is_refused_where_it_is_demanded(uri: str) -> None:
    with _session(uri) as session, session.transaction():
        session.rows("select 1")
    assert "no TLS that is trusted" in str(_fails_at(f"{uri}?ssl_mode=REQUIRED"))


def test_a_password_that_was_rotated_is_read_again(mariadb_server: MariadbServer, uri: str, tmp_path: Path) -> None:
    mariadb_server.execute("create user turned identified by 'first'; grant select on sessions.* to turned")
    file = tmp_path / "uri"
    file.write_text(mariadb_server.uri("turned", "first", "sessions") + "\n")
    secret = FileSecret(file)
    session = connect(secret.get_secret_value(), timeout=5, read_again=secret.read_again)
    with contextlib.closing(session), session.transaction():
        session.rows("select 1")
    mariadb_server.execute("alter user turned identified by 'schön/検'")
    file.write_text(mariadb_server.uri("turned", "schön/検", "sessions"))
    with contextlib.closing(session), session.transaction():
        assert session.rows("select 1") == [(1,)]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("?s3cret=1", "none that is known for MySQL"),
        ("?charset=a&charset=s3cret", "given twice"),
        ("?ssl_mode=s3cret", "ssl_mode must be one of DISABLED"),
        ("?ssl_verify_cert=s3cret", "ssl_verify_cert must be true or false"),
        ("?port=s3cret", "a port is no number"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(query: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as error:
        connect(f"mysql://u:p@h/d{query}", timeout=1)
    assert "s3cret" not in str(error.value)


def test_a_uri_without_a_database_is_refused() -> None:
    with pytest.raises(ValueError, match="names no database"):
        connect("mysql://u:p@h", timeout=1)


def test_parts_of_a_uri_are_those_of_sqlalchemy() -> None:
    parsed = DatabaseUri.parse("mysql+pymysql://a%40b:p%25w@[::1]:3307/d%20b?charset=utf8mb4&unix_socket=/run/s")
    assert parsed.mysql_arguments() == {
        "host": "::1",
        "port": 3307,
        "user": "a@b",
        "password": b"p%w",
        "database": "d b",
        "unix_socket": "/run/s",
    }
