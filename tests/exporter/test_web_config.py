from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import bcrypt
import pytest
import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.web_config import WebConfig
from tests.support.serving import ExporterProcess, serving

_HASH = bcrypt.hashpw(b"p:ss wort", bcrypt.gensalt(4)).decode()
_PAIR = "tls_server_config: {cert_file: tls.crt, key_file: tls.key"
_OTHER_HASH = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_certificate(tmp_path, "first")
    (tmp_path / "empty.db").touch()
    (tmp_path / "ml-monitoring.yml").write_text(
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
    with serving(folder / "ml-monitoring.yml") as process:
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
        (
            "tls_server_config: {cert_file: x.crt, key_file: tls.key}",
            "1: tls_server_config.cert_file: {folder}/x.crt: No such file",
        ),
        ("tls_server_config: {cert_file: web.yml, key_file: tls.key}", "not a usable PEM file"),
        ("tls_server_config: {key_file: tls.key}", "needs one of cert and cert_file"),
        (f"{_PAIR}, client_auth_type: Some}}", "tls_server_config.client_auth_type: must be"),
        (f"{_PAIR}, ciphers: [A]}}", "tls_server_config.ciphers: unknown key"),
        (f"{_PAIR}, cert: x}}", "cert and cert_file are given together; keep one of them"),
        ("tls_server_config: {cert_file: tls.crt}", "needs one of key and key_file"),
        ("tls_server_config: {cert: x, key: s3cret}", "{folder}/cert with {folder}/key: not a usable PEM file"),
        (f"{_PAIR}, client_ca_file: tls.crt}}", "a client CA without client_auth_type verifies nobody"),
        (
            f"{_PAIR}, client_auth_type: RequireAndVerifyClientCert, client_ca: x}}",
            "client_ca: not a usable PEM file",
        ),
        (
            f"{_PAIR}, client_auth_type: RequireAnyClientCert, client_allowed_sans: [a]}}",
            "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert",
        ),
        (
            f"{_PAIR}, client_auth_type: RequireAndVerifyClientCert}}",
            "client_auth_type RequireAndVerifyClientCert needs client_ca or client_ca_file",
        ),
        ("basic_auth_users: {a: b}", "basic_auth_users.a: not a bcrypt hash"),
        ("rate_limit: {interval: soon}", "rate_limit.interval: not a duration: write it as 1s, 500ms or 1m30s"),
        ("rate_limits: {}", "rate_limits: unknown key"),
        ("http_server_config: {headers: {'a b': c}}", "not the name of a header"),
        ("http_server_config: {headers: {X-Nope: a}}", "no header that can be set here"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}", "X-Frame-Options: must be deny or sameorigin"),
        ("- a", "must hold settings"),
    ],
)
def test_what_cannot_be_used_is_named(folder: Path, text: str, problem: str) -> None:
    (folder / "web.yml").write_text(text)
    with pytest.raises(ConfigError) as error:
        WebConfig(folder / "web.yml")
    assert str(error.value).startswith(str(folder / "web.yml"))
    assert problem.format(folder=folder) in str(error.value)


def test_what_the_toolkit_can_do_and_python_cannot_is_named_and_does_not_stop_anything(folder: Path) -> None:
    (folder / "web.yml").write_text(
        f"{_PAIR}, client_auth_type: RequestClientCert, client_ca_file: tls.crt, min_version: TLS10, "
        "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_RC4_128_SHA], "
        "curve_preferences: [X25519], prefer_server_cipher_suites: false}"
    )
    with serving(folder / "ml-monitoring.yml") as exporter:
        assert exporter.get("/-/healthy", verify=str(folder / "tls.crt")).status_code == 200
    warned = [line.split("problem=")[1] for line in exporter.log.read_text().splitlines() if "problem=" in line]
    file = f"{folder}/web.yml: tls_server_config"
    assert warned == [
        f'"{file}.client_auth_type RequestClientCert: any certificate would do, so none is asked for"',
        f'"{file}.min_version TLS10: nothing below TLS12 is spoken"',
        f'"{file}.cipher_suites: TLS_RSA_WITH_RC4_128_SHA: not known to this exporter, and left out"',
        f'"{file}.curve_preferences: not supported by this exporter, OpenSSL\'s own are used"',
    ]


def test_names_to_compare_without_a_certificate_are_warned_of(folder: Path) -> None:
    (folder / "web.yml").write_text(f"{_PAIR}, client_allowed_sans: [a]}}")
    (warning,) = WebConfig(folder / "web.yml").warnings
    assert warning.endswith("client_allowed_sans: no certificate is asked for, so nobody's name is compared")


def test_a_section_that_only_says_how_switches_no_tls_on(folder: Path) -> None:
    (folder / "web.yml").write_text("tls_server_config: {min_version: TLS13}")
    assert WebConfig(folder / "web.yml").tls is None


def test_certificates_can_stand_in_the_file_itself(folder: Path) -> None:
    certificate, key = ((folder / name).read_text() for name in ("tls.crt", "tls.key"))
    section = {"cert": certificate, "key": key, "client_ca": certificate}
    (folder / "web.yml").write_text(
        yaml.safe_dump({"tls_server_config": section | {"client_auth_type": "VerifyClientCertIfGiven"}})
    )
    ca = str(folder / "ca.crt")
    Path(ca).write_text(certificate)
    pair = (str(folder / "tls.crt"), str(folder / "tls.key"))
    with serving(folder / "ml-monitoring.yml") as exporter:
        for given in (None, pair):
            assert exporter.get("/-/healthy", verify=ca, cert=given).status_code == 200
        make_certificate(folder, "stranger")
        with pytest.raises(requests.exceptions.ConnectionError):
            exporter.get("/-/healthy", verify=ca, cert=pair)


@pytest.mark.parametrize(("names", "status"), [("[db.example, 127.0.0.1]", 200), ("[db.example]", 403)])
def test_only_clients_with_an_allowed_name_are_served(names: str, status: int, folder: Path) -> None:
    (folder / "web.yml").write_text(
        f"{_PAIR}, client_ca_file: tls.crt, client_auth_type: RequireAndVerifyClientCert, "
        f"client_allowed_sans: {names}}}"
    )
    pair = (str(folder / "tls.crt"), str(folder / "tls.key"))
    with serving(folder / "ml-monitoring.yml") as exporter:
        for path in ("/metrics", "/-/healthy"):
            assert exporter.get(path, verify=str(folder / "tls.crt"), cert=pair).status_code == status


def test_an_ipv6_name_is_compared_as_the_toolkit_writes_it(folder: Path) -> None:
    (folder / "web.yml").write_text(
        f"{_PAIR}, client_ca_file: tls.crt, client_auth_type: VerifyClientCertIfGiven, client_allowed_sans: ['::1']}}"
    )
    config = WebConfig(folder / "web.yml")
    assert config.knows({"subjectAltName": (("DNS", "a"), ("IP Address", "0:0:0:0:0:0:0:1\n"))})
    assert not config.knows({"subjectAltName": (("IP Address", "0:0:0:0:0:0:0:2\n"),)})
    assert config.knows(None)


def test_more_requests_than_the_limit_are_refused_but_for_probes(folder: Path) -> None:
    (folder / "web.yml").write_text("rate_limit: {interval: 1h, burst: 2}")
    with serving(folder / "ml-monitoring.yml") as exporter:
        assert [exporter.get(path).status_code for path in ("/metrics", "/", "/metrics", "/")] == [200, 200, 429, 429]
        assert exporter.get("/-/healthy").status_code == 200


def test_the_bucket_of_the_limit_fills_by_one_an_interval(folder: Path) -> None:
    (folder / "web.yml").write_text("rate_limit: {interval: 1m1.5s, burst: 2}")
    config = WebConfig(folder / "web.yml")
    moments = [1000, 1000, 1000, 1061, 1062, 1062, 2000, 2000, 2000]
    assert [config.admits(moment) for moment in moments] == [True, True, False, False, True, False, True, True, False]


def test_client_certificates_can_be_demanded(folder: Path) -> None:
    (folder / "web.yml").write_text(
        "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_ca_file: tls.crt, "
        "client_auth_type: RequireAndVerifyClientCert, min_version: TLS13}"
    )
    with serving(folder / "ml-monitoring.yml") as exporter:
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
    assert config.read_if_changed() is None
