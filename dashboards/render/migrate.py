"""Older shapes of panels brought to today's, as Grafana itself does when it opens an old dashboard."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

# The Angular panels, gone since Grafana 12, and what Grafana opens them as.
_SUCCESSORS = {
    "graph": "timeseries",
    "singlestat": "stat",
    "grafana-singlestat-panel": "stat",
    "table-old": "table",
    "grafana-piechart-panel": "piechart",
}
_CALCS = {"avg": "mean", "current": "lastNotNull", "total": "sum"}


def migrate_panel(raw: Json) -> Json:
    """Return the panel in today's shape; the given one is not changed."""
    old = str(raw.get("type") or "")
    if old not in _SUCCESSORS:
        return raw
    new = raw | {"type": _SUCCESSORS[old]}
    if "fieldConfig" in raw and old != "graph":
        return new
    if old == "graph":
        return new | _from_graph(raw)
    if old in ("singlestat", "grafana-singlestat-panel"):
        return new | _from_singlestat(raw)
    return new


def _from_graph(raw: Json) -> Json:
    axis = (raw.get("yaxes") or [{}])[0]
    legend = raw.get("legend") or {}
    defaults: Json = {
        "unit": axis.get("format") or "short",
        "color": {"mode": "palette-classic"},
        "custom": {
            "drawStyle": "bars" if raw.get("bars") and not raw.get("lines", True) else "line",
            "lineWidth": raw.get("linewidth", 1),
            "fillOpacity": 10 * int(raw.get("fill") or 0),
            "lineInterpolation": "stepAfter" if raw.get("steppedLine") else "linear",
            "stacking": {"mode": "normal" if raw.get("stack") else "none", "group": "A"},
            "scaleDistribution": {"type": "log", "log": axis.get("logBase")}
            if int(axis.get("logBase") or 1) > 1
            else {"type": "linear"},
            "spanNulls": raw.get("nullPointMode") == "connected",
        },
    }
    for end in ("min", "max"):
        if axis.get(end) not in (None, ""):
            defaults[end] = float(axis[end])
    if axis.get("decimals") is not None:
        defaults["decimals"] = axis["decimals"]
    calcs = [
        _CALCS.get(key, key)
        for key in ("min", "max", "avg", "current", "total")
        if legend.get("values") and legend.get(key)
    ]
    overrides = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in (raw.get("aliasColors") or {}).items()
    ]
    return {
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": {
            "legend": {
                "showLegend": bool(legend.get("show", True)),
                "displayMode": "table" if legend.get("alignAsTable") else "list",
                "placement": "right" if legend.get("rightSide") else "bottom",
                "calcs": calcs,
            }
        },
    }


def _from_singlestat(raw: Json) -> Json:
    defaults: Json = {"unit": raw.get("format") or "none", "mappings": []}
    if raw.get("decimals") is not None:
        defaults["decimals"] = raw["decimals"]
    colours = raw.get("colors") or []
    values = [float(value) for value in str(raw.get("thresholds") or "").split(",") if value.strip()]
    if colours and values:
        bounds: list[float | None] = [None, *values]
        steps = [{"color": colour, "value": value} for colour, value in zip(colours, bounds, strict=False)]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    for mapping in raw.get("valueMaps") or []:
        given = mapping.get("value")
        if given == "null":
            option: Json = {"type": "special", "options": {"match": "null", "result": {"text": mapping.get("text")}}}
        else:
            option = {"type": "value", "options": {str(given): {"text": mapping.get("text")}}}
        defaults["mappings"].append(option)
    background = bool(raw.get("colorBackground"))
    gauge = (raw.get("gauge") or {}).get("show")
    reduction = {
        "calcs": [_CALCS.get(str(raw.get("valueName")), str(raw.get("valueName") or "mean"))],
        "fields": "",
        "values": False,
    }
    return {
        "type": "gauge" if gauge else "stat",
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {
            "reduceOptions": reduction,
            "colorMode": "background" if background else "value" if raw.get("colorValue") else "none",
            "graphMode": "area" if (raw.get("sparkline") or {}).get("show") else "none",
        },
    }
