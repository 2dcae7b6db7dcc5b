"""What can go wrong, in words for the person who runs the command."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from os.path import commonprefix
from typing import Final

# A shorter word is part of too many names.
_SHORTEST_PART: Final = 4


class RenderError(Exception):
    """A dashboard cannot be read, queried or drawn; the message says which and why."""


class QueryError(RenderError):
    """Prometheus refused a query or did not answer."""


class UnsupportedPanelError(RenderError):
    """The panel is of a type, or reads a data source, that this renderer does not know."""


def meant(name: str, known: Iterable[str], others: str) -> str:
    """Return which name may be meant by one that there is not.

    Args:
        name: What there is not.
        known: What there is.
        others: What is said where none is close.
    """
    by_lower = {one.lower(): one for one in known}
    # What all of them begin with tells nothing.
    prefix = commonprefix(list(by_lower)) if len(by_lower) > 1 else ""  # noqa: RUF071  # characters are meant
    by_end = {lower.removeprefix(prefix): one for lower, one in by_lower.items()}
    given = name.lower().removeprefix(prefix)
    close = get_close_matches(given, by_end, 1) or [
        end for end in by_end if len(given) >= _SHORTEST_PART and given in end
    ]
    return f"did you mean {by_end[close[0]]}?" if len(close) == 1 else others


def why_no_json(error: OSError | ValueError | RecursionError) -> str:
    """Return why a file cannot be read as JSON, in plain words and without its content."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8; is it a text file? save it as UTF-8"
    if isinstance(error, json.JSONDecodeError):
        if not error.doc.strip():
            return "it is empty"
        return f"it is none from line {error.lineno}, column {error.colno} on; is it the whole file of a dashboard?"
    return "it is nested too deeply, or holds a number that there cannot be"
