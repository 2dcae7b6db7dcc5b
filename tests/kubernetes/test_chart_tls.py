"""The Helm chart with certificates: the exporter speaks TLS, and who asks it verifies that."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.web_config import WebConfig
from tests.kubernetes.chart_matrix import MATRIX, NO_BULK
from tests.kubernetes.conftest import one
from tests.kubernetes.test_chart import of_kind
from tests.support import helm
from tools.processes import Process, free_port, port_is_free, wait_until
from tools.stack import ROOT

Json = dict[str, Any]


def certificate(folder: Path, name: str) -> None:
    """Write the Secret of a certificate that is its own authority."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "tls.key", "-out", "tls.crt", "-days", "1", "-subj", "/CN=test"]
    command += ["-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / "ca.crt").write_bytes((folder / "tls.crt").read_bytes())


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "secret"
    folder.mkdir()
    return folder


def served(values: Json, secret: Path, folder: Path, port: int) -> Process:
    """Return the exporter with the files of the chart, where they are mounted, not yet started."""
    objects = helm.template(values)
    files = one(objects, "ConfigMap", "ml-monitoring")["data"]
    (container,) = one(objects, "Deployment", "ml-monitoring")["spec"]["template"]["spec"]["containers"]
    places = {"/etc/ml-monitoring": folder, "/run/secrets/tls": secret}
    assert places.keys() == {mount["mountPath"] for mount in container["volumeMounts"]}
    for name, text in files.items():
        settings = yaml.safe_load(_moved(text, places))
        if "web" in settings:
            settings["web"] |= {"host": "127.0.0.1", "port": port}
        (folder / name).write_text(yaml.safe_dump(settings), encoding="utf-8")
    command: list[str | Path] = [sys.executable, "-m", "exporter", "serve", "--config", folder / "ml-monitoring.yml"]
    log = folder / "exporter.log"
    return Process("the exporter", command, log=log, cwd=ROOT, healthy=lambda: not port_is_free(port))


def _moved(text: str, places: Mapping[str, Path]) -> str:
    """Return settings with the files of a pod where they are here."""
    for mounted, here in places.items():
        text = text.replace(mounted, str(here))
    return text


def helm_test(values: Json, secret: Path, port: int) -> subprocess.CompletedProcess[str]:
    """Do what the pod of `helm test` does."""
    (pod,) = of_kind(helm.template(values), "Pod").values()
    (container,) = pod["spec"]["containers"]
    (volume,) = pod["spec"]["volumes"]
    (mount,) = container["volumeMounts"]
    code, url, authority, named = container["args"]
    assert mount["name"] == volume["name"]
    assert volume["secret"] | {"defaultMode": 0} == {
        "secretName": values["exporter"]["tls"]["existingSecret"],
        "items": [{"key": "ca.crt", "path": "ca.crt"}],
        "defaultMode": 0,
    }
    assert url == "https://ml-monitoring.ml-monitoring.svc:9847/-/ready"
    assert authority == f"{mount['mountPath']}/ca.crt"
    command = [sys.executable, "-c", code, f"https://localhost:{port}/-/ready", str(secret / "ca.crt"), named]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "values"), [("localhost", {}), ("a.example.org", {"serverName": "a.example.org"})])
def test_the_exporter_speaks_tls_and_helm_test_verifies_it(
    name: str, values: Json, secret: Path, tmp_path: Path
) -> None:
    certificate(secret, name)
    tls = {"existingSecret": "exporter-tls", **values}
    # It is ready when it has tried its sources, whatever came of that.
    sources = {"fleet": {"path": "/nowhere/fleet.csv"}}
    exporter = {"stores": [], "tls": tls, "settings": {"sources": sources}}
    given = NO_BULK | {"exporter": exporter, "alertlog": {"enabled": False}}
    port = free_port()
    with served(given, secret, tmp_path, port):
        ready = f"https://localhost:{port}/-/ready 200\n"
        assert wait_until(lambda: helm_test(given, secret, port).stdout == ready, timeout=60, poll=0.5)
        # Of another authority.
        (tmp_path / "other").mkdir()
        certificate(tmp_path / "other", name)
        assert "CERTIFICATE_VERIFY_FAILED" in helm_test(given, tmp_path / "other", port).stderr


def test_prometheus_verifies_the_exporter_by_the_secret() -> None:
    objects = helm.template(MATRIX["TLS"], release="monitoring", namespace="ml")
    monitors = of_kind(objects, "ServiceMonitor")
    (endpoint,) = monitors["monitoring-ml-monitoring"]["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == {
        "serverName": "monitoring-ml-monitoring.ml.svc",
        "ca": {"secret": {"name": "exporter-tls", "key": "ca.crt"}},
    }
    # The alert log speaks HTTP.
    assert "scheme" not in monitors["monitoring-ml-monitoring-alertlog"]["spec"]["endpoints"][0]
    for name, scheme in (("monitoring-ml-monitoring", "HTTPS"), ("monitoring-ml-monitoring-alertlog", None)):
        (container,) = one(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        probes = [container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")]
        assert [probe.get("scheme") for probe in probes] == [scheme] * 3


def test_prometheus_trusts_known_authorities_where_the_secret_has_none() -> None:
    objects = helm.template(MATRIX["TLS of a known authority"])
    (endpoint,) = one(objects, "ServiceMonitor", "ml-monitoring")["spec"]["endpoints"]
    assert endpoint["tlsConfig"] == {"serverName": "exporter.example.org"}
    (pod,) = of_kind(objects, "Pod").values()
    assert "volumes" not in pod["spec"]


def test_who_asks_the_alert_log_verifies_it_by_its_secret(tmp_path: Path) -> None:
    objects = helm.template(MATRIX["TLS of the alert log"], release="monitoring", namespace="ml")
    name = "monitoring-ml-monitoring-alertlog"
    verified = {"serverName": f"{name}.ml.svc", "ca": {"secret": {"name": "alertlog-tls", "key": "ca.crt"}}}
    (endpoint,) = of_kind(objects, "ServiceMonitor")[name]["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", verified)
    # The exporter speaks HTTP.
    (endpoint,) = of_kind(objects, "ServiceMonitor")["monitoring-ml-monitoring"]["spec"]["endpoints"]
    assert not {"scheme", "tlsConfig"} & endpoint.keys()
    receivers = one(objects, "AlertmanagerConfig", "monitoring-ml-monitoring")["spec"]["receivers"]
    for receiver in receivers:
        (hook,) = receiver["webhookConfigs"]
        assert hook["url"] == f"https://{name}.ml.svc:9848/alerts"
        assert hook["httpConfig"] == {
            "authorization": {"credentials": {"name": "ml-monitoring-notifications", "key": "alertlog_token"}},
            "tlsConfig": verified,
        }
    spec = one(objects, "Deployment", name)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"
    # What it starts with can be used.
    certificate(tmp_path, "localhost")
    web = one(objects, "ConfigMap", name)["data"]["web.yml"]
    (tmp_path / "web.yml").write_text(_moved(web, {"/run/secrets/tls": tmp_path}), encoding="utf-8")
    assert "--web.config.file=/etc/ml-monitoring/web.yml" in container["args"]
    assert WebConfig(tmp_path / "web.yml").tls is not None
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes[mounts["/etc/ml-monitoring"]]["configMap"] == {"name": name}
    assert volumes[mounts["/run/secrets/tls"]]["secret"]["secretName"] == "alertlog-tls"
    # `helm test` asks both, each in its way.
    (pod,) = of_kind(objects, "Pod").values()
    _code, *arguments = pod["spec"]["containers"][0]["args"]
    assert arguments == [
        f"https://{name}.ml.svc:9848/-/ready",
        "/run/secrets/alertlog/ca.crt",
        "named",
        "http://monitoring-ml-monitoring.ml.svc:9847/-/ready",
        "",
        "named",
    ]


def test_runbooks_are_linked_where_they_are_served() -> None:
    values = {"exporter": {"tls": {"existingSecret": "exporter-tls"}}, "dashboards": {"enabled": False}}
    rules = of_kind(helm.template(values), "PrometheusRule").values()
    links = {
        rule["annotations"]["runbook_url"].rpartition("/")[0]
        for each in rules
        for group in each["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert links == {"https://ml-monitoring.ml-monitoring.svc:9847/runbooks"}


def test_a_tracking_server_is_verified_by_the_stores_secret(tmp_path: Path) -> None:
    objects = helm.template(MATRIX["TLS"])
    text = one(objects, "ConfigMap", "ml-monitoring")["data"]["ml-monitoring.yml"]
    (container,) = one(objects, "Deployment", "ml-monitoring")["spec"]["template"]["spec"]["containers"]
    (folder,) = (each["mountPath"] for each in container["volumeMounts"] if each["name"].startswith("secrets-"))
    for name, content in (("uri", "https://mlflow.example"), ("token", "t"), ("ca.crt", "a certificate")):
        (tmp_path / name).write_text(content, encoding="utf-8")
    settings = tmp_path / "ml-monitoring.yml"
    settings.write_text(_moved(text, {folder: tmp_path, "/etc/ml-monitoring": tmp_path}), encoding="utf-8")
    (tmp_path / "web.yml").touch()
    mlflow: Any = load(settings, environ={}).enabled_sources()["mlflow"]
    assert mlflow.ca_file == tmp_path / "ca.crt"


def test_one_place_says_what_the_exporter_serves() -> None:
    exporter = {"tls": {"existingSecret": "exporter-tls"}, "settings": {"web": {"config_file": "/own/web.yml"}}}
    message = "exporter.tls.existingSecret and exporter.settings.web.config_file exclude each other"
    assert message in helm.refused({"exporter": exporter})
