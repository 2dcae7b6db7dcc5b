"""A real PgBouncer in front of a PostgreSQL server of the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

from tools.packages import ensure_programs
from tools.postgres import PostgresServer
from tools.processes import Process, free_port, port_is_free

# It refuses to run as root.
_USER = "nobody" if os.geteuid() == 0 else None


@contextlib.contextmanager
def pooled(server: PostgresServer, uri: str, **settings: str) -> Iterator[str]:
    """Give the URI of a pool for a database, in which transactions take turns on one server connection."""
    target = urlsplit(uri)
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    database = target.path.removeprefix("/")
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": "1",
        "ignore_startup_parameters": "extra_float_digits",
        **settings,
    }
    lines = [
        "[databases]",
        f"{database} = host=127.0.0.1 port={server.port} user=postgres password={server.password}",
        "[pgbouncer]",
        *(f"{key} = {value}" for key, value in options.items()),
    ]
    config = folder / "pgbouncer.ini"
    config.write_text("\n".join(lines) + "\n")
    if _USER:
        for path in (folder, config):
            shutil.chown(path, _USER)
    program = ensure_programs(["pgbouncer"])["pgbouncer"]
    pooled_uri = f"postgresql://anybody:s3cret@127.0.0.1:{port}/{database}"
    log = folder / "log"
    process = Process(
        "PgBouncer", [program, config], log=log, user=_USER, cwd=folder, healthy=lambda: not port_is_free(port)
    )
    try:
        with process:
            yield pooled_uri
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def other_client(uri: str) -> Iterator[psycopg2.extensions.cursor]:
    """Give a cursor of somebody else, in which each statement is a transaction of its own."""
    with contextlib.closing(psycopg2.connect(uri, connect_timeout=10)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
