"""No change of a page is passed over, and what it says is never taken for its looks."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from string import ascii_letters
from typing import Any

import pytest

from ml_monitoring.dashboards.publish.changes import pages_of
from ml_monitoring.dashboards.publish.defaults import without_defaults
from ml_monitoring.dashboards.publish.digest import digest
from ml_monitoring.dashboards.publish.looks import is_of_looks
from ml_monitoring.dashboards.render import formats

Json = dict[str, Any]

# What Grafana counts itself; rows go by their titles.
COUNTED = {("schemaVersion",), ("version",)}
# What says nothing: Grafana's own notes, links that lead to an address whatever else they say, choices that follow from
# the query of their variable, the builtin annotation that is shown under any name.
OF_GRAFANA = {"editorMode", "asDropdown", "icon", "includeVars", "keepTime", "tags", "tooltip", "type"}
NOT_OF_LOOKS = {"spanNulls", "min", "max", "axisSoftMin", "axisSoftMax", "expr", "unit", "value", "title", "current"}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict | list) and value:
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, key))
    else:
        yield path, value


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 7
    return f"{value}x" if isinstance(value, str) else [{"x": "y"}] if isinstance(value, list) else {"x": "y"}


def with_other(page: Json, path: tuple[Any, ...], value: Any) -> Json:
    changed = copy.deepcopy(page)
    at: Any = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def test_a_change_of_any_single_value_of_our_pages_is_said() -> None:
    seen: set[tuple[Any, ...]] = set()
    for file in sorted(Path("dashboards/generated").rglob("*.json")):
        page = json.loads(file.read_text("utf-8"))
        for path, value in leaves(page):
            kind = tuple("#" if isinstance(key, int) or str(key).lstrip("-").isdecimal() else key for key in path)
            parents = [page["panels"][path[1]]] if path[0] == "panels" else []
            is_counted = path in COUNTED or (len(path) == 3 and path[2] == "id" and parents[0]["type"] == "row")
            if is_counted or kind in seen or value is None:
                continue
            seen.add(kind)
            new = other(value)
            if kind[-3:] == ("steps", "#", "value"):
                new = float(value) + 7
            pages = {"page": page}, {"page": with_other(page, path, new)}
            found = pages_of(*pages)["page"]
            assert found, path
            assert digest(*pages, {"page": "command"}), path
            if path[-1] in NOT_OF_LOOKS and "overrides" not in path and "row" not in found[0].what:
                assert not all(map(is_of_looks, found)), path
    assert len(seen) > 250


def is_choice(path: tuple[Any, ...]) -> bool:
    return path[:2] == ("templating", "list") and "options" in path


def test_no_single_value_is_passed_over_as_one_that_grafana_takes_anyhow() -> None:
    seen: set[tuple[Any, ...]] = set()
    for file in sorted(Path("dashboards/generated").rglob("*.json"))[::5]:
        page = formats.classic(json.loads(file.read_text("utf-8")), "page")
        written = without_defaults(page)
        for path, value in leaves(written):
            kind = tuple("#" if isinstance(key, int) or str(key).lstrip("-").isdecimal() else key for key in path)
            is_link = "links" in path and path[0] == "panels"
            is_passed_over = path in COUNTED or (is_link and path[-1] in OF_GRAFANA) or is_choice(path)
            is_of_a_row = len(path) == 3 and path[2] == "id" and written["panels"][path[1]]["type"] == "row"
            if kind in seen or value is None or is_passed_over or is_of_a_row:
                continue
            seen.add(kind)
            changed = without_defaults(formats.classic(with_other(written, path, other(value)), "page"))
            assert pages_of({"page": written}, {"page": changed})["page"], path
    assert len(seen) > 150


def page(*targets: Json, **options: Any) -> Json:
    return {"title": "Page", "panels": [{"id": 1, "title": "Heat", "targets": [*targets], **options}]}


def said(old: Json, new: Json) -> list[str]:
    return [change.line() for change in pages_of({"a": old}, {"a": new})["a"]]


def test_queries_in_another_order_are_one_change() -> None:
    targets = [{"refId": "A", "expr": "a"}, {"refId": "B", "expr": "b"}]
    assert said(page(*targets), page(*targets[::-1])) == ["- **Heat** queries are in another order: `A, B` → `B, A`"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ({}, {"fieldConfig": {"defaults": {"mappings": []}}}, []),
        (
            {"type": "range", "options": {"from": 1, "to": 5, "result": {"text": "low"}}},
            {"type": "range", "options": {"from": 1, "to": 5, "result": {"text": "few", "color": "red"}}},
            ["- **Heat** mapping of 1 to 5 changed: `low` → `few (red)`"],
        ),
        (
            {"type": "value", "options": {"3": {"text": "shut", "color": "red", "index": 0}}},
            {"type": "value", "options": {"3": {"text": "shut", "color": "red", "index": 1}}},
            ["- **Heat** looks of mappings changed"],
        ),
        (
            {"type": "regex", "options": {"pattern": "a.*", "result": {"text": "A"}}},
            {"type": "special", "options": {"match": "null", "result": {"text": "none", "color": "#d50b3e"}}},
            ["- **Heat** mapping of /a.*/ removed: `A`", "- **Heat** mapping of null added: `none (red)`"],
        ),
    ],
)
def test_mappings_are_said_in_words(old: Json, new: Json, line: list[str]) -> None:
    pages = [page(fieldConfig={"defaults": {"mappings": [one] if one and "type" in one else []}}) for one in (old, new)]
    found = said(*pages)
    assert len(found) == len(line)
    assert all(one.startswith(start) for one, start in zip(found, line, strict=True))


def test_parts_of_lists_that_came_or_went_are_named() -> None:
    links = [{"title": "Runbooks", "url": "/a"}, {"title": "Logs", "url": "/b"}]
    assert said(page(links=links), page(links=links[1:])) == ["- **Heat** link removed: `Runbooks (/a)`"]
    assert said(page(), page(transformations=[{"id": "merge"}])) == ["- **Heat** transformation added: `merge`"]
    assert said(page(links=links), page(links=[links[0], links[1] | {"url": "/c"}])) == [
        "- **Heat** links.Logs.url changed: `/b` → `/c`"
    ]


def test_parts_of_lists_are_known_by_their_names() -> None:
    merge, limit, sort = {"id": "merge"}, {"id": "limit", "options": {"limitField": 3}}, {"id": "sortBy"}
    assert said(page(transformations=[merge, limit]), page(transformations=[sort, limit, merge])) == [
        "- **Heat** transformation added: `sortBy`",
        "- **Heat** transformations in another order: `merge, limit` → `limit, merge`",
    ]
    twice = [limit, limit | {"options": {"limitField": 5}}]
    assert said(page(transformations=[limit]), page(transformations=twice)) == [
        '- **Heat** transformation added: `limit#2 {"limitField": 5}`'
    ]
    links = [{"title": "Runbooks", "url": "/a"}]
    assert said(page(links=links), page(links=[links[0] | {"title": "Guides"}])) == [
        "- **Heat** links.Guides.title changed: `Runbooks` → `Guides`"
    ]


def test_thresholds_are_said_in_their_unit_those_of_series_too() -> None:
    def of(value: float, unit: str, mode: str = "absolute") -> Json:
        steps = [{"color": "transparent", "value": None}, {"color": "#d50b3e", "value": value}]
        thresholds = {"mode": mode, "steps": steps}
        own = [{"id": "thresholds", "value": thresholds}]
        overrides = [{"matcher": {"id": "byName", "options": "Errors"}, "properties": own}]
        return page(fieldConfig={"defaults": {"unit": unit, "thresholds": thresholds}, "overrides": overrides})

    assert said(of(0.05, "percentunit"), of(0.1, "percentunit")) == [
        "- **Heat** thresholds changed: `no colour, red from 5%` → `no colour, red from 10%`",
        "- **Heat** thresholds of series Errors changed: `no colour, red from 5%` → `no colour, red from 10%`",
    ]
    assert said(of(600, "s"), of(86400, "s"))[0].endswith("`no colour, red from 10 mins` → `no colour, red from 1 day`")
    assert said(of(50, "s"), of(50, "s", "percentage"))[0].endswith("`no colour, red from 50% of the range`")


def test_a_matcher_that_came_to_many_queries_is_one_line() -> None:
    def of(matcher: str) -> dict[str, Json]:
        targets = [{"refId": name, "expr": f"sum(rate({name}{{a='1'{matcher}}}[5m]))"} for name in "abcde"]
        return {uid: page(*targets) | {"title": uid.upper()} for uid in ("x", "y")}

    new = of(',job="z"')
    new["y"]["panels"][0]["unit"] = "s"
    assert digest(of(""), new, {}).splitlines() == [
        "- pages: 2 changed",
        "",
        "### In many places",
        "",
        '- **10 queries on 2 pages**: `job="z"` added: X (5), Y (5); such as Heat',
        "",
        "### Changed pages",
        "",
        "- **Y** (`y`): 6 of meaning (5 of them above)",
        "  - **Heat** unit changed: `nothing` → `s`",
    ]


def test_one_word_in_place_of_another_in_many_queries_is_one_line() -> None:
    def of(step: str) -> dict[str, Json]:
        return {"x": page(*({"refId": name, "expr": f"rate({name}[{step}])"} for name in "abcde"))}

    assert digest(of("$__rate_interval"), of("5m"), {}).splitlines()[4:] == [
        "- **5 queries of Page**: `$__rate_interval` is `5m` now; such as Heat"
    ]


def test_one_value_in_place_of_another_in_many_places_is_one_line() -> None:
    def of(uid: str, source: str) -> Json:
        panels = [{"id": number, "title": f"{uid} {number}", "datasource": source} for number in range(1, 12)]
        return {"title": uid.upper(), "panels": panels}

    old, new = ({uid: of(uid, source) for uid in "ab"} for source in ("main", "other"))
    assert digest(old, new, {}).splitlines() == [
        "- pages: 2 changed",
        "",
        "### In many places",
        "",
        "- **22 places on 2 pages**: data source changed: `main` → `other`: A (11), B (11); such as a 1",
    ]


def test_a_row_is_said_once_when_it_is_folded_and_when_it_comes() -> None:
    heat, row = {"id": 1, "type": "stat", "title": "Heat"}, {"type": "row", "title": "More"}
    opened: Json = {"title": "Page", "panels": [row | {"collapsed": False}, heat, heat | {"id": 2, "title": "Cold"}]}
    folded = {"title": "Page", "panels": [row | {"collapsed": True, "panels": opened["panels"][1:]}]}
    plain = {"title": "Page", "panels": opened["panels"][1:]}
    assert said(opened, folded) == ["- **row More** collapsed changed: `false` → `true`"]
    assert said(plain, opened) == ["- **row More** added"]
    assert said(opened, plain) == ["- **row More** removed"]
    assert not is_of_looks(pages_of({"a": opened}, {"a": plain})["a"][0])
    # Panels that are put into one that was folded before are out of sight now.
    more = copy.deepcopy(folded)
    more["panels"] = [{**row, "collapsed": True, "panels": [opened["panels"][1]]}, opened["panels"][2]]
    assert said(more, folded) == ["- **Cold** is in another row: `no row` → `More (folded)`"]


def test_a_query_under_another_letter_is_one_change() -> None:
    old = page({"refId": "A", "expr": "a"}, {"refId": "B", "expr": "b"})
    assert said(old, page({"refId": "A", "expr": "a"}, {"refId": "C", "expr": "b"})) == [
        "- **Heat** query B is called C now"
    ]


def test_a_renamed_variable_is_one_change_and_panels_that_read_the_old_name_are_named() -> None:
    def of(name: str, *reads: str, regex: str = "") -> Json:
        panels = [
            {"id": number, "type": "stat", "title": f"Heat {number}", "targets": [{"refId": "A", "expr": expr}]}
            for number, expr in enumerate(reads, 1)
        ]
        variable = {"name": name, "query": "label_values(room)", "regex": regex}
        return {"title": "Page", "templating": {"list": [variable]}, "panels": panels}

    old = of("room", 'a{room="$room"}', 'b{room=~"${room:regex}"}', "c")
    assert said(old, of("place", 'a{room="$place"}', 'b{room=~"${place:regex}"}', "c")) == [
        "- **variable place** renamed: `room` → `place`"
    ]
    assert said(old, of("place", 'a{room="$place"}', 'b{room=~"${room:regex}"}', "c")) == [
        "- **variable place** renamed: `room` → `place`",
        "- **variable room** still read by panels, although it is gone: `Heat 2`",
    ]
    assert said(old, of("roommate", 'a{room="$room"}', "b", "c", regex="/x/"))[:3] == [
        "- **variable roommate** added: `label_values(room)`",
        "- **variable room** removed",
        "- **variable room** still read by panels, although it is gone: `Heat 1`",
    ]


def test_a_page_with_many_changes_always_says_some_of_them() -> None:
    new = page(*({"refId": name, "expr": "a"} for name in ascii_letters))
    old = copy.deepcopy(new)
    old["templating"] = {"list": [{"name": "room", "query": "a", "multi": True}]}
    new["templating"] = {"list": [{"name": "room", "query": "b", "multi": False}]}
    new |= {"refresh": "5m", "timezone": "utc"}
    for target in new["panels"][0]["targets"]:
        target["legendFormat"] = target["refId"]
    assert digest({"a": old, "b": page()}, {"a": new, "b": page()}, {"a": "command"}).splitlines()[4:8] == [
        "- **Page** (`a`): 56 of meaning",
        "  - also: variable room (query, choice of several values); dashboard (refresh, timezone); "
        "Heat, query A (legend); Heat, query B (legend); Heat, query C (legend); Heat, query D (legend); 48 more",
        "",
        "All changes of Page, which has most: `command`; `--all` lists those of all pages.",
    ]
