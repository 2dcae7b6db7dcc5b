"""Rules for what finished dashboards look like in Grafana: widths, colours, axes, words. Each returns what is wrong."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from ml_monitoring.dashboards.lib.style import SEVERITY, Colour
from ml_monitoring.dashboards.lint import COLUMNS, data_panels, panels
from ml_monitoring.dashboards.render.draw.stat import font_size, layout
from ml_monitoring.dashboards.render.fonts import MEDIUM, text_width
from ml_monitoring.dashboards.render.layout import Box

Json = dict[str, Any]

LAPTOP, SCREEN = 1366, 1600
# Grafana's menu bar, the page's padding on both sides and its scroll bar; between panels; a panel's border and padding.
_AROUND_PAGE, _GUTTER, _AROUND_PANEL = 57 + 2 * 16 + 8, 8, 2 * (1 + 8)
# In a heading beside the title: the mark of the description, and that of a link.
_MARK = 24
_TITLE_SIZE, _HEADING_SIZE, _CELL_PADDING, _SORT_ARROW = 14, 14, 17, 20
_GRAFANAS_LEAST_WIDTH = 150
# Of a heatmap's panel: title, time axis, legend; a line of text.
_UNIT, _AROUND_ROWS, _LINE = 38, 105, 14
_MOST_BUCKETS = 20
# In the tile of a number; Grafana makes its text as small as it must be.
_TILE_PADDING, _SMALLEST = 16, 11
# A graph's title and padding, what its legend may take of the rest, and a line of that.
_AROUND_CHART, _LEGEND_SHARE, _LEGEND_LINE = 42 + 8, 0.38, 18
# From here on Grafana's marks are in hours.
_MOST_SECONDS = 2 * 3600
_MOST_MARKS = 2
# Types of panels and data sources that Grafana 9.4 and all later ones know.
_PLUGINS = {
    *("alertlist", "barchart", "bargauge", "gauge", "heatmap", "logs", "row", "stat", "state-timeline", "table"),
    *("text", "timeseries"),
}
_SOURCES = {"prometheus", "loki", "postgres"}
_SINGLE_VALUES = {"bargauge", "gauge", "stat", "table"}
_ABSENT = {Colour.MUTED, Colour.PLAIN, Colour.CLEAR}
# What a panel without data may say: from where none came, or both possibilities.
_EMPTY = re.compile(r"(no [^,]+, or )?no data from \w[\w ]+")
# Variables of one name that ask different metrics and mean one thing: names in MLflow, and where a service runs.
_SAME_MEANING = {"experiment", "metric", "model", "origin", "pattern", "persona", "source"}


def inner_width(panel: Json, screen: int) -> float:
    """Return the pixels that a panel has for its content on a screen."""
    column = (screen - _AROUND_PAGE - (COLUMNS - 1) * _GUTTER) / COLUMNS
    width = panel["gridPos"]["w"]
    return float(width * column + (width - 1) * _GUTTER - _AROUND_PANEL)


def tables_fit(pages: list[Json]) -> Iterator[str]:
    """All columns of a table are in sight on a laptop, their headings are not cut, and cells are for all versions."""
    for name, panel in data_panels(pages):
        if panel["type"] != "table":
            continue
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        yield from _cells(name, custom)
        asked = {}
        for override in panel["fieldConfig"]["overrides"]:
            column = override["matcher"]["options"]
            of_column = {
                one["id"].removeprefix("custom."): one["value"]
                for one in override["properties"]
                if one["id"].startswith("custom.")
            }
            yield from _cells(f"{name}: {column}", of_column)
            least = custom.get("minWidth", _GRAFANAS_LEAST_WIDTH)
            asked[column] = of_column.get("width") or of_column.get("minWidth") or least
            arrow = _SORT_ARROW * (column in {one["displayName"] for one in panel["options"].get("sortBy", [])})
            if asked[column] < text_width(column, _HEADING_SIZE, MEDIUM) + _CELL_PADDING + arrow:
                yield f"{name}: the heading {column} is cut at {asked[column]} pixels"
        if not asked and "minWidth" not in custom:
            yield f"{name}: columns have no least width"
        if sum(asked.values()) > (has := inner_width(panel, LAPTOP)):
            yield f"{name}: columns of {sum(asked.values())} pixels in {has:.0f}"


def titles_fit(pages: list[Json]) -> Iterator[str]:
    """No title is cut, on a laptop neither."""
    for page in pages:
        for panel in panels(page):
            marks = bool(panel.get("description")) + bool(panel.get("links"))
            needs = text_width(panel["title"], _TITLE_SIZE, MEDIUM) + marks * _MARK
            if needs > (has := inner_width(panel, LAPTOP)):
                yield f"{page['uid']}/{panel['title']}: the title needs {needs:.0f} pixels and has {has:.0f}"


def words_fit(pages: list[Json]) -> Iterator[str]:
    """What the tile of a number says without data is large enough to be read."""
    for name, panel in data_panels(pages):
        if panel["type"] == "stat":
            defaults, options = panel["fieldConfig"]["defaults"], panel["options"]
            width, height = inner_width(panel, SCREEN), _UNIT * panel["gridPos"]["h"] - _AROUND_CHART
            words = defaults["noValue"]
            sizes = {words: font_size(words, width - _TILE_PADDING, height)}
            # What stands for a value shares the room with its name, and with the values of other queries.
            if options["textMode"] == "value_and_name":
                tile = Box(0, 0, width / len(panel["targets"]), height)
                sizes |= {
                    words: layout(tile, "name", words, course=False, options=options).value
                    for words in _mapped(defaults.get("mappings", []))
                    if words != defaults["noValue"]
                }
            yield from (
                f"{name}: {words!r} is {size:.1f} pixels high" for words, size in sizes.items() if size < _SMALLEST
            )


def _mapped(mappings: list[Json]) -> Iterator[str]:
    for mapping in mappings:
        results = mapping["options"].values() if mapping["type"] == "value" else [mapping["options"]["result"]]
        yield from (result["text"] for result in results)


def timelines_keep_words(pages: list[Json]) -> Iterator[str]:
    """Timelines with names of values do not colour by thresholds, with which Grafana forgets the names; words show."""
    for name, panel in data_panels(pages):
        defaults = panel["fieldConfig"]["defaults"]
        if panel["type"] == "state-timeline" and defaults.get("mappings"):
            if defaults["color"]["mode"] == "thresholds":
                yield f"{name}: colours by thresholds, so that the names of values are lost"
            if panel["options"].get("showValue") == "never":
                yield f"{name}: tells states by colour alone"
            if panel["options"].get("legend", {}).get("showLegend", True):
                yield f"{name}: a legend would show gaps as a state"


def axes_have_ends(pages: list[Json]) -> Iterator[str]:
    """Ratios and counts that are 0 do not get an axis to 10000 %, and thresholds that are drawn are in sight."""
    for name, panel in data_panels(pages):
        if panel["type"] != "timeseries":
            continue
        defaults = panel["fieldConfig"]["defaults"]
        custom = defaults.get("custom", {})
        top = custom.get("axisSoftMax", defaults.get("max"))
        if defaults.get("unit") in {"percentunit", "locale"} and top is None:
            yield f"{name}: a flat 0 has no end of its axis"
        # Not where one is only compared.
        if any(re.search(r"p_value(?!.*<)", one["expr"]) for one in panel["targets"]) and defaults.get("max") != 1:
            yield f"{name}: a probability has an axis beyond 1"
        if defaults.get("unit") == "locale" and "decimals" not in defaults:
            yield f"{name}: counts have no number of decimals"
        if defaults.get("decimals") == 0 and [
            one.get("options", {}).get("match") for one in defaults.get("mappings", [])
        ] != ["null"]:
            yield f"{name}: marks between whole numbers are labelled {defaults['noValue']!r}"
        if custom.get("thresholdsStyle", {}).get("mode", "off") != "off":
            bounds = [step["value"] for step in defaults["thresholds"]["steps"] if step["value"] is not None]
            for bound in bounds:
                if bound > 0 and (top is None or top < bound):
                    yield f"{name}: the threshold {bound} is beyond the axis' end {top}"


def marks_are_round(pages: list[Json]) -> Iterator[str]:
    """Marks of an axis of hours are hours: of seconds they would be 5.56 hours, 11.1 hours."""
    for name, panel in data_panels(pages):
        defaults = panel["fieldConfig"]["defaults"]
        top = defaults.get("custom", {}).get("axisSoftMax", 0)
        if panel["type"] == "timeseries" and defaults.get("unit") == "s" and top > _MOST_SECONDS:
            yield f"{name}: an axis of {top / 3600:.1f} hours has marks at round seconds"


def legends_leave_room(pages: list[Json]) -> Iterator[str]:
    """A table below a graph has a line for each of its queries at least, within its third of the panel."""
    for name, panel in data_panels(pages):
        legend = panel.get("options", {}).get("legend", {})
        if panel["type"] == "timeseries" and legend.get("displayMode") == "table" and legend["placement"] == "bottom":
            lines = int((panel["gridPos"]["h"] * _UNIT - _AROUND_CHART) * _LEGEND_SHARE // _LEGEND_LINE) - 1
            if lines < len(panel["targets"]):
                yield f"{name}: a legend of {lines} lines for {len(panel['targets'])} queries"


def bars_are_values_with_names(pages: list[Json]) -> Iterator[str]:
    """Bars of Loki's one table are its rows; bars of several things side by side have a legend; sparklines a scale."""
    for name, panel in data_panels(pages):
        source = panel.get("datasource", {}).get("type")
        options, unit = panel.get("options", {}), panel["fieldConfig"]["defaults"].get("unit")
        if source == "loki" and options.get("reduceOptions", {}).get("values", True) is not True:
            yield f"{name}: only one of Loki's rows is a value"
        if panel["type"] == "stat" and options.get("graphMode") == "area" and unit == "percentunit":
            yield f"{name}: the sparkline of a ratio is flat"
        if panel["type"] == "barchart":
            matrix = any(one["id"] == "groupingToMatrix" for one in panel.get("transformations", []))
            if matrix != panel["options"]["legend"].get("showLegend", False):
                yield f"{name}: bars of several things without a legend"
        if panel["type"] == "heatmap" and panel["gridPos"]["h"] * _UNIT - _AROUND_ROWS < _MOST_BUCKETS * _LINE:
            yield f"{name}: labels of {_MOST_BUCKETS} buckets overlap at height {panel['gridPos']['h']}"


def empty_is_no_fact(pages: list[Json]) -> Iterator[str]:
    """What a panel says without data says both: nothing happened, or the source is missing; they look alike."""
    for name, panel in data_panels(pages):
        config = panel["fieldConfig"]
        texts = [config["defaults"].get("noValue")]
        texts += [
            one["value"]
            for override in config.get("overrides", [])
            for one in override["properties"]
            if one["id"] == "noValue"
        ]
        for text in texts:
            if text not in (None, "-", "no data") and not _EMPTY.fullmatch(text):
                yield f"{name}: says {text!r} while its source may be missing"


def absent_is_neutral(pages: list[Json]) -> Iterator[str]:
    """What is not there is not in the colour of a state: Grafana takes that of the lowest threshold, often green."""
    for name, panel in data_panels(pages):
        config = panel["fieldConfig"]
        if panel["type"] in {"stat", "gauge", "bargauge"}:
            yield from _absent(name, config["defaults"])
            if panel["options"].get("showUnfilled"):
                yield f"{name}: shows an empty bar beside the text that there is none"
        if panel["type"] == "table":
            for override in config["overrides"]:
                properties = {one["id"]: one["value"] for one in override["properties"]}
                if "thresholds" in properties:
                    yield from _absent(f"{name}: {override['matcher']['options']}", properties)


def _absent(name: str, config: Json) -> Iterator[str]:
    absent = [one["options"] for one in config.get("mappings", []) if one["type"] == "special"]
    if [one["match"] for one in absent] != ["null+nan"]:
        yield f"{name}: no data has the colour of a threshold"
    elif (result := absent[0]["result"])["color"] not in _ABSENT or result["text"] != config["noValue"]:
        yield f"{name}: no data is {result['text']!r} in {result['color']}"


def values_are_of_now(pages: list[Json]) -> Iterator[str]:
    """Of a series that ended, no number, cell or legend shows the last value: it is old, and there is none now."""
    for name, panel in data_panels(pages):
        calculations = panel.get("options", {}).get("legend", {}).get("calcs", [])
        if {"lastNotNull", "firstNotNull"} & set(calculations):
            yield f"{name}: the legend has the last value of a series that ended"
        if panel["type"] not in _SINGLE_VALUES:
            continue
        for target in panel["targets"]:
            if "expr" not in target or target["datasource"]["type"] == "loki":
                continue
            if target.get("range", True) or not target.get("instant"):
                yield f"{name}: asks for a time range, whose last value may be old"
            if "last_over_time" in target["expr"]:
                yield f"{name}: looks back to the last value"


def zero_is_good(pages: list[Json]) -> Iterator[str]:
    """No step of an alert begins at 0, of which `> 0` does not hold."""
    for name, panel in data_panels(pages):
        config = panel["fieldConfig"]
        steps = [
            *config["defaults"].get("thresholds", {}).get("steps", []),
            *(
                step
                for override in config.get("overrides", [])
                for one in override["properties"]
                if one["id"] == "thresholds"
                for step in one["value"]["steps"]
            ),
        ]
        if any(step["value"] == 0 and step["color"] in SEVERITY.values() for step in steps):
            yield f"{name}: a 0 has the colour of more than 0"


def marks_are_few(pages: list[Json]) -> Iterator[str]:
    """No more than two kinds of marks are on without being asked for: each is a line on every graph."""
    for page in pages:
        shown = [one["name"] for one in page["annotations"]["list"] if one["enable"]]
        if len(shown) > _MOST_MARKS:
            yield f"{page['uid']}: {len(shown)} kinds of marks crowd the graphs: {', '.join(shown)}"


def marks_are_moments(pages: list[Json]) -> Iterator[str]:
    """A mark's query is true at one step, or each step is a series: Grafana joins steps of a series to a region."""
    for page in pages:
        for one in page["annotations"]["list"]:
            if " offset " not in one["expr"] and 'count_values("at"' not in one["expr"]:
                yield f"{page['uid']}/annotation {one['name']}: would tint the time in which it is true"


def outcomes_have_their_colours(pages: list[Json]) -> Iterator[str]:
    """Series that are called after a status or an outcome take their colours by word, not from the palette."""
    for name, panel in data_panels(pages):
        legends = [target.get("legendFormat") or "" for target in panel.get("targets", [])]
        if panel["type"] == "timeseries" and any("{{status}}" in one for one in legends):
            by_word = [one for one in panel["fieldConfig"]["overrides"] if one["matcher"]["id"] == "byRegexp"]
            if str(Colour.FAILURE) not in json.dumps(by_word):
                yield f"{name}: a failure has the colour of any series"


def menus_fit_variables(pages: list[Json]) -> Iterator[str]:
    """Where a menu hands variables over, those of one name mean one thing, and all pages offer All or none does."""
    by_name: dict[str, list[tuple[str, Json]]] = {}
    for page in pages:
        if any(link.get("includeVars") for link in page["links"]):
            for variable in page["templating"]["list"]:
                if variable["type"] == "query":
                    by_name.setdefault(variable["name"], []).append((page["uid"], variable))
    for name, found in by_name.items():
        for (uid, one), (other_uid, other) in itertools.combinations(found, 2):
            if bool(one.get("includeAll")) != bool(other.get("includeAll")):
                yield f"variable {name}: only one of {uid} and {other_uid} offers All"
            elif name not in _SAME_MEANING and one["query"] != other["query"]:
                yield f"variable {name} has other values on {uid} than on {other_uid}"


def all_versions_know_the_types(pages: list[Json]) -> Iterator[str]:
    """Types of panels and data sources are those that every supported Grafana knows."""
    for page in pages:
        for panel in panels(page):
            if panel["type"] not in _PLUGINS:
                yield f"{page['uid']}/{panel['title']}: type {panel['type']}"
            for one in (panel, *panel.get("targets", [])):
                if (kind := one.get("datasource", {}).get("type", "prometheus")) not in _SOURCES:
                    yield f"{page['uid']}/{panel['title']}: data source {kind}"
        for variable in page["templating"]["list"]:
            if variable["type"] == "datasource" and variable["query"] not in _SOURCES:
                yield f"{page['uid']}: variable {variable['name']} lists {variable['query']}"


def order_is_stable(pages: list[Json]) -> Iterator[str]:
    """Tables of labels sort by more than one column, since rows that are equal change places between answers."""
    for name, panel in data_panels(pages):
        labels = [one for one in panel["fieldConfig"]["overrides"] if one["matcher"]["id"] == "byName"]
        if panel["type"] == "table" and len(labels) > 1 and len(panel["options"].get("sortBy", [])) < 2:
            texts = [one for one in labels if any(p["id"] == "custom.minWidth" for p in one["properties"])]
            if len(texts) > 1 or panel["options"]["sortBy"][0]["displayName"] != texts[0]["matcher"]["options"]:
                yield f"{name}: rows that are equal in the first column change places"


def rows_come_first(pages: list[Json]) -> Iterator[str]:
    """A phone shows panels one below the other: a row heads each group, and no table's heading is empty."""
    for page in pages:
        if page["panels"][0]["type"] != "row":
            yield f"{page['uid']}: begins without a row"
        for panel in panels(page):
            if panel["type"] == "text" and re.search(r"^\|[\s|]*\|$", panel["options"]["content"], re.M):
                yield f"{page['uid']}/{panel['title']}: a table with an empty heading"


def _cells(name: str, custom: Json) -> Iterator[str]:
    if "displayMode" in custom:
        yield f"{name}: beside displayMode Grafana 9.4 takes no notice of cellOptions"
    options = custom.get("cellOptions", {})
    if options.get("type") == "color-background" and "mode" not in options:
        yield f"{name}: Grafana 9.4 colours no background whose mode is not given"
