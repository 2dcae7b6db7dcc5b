"""What may be meant by a name that there is not: the end of a message, the same for settings, options and names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from os.path import commonprefix
from typing import Final

# A shorter word is part of too many names.
_SHORTEST_PART: Final = 4
# Such as sat and jan.
_SHORTEST_BEGINNING: Final = 3
_LONG_PREFIX: Final = 8
# What stands behind a word of a name, and so many names are listed that begin with one.
_BEHIND_WORDS: Final = "-_./ "
_MOST_BEGUN: Final = 5


def closest(name: str, known: Iterable[str]) -> str:
    """Return which of the known names may be meant by another; empty where none is close."""
    by_lower = {one.lower(): one for one in known}
    wanted = name.lower()
    shared = commonprefix(list(by_lower))  # noqa: RUF071  # of texts, not of paths
    if len(by_lower) > 1 and len(shared) >= _LONG_PREFIX and wanted.startswith(shared):
        # What all names begin with says nothing about which of them is meant.
        by_lower = {one.removeprefix(shared): found for one, found in by_lower.items()}
        wanted = wanted.removeprefix(shared)
    close = get_close_matches(wanted, by_lower, 1)
    if not close and len(wanted) >= _SHORTEST_BEGINNING:
        close = [one for one in by_lower if one.startswith(wanted)]
    if not close and len(wanted) >= _SHORTEST_PART:
        close = [one for one in by_lower if wanted in one]
    return by_lower[close[0]] if len(close) == 1 else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return which of the known names may be meant, as the end of a message, see `closest`."""
    known = list(known)
    begun = [one for one in known if one.lower().startswith(tuple(f"{name.lower()}{sign}" for sign in _BEHIND_WORDS))]
    if 1 < len(begun) <= _MOST_BEGUN and name not in known:
        return f"; did you mean {', '.join(begun[:-1])} or {begun[-1]}?"
    found = closest(name, known)
    return f"; did you mean {found}?" if found else ""


def suggestion_or_all(name: str, known: Iterable[str]) -> str:
    """Return which known name may be meant, see `suggestion`; where none is close, all that there are."""
    known = list(known)
    return suggestion(name, known) or f"; there are: {', '.join(known) or 'none'}"
