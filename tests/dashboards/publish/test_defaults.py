"""What Grafana writes by itself when a page is saved is no difference; all that was set is one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards.publish.changes import pages_of
from ml_monitoring.dashboards.publish.defaults import default_at, without_defaults
from ml_monitoring.dashboards.publish.words import in_words

Json = dict[str, Any]

# As Grafana 12.3 writes panels, variables and annotations of which nothing was set.
STEPS = {"mode": "absolute", "steps": [{"color": "green", "value": 0}, {"color": "red", "value": 80}]}
REDUCED = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
SERIES = {
    "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
    "tooltip": {"hideZeros": False, "mode": "single", "sort": "none"},
}
OPTIONS: dict[str, Json] = {
    "timeseries": SERIES,
    "stat": {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "showPercentChange": False,
        "textMode": "auto",
        "wideLayout": True,
        **REDUCED,
    },
    "gauge": {
        "orientation": "auto",
        "showThresholdLabels": False,
        "showThresholdMarkers": True,
        "sizing": "auto",
        **REDUCED,
    },
    "bargauge": {"maxVizHeight": 300, "namePlacement": "auto", "showUnfilled": True, "valueMode": "color", **REDUCED},
    "table": {
        "cellHeight": "sm",
        "footer": {"countRows": False, "fields": "", "reducer": [], "show": False},
        "showHeader": True,
    },
    "piechart": {"pieType": "pie", **REDUCED, **SERIES},
    "barchart": {
        "barRadius": 0,
        "barWidth": 0.97,
        "fullHighlight": False,
        "groupWidth": 0.7,
        "orientation": "auto",
        "showValue": "auto",
        "stacking": "none",
        "xTickLabelRotation": 0,
        "xTickLabelSpacing": 0,
        **SERIES,
    },
    "state-timeline": {"alignValue": "left", "mergeValues": True, "rowHeight": 0.9, "showValue": "auto", **SERIES},
    "logs": {"dedupStrategy": "none", "enableLogDetails": True, "showTime": False, "sortOrder": "Descending"},
    "text": {"code": {"language": "plaintext", "showLineNumbers": False, "showMiniMap": False}, "mode": "markdown"},
}
CUSTOM: dict[str, Json] = {
    "timeseries": {
        "axisBorderShow": False,
        "axisCenteredZero": False,
        "axisColorMode": "text",
        "axisLabel": "",
        "axisPlacement": "auto",
        "barAlignment": 0,
        "barWidthFactor": 0.6,
        "drawStyle": "line",
        "fillOpacity": 0,
        "gradientMode": "none",
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "insertNulls": False,
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "pointSize": 5,
        "scaleDistribution": {"type": "linear"},
        "showPoints": "auto",
        "showValues": False,
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "none"},
        "thresholdsStyle": {"mode": "off"},
    },
    "table": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
}
BUILTIN = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


def written(kind: str) -> Json:
    """Give a page as a person writes it: with no more than it needs."""
    panel = {"id": 1, "type": kind, "title": "Heat", "targets": [{"refId": "A", "expr": "heat"}]}
    variable = {"name": "room", "type": "query", "query": "label_values(room)", "refresh": 1}
    return {"uid": "a", "title": "Page", "panels": [panel], "templating": {"list": [variable]}, "schemaVersion": 39}


def saved(kind: str) -> Json:
    """Give the same as Grafana writes it."""
    page = written(kind) | {
        "annotations": {"list": [BUILTIN]},
        "editable": True,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 0,
        "id": 7,
        "links": [],
        "preload": False,
        "refresh": "",
        "schemaVersion": 42,
        "tags": [],
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "version": 3,
        "weekStart": "",
    }
    panel, variable = page["panels"][0], page["templating"]["list"][0]
    defaults = {"mappings": [], "thresholds": STEPS, "custom": CUSTOM.get(kind, {})}
    panel |= {"fieldConfig": {"defaults": defaults, "overrides": []}, "options": OPTIONS[kind]}
    panel |= {"pluginVersion": "12.3.1", "description": "", "transparent": False}
    panel["targets"][0] |= {"editorMode": "code", "range": True, "exemplar": False, "hide": False}
    panel["targets"][0] |= {"format": "time_series", "intervalFactor": 1}
    query = {"qryType": 1, "query": "label_values(room)", "refId": "PrometheusVariableQueryEditor-VariableQuery"}
    variable |= {"query": query, "definition": "label_values(room)", "options": [], "regex": "", "sort": 0, "hide": 0}
    variable |= {"regexApplyTo": "value", "allowCustomValue": True, "includeAll": False, "multi": False}
    return copy.deepcopy(page)


def said(old: Json, new: Json) -> list[str]:
    pages = ({"a": without_defaults(page)} for page in (old, new))
    return [in_words(change).line() for change in pages_of(*pages)["a"]]


@pytest.mark.parametrize("kind", OPTIONS)
def test_what_grafana_writes_when_a_page_is_saved_is_no_difference(kind: str) -> None:
    assert said(written(kind), saved(kind)) == []
    assert said(saved(kind), written(kind)) == []


@pytest.mark.parametrize(
    ("where", "value", "line"),
    [
        ("options.showPercentChange", True, "- **Heat** options.showPercentChange changed: `false` → `true`"),
        ("options.wideLayout", False, "- **Heat** options.wideLayout changed: `true` → `false`"),
        ("options.reduceOptions.calcs", ["max"], "- **Heat** calculation changed: `last value` → `highest value`"),
        ("targets.0.hide", True, "- **Heat, query A** changed: `shown` → `hidden`"),
        ("targets.0.range", False, "- **Heat, query A** range query changed: `yes` → `no`"),
        ("fieldConfig.defaults.thresholds.steps.1.value", 90, "- **Heat** thresholds changed"),
        ("fieldConfig.defaults.thresholds.steps.0.color", "red", "- **Heat** thresholds changed"),
        ("transparent", True, "- **Heat** transparent changed: `false` → `true`"),
    ],
)
def test_what_is_set_otherwise_than_grafana_takes_it_is_a_difference(where: str, value: Any, line: str) -> None:
    page = saved("stat")
    at: Any = page["panels"][0]
    *path, last = where.split(".")
    for key in path:
        at = at[int(key)] if key.isdecimal() else at[key]
    at[last] = value
    (found,) = said(written("stat"), page)
    assert found.startswith(line)


def test_a_choice_is_the_same_alone_and_as_a_list_and_choices_follow_from_their_query() -> None:
    def of(current: Json, *options: str, query: str = "a,b") -> Json:
        choices = [{"text": one, "value": one, "selected": one == current["value"]} for one in options]
        variable = {"name": "room", "type": "custom", "query": query, "current": current, "options": choices}
        return written("stat") | {"templating": {"list": [variable]}}

    single, listed = {"text": "All", "value": "$__all"}, {"text": ["All"], "value": ["$__all"], "selected": True}
    assert said(of(single), of(listed, "a", "b")) == []
    a, b = ({"text": one, "value": one} for one in "ab")
    assert said(of(a, "a", "b"), of(b, "a", "b")) == ["- **variable room** default changed: `a` → `b`"]
    assert said(of(a, "a", "b"), of(a, "a", "b", "c", query="a,b,c")) == [
        "- **variable room** query changed: `a,b` → `a,b,c`"
    ]


def test_what_older_and_newer_versions_write_besides_is_no_difference() -> None:
    old, new = saved("table"), saved("table")
    new["panels"][0]["fieldConfig"]["defaults"]["unitScale"] = True
    new["panels"][0]["options"]["footer"] = {"countRows": False, "fields": "", "reducer": ["sum"], "show": False}
    new["panels"][0]["targets"][0] |= {"key": "Q-1", "requestId": "1A"}
    new |= {"__inputs": [{"name": "DS", "type": "datasource"}], "__requires": [{"id": "stat"}], "gnetId": 1}
    assert said(old, new) == []
    new["panels"][0]["options"]["footer"]["show"] = True
    assert said(old, new) == ["- **Heat** options.footer.show changed: `false` → `true`"]


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("options.reduceOptions.calcs", ["lastNotNull"]),
        ("graphTooltip", 0),
        ("custom.stacking.mode", "none"),
        ("a.mode", None),
        ("editable", True),
    ],
)
def test_what_grafana_takes_is_known_by_the_key_and_the_one_above(path: str, default: Any) -> None:
    assert default_at(path) == default


def test_an_instant_query_that_asks_for_a_range_too_is_a_difference() -> None:
    old, new = written("table"), saved("table")
    old["panels"][0]["targets"][0] |= {"instant": True}
    new["panels"][0]["targets"][0] |= {"instant": True, "range": False}
    assert said(old, new) == []
    new["panels"][0]["targets"][0]["range"] = True
    assert said(old, new) == ["- **Heat, query A** range query changed: `no` → `yes`"]


def test_a_builtin_annotation_that_is_turned_off_is_a_difference() -> None:
    page = saved("stat")
    page["annotations"]["list"][0]["enable"] = False
    assert said(written("stat"), page) == ["- **annotation Annotations & Alerts** enabled changed: `yes` → `no`"]


def test_pages_of_ours_are_the_same_page_without_what_grafana_takes_anyhow() -> None:
    paths = sorted(Path("dashboards/generated").rglob("*.json"))
    assert paths
    for path in paths:
        page = json.loads(path.read_text("utf-8"))
        assert pages_of({"a": without_defaults(page)}, {"a": without_defaults(without_defaults(page))}) == {"a": []}
