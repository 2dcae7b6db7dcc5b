"""Servers as child processes: start, wait until healthy with the log in the error, stop without leaving anything."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_LOG_TAIL_LINES = 20
_POLL_SECONDS = 0.05
# Below those that systems give to connections, one of which could take a port before its server listens.
_PORTS = range(10_000, 32_768)


class ProcessError(Exception):
    """Report a server that did not start or ended by itself; the message ends with its last log lines."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on now."""
    # By the system's random numbers, so that processes with the same seed do not choose the same.
    return next(filter(port_is_free, random.SystemRandom().sample(_PORTS, 100)))


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do it: connections of an earlier one that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def http_ok(url: str, *, timeout: float = 2.0) -> bool:
    """Tell whether a GET is answered with a 2xx status."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout) as response:
            return 200 <= int(response.status) < 300
    except (OSError, urllib.error.URLError):
        return False


def wait_until(condition: Callable[[], bool], *, timeout: float, poll: float = _POLL_SECONDS) -> bool:
    """Call the condition until it holds or the time (seconds) is over; tell whether it came to hold."""
    deadline = time.monotonic() + timeout
    while True:
        if condition():
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll)


class Server(ABC):
    """What is started and stopped; `with` does both."""

    @abstractmethod
    def start(self) -> Self:
        """Start, and wait until it works."""

    @abstractmethod
    def stop(self) -> None:
        """Stop, and wait until it is gone; nothing happens where it is not running."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Process(Server):
    """One server as a child process.

    The child has a session of its own, so that Ctrl-C in a terminal reaches only the parent, which then stops its
    children in order. When the parent is killed outright, the kernel ends the child too; Linux counts the end of the
    thread that called `start` as that, so call it from a thread that lives on.

    Attributes:
        name: What messages call it.
        log: File that takes its standard output and error.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        healthy: Callable[[], bool] | None = None,
        start_timeout: float = 30.0,
        stop_timeout: float = 10.0,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Describe the server; nothing is started yet.

        Args:
            name: What messages call it.
            argv: Command with arguments.
            log: File for its output; appended to, so that a restart keeps the history.
            env: Variables on top of this process's own.
            cwd: Folder to start it in.
            user: User to run as; only root can.
            healthy: Tells whether it is ready; without it, a running process counts as ready.
            start_timeout: Seconds until it must be healthy.
            stop_timeout: Seconds between the stop signal and SIGKILL.
            stop_signal: What it takes as the wish to stop.
        """
        self.name = name
        self.log = log
        self._argv = [str(part) for part in argv]
        self._env = dict(env or {})
        self._cwd = cwd
        self._user = user
        self._healthy = healthy
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._stop_signal = stop_signal
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self._child.pid if self._child is not None and self.running else None

    @property
    def running(self) -> bool:
        """Tell whether it has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """Return the exit status of the last run, None while it runs or before."""
        return None if self._child is None else self._child.poll()

    def start(self, *, wait: bool = True) -> Self:
        """Start it, and wait until it is healthy unless told otherwise.

        Raises:
            ProcessError: It cannot be started, ended by itself, or was not healthy in time.
        """
        if self.running:
            raise ProcessError(f"{self.name} runs already")
        # Found out here because `setpriv` would start in its place and only its log would tell.
        if shutil.which(self._argv[0]) is None:
            raise ProcessError(f"{self.name} cannot be started: there is no program {self._argv[0]}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            try:
                self._child = subprocess.Popen(
                    [*_end_with_parent(), *self._argv],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self._env},
                    cwd=self._cwd,
                    start_new_session=True,
                    user=self._user,
                    group=pwd.getpwnam(self._user).pw_gid if self._user else None,
                    extra_groups=[] if self._user else None,
                )
            except OSError as error:
                raise ProcessError(f"{self.name} cannot be started ({self._argv[0]}): {error.strerror}") from error
        if wait:
            self.wait_healthy()
        return self

    def wait_healthy(self) -> None:
        """Wait until it is healthy; a server that does not get there is stopped.

        Raises:
            ProcessError: It ended by itself, or was not healthy in time.
        """
        wait_until(lambda: not self.running or self._is_healthy(), timeout=self._start_timeout)
        if not self.running:
            raise ProcessError(f"{self.name} ended with status {self.returncode} while starting{self._tail()}")
        if not self._is_healthy():
            self.stop()
            raise ProcessError(f"{self.name} was not ready within {self._start_timeout:g} s{self._tail()}")

    def stop(self) -> None:
        """Ask it to stop, insist after a while, and reap it; nothing happens when it does not run."""
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(self._stop_signal)
            # A stopped (paused) process acts on no signal until it is continued.
            child.send_signal(signal.SIGCONT)
            try:
                child.wait(self._stop_timeout)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._child is not None and self.running:
            self._child.kill()
            self._child.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._child is not None and self.running:
            self._child.send_signal(number)

    def log_tail(self, lines: int = _LOG_TAIL_LINES) -> str:
        """Return the last lines of its output."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _is_healthy(self) -> bool:
        return self.running and (self._healthy is None or self._healthy())

    def _tail(self) -> str:
        tail = self.log_tail()
        return f"; the end of {self.log}:\n{tail}" if tail else f"; it wrote nothing to {self.log}"


@contextlib.contextmanager
def running(processes: Sequence[Process]) -> Iterator[None]:
    """Start the processes together, wait until all are healthy, stop them in reverse order at the end.

    Raises:
        ProcessError: One of them did not become healthy; all are stopped by then.
    """
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.callback(process.stop)
            process.start(wait=False)
        for process in processes:
            process.wait_healthy()
        yield


def _end_with_parent() -> list[str]:
    """Return the command (of util-linux) that asks the kernel to end the child when this process is gone."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
