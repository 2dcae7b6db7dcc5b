"""The `web.config.file` of Prometheus's exporter-toolkit: TLS, basic authentication and a rate limit.

The file's format is the toolkit's, so that one file serves all exporters of a machine. What Python's TLS cannot do is
left out with a warning that names it; what the toolkit would refuse is refused. Certificates and users are read again
when their files change, without a restart.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import bcrypt
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import require_regular
from ml_monitoring.exporter.settings_file import Layers, describe_read_error
from ml_monitoring.exporter.values import Model

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
# Python verifies a certificate that it asks for, so where none needs to be valid, none is asked for.
_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,
    "RequireAnyClientCert": ssl.CERT_NONE,
    "RequireClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# What of the section asks for TLS; the rest only says how.
_TLS_KEYS = frozenset({"cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type"})
# Go's grammar, not Prometheus's: the toolkit reads this one setting so.
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h)")
_GO_DURATION = re.compile(rf"0|(?:{_GO_PART.pattern})+")
_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
# bcrypt reads no more of a password than this, and its newer releases raise instead of cutting.
_BCRYPT_LIMIT = 72
# Verifying a password costs a tenth of a second on purpose; a scraper sends the same one each time.
_CACHE_SIZE = 100


def _valid_hash(value: str) -> str:
    if not _BCRYPT.fullmatch(value):
        raise ValueError("not a bcrypt hash; `htpasswd -nB USER` makes one")
    return value


def _valid_header(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("not the name of a header")
    return name


_HeaderName = Annotated[str, AfterValidator(_valid_header)]


def _go_duration(value: object) -> float:
    """Return the seconds of a duration as Go writes it: fractions are allowed, and 0 may go without a unit."""
    text = str(value)
    if not _GO_DURATION.fullmatch(text):
        raise ValueError("not a duration: write it as 1s, 500ms or 1m30s")
    return sum(float(number) * _GO_UNITS[unit] for number, unit in _GO_PART.findall(text))


class TlsConfig(Model):
    """The section `tls_server_config`."""

    cert: str = ""
    key: SecretStr = SecretStr("")
    client_ca: str = ""
    cert_file: Path | None = None
    key_file: Path | None = None
    client_auth_type: Literal[
        "NoClientCert",
        "RequestClientCert",
        "RequireAnyClientCert",
        "RequireClientCert",
        "VerifyClientCertIfGiven",
        "RequireAndVerifyClientCert",
    ] = "NoClientCert"
    client_ca_file: Path | None = None
    client_allowed_sans: tuple[str, ...] = ()
    min_version: Literal["TLS10", "TLS11", "TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    curve_preferences: tuple[str, ...] = ()
    # Only old toolkits heed it; Python's servers always prefer their own order.
    prefer_server_cipher_suites: bool = True

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not self.enabled:
            return self
        for inline, file in (("cert", "cert_file"), ("key", "key_file"), ("client_ca", "client_ca_file")):
            given = bool(getattr(self, inline)) + (getattr(self, file) is not None)
            if given == 2:
                raise ValueError(f"{inline} and {file} are given together; keep one of them")
            if not given and inline != "client_ca":
                raise ValueError(f"needs one of {inline} and {file}")
        verifies = _VERIFY[self.client_auth_type] is not ssl.CERT_NONE
        has_authority = bool(self.client_ca) or self.client_ca_file is not None
        if verifies and not has_authority:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs client_ca or client_ca_file")
        if has_authority and self.client_auth_type == "NoClientCert":
            raise ValueError("a client CA without client_auth_type verifies nobody")
        if self.client_allowed_sans and not verifies and self.client_auth_type != "NoClientCert":
            raise ValueError("client_allowed_sans needs client_auth_type RequireAndVerifyClientCert")
        return self

    @property
    def enabled(self) -> bool:
        """Tell whether the section asks for TLS, by the toolkit's rule."""
        return not _TLS_KEYS.isdisjoint(self.model_fields_set)

    @property
    def warnings(self) -> Iterator[str]:
        """Yield what is valid but not done here."""
        if self.client_auth_type in {"RequestClientCert", "RequireAnyClientCert", "RequireClientCert"}:
            yield f"client_auth_type {self.client_auth_type}: any certificate would do, so none is asked for"
        if self.client_allowed_sans and self.client_auth_type == "NoClientCert":
            yield "client_allowed_sans: no certificate is asked for, so nobody's name is compared"
        if self.min_version in {"TLS10", "TLS11"}:
            yield f"min_version {self.min_version}: nothing below TLS12 is spoken"
        for key in ("cipher_suites", "curve_preferences"):
            if getattr(self, key):
                yield f"{key}: not supported by this exporter, OpenSSL's own are used"

    def files(self, folder: Path) -> tuple[Path, ...]:
        """Return the files that are named; relative paths count from the folder of the file."""
        names = (self.cert_file, self.key_file, self.client_ca_file)
        return tuple(folder / name for name in names if name is not None)


class HttpConfig(Model):
    """The section `http_server_config`."""

    # Allows, does not demand: clients fall back to HTTP/1.1, which is what is spoken here.
    http2: bool = True
    headers: dict[_HeaderName, Annotated[str, Field(pattern=r"^[^\r\n]*$")]] = Field(default_factory=dict)


class RateLimit(Model):
    """The section `rate_limit`: a bucket of `burst` requests, into which one falls each `interval`."""

    interval: Annotated[float, BeforeValidator(_go_duration)] = 0.0
    burst: Annotated[int, Field(ge=0)] = 0


class WebConfigFile(Model):
    """The whole file."""

    tls_server_config: TlsConfig = TlsConfig()
    http_server_config: HttpConfig = HttpConfig()
    rate_limit: RateLimit = RateLimit()
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
        self._tokens = 0.0
        self._filled = 0.0
        self._file = WebConfigFile()
        self._seen: tuple[object, ...] = ()
        self.tls: ssl.SSLContext | None = None
        self._load()

    @property
    def headers(self) -> dict[str, str]:
        """Return headers to add to each response."""
        return {name: value for name, value in self._file.http_server_config.headers.items() if value}

    @property
    def warnings(self) -> list[str]:
        """Return what the file asks for and does not get."""
        return [f"{self._path}: tls_server_config.{warning}" for warning in self._file.tls_server_config.warnings]

    def admits(self, now: float) -> bool:
        """Tell whether the rate limit lets a request through that comes now, in seconds of any steady clock."""
        limit = self._file.rate_limit
        if not limit.interval:
            return True
        self._tokens = min(limit.burst, self._tokens + (now - self._filled) / limit.interval)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def knows(self, certificate: Mapping[str, Any] | None) -> bool:
        """Tell whether a client's certificate, as Python's TLS gives it, has one of the allowed names."""
        allowed = self._file.tls_server_config.client_allowed_sans
        # Without a certificate: where one is demanded, TLS itself has refused already.
        if not allowed or not certificate:
            return True
        return any(_normal_name(*name) in allowed for name in certificate.get("subjectAltName", ()))

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
        if self._seen and tls.enabled is not (self.tls is not None):
            raise ConfigError([f"{self._path}: tls_server_config: switching TLS on or off needs a restart"])
        if tls.enabled and self._path is not None:
            # A throw-away context first: a broken pair of files must not spoil the one in use.
            _require_files(tls, self._path)
            _configure(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls, self._path)
            self.tls = self.tls or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            _configure(self.tls, tls, self._path)
        self._file = file
        self._tokens = float(file.rate_limit.burst)
        self._verified.clear()
        self._seen = self._stamp()

    def _stamp(self) -> tuple[object, ...]:
        if self._path is None:
            return ()
        files = (self._path, *self._file.tls_server_config.files(self._path.parent))
        return tuple(_identity(file) for file in files)


def _read(path: Path) -> WebConfigFile:
    layers = Layers.of_file(path)
    try:
        return WebConfigFile.model_validate(layers.data)
    except ValidationError as error:
        raise ConfigError(layers.describe(error)) from None


def _require_files(config: TlsConfig, path: Path) -> None:
    """Refuse what OpenSSL would wait for, such as a FIFO."""
    for file in config.files(path.parent):
        try:
            require_regular(file)
        except OSError as error:
            raise ConfigError([f"{path}: tls_server_config: {file}: {describe_read_error(error)}"]) from None


def _configure(context: ssl.SSLContext, config: TlsConfig, path: Path) -> None:
    folder = path.parent
    with contextlib.ExitStack() as stack:
        names = {"cert": config.cert_file or "cert", "key": config.key_file or "key"}
        certificate = folder / config.cert_file if config.cert_file else stack.enter_context(_in_memory(config.cert))
        secret = config.key.get_secret_value()
        key = folder / config.key_file if config.key_file else stack.enter_context(_in_memory(secret))
        try:
            # Without a password to ask for: OpenSSL would ask the terminal.
            context.load_cert_chain(certificate, key, password="")
        except OSError as error:
            pair = f"{folder / names['cert']} with {folder / names['key']}"
            raise ConfigError([f"{path}: tls_server_config: {pair}: {_tls_problem(error)}"]) from None
    if _VERIFY[config.client_auth_type] is not ssl.CERT_NONE:
        authority = folder / config.client_ca_file if config.client_ca_file else None
        try:
            context.load_verify_locations(authority, cadata=config.client_ca or None)
        except OSError as error:
            where = authority or "client_ca"
            raise ConfigError([f"{path}: tls_server_config: {where}: {_tls_problem(error)}"]) from None
    context.verify_mode = _VERIFY[config.client_auth_type]
    context.minimum_version = _VERSIONS.get(config.min_version, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _VERSIONS[config.max_version]


@contextlib.contextmanager
def _in_memory(pem: str) -> Iterator[str]:
    """Give text a path, as OpenSSL's Python has no other way in; a key of the settings never touches a disk."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, pem.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _normal_name(kind: str, name: str) -> str:
    # Python writes an IPv6 address in full, and the toolkit in short.
    return str(ip_address(name.strip())) if kind == "IP Address" else name


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
