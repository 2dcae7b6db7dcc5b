"""Label values that Prometheus can store, whatever a client or a model sent."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

MAX_LENGTH: Final = 120
# What is booked when a metric has no room for another label set.
OTHER: Final = "other"
# Requests that no route of the application took.
UNMATCHED: Final = "unmatched"

_DIGEST_BYTES: Final = 4
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})


def clean(value: object) -> str:
    """Return the value as text of at most `MAX_LENGTH` characters that is valid UTF-8.

    A longer text keeps its beginning and gets a digest, so that two long values stay two.
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    if not text.isascii():
        # A lone surrogate (undecodable bytes of a header or path) would make every scrape fail.
        text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= MAX_LENGTH:
        return text
    digest = blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{text[: MAX_LENGTH - len(digest) - 1]}~{digest}"


def is_label_value(value: object) -> bool:
    """Return whether a value is one thing that has a text of its own: no collection, function or nameless object."""
    if isinstance(value, (str, int, float)):
        return True
    return not isinstance(value, Iterable) and not callable(value) and type(value).__str__ is not object.__str__


def method_label(method: str) -> str:
    """Return a standard HTTP method, or `OTHER`: clients may invent any."""
    return method if method in _METHODS else "OTHER"


def status_label(status: int) -> str:
    """Return the status as text; what no standard knows is 500, as a server would answer it."""
    return str(status) if 100 <= status <= 599 else "500"
