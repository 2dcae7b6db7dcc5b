"""Stands before a real server and answers some requests itself, as proxies, logins and broken servers do."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

_JSON: Final = "application/json"


@dataclass(frozen=True)
class FrontAnswer:
    """What is answered in place of the server; `cut` bytes of the body are promised and not sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0


class HttpFront:
    """Passes requests on, unless `answer` has one for a path and body.

    Args:
        url: The server behind it.

    Attributes:
        answer: Returns what is answered; None passes the request on.
        headers: Laid over those of what the server answers.
        seen: Headers of all requests.
    """

    def __init__(self, url: str) -> None:
        self.answer: Callable[[str, bytes], FrontAnswer | None] = lambda _path, _body: None
        self.headers: dict[str, str] = {}
        self.seen: list[dict[str, str]] = []
        self._behind = urlsplit(url).netloc
        front = self

        class _Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                front.seen.append(dict(self.headers))
                made = front.answer(self.path, body) or front.passed_on(
                    self.command, self.path, body, self.headers.get("Content-Type", _JSON)
                )
                self.send_response_only(made.status)
                for key, value in {**made.headers, "Content-Length": str(len(made.body) + made.cut)}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(made.body)

            do_POST = do_GET  # noqa: N815  # the framework's name

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def passed_on(self, method: str, path: str, body: bytes, content_type: str = _JSON) -> FrontAnswer:
        """Ask the server behind."""
        connection = http.client.HTTPConnection(self._behind, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": content_type})
            answer = connection.getresponse()
            kept = {key: value for key, value in answer.getheaders() if key.lower() in ("content-type", "date")}
            return FrontAnswer(answer.status, answer.read(), {**kept, **self.headers})
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
