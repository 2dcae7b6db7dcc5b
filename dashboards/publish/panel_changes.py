"""What changed of one panel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ml_monitoring.dashboards.publish.fields import field_changes
from ml_monitoring.dashboards.publish.panels import ROW, called, grid_of, kind_of
from ml_monitoring.dashboards.publish.sources import are_same, source_changes, source_of
from ml_monitoring.dashboards.publish.values import changed_query, changed_values, renamed_keys, text_of
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]

# What Grafana counts itself.
COUNTED: Final = frozenset({"pluginVersion"})
_APART: Final = COUNTED | {
    "gridPos",
    "panels",
    "targets",
    "fieldConfig",
    "datasource",
    "libraryPanel",
    "conditionalRendering",
    ROW,
}


def panel_changes(old: Json, new: Json) -> Iterator[Change]:
    """Return what changed of a panel, but for the row in which it is."""
    name = called(new)
    grids = grid_of(old), grid_of(new)
    words = [word for word, part in (("moved", slice(2)), ("resized", slice(2, 4))) if grids[0][part] != grids[1][part]]
    if words:
        yield Change(name, " and ".join(words), *map(_place, grids))
    conditions = [panel.get("conditionalRendering") for panel in (old, new)]
    if conditions[0] != conditions[1]:
        said = [_condition(one) for one in conditions]
        yield Change(name, "condition changed", *(said if said[0] != said[1] else map(text_of, conditions)))
    libraries = [_library(panel) for panel in (old, new)]
    if libraries[0] != libraries[1]:
        yield _library_change(name, *libraries)
        if not all(libraries):
            # What a library panel says is not in the file.
            return
    if not kind_of(new):
        yield from source_changes(name, source_of(old), source_of(new))
    yield from _query_changes(name, old, new)
    fields = ((one.get("fieldConfig") or {}) for one in (old, new))
    yield from field_changes(name, *fields, column="column" if new.get("type") == "table" else "series")
    # Rows are no panels that a link leads to; schema v2 gives them no id.
    yield from changed_values(name, old, new, _APART | ({"id"} if kind_of(new) else set()))


def _query_changes(name: str, old: Json, new: Json) -> Iterator[Change]:
    before, after = queries_of(old), queries_of(new)
    orders = [[ref_id for ref_id in one if ref_id in other] for one, other in ((before, after), (after, before))]
    if orders[0] != orders[1]:
        yield Change(name, "queries are in another order", *map(", ".join, orders))
    for ref_id, later in renamed_keys(before, after).items():
        yield Change(name, f"query {ref_id} is called {later} now")
        del before[ref_id], after[later]
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


def _condition(rendering: Any) -> str:
    """Return in words when a panel or row of schema v2 is shown."""
    if not rendering:
        return "always shown"
    group = rendering.get("spec") or {}
    items = [_item(str(one.get("kind")), one.get("spec") or {}) for one in group.get("items") or []]
    joined = f" {group.get('condition') or 'and'} ".join(items)
    return f"{'hidden' if group.get('visibility') == 'hide' else 'shown'} where {joined}"


def _item(kind: str, spec: Json) -> str:
    value = spec.get("value")
    if kind == "ConditionalRenderingVariable":
        return f"{spec.get('variable')} {spec.get('operator')} {value}"
    if kind == "ConditionalRenderingData":
        return "there is data" if value else "there is no data"
    if kind == "ConditionalRenderingTimeRangeSize":
        return f"the time range is less than {value}"
    return f"{kind} {text_of(spec)}"


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


def queries_of(panel: Json) -> dict[str, str]:
    """Return what each query of a panel asks, by its letter."""
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


def _place(grid: tuple[int, ...]) -> str:
    x, y, width, height = grid
    return f"{width}x{height} at {x},{y}"
