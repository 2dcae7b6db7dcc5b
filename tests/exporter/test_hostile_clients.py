"""Clients that open many connections, send half of something or nothing, guess passwords: others are served."""

from __future__ import annotations

import base64
import contextlib
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import requests

from tests.exporter.test_web_config import make_certificate
from tests.support.serving import ExporterProcess, serving

_IDLE = 1100
_FILES = 1024
_MARK = "never-in-a-log"
_HALF = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Half: "


def settings(folder: Path, web_config: str = "", *, uri: str = "", web: str = "") -> Path:
    """Write settings of an exporter with one source, and return their path."""
    (folder / "empty.db").touch()
    (folder / "web.yml").write_text(web_config or "{}")
    config = folder / "ml-monitoring.yml"
    source = uri or f"sqlite:///{folder}/empty.db"
    config.write_text(
        f"web: {{port: 0, config_file: {folder}/web.yml{web}}}\nsources: {{mlflow: {{uri: '{source}', timeout: 3s}}}}\n"
    )
    return config


def address(exporter: ExporterProcess) -> tuple[str, int]:
    host, _, port = exporter.url.partition("://")[2].rpartition(":")
    return host, int(port)


@contextlib.contextmanager
def connections(exporter: ExporterProcess, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open connections that send so much and no more."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(address(exporter), timeout=20))
            opened.append(connection)
            # One that was ended again may say so already.
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent)
        yield opened


def basic(user: str, password: str) -> bytes:
    encoded = base64.b64encode(f"{user}:{password}".encode())
    return b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + encoded + b"\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="none", marks=pytest.mark.wide),
        pytest.param(_HALF, id="half"),
        pytest.param(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", id="kept"),
    ],
)
def test_scrapes_go_on_beside_more_connections_than_files_may_be_opened(sent: bytes, tmp_path: Path) -> None:
    with serving(settings(tmp_path), files=_FILES) as exporter, connections(exporter, _IDLE, sent):
        for _ in range(3):
            assert exporter.get("/metrics").status_code == 200
        lines = exporter.log.read_text().splitlines()
        assert [line for line in lines if "connections" in line] == [
            exporter.wait_for_log("connections at their limit")
        ]


def test_scrapes_go_on_beside_tls_handshakes_that_never_end(tmp_path: Path) -> None:
    make_certificate(tmp_path, "server")
    config = settings(tmp_path, "tls_server_config: {cert_file: tls.crt, key_file: tls.key}")
    # The beginning of a handshake's first message.
    with serving(config, files=_FILES) as exporter, connections(exporter, _IDLE, b"\x16\x03\x01\x02\x00\x01"):
        for _ in range(3):
            assert exporter.get("/metrics", verify=str(tmp_path / "tls.crt")).status_code == 200
        lines = exporter.log.read_text().splitlines()
        assert [line for line in lines if "connection" in line] == [exporter.wait_for_log("connections at their limit")]


def test_idle_connections_and_half_requests_end_by_themselves(tmp_path: Path) -> None:
    with (
        serving(settings(tmp_path)) as exporter,
        connections(exporter, 1) as (idle,),
        connections(exporter, 1, _HALF) as (half,),
    ):
        # Each waits for the end of its connection.
        assert (idle.recv(100), half.recv(100)) == (b"", b"")


def test_no_free_descriptor_is_one_line_and_scrapes_go_on_when_there_is_one_again(tmp_path: Path) -> None:
    with serving(settings(tmp_path)) as exporter:
        pid = exporter.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(list(Path(f"/proc/{pid}/fd").iterdir())), before[1]))
        with connections(exporter, 5):
            exporter.wait_for_log("connections cannot be accepted")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert exporter.get("/metrics").status_code == 200
        assert exporter.log.read_text().count("cannot be accepted") == 1
        assert "Traceback" not in exporter.log.read_text()


def test_a_head_without_end_ends_its_connection(tmp_path: Path) -> None:
    with serving(settings(tmp_path)) as exporter, connections(exporter, 1) as (connection,):
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET /metrics HTTP/1.1\r\n")
            for number in range(60):
                connection.sendall(b"X-%d: " % number + b"x" * 2000 + b"\r\n")
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100) == b""
        exporter.wait_for_log("the head is too large")


_MALFORMED = [
    f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {_MARK}\x00\r\n\r\n".encode(),
    f"GET /{_MARK}\x00 HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    f"GET http://[::1{_MARK} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    f"GET /metrics HTTP/9.9\r\nCookie: {_MARK}\r\n\r\n".encode(),
    f"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\nCookie: {_MARK}\r\n\r\n".encode(),
    f"GET /metrics HTTP/1.1\r\nHost: x\r\nCookie: {_MARK}{'x' * 9000}\r\n\r\n".encode(),
    f"POST /-/reload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ{_MARK}\r\n".encode(),
    b"\x16\x03\x01\x02\x00" + _MARK.encode() + b"\r\n\r\n",
    b"\x00" * 64,
]


def test_malformed_requests_get_400_and_one_line_without_their_content(tmp_path: Path) -> None:
    with serving(settings(tmp_path)) as exporter:
        for request in _MALFORMED * 5:
            with connections(exporter, 1, request) as (connection,):
                answer = connection.makefile("rb").read()
                assert answer.split(b" ")[1] == b"400"
                assert answer.endswith(b"\r\n\r\nBad Request\n")
        log = exporter.log.read_text()
        assert log.count("malformed request") == 1
        assert _MARK not in log
        assert "Traceback" not in log


def test_passwords_that_cannot_be_are_refused_and_named_nowhere(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
    with serving(settings(tmp_path, f'basic_auth_users: {{u: "{hashed}"}}')) as exporter:
        for header in (
            base64.b64encode(f"u:\0{_MARK}".encode()),
            base64.b64encode(b"\xed\xa0\x80:" + _MARK.encode()),
            f"{_MARK}=".encode(),
            b"\xff\xfe" + _MARK.encode(),
        ):
            request = b"GET /metrics HTTP/1.0\r\nAuthorization: Basic " + header + b"\r\n\r\n"
            with connections(exporter, 1, request) as (connection,):
                assert connection.makefile("rb").read().split(b" ")[1] == b"401"
        assert _MARK not in exporter.log.read_text()
        assert "defect" not in exporter.log.read_text()


# An exporter that notes each hash, and makes none while the file `gate` is there.
_NOTING = """
import pathlib, sys, time, bcrypt
gate, real = pathlib.Path(sys.argv.pop(1)), bcrypt.checkpw
def checkpw(password, hashed):
    print("hash of", password.decode(), file=sys.stderr, flush=True)
    while gate.exists():
        time.sleep(0.01)
    return real(password, hashed)
bcrypt.checkpw = checkpw
from ml_monitoring.exporter.cli import main
sys.exit(main(["serve", *sys.argv[1:]]))
"""


def test_logins_of_clients_that_left_are_dropped_and_a_known_one_is_served_at_once(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"known", bcrypt.gensalt(4)).decode()
    config = settings(tmp_path, f'basic_auth_users: {{known: "{hashed}"}}')
    gate = tmp_path / "gate"
    exporter = ExporterProcess(config, tmp_path / "log", command=(sys.executable, "-c", _NOTING, str(gate)))
    try:
        assert exporter.get("/metrics", auth=("known", "known")).status_code == 200
        gate.touch()
        with connections(exporter, 300, basic("known", "left")):
            exporter.wait_for_log("hash of left")
            # While all of them wait.
            assert exporter.get("/metrics", auth=("known", "known")).status_code == 200
            refused = exporter.get("/metrics", auth=("known", "other"))
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        # By the time that this is answered, it has been seen that they left.
        assert exporter.get("/-/healthy").status_code == 200
        gate.unlink()
        assert exporter.get("/metrics", auth=("known", "last")).status_code == 401
        noted = [line.split()[-1] for line in exporter.log.read_text().splitlines() if line.startswith("hash of")]
        # The one that was under way, and none of the others.
        assert noted == ["known", "left", "last"]
    finally:
        gate.unlink(missing_ok=True)
        exporter.stop()


def test_it_ends_in_time_while_a_password_is_verified_for_days(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode().replace("$04$", "$31$")
    config = settings(tmp_path, f'basic_auth_users: {{u: "{hashed}"}}')
    with serving(config) as exporter, connections(exporter, 3, basic("u", "x")):
        assert exporter.get("/-/healthy").status_code == 200
        assert exporter.stop() == 0


def test_a_runbook_that_is_a_pipe_is_not_found_and_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "runbooks").mkdir()
    os.mkfifo(tmp_path / "runbooks" / "Stuck.md")
    with serving(settings(tmp_path, web=f", runbooks_dir: {tmp_path}/runbooks")) as exporter:
        assert exporter.get("/runbooks/Stuck").status_code == 404
        assert exporter.stop() == 0
        assert "ended without waiting" not in exporter.log.read_text()


def test_it_ends_in_time_beside_a_silent_database_and_clients_that_do_not_read(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d"
        with serving(settings(tmp_path, uri=uri)) as exporter:
            accepted, _ = silent.accept()
            with accepted, connections(exporter, 10, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 500):
                exporter.process.send_signal(signal.SIGTERM)
                assert exporter.stop() == 0


@pytest.mark.parametrize(
    "version", [pytest.param(ssl.TLSVersion.TLSv1_2, marks=pytest.mark.wide), ssl.TLSVersion.TLSv1_3]
)
def test_a_client_that_breaks_its_handshake_off_is_no_line_in_the_log(version: ssl.TLSVersion, tmp_path: Path) -> None:
    make_certificate(tmp_path, "server")
    config = settings(tmp_path, "tls_server_config: {cert_file: tls.crt, key_file: tls.key}")
    context = ssl.create_default_context()
    context.maximum_version = context.minimum_version = version
    with serving(config) as exporter:
        for _ in range(20):
            # It trusts no certificate of its own making.
            with pytest.raises(ssl.SSLCertVerificationError), connections(exporter, 1) as (plain,):
                context.wrap_socket(plain, server_hostname="127.0.0.1")
        assert exporter.get("/-/healthy", verify=str(tmp_path / "tls.crt")).status_code == 200
        assert "Traceback" not in exporter.log.read_text()
        assert exporter.log.read_text().count("connection") <= 1


def test_the_framework_answers_in_one_way_for_requests_without_credentials(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode().replace("$04$", "$31$")
    # No credentials cost no hash: it would take days.
    with serving(settings(tmp_path, f'basic_auth_users: {{u: "{hashed}"}}')) as exporter:
        assert exporter.get("/metrics").status_code == 401
        assert requests.get(f"{exporter.url}/", headers={"Authorization": "Bearer x"}, timeout=10).status_code == 401
