from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import bcrypt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.web_config import WebConfig
from tests.support.serving import ExporterProcess, serving

_HASH = bcrypt.hashpw(b"p:ss wort", bcrypt.gensalt(4)).decode()
_OTHER_HASH = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_certificate(tmp_path, "first")
    (tmp_path / "empty.db").touch()
    (tmp_path / "exporter.yaml").write_text(
        f"web: {{port: 0, config_file: {tmp_path}/web.yml}}\n"
        f"sources: {{mlflow: {{uri: 'sqlite:///{tmp_path}/empty.db'}}}}\n"
    )
    (tmp_path / "web.yml").write_text(
        f"""
        tls_server_config: {{cert_file: tls.crt, key_file: tls.key}}
        http_server_config: {{http2: true, headers: {{X-Content-Type-Options: nosniff}}}}
        basic_auth_users: {{prometheus: "{_HASH}"}}
        """
    )
    return tmp_path


def make_certificate(folder: Path, common_name: str) -> None:
    """Write tls.crt and tls.key for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def exporter(folder: Path) -> Iterator[ExporterProcess]:
    with serving(folder / "exporter.yaml") as process:
        yield process


def test_tls_and_basic_authentication_guard_everything_but_the_probes(exporter: ExporterProcess, folder: Path) -> None:
    assert exporter.url.startswith("https://")
    ca = str(folder / "tls.crt")
    for path in ("/metrics", "/", "/nowhere"):
        refused = exporter.get(path, verify=ca)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == 'Basic realm="exporter", charset="UTF-8"'
        assert refused.text == "Unauthorized\n"
    for credentials in (("prometheus", "wrong"), ("nobody", "p:ss wort"), ("", ""), ("prometheus", "x" * 200)):
        assert exporter.get("/metrics", verify=ca, auth=credentials).status_code == 401
    for header in ("Basic", "Basic !!!", "Bearer abc", "Basic /w=="):
        assert exporter.get("/metrics", verify=ca, headers={"Authorization": header}).status_code == 401
    for _again in range(2):
        allowed = exporter.get("/metrics", verify=ca, auth=("prometheus", "p:ss wort"))
        assert allowed.status_code == 200
        assert allowed.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/-/healthy", "/-/ready"):
        assert exporter.get(path, verify=ca).status_code in {200, 503}
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(exporter.url.replace("https", "http") + "/-/healthy", timeout=10)


def test_users_and_certificates_are_read_again_when_their_files_change(exporter: ExporterProcess, folder: Path) -> None:
    make_certificate(folder, "second")
    file = folder / "web.yml"
    file.write_text(file.read_text().replace(_HASH, _OTHER_HASH))
    exporter.wait_for_log("web.config_file read again")
    ca = str(folder / "tls.crt")
    assert exporter.get("/metrics", verify=ca, auth=("prometheus", "other")).status_code == 200
    assert exporter.get("/metrics", verify=ca, auth=("prometheus", "p:ss wort")).status_code == 401


def test_a_broken_file_leaves_the_old_one_in_force(exporter: ExporterProcess, folder: Path) -> None:
    (folder / "web.yml").write_text("basic_auth_users: {prometheus: plain-text}")
    line = exporter.wait_for_log("the old one stays")
    assert "basic_auth_users.prometheus: not a bcrypt hash" in line
    assert "plain-text" not in line
    ca = str(folder / "tls.crt")
    assert exporter.get("/metrics", verify=ca, auth=("prometheus", "p:ss wort")).status_code == 200


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tls_server_config: {cert_file: x.crt, key_file: tls.key}", "x.crt with {folder}/tls.key: No such file"),
        ("tls_server_config: {cert_file: web.yml, key_file: tls.key}", "not a usable PEM file"),
        ("tls_server_config: {key_file: tls.key}", "tls_server_config.cert_file: Field required"),
        (
            "tls_server_config: {cert_file: tls.crt, key_file: tls.key, cipher_suites: [A]}",
            "tls_server_config.cipher_suites: not supported by this exporter",
        ),
        (
            "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_auth_type: RequestClientCert}",
            "tls_server_config.client_auth_type: Input should be 'NoClientCert'",
        ),
        (
            "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_auth_type: RequireAndVerifyClientCert}",
            "client_auth_type RequireAndVerifyClientCert needs client_ca_file",
        ),
        ("basic_auth_users: {a: b}", "basic_auth_users.a: not a bcrypt hash"),
        ("rate_limit: {}", "rate_limit: not supported by this exporter"),
        ("- a", "must hold settings"),
    ],
)
def test_what_cannot_be_used_is_named(folder: Path, text: str, problem: str) -> None:
    (folder / "web.yml").write_text(text)
    with pytest.raises(ConfigError) as error:
        WebConfig(folder / "web.yml")
    assert str(error.value).startswith(str(folder / "web.yml"))
    assert problem.format(folder=folder) in str(error.value)


def test_client_certificates_can_be_demanded(folder: Path) -> None:
    (folder / "web.yml").write_text(
        "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_ca_file: tls.crt, "
        "client_auth_type: RequireAndVerifyClientCert, min_version: TLS13}"
    )
    with serving(folder / "exporter.yaml") as exporter:
        ca = str(folder / "tls.crt")
        with pytest.raises(requests.exceptions.ConnectionError):
            exporter.get("/-/healthy", verify=ca)
        pair = (str(folder / "tls.crt"), str(folder / "tls.key"))
        assert exporter.get("/-/healthy", verify=ca, cert=pair).status_code == 200


def test_old_protocols_are_refused(folder: Path) -> None:
    config = WebConfig(folder / "web.yml")
    assert config.tls is not None
    assert config.tls.minimum_version is ssl.TLSVersion.TLSv1_2


def test_without_a_file_everyone_is_served() -> None:
    config = WebConfig(None)
    assert config.tls is None
    assert config.headers == {}
    assert config.reload_if_changed() is False
