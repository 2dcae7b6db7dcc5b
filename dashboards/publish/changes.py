"""What changed between two versions of dashboards, by meaning, as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ml_monitoring.dashboards.publish.fields import field_changes
from ml_monitoring.dashboards.publish.looks import is_of_looks
from ml_monitoring.dashboards.publish.sources import are_same, source_changes, source_of
from ml_monitoring.dashboards.publish.values import (
    SAME_QUERY,
    changed_query,
    changed_values,
    matched,
    renamed_keys,
    text_of,
)
from ml_monitoring.dashboards.publish.variables import listed_changes, renamed_variables, still_read, with_names
from ml_monitoring.dashboards.publish.words import in_words
from ml_monitoring.exporter.differences import Change, escaped

Json = dict[str, Any]

# What Grafana counts itself, of a page and of a panel.
_COUNTED: Final = frozenset({"version", "iteration", "id", "schemaVersion"})
_COUNTED_OF_PANELS: Final = frozenset({"pluginVersion"})
_APART: Final = frozenset({"panels", "templating", "annotations"})
# Of a panel: the key of its row.
_ROW: Final = "its row"
_APART_OF_PANELS: Final = _COUNTED_OF_PANELS | {
    "gridPos",
    "panels",
    "targets",
    "fieldConfig",
    "datasource",
    "libraryPanel",
    _ROW,
}
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
        "\n".join(
            [f"### {escaped(title_of(uid, old, new))} (`{uid}`)", "", *(in_words(change).line() for change in changes)]
        )
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
    for key, panel in before.items():
        if key not in same:
            yield Change(_called(panel), "removed")
    came_from = {other: key for key, other in same.items()}
    for key, panel in after.items():
        if key not in came_from:
            asked = "; ".join(_queries(panel).values())
            yield Change(_called(panel), "added" if _kind(panel) else f"added ({panel.get('type')})", "", asked)
        else:
            yield from _panel_changes(with_names(before[came_from[key]], renamed, panel), panel)
    yield from _moves(before, after, same)


def _moves(before: Mapping[str, Json], after: Mapping[str, Json], same: Mapping[str, str]) -> Iterator[Change]:
    """Return the panels that are in another row, but for those of which the row itself came open, or is gone."""
    for key, other in same.items():
        was, now = before[key].get(_ROW, ""), after[other].get(_ROW, "")
        is_kept = (not was or was in same) and (not now or now in same.values())
        is_out_of_sight = bool(now) and _is_folded(after[now]) and not (was and _is_folded(before[was]))
        if same.get(was, "") != now and (is_kept or is_out_of_sight):
            yield Change(_called(after[other]), "is in another row", _row(before, was), _row(after, now))


def _row(panels: Mapping[str, Json], key: str) -> str:
    """Return a row in words."""
    if not key:
        return "no row"
    return f"{_name(panels[key])}{' (folded)' if _is_folded(panels[key]) else ''}"


def _unsaid(old: Json, new: Json) -> Iterator[Change]:
    """Return that pages differ although no part does that is known by its name."""
    if _bare(old) != _bare(new):
        yield Change("dashboard", "differs in parts of the same name")


def _bare(page: Json) -> Json:
    """Return a page without what is said of it by meaning, or never."""
    panels = {
        key: _name(panel) if _kind(panel) else _without(panel, _COUNTED_OF_PANELS | {"datasource", _ROW})
        for key, panel in _panels(page).items()
    }
    return {**_without(page, _COUNTED | {"datasource"}), "panels": panels}


def _without(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_without(each, keys) for each in value]
    return {key: _without(value[key], keys) for key in value if key not in keys} if isinstance(value, dict) else value


def _same(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, str]:
    """Return by which key each panel is found afterwards.

    It is the one that alone has its number and says the same, or its title and type, or says the same; else the one of
    its number. A row that is renamed is above most of the same panels as before.
    """
    found: dict[str, str] = {}
    for known_by in (lambda panel: (panel.get("id"), _content(panel)), _sort, _content):
        found |= matched(*_left(before, after, found, known_by))
    for key, below in _rows(before).items():
        also = (other for other, those in _rows(after).items() if 2 * len(below & those) > max(len(below), len(those)))
        if key not in after and (other := next((other for other in also if other not in before), None)):
            found.setdefault(key, other)
    taken = {*found.values()}
    return found | {key: key for key in before if key in after and key not in found and key not in taken}


def _left(
    before: Mapping[str, Json], after: Mapping[str, Json], found: Mapping[str, str], known_by: Callable[[Json], Any]
) -> Iterator[dict[str, Any]]:
    """Yield by what the panels of both sides are known that were not found yet."""
    for panels, taken in ((before, found.keys()), (after, {*found.values()})):
        yield {key: known_by(panel) for key, panel in panels.items() if key not in taken}


def _content(panel: Json) -> Any:
    """Return what a panel says, in whatever place and by whatever name; of rows their titles."""
    if _kind(panel):
        return _sort(panel)
    return {key: panel[key] for key in panel if key not in ("id", "title", "gridPos", _ROW)}


def _is_folded(row: Json) -> bool:
    return bool(row.get("collapsed") or row.get("panels"))


def _rows(panels: Mapping[str, Json]) -> dict[str, set[tuple[str, str]]]:
    """Return what is below each row."""
    found: dict[str, set[tuple[str, str]]] = {key: set() for key, panel in panels.items() if _kind(panel)}
    for panel in panels.values():
        if _ROW in panel:
            found[panel[_ROW]].add(_sort(panel))
    return found


def _sort(panel: Json) -> tuple[str, str]:
    return str(panel.get("type")), _name(panel)


def _kind(panel: Json) -> str:
    return "row " if panel.get("type") == "row" else ""


def _panels(dashboard: Json) -> dict[str, Json]:
    """Return all panels from top to bottom, by what they are recognised by: the id where it is unique, else the title.

    Rows go by their title, since schema v2 gives them no id.
    """
    listed = dashboard.get("panels") or []
    if all(panel.get("gridPos") for panel in listed):
        # As Grafana does when it opens a page, whatever their order in the file.
        listed = sorted(listed, key=lambda panel: (_grid(panel)[1], _grid(panel)[0]))
    ids = Counter(panel.get("id") for one in listed for panel in (one, *(one.get("panels") or [])) if not _kind(panel))
    found: dict[str, Json] = {}
    row = ""
    for panel in listed:
        key = _key(panel, ids, found)
        found[key] = panel if _kind(panel) or not row else {**panel, _ROW: row}
        for inner in panel.get("panels") or []:
            found[_key(inner, ids, found)] = {**inner, _ROW: key}
        if _kind(panel):
            # Below a folded row are only the panels in it.
            row = "" if _is_folded(panel) else key
    return found


def _key(panel: Json, ids: Mapping[Any, int], found: Mapping[str, Json]) -> str:
    if not _kind(panel) and panel.get("id") and ids[panel["id"]] == 1:
        return f"id {panel['id']}"
    name = f"{panel.get('type')} {panel.get('title')}"
    return f"{name} {sum(key.startswith(name) for key in found)}"


def _panel_changes(old: Json, new: Json) -> Iterator[Change]:
    name = _called(new)
    if _grid(old) != _grid(new):
        moved, resized = _grid(old)[:2] != _grid(new)[:2], _grid(old)[2:] != _grid(new)[2:]
        words = " and ".join(word for word, happened in (("moved", moved), ("resized", resized)) if happened)
        yield Change(name, words, _place(old), _place(new))
    libraries = [_library(panel) for panel in (old, new)]
    if libraries[0] != libraries[1]:
        yield _library_change(name, *libraries)
        if not all(libraries):
            # What a library panel says is not in the file.
            return
    if not _kind(new):
        yield from source_changes(name, source_of(old), source_of(new))
    before, after = _queries(old), _queries(new)
    orders = [[ref_id for ref_id in one if ref_id in other] for one, other in ((before, after), (after, before))]
    if orders[0] != orders[1]:
        yield Change(name, "queries are in another order", *map(", ".join, orders))
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
        ignored = frozenset({"expr", "datasource"} if _are_expressions(old, new, ref_id) else {"datasource"})
        yield from changed_values(f"{name}, query {ref_id}", one, other, ignored)
        sources = [query.get("datasource") or source_of(panel) for query, panel in ((one, old), (other, new))]
        # A query that follows the data source of its panel is said of the panel.
        if not all(are_same(source, source_of(panel)) for source, panel in zip(sources, (old, new), strict=True)):
            yield from source_changes(f"{name}, query {ref_id}", *sources)
    fields = ((one.get("fieldConfig") or {}) for one in (old, new))
    yield from field_changes(name, *fields, column="column" if new.get("type") == "table" else "series")
    # Rows are no panels that a link leads to; schema v2 gives them no id.
    yield from changed_values(name, old, new, _APART_OF_PANELS | ({"id"} if new.get("type") == "row" else set()))


def _library(panel: Json) -> str:
    """Return which library panel is shown; empty if the panel is one of its own."""
    library = panel.get("libraryPanel") or {}
    return f"{library.get('name') or 'without a name'} ({library.get('uid')})" if library else ""


def _library_change(name: str, old: str, new: str) -> Change:
    if old and new:
        return Change(name, "library panel changed", old, new)
    return Change(
        name, "is a library panel now, whose content is in Grafana" if new else "is no library panel any more", old, new
    )


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
