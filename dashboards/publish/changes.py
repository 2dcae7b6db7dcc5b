"""What changed between two versions of dashboards, by meaning, as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ml_monitoring.dashboards.publish.fields import field_changes
from ml_monitoring.dashboards.publish.looks import is_of_looks
from ml_monitoring.dashboards.publish.values import SAME_QUERY, changed_query, changed_values, text_of
from ml_monitoring.dashboards.publish.words import in_words
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]

# What Grafana counts itself, of a page and of a panel.
_COUNTED: Final = frozenset({"version", "iteration", "id", "uid"})
_COUNTED_OF_PANELS: Final = frozenset({"pluginVersion"})
_APART: Final = frozenset({"panels", "templating", "annotations"})
_APART_OF_PANELS: Final = _COUNTED_OF_PANELS | {"gridPos", "panels", "targets", "fieldConfig"}
_OURS: Final = re.compile(r"ml-monitoring-(?!own-)")
OWN: Final = "ml-monitoring-own-"
# What matters most to a reader first; what changes only looks comes last.
_ORDER: Final = ("added", "removed", "title", "query", "type", "thresholds", "unit", "description")


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
        before, after = ((one.get(section) or {}) for one in (old, new))
        yield from changed_values("dashboard", before, after, frozenset({"list"}), f"{section}.")
        yield from _listed(kind, before.get("list"), after.get("list"))
    before, after = _panels(old), _panels(new)
    same = _same(before, after)
    for key, panel in before.items():
        if key not in same:
            yield Change(_name(panel), f"{_kind(panel)}removed")
    came_from = {other: key for key, other in same.items()}
    for key, panel in after.items():
        if key not in came_from:
            yield Change(_name(panel), f"{_kind(panel)}added" if _kind(panel) else f"added ({panel.get('type')})")
            yield from (
                Change(_name(panel), f"query {ref_id} added", "", expr) for ref_id, expr in _queries(panel).items()
            )
        else:
            yield from _panel_changes(before[came_from[key]], panel)


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


def _listed(kind: str, old: Any, new: Any) -> Iterator[Change]:
    before = {str(one.get("name")): one for one in old or []}
    after = {str(one.get("name")): one for one in new or []}
    for name in sorted({*before, *after}):
        if name not in after:
            yield Change(f"{kind} {name}", "removed")
        elif name not in before:
            yield Change(f"{kind} {name}", "added", "", text_of(after[name].get("query") or after[name].get("expr")))
        else:
            where = f"{kind} {name}"
            chosen = [_chosen(one.get("current")) for one in (before[name], after[name])]
            if chosen[0] != chosen[1]:
                yield Change(where, "default changed", *chosen)
            ignored = frozenset({"current"}) if chosen[0] != chosen[1] else frozenset[str]()
            yield from changed_values(where, before[name], after[name], ignored)
    orders = [[name for name in one if name in other] for one, other in ((before, after), (after, before))]
    if orders[0] != orders[1]:
        yield Change(f"{kind}s", "looks of order changed", *(", ".join(one) for one in orders))


def _chosen(current: Any) -> str:
    """Return what of a variable is chosen when the page opens."""
    value = current.get("value") if isinstance(current, dict) else current
    listed = value if isinstance(value, list) else [value]
    return ", ".join("all" if one == "$__all" else "" if one is None else str(one) for one in listed) or "nothing"


def _panels(dashboard: Json) -> dict[str, Json]:
    """Return all panels by what they are recognised by: the id where it is unique, else the title.

    Rows go by their title, since schema v2 gives them no id.
    """
    flat: list[Json] = []
    for panel in dashboard.get("panels") or []:
        # What is in a folded row is out of sight.
        inner = panel.get("panels") or []
        flat += [panel, *({**one, "in a folded row": True} for one in inner)]
    ids = [panel.get("id") for panel in flat if panel.get("type") != "row"]
    found: dict[str, Json] = {}
    for panel in flat:
        if panel.get("type") != "row" and panel.get("id") and ids.count(panel["id"]) == 1:
            found[f"id {panel['id']}"] = panel
            continue
        name = f"{panel.get('type')} {panel.get('title')}"
        found[f"{name} {sum(key.startswith(name) for key in found)}"] = panel
    return found


def _panel_changes(old: Json, new: Json) -> Iterator[Change]:
    name = f"{_kind(new)}{_name(new)}"
    if _grid(old) != _grid(new):
        moved, resized = _grid(old)[:2] != _grid(new)[:2], _grid(old)[2:] != _grid(new)[2:]
        words = " and ".join(word for word, happened in (("moved", moved), ("resized", resized)) if happened)
        yield Change(name, words, _place(old), _place(new))
    before, after = _queries(old), _queries(new)
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
    yield from field_changes(name, *((one.get("fieldConfig") or {}) for one in (old, new)))
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


def _name(panel: Json) -> str:
    return str(panel.get("title") or f"panel {panel.get('id')}")
