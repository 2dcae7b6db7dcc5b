"""Colours are Grafana's: the palette in its order, and text that is read on them."""

from __future__ import annotations

import pytest

from ml_monitoring.dashboards.render.colours import DARK, LIGHT, Theme, ink_on, ink_on_band

# Grafana 9.4 to 12: packages/grafana-data/src/themes/createVisualizationColors.ts, `getClassicPalette`.
NAMED = (
    "green", "semi-dark-yellow", "light-blue", "semi-dark-orange", "red", "blue", "purple", "#705DA0", "dark-green",
    "yellow",
)  # fmt: skip
PLAIN = """
    447EBC C15C17 890F02 0A437C 6D1F62 584477 B7DBAB F4D598 70DBED F9BA8F F29191 82B5D8 E5A8E2 AEA2E0 629E51 E5AC0E
    64B0C8 E0752D BF1B00 0A50A1 962D82 614D93 9AC48A F2C96D 65C5DB F9934E EA6460 5195CE D683CE 806EB7 3F6833 967302
    2F575E 99440A 58140C 052B51 511749 3F2B5B E0F9D7 FCEACA CFFAFF F9E2D2 FCE2DE BADFF4 F9D9F9 DEDAF7
"""


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_series_take_the_colours_of_the_classic_palette_in_order_and_then_again(theme: Theme) -> None:
    wanted = [theme.colour(name).lower() for name in NAMED] + [f"#{one.lower()}" for one in PLAIN.split()]
    assert len(wanted) == 56
    assert [theme.palette(place).lower() for place in range(58)] == [*wanted, *wanted[:2]]


def test_named_colours_differ_between_the_themes_as_grafanas_do() -> None:
    assert [DARK.palette(place) for place in (2, 3, 5)] == ["#8AB8FF", "#FF780A", "#5794F2"]
    assert [LIGHT.palette(place) for place in (2, 3, 5)] == ["#5794F2", "#FA6400", "#3274D9"]


@pytest.mark.parametrize(
    ("background", "tile", "band"),
    [
        ("#73BF69", "#F7F8FA", "#000000"),
        ("#FADE2A", "#202226", "#000000"),
        ("#C4162A", "#F7F8FA", "#FFFFFF"),
        ("#8AB8FF", "#F7F8FA", "#000000"),
        ("#1F60C4", "#F7F8FA", "#FFFFFF"),
    ],
)
def test_text_on_a_colour_is_light_or_dark_as_on_grafanas_tiles_and_bands(
    background: str, tile: str, band: str
) -> None:
    assert (ink_on(background), ink_on_band(background)) == (tile, band)
