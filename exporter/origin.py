"""Which page a request comes from: one of another site must not act through somebody's browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# What a browser says of a request that its user made, or a page of ours; other programs say nothing.
_OWN: Final = frozenset({"same-origin", "none"})


def is_own(headers: Mapping[str, str]) -> bool:
    """Tell whether a request with these headers was not made by a page of another site."""
    return headers.get("Sec-Fetch-Site", "none") in _OWN
