"""Real servers that take what Alertmanager sends through its channels, and keep it: SMTP, and HTTP of any kind.

`tools.webhook` is the one for Alertmanager's own JSON.
"""

from __future__ import annotations

import email.policy
import re
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, Generic, Self, TypeVar

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tools.processes import Server, free_port

# Bytes; reports come as attachments.
_LARGEST_MAIL = 64 << 20
_T = TypeVar("_T")


class Received(Generic[_T]):
    """What came so far, oldest first; other threads add to it."""

    def __init__(self) -> None:
        self._items: list[_T] = []
        self._changed = threading.Condition()

    def __iter__(self) -> Iterator[_T]:
        with self._changed:
            return iter(list(self._items))

    def add(self, item: _T) -> None:
        """Keep what came, and wake up who waits for it."""
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget what came."""
        with self._changed:
            self._items.clear()

    def wait_for(self, predicate: Callable[[_T], bool], timeout: float, describe: Callable[[_T], str]) -> _T:
        """Wait for an item, past ones included.

        Raises:
            TimeoutError: None came in time; the message describes those that did.
        """
        with self._changed:
            found = self._changed.wait_for(lambda: next(filter(predicate, self._items), None), timeout)
            if found is None:
                raise TimeoutError(f"nothing such within {timeout:g} s; received: {[*map(describe, self._items)]}")
            return found


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


class SmtpSink(Server):
    """An SMTP server on 127.0.0.1 that takes every login and keeps every message."""

    def __init__(self) -> None:
        self._received = Received[Mail]()
        self.port = free_port()
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            data_size_limit=_LARGEST_MAIL,
            authenticator=lambda _server, _session, _envelope, _mechanism, login: AuthResult(
                success=True, auth_data=login
            ),
            # Clients send a password in the clear to this machine only; Alertmanager knows other prompts of LOGIN.
            auth_require_tls=False,
            auth_exclude_mechanism=["LOGIN"],
        )

    @property
    def mails(self) -> list[Mail]:
        """Return what came so far, oldest first."""
        return list(self._received)

    def wait_for(self, predicate: Callable[[Mail], bool], timeout: float = 30.0) -> Mail:
        """Wait for a message, see `Received`."""
        return self._received.wait_for(predicate, timeout, lambda mail: str(mail.message["Subject"]))

    def start(self) -> Self:
        """Begin to answer."""
        self._controller.start()
        return self

    def stop(self) -> None:
        """Stop answering."""
        self._controller.stop(no_assert=True)

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """Keep a message."""
        given = session.auth_data
        login = (given.login.decode(), given.password.decode()) if given else None
        message = BytesParser(policy=email.policy.default).parsebytes(envelope.content)
        self._received.add(Mail(envelope.mail_from, tuple(envelope.rcpt_tos), login, message))
        return "250 taken"


@dataclass(frozen=True, slots=True)
class Post:
    """A request as it came."""

    path: str
    authorization: str
    body: str


class HttpServer(Server):
    """An HTTP server on 127.0.0.1 for every POST.

    Attributes:
        url: Address without a slash at the end.
    """

    def __init__(self, *, port: int = 0) -> None:
        """Describe the server; nothing is bound yet.

        Args:
            port: TCP port; 0 takes a free one.
        """
        # Known before it answers, so that it can be written into configurations.
        self._server = HTTPServer(host="127.0.0.1", port=port or free_port(), threaded=True)
        self._server.expect_request(re.compile(""), method="POST").respond_with_handler(self.take)
        self.url = f"http://127.0.0.1:{self._server.port}"

    @abstractmethod
    def take(self, request: Request) -> Response:
        """Answer a request."""

    def start(self) -> Self:
        """Begin to answer."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop answering and give back the port."""
        if self._server.is_running():
            self._server.stop()


class HttpSink(HttpServer):
    """An HTTP server that keeps every POST."""

    def __init__(self) -> None:
        super().__init__()
        self._received = Received[Post]()

    @property
    def posts(self) -> list[Post]:
        """Return what came so far, oldest first."""
        return list(self._received)

    def wait_for(self, predicate: Callable[[Post], bool], timeout: float = 30.0) -> Post:
        """Wait for a request, see `Received`."""
        return self._received.wait_for(predicate, timeout, lambda post: post.path)

    def take(self, request: Request) -> Response:
        """Keep a request and answer it."""
        self._received.add(Post(request.path, request.headers.get("Authorization", ""), request.get_data(as_text=True)))
        # What PagerDuty answers, and Slack ("ok", which newer Alertmanagers read); the others take any 2xx.
        status = 202 if "enqueue" in request.path else 200
        said = '{"status":"success","message":"ok","dedup_key":"x","ok":true}'
        return Response(said, status, content_type="application/json")
