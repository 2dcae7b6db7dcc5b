"""Ask other services over HTTP: with a time limit, and without a password in any message."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ml_monitoring.exporter.errors import MonitorError
from ml_monitoring.exporter.proxies import opener

# More than any answer that is asked for has.
MOST_BYTES: Final = 256 * 2**20


class RemoteError(MonitorError):
    """Report that a service cannot be reached, or refuses.

    Attributes:
        status: What it answered; 0 where it did not.
        timed_out: Whether it took too long.
    """

    def __init__(self, message: str, status: int = 0, *, timed_out: bool = False) -> None:
        self.status = status
        self.timed_out = timed_out
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

    Raises:
        RemoteError: The server cannot be reached, or refuses, or answers with too much.
    """
    credentials, bare = _parted(url)
    data = None if json_body is None else json.dumps(json_body).encode()
    # The address is the user's own setting, and its scheme was checked.
    request = urllib.request.Request(f"{bare}/{path}", data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
    if credentials:
        request.add_header("Authorization", f"Basic {base64.b64encode(unquote(credentials).encode()).decode()}")
    elif token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with opener(bare).open(request, timeout=timeout) as response:
            answer = bytes(response.read(most + 1))
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            # Another program's page may be long.
            said = error.read(300).decode(errors="replace").strip()
        raise RemoteError(f"{bare}: {error.code}: {said}", error.code) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        message = f"{bare} cannot be reached: {getattr(cause, 'strerror', None) or cause}"
        raise RemoteError(message, timed_out=isinstance(cause, TimeoutError)) from None
    if len(answer) > most:
        raise RemoteError(f"{bare} answers with more than {most // 2**20} MiB", 200)
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
) -> Any:
    """Return what a server answers, read as JSON; None where it answers nothing.

    Args and errors are those of `fetch`; an answer that is no JSON is an error too.
    """
    answer = fetch(url, path, timeout=timeout, method=method, json_body=json_body, token=token, most=most)
    try:
        return json.loads(answer) if answer.strip() else None
    except ValueError:
        raise RemoteError(f"{_parted(url)[1]} does not answer in JSON: it is another program's address", 200) from None


def _parted(url: str) -> tuple[str, str]:
    """Return user and password, and the address without them."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    return credentials, parts._replace(netloc=host).geturl()
