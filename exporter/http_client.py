"""Ask other services over HTTP: with a time limit, and without a password in any message."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit

from typing_extensions import override

from ml_monitoring.exporter.errors import MonitorError
from ml_monitoring.exporter.http_addresses import problem_of
from ml_monitoring.exporter.http_failures import describe_failure, describe_refusal, is_page, page_title
from ml_monitoring.exporter.proxies import asked_directly, opener, proxy_variable

# More than any answer that is asked for has.
MOST_BYTES: Final = 256 * 2**20
# More than anybody reads of an error.
_MOST_SAID: Final = 2000
_MOST_TOLD: Final = 300
_STRANGER: Final = "it is another program's address"
_PART: Final = 256 * 1024


class RemoteError(MonitorError):
    """Report that a service cannot be reached, or refuses.

    Attributes:
        status: What it answered; 0 where it did not.
        timed_out: Whether it took too long.
        headers: Of what it answered.
    """

    def __init__(
        self,
        message: str,
        status: int = 0,
        *,
        timed_out: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.timed_out = timed_out
        self.headers = headers or {}
        super().__init__(message)


def fetch(
    url: str,
    path: str,
    *,
    timeout: float,
    method: str = "GET",
    json_body: object = None,
    token: str = "",
    most: int = MOST_BYTES,
    program: str = "",
) -> bytes:
    """Return what a server answers.

    Args:
        url: Address of the server; may hold a user and a password, which are in no message.
        path: What is asked, without a slash in front.
        timeout: Seconds.
        method: Of HTTP.
        json_body: What is sent, before it is made JSON; None sends nothing.
        token: Sent as a bearer token, where the address holds no user.
        most: Bytes that an answer may have.
        program: Which program is expected there, for the message where it is another.

    Raises:
        RemoteError: The server cannot be reached, or refuses, or answers with too much.
    """
    if problem := problem_of(url):
        raise RemoteError(f"the address {problem}")
    credentials, bare = _parted(url)
    data = None if json_body is None else json.dumps(json_body).encode()
    # The address is the user's own setting, and its scheme was checked.
    request = urllib.request.Request(f"{bare}/{path}", data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
    # Another server that this one redirects to gets neither.
    if credentials:
        request.add_unredirected_header("Authorization", basic(unquote(credentials)))
    elif token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with opener(bare).open(request, timeout=timeout) as response:
            answer = bytes(response.read(most + 1))
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            # Another program's page may be long.
            said = error.read(_MOST_SAID).decode(errors="replace")
        raise RemoteError(f"{bare}: {describe_refusal(error.code, said, program)[:_MOST_TOLD]}", error.code) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _unreached(bare, error) from None
    if len(answer) > most:
        raise RemoteError(f"{bare} answers with more than {most // 2**20} MiB", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return answer


def fetch_json(
    url: str,
    path: str,
    *,
    timeout: float,
    method: str = "GET",
    json_body: object = None,
    token: str = "",
    most: int = MOST_BYTES,
    program: str = "",
) -> Any:
    """Return what a server answers, read as JSON; None where it answers nothing.

    Args and errors are those of `fetch`; an answer that is no JSON is an error too.
    """
    answer = fetch(
        url, path, timeout=timeout, method=method, json_body=json_body, token=token, most=most, program=program
    )
    try:
        return json.loads(answer) if answer.strip() else None
    except ValueError:
        said = answer[:_MOST_SAID].decode(errors="replace")
        what = f"it answers with {page_title(said)}, of a login or of another program" if is_page(said) else _STRANGER
        raise RemoteError(f"{_parted(url)[1]} does not answer in JSON: {what}", 200) from None


def basic(credentials: str) -> str:
    """Return what is sent for a user and a password with a colon between them."""
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a server answered.

    Attributes:
        body: Its bytes.
        headers: Its headers.
    """

    body: bytes
    headers: Mapping[str, str]


@dataclass(slots=True)
class HttpChannel:
    """How one server is asked, again and again; a request can be broken off from another thread.

    Attributes:
        url: Its address, without user and password.
        context: How it is encrypted.
        proxy: Address of a proxy; default that of the environment.
        proxy_setting: The setting that gives it.
    """

    url: str
    context: ssl.SSLContext | None = None
    proxy: str = field(default="", repr=False)
    proxy_setting: str = ""
    _connection: http.client.HTTPConnection | None = field(default=None, init=False)

    def ask(self, path: str, *, seconds: float, headers: Mapping[str, str], json_body: object = None) -> HttpAnswer:
        """Return the answer to a GET, or to a POST where something is sent; redirects are not followed.

        Args:
            path: What is asked, without a slash in front.
            seconds: How long the answer may take as a whole.
            headers: What is sent besides.
            json_body: What is sent, before it is made JSON.

        Raises:
            RemoteError: The server cannot be reached, or refuses, or takes too long.
        """
        deadline = time.monotonic() + seconds
        data = None if json_body is None else json.dumps(json_body).encode()
        sent = {"Content-Type": "application/json", "Accept": "application/json", **headers}
        request = urllib.request.Request(f"{self.url}/{path}", data, sent)  # noqa: S310  # the scheme was checked
        try:
            with self._opener().open(request, timeout=seconds) as response:
                return HttpAnswer(_read(response, deadline, self.url), dict(response.headers))
        except urllib.error.HTTPError as error:
            with contextlib.closing(error):
                said = error.read(_MOST_SAID).decode(errors="replace")
            raise RemoteError(said, error.code, headers=dict(error.headers)) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _unreached(self.url, error, self.proxy_setting if self.proxy else "") from None
        finally:
            self._connection = None

    def abort(self) -> None:
        """Break off the request under way."""
        connection = self._connection
        taken = connection.sock if connection is not None else None
        if taken is not None:
            with contextlib.suppress(OSError):
                # Without what TLS does first, which is not made for two threads.
                socket.socket.shutdown(taken, socket.SHUT_RDWR)

    def _opener(self) -> urllib.request.OpenerDirector:
        proxies = None
        if self.proxy:
            proxies = {"http": self.proxy, "https": self.proxy}
        elif asked_directly(self.url):
            proxies = {}
        return urllib.request.build_opener(
            urllib.request.ProxyHandler(proxies), _NoRedirect(), _Http(self._make), _Https(self._make, self.context)
        )

    def _make(self, kind: type[http.client.HTTPConnection], host: str, **options: Any) -> http.client.HTTPConnection:
        self._connection = kind(host, **options)
        return self._connection


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for an answer: mostly it leads to a login for people."""

    @override
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


class _Http(urllib.request.HTTPHandler):
    """Makes connections that somebody else remembers."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self._make = make

    @override
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(self._make, http.client.HTTPConnection), req)


class _Https(urllib.request.HTTPSHandler):
    """Makes connections that somebody else remembers."""

    def __init__(self, make: Any, context: ssl.SSLContext | None) -> None:
        super().__init__(context=context)
        self._make = make
        self._tls = context

    @override
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(self._make, http.client.HTTPSConnection), req, context=self._tls)


def _read(response: http.client.HTTPResponse, deadline: float, url: str) -> bytes:
    """Read an answer to its end, however slowly it comes in."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(_PART):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise RemoteError(f"{url} answers with more than {MOST_BYTES // 2**20} MiB", 200)
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def _unreached(url: str, error: Exception, proxy_setting: str = "") -> RemoteError:
    by = proxy_setting or proxy_variable(url)
    way = f" over the proxy that {by} names" if by else ""
    cause = getattr(error, "reason", error)
    message = f"{url} cannot be reached{way}: {describe_failure(error)}"
    return RemoteError(message, timed_out=isinstance(cause, TimeoutError))


def _parted(url: str) -> tuple[str, str]:
    """Return user and password, and the address without them."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    return credentials, parts._replace(netloc=host).geturl()
