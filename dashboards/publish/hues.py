"""What a colour is called and judges: all shades of red are red, and what does not warn is of looks."""

from __future__ import annotations

import colorsys
import re
from typing import Final

# Where each begins, in degrees of the circle of hues.
_HUES: Final = ((0, "red"), (15, "orange"), (42, "yellow"), (70, "green"), (165, "blue"), (250, "purple"), (330, "red"))
# With less saturation than this a colour is grey.
_GREY: Final = 0.15
# What warns; green, blue, grey and no colour say alike that all is well, or nothing.
_WARNING: Final = frozenset({"red", "orange", "yellow"})
_SHADE: Final = re.compile(r"(?:(?:super|semi)-)?(?:light|dark)-")


def hue(colour: str) -> str:
    """Return the name of a colour without its shade.

    Args:
        colour: As Grafana has it, such as `semi-dark-red` or `#d50b3e`; what is neither stays as it is.
    """
    parts = re.fullmatch(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", colour)
    if not parts:
        return _SHADE.sub("", colour, count=1)
    turn, _lightness, saturation = colorsys.rgb_to_hls(*(int(part, 16) / 255 for part in parts.groups()))
    if saturation < _GREY:
        return "grey"
    return next(name for start, name in reversed(_HUES) if turn * 360 >= start)


def judgement(colour: str) -> str:
    """Return what a colour warns of by its name; empty where it does not warn."""
    name = hue(colour)
    return name if name in _WARNING else ""
