"""Dashboards of schema v2, as Grafana 12 and 13 save them, and the folders of a repository that Git Sync takes.

A page is generated in the classic model, which every supported Grafana reads; what is written here says the same in
`dashboard.grafana.app/v2beta1`, as Grafana itself converts it: rows become a layout of rows, places in a row count from
the row, and what a plugin of data sources has besides its query is kept as `legacyOptions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ml_monitoring.dashboards.publish.files import Json
from ml_monitoring.dashboards.render.formats import FOLDER_FILE, GROUP
from ml_monitoring.dashboards.render.schema_v2 import (
    CURSOR_SYNC,
    HIDE,
    INTERVALS,
    LEGACY_STRING,
    QUERY_OPTIONS,
    REFRESH,
    SORT,
    VARIABLES,
)

__all__ = ["FOLDER_FILE", "folder_resource", "resource"]

API_VERSION: Final = f"{GROUP}/v2beta1"
FOLDER_API_VERSION: Final = "folder.grafana.app/v1beta1"
_KINDS = {name: kind for kind, name in VARIABLES.items()}


def resource(dashboard: Json, folder: str = "") -> Json:
    """Return a classic dashboard as a resource of schema v2.

    Args:
        dashboard: The dashboard.
        folder: Uid of its folder; empty leaves the folder to whatever reads the file.
    """
    annotations = {"annotations": {"grafana.app/folder": folder}} if folder else {}
    return {
        "apiVersion": API_VERSION,
        "kind": "Dashboard",
        "metadata": {"name": dashboard["uid"], **annotations},
        "spec": _spec(dashboard),
    }


def folder_resource(uid: str, title: str) -> Json:
    """Return the content of `_folder.json`, by which Git Sync knows a folder's uid and title."""
    return {"apiVersion": FOLDER_API_VERSION, "kind": "Folder", "metadata": {"name": uid}, "spec": {"title": title}}


def _spec(dashboard: Json) -> Json:
    elements: Json = {}
    layout = _layout(dashboard["panels"], elements)
    spec: Json = {
        "title": dashboard["title"],
        "tags": dashboard.get("tags") or [],
        "links": dashboard.get("links") or [],
        "cursorSync": CURSOR_SYNC[int(dashboard.get("graphTooltip") or 0)],
        "preload": bool(dashboard.get("preload")),
        "timeSettings": _time_settings(dashboard),
        "variables": [_variable(one) for one in (dashboard.get("templating") or {}).get("list") or []],
        "annotations": [_annotation(one) for one in (dashboard.get("annotations") or {}).get("list") or []],
        "elements": elements,
        "layout": layout,
    }
    return spec | {
        name: dashboard[name] for name in ("description", "editable", "liveNow", "revision") if name in dashboard
    }


def _time_settings(dashboard: Json) -> Json:
    picker, time = dashboard.get("timepicker") or {}, dashboard.get("time") or {}
    settings: Json = {
        "from": time.get("from") or "now-6h",
        "to": time.get("to") or "now",
        "timezone": dashboard.get("timezone") or "browser",
        "autoRefresh": dashboard.get("refresh") or "",
        "autoRefreshIntervals": picker.get("refresh_intervals") or INTERVALS,
        "hideTimepicker": bool(picker.get("hidden")),
        "fiscalYearStartMonth": int(dashboard.get("fiscalYearStartMonth") or 0),
    }
    optional = {
        "weekStart": dashboard.get("weekStart"),
        "quickRanges": picker.get("quick_ranges"),
        "nowDelay": picker.get("nowDelay"),
    }
    return settings | {name: value for name, value in optional.items() if value}


# Layout


def _layout(panels: list[Json], elements: Json) -> Json:
    if not any(panel["type"] == "row" for panel in panels):
        return _grid([_item(panel, 0, elements) for panel in panels])
    rows: list[Json] = []
    top = -1
    for panel in panels:
        if panel["type"] == "row":
            top = panel["gridPos"]["y"]
            rows.append(_row(panel, [_item(child, top + 1, elements) for child in panel.get("panels") or []]))
            continue
        if not rows:
            # Panels above the first row stand in one without a heading.
            rows.append(_row({"title": "", "collapsed": False}, [], hidden=True))
        rows[-1]["spec"]["layout"]["spec"]["items"].append(_item(panel, top + 1, elements))
    return {"kind": "RowsLayout", "spec": {"rows": rows}}


def _row(panel: Json, items: list[Json], *, hidden: bool = False) -> Json:
    spec: Json = {"title": panel.get("title") or "", "collapse": bool(panel.get("collapsed")), "layout": _grid(items)}
    if hidden:
        spec["hideHeader"] = True
    if panel.get("repeat"):
        spec["repeat"] = {"mode": "variable", "value": panel["repeat"]}
    return {"kind": "RowsLayoutRow", "spec": spec}


def _grid(items: list[Json]) -> Json:
    return {"kind": "GridLayout", "spec": {"items": items}}


def _item(panel: Json, top: int, elements: Json) -> Json:
    name = f"panel-{panel['id']}"
    elements[name] = _element(panel)
    place = panel["gridPos"]
    spec: Json = {
        "x": place["x"],
        "y": place["y"] - top,
        "width": place["w"],
        "height": place["h"],
        "element": {"kind": "ElementReference", "name": name},
    }
    if panel.get("repeat"):
        repeat = {"mode": "variable", "value": panel["repeat"]}
        optional = {"direction": panel.get("repeatDirection"), "maxPerRow": panel.get("maxPerRow")}
        spec["repeat"] = repeat | {key: value for key, value in optional.items() if value}
    return {"kind": "GridLayoutItem", "spec": spec}


# Panels


def _element(panel: Json) -> Json:
    source = panel.get("datasource") or {}
    queries = [_panel_query(target, source) for target in panel.get("targets") or []]
    options = {name: panel[name] for name in QUERY_OPTIONS if panel.get(name) is not None}
    spec: Json = {
        "id": panel["id"],
        "title": panel.get("title") or "",
        "description": panel.get("description") or "",
        "links": [
            {key: link[key] for key in ("title", "url", "targetBlank") if key in link}
            for link in panel.get("links") or []
        ],
        "data": {
            "kind": "QueryGroup",
            "spec": {
                "queries": queries,
                "transformations": [
                    {"kind": one["id"], "spec": {"options": {}, **one}} for one in panel.get("transformations") or []
                ],
                "queryOptions": options,
            },
        },
        "vizConfig": {
            "kind": "VizConfig",
            "group": panel["type"],
            "version": panel.get("pluginVersion") or "",
            "spec": {
                "options": panel.get("options") or {},
                "fieldConfig": panel.get("fieldConfig") or {"defaults": {}, "overrides": []},
            },
        },
    }
    return {"kind": "Panel", "spec": spec | ({"transparent": True} if panel.get("transparent") else {})}


def _panel_query(target: Json, source: Json) -> Json:
    rest = {key: value for key, value in target.items() if key not in ("refId", "hide", "datasource")}
    query = _query(target.get("datasource") or source, rest)
    spec = {"refId": target["refId"], "hidden": bool(target.get("hide")), "query": query}
    return {"kind": "PanelQuery", "spec": spec}


def _query(source: Json, spec: Json) -> Json:
    name = {"datasource": {"name": source["uid"]}} if source.get("uid") else {}
    return {"kind": "DataQuery", "group": source.get("type") or "", "version": "v0", **name, "spec": spec}


# Variables and annotations

_COMMON = ("name", "label", "skipUrlSync", "description")
_CHOICE = ("current", "options", "multi", "includeAll", "allValue", "allowCustomValue")
# What each kind of variable has besides what all have; the values of v2 for what the classic model leaves out.
_KEYS: dict[str, tuple[str, ...]] = {
    "query": (
        *_CHOICE,
        "refresh",
        "regex",
        "regexApplyTo",
        "sort",
        "definition",
        "query",
        "staticOptions",
        "staticOptionsOrder",
    ),
    "datasource": (*_CHOICE, "refresh", "regex"),
    "custom": (*_CHOICE, "query", "valuesFormat"),
    "textbox": ("current", "query"),
    "constant": ("current", "query"),
    "interval": ("current", "options", "query", "auto", "auto_min", "auto_count"),
    "adhoc": ("baseFilters", "filters", "defaultKeys", "allowCustomValue"),
    "groupby": ("current", "options", "multi", "defaultValue"),
}
_DEFAULTS: dict[str, Any] = {
    "current": {"text": "", "value": ""}, "options": [], "multi": False, "includeAll": False, "allowCustomValue": True,
    "refresh": 0, "regex": "", "sort": 0, "query": "", "auto": False, "auto_min": "10s", "auto_count": 30,
    "baseFilters": [], "filters": [], "defaultKeys": [],
}  # fmt: skip
_WORDS: dict[str, Callable[[Any], str]] = {
    "refresh": lambda value: REFRESH[int(value or 0)],
    "sort": lambda value: SORT[int(value or 0)],
}


def _variable(one: Json) -> Json:
    kind = one["type"]
    if kind not in _KEYS:
        raise ValueError(f"variable {one.get('name')}: schema v2 has no variable of type {kind}")
    spec: Json = {"skipUrlSync": False, "hide": HIDE[int(one.get("hide") or 0)]}
    spec |= {key: one[key] for key in _COMMON if key in one}
    for key in _KEYS[kind]:
        if key in one or key in _DEFAULTS:
            value = one.get(key, _DEFAULTS.get(key))
            spec[key] = _WORDS[key](value) if key in _WORDS else value
    outer: Json = {"kind": _KINDS[kind]}
    source = one.get("datasource") or {}
    if kind == "query":
        query = one.get("query")
        spec["query"] = _query(source, query if isinstance(query, dict) else {LEGACY_STRING: str(query or "")})
    elif kind == "datasource":
        spec["pluginId"] = one["query"]
    elif kind == "interval":
        spec["refresh"] = "onTimeRangeChanged"
    elif kind in ("adhoc", "groupby"):
        outer["group"] = source.get("type") or ""
        outer |= {"datasource": {"name": source["uid"]}} if source.get("uid") else {}
    return outer | {"spec": spec}


def _annotation(one: Json) -> Json:
    own = ("enable", "hide", "iconColor", "name", "datasource", "builtIn", "filter", "target")
    legacy = {key: value for key, value in one.items() if key not in own}
    query = dict(one.get("target") or {})
    if one.get("expr"):
        # Where Grafana's plugin for Prometheus looks since 12; before, it reads the legacy options.
        query |= {"expr": one["expr"], "refId": "Anno", **({"interval": one["step"]} if one.get("step") else {})}
    spec: Json = {
        "name": one["name"],
        "enable": bool(one.get("enable", True)),
        "hide": bool(one.get("hide")),
        "iconColor": one.get("iconColor") or "",
        "query": _query(one.get("datasource") or {}, query),
    }
    if one.get("builtIn"):
        spec["builtIn"] = True
    if one.get("filter"):
        spec["filter"] = one["filter"]
    if legacy:
        spec["legacyOptions"] = legacy
    return {"kind": "AnnotationQuery", "spec": spec}
