"""Text of databases: UTF-8, whatever the database says of itself; what cannot be decoded is replaced and noted.

A database of the encoding SQL_ASCII holds any bytes, and one of another encoding can have been filled with them. One
such value must not cost the others. psycopg2 decodes by the name of the connection's encoding; `RAW`, for which the
server converts nothing and checks nothing, is given a codec that cannot fail. A replaced text that is used as a
parameter again is sent as the bytes that it came as.
"""

from __future__ import annotations

import codecs
import contextlib
import threading
from collections.abc import Iterator

import psycopg2.extensions
from typing_extensions import Buffer

# What the server sends as it is stored.
RAW = "SQL_ASCII"
_CODEC = "ml_monitoring_lenient_utf8"
_MOST = 1_000
_original: dict[str, bytes] = {}
_noting = threading.local()


class Replaced:
    """The different texts in which something was replaced, as far as they are few."""

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}

    def note(self, text: str) -> None:
        """Note a text after its replacement."""
        if len(self._texts) < _MOST:
            self._texts[text] = None

    def clear(self) -> None:
        """Begin again, because everything is read again."""
        self._texts.clear()

    @property
    def problems(self) -> list[str]:
        """Return what to report."""
        if not self._texts:
            return []
        count, example = len(self._texts), next(iter(self._texts))
        return [f"{count} {'text is' if count == 1 else 'texts are'} not UTF-8 and shown with �, as {example[:80]!r}"]


@contextlib.contextmanager
def noting(replaced: Replaced) -> Iterator[None]:
    """Note what is replaced in this thread meanwhile."""
    before = getattr(_noting, "replaced", None)
    _noting.replaced = replaced
    try:
        yield
    finally:
        _noting.replaced = before


def decode(data: bytes) -> str:
    """Return UTF-8 as text, with what is none replaced and noted."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        text = data.decode(errors="replace")
    replaced: Replaced | None = getattr(_noting, "replaced", None)
    if replaced is not None:
        replaced.note(text)
    if len(_original) >= _MOST:
        _original.clear()
    _original[text] = data
    return text


def _decode(data: Buffer, _errors: str = "strict") -> tuple[str, int]:
    content = bytes(data)
    return decode(content), len(content)


def _encode(text: str, _errors: str = "strict") -> tuple[bytes, int]:
    return _original.get(text) or text.encode(), len(text)


def _find(name: str) -> codecs.CodecInfo | None:
    return codecs.CodecInfo(_encode, _decode, name=_CODEC) if name == _CODEC else None


codecs.register(_find)
# Under both spellings that psycopg2 looks up; it knows none that cannot fail.
psycopg2.extensions.encodings.update({RAW: _CODEC, RAW.replace("_", ""): _CODEC})
