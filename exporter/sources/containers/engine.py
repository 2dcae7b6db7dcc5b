"""Questions to a Docker engine over HTTP or its socket; a connection each, so that they can be asked side by side."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

from ml_monitoring.exporter.errors import Reason, SourceError

_REFUSED = {401: Reason.AUTH, 403: Reason.AUTH}


class _SocketConnection(http.client.HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """A Docker engine, or the proxy in front of it.

    Args:
        url: `http://host:port` or `unix:///path`.
        timeout: Seconds for one question.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._open: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()
        self._aborted = False

    def ready(self) -> None:
        """Take questions again after an `abort`."""
        self._aborted = False

    def ask(self, path: str) -> Any:
        """Return the engine's answer; None when there is no such thing any more.

        Raises:
            SourceError: There is no answer, or another one than JSON.
        """
        connection = self._connection()
        with self._lock:
            self._open.add(connection)
        try:
            if self._aborted:
                raise TimeoutError
            connection.request("GET", path, headers={"Host": "docker"})
            answer = connection.getresponse()
            body = answer.read()
        except TimeoutError:
            raise SourceError(Reason.TIMEOUT, f"{self._url}{path}: no answer within {self._timeout:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            reason = Reason.TIMEOUT if self._aborted else Reason.CONNECT
            raise SourceError(
                reason,
                f"{self._url}: {getattr(error, 'strerror', None) or error}",
                hint="is the engine, or its proxy, running?",
            ) from error
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return None
        if answer.status != http.HTTPStatus.OK:
            reason = _REFUSED.get(answer.status, Reason.READ)
            raise SourceError(reason, f"{self._url}{path}: answers {answer.status} {answer.reason}")
        try:
            return json.loads(body)
        except ValueError:
            raise SourceError(Reason.SCHEMA, f"{self._url}{path}: answers no JSON") from None

    def abort(self) -> None:
        """Break off what is being asked; may be called from any thread."""
        self._aborted = True
        with self._lock:
            for connection in self._open:
                if connection.sock is not None:
                    with contextlib.suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._url)
        if parts.scheme == "unix":
            return _SocketConnection(parts.path, self._timeout)
        return http.client.HTTPConnection(str(parts.hostname), parts.port or 2375, timeout=self._timeout)
