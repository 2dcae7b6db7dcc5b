"""What Grafana takes where a page says nothing, and writes when somebody saves it: no difference of two versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Json = dict[str, Any]

# Where nothing is said of these they are on; all others are off.
_ON: Final = frozenset(
    {
        "allowCustomValue",
        "editable",
        "enable",
        "enableLogDetails",
        "includeNullMetadata",
        "mergeValues",
        "showHeader",
        "showLegend",
        "showThresholdMarkers",
        "showUnfilled",
        "unitScale",
        "wideLayout",
    }
)
# By the key, or by it and the one above where others have the key too.
_DEFAULTS: Final[Json] = {
    ".icon": "external link",
    ".type": "link",
    "align": "auto",
    "alignValue": "left",
    "auto_count": 30,
    "auto_min": "10s",
    "axisColorMode": "text",
    "axisPlacement": "auto",
    "barAlignment": 0,
    "barRadius": 0,
    "barWidth": 0.97,
    "barWidthFactor": 0.6,
    "bucketOffset": 0,
    "cellHeight": "sm",
    "cellOptions.type": "auto",
    "code.language": "plaintext",
    "colorMode": "value",
    "columnWidthMode": "standard",
    "dedupStrategy": "none",
    "drawStyle": "line",
    "fillOpacity": 0,
    "fiscalYearStartMonth": 0,
    "footer.reducer": ["sum"],
    "format": "time_series",
    "frameIndex": 0,
    "gradientMode": "none",
    "graphMode": "area",
    "graphTooltip": 0,
    "groupWidth": 0.7,
    "hide": 0,
    "intervalFactor": 1,
    "justifyMode": "auto",
    "layout.kind": "GridLayout",
    "legend.displayMode": "list",
    "legend.placement": "bottom",
    "lineInterpolation": "linear",
    "lineStyle.fill": "solid",
    "lineWidth": 1,
    "maxColumnCount": 3,
    "maxVizHeight": 300,
    "minVizHeight": 75,
    "minVizWidth": 75,
    "namePlacement": "auto",
    "options.mode": "markdown",
    "options.rowHeight": 0.9,
    "options.stacking": "none",
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "pieType": "pie",
    "pointSize": 5,
    "reduceOptions.calcs": ["lastNotNull"],
    "regexApplyTo": "value",
    "rowHeightMode": "standard",
    "scaleDistribution.type": "linear",
    "showPoints": "auto",
    "showValue": "auto",
    "sizing": "auto",
    "sort": 0,
    "sortOrder": "Descending",
    "stacking.group": "A",
    "stacking.mode": "none",
    "style": "dark",
    "textMode": "auto",
    "thresholds.mode": "absolute",
    "thresholdsStyle.mode": "off",
    "time.from": "now-6h",
    "time.to": "now",
    "timepicker.refresh_intervals": ["5s", "10s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "1d"],
    "tooltip.maxHeight": 600,
    "tooltip.mode": "single",
    "tooltip.sort": "none",
    "valueMode": "color",
    "xTickLabelRotation": 0,
    "xTickLabelSpacing": 0,
    "defaults.thresholds": {"steps": [{"color": "green", "value": None}, {"color": "red", "value": 80}]},
}
# They say what something is, and not how it is set.
_VALUES: Final = frozenset({"text", "value"})
# What Grafana keeps for itself: in which of its editors a query is shown, what it answered last, where a page is from.
_OF_GRAFANA: Final = frozenset({"__elements", "__requires", "editorMode", "gnetId", "requestId", "scopedVars"})
# Variables whose choices Grafana makes of their query when a page is opened.
_OF_QUERY: Final = frozenset({"custom", "interval", "textbox", "constant", "datasource"})
# What Grafana's editor of variables makes of a query that is a text.
_OF_QUERIES: Final = frozenset({"qryType", "query", "refId"})


def without_defaults(value: Any, name: str = "") -> Any:
    """Return JSON without what Grafana takes anyhow, and in one form where it has several.

    Args:
        value: A page, or a part of it.
        name: Its key.
    """
    if isinstance(value, list):
        kept = [without_defaults(each) for each in value if not _is_builtin(each)]
        # From no matter which value on, the first step is that of all values below the second.
        is_of_thresholds = name == "steps" and kept and isinstance(kept[0], dict)
        return [{**kept[0], "value": None}, *kept[1:]] if is_of_thresholds else kept
    if not isinstance(value, dict):
        return value
    return dict(_said(_in_one_form(value, name), name))


def default_at(path: str) -> Any:
    """Return what Grafana takes where nothing is said, None where it is not known.

    Args:
        path: Of a value: the keys that lead to it, with dots between.
    """
    above, _, key = path.rpartition(".")
    if key in _ON:
        return True
    return _DEFAULTS.get(f"{above.rpartition('.')[2]}.{key}", _DEFAULTS.get(key))


def as_builtin(annotation: Json) -> Json:
    """Return the annotation that Grafana adds to each page as it is where nothing is said of it."""
    return {key: value for key, value in annotation.items() if key != "enable"} | {"hide": True}


def _in_one_form(part: Json, name: str) -> Json:
    if name == "current":
        # Grafana writes a single choice as a list too.
        return {
            key: each[0] if isinstance(each, list) and len(each) == 1 else each
            for key, each in part.items()
            if key != "selected"
        }
    if name == "footer" and not part.get("show"):
        return {}
    if isinstance(part.get("options"), list) and "query" in part:
        choices = [one for one in part["options"] if part.get("type") not in _OF_QUERY]
        return part | {"options": [_in_one_form(one, "current") if isinstance(one, dict) else one for one in choices]}
    return part


def _said(part: Json, name: str) -> Iterator[tuple[str, Any]]:
    for key, each in part.items():
        kept = without_defaults(_query(each) if key == "query" else each, key)
        if key == "__inputs" and isinstance(kept, list):
            # Data sources that are asked for when a page is imported: where they are used says which.
            kept = [one for one in kept if isinstance(one, dict) and one.get("type") != "datasource"]
        is_of_grafana = key in _OF_GRAFANA or (key == "key" and "refId" in part)
        if key in _VALUES or not (is_of_grafana or _is_default(part, f"{name}.{key}", key, kept)):
            yield key, kept


def _is_default(part: Json, path: str, key: str, value: Any) -> bool:
    if isinstance(value, bool):
        # A query is one over a range where it is not said to be an instant one.
        return value is (not part.get("instant") if key == "range" else key in _ON)
    if key == "definition":
        # Grafana's own copy of the query, which is shown in lists.
        return bool(value == _query(part.get("query")))
    if key == "steps" and value == []:
        # No thresholds are others than those that Grafana takes.
        return False
    return value in (None, "", [], {}, _DEFAULTS.get(path), _DEFAULTS.get(key))


def _is_builtin(part: Any) -> bool:
    """Tell whether a part is the annotation that Grafana adds to each page."""
    return isinstance(part, dict) and part.get("builtIn") == 1 and bool(part.get("enable", True) and part.get("hide"))


def _query(query: Any) -> Any:
    """Return the query of a variable as a text, where it is no more than that."""
    is_text = isinstance(query, dict) and isinstance(query.get("query"), str) and query.keys() <= _OF_QUERIES
    return query["query"] if is_text else query
