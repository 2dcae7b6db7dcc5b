"""Other services are asked with the password of their address, and no message holds it."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest

from ml_monitoring.exporter.http_client import RemoteError, fetch, fetch_json
from tools.processes import Process, free_port, http_ok
from tools.sinks import HttpSink


def with_password(url: str) -> str:
    return url.replace("://", "://ops:p%40ss@")


def test_user_and_password_of_an_address_are_sent_as_a_header() -> None:
    with HttpSink() as sink:
        fetch(with_password(sink.url), "api/v2/alerts", timeout=5, method="POST", json_body=[1])
    (post,) = sink.posts
    assert (post.path, post.body) == ("/api/v2/alerts", "[1]")
    assert base64.b64decode(post.authorization.removeprefix("Basic ")) == b"ops:p@ss"


def test_no_message_holds_the_password() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = rf"^{url} cannot be reached: Connection refused: does it run there, and on this port\?$"
    with pytest.raises(RemoteError, match=said) as unreachable:
        fetch(with_password(url), "metrics", timeout=5)
    with HttpSink() as sink, pytest.raises(RemoteError, match=rf"^{sink.url}: 500: ") as refused:
        fetch(with_password(sink.url), "metrics", timeout=5)
    assert "ss@" not in f"{unreachable.value}{refused.value}"


def test_an_answer_that_is_no_json_is_another_programs(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind=127.0.0.1", f"--directory={tmp_path}"]
    url = f"http://127.0.0.1:{port}"
    page = r"a page for people \(Directory listing for /\), of a login or of another program"
    message = rf"^{url} does not answer in JSON: it answers with {page}$"
    files = Process("files", command, log=tmp_path / "log", healthy=lambda: http_ok(url))
    with files, pytest.raises(RemoteError, match=message):
        fetch_json(url, "", timeout=5)
