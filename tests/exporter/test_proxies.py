"""Whom a proxy of the environment is for: other hosts, and neither this machine nor the stack's own names."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from ml_monitoring.dashboards.publish.grafana import Grafana, GrafanaError
from ml_monitoring.dashboards.render.prometheus import _is_local
from ml_monitoring.exporter import cli
from ml_monitoring.exporter.errors import SourceError
from ml_monitoring.exporter.http_client import RemoteError, fetch
from ml_monitoring.exporter.proxies import asked_directly
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tools.processes import free_port
from tools.sinks import HttpSink


@pytest.fixture(params=["http_proxy", "HTTP_PROXY", "all_proxy"])
def proxy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set a proxy that does not answer."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv(request.param, url)
    return url


_DIRECT = [
    *("127.0.0.1:9090", "127.9.9.9", "[::1]:9090", "localhost", "LocalHost:1", "a.localhost"),
    *("prometheus:9090", "alertmanager.", "prometheus.monitoring.svc", "p.monitoring.svc.cluster.local:9090"),
    *("u:p@grafana", "127.1", "0.0.0.0:9090", "[::]:9090", "[::ffff:127.0.0.1]:9090", "[::1%lo]:9090", "2130706433"),
    *(
        "localhost.localdomain",
        "host.docker.internal:9090",
        "host.containers.internal",
        "10-0-0-7.mon.pod.cluster.local",
    ),
]
_OTHERS = [
    *(
        "prometheus.example",
        "10.0.0.1",
        "[2001:db8::1]",
        "128.0.0.1",
        "localhost.example",
        "[::ffff:10.0.0.1]",
        "127.example",
    ),
    *("docker.internal.example", "127.0.0.1.example"),
]


@pytest.mark.parametrize("host", _DIRECT)
def test_this_machine_and_the_stacks_names_are_asked_directly(host: str) -> None:
    assert asked_directly(f"http://{host}/path")


@pytest.mark.parametrize("host", _OTHERS)
def test_others_are_asked_as_the_environment_says(host: str) -> None:
    assert not asked_directly(f"http://{host}/")


@pytest.mark.usefixtures("proxy")
def test_every_client_reaches_loopback_whatever_proxy_is_set() -> None:
    with HttpSink() as sink:
        fetch(sink.url, "api/v2/alerts", timeout=5, method="POST", json_body=[1])
        assert [post.path for post in sink.posts] == ["/api/v2/alerts"]
        # An answer of the sink, not of a proxy that nobody runs.
        with pytest.raises(GrafanaError) as refused:
            Grafana(sink.url, "token").existing_dashboard("x")
        assert "does not answer" not in str(refused.value)


def test_the_renderer_which_imports_nothing_of_this_knows_the_same_names() -> None:
    for host in (*_DIRECT, *_OTHERS):
        assert _is_local(f"http://{host}") is asked_directly(f"http://{host}"), host


def test_a_proxy_is_asked_for_another_host_unless_no_proxy_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://nowhere.invalid"
    with HttpSink() as sink:
        monkeypatch.setenv("http_proxy", sink.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        fetch(url, "alerts", timeout=5, method="POST", json_body=[1])
        assert len(sink.posts) == 1
        monkeypatch.setenv("no_proxy", "nowhere.invalid")
        with pytest.raises(RemoteError, match=r"^http://nowhere\.invalid cannot be reached: "):
            fetch(url, "alerts", timeout=5, method="POST", json_body=[1])
        assert len(sink.posts) == 1


def test_a_proxy_that_is_not_reached_is_named_by_what_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = "Connection refused: does it run there, and on this port?"
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://u:s3cr3tPW@127.0.0.1:1")
    with pytest.raises(RemoteError) as by_variable:
        fetch("http://u:pw@nowhere.invalid", "alerts", timeout=5)
    said = f"http://nowhere.invalid cannot be reached over the proxy that HTTP_PROXY names: {refused}"
    assert str(by_variable.value) == said
    section = {"uri": "http://127.0.0.1:9", "proxy": "http://u:s3cr3tPW@127.0.0.1:1"}
    source = MlflowSource(MlflowSettings.model_validate(section))
    with contextlib.closing(source), pytest.raises(SourceError) as by_setting:
        source.collect()
    said = f"http://127.0.0.1:9 cannot be reached over the proxy that sources.mlflow.proxy names: {refused}"
    assert str(by_setting.value) == said


def test_a_proxy_of_a_store_with_a_name_is_named_as_it_stands_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ml-monitoring.yml"
    section = "{prod: {uri: 'http://127.0.0.1:9', proxy: 'http://u:s3cr3tPW@127.0.0.1:1'}}"
    path.write_text(f"web: {{port: 0}}\nsources: {{mlflow: {section}}}\n", encoding="utf-8")
    assert cli.main(["check", "--config", str(path)]) == 1
    said = capsys.readouterr().out
    assert "over the proxy that sources.mlflow.prod.proxy names: Connection refused" in said
    assert "s3cr3tPW" not in said
