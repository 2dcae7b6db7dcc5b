from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_monitoring.dashboards.lib.style import LOG_LEVEL, RUN_STATUS, SERIES, SERVER_STATE, SEVERITY, Colour
from ml_monitoring.dashboards.render.colours import THEMES, Theme, ink_on

Vector = NDArray[np.float64]

# Machado, Oliveira and Fernandes 2009, severity 1; linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.95047, 1, 1.08883])
# In CIE Lab; 2.3 is a difference that can just be seen side by side.
LEAST_DISTANCE = 15

# States that one panel shows together.
TOGETHER: dict[str, Iterable[Colour]] = {
    "severities": {*SEVERITY.values(), Colour.GOOD, Colour.MUTED},
    "run statuses": RUN_STATUS.values(),
    "server states": SERVER_STATE.values(),
}


def lab(colour: str, vision: Vector) -> Vector:
    encoded = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    relative = XYZ @ np.clip(vision @ linear, 0, 1) / WHITE
    x, y, z = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one: str, other: str, vision: str) -> float:
    return float(np.linalg.norm(lab(one, VISION[vision]) - lab(other, VISION[vision])))


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("colours", TOGETHER.values(), ids=TOGETHER)
def test_states_that_stand_together_can_be_told_apart(colours: Iterable[Colour], vision: str, theme: Theme) -> None:
    close = [
        (str(one), str(other))
        for one, other in itertools.combinations(sorted(set(colours)), 2)
        if distance(theme.colour(one), theme.colour(other), vision) < LEAST_DISTANCE
    ]
    assert close == []


def luminance(colour: str) -> float:
    encoded = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return float(np.array([0.2126, 0.7152, 0.0722]) @ linear)


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


BEHIND_TEXT = sorted({*SEVERITY.values(), *RUN_STATUS.values(), *SERVER_STATE.values(), *LOG_LEVEL.values()})


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("colour", BEHIND_TEXT)
def test_text_is_readable_on_the_colour_of_a_state(colour: Colour, theme: Theme) -> None:
    shown = theme.colour(colour)
    assert contrast(ink_on(shown), shown) >= 4.5


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("colour", sorted({*SERIES, *Colour} - {Colour.NOTICE, Colour.CLEAR}))
def test_lines_are_seen_on_a_panel(colour: str, theme: Theme) -> None:
    # WCAG's least contrast of what is no text.
    assert contrast(theme.colour(colour), theme.panel) >= 3


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("colour", SERIES)
def test_no_ordinary_series_looks_as_if_it_judged(colour: str, theme: Theme) -> None:
    judging = (Colour.GOOD, Colour.FAILURE, Colour.WARNING, Colour.NOTICE)
    assert min(distance(theme.colour(colour), theme.colour(one), "normal") for one in judging) > LEAST_DISTANCE


def test_the_contrast_finds_grafanas_dark_red_on_dark() -> None:
    dark = THEMES["dark"]
    assert contrast(dark.colour("dark-red"), dark.panel) < 3


def test_the_distance_shows_grafanas_own_green_and_red_as_one_to_deuteranopes() -> None:
    light = THEMES["light"]
    assert distance(light.colour("green"), light.colour("red"), "deuteranopia") < LEAST_DISTANCE
    assert distance(light.colour("green"), light.colour("red"), "normal") > 100
