"""Applies the variant tables' SQL files; applying them again changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import psycopg2

from ml_monitoring.exporter.errors import ConfigError

# In a checkout. Compose has PostgreSQL itself apply the same files.
SQL_FOLDER = Path(__file__).parents[1] / "docker/postgres/variants"
NOTIFY_FILE = "004_notify.sql"


def apply(uri: str, *, folder: Path = SQL_FOLDER, without: Sequence[str] = ()) -> list[str]:
    """Apply the files in the order of their names, each in a transaction of its own, and return their names.

    Args:
        uri: Database, and a user that may create tables and roles.
        folder: Where the files are.
        without: Names of files to leave out, such as `NOTIFY_FILE`.

    Raises:
        ConfigError: There are no files.
    """
    files = [path for path in sorted(folder.glob("*.sql")) if path.name not in without]
    if not files:
        raise ConfigError([f"{folder}: no SQL files; the tables of variants are made by those of a checkout"])
    with contextlib.closing(psycopg2.connect(uri, connect_timeout=10)) as connection:
        for path in files:
            with connection, connection.cursor() as cursor:
                cursor.execute(path.read_text(encoding="utf-8"))
    return [path.name for path in files]
