"""The one step from grafanalib's JSON to what Grafana 9.4 to 13 read without migrating.

It removes the known defects of grafanalib 0.7.1: keys of Grafana 4 to 8 that nothing reads, nulls that newer readers
refuse, and defaults that a reader takes for a decision.
"""

from __future__ import annotations

from typing import Any, Final

from ml_monitoring.dashboards.lib.upstream import Json

DEAD_DASHBOARD_KEYS: Final = frozenset({"__inputs", "gnetId", "hideControls", "rows", "sharedCrosshair", "style"})
DEAD_PANEL_KEYS: Final = frozenset(
    # A fixed maxDataPoints makes the step of a wide panel coarse; Grafana takes the width in pixels instead.
    {"cacheTimeout", "editable", "error", "height", "hideTimeOverride", "maxDataPoints", "minSpan", "span"}
)
DEAD_TARGET_KEYS: Final = frozenset({"intervalFactor", "metric", "query", "step", "target", "interval"})
DEAD_VARIABLE_KEYS: Final = frozenset({"auto", "auto_count", "auto_min", "tagValuesQuery", "tagsQuery", "useTags"})
DEAD_TIME_PICKER_KEYS: Final = frozenset({"nowDelay", "time_options"})

# All that a row has; grafanalib gives it the keys of a panel.
ROW_KEYS: Final = ("collapsed", "gridPos", "id", "panels", "title", "type")


def finalise(dashboard: Json) -> Json:
    """Return the dashboard without grafanalib's defects; the argument is left as it is."""
    clean = _without(dashboard, DEAD_DASHBOARD_KEYS | {"id"})
    clean["panels"] = [_panel(panel) for panel in dashboard["panels"]]
    clean["templating"] = {"list": [_variable(variable) for variable in dashboard["templating"]["list"]]}
    clean["timepicker"] = _without(dashboard["timepicker"], DEAD_TIME_PICKER_KEYS)
    # Provisioning overwrites whatever version the database holds; a constant keeps the file stable.
    clean["version"] = 1
    pruned: Json = _without_nulls(clean)
    return pruned


def _panel(panel: Json) -> Json:
    if panel["type"] == "row":
        row = {key: panel[key] for key in ROW_KEYS}
        return row | {"panels": [_panel(child) for child in panel["panels"]]}
    clean = _without(panel, DEAD_PANEL_KEYS)
    clean["fieldConfig"] = _field_config(panel["fieldConfig"])
    clean["targets"] = [_target(target) for target in panel["targets"]]
    if clean["targets"]:
        # A panel without a data source of its own asks Grafana's default one.
        clean["datasource"] = panel["targets"][0]["datasource"]
    else:
        del clean["targets"]
    return clean


def _field_config(config: Json) -> Json:
    defaults = dict(config["defaults"])
    if not defaults.get("thresholds", {}).get("steps"):
        # No steps, or the string "" of a Stat: Grafana would read them as "no colour at all".
        defaults.pop("thresholds", None)
    if "color" in defaults and (defaults["color"] or {}).get("mode") != "fixed":
        defaults["color"] = _without(defaults["color"] or {}, frozenset({"fixedColor"})) or None
    return {"defaults": defaults, "overrides": config.get("overrides", [])}


def _target(target: Json) -> Json:
    clean = _without(target, DEAD_TARGET_KEYS)
    if "rawSql" in target:
        return {key: clean[key] for key in ("datasource", "refId", "format", "rawSql")} | {
            "rawQuery": True,
            "editorMode": "code",
        }
    if target["datasource"]["type"] == "loki":
        # Loki's queries have a type where Prometheus' have a format.
        legend = {"legendFormat": clean["legendFormat"]} if clean["legendFormat"] else {}
        return {key: clean[key] for key in ("datasource", "expr", "refId")} | {
            "queryType": "instant" if target["format"] == "logs-instant" else "range",
            "editorMode": "code",
            **legend,
        }
    # Without `range` a query that is not instant is none at all to some versions.
    return clean | {"editorMode": "code", "range": not target["instant"]}


def _variable(variable: Json) -> Json:
    clean = _without(variable, DEAD_VARIABLE_KEYS) | {"skipUrlSync": False, "regex": variable["regex"] or ""}
    if variable["type"] == "datasource":
        clean["current"] = {"selected": True, "text": "default", "value": "default"}
        return clean
    if variable["type"] == "textbox":
        return clean | {"current": {"selected": True, "text": "", "value": ""}}
    if variable["datasource"]["type"] == "loki":
        # Loki's own form; 1 means values of a label.
        label = variable["query"]
        clean["query"] = {"label": label, "stream": "", "type": 1, "refId": "LokiVariableQueryEditor-VariableQuery"}
    else:
        clean["query"] = {"query": variable["query"], "refId": "StandardVariableQuery"}
    # Grafana takes the first value where none is chosen.
    chosen = (["All"], ["$__all"]) if variable["includeAll"] else ([], [])
    clean["current"] = {"selected": variable["includeAll"], "text": chosen[0], "value": chosen[1]}
    return clean


def _without(mapping: Json, keys: frozenset[str]) -> Json:
    return {key: value for key, value in mapping.items() if key not in keys}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"color", "value"} and isinstance(value["color"], str):
        # A threshold's first step begins at null; there it means minus infinity.
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}
