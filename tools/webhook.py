"""A receiver of Alertmanager's webhook notifications that keeps what it got."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from werkzeug import Request, Response

from tools.sinks import HttpServer, Received


class WebhookReceiver(HttpServer):
    """An HTTP server on 127.0.0.1 that records each notification; a context manager.

    Attributes:
        url: Where to send notifications. Any path below it is taken too, see `paths`.
    """

    def __init__(self, *, port: int = 0) -> None:
        """Describe the server; nothing is answered before `start`.

        Args:
            port: TCP port; 0 takes a free one.
        """
        super().__init__(port=port)
        self.url += "/"
        self._received = Received[tuple[str, dict[str, Any]]]()
        self._status = 200

    @property
    def notifications(self) -> list[dict[str, Any]]:
        """Return the bodies received so far, oldest first (see Alertmanager's documentation of its webhook)."""
        return [body for _path, body in self._received]

    @property
    def paths(self) -> list[str]:
        """Return the paths that the notifications were sent to, in the same order."""
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
        self._received.clear()

    def wait_for(self, predicate: Callable[[dict[str, Any]], bool], timeout: float = 30.0) -> dict[str, Any]:
        """Wait for an alert within any notification, past ones included.

        Args:
            predicate: Tells whether an alert (`status`, `labels`, `annotations`, `startsAt` ...) is the one.
            timeout: Seconds to wait.

        Raises:
            TimeoutError: None came in time; the message lists those that did.
        """
        _path, body = self._received.wait_for(
            lambda received: any(map(predicate, received[1]["alerts"])),
            timeout,
            lambda received: ", ".join(f"{one['status']} {one['labels']}" for one in received[1]["alerts"]),
        )
        return next(filter(predicate, body["alerts"]))

    def take(self, request: Request) -> Response:
        """Record a notification and answer it."""
        if self._status >= 300:
            return Response(status=self._status)
        try:
            body = json.loads(request.get_data())
        except ValueError:
            return Response(status=400)
        if not isinstance(body, dict) or not isinstance(body.get("alerts"), list):
            return Response(status=400)
        self._received.add((request.path, body))
        return Response(status=self._status)
