"""The `web.config.file` of Prometheus's exporter-toolkit: TLS and basic authentication.

The file's format is the toolkit's, so that one file serves all exporters of a machine. What Python's TLS cannot do is
refused by name instead of ignored. Certificates and users are read again when their files change, without a restart.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import ssl
from pathlib import Path
from typing import Annotated, Literal

import bcrypt
from pydantic import AfterValidator, Field, ValidationError, model_validator

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.settings_file import describe, read_yaml
from ml_monitoring.exporter.values import Model

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
# bcrypt reads no more of a password than this, and its newer releases raise instead of cutting.
_BCRYPT_LIMIT = 72
# Verifying a password costs a tenth of a second on purpose; a scraper sends the same one each time.
_CACHE_SIZE = 100


def _valid_hash(value: str) -> str:
    if not _BCRYPT.fullmatch(value):
        raise ValueError("not a bcrypt hash; `htpasswd -nB USER` makes one")
    return value


class TlsConfig(Model):
    """The section `tls_server_config`."""

    cert_file: Path
    key_file: Path
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = "NoClientCert"
    client_ca_file: Path | None = None
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"
    # Only old toolkits heed it; Python's servers always prefer their own order.
    prefer_server_cipher_suites: bool = True

    @model_validator(mode="after")
    def _has_authority(self) -> TlsConfig:
        if self.client_auth_type != "NoClientCert" and self.client_ca_file is None:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs client_ca_file")
        return self

    def files(self, folder: Path) -> tuple[Path, ...]:
        """Return certificate, key and, when given, authority; relative paths count from the folder of the file."""
        names = (self.cert_file, self.key_file, self.client_ca_file)
        return tuple(folder / name for name in names if name is not None)


class HttpConfig(Model):
    """The section `http_server_config`."""

    # Allows, does not demand: clients fall back to HTTP/1.1, which is what is spoken here.
    http2: bool = True
    headers: dict[str, str] = Field(default_factory=dict)


class WebConfigFile(Model):
    """The whole file."""

    tls_server_config: TlsConfig | None = None
    http_server_config: HttpConfig = HttpConfig()
    basic_auth_users: dict[Annotated[str, Field(min_length=1)], Annotated[str, AfterValidator(_valid_hash)]] = Field(
        default_factory=dict
    )


class WebConfig:
    """The file in force.

    Args:
        path: The file; None means neither TLS nor authentication.

    Raises:
        ConfigError: The file, a certificate or a key cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._verified: set[bytes] = set()
        self._file = WebConfigFile()
        self._seen: tuple[object, ...] = ()
        self.tls: ssl.SSLContext | None = None
        self._load()

    @property
    def headers(self) -> dict[str, str]:
        """Return headers to add to each response."""
        return self._file.http_server_config.headers

    def reload_if_changed(self) -> bool:
        """Read everything again when the file, the certificate or the key changed; tell whether one had.

        Raises:
            ConfigError: They cannot be used; the old ones stay in force.
        """
        if self._stamp() == self._seen:
            return False
        self._load()
        return True

    async def allows(self, authorization: str | None) -> bool:
        """Tell whether an `Authorization` header names a user of the file with the right password."""
        users = self._file.basic_auth_users
        if not users:
            return True
        user, password = _credentials(authorization)
        # An unknown user costs as much time as a wrong password, so that names cannot be guessed.
        hashed = users.get(user) or next(iter(users.values()))
        key = hashlib.sha256(b"\0".join((user.encode(), hashed.encode(), password))).digest()
        if key in self._verified:
            return True
        # In a thread: the event loop must not stand still for a tenth of a second.
        matches = await asyncio.to_thread(bcrypt.checkpw, password[:_BCRYPT_LIMIT], hashed.encode())
        if not matches or user not in users:
            return False
        if len(self._verified) >= _CACHE_SIZE:
            self._verified.clear()
        self._verified.add(key)
        return True

    def _load(self) -> None:
        file = _read(self._path) if self._path is not None else WebConfigFile()
        tls = file.tls_server_config
        if self._seen and (tls is None) is not (self.tls is None):
            raise ConfigError([f"{self._path}: tls_server_config: switching TLS on or off needs a restart"])
        if tls is not None and self._path is not None:
            # A throw-away context first: a broken pair of files must not spoil the one in use.
            _configure(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls, self._path)
            self.tls = self.tls or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            _configure(self.tls, tls, self._path)
        self._file = file
        self._verified.clear()
        self._seen = self._stamp()

    def _stamp(self) -> tuple[object, ...]:
        if self._path is None:
            return ()
        tls = self._file.tls_server_config
        files = (self._path, *(tls.files(self._path.parent) if tls else ()))
        return tuple(_identity(file) for file in files)


def _read(path: Path) -> WebConfigFile:
    try:
        return WebConfigFile.model_validate(read_yaml(path))
    except ValidationError as error:
        lines = [line.replace("unknown key", "not supported by this exporter") for line in describe(error)]
        raise ConfigError([f"{path}: {line}" for line in lines]) from None


def _configure(context: ssl.SSLContext, config: TlsConfig, path: Path) -> None:
    certificate, key, *authority = config.files(path.parent)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ConfigError([f"{path}: tls_server_config: {certificate} with {key}: {_tls_problem(error)}"]) from None
    if authority:
        try:
            context.load_verify_locations(authority[0])
        except OSError as error:
            raise ConfigError([f"{path}: tls_server_config: {authority[0]}: {_tls_problem(error)}"]) from None
    context.verify_mode = _VERIFY[config.client_auth_type]
    context.minimum_version = _VERSIONS[config.min_version]
    context.maximum_version = _VERSIONS[config.max_version]


def _tls_problem(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not a usable PEM file, or a key of another certificate ({error.reason or error})"
    return error.strerror or str(error)


def _identity(file: Path) -> object:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _credentials(authorization: str | None) -> tuple[str, bytes]:
    """Return user and password of a header; both empty when it is missing or not basic authentication."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return user.decode(), password
    except (binascii.Error, UnicodeDecodeError):
        return "", b""
