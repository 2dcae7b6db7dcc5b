"""Each client says in one sentence, with what helps, why a server did not answer; real servers are in the way."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from ml_monitoring.dashboards.publish.grafana import Grafana, GrafanaError
from ml_monitoring.dashboards.render.errors import QueryError
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.exporter.http_client import HttpChannel, RemoteError, fetch_json
from ml_monitoring.exporter.http_failures import describe_refusal
from tools.processes import free_port

_LOGIN_PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in\n to Corp</title></head><body>" + "x" * 5000


def by_urllib(url: str) -> None:
    fetch_json(url, "api/v2/status", timeout=0.5)


def by_channel(url: str) -> None:
    HttpChannel(url).ask("api/2.0/mlflow", seconds=0.5, headers={})


def by_grafana(url: str) -> None:
    Grafana(url, "token", timeout=0.5).organisation()


def by_renderer(url: str) -> None:
    with Prometheus(url, timeout=0.5) as prometheus:
        prometheus.version()


CLIENTS = [by_urllib, by_channel, by_grafana, by_renderer]
Client = Callable[[str], None]


def said_by(client: Client, url: str) -> str:
    """Return what a client says, which is one line."""
    with pytest.raises((RemoteError, GrafanaError, QueryError)) as caught:
        client(url)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    assert not any(words in message for words in ("HTTPConnectionPool", "object at 0x", "[Errno", "urlopen", "retries"))
    return message


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[int]:
    """Give the port of a TLS server whose certificate nobody trusts."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    subprocess.run([*command, "-keyout", tmp_path / "key", "-out", tmp_path / "crt"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.mark.parametrize("client", CLIENTS)
def test_nobody_listens(client: Client) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert said_by(client, url) == f"{url} cannot be reached: Connection refused: does it run there, and on this port?"


@pytest.mark.parametrize("client", CLIENTS)
def test_the_name_is_not_known(client: Client) -> None:
    url = "http://grafana.invalid"
    known = "its name is not known: is it spelled right, and known to the DNS here?"
    assert said_by(client, url) == f"{url} cannot be reached: {known}"


@pytest.mark.parametrize("client", CLIENTS)
def test_no_answer_comes(client: Client, silent: str) -> None:
    assert said_by(client, silent) in {
        f"{silent} cannot be reached: no answer in time",
        f"{silent} did not answer within 0.5 s",
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_the_certificate_is_not_trusted(client: Client, stranger: int) -> None:
    url = f"https://127.0.0.1:{stranger}"
    assert said_by(client, url).startswith(f"{url} cannot be reached: its certificate is not trusted: self")


@pytest.mark.parametrize("client", CLIENTS[:3])
def test_http_where_https_is_spoken_and_the_other_way_round(
    client: Client, stranger: int, httpserver: HTTPServer
) -> None:
    assert "is it https:// instead of http://?" in said_by(client, f"http://127.0.0.1:{stranger}")
    httpserver.expect_request("/")
    assert "is it http:// instead of https://?" in said_by(client, httpserver.url_for("").replace("http:", "https:"))


@pytest.mark.parametrize("client", [by_urllib, by_grafana, by_renderer])
def test_a_page_for_people_in_place_of_json(client: Client, httpserver: HTTPServer) -> None:
    for path in ("/api/v2/status", "/api/org", "/api/v1/status/buildinfo"):
        httpserver.expect_request(path).respond_with_data(_LOGIN_PAGE, content_type="text/html")
    assert "a page for people" in said_by(client, httpserver.url_for("").rstrip("/"))


def test_a_login_to_which_requests_are_led(httpserver: HTTPServer) -> None:
    to_login = {"Location": "/login"}
    httpserver.expect_request("/login").respond_with_data(_LOGIN_PAGE, content_type="text/html")
    httpserver.expect_request("/api/v2/status").respond_with_data("", 302, to_login)
    httpserver.expect_request("/api/org").respond_with_data("", 302, to_login)
    url = httpserver.url_for("").rstrip("/")
    page = "it answers with a page for people (Sign in to Corp), of a login or of another program"
    assert said_by(by_urllib, url) == f"{url} does not answer in JSON: {page}"
    assert "a login stands before it (/login)" in said_by(by_grafana, url)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "Unauthorized\n", "401: Unauthorized: user and password, or the token, are missing or wrong"),
        (401, _LOGIN_PAGE, "401: a page for people (Sign in to Corp): user and password, or the token, are missing"),
        (502, "<html><body>nginx", "502: a page for people"),
        (400, "line one\nline two", "400: line one line two"),
        (503, "", "503"),
    ],
)
def test_a_refusal_is_one_line(status: int, body: str, said: str, httpserver: HTTPServer) -> None:
    assert describe_refusal(status, body).startswith(said)
    httpserver.expect_request("/api/v2/status").respond_with_data(body, status)
    url = httpserver.url_for("").rstrip("/")
    assert said_by(by_urllib, url).startswith(f"{url}: {said}")
