"""A colour that judges otherwise is a change of meaning, another shade of it is none."""

from __future__ import annotations

from typing import Any

import pytest

from ml_monitoring.dashboards.lib.style import Colour
from ml_monitoring.dashboards.publish.changes import pages_of
from ml_monitoring.dashboards.publish.hues import hue, judgement
from ml_monitoring.dashboards.publish.looks import is_of_looks


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        (Colour.GOOD, "green"),
        (Colour.FAILURE, "red"),
        (Colour.WARNING, "orange"),
        (Colour.NOTICE, "yellow"),
        (Colour.NEUTRAL, "blue"),
        (Colour.SECOND, "purple"),
        (Colour.MUTED, "grey"),
        (Colour.CLEAR, "transparent"),
        ("semi-dark-red", "red"),
        ("super-light-green", "green"),
    ],
)
def test_colours_that_mean_something_have_a_name_each(colour: str, name: str) -> None:
    assert hue(colour) == name


def page(*colours: str) -> dict[str, Any]:
    steps = [{"color": colour, "value": place or None} for place, colour in enumerate(colours)]
    mappings = [{"type": "value", "options": {"0": {"color": colours[0], "text": "down"}}}]
    return {
        "title": "Page",
        "panels": [{"id": 1, "fieldConfig": {"defaults": {"thresholds": {"steps": steps}, "mappings": mappings}}}],
    }


@pytest.mark.parametrize(
    ("old", "new", "looks"),
    [
        (("green", "red"), (Colour.GOOD, Colour.FAILURE), True),
        (("red", "green"), ("green", "red"), False),
        ((Colour.FAILURE, Colour.GOOD), (Colour.GOOD, Colour.FAILURE), False),
        ((Colour.GOOD, Colour.WARNING), (Colour.GOOD, Colour.FAILURE), False),
        ((Colour.NEUTRAL,), (Colour.CLEAR,), True),
        (("red",), ("text",), True),
        (("green", "red"), (Colour.CLEAR, Colour.FAILURE), True),
        (("red", "green"), ("red", "transparent"), True),
        (("red", "green"), ("transparent", "green"), False),
        (("blue",), ("text", "red"), False),
    ],
)
def test_colours_that_judge_otherwise_are_a_change_of_meaning(
    old: tuple[str, ...], new: tuple[str, ...], *, looks: bool
) -> None:
    found = {one.what: is_of_looks(one) for one in pages_of({"a": page(*old)}, {"a": page(*new)})["a"]}
    warns = {judgement(old[0]), judgement(new[0])}
    mapping = {"looks of mapping changed": True} if len(warns) == 1 else {"mapping of 0 changed": False}
    assert found == {f"{'looks of ' * looks}thresholds changed": looks} | ({} if old[0] == new[0] else mapping)
