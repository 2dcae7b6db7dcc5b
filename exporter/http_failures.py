"""Why a server could not be asked, or did not answer as it should: in one sentence, whichever client asked."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_PAGE: Final = re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)
_WRONG_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


def describe_failure(error: BaseException) -> str:
    """Return why a server was not reached, in a few words; those of the innermost error that says it."""
    found = list(_causes(error))
    # A timeout may be the cause of what was tried next.
    timed_out = any(isinstance(cause, TimeoutError) or "timed out" in str(cause) for cause in found)
    words = (
        *map(_of_connecting, found),
        "no answer in time" if timed_out else "",
        *map(_of_answering, reversed(found)),
        " ".join(str(found[-1]).split()),
    )
    return next(filter(None, words), type(found[-1]).__name__)


def _of_connecting(error: BaseException) -> str:
    # These quote the header, which may be a password.
    if isinstance(error, UnicodeEncodeError) or (isinstance(error, ValueError) and "header" in str(error)):
        return "what is given as token, user or password holds characters that a header cannot hold"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message or error.reason}"
    if isinstance(error, ssl.SSLError):
        plain = str(error.reason).upper() in _WRONG_TLS
        return "it does not speak TLS: is it http:// instead of https://?" if plain else f"TLS: {error.reason}"
    if isinstance(error, socket.gaierror):
        return "its name is not known: is it spelled right, and known to the DNS here?"
    return ""


def _of_answering(error: BaseException) -> str:
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError):
        return "it closed the connection without an answer: is it https:// instead of http://?"
    if isinstance(error, ConnectionRefusedError):
        return "Connection refused: does it run there, and on this port?"
    if isinstance(error, http.client.BadStatusLine):
        return "it does not answer in HTTP: is it https:// instead of http://, or another program?"
    return (error.strerror or "") if isinstance(error, OSError) else ""


def describe_refusal(status: int, said: str, program: str = "") -> str:
    """Return what a server answered in place of what it was asked for: its status, and its words in one line.

    Args:
        status: Of the answer.
        said: Its body, or the beginning of that.
        program: Which program was expected there.
    """
    words = page_title(said) if is_page(said) else " ".join(said.split())
    hints = {
        401: "user and password, or the token, are missing or wrong",
        404: f"is this {program}'s address, with its path?" if program else "",
        407: "the proxy wants a user and a password",
    }
    return ": ".join(filter(None, [str(status), words, hints.get(status, "")]))


def is_page(body: str) -> bool:
    """Tell whether an answer is a page for people: that of a login or of a proxy, or another program's."""
    return _PAGE.match(body) is not None


def page_title(body: str) -> str:
    """Return what a page for people is called."""
    title = _TITLE.search(body)
    name = " ".join(title[1].split())[:80] if title else ""
    return f"a page for people ({name})" if name else "a page for people"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it wraps: clients have their own ways to say what the system said."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__]
        waiting += [one for one in inner if isinstance(one, BaseException)]
