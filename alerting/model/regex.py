"""Regular expressions as Prometheus takes them: RE2, which has neither look-around nor references to groups."""

from __future__ import annotations

import re
from typing import Final

# In a class and outside of it; of Unicode's classes only the form.
_ESCAPE: Final = (
    r"\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2}|[pP](?:\{\^?\w+\}|\w)|x(?:\{[0-9a-fA-F]+\}|[0-9a-fA-F]{2})|[%s]|[^\w]|_)"
)
_ANYWHERE: Final = "dDsSwWafnrtv"
_ONE: Final = rf"(?:{_ESCAPE % _ANYWHERE}|[^\]\\])"
_POSIX: Final = r"\[:\^?\w+:\]"
_TOKEN: Final = re.compile(
    rf"""(?P<text>\\Q.*?\\E|{_ESCAPE % (_ANYWHERE + "AbBz")})
    |(?P<class>\[\^?+(?:\](?:-{_ONE})?+)?+(?:{_POSIX}|{_ONE}(?:-{_ONE})?+)*+\])
    |(?P<flags>\(\?[imsU]*(?:-[imsU]+)?\))
    |(?P<group>\((?:\?(?:P?<\w+>|[imsU]*(?:-[imsU]+)?:)|(?!\?)))
    |(?P<end>\))
    |(?P<or>\|)
    |(?P<repeat>(?:[*+?]|\{{(?P<least>\d+)(?:,(?P<most>\d*))?\}})\??)
    |(?P<other>[^\[\\(])""",
    re.VERBOSE | re.DOTALL,
)
_MOST_REPEATED: Final = 1000
# What none of these is, by how it begins.
_BROKEN: Final = (
    ("[", "a class that `[` opens is not closed, or has an escape that there is not"),
    ("\\", "there is no such escape"),
    ("(?", "RE2, which Prometheus uses, has no such group"),
)


def problem_of(pattern: str) -> str:
    """Return why Prometheus would not take a regular expression; empty where nothing is seen that is wrong with it."""
    opened: list[int] = []
    at, is_repeatable, before = 0, False, ""
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        if found is None:
            said = next(said for begins, said in _BROKEN if pattern.startswith(begins, at))
            return f"{said}: `{pattern[at : at + 3]}` at {at + 1}"
        kind, place = str(found.lastgroup), f"`{found[0]}` at {at + 1}"
        if kind in ("least", "most"):
            kind = "repeat"
        if kind == "group":
            opened.append(at)
        elif kind == "end":
            if not opened:
                return f"{place} closes no bracket"
            opened.pop()
        elif kind == "repeat":
            least, most = int(found["least"] or 0), int(found["most"] or found["least"] or 0)
            if not is_repeatable or before == "repeat":
                return f"{place} has nothing to repeat"
            if max(least, most) > _MOST_REPEATED or (found["most"] and least > most):
                return f"{place} is no number of times from 0 to {_MOST_REPEATED}"
        is_repeatable = kind not in ("group", "or") and (is_repeatable or kind != "flags")
        before, at = kind, found.end()
    return f"`(` at {opened[-1] + 1} is not closed" if opened else ""
