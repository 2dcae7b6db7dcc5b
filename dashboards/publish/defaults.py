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
        "showHeader",
        "showLegend",
        "showThresholdMarkers",
        "showUnfilled",
        "wideLayout",
    }
)
# By the key, or by it and the one above where others have the key too.
_DEFAULTS: Final[Json] = {
    "align": "auto",
    "axisColorMode": "text",
    "axisPlacement": "auto",
    "barAlignment": 0,
    "barWidthFactor": 0.6,
    "cellHeight": "sm",
    "cellOptions.type": "auto",
    "colorMode": "value",
    "drawStyle": "line",
    "fillOpacity": 0,
    "fiscalYearStartMonth": 0,
    "frameIndex": 0,
    "gradientMode": "none",
    "graphMode": "area",
    "graphTooltip": 0,
    "hide": 0,
    "intervalFactor": 1,
    "justifyMode": "auto",
    "legend.displayMode": "list",
    "legend.placement": "bottom",
    "lineInterpolation": "linear",
    "lineStyle.fill": "solid",
    "lineWidth": 1,
    "maxVizHeight": 300,
    "namePlacement": "auto",
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "pieType": "pie",
    "pointSize": 5,
    "reduceOptions.calcs": ["lastNotNull"],
    "regexApplyTo": "value",
    "scaleDistribution.type": "linear",
    "showPoints": "auto",
    "sizing": "auto",
    "sort": 0,
    "stacking.group": "A",
    "stacking.mode": "none",
    "style": "dark",
    "textMode": "auto",
    "thresholds.mode": "absolute",
    "thresholdsStyle.mode": "off",
    "tooltip.mode": "single",
    "tooltip.sort": "none",
    "valueMode": "color",
    "defaults.thresholds": {"steps": [{"color": "green", "value": None}, {"color": "red", "value": 80}]},
}
# They say what something is, and not how it is set.
_VALUES: Final = frozenset({"text", "value"})
# In which of its editors Grafana shows a query.
_OF_EDITORS: Final = frozenset({"editorMode"})
# What Grafana's editor of variables makes of a query that is a text.
_OF_QUERIES: Final = frozenset({"qryType", "query", "refId"})


def without_defaults(value: Any, name: str = "") -> Any:
    """Return JSON without what Grafana takes anyhow, and with queries of variables as texts.

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
    return dict(_said(value, name))


def _said(part: Json, name: str) -> Iterator[tuple[str, Any]]:
    for key, each in part.items():
        kept = without_defaults(_query(each) if key == "query" else each, key)
        if key in _VALUES or not (key in _OF_EDITORS or _is_default(part, f"{name}.{key}", key, kept)):
            yield key, kept


def _is_default(part: Json, path: str, key: str, value: Any) -> bool:
    if isinstance(value, bool):
        # A query is one over a range where it is not said to be an instant one.
        return value is (not part.get("instant") if key == "range" else key in _ON)
    if key == "definition":
        # Grafana's own copy of the query, which is shown in lists.
        return bool(value == _query(part.get("query")))
    return value in (None, "", [], {}, _DEFAULTS.get(path), _DEFAULTS.get(key))


def _is_builtin(part: Any) -> bool:
    """Tell whether a part is the annotation that Grafana adds to each page."""
    return isinstance(part, dict) and part.get("builtIn") == 1 and bool(part.get("enable", True) and part.get("hide"))


def _query(query: Any) -> Any:
    """Return the query of a variable as a text, where it is no more than that."""
    is_text = isinstance(query, dict) and isinstance(query.get("query"), str) and query.keys() <= _OF_QUERIES
    return query["query"] if is_text else query
