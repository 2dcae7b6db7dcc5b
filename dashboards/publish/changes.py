"""What changed between two versions of dashboards, by meaning, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ml_monitoring.dashboards.publish.looks import is_of_looks
from ml_monitoring.dashboards.publish.panel_changes import COUNTED, panel_changes, queries_of
from ml_monitoring.dashboards.publish.panels import ROW, called, is_folded, kind_of, name_of, panels_of, same_panels
from ml_monitoring.dashboards.publish.values import SAME_QUERY, changed_values
from ml_monitoring.dashboards.publish.variables import listed_changes, renamed_variables, still_read, with_names
from ml_monitoring.dashboards.publish.words import line_of
from ml_monitoring.exporter.differences import Change, escaped

Json = dict[str, Any]

# What Grafana counts itself.
_COUNTED: Final = frozenset({"version", "iteration", "id", "schemaVersion"})
_APART: Final = frozenset({"panels", "templating", "annotations"})
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
        "\n".join([f"### {escaped(title_of(uid, old, new))} (`{uid}`)", "", *(line_of(change) for change in changes)])
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
            pages[uid] = [Change("dashboard", f"added, {len(panels_of(new[uid]))} panels")]
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
    before, after = panels_of(old), panels_of(new)
    renamed = renamed_variables(old, new)
    yield from still_read(old, new, after.values())
    same = same_panels(before, after)
    for key, panel in before.items():
        if key not in same:
            yield Change(called(panel), "removed")
    came_from = {other: key for key, other in same.items()}
    for key, panel in after.items():
        if key not in came_from:
            asked = "; ".join(queries_of(panel).values())
            yield Change(called(panel), "added" if kind_of(panel) else f"added ({panel.get('type')})", "", asked)
        else:
            yield from panel_changes(with_names(before[came_from[key]], renamed, panel), panel)
    yield from _moves(before, after, same)


def _moves(before: Mapping[str, Json], after: Mapping[str, Json], same: Mapping[str, str]) -> Iterator[Change]:
    """Return the panels that are in another row, but for those of which the row itself came open, or is gone."""
    for key, other in same.items():
        was, now = before[key].get(ROW, ""), after[other].get(ROW, "")
        is_kept = (not was or was in same) and (not now or now in same.values())
        is_out_of_sight = bool(now) and is_folded(after[now]) and not (was and is_folded(before[was]))
        if same.get(was, "") != now and (is_kept or is_out_of_sight):
            yield Change(called(after[other]), "is in another row", _row(before, was), _row(after, now))


def _row(panels: Mapping[str, Json], key: str) -> str:
    """Return a row in words."""
    if not key:
        return "no row"
    return f"{name_of(panels[key])}{' (folded)' if is_folded(panels[key]) else ''}"


def _unsaid(old: Json, new: Json) -> Iterator[Change]:
    """Return that pages differ although no part does that is known by its name."""
    if _bare(old) != _bare(new):
        yield Change("dashboard", "differs in parts of the same name")


def _bare(page: Json) -> Json:
    """Return a page without what is said of it by meaning, or never."""
    panels = {
        key: name_of(panel) if kind_of(panel) else _without(panel, COUNTED | {"datasource", ROW})
        for key, panel in panels_of(page).items()
    }
    return {**_without(page, _COUNTED | {"datasource"}), "panels": panels}


def _without(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_without(each, keys) for each in value]
    return {key: _without(value[key], keys) for key in value if key not in keys} if isinstance(value, dict) else value
