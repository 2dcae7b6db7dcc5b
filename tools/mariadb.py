"""A MariaDB server of one's own: a temporary data folder and a free port of 127.0.0.1.

The program is the distribution's: installed, or its package unpacked without root.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pymysql
from pymysql.constants import CLIENT

from tools.packages import ensure_programs
from tools.processes import Process, ProcessError, Server, free_port

SUPERUSER = "admin"
_USER = "nobody" if os.geteuid() == 0 else None
_TIMEOUT = 120.0
# Names differ by version; help texts and the sys schema, most of the time that they take, are left out.
_SYSTEM_TABLES = ("{}_system_tables.sql", "{}_performance_tables.sql", "{}_system_tables_data.sql")
# Nobody needs the data after a crash of the machine, so nothing waits for the disk.
_SETTINGS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "1",
    # As Debian sets it up.
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_general_ci",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-flush-method": "nosync",
    "innodb-doublewrite": "0",
    "innodb-log-file-size": "64M",
    "innodb-buffer-pool-size": "64M",
    "performance-schema": "0",
    "default-time-zone": "+00:00",
    # From 11.4 on it would make a certificate of its own.
    "ssl": "0",
}


class MariadbServer(Server):
    """A temporary MariaDB server; a context manager that starts it and removes it with its data.

    Attributes:
        port: TCP port on 127.0.0.1; stays the same over restarts.
        password: Password of the superuser.
        directory: Folder with the data and the log; removed at the end.
    """

    def __init__(self, *, settings: Mapping[str, str] | None = None) -> None:
        """Describe the server; nothing is started yet.

        Args:
            settings: Options on top of the ones for throw-away servers.
        """
        self.password = secrets.token_urlsafe(12)
        self.port = free_port()
        self.directory = Path()
        self._settings = {**_SETTINGS, **(settings or {})}
        self._process: Process | None = None

    def start(self) -> Self:
        """Make the data folder and start the server.

        Raises:
            ProcessError: MariaDB cannot be made or started.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="mariadb-"))
        try:
            program = ensure_programs(["mariadbd"])["mariadbd"]
            self._make_data(program)
            self._process = Process(
                "MariaDB",
                [
                    *self._command(program),
                    f"--port={self.port}",
                    f"--socket={self.directory / 'socket'}",
                    f"--init-file={self.directory / 'init.sql'}",
                    *(f"--{name}={value}" for name, value in self._settings.items()),
                ],
                log=self.directory / "mariadb.log",
                user=_USER,
                cwd=self.directory,
                healthy=self._answers,
            )
            self._process.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self.shutdown()
        if self.directory != Path():
            shutil.rmtree(self.directory, ignore_errors=True)

    def shutdown(self) -> None:
        """Stop the server and keep its data: `boot` brings it back."""
        if self._process is not None:
            self._process.stop()

    def boot(self) -> None:
        """Start the server again after `shutdown`."""
        if self._process is None:
            raise ProcessError("the server was never started")
        self._process.start()

    def restart(self) -> None:
        """Stop and start the server: connections break, data and port stay."""
        self.shutdown()
        self.boot()

    def pause(self) -> None:
        """Freeze the server: it takes connections, as the kernel does that, and answers nothing."""
        if self._process is not None:
            self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        if self._process is not None:
            self._process.signal(signal.SIGCONT)

    def uri(self, user: str = SUPERUSER, password: str | None = None, database: str = "") -> str:
        """Return the address of a database, as MLflow takes it.

        Args:
            user: User to log in as.
            password: The user's password; default the superuser's.
            database: Name of the database.
        """
        word = self.password if password is None else password
        login = f"{quote(user, safe='')}:{quote(word, safe='')}"
        return f"mysql+pymysql://{login}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def connect(self, database: str | None = None) -> pymysql.Connection[Any]:
        """Return a connection of the superuser in which each statement commits by itself."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=self.password,
            database=database,
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
        )

    def execute(self, statements: str, database: str | None = None) -> None:
        """Run SQL as the superuser, several statements one after the other."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statements)
            # What a later one of them failed with shows when its turn comes.
            while cursor.nextset():
                pass

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Make a database and return its address for the superuser.

        Args:
            name: Name of the new database.
            template: Database whose tables are copied, without their foreign keys.
        """
        self.execute(f"CREATE DATABASE `{name}`")
        if template is not None:
            with contextlib.closing(self.connect(template)) as connection, connection.cursor() as cursor:
                # MLflow's first experiment has the number 0.
                cursor.execute("SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
                cursor.execute("SHOW TABLES")
                for (table,) in cursor.fetchall():
                    cursor.execute(f"CREATE TABLE `{name}`.`{table}` LIKE `{table}`")
                    cursor.execute(f"INSERT INTO `{name}`.`{table}` SELECT * FROM `{table}`")  # noqa: S608  # its name
        return self.uri(database=name)

    def _command(self, program: Path) -> list[str | Path]:
        return [
            program,
            "--no-defaults",
            f"--lc-messages-dir={_share(program)}",
            f"--character-sets-dir={_share(program) / 'charsets'}",
            f"--datadir={self.directory / 'data'}",
            f"--pid-file={self.directory / 'pid'}",
            f"--tmpdir={self.directory}",
        ]

    def _make_data(self, program: Path) -> None:
        init = self.directory / "init.sql"
        init.write_text(
            f"CREATE OR REPLACE USER {SUPERUSER}@'%' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {SUPERUSER}@'%' WITH GRANT OPTION;\n",
            encoding="ascii",
        )
        (self.directory / "data").mkdir()
        for path in (self.directory, init, self.directory / "data"):
            if _USER is not None:
                shutil.chown(path, _USER)
        scripts = [
            next(path for brand in ("mariadb", "mysql") if (path := _share(program) / name.format(brand)).exists())
            for name in _SYSTEM_TABLES
        ]
        text = "".join(path.read_text(encoding="utf-8") for path in scripts)
        done = _run(
            [*self._command(program), "--bootstrap", "--innodb-log-file-size=64M", "--skip-log-bin"],
            f"create database mysql;\nuse mysql;\nset @auth_root_socket = null;\n{text}",
        )
        if done.returncode != 0:
            raise ProcessError(f"MariaDB's data folder cannot be made:\n{done.stderr[-2000:]}")

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.OperationalError:
            return False
        return True


def _share(program: Path) -> Path:
    """Return the folder of the server's scripts and messages, which lies beside that of the programs."""
    folders = [program.resolve().parent.parent / "share" / name for name in ("mysql", "mariadb")]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def _run(command: Sequence[str | Path], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        input=text,
        capture_output=True,
        text=True,
        user=_USER,
        group=pwd.getpwnam(_USER).pw_gid if _USER else None,
        extra_groups=[] if _USER else None,
        timeout=_TIMEOUT,
        check=False,
    )
