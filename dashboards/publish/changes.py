"""What changed between two versions of dashboards, by meaning, as Markdown."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ml_monitoring.exporter.differences import MOST_ALIKE, Change

Json = dict[str, Any]

# Says nothing about what a reader sees.
_IGNORED = frozenset({"id", "version", "iteration", "gridPos", "pluginVersion", "panels", "targets", "fieldConfig"})
# What changes how a page looks, and not what it says.
_OF_LOOKS: Final = re.compile(
    r"(?:overrides|transformations|mappings|colou?rs?|custom|options|links|moved|resized|schemaVersion|editable)\b"
)
_OURS: Final = re.compile(r"ml-monitoring-(?!own-)")
_OWN: Final = "ml-monitoring-own-"
# What matters most to a reader first; what changes only looks comes last.
_ORDER: Final = ("added", "removed", "title", "query", "thresholds", "unit", "description")
# Pages are listed in full as long as all is about two screens.
_MOST_LINES: Final = 60
# Panels that a line about a page names.
_MOST_NAMED: Final = 6


def compare(
    old: Mapping[str, Json], new: Mapping[str, Json], *, looks: bool = True, commands: Mapping[str, str] | None = None
) -> str:
    """Return the differences of dashboards by uid as Markdown, own ones first; empty when there are none.

    Args:
        old: Before.
        new: After.
        looks: Whether all changes are listed, those of nothing but looks too; else a line for each page counts them,
            changes that many pages have are listed once, and pages with more than fit on two screens are left at that.
        commands: What shows the changes of one page, by uid.
    """
    pages: dict[str, list[Change]] = {}
    for uid in sorted({*old, *new}, key=lambda uid: (_OURS.match(uid) is not None, uid)):
        if uid not in old:
            panels = len(_panels(new[uid]))
            pages[uid] = [Change("dashboard", f"added, {panels} panels")]
        elif uid not in new:
            pages[uid] = [Change("dashboard", "removed")]
        else:
            pages[uid] = sorted(_dashboard_changes(old[uid], new[uid]), key=_rank)
    common = {} if looks else _common(pages.values())
    sections: list[str] = []
    summary: list[str] = []
    unchanged: list[str] = []
    left_out: list[str] = []
    room = _MOST_LINES if len(pages) > 1 else sys.maxsize
    if common:
        lines = [replace(change, what=f"{change.what} on {number} pages").line() for change, number in common.items()]
        room -= len(lines)
        sections.append("\n".join(["### On several pages", "", *lines]))
    for uid, changes in pages.items():
        title = (new.get(uid) or old[uid]).get("title", uid)
        if not changes:
            unchanged += [f"- {title} (`{uid}`): unchanged"] if uid.startswith(_OWN) else []
            continue
        shown = [change for change in changes if looks or not _is_of_looks(change)]
        counts = f"- {title} (`{uid}`): {len(shown)} of meaning, {len(changes) - len(shown)} of looks"
        shown = [change for change in shown if change not in common]
        fits = looks or len(shown) <= room
        summary.append(counts if fits else f"{counts}{_panels_in_short(shown)}")
        if not fits:
            left_out.append(uid)
        elif shown:
            room -= len(shown)
            sections.append("\n".join([f"### {title} (`{uid}`)", "", *(change.line() for change in shown)]))
    if looks or not summary:
        return "\n\n".join(sections)
    rest: list[str] = []
    if left_out:
        shows = next((f", `{commands[uid]}` those of one" for uid in left_out if commands and uid in commands), "")
        rest = [f"Pages with more changes than fit here: {len(left_out)}; `--all` lists them{shows}."]
    return "\n\n".join(["\n".join([*summary, *unchanged]), *sections, *rest])


def _common(pages: Iterable[Sequence[Change]]) -> dict[Change, int]:
    """Return the changes of meaning that many pages have, each with how many of them; those of most pages first."""
    counts = Counter(change for changes in pages for change in dict.fromkeys(changes) if change.where != "dashboard")
    return {
        change: number for change, number in counts.most_common() if number > MOST_ALIKE and not _is_of_looks(change)
    }


def _panels_in_short(changes: Sequence[Change]) -> str:
    """Return which panels came, went and were renamed, as the end of a line about a page that does not fit."""
    found: dict[str, list[str]] = {"removed": [], "added": [], "renamed": []}
    for change in changes:
        word = change.what.partition(" ")[0].replace("title", "renamed")
        if word in found:
            found[word].append(f"{change.old} → {change.new}" if change.old and change.new else change.where)
    return "".join(f"; {word}: {_names(names)}" for word, names in found.items() if names)


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join([*names[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def _is_of_looks(change: Change) -> bool:
    return _OF_LOOKS.match(change.what) is not None


def _rank(change: Change) -> tuple[bool, int]:
    """Return what changes are put in order by, those that matter most first; else they stay as they are."""
    what = change.what.partition(" ")[0]
    return _is_of_looks(change), _ORDER.index(what) if what in _ORDER else len(_ORDER)


def _dashboard_changes(old: Json, new: Json) -> Iterator[Change]:
    for key in ("title", "refresh", "timezone", "tags", "time", "editable", "schemaVersion", "description"):
        if old.get(key) != new.get(key):
            yield Change("dashboard", f"{key} changed", _text(old.get(key)), _text(new.get(key)))
    yield from _listed("variable", (old.get("templating") or {}).get("list"), (new.get("templating") or {}).get("list"))
    yield from _listed(
        "annotation", (old.get("annotations") or {}).get("list"), (new.get("annotations") or {}).get("list")
    )
    before, after = _panels(old), _panels(new)
    for key, panel in before.items():
        if key not in after:
            yield Change(_name(panel), "removed")
    for key, panel in after.items():
        if key not in before:
            yield Change(_name(panel), f"added ({panel.get('type')})")
            yield from (
                Change(_name(panel), f"query {ref_id} added", "", expr) for ref_id, expr in _queries(panel).items()
            )
        else:
            yield from _panel_changes(before[key], panel)


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
        flat += [panel, *(panel.get("panels") or [])]
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
            word = "added" if ref_id not in before else "removed" if ref_id not in after else "changed"
            yield Change(name, f"query {ref_id} {word}", before.get(ref_id, ""), after.get(ref_id, ""))
    for ref_id in sorted({*before} & {*after}):
        yield from _values(f"{name}, query {ref_id}", _target(old, ref_id), _target(new, ref_id), frozenset({"expr"}))
    yield from _field_changes(name, old, new)
    yield from _values(name, old, new, _IGNORED)


def _field_changes(name: str, old: Json, new: Json) -> Iterator[Change]:
    before, after = (((panel.get("fieldConfig") or {}).get("defaults") or {}) for panel in (old, new))
    steps = [_steps(one) for one in (before, after)]
    if steps[0] != steps[1]:
        numbers = [re.findall(r"from ([^,]+)", one) for one in steps]
        yield Change(name, f"{'colours of ' * (numbers[0] == numbers[1])}thresholds changed", *steps)
    yield from _values(name, before, after, frozenset({"thresholds"}))
    overrides = [(panel.get("fieldConfig") or {}).get("overrides") or [] for panel in (old, new)]
    if overrides[0] != overrides[1]:
        yield Change(name, "overrides changed", _text(overrides[0]), _text(overrides[1]))


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
            yield Change(where, f"{at} changed", _text(one), _text(other))


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
