"""The example's nginx before a real MLflow server, asked with each kind of authentication and through a real proxy."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow.exceptions
import pytest

from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tests.support.files import ROOT
from tests.support.mlflow_server import MlflowServer
from tests.support.mlflow_store import reference_client, write_reference_store
from tests.support.nginx import Nginx, Tinyproxy
from tools.processes import free_port

_EXAMPLE = ROOT / "examples" / "mlflow_behind_nginx"
_FOLDER = "/etc/nginx/mlflow"


@dataclass(frozen=True)
class Site:
    """A server behind nginx: both addresses, the folder with the secrets, and what the store holds."""

    url: str
    behind: str
    folder: Path
    expected: str

    def secret(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8").strip()

    def ways(self) -> Mapping[str, dict[str, str]]:
        """Return the settings of each way in."""
        return {
            "token": {"token": self.secret("token")},
            "password": {"username": "ml-monitoring", "password": self.secret("password")},
            "certificate": {
                "certificate_file": f"{self.folder}/exporter.pem",
                "key_file": f"{self.folder}/exporter.key",
            },
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("nginx")
    (commands,) = re.findall(r"(?s)```sh\n(.*?)```", (_EXAMPLE / "README.md").read_text(encoding="utf-8"))
    subprocess.run(["sh", "-euc", commands.replace(_FOLDER, str(folder))], check=True, capture_output=True)
    store = f"sqlite:///{folder}/mlflow.db"
    write_reference_store(store)
    # The tests ask more often than an exporter does.
    with (
        MlflowServer(store, folder) as server,
        _nginx(server.url, folder, folder, {"rate=2r/s": "rate=1000r/s"}) as url,
    ):
        yield Site(url, server.url, folder, _text({"uri": store}))


@contextlib.contextmanager
def _nginx(behind: str, secrets: Path, folder: Path, replaced: Mapping[str, str]) -> Iterator[str]:
    """Run nginx with the example's file; give its address."""
    port = free_port()
    text = (_EXAMPLE / "mlflow.conf").read_text(encoding="utf-8")
    places = {
        _FOLDER: str(secrets),
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "127.0.0.1:5000": behind.removeprefix("http://"),
    }
    for old, new in {**places, **replaced}.items():
        assert old in text
        text = text.replace(old, new)
    with Nginx(text, folder, port):
        yield f"https://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def _text(settings: Mapping[str, object]) -> str:
    with contextlib.closing(MlflowSource(MlflowSettings.model_validate(settings))) as source:
        # How many rows tables have a server does not tell.
        return re.sub(r"(?m)^mlflow_store_rows.*\n", "", render_text(source.collect()).decode())


def _asked(site: Site, **settings: object) -> str:
    given = {"uri": site.url, "ca_file": f"{site.folder}/ca.pem", "requests_per_minute": 6000, **settings}
    return _text({key: value for key, value in given.items() if value})


@pytest.mark.parametrize("way", ["token", "password", "certificate"])
def test_each_way_in_leads_to_the_values_of_the_store(way: str, site: Site) -> None:
    assert _asked(site, **site.ways()[way]) == site.expected


@pytest.mark.parametrize(
    ("settings", "reason", "said"),
    [
        ({}, Reason.AUTH, "401"),
        ({"token": "s3cret"}, Reason.AUTH, "401"),
        ({"username": "ml-monitoring", "password": "s3cret"}, Reason.AUTH, "401"),
        ({"ca_file": None, "token": "s3cret"}, Reason.CONNECT, "its certificate is not trusted"),
    ],
)
def test_who_is_not_known_gets_a_clear_error_without_the_secret(
    settings: dict[str, object], reason: Reason, said: str, site: Site
) -> None:
    with pytest.raises(SourceError, match=said) as refused:
        _asked(site, **settings)
    assert refused.value.reason is reason
    assert site.url in str(refused.value)
    assert "s3cret" not in f"{refused.value}{refused.value.hint}"


def test_a_certificate_of_another_name_is_refused_unless_it_is_not_verified(site: Site) -> None:
    other = site.url.replace("127.0.0.1", "localhost")
    settings = {"uri": other, "ca_file": f"{site.folder}/ca.pem", "token": site.secret("token")}
    with pytest.raises(SourceError, match="its certificate is not trusted"):
        _text(settings)
    assert _text({**settings, "verify_certificate": False}) == site.expected


def test_a_token_opens_what_the_exporter_reads_and_nothing_else(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", f"{site.folder}/ca.pem")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", site.secret("token"))
    client = reference_client(site.url)
    assert client.search_experiments()
    with pytest.raises(mlflow.exceptions.MlflowException, match="401"):
        client.create_experiment("written with the exporter's token")


def test_mlflows_own_variables_are_enough(site: Site) -> None:
    variables = {
        "MLFLOW_TRACKING_URI": site.url,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": f"{site.folder}/ca.pem",
        "MLFLOW_TRACKING_USERNAME": "ml-monitoring",
        "MLFLOW_TRACKING_PASSWORD_FILE": f"{site.folder}/password",
    }
    assert "MLflow server, version" in _check(site, variables)
    del variables["MLFLOW_TRACKING_USERNAME"], variables["MLFLOW_TRACKING_PASSWORD_FILE"]
    assert "MLflow server, version" in _check(site, {**variables, "MLFLOW_TRACKING_TOKEN": site.secret("token")})
    # In one file, as MLflow's client takes it.
    both = site.folder / "exporter-both.pem"
    both.write_text(site.secret("exporter.pem") + "\n" + site.secret("exporter.key") + "\n", encoding="utf-8")
    assert "MLflow server, version" in _check(site, {**variables, "MLFLOW_TRACKING_CLIENT_CERT_PATH": str(both)})


def _check(site: Site, variables: Mapping[str, str]) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("ML_MONITORING_", "MLFLOW_"))}
    command = [sys.executable, "-m", "ml_monitoring", "check"]
    done = subprocess.run(
        command,
        env={**environ, **variables, "PYTHONPATH": str(ROOT)},
        cwd=site.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    for name in ("token", "password"):
        assert site.secret(name) not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_token_in_a_file_is_read_again(site: Site, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    settings = tmp_path / "ml-monitoring.yml"
    ca_file = site.folder / "ca.pem"
    settings.write_text(f"sources: {{mlflow: {{uri: '{site.url}', ca_file: {ca_file}, token_file: {token}}}}}")
    section = load(settings, {}).enabled_sources()["mlflow"]
    assert isinstance(section, MlflowSettings)
    with contextlib.closing(MlflowSource(section)) as source:
        with pytest.raises(SourceError, match="401"):
            source.collect()
        token.write_text(site.secret("token"))
        assert source.collect()


def test_a_proxy_with_a_password_leads_there(site: Site, tmp_path: Path) -> None:
    with Tinyproxy(tmp_path, "us3r", "pr0xyword") as proxy:
        where = f"127.0.0.1:{proxy.port}"
        way = {"token": site.secret("token")}
        assert _asked(site, proxy=f"http://us3r:pr0xyword@{where}", **way) == site.expected
        assert f"CONNECT {site.url.removeprefix('https://')}" in proxy.log.read_text(encoding="utf-8")
        with pytest.raises(SourceError, match=r"over the proxy .*: Tunnel connection failed: 40[17]") as refused:
            _asked(site, proxy=f"http://us3r:wr0ng@{where}", **way)
        assert "wr0ng" not in f"{refused.value}{refused.value.hint}"


def test_a_source_that_asks_too_often_leaves_the_server_alone_as_long_as_it_wishes(site: Site, tmp_path: Path) -> None:
    with _nginx(site.behind, site.folder, tmp_path, {"rate=2r/s": "rate=1r/m"}) as url:
        settings = {"uri": url, "ca_file": f"{site.folder}/ca.pem", "requests_per_minute": 6000, **site.ways()["token"]}
        with contextlib.closing(MlflowSource(MlflowSettings.model_validate(settings))) as source:
            with pytest.raises(SourceError, match="429") as refused:
                _collect_again_and_again(source)
            assert refused.value.reason is Reason.READ
            with pytest.raises(SourceError, match=r"is not asked for another [0-5] s, as it wished"):
                source.collect()


def _collect_again_and_again(source: MlflowSource) -> None:
    for _ in range(30):
        source.collect()
