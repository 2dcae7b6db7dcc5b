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
from urllib.parse import parse_qsl, unquote

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
_DIALECTS = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite"}
# Words that say what was given instead; any other beginning may be a part of a secret.
_KNOWN_SCHEMES = re.compile(r"(https?|file|mysql|mariadb|mssql|oracle|databricks|databricks-uc|s3|gs)(\+\w+)?:")
_TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
_SQLITE_FORMS = "a SQLite URI is sqlite:///relative/path or sqlite:////absolute/path"
_ENCODE = (
    "write special characters of user and password percent-encoded, such as @ as %40, / as %2F, : as %3A and % as %25"
)
_HOST_AND_PORT = re.compile(r"^([a-zA-Z0-9\-\.]*)(?:\:(\d*))?$")

Query = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class DatabaseUri:
    """The parts of a URI, decoded; those that may be secret are not shown by `repr`."""

    dialect: str
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
            raise ValueError(f"what stands where the port belongs is no number: {_ENCODE}")
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
    known = _KNOWN_SCHEMES.match(text)
    if known is not None:
        return f"must begin with postgresql:// or sqlite:///, not with {known[1]}"
    if re.match(r"(postgres(ql)?|sqlite)(\+\w+)?://", text):
        return f"not a URI that SQLAlchemy understands: {_ENCODE}"
    kind = "something else" if "://" in text else "no scheme"
    return f"must begin with postgresql:// or sqlite:///, not with {kind}"
