"""Grafana's colours: names, palettes and schemes, for both themes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgba

_SHADES = ("super-light-", "light-", "", "semi-dark-", "dark-")
_DARK = {
    "red": "#FFA6B0 #FF7383 #F2495C #E02F44 #C4162A",
    "orange": "#FFCB7D #FFB357 #FF9830 #FF780A #FA6400",
    "yellow": "#FFF899 #FFEE52 #FADE2A #F2CC0C #E0B400",
    "green": "#C8F2C2 #96D98D #73BF69 #56A64B #37872D",
    "blue": "#C0D8FF #8AB8FF #5794F2 #3274D9 #1F60C4",
    "purple": "#DEB6F2 #CA95E5 #B877D9 #A352CC #8F3BB8",
}
_LIGHT = {
    "red": "#FF7383 #F2495C #E02F44 #C4162A #AD0317",
    "orange": "#FFB357 #FF9830 #FF780A #FA6400 #E55400",
    "yellow": "#FFEE52 #FADE2A #F2CC0C #E0B400 #CC9D00",
    "green": "#96D98D #73BF69 #56A64B #37872D #19730E",
    "blue": "#8AB8FF #5794F2 #3274D9 #1F60C4 #1250B0",
    "purple": "#CA95E5 #B877D9 #A352CC #8F3BB8 #7C2EA3",
}
# The order in which series take colours in Grafana 9.4 to 12. Grafana 13 has another one from the third on.
_CLASSIC = (
    "green", "semi-dark-yellow", "light-blue", "semi-dark-orange", "red", "blue", "purple", "#705DA0", "dark-green",
    "yellow", "#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62", "#584477", "#B7DBAB", "#F4D598", "#70DBED",
    "#F9BA8F", "#F29191", "#82B5D8", "#E5A8E2", "#AEA2E0", "#629E51", "#E5AC0E", "#64B0C8", "#E0752D", "#BF1B00",
    "#0A50A1", "#962D82", "#614D93", "#9AC48A", "#F2C96D", "#65C5DB", "#F9934E", "#EA6460", "#5195CE", "#D683CE",
    "#806EB7", "#3F6833", "#967302", "#2F575E", "#99440A", "#58140C", "#052B51", "#511749", "#3F2B5B", "#E0F9D7",
    "#FCEACA", "#CFFAFF", "#F9E2D2", "#FCE2DE", "#BADFF4", "#F9D9F9", "#DEDAF7",
)  # fmt: skip
COLOUR_BLIND_SAFE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")

_SCHEMES: dict[str, tuple[str, ...]] = {
    "continuous-GrYlRd": ("green", "yellow", "red"),
    "continuous-RdYlGr": ("red", "yellow", "green"),
    "continuous-BlYlRd": ("dark-blue", "super-light-yellow", "dark-red"),
    "continuous-YlRd": ("super-light-yellow", "dark-red"),
    "continuous-BlPu": ("blue", "purple"),
    "continuous-YlBl": ("super-light-yellow", "dark-blue"),
    "continuous-blues": ("panel-bg", "dark-blue"),
    "continuous-reds": ("panel-bg", "dark-red"),
    "continuous-greens": ("panel-bg", "dark-green"),
    "continuous-purples": ("panel-bg", "dark-purple"),
}
_MATPLOTLIB_SCHEMES = ("viridis", "magma", "plasma", "inferno", "cividis")
# Heatmaps name their schemes as d3 does.
HEATMAP_SCHEMES = {
    "Oranges": "Oranges", "Reds": "Reds", "Blues": "Blues", "Greens": "Greens", "Purples": "Purples", "Greys": "Greys",
    "Spectral": "Spectral", "RdYlGn": "RdYlGn", "RdYlBu": "RdYlBu", "RdBu": "RdBu", "BrBG": "BrBG", "PRGn": "PRGn",
    "PiYG": "PiYG", "PuOr": "PuOr", "RdGy": "RdGy", "Turbo": "turbo", "Cividis": "cividis", "Viridis": "viridis",
    "Magma": "magma", "Inferno": "inferno", "Plasma": "plasma", "Warm": "YlOrRd", "Cool": "cool", "Rainbow": "rainbow",
    "Sinebow": "hsv", "Cubehelix": "cubehelix", "CubehelixDefault": "cubehelix", "BuGn": "BuGn",
    "BuPu": "BuPu", "GnBu": "GnBu", "OrRd": "OrRd", "PuBuGn": "PuBuGn", "PuBu": "PuBu",
    "PuRd": "PuRd", "RdPu": "RdPu", "YlGnBu": "YlGnBu", "YlGn": "YlGn", "YlOrBr": "YlOrBr", "YlOrRd": "YlOrRd",
}  # fmt: skip
_RGB = re.compile(r"rgba?\(\s*(\d+)[,\s]+(\d+)[,\s]+(\d+)(?:[,\s/]+([\d.]+%?))?\s*\)")


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one of Grafana's two themes.

    Attributes:
        name: `light` or `dark`.
        canvas: Behind the panels.
        panel: Of the panels.
        border: Around the panels.
        text: Of what is read first.
        muted: Of what is read second.
        grid: Of the lines behind charts.
        track: Of the empty part of gauges and bars.
        named: Grafana's named colours.
    """

    name: str
    canvas: str
    panel: str
    border: str
    text: str
    muted: str
    grid: str
    track: str
    named: MappingProxyType[str, str]

    def colour(self, name: str | None) -> str:
        """Return a colour as matplotlib reads it, by Grafana's name, hex, rgb() or CSS name."""
        if not name:
            return "#808080"
        surfaces = {"transparent": self.panel, "panel-bg": self.panel, "text": self.text}
        if known := self.named.get(name) or surfaces.get(name):
            return known
        if found := _RGB.fullmatch(name.strip()):
            red, green, blue, alpha = found.groups()
            opacity = 1.0 if alpha is None else float(alpha.rstrip("%")) / (100 if alpha.endswith("%") else 1)
            return to_hex((int(red) / 255, int(green) / 255, int(blue) / 255, min(1.0, opacity)), keep_alpha=True)
        try:
            return to_hex(to_rgba(name.lower()), keep_alpha=name.startswith("#") and len(name) == 9)
        except ValueError:
            return "#808080"

    def palette(self, index: int, mode: str = "palette-classic") -> str:
        """Return the colour of the series with this number."""
        if mode == "palette-colorblind":
            return COLOUR_BLIND_SAFE[index % len(COLOUR_BLIND_SAFE)]
        return self.colour(_CLASSIC[index % len(_CLASSIC)])

    def by_name(self, name: str) -> str:
        """Return the colour that a series of this name always has."""
        readable = [one for one in map(self.colour, _CLASSIC) if contrast(one, self.panel) >= 3]
        # The string-hash package: a 32-bit djb2 over UTF-16 code units, from the end.
        value = 5381
        for character in reversed(name):
            value = ((value * 33) ^ ord(character)) & 0xFFFFFFFF
        return readable[value % len(readable)]

    def scheme(self, mode: str, share: float) -> str | None:
        """Return the colour at a place from 0 to 1 of a continuous scheme; None where the mode is no scheme."""
        kind = mode.removeprefix("continuous-")
        if mode.startswith("continuous-") and kind in _MATPLOTLIB_SCHEMES:
            return to_hex(colormaps[kind](min(1.0, max(0.0, share))))
        if mode not in _SCHEMES:
            return None
        return blend([self.colour(one) for one in _SCHEMES[mode]], share)


def _theme(name: str, shades: dict[str, str], surfaces: str) -> Theme:
    named = {
        f"{prefix}{hue}": colour
        for hue, row in shades.items()
        for prefix, colour in zip(_SHADES, row.split(), strict=True)
    }
    canvas, panel, border, text, muted, grid, track = surfaces.split()
    return Theme(name, canvas, panel, border, text, muted, grid, track, MappingProxyType(named))


LIGHT = _theme("light", _LIGHT, "#F4F5F5 #FFFFFF #E2E4E8 #24292E #5F6670 #E6E8EB #E9EBEE")
DARK = _theme("dark", _DARK, "#111217 #181B1F #2A2D33 #D8D9E0 #9DA0A8 #2A2E34 #2A2E35")
THEMES = MappingProxyType({"light": LIGHT, "dark": DARK})


def blend(colours: Sequence[str], share: float) -> str:
    """Return the colour at a place from 0 to 1 of a smooth row of colours (a uniform B-spline, as d3's)."""
    share = min(1.0, max(0.0, share if share == share else 0.0))  # noqa: PLR0124 - NaN is the one that differs from itself
    points = [to_rgba(one) for one in colours]
    count = len(points) - 1
    place = min(count - 1, int(share * count))
    offset = share * count - place

    def channel(which: int) -> float:
        one, two = points[place][which], points[place + 1][which]
        before = points[place - 1][which] if place > 0 else 2 * one - two
        after = points[place + 2][which] if place < count - 1 else 2 * two - one
        t, t2, t3 = offset, offset**2, offset**3
        value = (
            (1 - 3 * t + 3 * t2 - t3) * before
            + (4 - 6 * t2 + 3 * t3) * one
            + (1 + 3 * t + 3 * t2 - 3 * t3) * two
            + t3 * after
        ) / 6
        return min(1.0, max(0.0, value))

    return to_hex((channel(0), channel(1), channel(2)))


def luminance(colour: str) -> float:
    """Return how bright a colour is to the eye, 0 to 1 (WCAG)."""
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgba(colour)[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG)."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def ink_on(background: str) -> str:
    """Return the colour of text on a coloured tile or cell (Grafana's `getTextColorForAlphaBackground`)."""
    red, green, blue = (part * 255 for part in to_rgba(background)[:3])
    return "#202226" if (red * 299 + green * 587 + blue * 114) / 1000 > 180 else "#F7F8FA"


def ink_on_band(background: str) -> str:
    """Return the colour of text on a band of a timeline (Grafana's `getContrastText` with a ratio of 3)."""
    return "#FFFFFF" if contrast("#FFFFFF", background) >= 3 else "#000000"


def mix(colour: str, background: str, share: float) -> str:
    """Return so much of the colour on the background."""
    one, other = to_rgba(colour), to_rgba(background)
    red, green, blue = (share * a + (1 - share) * b for a, b in zip(one[:3], other[:3], strict=True))
    return to_hex((red, green, blue))
