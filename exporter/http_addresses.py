"""Addresses of servers as users write them: what is wrong with one, without any part of it."""

from __future__ import annotations

import re
from typing import Final

_SCHEME: Final = re.compile(r"https?://", re.IGNORECASE)
_NO_SCHEME: Final = re.compile(r"(?:localhost|[\w-]+(?:\.[\w-]+)+|[\w.-]+(?=:\d)|\[[0-9A-Fa-f:.]+\])(?::\d+)?(?:/\S*)?")
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]]+)(?::\d+)?")
ENCODED: Final = (
    "write special characters of user and password percent-encoded, such as @ as %40, / as %2F, : as %3A and % as %25"
)


def problem_of(url: str) -> str:
    """Return what is wrong with an http(s) address; empty where nothing is."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        # Never what was given: it may hold a password or, as those of webhooks do, be a secret.
        if _NO_SCHEME.fullmatch(url):
            return "has no scheme: put http:// or https:// in front"
        return "is not an http:// or https:// address"
    rest = url[scheme.end() :]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    after = rest[len(authority) :]
    if "@" not in authority and "@" in after and (":" in authority or not _HOST.fullmatch(authority)):
        return f"an @ stands behind a / or another character that ends the host: {ENCODED}"
    if not _HOST.fullmatch(authority.rpartition("@")[2]):
        return (
            "names no host, or a port that is no number; " + ENCODED if "@" in url else "names no host, or an odd one"
        )
    if re.search(r"\s", url):
        return "holds a space or a line break"
    return ""
