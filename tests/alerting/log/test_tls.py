"""The alert log by TLS and with passwords, as a real Alertmanager and a browser reach it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import requests

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.model.thresholds import Thresholds
from tests.exporter.test_web_config import make_certificate
from tests.support.alert_log import Server, body
from tests.support.alertmanager_server import AT_ONCE, running
from tools.processes import wait_until

_HASH = bcrypt.hashpw(b"p:ss wort", bcrypt.gensalt(4)).decode()
_ALERT = {"alertname": "Broken", "severity": "warning", "team": "mlops"}
_JSON = {"Content-Type": "application/json"}
_TOKEN = {"Authorization": "Bearer secret-token"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_certificate(tmp_path, "first")
    (tmp_path / "token").write_text("secret-token")
    (tmp_path / "web.yml").write_text(
        f"""
        tls_server_config: {{cert_file: tls.crt, key_file: tls.key}}
        http_server_config: {{headers: {{X-Content-Type-Options: nosniff}}}}
        basic_auth_users: {{ada: "{_HASH}"}}
        """
    )
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    server = Server(
        folder / "log", f"--web.config.file={folder / 'web.yml'}", f"--token-file={folder / 'token'}", scheme="https"
    )
    with server.process:
        yield server


def _get(server: Server, path: str, ca: Path, auth: tuple[str, str] | None = ("ada", "p:ss wort")) -> requests.Response:
    return requests.get(f"{server.url}{path}", verify=str(ca), auth=auth, timeout=10)


def test_people_have_a_password_and_alertmanager_the_token(server: Server, folder: Path) -> None:
    ca = folder / "tls.crt"
    for path in ("/", "/api/alerts", "/metrics", "/nowhere"):
        refused = _get(server, path, ca, auth=None)
        assert (refused.status_code, refused.text) == (401, "Unauthorized\n")
        assert refused.headers["WWW-Authenticate"] == 'Basic realm="alert log", charset="UTF-8"'
    assert _get(server, "/", ca, auth=("ada", "wrong")).status_code == 401
    page = _get(server, "/", ca)
    assert (page.status_code, page.headers["X-Content-Type-Options"]) == (200, "nosniff")
    assert _get(server, "/-/ready", ca, auth=None).status_code == 200
    url = f"{server.url}/alerts"
    assert requests.post(url, body(), headers=_JSON | _TOKEN, verify=str(ca), timeout=10).status_code == 200
    # A password is no token.
    with_password = requests.post(url, body(), headers=_JSON, verify=str(ca), auth=("ada", "p:ss wort"), timeout=10)
    assert with_password.status_code == 401
    metrics = _get(server, "/metrics", ca).text
    assert 'alert_log_refused_total{reason="password"} 5' in metrics
    assert 'alert_log_refused_total{reason="token"} 1' in metrics
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(server.url.replace("https", "http") + "/-/healthy", timeout=10)
    log = server.process.log.read_text()
    assert f"url={server.url}" in log
    assert not {"p:ss wort", "secret-token"} & set(log.split())


def test_without_a_token_who_posts_needs_a_password(folder: Path) -> None:
    server = Server(folder / "log", f"--web.config.file={folder / 'web.yml'}", scheme="https")
    with server.process:
        url, ca = f"{server.url}/alerts", str(folder / "tls.crt")
        for auth, status in ((None, 401), (("ada", "p:ss wort"), 200)):
            done = requests.post(url, body(), headers=_JSON, verify=ca, auth=auth, timeout=10)
            assert done.status_code == status


def test_a_real_alertmanager_posts_by_tls_and_only_to_a_certificate_that_it_trusts(
    server: Server, folder: Path, programs: dict[str, Path]
) -> None:
    trusted = folder / "tls.crt"
    (folder / "other").mkdir()
    make_certificate(folder / "other", "first")

    def config(ca: Path) -> dict[str, object]:
        data = load_thresholds().model_dump(by_alias=True)
        data["notifications"] |= {
            "alert_log": f"{server.url}/alerts",
            "alert_log_token_file": str(folder / "token"),
            "alert_log_ca_file": str(ca),
        }
        return alertmanager.build(thresholds=Thresholds.model_validate(data), timing=AT_ONCE)

    with running(programs["alertmanager"], config(folder / "other" / "tls.crt"), folder / "am") as refusing:
        refusing.fire(_ALERT)
        log = folder / "am" / "alertmanager.log"
        assert wait_until(lambda: "x509: certificate signed by unknown authority" in log.read_text(), timeout=15)
    assert json.loads(_get(server, "/api/alerts", trusted).text) == []
    with running(programs["alertmanager"], config(trusted), folder / "am2") as posting:
        posting.fire(_ALERT)
        assert wait_until(lambda: len(json.loads(_get(server, "/api/alerts", trusted).text)) == 1, timeout=15)


def test_a_new_certificate_is_served_and_a_broken_one_is_not(server: Server, folder: Path) -> None:
    old = (folder / "tls.crt").read_bytes()
    (folder / "old.crt").write_bytes(old)
    (folder / "tls.key").write_text("broken")
    log = server.process.log
    assert wait_until(lambda: "--web.config.file not usable, the old one stays" in log.read_text(), timeout=15)
    assert _get(server, "/-/ready", folder / "old.crt").status_code == 200
    make_certificate(folder, "second")
    assert wait_until(lambda: "--web.config.file read again" in log.read_text(), timeout=15)
    assert _get(server, "/-/ready", folder / "tls.crt").status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        _get(server, "/-/ready", folder / "old.crt")


def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n")
    assert main(["log", f"--directory={tmp_path / 'log'}", f"--web.config.file={web}"]) == 1
    printed = capsys.readouterr().err
    assert f"{web}:1: tls_server_config.cert_file: {tmp_path / 'tls.crt'}" in printed
    assert "No such file or directory" in printed
    assert not (tmp_path / "log").exists()
