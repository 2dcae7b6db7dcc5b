"""Read-only sessions on PostgreSQL and SQLite.

SQL is written once, for PostgreSQL with psycopg2's named parameters; for SQLite two constructs are translated:
`%(name)s` and `= any(%(name)s)`. What differs beyond that, the caller chooses by `Session.dialect`.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from ml_monitoring.exporter.database.base import Dialect, Row, Session
from ml_monitoring.exporter.database.postgres import APPLICATION_NAME, PostgresSession
from ml_monitoring.exporter.database.sqlite import SqliteSession

__all__ = ["APPLICATION_NAME", "Dialect", "PostgresSession", "Row", "Session", "SqliteSession", "connect"]

_SCHEME = re.compile(r"^(?P<dialect>postgresql|postgres|sqlite)(?:\+\w+)?:(?P<rest>//.*)$", re.DOTALL)


def connect(uri: str, *, timeout: float) -> Session:
    """Return a session for a URI as SQLAlchemy and MLflow write it; nothing is opened yet.

    Args:
        uri: `postgresql://`, `postgresql+psycopg2://` (any driver), `postgres://` or `sqlite:///path`.
        timeout: Limit in seconds for connecting and for each statement.

    Raises:
        ValueError: The URI names another kind of database or is malformed; the message holds no password.
    """
    match = _SCHEME.match(uri)
    if match is None:
        scheme = uri.split(":", 1)[0] if "://" in uri else "no scheme"
        raise ValueError(f"must begin with postgresql:// or sqlite:///, not with {scheme[:40]}")
    if match["dialect"] == "sqlite":
        return SqliteSession(_sqlite_path(match["rest"]), timeout=timeout)
    return PostgresSession(uri, timeout=timeout)


def _sqlite_path(rest: str) -> Path:
    # SQLAlchemy: three slashes for a relative path, four for an absolute one.
    path = unquote(rest.removeprefix("//").partition("?")[0])
    if not path.startswith("/") or path == "/":
        raise ValueError("a SQLite URI is sqlite:///relative/path or sqlite:////absolute/path")
    return Path(path[1:])
