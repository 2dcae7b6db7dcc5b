"""Slips in lists: each is named where it stands, wherever it is in its list, and hides no other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any

import pytest
from pydantic import Field

from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.validation import check, fitting
from ml_monitoring.exporter.values import Model


class Panel(Model):
    title: str
    width: Annotated[int, Field(ge=1)] = 1


class Row(Model):
    title: str
    panels: Annotated[list[Panel], Field(min_length=1)]
    pair: tuple[int, int] = (1, 2)


class Page(Model):
    rows: Annotated[list[Row], Field(min_length=1)]

    def unlucky(self) -> Iterator[tuple[Location, str]]:
        for index, row in enumerate(self.rows):
            if row.title == "unlucky":
                yield ("rows", index, "title"), "unlucky"


def _right() -> dict[str, Any]:
    return {"title": "A", "panels": [{"title": "x"}, {"title": "y"}]}


_TYPO = "unknown key; did you mean title?"
# What a row can be, and what is said below it.
_ROWS: dict[str, tuple[Any, dict[Location, str]]] = {
    "right": (_right(), {}),
    "misspelt": ({"titel": "A", "panels": [{"title": "x"}]}, {("titel",): _TYPO}),
    "singular": (
        {"title": "A", "panel": [{"title": "x"}]},
        {("panel",): "unknown key; did you mean panels?"},
    ),
    "empty": ({}, {("title",): "is missing", ("panels",): "is missing"}),
    "nothing": (None, {(): "must hold settings: write `title: ...` on a line of its own below it"}),
    "below": (
        {"title": "A", "panels": [{"titel": "x"}, {"title": "y", "width": 0}, {"title": "z"}, {"titel": "v", "w": 1}]},
        {
            ("panels", 0, "titel"): _TYPO,
            ("panels", 1, "width"): "must be at least 1",
            ("panels", 3, "titel"): _TYPO,
            ("panels", 3, "w"): "unknown key; there are: title, width",
        },
    ),
    "pair": (_right() | {"pair": [1]}, {("pair",): "is missing"}),
    "pairs": (
        _right() | {"pair": ["a", "b", 3]},
        {("pair",): "tuple should have at most 2 items after validation, not 3"},
    ),
}


@pytest.mark.parametrize("kinds", list(product(_ROWS, repeat=3)), ids=" ".join)
def test_each_slip_is_said_where_it_stands(kinds: tuple[str, ...]) -> None:
    layers = Layers()
    layers.add({"rows": [_ROWS[kind][0] for kind in kinds]}, {})
    checked = check(layers, Page)
    assert dict(checked.problems) == {
        ("rows", index, *at): said for index, kind in enumerate(kinds) for at, said in _ROWS[kind][1].items()
    }
    assert len(checked.problems) == len(dict(checked.problems))


def test_what_is_found_in_the_rest_is_said_of_the_whole() -> None:
    layers = Layers()
    layers.add({"rows": [{}, _right(), {"titel": "A"}, _right() | {"title": "unlucky"}]}, {})
    checked = check(layers, Page)
    assert checked.usable is not None
    assert [row.title for row in checked.usable.rows] == ["A", "unlucky"]
    assert list(fitting(checked, checked.usable.unlucky())) == [(("rows", 3, "title"), "unlucky")]
