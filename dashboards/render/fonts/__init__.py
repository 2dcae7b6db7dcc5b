"""The typeface of the pictures: Inter, which is Grafana's own, so that a picture is the same on every machine.

Latin only; whatever Inter lacks here is drawn in DejaVu Sans, which comes with matplotlib.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

REGULAR, MEDIUM, BOLD = 400, 500, 600

_FILES = {REGULAR: "Inter-Regular.ttf", MEDIUM: "Inter-Medium.ttf", BOLD: "Inter-SemiBold.ttf"}
# Each weight is a family of its own in the files: matplotlib knows normal and bold only.
_FAMILIES = {REGULAR: "Inter", MEDIUM: "Inter Medium", BOLD: "Inter SemiBold"}
_REST = "DejaVu Sans"


@cache
def font(weight: int = REGULAR) -> FontProperties:
    """Return the typeface in a weight, for matplotlib."""
    _register()
    return FontProperties(family=[_FAMILIES[weight], _REST])


def text_width(text: str, size: float, weight: int = REGULAR) -> float:
    """Return how wide a line of text is, in the unit of the size."""
    return size * sum(_advance(character, weight) for character in text)


@cache
def _advance(character: str, weight: int) -> float:
    _register()
    for path in (str(Path(__file__).with_name(_FILES[weight])), findfont(_REST)):
        face = get_font(path)
        if face.get_char_index(ord(character)):
            # Sizes scale evenly, so one large size tells all.
            face.set_size(100, 72)
            return float(face.load_char(ord(character)).linearHoriAdvance) / 65_536 / 100
    return 0.6


@cache
def _register() -> None:
    for name in _FILES.values():
        fontManager.addfont(Path(__file__).with_name(name))
