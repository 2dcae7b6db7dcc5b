"""A proxy that is not reached is named by the variable that gave it, by clients based on `requests` too."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.dashboards.cli import main

_REFUSED = "Connection refused: does it run there, and on this port?"
_VARIABLES = tuple(f"{name}_proxy" for name in ("http", "https", "all", "no"))


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*_VARIABLES, *map(str.upper, _VARIABLES)):
        monkeypatch.delenv(name, raising=False)


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    *_, line = capsys.readouterr().err.splitlines()
    assert "s3cr3tPW" not in line
    return line


@pytest.mark.parametrize(
    ("variable", "scheme"), [("http_proxy", "http"), ("HTTPS_PROXY", "https"), ("ALL_PROXY", "http")]
)
def test_prometheus_and_grafana_behind_a_proxy_that_refuses(
    variable: str, scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "http://ada:s3cr3tPW@127.0.0.1:1")
    url = f"{scheme}://nowhere.invalid"
    said = f"{url} cannot be reached over the proxy that {variable.upper()} names: {_REFUSED}"
    page = "ml-monitoring-alerts"
    assert main(["render", page, "--settings", "/dev/null", "--prometheus", url, "--out", str(tmp_path)]) == 1
    assert _said(capsys) == f"error: {said}"
    token = tmp_path / "token"
    token.write_text("glsa_x", encoding="utf-8")
    pull = ["pull", "--url", url, "--token-file", str(token), "--output-dir", str(tmp_path), "--uid", "x"]
    assert main(pull) == 1
    assert _said(capsys) == f"error: dashboard x: {said}"


def test_what_is_asked_directly_names_no_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    page = "ml-monitoring-alerts"
    for url, no_proxy in (("http://127.0.0.1:9", ""), ("http://nowhere.invalid", "nowhere.invalid")):
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert main(["render", page, "--settings", "/dev/null", "--prometheus", url, "--out", str(tmp_path)]) == 1
        assert _said(capsys).startswith(f"error: {url} cannot be reached: ")
