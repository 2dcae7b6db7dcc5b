"""URIs of databases, read as SQLAlchemy reads them and with that as MLflow does.

SQLAlchemy itself would add 29 MB to the image, 20 MB to the process and half a second to the start for this one
function; `tests/exporter/test_database_uri.py` compares the two on random URIs. What is refused here and not there is
what can only be a mistake that would end in a message: mostly a password in which a character is not encoded.
No message holds anything of the URI, as it may be a part of the password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from ml_monitoring.exporter.database.base import Dialect

_PATTERN = re.compile(
    r"""
    (?P<name>[\w\+]+)://
    (?:
        (?P<username>[^:/]*)
        (?::(?P<password>[^@]*))?
    @)?
    (?P<rest>
        (?:
            (?:
                \[(?P<ipv6host>[^/\?]+)\] |
                (?P<ipv4host>[^/:\?]+)
            )?
            (?::(?P<port>[^/\?]*))?
        )?
        (?:/(?P<database>[^\?]*))?
    )
    (?:\?(?P<query>.*))?
    """,
    re.VERBOSE,
)
_DIALECTS: Mapping[str, Dialect] = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
# Words that say what was given instead; any other beginning may be a part of a secret.
_KNOWN_SCHEMES = re.compile(r"(https?|file|mssql|oracle|databricks|databricks-uc|uc|s3|gs)(\+\w+)?(?::|$)")
_TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "f", "0"})
_SSL_MODES = ("", "DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_MYSQL_FLAGS = ("ssl", "ssl_check_hostname", "ssl_disabled", "ssl_verify_cert", "ssl_verify_identity")
# Those that only say how MLflow's own driver works are known and change nothing here.
_MYSQL_PARAMETERS = frozenset(
    {
        *("host", "port", "user", "password", "passwd", "unix_socket", *_MYSQL_FLAGS),
        *("ssl_ca", "ssl_capath", "ssl_cert", "ssl_cipher", "ssl_key", "ssl_key_password", "ssl_mode"),
        *("charset", "collation", "use_unicode", "connect_timeout", "read_timeout", "write_timeout", "binary_prefix"),
        *("autocommit", "client_flag", "local_infile", "max_allowed_packet", "program_name", "sql_mode"),
    }
)
# How what is wrong with the beginning is said.
MUST_BEGIN = "must begin with "
_SQLITE_FILE = re.compile(r"(?i)(?:[a-z]:)?[^:=@]+\.(db|sqlite3?)|/[^:=@]*")
_SQLITE_FORMS = "a SQLite URI is sqlite:///relative/path or sqlite:////absolute/path"
_ENCODE = (
    "write special characters of user and password percent-encoded, such as @ as %40, / as %2F, : as %3A and % as %25"
)
_HOST_AND_PORT = re.compile(r"^([a-zA-Z0-9\-\.]*)(?:\:(\d*))?$")

Query = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection to MySQL is encrypted.

    Attributes:
        required: Whether a server without it is refused.
        verifies: Whether the server's certificate must be of an authority that is trusted.
        names_host: Whether it must be of the host's name, too.
        ca: File of the authorities; default those of the system.
        capath: Folder of the authorities.
        cert: File of this client's certificate.
        key: File of its key.
        key_password: What the key is encrypted with.
        cipher: Ciphers that are allowed.
    """

    required: bool
    verifies: bool
    names_host: bool
    ca: str | None = None
    capath: str | None = None
    cert: str | None = None
    key: str | None = None
    key_password: str | None = field(default=None, repr=False)
    cipher: str | None = None


@dataclass(frozen=True, slots=True)
class DatabaseUri:
    """The parts of a URI, decoded; those that may be secret are not shown by `repr`."""

    dialect: Dialect
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    host: str | None = field(repr=False)
    port: int | None
    database: str | None = field(repr=False)
    query: Query = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> DatabaseUri:
        """Take a URI apart.

        Raises:
            ValueError: It cannot be one of a database that is read here.
        """
        found = _PATTERN.fullmatch(text)
        dialect = _DIALECTS.get(found["name"].partition("+")[0]) if found else None
        if found is None or dialect is None:
            raise ValueError(_describe_beginning(text))
        _refuse_what_is_not_encoded(found)
        port = found["port"]
        if port is not None and not re.fullmatch(r"\s*[+-]?\d+(_\d+)*\s*", port):
            if re.fullmatch(r"[\d\s]+", port):
                raise ValueError("a blank stands in the port")
            raise ValueError(f"what stands where the port belongs is no number: {_ENCODE}")
        if re.search(r"[\[\]]", found["ipv4host"] or ""):
            # SQLAlchemy would leave out what stands behind the brackets.
            raise ValueError("a host in brackets is an IPv6 address, behind which only a port may stand")
        return cls(
            dialect,
            _decoded(found["username"]),
            _decoded(found["password"]),
            found["ipv4host"] or found["ipv6host"],
            int(port) if port else None,
            _decoded(found["database"]),
            _query(found["query"]),
        )

    def libpq_arguments(self) -> dict[str, str]:
        """Return what SQLAlchemy's psycopg2 dialect gives to libpq.

        Raises:
            ValueError: A parameter does not fit the others, or is none of libpq's.
        """
        named = {"host": self.host, "dbname": self.database, "user": self.username, "password": self.password}
        arguments: dict[str, str | list[str]] = {key: value for key, value in named.items() if value}
        if self.port:
            arguments["port"] = str(self.port)
        arguments.update(self.query)
        hosts, ports = self._hosts()
        if hosts:
            arguments["host"] = ",".join(hosts)
            if together := ",".join(ports):
                arguments["port"] = together
        texts = {key: value for key, value in arguments.items() if isinstance(value, str)}
        if len(texts) < len(arguments):
            raise ValueError("a parameter after ? is given twice; only host may be")
        if not all(re.fullmatch(r"\s*\d*\s*", port) for port in texts.get("port", "").split(",")):
            raise ValueError("a port is no number")
        return texts

    def mysql_arguments(self) -> dict[str, Any]:
        """Return what is given to PyMySQL, but for TLS; the parameters are PyMySQL's or mysqlclient's.

        Raises:
            ValueError: A parameter is unknown, given twice, or does not fit the others.
        """
        query: dict[str, str] = {key: value for key, value in self.query.items() if isinstance(value, str)}
        if len(query) < len(self.query):
            raise ValueError("a parameter after ? is given twice")
        if query.keys() - _MYSQL_PARAMETERS:
            raise ValueError("a parameter after ? is none that is known for MySQL")
        port = query.get("port", "3306")
        if not re.fullmatch(r"[0-9]{1,5}", port):
            raise ValueError("a port is no number")
        if not (self.database or "").strip():
            raise ValueError("names no database: mysql://user:password@host/database")
        return {
            "host": self.host or query.get("host") or "localhost",
            "port": self.port or int(port),
            # As bytes, because the driver would take them for Latin-1.
            "password": (self.password or query.get("password") or query.get("passwd") or "").encode(),
            "user": self.username or query.get("user") or "",
            "database": self.database,
            "unix_socket": query.get("unix_socket"),
        }

    def mysql_tls(self) -> Tls | None:
        """Return how a connection to MySQL is encrypted, None where it must not be.

        Raises:
            ValueError: A parameter is not what it may be.
        """
        return _tls({key: value for key, value in self.query.items() if isinstance(value, str)})

    def sqlite_path(self) -> Path:
        """Return the file that SQLAlchemy's SQLite dialect opens.

        Raises:
            ValueError: The URI names no file.
        """
        name = self.database or ""
        if self.username or self.password or self.host or self.port:
            raise ValueError(_SQLITE_FORMS)
        if str(self.query.get("uri", "")).strip().lower() in _TRUE and name.startswith("file:"):
            # SQLite decodes once more, and allows an empty authority or that of this machine.
            name = re.sub(r"^//(localhost)?(?=/)", "", unquote(name.removeprefix("file:").partition("?")[0]))
            if self.query.get("mode") == "memory":
                name = ""
        if not name or name in ("/", ":memory:") or "\0" in name:
            raise ValueError(_SQLITE_FORMS)
        return Path(name)

    def _hosts(self) -> tuple[list[str], list[str]]:
        """Return the hosts of `?host=a:1&host=b:2` or `?host=a,b&port=1,2`, and their ports, empty for the default."""
        given, given_ports = self.query.get("host"), self.query.get("port")
        hosts: list[str] = []
        ports: list[str] = []
        together = False
        if isinstance(given, list):
            together = True
            if any(host.count(":") > 1 for host in given):
                raise ValueError("a host after ? is not of the form host or host:port")
            pairs = [host.partition(":") for host in given]
            hosts, ports = [pair[0] for pair in pairs], [pair[2] for pair in pairs]
        elif given is not None:
            hosts = given.split(",")
            if given_ports is None and len(hosts) == 1 and ":" in given and (found := _HOST_AND_PORT.match(given)):
                together = True
                hosts, ports = [found[1]], [found[2] or ""]
        if given_ports is not None:
            if together:
                raise ValueError("ports are given both behind the hosts and as parameter; keep one of them")
            ports = given_ports if isinstance(given_ports, list) else given_ports.split(",")
        if ports and len(ports) != max(len(hosts), 1) and (len(hosts) != 1 or len(ports) > 1):
            raise ValueError("there are not as many hosts as ports")
        return hosts, ports or [""] * len(hosts)


def _tls(query: Mapping[str, str]) -> Tls | None:
    """Return how a connection to MySQL is encrypted, None where it must not be.

    Raises:
        ValueError: A value is not one that is known.
    """
    mode = query.get("ssl_mode", "").upper()
    if mode not in _SSL_MODES:
        raise ValueError(f"ssl_mode must be one of {', '.join(_SSL_MODES[1:])}")
    flags = {key: _flag(query[key], key) for key in _MYSQL_FLAGS if key in query}
    if mode == "DISABLED" or flags.get("ssl_disabled"):
        return None
    files = {
        key: query[f"ssl_{key}"]
        for key in ("ca", "capath", "cert", "key", "key_password", "cipher")
        if f"ssl_{key}" in query
    }
    # Where an authority is given, SQLAlchemy's drivers compare the name as well, unless they are told otherwise.
    trusts = not mode and bool({"ca", "capath"} & files.keys())
    names_host = mode == "VERIFY_IDENTITY" or flags.get("ssl_verify_identity", trusts)
    names_host = flags.get("ssl_check_hostname", names_host)
    verifies = mode.startswith("VERIFY") or flags.get("ssl_verify_cert", trusts) or names_host
    required = bool(files or verifies or flags.get("ssl") or mode not in ("", "PREFERRED"))
    return Tls(required=required, verifies=verifies, names_host=names_host and verifies, **files)


def _flag(text: str, key: str) -> bool:
    """Return a switch.

    Raises:
        ValueError: It is neither on nor off.
    """
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(f"{key} must be true or false")


def _decoded(part: str | None) -> str | None:
    return None if part is None else unquote(part)


def _query(text: str | None) -> Query:
    query: dict[str, str | list[str]] = {}
    for key, value in parse_qsl(text or ""):
        known = query.get(key)
        query[key] = value if known is None else [*([known] if isinstance(known, str) else known), value]
    return query


def _refuse_what_is_not_encoded(found: re.Match[str]) -> None:
    """Refuse what only a raw character in a password can have led to.

    SQLAlchemy ends the password at the first @ (and sees none after a / in the user's name): the rest of it would be
    looked up as a host, or show as the name of a database that does not exist.
    """
    if "@" in found["rest"]:
        raise ValueError(f"an @ stands where host or database belong: {_ENCODE}")
    if any("@" in part.partition("=")[0] or "=" not in part for part in _parts_with_at(found["query"])):
        raise ValueError(f"an @ stands after ? outside of a value: {_ENCODE}")
    if re.search(r"[\0\ud800-\udfff]", found[0]):
        raise ValueError("holds a character that no URI can have")


def _parts_with_at(query: str | None) -> list[str]:
    return [part for part in (query or "").split("&") if "@" in part]


def _describe_beginning(text: str) -> str:
    if re.match(r"\w+\s*[:=]\s*['\"]?(postgres(ql)?|mysql|mariadb|sqlite)(\+\w+)?:/", text):
        # Another word may be a part of a secret.
        key = "jdbc:" if text.startswith("jdbc:") else "a key"
        return f"must hold the address alone, without {key} before it"
    if re.match(r"(postgres(ql)?|mysql|mariadb|sqlite)(\+\w+)?//", text):
        return f"{MUST_BEGIN}postgresql://, mysql:// or sqlite:///: a colon is missing before //"
    known = _KNOWN_SCHEMES.match(text)
    if known is not None:
        return f"{MUST_BEGIN}postgresql://, mysql:// or sqlite:///, not with {known[1]}"
    if re.match(r"(postgres(ql)?|mysql|mariadb|sqlite)(\+\w+)?://", text):
        return f"not a URI that SQLAlchemy understands: {_ENCODE}"
    if _SQLITE_FILE.fullmatch(text):
        return f"{MUST_BEGIN}postgresql://, mysql:// or sqlite:///: {_SQLITE_FORMS}"
    kind = "something else" if "://" in text else "no scheme"
    return f"{MUST_BEGIN}postgresql://, mysql:// or sqlite:///, not with {kind}"
