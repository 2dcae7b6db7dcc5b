"""An address that cannot be meant is refused wherever one is given, and no part of a password is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.http_addresses import problem_of
from ml_monitoring.exporter.http_client import RemoteError, fetch

_BAD = {
    "http://ops:s3/cr3t@127.0.0.1:1": "percent-encoded",
    "http://ops:s3#cr3t@127.0.0.1:1": "percent-encoded",
    "http://ops:s3?cr3t@127.0.0.1:1": "percent-encoded",
    "http://ops:12/s3cr3t@127.0.0.1:1": "percent-encoded",
    "http://ops:s3cr3t@127.0.0.1:port": "a port that is no number",
    "ops:s3cr3t@127.0.0.1:1": "is not an http:// or https:// address",
    "s3cr3t.example:9090": "has no scheme: put http:// or https:// in front",
    "s3cr3t:9090/cr3t": "has no scheme: put http:// or https:// in front",
    "[::1]:9090": "has no scheme: put http:// or https:// in front",
    "http://ops:s3[cr3t@127.0.0.1:1:1": "names no host",
}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9093",
        "https://prometheus.example/path/",
        "HTTP://[::1]:9090",
        "http://ops:s%2Fcr3t@127.0.0.1:1",
        # The last one ends the password.
        "http://ops:p@ss@127.0.0.1:1",
        "http://host/a@b",
    ],
)
def test_an_address_that_can_be_meant_is_taken(url: str) -> None:
    assert problem_of(url) == ""


@pytest.mark.parametrize("url", _BAD)
def test_what_cannot_be_meant_is_said_without_the_password(url: str, tmp_path: Path) -> None:
    said = [problem_of(url)]
    with pytest.raises(RemoteError) as refused:
        fetch(url, "metrics", timeout=1)
    said.append(str(refused.value))
    config = tmp_path / "config.yml"
    config.write_text(f"alertmanager: {{url: '{url}'}}\nsources: {{fleet: {{path: /dev/null}}}}\n")
    with pytest.raises(ConfigError) as invalid:
        load(config, {})
    said.append(str(invalid.value).replace(str(tmp_path), ""))
    for message in said:
        assert _BAD[url] in message
        assert "s3" not in message
        assert "cr3t" not in message


@pytest.mark.parametrize(
    "arguments",
    [
        ["alerts", "maintenance", "--duration=1h", "--reason=x", "--alertmanager"],
        ["alerts", "backtest", "--prometheus"],
        ["services", "discover", "--prometheus"],
        ["dashboards", "render", "--prometheus"],
        ["dashboards", "push", "--token-file=TOKEN", "--url"],
    ],
    ids=" ".join,
)
def test_commands_say_so_too(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken")
    given = [each.replace("TOKEN", str(tmp_path / "token")) for each in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "ml_monitoring", *given, "http://ops:s3/cr3t@127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert "percent-encoded, such as @ as %40" in done.stderr
    assert "s3" not in done.stderr
    assert "Traceback" not in done.stderr
