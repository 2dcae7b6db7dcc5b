"""What is taken away is trusted no more: authorities, names, ciphers, versions, users; open connections end."""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from ml_monitoring.exporter.database import PostgresSession
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.sources.variants.listener import Changes, Listener
from tests.support.serving import ExporterProcess, serving
from tests.support.tls_postgres import behind_tls
from tools.postgres import PostgresServer
from tools.processes import wait_until

_PAIR = "cert_file: server.crt, key_file: server.key"
_CLIENTS = "client_ca_file: clients.crt, client_auth_type: RequireAndVerifyClientCert"


def make(folder: Path, name: str, authority: str | None = None) -> None:
    """Write a certificate and its key: an authority, or one that an authority signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = subject, key
    if authority is not None:
        issuer = x509.load_pem_x509_certificate((folder / f"{authority}.crt").read_bytes()).subject
        signer = _load_key(folder / f"{authority}.key")
    now = datetime.now(UTC)
    names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName(name)]
    certificate = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


class Client:
    """A client of an exporter, with one connection that it keeps."""

    def __init__(self, exporter: ExporterProcess, folder: Path, name: str | None = None, **limits: object) -> None:
        context = ssl.create_default_context(cafile=str(folder / "server.crt"))
        if name is not None:
            context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        for key, value in limits.items():
            setattr(context, key, value)
        host, _, port = exporter.url.removeprefix("https://").rpartition(":")
        self.connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=10)

    def get(self, headers: dict[str, str] | None = None) -> int:
        """Ask over the connection that is there; it is not opened again."""
        try:
            self.connection.request("GET", "/metrics", headers=headers or {})
            answer = self.connection.getresponse()
            answer.read()
            return answer.status
        finally:
            if self.connection.auto_open:
                self.connection.close()

    def keep(self) -> Client:
        """Connect, and never again."""
        self.connection.connect()
        self.connection.auto_open = 0
        return self


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path, "server")
    for authority, client in (("first", "alice"), ("second", "bob")):
        make(tmp_path, authority)
        make(tmp_path, client, authority)
    make(tmp_path, "carol", "first")
    (tmp_path / "empty.db").touch()
    (tmp_path / "clients.crt").write_bytes((tmp_path / "first.crt").read_bytes())
    (tmp_path / "ml-monitoring.yml").write_text(
        f"web: {{port: 0, config_file: {tmp_path}/web.yml}}\n"
        f"sources: {{mlflow: {{uri: 'sqlite:///{tmp_path}/empty.db'}}}}\n"
    )
    write(tmp_path, f"{_PAIR}, {_CLIENTS}")
    return tmp_path


def write(folder: Path, tls: str, rest: str = "") -> None:
    (folder / "web.yml").write_text(f"tls_server_config: {{{tls}}}\n{rest}\n")


@pytest.fixture
def exporter(folder: Path) -> Iterator[ExporterProcess]:
    with serving(folder / "ml-monitoring.yml") as process:
        yield process


def is_refused(client: Client) -> bool:
    try:
        return client.get() in {401, 403}
    except (OSError, http.client.HTTPException):
        return True
    finally:
        client.connection.close()


def test_clients_of_a_replaced_authority_are_refused_and_their_connections_end(
    exporter: ExporterProcess, folder: Path
) -> None:
    kept = Client(exporter, folder, "alice").keep()
    assert kept.get() == 200
    assert is_refused(Client(exporter, folder, "bob"))
    (folder / "clients.crt").write_bytes((folder / "second.crt").read_bytes())
    exporter.wait_for_log("read again")
    assert is_refused(kept)
    assert is_refused(Client(exporter, folder, "alice"))
    assert Client(exporter, folder, "bob").get() == 200


def test_an_authority_removed_from_several_is_refused(folder: Path) -> None:
    both = (folder / "first.crt").read_bytes() + (folder / "second.crt").read_bytes()
    (folder / "clients.crt").write_bytes(both)
    with serving(folder / "ml-monitoring.yml") as exporter:
        assert [Client(exporter, folder, name).get() for name in ("alice", "bob")] == [200, 200]
        (folder / "clients.crt").write_bytes((folder / "first.crt").read_bytes())
        exporter.wait_for_log("read again")
        assert Client(exporter, folder, "alice").get() == 200
        assert is_refused(Client(exporter, folder, "bob"))


def test_a_name_that_is_not_allowed_any_more_is_refused(folder: Path) -> None:
    write(folder, f"{_PAIR}, {_CLIENTS}, client_allowed_sans: [alice, carol]")
    with serving(folder / "ml-monitoring.yml") as exporter:
        kept = Client(exporter, folder, "alice").keep()
        assert kept.get() == 200
        write(folder, f"{_PAIR}, {_CLIENTS}, client_allowed_sans: [carol]")
        exporter.wait_for_log("read again")
        assert is_refused(kept)
        assert is_refused(Client(exporter, folder, "alice"))
        assert Client(exporter, folder, "carol").get() == 200


def test_clients_without_a_certificate_are_refused_once_one_is_demanded(folder: Path) -> None:
    write(folder, _PAIR)
    with serving(folder / "ml-monitoring.yml") as exporter:
        kept = Client(exporter, folder).keep()
        assert kept.get() == 200
        write(folder, f"{_PAIR}, {_CLIENTS}")
        exporter.wait_for_log("read again")
        assert is_refused(kept)
        assert is_refused(Client(exporter, folder))
        assert Client(exporter, folder, "alice").get() == 200


@pytest.mark.parametrize(
    "shorter",
    [
        "min_version: TLS13",
        "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
        pytest.param("cipher_suites: [TLS_AES_128_GCM_SHA256]", marks=pytest.mark.wide),
        "cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]",
    ],
)
def test_a_version_or_a_cipher_that_is_not_offered_any_more_is_refused(shorter: str, folder: Path) -> None:
    write(folder, _PAIR)
    with serving(folder / "ml-monitoring.yml") as exporter:

        def old() -> Client:
            client = Client(exporter, folder, maximum_version=ssl.TLSVersion.TLSv1_2)
            client.connection._context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")  # type: ignore[attr-defined]
            return client

        kept = old().keep()
        assert kept.get() == 200
        write(folder, f"{_PAIR}, {shorter}")
        exporter.wait_for_log("read again")
        assert is_refused(kept)
        assert is_refused(old())
        assert Client(exporter, folder).get() == 200


def test_a_removed_user_is_refused_although_the_password_was_right(folder: Path) -> None:
    hashed = bcrypt.hashpw(b"p", bcrypt.gensalt(4)).decode()
    write(folder, _PAIR, f'basic_auth_users: {{a: "{hashed}", b: "{hashed}"}}')
    of_a, of_b = ({"Authorization": f"Basic {encoded}"} for encoded in ("YTpw", "Yjpw"))
    with serving(folder / "ml-monitoring.yml") as exporter:
        assert [Client(exporter, folder).get(headers) for headers in (of_a, of_b)] == [200, 200]
        write(folder, _PAIR, f'basic_auth_users: {{b: "{hashed}"}}')
        exporter.wait_for_log("read again")
        assert [Client(exporter, folder).get(headers) for headers in (of_a, of_b)] == [401, 200]


@pytest.mark.parametrize("broken", [pytest.param("gone", marks=pytest.mark.wide), "rubbish", "pipe", "config"])
def test_what_cannot_be_read_leaves_the_last_good_in_force_and_says_so(broken: str, folder: Path) -> None:
    write(folder, f"{_PAIR}, {_CLIENTS}")
    metric = "ml_monitoring_config_last_reload_successful"
    authority, config = folder / "clients.crt", folder / "web.yml"
    good = config.read_text()
    with serving(folder / "ml-monitoring.yml") as exporter:
        assert f"\n{metric} 1.0" in _metrics(exporter, folder)
        if broken == "config":
            config.write_text("tls_server_config: [")
        else:
            authority.unlink()
        if broken == "rubbish":
            authority.write_text("no certificate")
        elif broken == "pipe":
            os.mkfifo(authority)
        line = exporter.wait_for_log("the old one stays")
        assert ("web.yml" if broken == "config" else "clients.crt") in line
        assert f"\n{metric} 0.0" in _metrics(exporter, folder)
        if broken == "config":
            config.write_text(good)
        else:
            authority.unlink(missing_ok=True)
            authority.write_bytes((folder / "second.crt").read_bytes())
        exporter.wait_for_log("read again")
        assert f"\n{metric} 1.0" in _metrics(exporter, folder, "alice" if broken == "config" else "bob")


def _metrics(exporter: ExporterProcess, folder: Path, name: str = "alice") -> str:
    pair = (str(folder / f"{name}.crt"), str(folder / f"{name}.key"))
    return exporter.get("/metrics", verify=str(folder / "server.crt"), cert=pair).text


@pytest.fixture
def database(folder: Path, postgres_server: PostgresServer) -> Iterator[str]:
    """Give the URI of a database whose certificate is verified by a file that can be replaced."""
    make(folder, "database", "first")
    with behind_tls(postgres_server.port, folder / "database.crt", folder / "database.key") as port:
        uri = postgres_server.uri("postgres", postgres_server.password, "postgres")
        uri = uri.replace(f":{postgres_server.port}/", f":{port}/")
        yield f"{uri}?sslmode=verify-full&sslrootcert={folder}/clients.crt&sslcrl={folder}/revoked.crl"


def revoke(folder: Path, name: str) -> None:
    now = datetime.now(UTC)
    authority = x509.load_pem_x509_certificate((folder / "first.crt").read_bytes())
    number = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes()).serial_number
    revoked = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now).build()
    builder = x509.CertificateRevocationListBuilder(authority.subject, now, now + timedelta(days=1))
    signed = builder.add_revoked_certificate(revoked).sign(_load_key(folder / "first.key"), hashes.SHA256())
    (folder / "revoked.crl").write_bytes(signed.public_bytes(Encoding.PEM))


@pytest.mark.parametrize("how", ["replaced", "removed", "revoked"])
def test_a_kept_connection_ends_when_its_server_is_trusted_no_more(how: str, database: str, folder: Path) -> None:
    with contextlib.closing(PostgresSession(database, timeout=5)) as session:
        for _ in range(2):
            with session.transaction():
                assert session.rows("select 1") == [(1,)]
        assert session.opened == 1
        trusted = folder / "clients.crt"
        if how == "replaced":
            trusted.write_bytes((folder / "second.crt").read_bytes())
        elif how == "removed":
            trusted.unlink()
        else:
            revoke(folder, "database")
        with pytest.raises(SourceError, match="no TLS that is trusted") as error, session.transaction():
            pass
        assert error.value.reason is Reason.CONNECT
        trusted.write_bytes((folder / "first.crt").read_bytes())
        (folder / "revoked.crl").unlink(missing_ok=True)
        with session.transaction():
            assert session.rows("select 1") == [(1,)]


def test_nobody_listens_to_a_server_that_is_trusted_no_more(
    database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_monitoring.exporter.sources.variants.listener._LOOK", 0.05)
    listener = Listener(PostgresSession(database, timeout=5), Changes(), lambda: None)
    listener.start()
    try:
        assert wait_until(lambda: listener.connected, timeout=20)
        (folder / "clients.crt").write_bytes((folder / "second.crt").read_bytes())
        assert wait_until(lambda: "no TLS that is trusted" in listener.error, timeout=20)
        assert not listener.connected
    finally:
        listener.stop()
