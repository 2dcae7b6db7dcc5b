"""Real servers that take what Alertmanager sends through its channels, and keep it: SMTP, and HTTP of any kind.

`tools.webhook` is the one for Alertmanager's own JSON.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import email
import email.policy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_START_TIMEOUT = 10.0
# Bytes; reports come as attachments.
_LARGEST_MAIL = 64 << 20


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as it came.

    Attributes:
        sender: Of the envelope.
        recipients: Of the envelope.
        login: User and password that the client gave; None without.
        message: Parsed.
    """

    sender: str
    recipients: tuple[str, ...]
    login: tuple[str, str] | None
    message: EmailMessage


class SmtpSink:
    """An SMTP server on 127.0.0.1 that keeps every message; a context manager. Speaks as much as clients need."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.port = 0
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="smtp", daemon=True)

    def wait_for(self, predicate: Callable[[Mail], bool], timeout: float = 30.0) -> Mail:
        """Wait for a message, past ones included.

        Raises:
            TimeoutError: None came in time; the message lists the subjects that did.
        """
        with self._changed:
            found = self._changed.wait_for(lambda: next(filter(predicate, self.mails), None), timeout)
            if found is None:
                raise TimeoutError(f"no such mail within {timeout:g} s: {[m.message['Subject'] for m in self.mails]}")
            return found

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT):
            raise TimeoutError("the SMTP server did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LARGEST_MAIL) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, login = "", None
        recipients: list[str] = []
        writer.write(b"220 sink ESMTP\r\n")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    # Clients send a password in the clear to localhost only, which this is.
                    answer = "250-sink\r\n250 AUTH PLAIN"
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                    login, answer = (user, password), "235 welcome"
                case "MAIL":
                    sender, answer = rest.split(":", 1)[1].split()[0].strip("<>"), "250 ok"
                case "RCPT":
                    recipients.append(rest.split(":", 1)[1].strip().strip("<>"))
                    answer = "250 ok"
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    content = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                    message = email.message_from_bytes(content, policy=email.policy.default)
                    with self._changed:
                        self.mails.append(Mail(sender, tuple(recipients), login, message))
                        self._changed.notify_all()
                    recipients, answer = [], "250 taken"
                case "QUIT":
                    answer = "221 bye"
                case _:
                    answer = "250 ok"
            writer.write(f"{answer}\r\n".encode())
            await writer.drain()
            if verb.upper() == "QUIT":
                break


@dataclass(frozen=True, slots=True)
class Post:
    """A request as it came."""

    path: str
    authorization: str
    body: str


class HttpSink:
    """An HTTP server on 127.0.0.1 that takes every POST and keeps it; a context manager."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sink", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def wait_for(self, predicate: Callable[[Post], bool], timeout: float = 30.0) -> Post:
        """Wait for a request, past ones included.

        Raises:
            TimeoutError: None came in time; the message lists the paths that did.
        """
        with self._changed:
            found = self._changed.wait_for(lambda: next(filter(predicate, self.posts), None), timeout)
            if found is None:
                raise TimeoutError(f"no such request within {timeout:g} s: {[post.path for post in self.posts]}")
            return found

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                with sink._changed:
                    sink.posts.append(Post(self.path, self.headers.get("Authorization", ""), body))
                    sink._changed.notify_all()
                # What PagerDuty answers; the others take any 2xx.
                self.send_response(202 if "enqueue" in self.path else 200)
                answer = b'{"status":"success","message":"ok","dedup_key":"x"}'
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                # Clients that need only the status close the connection at once.
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass  # what was received is asked for, not read off the terminal

        return Handler
