"""Rules for finished dashboards, as Grafana gets them. Each takes all pages and returns what is wrong, by panel.

Pages of a user's own are judged by them when they are generated, ours by the tests, which have more of them.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ml_monitoring.dashboards.render.units import unit_table
from ml_monitoring.exporter.suggestions import suggestion

Json = dict[str, Any]

# Watched during an incident: a scrape must be seen as soon as it is there, not up to a refresh later.
LIVE_PAGES = {"ml-monitoring-ml-api"}
SCRAPE_SECONDS = 15
SECONDS = {"s": 1, "m": 60, "h": 3600}
# Types that Grafana 12 no longer has.
LEGACY_TYPES = {"graph", "singlestat", "table-old", "heatmap-new", "grafana-piechart-panel", "grafana-worldmap-panel"}
# What grafanalib writes and nothing reads any more, by the place where it writes it.
LEGACY_KEYS = {
    "page": {"__inputs", "gnetId", "hideControls", "rows", "sharedCrosshair", "style"},
    "timepicker": {"nowDelay", "time_options"},
    "variable": {"useTags", "tagsQuery", "tagValuesQuery", "auto", "auto_count", "auto_min"},
    "panel": {
        *("span", "minSpan", "height", "editable", "error", "cacheTimeout", "hideTimeOverride", "maxDataPoints"),
        *(
            "styles",
            "columns",
            "fontSize",
            "color",
            "mappings",
            "valueMaps",
            "dataFormat",
            "yBucketBound",
            "thresholds",
        ),
    },
    "options": {"fieldOptions"},
    "custom": set(),
    "target": {"intervalFactor", "metric", "step", "target", "query"},
}
# These show series by name, so an empty legend would show the whole expression.
WITH_LEGEND = {"time_series"}
WITHOUT_DATA = {"row", "text", "alertlist", "dashlist", "news"}
COLUMNS = 24
# Grafana fills these in by itself.
BUILT_IN = {"__rate_interval", "__range", "__interval"}
_VARIABLE = re.compile(r"\$\{?(\w+)(?::\w+)?}?|\[\[(\w+)]]")


def panels(page: Json) -> Iterator[Json]:
    """Yield all panels, rows and the children of folded rows included."""
    for panel in page["panels"]:
        yield panel
        yield from panel.get("panels", [])


def data_panels(pages: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield each panel that shows data, with its name."""
    for page in pages:
        for panel in panels(page):
            if panel["type"] not in WITHOUT_DATA:
                yield f"{page['uid']}/{panel.get('title')}", panel


def d1_identity(pages: list[Json]) -> Iterator[str]:
    """Each page can be told apart, found, and is not edited in the browser."""
    for key in ("uid", "title"):
        for value, count in Counter(page.get(key) for page in pages).items():
            if count > 1 or not value:
                yield f"{key} {value!r} is used {count} times"
    for page in pages:
        name = page["uid"]
        choices = page["timepicker"].get("refresh_intervals", [])
        wrong = {
            "schemaVersion is below 38": page["schemaVersion"] < 38,
            "uid is longer than 40 characters": len(name) > 40,
            "has an id, which belongs to one database": "id" in page,
            "is editable": page.get("editable") is not False,
            "lacks the tag ml-stack": "ml-stack" not in page.get("tags", []),
            "has no description": not page.get("description"),
            "has no timezone": not page.get("timezone"),
            "refresh is not in the picker": page["refresh"] not in choices,
            "refreshes oftener than Prometheus scrapes": seconds(page["refresh"]) < SCRAPE_SECONDS
            and name not in LIVE_PAGES,
        }
        yield from (f"{name}: {what}" for what, holds in wrong.items() if holds)


def d2_no_legacy(pages: list[Json]) -> Iterator[str]:
    """Nothing is in a shape that Grafana would have to migrate."""
    for page in pages:
        yield from (f"{page['uid']}: dead key {key}" for key in _legacy_keys("page", page))
        yield from (f"{page['uid']}: dead key {key}" for key in _legacy_keys("timepicker", page["timepicker"]))
        for variable in page["templating"]["list"]:
            yield from (f"{page['uid']}: dead key {key}" for key in _legacy_keys("variable", variable))
        for panel in panels(page):
            name = f"{page['uid']}/{panel.get('title')}"
            yield from (f"{name}: dead key {key}" for key in _legacy_keys_of_panel(panel))
            if panel["type"] in LEGACY_TYPES:
                yield f"{name}: type {panel['type']}"
            for steps in _threshold_steps(panel):
                values: list[Any] = [step.get("value") for step in steps]
                if any(step.keys() != {"color", "value"} for step in steps):
                    yield f"{name}: threshold steps have keys other than color and value"
                elif values[:1] != [None] or not all(isinstance(value, int | float) for value in values[1:]):
                    yield f"{name}: threshold steps are {values}"
                elif any(low >= high for low, high in itertools.pairwise(values[1:])):
                    yield f"{name}: threshold steps do not rise: {values}"


def d4_layout(pages: list[Json]) -> Iterator[str]:
    """Panels have ids of their own, lie inside the grid in reading order, and do not overlap."""
    for page in pages:
        uid = page["uid"]
        for number, count in Counter(panel.get("id") for panel in panels(page)).items():
            if count > 1 or not isinstance(number, int) or not 0 < number < 2**31:
                yield f"{uid}: panel id {number} is used {count} times"
        for panel in panels(page):
            x, width = panel["gridPos"]["x"], panel["gridPos"]["w"]
            if x < 0 or width < 1 or x + width > COLUMNS or panel["gridPos"]["h"] < 1:
                yield f"{uid}/{panel['title']}: is outside of the grid: {panel['gridPos']}"
        for group in (page["panels"], *(panel["panels"] for panel in page["panels"] if panel.get("panels"))):
            places = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in group]
            if places != sorted(places):
                yield f"{uid}: panels are not in reading order"
            for index, panel in enumerate(group):
                yield from (
                    f"{uid}: {panel['title']} and {other['title']} overlap"
                    for other in group[index + 1 :]
                    if _overlap(panel["gridPos"], other["gridPos"])
                )


def _is_unit(unit: Any) -> bool:
    # Grafana's units of one's own.
    return unit in unit_table() or str(unit).startswith(("suffix:", "count:"))


def d5_panels(pages: list[Json]) -> Iterator[str]:
    """Each panel says what it shows, in which unit, from which data source."""
    for name, panel in data_panels(pages):
        defaults = panel["fieldConfig"]["defaults"]
        targets = panel.get("targets", [])
        refs = [target.get("refId") for target in targets]
        wrong = {
            "has no title": not panel.get("title"),
            "has no description": not panel.get("description"),
            "has no query": not targets,
            f"refIds are {refs}": not all(refs) or len(set(refs)) < len(refs),
            "data source is not the page's variable": any(
                _fixed_source(one.get("datasource")) for one in (panel, *targets)
            ),
            "has series without a legend": any(
                target.get("format") in WITH_LEGEND and not target.get("legendFormat") for target in targets
            )
            or (panel["type"] != "logs" and any(_is_loki(one) and not one.get("legendFormat") for one in targets)),
            # A query without a result has the time only; without it Grafana merges nothing.
            "merges without the time": _merges_without_time(panel.get("transformations", [])),
        }
        if panel["type"] != "logs":
            wrong[f"unit is {defaults.get('unit')!r}"] = not _is_unit(defaults.get("unit"))
        if defaults.get("unit") == "percentunit":
            # No fixed upper end for lines: a shortfall or several cores may leave 0 to 1 and would be cut off.
            needed = {"decimals", "min"} | ({"max"} if panel["type"] in {"gauge", "bargauge"} else set())
            # A difference may be below 0, which is in sight at least.
            signed = "axisSoftMin" in defaults.get("custom", {})
            needed -= {"min"} if panel["type"] == "stat" or signed else set()
            for key in sorted(needed - defaults.keys()):
                wrong[f"is a ratio without {key}"] = True
        yield from (f"{name}: {what}" for what, holds in wrong.items() if holds)


def d6_declared(pages: list[Json]) -> Iterator[str]:
    """Every variable in a query of Prometheus is one of the page."""
    for page in pages:
        declared = {variable["name"] for variable in page["templating"]["list"]}
        for name, expr in expressions([page]):
            # `$1` is a group of `label_replace`.
            unknown = sorted(one for one in variables_in(expr) - declared - BUILT_IN if not one.isdecimal())
            yield from (f"{name}: variable {one} is not declared" for one in unknown)


def expressions(pages: list[Json]) -> Iterator[tuple[str, str]]:
    """Yield every PromQL expression of panels and annotations, with its name."""
    for name, panel in data_panels(pages):
        for target in panel.get("targets", []):
            if target["datasource"]["type"] == "prometheus":
                yield f"{name} {target['refId']}", target["expr"]
    for page in pages:
        for annotation in page["annotations"]["list"]:
            if "expr" in annotation:
                yield f"{page['uid']}/annotation {annotation['name']}", annotation["expr"]


def filled(expr: str) -> str:
    """Return the query as Prometheus gets it: ranges and variables replaced."""
    for name in BUILT_IN:
        expr = expr.replace(f"${name}", "5m").replace(f"${{{name}}}", "5m")
    return _VARIABLE.sub(".+", expr)


def variables_in(text: str) -> set[str]:
    """Return the names of the variables that a query uses."""
    return {one or other for one, other in _VARIABLE.findall(text)}


def d7_variables_and_links(pages: list[Json]) -> Iterator[str]:
    """Variables follow the time range and have a label; links lead to pages that exist, with variables they have."""
    variables = {page["uid"]: {variable["name"] for variable in page["templating"]["list"]} for page in pages}
    for page in pages:
        for variable in page["templating"]["list"]:
            name = f"{page['uid']}: variable {variable['name']}"
            if not variable.get("label"):
                yield f"{name} has no label"
            if variable["type"] == "query" and variable.get("refresh") != 2:
                yield f"{name} is not read again when the time range changes"
            offers_all = variable.get("includeAll") and variable.get("allValue")
            opens_on_first = not variable.get("includeAll") and not variable["current"]["value"]
            if variable["type"] == "query" and not (offers_all or opens_on_first):
                yield f"{name} has no `All` with a value, and does not open on the first value"
        for panel in ({"title": "links", "links": page["links"]}, *panels(page)):
            for url in _urls(panel):
                uid, _, query = url.removeprefix("/d/").partition("?")
                name = f"{page['uid']}/{panel['title']}: link to {uid}"
                if not url.startswith("/d/"):
                    continue
                if uid not in variables:
                    yield f"{name}, which is no page{suggestion(uid, variables)}"
                else:
                    passed = set(re.findall(r"var-(\w+)=", query)) | set(re.findall(r"\$\{(\w+):queryparam}", query))
                    yield from (f"{name} passes {one}" for one in sorted(passed - variables[uid]))


def seconds(duration: str) -> int:
    """Return the seconds of a refresh interval such as `30s`."""
    return int(duration[:-1]) * SECONDS[duration[-1]]


def _merges_without_time(transformations: list[Json]) -> bool:
    kept = [one["options"]["include"]["names"] for one in transformations if one["id"] == "filterFieldsByName"]
    merges = any(one["id"] == "merge" for one in transformations)
    return merges and any("Time" not in names for names in kept)


def _legacy_keys(place: str, value: Json) -> list[str]:
    return [f"{place}.{key}" for key in sorted(LEGACY_KEYS[place] & value.keys())]


def _legacy_keys_of_panel(panel: Json) -> Iterator[str]:
    yield from _legacy_keys("panel", panel)
    yield from _legacy_keys("options", panel.get("options", {}))
    yield from _legacy_keys("custom", panel.get("fieldConfig", {"defaults": {}})["defaults"].get("custom", {}))
    for target in panel.get("targets", []):
        yield from _legacy_keys("target", target)


def _threshold_steps(panel: Json) -> Iterator[list[Json]]:
    config = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
    if "thresholds" in config["defaults"]:
        yield config["defaults"]["thresholds"]["steps"]
    for override in config.get("overrides", []):
        yield from (one["value"]["steps"] for one in override["properties"] if one["id"] == "thresholds")


def _overlap(one: Json, other: Json) -> bool:
    return bool(
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def _fixed_source(source: object) -> bool:
    return source not in (
        {"type": "prometheus", "uid": "${datasource}"},
        {"type": "loki", "uid": "${loki_datasource}"},
        {"type": "postgres", "uid": "${variants_datasource}"},
    )


def _is_loki(target: Json) -> bool:
    source = target.get("datasource")
    return isinstance(source, dict) and source.get("type") == "loki"


def _urls(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _urls(item)
    elif isinstance(value, dict):
        if isinstance(value.get("url"), str):
            yield value["url"]
        for item in value.values():
            yield from _urls(item)


RULES = (d1_identity, d2_no_legacy, d4_layout, d5_panels, d6_declared, d7_variables_and_links)


def findings(pages: list[Json]) -> Iterator[str]:
    """Yield what is wrong by any of the rules."""
    for rule in RULES:
        yield from rule(pages)
