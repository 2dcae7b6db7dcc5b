"""The `web.config.file` of Prometheus's exporter-toolkit: TLS, basic authentication and a rate limit.

The file's format is the toolkit's, so that one file serves all exporters of a machine. What Python's TLS cannot do is
left out with a warning that names it; what the toolkit would refuse is refused. Certificates and users are read again
when their files change, without a restart.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from ml_monitoring.exporter.errors import ConfigError, collecting
from ml_monitoring.exporter.passwords import Passwords
from ml_monitoring.exporter.regular_files import Identity, describe_read_error, require_regular
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import HEADER_VALUE_PATTERN
from ml_monitoring.exporter.suggestions import suggestion_or_all
from ml_monitoring.exporter.validation import check
from ml_monitoring.exporter.values import Model, refuse

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
# Go's names of the suites of TLS 1.2, and OpenSSL's of the same; those of TLS 1.3 are neither's to choose.
_SUITE = re.compile(r"TLS_(?:(?P<exchange>ECDHE_ECDSA|ECDHE_RSA)|RSA)_WITH_(?P<cipher>\w+)")
_CIPHERS = {
    "AES_128_CBC_SHA": "AES128-SHA",
    "AES_256_CBC_SHA": "AES256-SHA",
    "AES_128_CBC_SHA256": "AES128-SHA256",
    "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "CHACHA20_POLY1305": "CHACHA20-POLY1305",
    "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
}


_TLS13_SUITES = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})


def _cipher(suite: str) -> str | None:
    """Return OpenSSL's name of a suite of TLS 1.2, None where it has none."""
    parts = _SUITE.fullmatch(suite)
    if parts is None or parts["cipher"] not in _CIPHERS:
        return None
    exchange = (parts["exchange"] or "").replace("_", "-")
    return "-".join(filter(None, (exchange, _CIPHERS[parts["cipher"]])))


def _valid_hash(value: str) -> str:
    if not _BCRYPT.fullmatch(value) or not 4 <= int(value[4:6]) <= 31:
        raise ValueError("not a bcrypt hash; `htpasswd -nB USER` makes one")
    return value


# What Prometheus's toolkit takes: the values of each header, any where there are none.
_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}


def _valid_header(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("not the name of a header")
    if name not in _HEADERS:
        raise ValueError(f"no header that can be set here{suggestion_or_all(name, _HEADERS)}")
    return name


_HeaderName = Annotated[str, AfterValidator(_valid_header)]


def _valid_values(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if (values := _HEADERS[name]) and value not in values:
            raise ValueError(f"{name}: must be {' or '.join(values)}")
    return headers


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
        refuse(self._problems() if self.enabled else ())
        return self

    def _problems(self) -> Iterator[str]:
        for inline, file in (("cert", "cert_file"), ("key", "key_file"), ("client_ca", "client_ca_file")):
            given = bool(getattr(self, inline)) + (getattr(self, file) is not None)
            if given == 2:
                yield f"{inline} and {file} are given together; keep one of them"
            if not given and inline != "client_ca":
                yield f"needs one of {inline} and {file}"
        verifies = _VERIFY[self.client_auth_type] is not ssl.CERT_NONE
        has_authority = bool(self.client_ca) or self.client_ca_file is not None
        if verifies and not has_authority:
            yield f"client_auth_type {self.client_auth_type} needs client_ca or client_ca_file"
        if has_authority and self.client_auth_type == "NoClientCert":
            yield "a client CA without client_auth_type verifies nobody"
        if self.client_allowed_sans and not verifies and self.client_auth_type != "NoClientCert":
            yield "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert"

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
        if unknown := [suite for suite in self.cipher_suites if _cipher(suite) is None and suite not in _TLS13_SUITES]:
            yield f"cipher_suites: {', '.join(unknown)}: not known to this exporter, and left out"
        if self.curve_preferences:
            yield "curve_preferences: not supported by this exporter, OpenSSL's own are used"

    def files(self, folder: Path) -> tuple[Path, ...]:
        """Return the files that are named; relative paths count from the folder of the file."""
        names = (self.cert_file, self.key_file, self.client_ca_file)
        return tuple(folder / name for name in names if name is not None)


class HttpConfig(Model):
    """The section `http_server_config`."""

    # Allows, does not demand: clients fall back to HTTP/1.1, which is what is spoken here.
    http2: bool = True
    headers: Annotated[
        dict[_HeaderName, Annotated[str, Field(pattern=HEADER_VALUE_PATTERN)]], AfterValidator(_valid_values)
    ] = Field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class WebConfigChange:
    """What was read, to be put into force."""

    file: WebConfigFile
    tls: ssl.SSLContext | None
    seen: tuple[object, ...]


class WebConfig:
    """The file in force.

    Args:
        path: The file; None means neither TLS nor authentication.

    Raises:
        ConfigError: The file, a certificate or a key cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._passwords = Passwords()
        self._tokens = 0.0
        self._filled = 0.0
        self._file = WebConfigFile()
        self._seen: tuple[object, ...] = ()
        self.tls: ssl.SSLContext | None = None
        self.take(self._read())

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

    def read_if_changed(self) -> WebConfigChange | None:
        """Read everything again when the file, the certificate or the key changed; may be called from any thread.

        Raises:
            ConfigError: They cannot be used; the old ones stay in force.
        """
        return None if self._stamp(self._file) == self._seen else self._read()

    def take(self, change: WebConfigChange) -> None:
        """Put into force what was read."""
        self._file, self.tls, self._seen = change.file, change.tls, change.seen
        self._tokens = float(change.file.rate_limit.burst)
        self._passwords.take(change.file.basic_auth_users)

    async def allows(self, authorization: str | None, address: str) -> bool:
        """Tell whether an `Authorization` header names a user of the file with the right password.

        Args:
            authorization: The header's value.
            address: Of the client.

        Raises:
            BusyError: Too many passwords wait to be verified.
        """
        if not self._file.basic_auth_users:
            return True
        given = _credentials(authorization)
        return given is not None and await self._passwords.allow(*given, address)

    def close(self) -> None:
        """Verify no password any more."""
        self._passwords.close()

    def _read(self) -> WebConfigChange:
        if self._path is None:
            return WebConfigChange(WebConfigFile(), None, ())
        # Before anything is read: what changes while it is read is read again.
        own = _identity(self._path)
        file = _read(self._path)
        seen = (own, *self._stamp(file)[1:])
        config = file.tls_server_config
        if self._seen and config.enabled is not (self.tls is not None):
            raise ConfigError([f"{self._path}: tls_server_config: switching TLS on or off needs a restart"])
        # Always a new one: a context only learns to trust, it forgets no authority, cipher or ticket.
        return WebConfigChange(file, _context(config, self._path) if config.enabled else None, seen)

    def _stamp(self, file: WebConfigFile) -> tuple[object, ...]:
        if self._path is None:
            return ()
        files = (self._path, *file.tls_server_config.files(self._path.parent))
        return tuple(map(_identity, files))


def _read(path: Path) -> WebConfigFile:
    layers = Layers.of_file(path)
    checked = check(layers, WebConfigFile)
    problems = layers.sentences(checked.problems)
    tls = checked.usable.tls_server_config if checked.usable is not None else None
    if problems and tls is not None and tls.enabled and not checked.touches(("tls_server_config",)):
        with collecting(problems):
            _context(tls, path)
    if checked.usable is None or problems:
        raise ConfigError(problems)
    return checked.usable


def _require_files(config: TlsConfig, path: Path) -> None:
    """Refuse what OpenSSL would wait for, such as a FIFO."""
    problems = []
    for key in ("cert_file", "key_file", "client_ca_file"):
        if (name := getattr(config, key)) is None:
            continue
        try:
            require_regular(path.parent / name)
        except OSError as error:
            said = f"{path.parent / name}: {describe_read_error(error)}"
            problems.append(Layers.of_file(path).problem(("tls_server_config", key), said))
    if problems:
        raise ConfigError(problems)


def _context(config: TlsConfig, path: Path) -> ssl.SSLContext:
    problems: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with collecting(problems):
        _require_files(config, path)
    if not problems:
        problems += [f"{path}: tls_server_config: {problem}" for problem in _load(context, config, path.parent)]
    context.verify_mode = _VERIFY[config.client_auth_type]
    context.minimum_version = _VERSIONS.get(config.min_version, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _VERSIONS[config.max_version]
    if config.cipher_suites:
        try:
            context.set_ciphers(":".join(filter(None, map(_cipher, config.cipher_suites))))
        except ssl.SSLError:
            # Nothing is left that TLS 1.2 could be spoken with.
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            if context.maximum_version is ssl.TLSVersion.TLSv1_2:
                problems.append(f"{path}: tls_server_config.cipher_suites: none of them is usable")
    if problems:
        raise ConfigError(problems)
    return context


def _load(context: ssl.SSLContext, config: TlsConfig, folder: Path) -> Iterator[str]:
    """Give a context its certificate and the authorities of its clients; yield what cannot be used."""
    with contextlib.ExitStack() as stack:
        names = {"cert": config.cert_file or "cert", "key": config.key_file or "key"}
        certificate = folder / config.cert_file if config.cert_file else stack.enter_context(_in_memory(config.cert))
        secret = config.key.get_secret_value()
        key = folder / config.key_file if config.key_file else stack.enter_context(_in_memory(secret))
        try:
            # Without a password to ask for: OpenSSL would ask the terminal.
            context.load_cert_chain(certificate, key, password="")
        except OSError as error:
            yield f"{folder / names['cert']} with {folder / names['key']}: {_tls_problem(error)}"
    if _VERIFY[config.client_auth_type] is not ssl.CERT_NONE:
        authority = folder / config.client_ca_file if config.client_ca_file else None
        try:
            context.load_verify_locations(authority, cadata=config.client_ca or None)
        except OSError as error:
            yield f"{authority or 'client_ca'}: {_tls_problem(error)}"


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


def _identity(file: Path) -> Identity | None:
    try:
        return Identity.of(file.stat())
    except OSError:
        return None


def _credentials(authorization: str | None) -> tuple[str, bytes] | None:
    """Return user and password of a header; None when it is missing or not basic authentication."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, separator, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if separator else None
    except ValueError:
        # Not base64, not ASCII, or not UTF-8.
        return None
