"""Read-only sessions on PostgreSQL, MySQL (MariaDB too) and SQLite.

SQL is written once, for PostgreSQL with psycopg2's named parameters; for the others two constructs are translated:
`%(name)s` and `= any(%(name)s)`. What differs beyond that, the caller chooses by `Session.dialect`.
"""

from __future__ import annotations

from collections.abc import Callable

from ml_monitoring.exporter.database.base import Dialect, Row, Session
from ml_monitoring.exporter.database.postgres import PostgresSession
from ml_monitoring.exporter.database.server import APPLICATION_NAME
from ml_monitoring.exporter.database.sqlite import SqliteSession
from ml_monitoring.exporter.database.uri import DatabaseUri

__all__ = ["APPLICATION_NAME", "Dialect", "PostgresSession", "Row", "Session", "SqliteSession", "connect"]


def connect(uri: str, *, timeout: float, read_again: Callable[[], str] | None = None) -> Session:
    """Return a session for a URI as SQLAlchemy and MLflow write it; nothing is opened yet.

    Args:
        uri: `postgresql://`, `postgresql+psycopg2://` (any driver), `postgres://` `mysql://`,
            `mariadb://` (any driver) or `sqlite:///path`.
        timeout: Limit in seconds for connecting and for each statement.
        read_again: Reads the URI again where it came from; asked when a connection is refused.

    Raises:
        ValueError: The URI names another kind of database or is malformed; the message holds nothing of it.
    """
    parsed = DatabaseUri.parse(uri)
    if parsed.dialect == "sqlite":
        return SqliteSession(parsed.sqlite_path(), timeout=timeout)
    if parsed.dialect == "mysql":
        try:
            # An extra, whose driver costs those nothing who do without.
            from ml_monitoring.exporter.database.mysql import MysqlSession  # noqa: PLC0415
        except ModuleNotFoundError:
            raise ValueError("MySQL and MariaDB need PyMySQL: pip install 'ml-monitoring[mysql]'") from None
        return MysqlSession(uri, timeout=timeout, read_again=read_again)
    return PostgresSession(uri, timeout=timeout, read_again=read_again)
