"""Panels are found again by what they say, and in which row they are."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ml_monitoring.dashboards.publish.changes import pages_of
from ml_monitoring.dashboards.publish.defaults import without_defaults
from ml_monitoring.dashboards.publish.words import in_words

Json = dict[str, Any]


def panel(number: int, title: str, y: int, expr: str = "", **options: Any) -> Json:
    targets = [{"refId": "A", "expr": expr or title.lower()}]
    return {"id": number, "type": "stat", "title": title, "targets": targets, "gridPos": grid(y, 8)} | options


def row(title: str, y: int, *inside: Json) -> Json:
    return {"type": "row", "title": title, "collapsed": bool(inside), "panels": [*inside], "gridPos": grid(y, 1)}


def grid(y: int, height: int) -> Json:
    return {"x": 0, "y": y, "w": 24, "h": height}


def page() -> Json:
    panels = [row("Now", 0), panel(1, "Heat", 1), row("Later", 9), panel(2, "Cold", 10), row("More", 18)]
    panels[-1] = row("More", 18, panel(3, "Wet", 19), panel(4, "Dry", 27))
    return {"title": "Page", "panels": panels}


def said(old: Json, new: Json) -> list[str]:
    sides = ({"a": without_defaults(one)} for one in (old, new))
    return [in_words(change).line().removeprefix("- ") for change in pages_of(*sides)["a"]]


def changed(*panels: Json) -> list[str]:
    return said(page(), {"title": "Page", "panels": [*panels]})


def test_the_order_in_the_file_is_nothing_where_places_are_said() -> None:
    now, heat, later, cold, more = page()["panels"]
    assert changed(later, cold, more, heat, now) == []


def test_a_panel_in_another_row_is_a_change_of_meaning() -> None:
    now, heat, later, cold, more = page()["panels"]
    lower = heat | {"gridPos": grid(11, 8)}
    assert changed(now, later, lower, cold, more)[0] == "**Heat** is in another row: `Now` → `Later`"
    inside = more | {"panels": [*more["panels"], cold]}
    assert changed(now, heat, later, inside) == ["**Cold** is in another row: `Later` → `More (folded)`"]
    wet, dry = more["panels"]
    fewer = more | {"panels": [dry]}
    assert changed(now, heat, later, cold, fewer, wet) == ["**Wet** is in another row: `More (folded)` → `no row`"]


def test_of_rows_that_come_go_or_are_folded_their_panels_are_not_said_too() -> None:
    now, heat, later, cold, more = page()["panels"]
    assert changed(now, heat, cold, more) == ["**row Later** removed"]
    assert changed(now, heat, row("Soon", 9), later | {"gridPos": grid(9, 1)}, cold, more) == ["**row Soon** added"]
    assert changed(now, heat, row("Later", 9, cold), more) == ["**row Later** folded changed: `no` → `yes`"]
    # What comes folded takes panels out of sight.
    assert changed(now, row("Soon", 1, heat), later, cold, more) == [
        "**row Soon** added",
        "**Heat** is in another row: `Now` → `Soon (folded)`",
    ]


@pytest.mark.parametrize(
    ("panels", "lines"),
    [
        # Another title and another number.
        ([panel(7, "Warmth", 1, "heat"), panel(2, "Cold", 10)], ["Warmth** title changed", "Warmth** id changed"]),
        # Titles exchanged.
        ([panel(1, "Cold", 1, "heat"), panel(2, "Heat", 10, "cold")], ["Cold** title changed", "Heat** title changed"]),
        # Queries exchanged.
        ([panel(1, "Heat", 1, "cold"), panel(2, "Cold", 10, "heat")], ["Heat** query A changed", "Cold** query A"]),
        # One of two that say the same is gone.
        ([panel(1, "Heat", 1)], ["Cold** removed"]),
    ],
)
def test_a_panel_is_found_by_what_it_says(panels: list[Json], lines: list[str]) -> None:
    old = {"title": "Page", "panels": [panel(1, "Heat", 1), panel(2, "Cold", 10)]}
    found = said(old, {"title": "Page", "panels": panels})
    assert len(found) == len(lines)
    assert all(one.startswith(f"**{start}") for one, start in zip(found, lines, strict=True))


def test_a_panel_that_became_a_library_panel_is_one_change() -> None:
    library = {"libraryPanel": {"name": "Warm", "uid": "w1"}}
    old = {"title": "Page", "panels": [panel(1, "Heat", 1, datasource={"uid": "x"}, description="Why?")]}
    new = {"title": "Page", "panels": [{"id": 1, "title": "Heat", "gridPos": grid(1, 8), **library}]}
    assert said(old, new) == ["**Heat** is a library panel now, whose content is in Grafana: `Warm (w1)`"]
    assert said(new, old) == ["**Heat** is no library panel any more: `Warm (w1)`"]
    other = copy.deepcopy(new)
    library["libraryPanel"]["uid"] = "w2"
    assert said(other, new) == ["**Heat** library panel changed: `Warm (w1)` → `Warm (w2)`"]


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        (
            [
                ("Variable", {"variable": "env", "operator": "equals", "value": "prod"}),
                ("TimeRangeSize", {"value": "7d"}),
            ],
            "shown where env equals prod or the time range is less than 7d",
        ),
        ([("Data", {"value": False})], "shown where there is no data"),
        ([("UserTeam", {"value": "x"})], 'shown where ConditionalRenderingUserTeam {"value": "x"}'),
    ],
)
def test_a_condition_is_one_change_in_words(items: list[tuple[str, Json]], shown: str) -> None:
    listed = [{"kind": f"ConditionalRendering{kind}", "spec": spec} for kind, spec in items]
    group = {"visibility": "show", "condition": "or", "items": listed}
    heat = panel(1, "Heat", 1)
    conditional = heat | {"conditionalRendering": {"kind": "ConditionalRenderingGroup", "spec": group}}
    hidden = heat | {"conditionalRendering": {"spec": group | {"visibility": "hide"}}}
    for old, new, before, after in (
        (heat, conditional, "always shown", shown),
        (conditional, hidden, shown, shown.replace("shown", "hidden", 1)),
    ):
        found = said({"title": "Page", "panels": [old]}, {"title": "Page", "panels": [new]})
        assert found == [f"**Heat** condition changed: `{before}` → `{after}`"]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("main", {"type": "prometheus", "uid": "main"}, []),
        ({"uid": "main"}, {"type": "prometheus", "uid": "main"}, []),
        (None, "main", ["**Heat** data source changed: `the default one` → `main`"]),
        ({"type": "loki", "uid": "x"}, {"type": "tempo", "uid": "x"}, ["**Heat** type of the data source changed"]),
    ],
)
def test_a_data_source_is_the_same_in_whatever_form_it_is_named(old: Any, new: Any, lines: list[str]) -> None:
    sides = ({"title": "Page", "panels": [panel(1, "Heat", 1, datasource=source)]} for source in (old, new))
    found = said(*sides)
    assert [one[: len(line)] for one, line in zip(found, lines, strict=True)] == lines


def test_a_data_source_that_only_the_queries_name_is_that_of_their_panel() -> None:
    old, new = (panel(1, "Heat", 1, datasource={"uid": "main"}) for _side in range(2))
    for one in (old, new):
        one["targets"][0]["datasource"] = {"uid": "main"}
    del new["datasource"]
    assert said({"title": "Page", "panels": [old]}, {"title": "Page", "panels": [new]}) == []
    new["targets"][0]["datasource"] = {"uid": "other"}
    assert said({"title": "Page", "panels": [old]}, {"title": "Page", "panels": [new]}) == [
        "**Heat** data source changed: `main` → `other`"
    ]
