"""Dashboards of schema v2 (Grafana 12 and 13) as the classic model that everything else here reads.

Its elements are panels, its layout says where they are. Read are `v2alpha1`, `v2beta1` and `v2`, which write the names
of plugins in different places. What the classic model has no word for (conditions, tabs) is left out or becomes rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]

COLUMNS = 24
CURSOR_SYNC = ("Off", "Crosshair", "Tooltip")
HIDE = ("dontHide", "hideLabel", "hideVariable", "inControlsMenu")
REFRESH = ("never", "onDashboardLoad", "onTimeRangeChanged")
SORT = (
    "disabled", "alphabeticalAsc", "alphabeticalDesc", "numericalAsc", "numericalDesc",
    "alphabeticalCaseInsensitiveAsc", "alphabeticalCaseInsensitiveDesc", "naturalAsc", "naturalDesc",
)  # fmt: skip
VARIABLES = {
    "QueryVariable": "query", "DatasourceVariable": "datasource", "CustomVariable": "custom", "TextVariable": "textbox",
    "ConstantVariable": "constant", "IntervalVariable": "interval", "AdhocVariable": "adhoc",
    "GroupByVariable": "groupby", "SwitchVariable": "switch",
}  # fmt: skip
# Where a query was a text, which v2 has no room for.
LEGACY_STRING = "__legacyStringValue"
QUERY_OPTIONS = (
    "timeFrom", "timeShift", "maxDataPoints", "interval", "cacheTimeout", "queryCachingTTL", "hideTimeOverride",
    "timeCompare",
)  # fmt: skip
# Heights of the rows of an automatic grid in units of the classic one.
_AUTO_HEIGHTS = {"short": 5, "standard": 9, "tall": 14}
_UNIT = 38


def classic(spec: Mapping[str, Any], uid: str) -> Json:
    """Return a v2 spec as a classic dashboard."""
    settings = spec.get("timeSettings") or {}
    result: Json = {
        "uid": uid,
        "title": spec.get("title") or uid,
        "tags": list(spec.get("tags") or []),
        "links": [dict(link) for link in spec.get("links") or []],
        "graphTooltip": _place(CURSOR_SYNC, spec.get("cursorSync")),
        "time": {"from": settings.get("from") or "now-6h", "to": settings.get("to") or "now"},
        "timezone": settings.get("timezone") or "browser",
        "timepicker": {"hidden": bool(settings.get("hideTimepicker"))},
        "templating": {"list": [_variable(one) for one in spec.get("variables") or []]},
        "annotations": {"list": [_annotation(one["spec"]) for one in spec.get("annotations") or []]},
        "panels": _panels(spec),
    }
    for name in ("description", "editable", "liveNow", "preload", "revision"):
        if spec.get(name) not in (None, "") and (name != "preload" or spec[name]):
            result[name] = spec[name]
    if settings.get("autoRefresh"):
        result["refresh"] = settings["autoRefresh"]
    if settings.get("autoRefreshIntervals") is not None:
        result["timepicker"]["refresh_intervals"] = list(settings["autoRefreshIntervals"])
    for source, target in (("quickRanges", "quick_ranges"), ("nowDelay", "nowDelay")):
        if settings.get(source):
            result["timepicker"][target] = settings[source]
    for name in ("weekStart", "fiscalYearStartMonth"):
        if settings.get(name):
            result[name] = settings[name]
    return result


def _place(words: tuple[str, ...], word: Any) -> int:
    return words.index(word) if word in words else 0


# Layout


def _panels(spec: Mapping[str, Any]) -> list[Json]:
    elements = spec.get("elements") or {}
    used = [int((one.get("spec") or {}).get("id") or 0) for one in elements.values()]
    # Rows have no id in v2; theirs follow those of the panels.
    ids = iter(range(max(used, default=0) + 1, max(used, default=0) + 100_000))
    return _placed(spec.get("layout") or {}, elements, ids, 0)


def _placed(layout: Mapping[str, Any], elements: Mapping[str, Any], ids: Iterator[int], top: int) -> list[Json]:
    """Return the panels and rows of a layout that begins at this line of the grid."""
    inside = layout.get("spec") or {}
    kind = layout.get("kind")
    if kind == "RowsLayout":
        return _rows(inside.get("rows") or [], elements, ids, top)
    if kind == "TabsLayout":
        return _rows(inside.get("tabs") or [], elements, ids, top)
    if kind == "AutoGridLayout":
        items = _auto_grid(inside)
    else:
        items = [one["spec"] for one in inside.get("items") or [] if one.get("kind") == "GridLayoutItem"]
    return [_panel(item, elements, top) for item in items if item["element"]["name"] in elements]


def _rows(rows: list[Json], elements: Mapping[str, Any], ids: Iterator[int], top: int) -> list[Json]:
    found: list[Json] = []
    y = top
    for one in rows:
        row = one["spec"]
        shown = not row.get("hideHeader")
        panels = _placed(row.get("layout") or {}, elements, ids, y + shown)
        bottom = max((_bottom(panel) for panel in panels), default=y + shown)
        if not shown:
            found += panels
            y = bottom
            continue
        collapsed = bool(row.get("collapse"))
        head: Json = {
            "type": "row",
            "id": next(ids),
            "title": row.get("title") or "",
            "collapsed": collapsed,
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
            "panels": panels if collapsed else [],
        }
        if row.get("repeat"):
            head["repeat"] = row["repeat"].get("value")
        found += [head] if collapsed else [head, *panels]
        y = y + 1 if collapsed else bottom
    return found


def _bottom(panel: Json) -> int:
    return int(panel["gridPos"]["y"]) + int(panel["gridPos"]["h"])


def _auto_grid(grid: Mapping[str, Any]) -> list[Json]:
    columns = max(1, min(int(grid.get("maxColumnCount") or 3), COLUMNS))
    width = COLUMNS // columns
    custom = round(float(grid.get("rowHeight") or 320) / _UNIT)
    height = _AUTO_HEIGHTS.get(str(grid.get("rowHeightMode")), custom) or 1
    return [
        {**one["spec"], "x": place % columns * width, "y": place // columns * height, "width": width, "height": height}
        for place, one in enumerate(grid.get("items") or [])
    ]


# Panels


def _panel(item: Mapping[str, Any], elements: Mapping[str, Any], top: int) -> Json:
    element = elements[item["element"]["name"]]
    panel = _library_panel(element["spec"]) if element.get("kind") == "LibraryPanel" else _drawn(element["spec"])
    panel["gridPos"] = {"x": item["x"], "y": top + int(item["y"]), "w": item["width"], "h": item["height"]}
    repeat = item.get("repeat")
    if repeat:
        panel["repeat"] = repeat.get("value")
        for source, target in (("direction", "repeatDirection"), ("maxPerRow", "maxPerRow")):
            if repeat.get(source):
                panel[target] = repeat[source]
    return panel


def _library_panel(spec: Mapping[str, Any]) -> Json:
    # Its content is in Grafana, not in the file.
    title = spec.get("title") or ""
    return {"id": spec.get("id"), "type": "library-panel", "title": title, "libraryPanel": spec.get("libraryPanel")}


def _drawn(spec: Mapping[str, Any]) -> Json:
    visual = spec.get("vizConfig") or {}
    inside = visual.get("spec") or {}
    group = (spec.get("data") or {}).get("spec") or {}
    targets = [_target(one["spec"]) for one in group.get("queries") or []]
    panel: Json = {
        "id": spec.get("id"),
        # Before v2beta1, the plugin stood where the kind of thing does now.
        "type": visual.get("group") or visual.get("kind"),
        "title": spec.get("title") or "",
        "links": [dict(link) for link in spec.get("links") or []],
        "options": inside.get("options") or {},
        "fieldConfig": inside.get("fieldConfig") or {"defaults": {}, "overrides": []},
        "transformations": [_transformation(one) for one in group.get("transformations") or []],
        "transparent": bool(spec.get("transparent")),
    }
    if spec.get("description"):
        panel["description"] = spec["description"]
    if targets:
        panel["targets"] = targets
        panel["datasource"] = targets[0]["datasource"]
    options = group.get("queryOptions") or {}
    panel.update({name: options[name] for name in QUERY_OPTIONS if options.get(name) is not None})
    if inside.get("pluginVersion") or visual.get("version"):
        panel["pluginVersion"] = inside.get("pluginVersion") or visual.get("version")
    return panel


def _target(spec: Mapping[str, Any]) -> Json:
    query = spec.get("query") or {}
    source = spec.get("datasource") or _source(query)
    return {
        **(query.get("spec") or {}),
        "refId": spec.get("refId") or "A",
        "hide": bool(spec.get("hidden")),
        "datasource": source,
    }


def _source(query: Mapping[str, Any]) -> Json:
    """Return the data source of a query: its type is the query's group (its kind before v2beta1), its uid the name."""
    kind = query.get("group") if query.get("kind") in ("DataQuery", None) or "group" in query else query.get("kind")
    name = (query.get("datasource") or {}).get("name")
    return {"type": kind or "", **({"uid": name} if name else {})}


def _transformation(one: Mapping[str, Any]) -> Json:
    # v2 has the id in `group`, v2beta1 in the kind and the spec.
    return {"id": one.get("group") or one.get("kind"), **(one.get("spec") or {})}


# Variables and annotations


def _variable(one: Mapping[str, Any]) -> Json:
    spec = dict(one.get("spec") or {})
    variable: Json = {**spec, "type": VARIABLES.get(str(one.get("kind")), str(one.get("kind")))}
    variable["hide"] = _place(HIDE, spec.get("hide"))
    if "refresh" in spec:
        variable["refresh"] = _place(REFRESH, spec["refresh"])
    if "sort" in spec:
        variable["sort"] = _place(SORT, spec["sort"])
    if variable["type"] == "datasource":
        variable["query"] = variable.pop("pluginId", "")
    if variable["type"] == "query":
        query = spec.get("query") or {}
        inside = query.get("spec") or {}
        variable["query"] = inside.get(LEGACY_STRING, inside)
        variable["datasource"] = spec.get("datasource") or _source(query)
    if variable["type"] in ("adhoc", "groupby") and (one.get("group") or one.get("datasource")):
        variable["datasource"] = _source({"kind": "DataQuery", **one})
    if variable["type"] == "switch":
        # A switch is a choice of two for everything that reads variables.
        values = [str(spec.get(name) or "") for name in ("enabledValue", "disabledValue")]
        current = {"text": spec.get("current"), "value": spec.get("current")}
        variable |= {"type": "custom", "query": ",".join(values), "current": current}
    return variable


def _annotation(spec: Mapping[str, Any]) -> Json:
    query = spec.get("query") or {}
    inside = query.get("spec") or {}
    annotation: Json = {
        **(spec.get("legacyOptions") or {}),
        "datasource": spec.get("datasource") or _source(query),
        **{name: spec[name] for name in ("enable", "hide", "iconColor", "name", "filter") if name in spec},
    }
    if spec.get("builtIn"):
        annotation["builtIn"] = 1
    if inside and "expr" not in annotation:
        annotation["target"] = inside
        annotation.update(
            {ours: inside[theirs] for ours, theirs in (("expr", "expr"), ("step", "interval")) if inside.get(theirs)}
        )
    return annotation
