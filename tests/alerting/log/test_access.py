"""Who may ask the alert log and post to it, and how much."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.log.database import only_one
from ml_monitoring.alerting.model.thresholds import Thresholds
from tests.support.alert_log import Server, body
from tests.support.alertmanager_server import AT_ONCE, running
from tools.processes import wait_until

MiB = 1 << 20


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a log that tests ask under a name of their own."""
    directory = tmp_path_factory.mktemp("shared")
    (directory / "token").write_text("secret-token")
    options = [f"--token-file={directory / 'token'}", "--allowed-host=Alerts.example.org"]
    server = Server(directory / "log", *options)
    with server.process:
        yield server


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "token").write_text("secret-token\n")
    server = Server(tmp_path / "log", f"--token-file={tmp_path / 'token'}")
    with server.process:
        yield server


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file or directory"), (" \n", "is empty"), (b"\xff", "cannot be read: not UTF-8")],
)
def test_a_log_to_which_nobody_could_post_does_not_start(
    content: str | bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["log", f"--directory={tmp_path / 'log'}", f"--token-file={token}"]) == 1
    assert f"error: --token-file: {token} {said}" in capsys.readouterr().err
    assert not (tmp_path / "log").exists()


def test_a_folder_is_one_logs_and_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with only_one(tmp_path):
        assert main(["log", f"--directory={tmp_path}"]) == 1
    assert capsys.readouterr().err == (
        f"error: --directory: {tmp_path} is in use by an alert log that runs: give each a folder of its own\n"
    )
    (tmp_path / "data.csv").touch()
    assert main(["log", f"--directory={tmp_path}/data.csv/log"]) == 1
    assert capsys.readouterr().err == f"error: --directory: {tmp_path}/data.csv: is a file, not a folder\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_in_a_browser_cannot_post(headers: dict[str, str], shared: Server) -> None:
    before = shared.metric('alert_log_refused_total{reason="origin"}')
    assert shared.post(body(77), Authorization="Bearer secret-token", **headers) == 403
    assert shared.metric('alert_log_refused_total{reason="origin"}') == before + 1
    assert '"number": "77"' not in shared.get("/api/alerts?since=10y")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_form_can_send_is_refused(kind: str, shared: Server) -> None:
    assert shared.post(body(), Content_Type=kind, Authorization="Bearer secret-token") == 415
    # Without the token it is not said what is missing besides.
    assert shared.post(body(), Content_Type=kind) == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9848", 200),
        ("[::1]:9848", 200),
        ("10.1.2.3", 200),
        ("localhost:1", 200),
        ("alertlog:9848", 200),
        ("ml-monitoring-alertlog.ml-monitoring.svc:9848", 200),
        ("ml-monitoring-alertlog.ml-monitoring.svc.cluster.local.", 200),
        ("alerts.example.org", 200),
        ("ALERTS.example.org:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:9848", 421),
        ("alerts.example.org.evil.example", 421),
        ("svc.evil.example", 421),
    ],
)
def test_only_names_of_its_own_are_answered(host: str, status: int, shared: Server) -> None:
    for path in ("/", "/api/alerts", "/metrics", "/-/healthy"):
        assert shared.status(path, Host=host) == status
    assert (shared.post(body(), Host=host, Authorization="Bearer secret-token") == 200) is (status == 200)


def test_with_a_token_only_its_owner_posts_and_a_new_one_is_read_at_once(guarded: Server, tmp_path: Path) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret-token"}, {"Authorization": "ä"}):
        assert guarded.post(body(), **headers) == 401
    # Once for all that come within a minute.
    (line,) = (line for line in (tmp_path / "alertlog.log").read_text().splitlines() if "refused" in line)
    assert line.endswith('msg="a request is refused" status=401 reason="wants the token"')
    assert guarded.post(body(), Authorization="Bearer secret-token") == 200
    assert guarded.status("/") == 200
    (tmp_path / "token").write_text("other")
    assert guarded.post(body(2), Authorization="Bearer secret-token") == 401
    assert guarded.post(body(2), Authorization="Bearer other") == 200
    (tmp_path / "token").write_text("")
    assert guarded.post(body(3), Authorization="Bearer ") == 401
    (tmp_path / "token").unlink()
    assert guarded.post(body(3), Authorization="Bearer other") == 503
    os.mkfifo(tmp_path / "token")
    assert guarded.post(body(3), Authorization="Bearer other") == 503
    log = guarded.process.log.read_text()
    assert "secret-token" not in log


def test_a_real_alertmanager_sends_the_token(guarded: Server, programs: dict[str, Path], tmp_path: Path) -> None:
    data = load_thresholds().model_dump(by_alias=True)
    data["notifications"] |= {"alert_log": f"{guarded.url}/alerts", "alert_log_token_file": str(tmp_path / "token")}
    config = alertmanager.build(thresholds=Thresholds.model_validate(data), timing=AT_ONCE)
    labels = {"alertname": "Broken", "severity": "warning", "team": "mlops"}
    with running(programs["alertmanager"], config, tmp_path / "am") as running_server:
        running_server.fire(labels)
        assert wait_until(lambda: len(json.loads(guarded.get("/api/alerts"))) == 1, timeout=15)


def test_bodies_are_bounded_each_and_together(server: Server) -> None:
    assert server.post(body() + b" " * 4 * MiB) == 413
    assert server.post(b"[" + b"{}," * 200_000 + b"{}]") == 400
    host = urlsplit(server.url)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            waiting = stack.enter_context(socket.create_connection((host.hostname, host.port)))
            waiting.sendall(
                f"POST /alerts HTTP/1.1\r\nHost: {host.netloc}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {4 * MiB}\r\n\r\n{{".encode()
            )
        assert wait_until(lambda: server.post(body()) == 503, timeout=10)
        assert server.metric('alert_log_refused_total{reason="busy"}') >= 1
    assert wait_until(lambda: server.post(body()) == 200, timeout=10)
    assert server.metric('alert_log_refused_total{reason="size"}') == 1


def test_a_large_group_is_kept_and_what_alertmanager_left_out_is_counted(server: Server) -> None:
    content = json.loads(body())
    (alert,) = content["alerts"]
    content["alerts"] = [alert | {"fingerprint": f"{number:x}", "labels": {"x": "y" * 900}} for number in range(2_000)]
    assert server.post(json.dumps(content | {"truncatedAlerts": 30}).encode()) == 200
    assert server.metric("alert_log_alerts") == 2_000
    assert server.metric("alert_log_alerts_left_out_total") == 30


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("0001-01-01T00:00:00Z", "unknown"),
        ("0001-01-01T00:00:00+14:00", "unknown"),
        ("0000-01-01T00:00:00Z", "unknown"),
        ("1969-12-31T23:59:59Z", "unknown"),
        ("yesterday", "unknown"),
        ("9999-12-31T23:59:59.999999999-14:00", "9999-12-30 00:00:00"),
        ("2026-11-21T08:00:00.123456789+05:30", "2026-11-21 02:30:00"),
    ],
)
def test_any_time_is_shown(moment: str, shown: str, shared: Server) -> None:
    name = f"At{re.sub('[^0-9a-z]', '', moment)}"
    content = json.loads(body())
    (alert,) = content["alerts"]
    alert |= {"startsAt": moment, "fingerprint": name}
    alert["labels"] = alert["labels"] | {"alertname": name}

    def row() -> str:
        return next(row for row in shared.get("/").split("<tr>") if f"<td>{name}</td>" in row)

    authorization = "Bearer secret-token"
    assert shared.post(json.dumps(content).encode(), Authorization=authorization) == 200
    assert row().startswith(f'<td class="time">{shown}</td><td>fires (as of ')
    alert |= {"status": "resolved", "endsAt": "0001-01-01T00:00:00Z"}
    assert shared.post(json.dumps(content | {"status": "resolved"}).encode(), Authorization=authorization) == 200
    assert row().startswith(f'<td class="time">{shown}</td><td class="time">{time.strftime("%Y-")}')
    (found,) = json.loads(shared.get(f"/api/alerts?since=60y&alertname={name}"))
    assert (found["starts"] is None) is (shown == "unknown")
    if shown == "unknown":
        # Nobody knows how long it took.
        assert f'alert_time_to_resolve_seconds_count{{alertname="{name}"' not in shared.get("/metrics")
