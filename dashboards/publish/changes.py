"""What changed between two versions of dashboards, by meaning, as Markdown."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ml_monitoring.alerting.model.promql import normalised
from ml_monitoring.dashboards.publish.hues import hue
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]

# Says nothing about what a reader sees.
_IGNORED = frozenset({"version", "iteration", "gridPos", "pluginVersion", "panels", "targets", "fieldConfig"})
_QUERIES: Final = frozenset({"expr", "query", "definition"})
# What changes how a page looks, and not what it says; whatever is not listed here changes what it says.
_OF_LOOKS: Final = re.compile(
    r"(?:looks of overrides|colou?rs?|iconColor|custom\.(?!hideFrom|stacking|scaleDistribution|axisLabel)|moved|resized"
    r"|transparent|schemaVersion|editable|graphTooltip|row|collapsed|decimals|min|max|maxPerRow|repeatDirection"
    r"|options\.(?:alignValue|bar(?:Radius|Width)|cell(?:Gap|Height)|color|colorMode|displayMode|exemplars|graphMode"
    r"|groupWidth|justifyMode|legend\.(?!calcs)|minViz\w+|orientation|prettifyLogMessage|rowHeight|rowsFrame"
    r"|show(?:Header|Labels|Threshold\w+|Unfilled|Value)|textMode|tooltip|wrapLogMessage|xTick\w+|yAxis\.axisPlacement)"
    r"|query \S+ is written|\S+ is written)\b"
)
# Of what a column has of its own.
_LOOKS_OF_COLUMNS: Final = re.compile(
    r"color|decimals|custom\.(?:width|minWidth|align|cellOptions|lineStyle|fillOpacity)"
)
_OURS: Final = re.compile(r"ml-monitoring-(?!own-)")
OWN: Final = "ml-monitoring-own-"
# What matters most to a reader first; what changes only looks comes last.
_ORDER: Final = ("added", "removed", "title", "query", "type", "thresholds", "unit", "description")


def compare(old: Mapping[str, Json], new: Mapping[str, Json]) -> str:
    """Return all differences of dashboards by uid as Markdown, those of looks too; empty when there are none."""
    return "\n\n".join(
        "\n".join([f"### {title_of(uid, old, new)} (`{uid}`)", "", *(change.line() for change in changes)])
        for uid, changes in pages_of(old, new).items()
        if changes
    )


def pages_of(old: Mapping[str, Json], new: Mapping[str, Json]) -> dict[str, list[Change]]:
    """Return the changes of each dashboard by uid, own ones first, else as in the menu of pages."""
    pages: dict[str, list[Change]] = {}
    for uid in sorted(
        {*old, *new}, key=lambda uid: (_OURS.match(uid) is not None, title_of(uid, old, new).casefold(), uid)
    ):
        if uid not in old:
            pages[uid] = [Change("dashboard", f"added, {len(_panels(new[uid]))} panels")]
        elif uid not in new:
            pages[uid] = [Change("dashboard", "removed")]
        else:
            pages[uid] = sorted(_dashboard_changes(old[uid], new[uid]), key=_rank)
    return pages


def title_of(uid: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> str:
    """Return the title of a dashboard, the new one where it has another."""
    return str((new.get(uid) or old[uid]).get("title", uid))


def is_of_looks(change: Change) -> bool:
    """Tell whether a change is one of how a page looks, and not of what it says."""
    return _OF_LOOKS.match(change.what) is not None


def _rank(change: Change) -> tuple[bool, int]:
    """Return what changes are put in order by, those that matter most first; else they stay as they are."""
    what = change.what.partition(" ")[0]
    return is_of_looks(change), _ORDER.index(what) if what in _ORDER else len(_ORDER)


def _dashboard_changes(old: Json, new: Json) -> Iterator[Change]:
    for key in ("title", "refresh", "timezone", "tags", "time", "editable", "schemaVersion", "description", "links"):
        if old.get(key) != new.get(key):
            yield Change("dashboard", f"{key} changed", _text(old.get(key)), _text(new.get(key)))
    yield from _listed("variable", (old.get("templating") or {}).get("list"), (new.get("templating") or {}).get("list"))
    yield from _listed(
        "annotation", (old.get("annotations") or {}).get("list"), (new.get("annotations") or {}).get("list")
    )
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


def _same(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, str]:
    """Return by which key each panel is found afterwards: that which alone has its title and type, else its own."""
    sorts = [Counter(map(_sort, panels.values())) for panels in (before, after)]
    by_sort = {_sort(panel): key for key, panel in after.items()}
    found = {
        key: by_sort[_sort(panel)]
        for key, panel in before.items()
        if sorts[0][_sort(panel)] == sorts[1][_sort(panel)] == 1
    }
    taken = {*found.values()}
    return found | {key: key for key in before if key in after and key not in found and key not in taken}


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
            yield Change(f"{kind} {name}", "added", "", _text(after[name].get("query") or after[name].get("expr")))
        else:
            yield from _values(f"{kind} {name}", before[name], after[name], frozenset({"current", "options"}))


def _panels(dashboard: Json) -> dict[str, Json]:
    """Return all panels by what they are recognised by: the id where it is unique, else the title.

    Rows go by their title, since schema v2 gives them no id.
    """
    flat: list[Json] = []
    for panel in dashboard.get("panels") or []:
        # What is in a folded row is out of sight.
        inner = panel.get("panels") or []
        flat += [panel, *({**one, "in a folded row": panel.get("title")} for one in inner)]
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
    name = _name(new)
    if _grid(old) != _grid(new):
        moved, resized = _grid(old)[:2] != _grid(new)[:2], _grid(old)[2:] != _grid(new)[2:]
        words = " and ".join(word for word, happened in (("moved", moved), ("resized", resized)) if happened)
        yield Change(name, words, _place(old), _place(new))
    before, after = _queries(old), _queries(new)
    for ref_id in sorted({*before, *after}):
        if before.get(ref_id) != after.get(ref_id):
            queries = before.get(ref_id, ""), after.get(ref_id, "")
            word = "added" if ref_id not in before else "removed" if ref_id not in after else _changed(*queries)
            yield Change(name, f"query {ref_id} {word}", *queries)
    for ref_id in sorted({*before} & {*after}):
        yield from _values(f"{name}, query {ref_id}", _target(old, ref_id), _target(new, ref_id), frozenset({"expr"}))
    yield from _field_changes(name, old, new)
    # Rows are no panels that a link leads to; schema v2 gives them no id.
    yield from _values(name, old, new, _IGNORED | ({"id"} if new.get("type") == "row" else set()))


def _field_changes(name: str, old: Json, new: Json) -> Iterator[Change]:
    before, after = (((panel.get("fieldConfig") or {}).get("defaults") or {}) for panel in (old, new))
    steps = [_steps(one) for one in (before, after)]
    if steps[0] != steps[1]:
        # Another shade is a matter of looks, red in place of green is none.
        judged = [re.sub(r"\S+(?= from )", lambda found: hue(found[0]), one) for one in steps]
        yield Change(name, f"{'colours of ' * (judged[0] == judged[1])}thresholds changed", *steps)
    yield from _values(name, before, after, frozenset({"thresholds"}))
    overrides = [(panel.get("fieldConfig") or {}).get("overrides") or [] for panel in (old, new)]
    if overrides[0] != overrides[1]:
        meaning = [_without_looks(one) for one in overrides]
        what = f"{'looks of ' * (meaning[0] == meaning[1])}overrides changed"
        yield Change(name, what, _text(overrides[0]), _text(overrides[1]))


def _without_looks(overrides: list[Json]) -> list[Json]:
    """Return what columns have of their own but for their looks; a column of which nothing is left is none."""
    found = [
        one
        | {
            "properties": [
                each for each in one.get("properties") or [] if not _LOOKS_OF_COLUMNS.fullmatch(str(each.get("id")))
            ]
        }
        for one in overrides
    ]
    return [one for one in found if one["properties"]]


def _steps(defaults: Json) -> str:
    thresholds = defaults.get("thresholds") or {}
    parts = [
        f"{step.get('color')} from {'the start' if step.get('value') is None else step['value']}"
        for step in thresholds.get("steps") or []
    ]
    return ", ".join(parts) + (" (percent)" if thresholds.get("mode") == "percentage" else "")


def _values(where: str, old: Json, new: Json, ignored: frozenset[str], path: str = "") -> Iterator[Change]:
    for key in sorted({*old, *new} - ignored):
        one, other = old.get(key), new.get(key)
        at = f"{path}{key}"
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _values(where, one, other, frozenset(), f"{at}.")
        elif one != other:
            word = _changed(one, other) if key in _QUERIES else "changed"
            yield Change(where, f"{at} {word}", _text(one), _text(other))


def _changed(old: Any, new: Any) -> str:
    """Return whether a query changed, or no more than the order of its matchers, or white space."""
    is_same = isinstance(old, str) and isinstance(new, str) and normalised(old) == normalised(new)
    return "is written otherwise, with the same meaning" if is_same else "changed"


def _queries(panel: Json) -> dict[str, str]:
    return {
        str(target.get("refId") or place): str(target.get("expr") or _text(target))
        for place, target in enumerate(panel.get("targets") or [])
    }


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


def _text(value: Any) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
