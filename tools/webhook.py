"""A receiver of Alertmanager's webhook notifications that keeps what it got."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tools.processes import Server


class WebhookReceiver(Server):
    """An HTTP server on 127.0.0.1 that records each notification; a context manager.

    Attributes:
        url: Where to send notifications. Any path below it is taken too, see `paths`.
    """

    def __init__(self, *, port: int = 0) -> None:
        """Bind the port; nothing is answered before `start`.

        Args:
            port: TCP port; 0 takes a free one.
        """
        self._changed = threading.Condition()
        self._received: list[tuple[str, dict[str, Any]]] = []
        self._status = 200
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        # The seconds say how often it looks whether it is to stop.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="webhook", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def notifications(self) -> list[dict[str, Any]]:
        """Return the bodies received so far, oldest first (see Alertmanager's documentation of its webhook)."""
        with self._changed:
            return [body for _path, body in self._received]

    @property
    def paths(self) -> list[str]:
        """Return the paths that the notifications were sent to, in the same order."""
        with self._changed:
            return [path for path, _body in self._received]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts of all notifications so far, oldest first; one that fires and resolves is there twice."""
        return [alert for body in self.notifications for alert in body["alerts"]]

    def answer_with(self, status: int) -> None:
        """Answer with this HTTP status from now on; what is answered with an error is not recorded."""
        self._status = status

    def clear(self) -> None:
        """Forget what was received."""
        with self._changed:
            self._received.clear()

    def wait_for(self, predicate: Callable[[dict[str, Any]], bool], timeout: float = 30.0) -> dict[str, Any]:
        """Wait for an alert within any notification, past ones included.

        Args:
            predicate: Tells whether an alert (`status`, `labels`, `annotations`, `startsAt` ...) is the one.
            timeout: Seconds to wait.

        Raises:
            TimeoutError: None came in time; the message lists those that did.
        """

        def find() -> dict[str, Any] | None:
            return next((a for _path, body in self._received for a in body["alerts"] if predicate(a)), None)

        with self._changed:
            found = self._changed.wait_for(find, timeout)
            if found is None:
                got = [f"{a['status']} {a['labels']}" for _path, body in self._received for a in body["alerts"]]
                raise TimeoutError(f"no such alert within {timeout:g} s; received: {got or 'nothing'}")
            return found

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop answering and give back the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = receiver._take(self.path, content)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass  # what was received is asked for, not read off the terminal

        return Handler

    def _take(self, path: str, content: bytes) -> int:
        if self._status >= 300:
            return self._status
        try:
            body = json.loads(content)
        except ValueError:
            return 400
        if not isinstance(body, dict) or not isinstance(body.get("alerts"), list):
            return 400
        with self._changed:
            self._received.append((path, body))
            self._changed.notify_all()
        return self._status
