"""The panels of a page from top to bottom, each with its row, and which is which in two versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ml_monitoring.dashboards.publish.values import matched

Json = dict[str, Any]

# Of a panel: the key of its row.
ROW: Final = "its row"


def panels_of(dashboard: Json) -> dict[str, Json]:
    """Return all panels from top to bottom, by what they are recognised by: the id where it is unique, else the title.

    Rows go by their title, since schema v2 gives them no id.
    """
    listed = dashboard.get("panels") or []
    if all(panel.get("gridPos") for panel in listed):
        # As Grafana does when it opens a page, whatever their order in the file.
        listed = sorted(listed, key=lambda panel: (grid_of(panel)[1], grid_of(panel)[0]))
    ids = Counter(
        panel.get("id") for one in listed for panel in (one, *(one.get("panels") or [])) if not kind_of(panel)
    )
    found: dict[str, Json] = {}
    row = ""
    for panel in listed:
        key = _key(panel, ids, found)
        found[key] = panel if kind_of(panel) or not row else {**panel, ROW: row}
        for inner in panel.get("panels") or []:
            found[_key(inner, ids, found)] = {**inner, ROW: key}
        if kind_of(panel):
            # Below a folded row are only the panels in it.
            row = "" if is_folded(panel) else key
    return found


def same_panels(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, str]:
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


def is_folded(row: Json) -> bool:
    """Tell whether what is in a row is out of sight."""
    return bool(row.get("collapsed") or row.get("panels"))


def called(panel: Json) -> str:
    """Return what a panel or a row is called."""
    return f"{kind_of(panel)}{name_of(panel)}"


def name_of(panel: Json) -> str:
    """Return the title of a panel, or its number."""
    return str(panel.get("title") or f"panel {panel.get('id')}")


def kind_of(panel: Json) -> str:
    """Return the word before the name of a row; nothing for a panel."""
    return "row " if panel.get("type") == "row" else ""


def grid_of(panel: Json) -> tuple[int, ...]:
    """Return where a panel is, and how wide and high."""
    grid = panel.get("gridPos") or {}
    return tuple(int(grid.get(key) or 0) for key in ("x", "y", "w", "h"))


def _left(
    before: Mapping[str, Json], after: Mapping[str, Json], found: Mapping[str, str], known_by: Callable[[Json], Any]
) -> Iterator[dict[str, Any]]:
    """Yield by what the panels of both sides are known that were not found yet."""
    for panels, taken in ((before, found.keys()), (after, {*found.values()})):
        yield {key: known_by(panel) for key, panel in panels.items() if key not in taken}


def _content(panel: Json) -> Any:
    """Return what a panel says, in whatever place and by whatever name; of rows their titles."""
    if kind_of(panel):
        return _sort(panel)
    return {key: panel[key] for key in panel if key not in ("id", "title", "gridPos", ROW)}


def _rows(panels: Mapping[str, Json]) -> dict[str, set[tuple[str, str]]]:
    """Return what is below each row."""
    found: dict[str, set[tuple[str, str]]] = {key: set() for key, panel in panels.items() if kind_of(panel)}
    for panel in panels.values():
        if ROW in panel:
            found[panel[ROW]].add(_sort(panel))
    return found


def _sort(panel: Json) -> tuple[str, str]:
    return str(panel.get("type")), name_of(panel)


def _key(panel: Json, ids: Mapping[Any, int], found: Mapping[str, Json]) -> str:
    if not kind_of(panel) and panel.get("id") and ids[panel["id"]] == 1:
        return f"id {panel['id']}"
    name = f"{panel.get('type')} {panel.get('title')}"
    return f"{name} {sum(key.startswith(name) for key in found)}"
