"""Dashboards of schema v2 (Grafana 12 and 13) as the classic model that everything else here reads.

Its elements are panels, its layout says where they are. Read are `v2alpha1`, `v2beta1` and `v2`, which write the names
of plugins in different places. Tabs become rows. What the classic model has no word for (conditions, the settings of
layouts) stays under the word of v2, for a comparison: nothing that a page says is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from ml_monitoring.dashboards.render.spelling import ASKED, with_query

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
# How often Grafana offers to refresh a page that does not say it.
INTERVALS = ["5s", "10s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "1d"]
# Layouts of which the classic model has all, or whose parts say it.
_PLAIN = (None, "GridLayout", "RowsLayout", "TabsLayout")
_TIME = ("from", "to", "timezone", "hideTimepicker", "autoRefresh", "weekStart", "fiscalYearStartMonth")
_REPEAT = {"value": "repeat", "direction": "repeatDirection", "maxPerRow": "maxPerRow", "mode": "repeatMode"}
_TIMEPICKER = {"autoRefreshIntervals": "refresh_intervals", "quickRanges": "quick_ranges"}
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
    result |= _rest(spec, *result, "cursorSync", "timeSettings", "variables", "elements", "layout")
    if not result.get("preload"):
        result.pop("preload", None)
    if settings.get("autoRefresh"):
        result["refresh"] = settings["autoRefresh"]
    if settings.get("autoRefreshIntervals") == INTERVALS:
        settings = _rest(settings, "autoRefreshIntervals")
    result["timepicker"] |= {_TIMEPICKER.get(key, key): value for key, value in _rest(settings, *_TIME).items()}
    for name in ("weekStart", "fiscalYearStartMonth"):
        if settings.get(name):
            result[name] = settings[name]
    layout, elements = spec.get("layout") or {}, spec.get("elements") or {}
    unused = [_content(elements[name]) for name in sorted(elements.keys() - _shown(layout))]
    return result | _layout(layout) | _rest({"unused elements": unused})


def _rest(given: Mapping[str, Any], *known: str) -> Json:
    """Return what something says besides these keys."""
    return {key: value for key, value in given.items() if key not in known and value not in (None, "", [], {})}


def _place(words: tuple[str, ...], word: Any) -> int:
    """Return the number of a word; that of one that is not known follows."""
    return words.index(word) if word in words else len(words) if word else 0


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
    if "rows" in inside or "tabs" in inside:
        return _rows([*(inside.get("rows") or []), *(inside.get("tabs") or [])], elements, ids, top)
    is_auto = layout.get("kind") == "AutoGridLayout"
    items = _auto_grid(inside) if is_auto else [one["spec"] for one in inside.get("items") or []]
    return [_panel(item, elements, top) for item in items if item["element"]["name"] in elements]


def _shown(layout: Mapping[str, Any]) -> set[str]:
    """Return the names of the elements of a layout, and of those within it."""
    inside = layout.get("spec") or {}
    parts = [*(inside.get("rows") or []), *(inside.get("tabs") or [])]
    own = {item["spec"]["element"]["name"] for item in inside.get("items") or []}
    return own.union(*(_shown(part["spec"].get("layout") or {}) for part in parts))


def _layout(layout: Mapping[str, Any]) -> Json:
    """Return what a layout says besides its parts."""
    kind = {} if layout.get("kind") in _PLAIN else {"kind": layout.get("kind")}
    return _rest({"layout": kind | _rest(layout.get("spec") or {}, "items", "rows", "tabs")})


def _rows(rows: list[Json], elements: Mapping[str, Any], ids: Iterator[int], top: int) -> list[Json]:
    found: list[Json] = []
    y = top
    for one in rows:
        row = one["spec"]
        shown = not row.get("hideHeader")
        said = _rest(row, "title", "collapse", "layout", "repeat", "hideHeader")
        said |= _repeat(row.get("repeat") or {}) | _layout(row.get("layout") or {})
        panels = _placed(row.get("layout") or {}, elements, ids, y + shown)
        bottom = max((_bottom(panel) for panel in panels), default=y + shown)
        folded = shown and bool(row.get("collapse"))
        # Panels above the first row stand in one that says nothing.
        if shown or row.get("title") or said:
            head: Json = {
                "type": "row",
                "id": next(ids),
                "title": row.get("title") or "",
                "collapsed": bool(row.get("collapse")),
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": int(shown)},
                # Rows in a folded one stand beside their panels.
                "panels": [*chain.from_iterable(map(_unfolded, panels))] if folded else [],
            }
            marks = {"hideHeader": not shown, "tab": one.get("kind") == "TabsLayoutTab"}
            found.append(head | said | {name: True for name, is_so in marks.items() if is_so})
        found += [] if folded else panels
        y = y + 1 if folded else bottom
    return found


def _unfolded(panel: Json) -> list[Json]:
    return [panel | {"panels": []}, *panel["panels"]] if panel.get("panels") else [panel]


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


def _repeat(repeat: Mapping[str, Any]) -> Json:
    # There is no other mode than by a variable.
    return {
        _REPEAT.get(key, key): value for key, value in _rest(repeat).items() if (key, value) != ("mode", "variable")
    }


# Panels


def _panel(item: Mapping[str, Any], elements: Mapping[str, Any], top: int) -> Json:
    panel = _content(elements[item["element"]["name"]])
    panel["gridPos"] = {"x": item["x"], "y": top + int(item["y"]), "w": item["width"], "h": item["height"]}
    return panel | _rest(item, "x", "y", "width", "height", "element", "repeat") | _repeat(item.get("repeat") or {})


def _content(element: Mapping[str, Any]) -> Json:
    return _library_panel(element["spec"]) if element.get("kind") == "LibraryPanel" else _drawn(element["spec"])


def _library_panel(spec: Mapping[str, Any]) -> Json:
    # Its content is in Grafana, not in the file.
    return {**spec, "type": "library-panel", "title": spec.get("title") or ""}


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
    panel |= _rest(spec, *panel, "data", "vizConfig")
    panel |= _rest(inside, "options", "fieldConfig")
    panel |= _rest(group, "queries", "transformations", "queryOptions")
    panel |= _rest(group.get("queryOptions") or {})
    if targets:
        panel["targets"] = targets
        panel["datasource"] = targets[0]["datasource"]
    if visual.get("version"):
        panel.setdefault("pluginVersion", visual["version"])
    return panel


def _target(spec: Mapping[str, Any]) -> Json:
    query = spec.get("query") or {}
    return {
        **(query.get("spec") or {}),
        **_rest(spec, "query", "hidden"),
        **_besides(query),
        "refId": spec.get("refId") or "A",
        "hide": bool(spec.get("hidden")),
        "datasource": spec.get("datasource") or _source(query),
    }


def _besides(query: Mapping[str, Any]) -> Json:
    """Return what a query says besides what it asks of which data source."""
    version = {} if query.get("version") in (None, "", "v0") else {"version": query["version"]}
    return version | _rest(query, "kind", "group", "version", "datasource", "spec")


def _source(query: Mapping[str, Any]) -> Json:
    """Return the data source of a query: its type is the query's group (its kind before v2beta1), its uid the name."""
    kind = query.get("group") if query.get("kind") in ("DataQuery", None) or "group" in query else query.get("kind")
    name = (query.get("datasource") or {}).get("name")
    return {"type": kind or "", **({"uid": name} if name else {})}


def _transformation(one: Mapping[str, Any]) -> Json:
    # v2 has the id in `group`, v2beta1 in the kind and the spec.
    return {"id": one.get("group") or one.get("kind"), **(one.get("spec") or {}), **_rest(one, "kind", "group", "spec")}


# Variables and annotations


def _variable(one: Mapping[str, Any]) -> Json:
    spec = dict(one.get("spec") or {})
    variable: Json = {
        **spec,
        **_rest(one, "kind", "spec", "group", "datasource"),
        "type": VARIABLES.get(str(one.get("kind")), str(one.get("kind"))),
    }
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
        variable["query"] = inside[LEGACY_STRING] if inside.keys() == {LEGACY_STRING} else inside
        variable["datasource"] = spec.get("datasource") or _source(query)
        variable |= _besides(query)
    if variable["type"] in ("adhoc", "groupby") and (one.get("group") or one.get("datasource")):
        variable["datasource"] = _source({"kind": "DataQuery", **one})
    if variable["type"] == "switch":
        # A switch is a choice of two for everything that reads variables.
        values = [str(spec.get(name) or "") for name in ("enabledValue", "disabledValue")]
        current = {"text": spec.get("current"), "value": spec.get("current")}
        variable |= {"type": "custom", "query": ",".join(values), "current": current}
    return variable


def _annotation(spec: Mapping[str, Any]) -> Json:
    query, legacy = spec.get("query") or {}, spec.get("legacyOptions") or {}
    annotation: Json = {
        **legacy,
        "datasource": spec.get("datasource") or _source(query),
        **_rest(spec, "query", "datasource", "builtIn", "legacyOptions"),
        **_besides(query),
    }
    if spec.get("builtIn"):
        annotation["builtIn"] = 1
    read = with_query(annotation | _rest({"target": query.get("spec")}))
    # Of two queries, Grafana asks the one that is no legacy.
    return read | {f"legacyOptions.{key}": legacy[key] for key in ASKED if key in legacy and legacy[key] != read[key]}
