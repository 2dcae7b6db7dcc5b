"""MLflow's REST API: how it is asked politely, and what its refusals mean.

One request at a time, no more a minute than the settings allow, and none before the time that a server asked for
(`Retry-After`). An answer that is none of MLflow's is an error: a page for a login must not look like an empty store.
"""

from __future__ import annotations

import json
import math
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit

from ml_monitoring.exporter import tls_files
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.http_client import HttpAnswer, HttpChannel, RemoteError, basic
from ml_monitoring.exporter.redaction import Secrets
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings
from ml_monitoring.exporter.values import rereading

# The longest that a server's wish to be left alone is obeyed.
_LONGEST_PAUSE: Final = 3600.0
_SAID: Final = 200
# Requests that may follow each other at once; those of a refresh do.
_BURST: Final = 10
_BUSY: Final = frozenset({429, 503})
_GAVE_UP: Final = frozenset({408, 504})
_WORKSPACE: Final = "X-MLFLOW-WORKSPACE"
_LOGIN: Final = "a page for a login stands before it; the exporter needs a token or a user that is let through"
_ADDRESS: Final = "is this the address of MLflow's tracking server?"
_V2, _V3 = "api/2.0/mlflow", "api/3.0/mlflow"


class ListingPage(NamedTuple):
    """A page of a listing: its objects, and what the next one is asked for with, empty at the end."""

    objects: list[Mapping[str, Any]]
    token: str


class NoSuchCallError(SourceError):
    """Report that a server, mostly of an older version, does not know a call."""


class RefusedCallError(SourceError):
    """Report that a server refuses what it is asked for, such as the token of a page."""


class BrokenCallError(SourceError):
    """Report that a server fails at a call (500), as at the content of its store."""


class MlflowApi:
    """Asks one server.

    Args:
        settings: Where it is, and who asks.
        now: Returns the time in seconds since the epoch, for servers that do not tell theirs.

    Attributes:
        requests: How many were sent.
        server_time: What the server's clock said last, in seconds since the epoch.
    """

    def __init__(self, settings: MlflowSettings, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        parts = urlsplit(settings.uri.get_secret_value().rstrip("/"))
        self._user, _, host = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=host).geturl()
        proxy = settings.proxy.get_secret_value() if settings.proxy else ""
        self._channel = HttpChannel(self.url, None, proxy, "sources.mlflow.proxy")
        self._rate = settings.requests_per_minute / 60
        self._burst = min(_BURST, settings.requests_per_minute)
        self._allowance = float(self._burst)
        self._counted = time.monotonic()
        self._not_before = 0.0
        self._deadline = math.inf
        self._aborted = threading.Event()
        self._secrets = Secrets(())
        self._headers: Mapping[str, str] = {}
        self.requests = 0
        self.server_time = 0.0

    def begin(self, seconds: float) -> None:
        """Let all requests from now on take so many seconds together.

        Raises:
            SourceError: The server asked not to be asked yet, or a file of the settings cannot be read.
        """
        self._aborted.clear()
        self._deadline = time.monotonic() + seconds
        if (left := self._not_before - time.monotonic()) > 0:
            raise SourceError(Reason.READ, f"{self.url} is not asked for another {left:.0f} s, as it wished")
        # Files of secrets and certificates may have been replaced.
        self._take_credentials()
        self._channel.context = self._tls()

    def abort(self) -> None:
        """Break off the request under way, and send no further one."""
        self._aborted.set()
        self._channel.abort()

    def search(
        self, call: str, key: str, body: Mapping[str, object], *, token: str = "", workspace: str = ""
    ) -> ListingPage:
        """Return a page of a listing that is asked for with a POST.

        Args:
            call: Its path, such as `runs/search`; with `3.0/` in front of it that of the third version.
            key: What holds its objects.
            body: What is asked for.
            token: Of the page.
            workspace: Where.

        Raises:
            NoSuchCallError: The server does not know the call.
            RefusedCallError: It knows it, and refuses.
            SourceError: The server cannot be asked.
        """
        sent = {**body, **({"page_token": token} if token else {})}
        return self._page(self._path(call), key, sent, workspace)

    def listing(
        self, call: str, key: str, query: Mapping[str, object], *, token: str = "", workspace: str = ""
    ) -> ListingPage:
        """Return a page of a listing that is asked for with a GET; see `search`."""
        sent = urlencode({**query, **({"page_token": token} if token else {})}, doseq=True)
        return self._page(f"{self._path(call)}?{sent}", key, None, workspace)

    def version(self) -> str:
        """Return the version of MLflow, `unknown` where the server does not say it."""
        try:
            said = self._ask("version", None, "").body.decode(errors="replace").strip()
        except SourceError:
            return "unknown"
        return said if re.fullmatch(r"\d+\.[\w.+-]{1,30}", said) else "unknown"

    def _path(self, call: str) -> str:
        return f"{_V3}/{call[4:]}" if call.startswith("3.0/") else f"{_V2}/{call}"

    def _page(self, path: str, key: str, body: object, workspace: str) -> ListingPage:
        answer = self._json(self._ask(path, body, workspace))
        objects = answer.get(key, [])
        token = answer.get("next_page_token", "")
        # A listing without objects has no key for them, but nothing else either.
        known = key in answer or not answer.keys() - {"next_page_token"}
        if not known or not isinstance(objects, list) or not isinstance(token, str):
            raise self._stranger()
        if not all(isinstance(each, dict) for each in objects):
            raise self._stranger()
        return ListingPage(objects, token)

    def _json(self, answer: HttpAnswer) -> Mapping[str, Any]:
        try:
            content = json.loads(answer.body)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise self._stranger(is_page=answer.body.lstrip()[:1] == b"<")
        return content

    def _ask(self, path: str, body: object, workspace: str) -> HttpAnswer:
        self._wait()
        seconds = min(self._deadline - time.monotonic(), self._settings.first_limit)
        headers = {**self._headers, **({_WORKSPACE: workspace} if workspace else {})}
        self.requests += 1
        try:
            answer = self._channel.ask(path, seconds=seconds, headers=headers, json_body=body)
        except RemoteError as error:
            if self._aborted.is_set():
                raise SourceError(Reason.TIMEOUT, f"{self.url}: broken off") from None
            raise self._failure(error, path.partition("?")[0]) from None
        self.server_time = _date(answer.headers) or self._now()
        return answer

    def _wait(self) -> None:
        """Keep to the requests that a minute may have, a few at once; ends when the refresh is broken off."""
        while (left := (1.0 - self._refilled()) / self._rate) > 0 and not self._aborted.wait(left):
            pass
        if self._aborted.is_set() or time.monotonic() >= self._deadline:
            raise SourceError(Reason.TIMEOUT, f"{self.url}: broken off")
        self._allowance -= 1.0

    def _refilled(self) -> float:
        now = time.monotonic()
        self._allowance = min(self._burst, self._allowance + (now - self._counted) * self._rate)
        self._counted = now
        return self._allowance

    def _failure(self, error: RemoteError, path: str) -> SourceError:
        status, said = error.status, self._said(str(error))
        if not status:
            reason = Reason.TIMEOUT if error.timed_out else Reason.CONNECT
            return SourceError(reason, self._secrets.withhold(str(error)))
        message = f"{self.url}/{path}: {status}{said}"
        if status in (401, 403, 407):
            hint = "has the token or the password ended, and may its user read all experiments?"
            return SourceError(Reason.AUTH, message, hint=hint)
        if 300 <= status < 400:
            return SourceError(Reason.AUTH, f"{self.url}/{path}: {status}: leads elsewhere", hint=_LOGIN)
        if status in (404, 405, 501) and not said.startswith(": RESOURCE_DOES_NOT_EXIST"):
            return NoSuchCallError(Reason.SCHEMA, message, hint=_ADDRESS)
        if status in _BUSY or _header(error.headers, "retry-after") is not None:
            pause = _pause(error.headers, self._now())
            self._not_before = max(self._not_before, time.monotonic() + pause)
        kind: type[SourceError] = SourceError
        reason = Reason.READ
        if status in _GAVE_UP:
            reason = Reason.TIMEOUT
        elif 400 <= status < 500 and status != 429:
            kind, reason = RefusedCallError, Reason.QUERY
        elif status == 500:
            kind = BrokenCallError
        return kind(reason, message)

    def _said(self, body: str) -> str:
        """Return what an error of MLflow's says; the page of another program says nothing that is of use."""
        try:
            content = json.loads(body)
            said = f": {content['error_code']}: {content['message']}"
        except (ValueError, KeyError, TypeError):
            return ""
        return self._secrets.withhold(said[:_SAID])

    def _stranger(self, *, is_page: bool = False) -> SourceError:
        if is_page:
            return SourceError(Reason.AUTH, f"{self.url} answers with a page for people, not with JSON", hint=_LOGIN)
        return SourceError(Reason.SCHEMA, f"{self.url} answers something else than MLflow does", hint=_ADDRESS)

    def _take_credentials(self) -> None:
        try:
            uri, token, password = (
                self._secret(secret) for secret in (self._settings.uri, self._settings.token, self._settings.password)
            )
        except ValueError as error:
            raise SourceError(Reason.AUTH, str(error)) from None
        user = unquote(urlsplit(uri).netloc.rpartition("@")[0])
        if self._settings.username:
            user = f"{self._settings.username}:{password}"
        headers = {}
        if user:
            headers["Authorization"] = basic(user)
        elif token:
            headers["Authorization"] = f"Bearer {token}"
        self._headers = headers
        proxy = self._channel.proxy
        self._secrets = Secrets([token, password, user, *headers.values(), user.partition(":")[2], proxy])

    @staticmethod
    def _secret(secret: Any) -> str:
        if secret is None:
            return ""
        read = rereading(secret)
        return read() if read is not None else str(secret.get_secret_value())

    def _tls(self) -> ssl.SSLContext | None:
        if not self.url.lower().startswith("https:"):
            return None
        settings = self._settings
        names = ("ca_file", "certificate_file", "key_file")
        for name in names:
            if file := getattr(settings, name):
                with _of_setting(name):
                    tls_files.require_pem(file, is_key=name == "key_file")
        with _of_setting(names[0]):
            context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
        with _of_setting(names[2] if settings.key_file else names[1]):
            if settings.certificate_file:
                tls_files.load_certificate(context, settings.certificate_file, settings.key_file)
        if not settings.verify_certificate:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@contextmanager
def _of_setting(name: str) -> Iterator[None]:
    """Raise what is wrong with a file as an error of the setting that names it."""
    try:
        yield
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else str(error)
        raise SourceError(Reason.CONNECT, f"{name}: {said}", setting=(name,)) from None


def pages(turn: Callable[[str], ListingPage], most: int | None = None) -> Iterator[ListingPage]:
    """Yield the pages of a listing, at most so many."""
    token = ""
    number = 0
    seen: set[str] = set()
    while most is None or number < most:
        page = turn(token)
        yield page
        number += 1
        if not page.token:
            return
        token = page.token
        if token in seen:
            raise SourceError(Reason.SCHEMA, "a listing leads back to a page of its own")
        seen.add(token)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)


def _date(headers: Mapping[str, str]) -> float | None:
    return _moment(_header(headers, "date") or "")


def _pause(headers: Mapping[str, str], now: float) -> float:
    """Return for how many seconds a server wishes to be left alone."""
    value = (_header(headers, "retry-after") or "").strip()
    if value.isdecimal():
        return min(float(value), _LONGEST_PAUSE)
    moment = _moment(value)
    if moment is None:
        return 0.0
    # By the server's own clock.
    return min(max(0.0, moment - (_date(headers) or now)), _LONGEST_PAUSE)


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return None
