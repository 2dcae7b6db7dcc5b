"""What changed between two versions of dashboards, by meaning, as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ml_monitoring.dashboards.publish.fields import field_changes
from ml_monitoring.dashboards.publish.looks import is_of_looks
from ml_monitoring.dashboards.publish.values import SAME_QUERY, changed_query, changed_values, renamed_keys, text_of
from ml_monitoring.dashboards.publish.variables import listed_changes, renamed_variables, still_read, with_names
from ml_monitoring.dashboards.publish.words import in_words
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]

# What Grafana counts itself, of a page and of a panel.
_COUNTED: Final = frozenset({"version", "iteration", "id", "schemaVersion"})
_COUNTED_OF_PANELS: Final = frozenset({"pluginVersion"})
_APART: Final = frozenset({"panels", "templating", "annotations"})
_APART_OF_PANELS: Final = _COUNTED_OF_PANELS | {"gridPos", "panels", "targets", "fieldConfig"}
# Of a panel: the title of the row.
_FOLDED: Final = "in a folded row"
_OURS: Final = re.compile(r"ml-monitoring-(?!own-)")
OWN: Final = "ml-monitoring-own-"
# What matters most to a reader first; what changes only looks comes last.
_ORDER: Final = (
    "uid",
    "added",
    "removed",
    "renamed",
    "still",
    "title",
    "query",
    "type",
    "thresholds",
    "unit",
    "description",
)


def compare(old: Mapping[str, Json], new: Mapping[str, Json]) -> str:
    """Return all differences of dashboards by uid as Markdown, those of looks too; empty when there are none."""
    return "\n\n".join(
        "\n".join([f"### {title_of(uid, old, new)} (`{uid}`)", "", *(in_words(change).line() for change in changes)])
        for uid, changes in pages_of(old, new).items()
        if changes
    )


def pages_of(old: Mapping[str, Json], new: Mapping[str, Json]) -> dict[str, list[Change]]:
    """Return the changes of each dashboard by uid, own ones first, else as in the menu of pages.

    Of a page on which only queries are written otherwise there are none.
    """
    pages: dict[str, list[Change]] = {}
    for uid in sorted(
        {*old, *new}, key=lambda uid: (_OURS.match(uid) is not None, title_of(uid, old, new).casefold(), uid)
    ):
        if uid not in old:
            pages[uid] = [Change("dashboard", f"added, {len(_panels(new[uid]))} panels")]
        elif uid not in new:
            pages[uid] = [Change("dashboard", "removed")]
        else:
            found = [*_dashboard_changes(old[uid], new[uid])]
            is_same = bool(found) and all(change.what.endswith(SAME_QUERY) for change in found)
            pages[uid] = [] if is_same else sorted(found or _unsaid(old[uid], new[uid]), key=_rank)
    return pages


def title_of(uid: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> str:
    """Return the title of a dashboard, the new one where it has another."""
    return str((new.get(uid) or old[uid]).get("title", uid))


def _rank(change: Change) -> tuple[bool, int]:
    """Return what changes are put in order by, those that matter most first; else they stay as they are."""
    what = change.what.partition(" ")[0]
    return is_of_looks(change), _ORDER.index(what) if what in _ORDER else len(_ORDER)


def _dashboard_changes(old: Json, new: Json) -> Iterator[Change]:
    yield from changed_values("dashboard", old, new, _COUNTED | _APART)
    for section, kind in (("templating", "variable"), ("annotations", "annotation")):
        first, then = ((one.get(section) or {}) for one in (old, new))
        yield from changed_values("dashboard", first, then, frozenset({"list"}), f"{section}.")
        yield from listed_changes(kind, first.get("list"), then.get("list"))
    before, after = _panels(old), _panels(new)
    renamed = renamed_variables(old, new)
    yield from still_read(old, new, after.values())
    same = _same(before, after)
    folded = {
        _name(row)
        for key, other in same.items()
        if bool(before[key].get("collapsed")) != bool(after[other].get("collapsed"))
        for row in (before[key], after[other])
    }
    for key, panel in before.items():
        if key not in same:
            yield Change(_called(panel), "removed")
    came_from = {other: key for key, other in same.items()}
    for key, panel in after.items():
        if key not in came_from:
            yield Change(_called(panel), "added" if _kind(panel) else f"added ({panel.get('type')})")
            yield from (
                Change(_name(panel), f"query {ref_id} added", "", expr) for ref_id, expr in _queries(panel).items()
            )
        else:
            earlier = with_names(before[came_from[key]], renamed, panel)
            yield from _panel_changes(*(_beside(folded, one) for one in (earlier, panel)))


def _unsaid(old: Json, new: Json) -> Iterator[Change]:
    """Return that pages differ although no key of a part does, in the order of their parts or otherwise."""
    if _without_counts(old) != _without_counts(new):
        yield Change("dashboard", "differs in the order of its parts, or in parts of the same name")


def _without_counts(page: Json) -> Json:
    flat = [{key: panel[key] for key in panel if key not in _COUNTED_OF_PANELS} for panel in _panels(page).values()]
    panels = [panel if panel.get("type") != "row" else {**panel, "id": None, "panels": None} for panel in flat]
    return {key: page[key] for key in page if key not in _COUNTED} | {"panels": panels}


def _same(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, str]:
    """Return by which key each panel is found afterwards: that which alone has its title and type, else its own."""
    sorts = [Counter(map(_sort, panels.values())) for panels in (before, after)]
    by_sort = {_sort(panel): key for key, panel in after.items()}
    found = {
        key: by_sort[_sort(panel)]
        for key, panel in before.items()
        if sorts[0][_sort(panel)] == sorts[1][_sort(panel)] == 1
    }
    for key, below in _rows(before).items():
        # A row that is renamed is above most of the same panels as before.
        also = (other for other, those in _rows(after).items() if 2 * len(below & those) > max(len(below), len(those)))
        if key not in after and (other := next((other for other in also if other not in before), None)):
            found.setdefault(key, other)
    taken = {*found.values()}
    return found | {key: key for key in before if key in after and key not in found and key not in taken}


def _rows(panels: Mapping[str, Json]) -> dict[str, set[tuple[str, str]]]:
    """Return what is below each row, in the order of the page."""
    found: dict[str, set[tuple[str, str]]] = {}
    for key, panel in panels.items():
        if _kind(panel):
            found[key] = set()
        elif found:
            [*found.values()][-1].add(_sort(panel))
    return found


def _sort(panel: Json) -> tuple[str, str]:
    return str(panel.get("type")), _name(panel)


def _kind(panel: Json) -> str:
    return "row " if panel.get("type") == "row" else ""


def _panels(dashboard: Json) -> dict[str, Json]:
    """Return all panels by what they are recognised by: the id where it is unique, else the title.

    Rows go by their title, since schema v2 gives them no id.
    """
    flat: list[Json] = []
    for panel in dashboard.get("panels") or []:
        # What is in a folded row is out of sight.
        inner = panel.get("panels") or []
        flat += [panel, *({**one, _FOLDED: _name(panel)} for one in inner)]
    ids = [panel.get("id") for panel in flat if panel.get("type") != "row"]
    found: dict[str, Json] = {}
    for panel in flat:
        if panel.get("type") != "row" and panel.get("id") and ids.count(panel["id"]) == 1:
            found[f"id {panel['id']}"] = panel
            continue
        name = f"{panel.get('type')} {panel.get('title')}"
        found[f"{name} {sum(key.startswith(name) for key in found)}"] = panel
    return found


def _beside(rows: set[str], panel: Json) -> Json:
    """Return a panel without saying that it is in one of these rows, which were folded or opened."""
    return {
        key: value if key != _FOLDED else True for key, value in panel.items() if key != _FOLDED or value not in rows
    }


def _panel_changes(old: Json, new: Json) -> Iterator[Change]:
    name = _called(new)
    if _grid(old) != _grid(new):
        moved, resized = _grid(old)[:2] != _grid(new)[:2], _grid(old)[2:] != _grid(new)[2:]
        words = " and ".join(word for word, happened in (("moved", moved), ("resized", resized)) if happened)
        yield Change(name, words, _place(old), _place(new))
    before, after = _queries(old), _queries(new)
    for ref_id, called in renamed_keys(before, after).items():
        yield Change(name, f"query {ref_id} is called {called} now")
        del before[ref_id], after[called]
    for ref_id in sorted({*before, *after}):
        is_compared_by_keys = ref_id in before and ref_id in after and not _are_expressions(old, new, ref_id)
        if before.get(ref_id) != after.get(ref_id) and not is_compared_by_keys:
            queries = before.get(ref_id, ""), after.get(ref_id, "")
            word = "added" if ref_id not in before else "removed" if ref_id not in after else changed_query(*queries)
            yield Change(name, f"query {ref_id} {word}", *queries)
    for ref_id in sorted({*before} & {*after}):
        one, other = (_target(panel, ref_id) for panel in (old, new))
        ignored = frozenset({"expr"}) if _are_expressions(old, new, ref_id) else frozenset[str]()
        # A query that follows the data source of its panel is said of the panel.
        if all(query.get("datasource") == panel.get("datasource") for query, panel in ((one, old), (other, new))):
            ignored |= {"datasource"}
        yield from changed_values(f"{name}, query {ref_id}", one, other, ignored)
    fields = ((one.get("fieldConfig") or {}) for one in (old, new))
    yield from field_changes(name, *fields, column="column" if new.get("type") == "table" else "series")
    # Rows are no panels that a link leads to; schema v2 gives them no id.
    yield from changed_values(name, old, new, _APART_OF_PANELS | ({"id"} if new.get("type") == "row" else set()))


def _queries(panel: Json) -> dict[str, str]:
    return {
        str(target.get("refId") or place): str(target.get("expr") or text_of(target))
        for place, target in enumerate(panel.get("targets") or [])
    }


def _are_expressions(old: Json, new: Json, ref_id: str) -> bool:
    return all(_target(panel, ref_id).get("expr") for panel in (old, new))


def _target(panel: Json, ref_id: str) -> Json:
    return next(
        (
            target
            for place, target in enumerate(panel.get("targets") or [])
            if str(target.get("refId") or place) == ref_id
        ),
        {},
    )


def _grid(panel: Json) -> tuple[int, ...]:
    grid = panel.get("gridPos") or {}
    return tuple(int(grid.get(key) or 0) for key in ("x", "y", "w", "h"))


def _place(panel: Json) -> str:
    x, y, width, height = _grid(panel)
    return f"{width}x{height} at {x},{y}"


def _called(panel: Json) -> str:
    return f"{_kind(panel)}{_name(panel)}"


def _name(panel: Json) -> str:
    return str(panel.get("title") or f"panel {panel.get('id')}")
