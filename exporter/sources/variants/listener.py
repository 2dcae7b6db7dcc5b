"""Listens for changes of the variant tables, on a connection and a thread of its own."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import threading
from collections.abc import Callable

import psycopg2
import psycopg2.extensions

from ml_monitoring.exporter.database import PostgresSession
from ml_monitoring.exporter.errors import SourceError
from ml_monitoring.exporter.sources.variants.sql import CHANNEL

_FIRST_RETRY = 1.0
_LONGEST_RETRY = 30.0
_STOP_TIMEOUT = 2.0
# How often it is looked whether the connection would be made again as it was.
_LOOK = 5.0


class Changes:
    """What changed since it was last asked; filled by the listener, emptied by the source."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._everything = True
        self._personas: set[str] = set()

    def add(self, persona: str | None) -> None:
        """Note a change of a persona; None means that anything may have changed."""
        with self._lock:
            if persona is None:
                self._everything = True
            else:
                self._personas.add(persona)

    def take(self) -> set[str] | None:
        """Return the personas that changed, and forget them; None means that anything may have changed."""
        with self._lock:
            personas = None if self._everything else self._personas
            self._everything = False
            self._personas = set()
            return personas


class Listener:
    """Keeps a connection that listens, and reports each change.

    Args:
        session: Where to listen; a server itself, as connection poolers do not pass notifications on.
        changes: Where changes are noted.
        wake: Called after each change, and after each time that the connection was made: what happened
            while there was none is not announced again.
    """

    def __init__(self, session: PostgresSession, changes: Changes, wake: Callable[[], None]) -> None:
        self.connected = False
        self.error = ""
        self._session = session
        self._changes = changes
        self._wake = wake
        self._stopping = threading.Event()
        self._stop_reader, self._stop_writer = os.pipe()
        self._thread = threading.Thread(target=self._run, name="variants-listener", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait a little for the thread."""
        self._stopping.set()
        os.write(self._stop_writer, b"x")
        self._thread.join(_STOP_TIMEOUT)
        if not self._thread.is_alive():
            os.close(self._stop_reader)
            os.close(self._stop_writer)

    def _run(self) -> None:
        retry = _FIRST_RETRY
        while not self._stopping.is_set():
            try:
                connection = self._connect()
                retry = _FIRST_RETRY
                self._follow(connection)
            except SourceError as error:
                self.error = f"{error} ({error.hint})" if error.hint else str(error)
            except (psycopg2.Error, OSError) as error:
                self.error = f"connection lost: {self._session.describe(error)}"
            self.connected = False
            self._session.close()
            self._stopping.wait(retry * random.uniform(0.8, 1.0))  # noqa: S311  # jitter, not a secret
            retry = min(2 * retry, _LONGEST_RETRY)

    def _connect(self) -> psycopg2.extensions.connection:
        connection = self._session.listen(CHANNEL)
        self.error = ""
        self.connected = True
        self._changes.add(None)
        self._wake()
        return connection

    def _follow(self, connection: psycopg2.extensions.connection) -> None:
        while not self._stopping.is_set():
            readable, _, _ = select.select([connection.fileno(), self._stop_reader], [], [], _LOOK)
            if self._session.is_outdated:
                return
            if connection.fileno() not in readable:
                continue
            connection.poll()
            for notification in connection.notifies:
                self._changes.add(_persona(notification.payload))
            if connection.notifies:
                connection.notifies.clear()
                self._wake()


def _persona(payload: str) -> str | None:
    """Return the persona that a payload names; None when it names none, or is not one of ours."""
    with contextlib.suppress(ValueError):
        content = json.loads(payload)
        if isinstance(content, dict) and isinstance(content.get("persona"), str):
            return str(content["persona"])
    return None
