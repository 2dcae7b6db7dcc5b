"""Rules for colours, numbers and legends of finished dashboards. Each returns what is wrong, by panel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ml_monitoring.dashboards.lib.style import SERIES, Colour
from ml_monitoring.dashboards.lint import data_panels
from ml_monitoring.dashboards.render.colours import THEMES, contrast, ink_on

Json = dict[str, Any]

# The least contrast of text (WCAG AA).
_READABLE = 4.5
_JUDGING = {Colour.GOOD, Colour.WARNING, Colour.NOTICE, Colour.FAILURE}
# Words that judge, each with the colours that it may have.
_WORD = re.compile(r"/\\b(.*)\\b/")
_WORDS = {
    **dict.fromkeys(("FINISHED", "OK", "READY", "resolved", "online", "ok", "2\\d\\d"), (Colour.GOOD,)),
    **dict.fromkeys(("FAILED", "ERROR", "critical", "error", "5\\d\\d", "OOM"), (Colour.FAILURE,)),
    **dict.fromkeys(("KILLED", "killed", "firing", "warning", "4\\d\\d"), (Colour.WARNING,)),
    "critical": (Colour.FAILURE,),
    "better": (Colour.GOOD,),
    **dict.fromkeys(("guardrail breached", "invalid"), (Colour.FAILURE,)),
    **dict.fromkeys(("unanswerable", "no data", "unknown"), (Colour.WARNING,)),
    # A candidate that is worse does harm; an arm of several need not be shown.
    "worse": (Colour.WARNING, Colour.FAILURE),
    **dict.fromkeys(("is best", "best, beyond chance", "as tested"), (Colour.GOOD,)),
    **dict.fromkeys(("worse than the best", "drifting"), (Colour.WARNING,)),
    "worse than tested": (Colour.FAILURE,),
    "info": (Colour.NEUTRAL,),
}
_BAD_TITLE = re.compile("OOM|[Ff]ail|[Ee]rror")


def numbers_are_rounded(pages: list[Json]) -> Iterator[str]:
    """Counts have no decimals, rates say of what time, and a tiny probability is only said to be tiny."""
    for name, panel in data_panels(pages):
        for title, config in _fields(panel):
            unit, decimals = config.get("unit"), config.get("decimals")
            rate = re.search(r" per (second|minute)\b", title)
            if unit == "locale" and decimals != 0 and not re.search(r"\brate\b", title, re.I):
                yield f"{name}: {title} counts with {decimals} decimals"
            if rate and unit == "locale":
                yield f"{name}: {title} does not say per which time beside its numbers"
            if (
                re.search(r"p-value|\bp_value", title)
                and panel["type"] != "timeseries"
                and config.get("unit") == "short"
            ):
                texts = [
                    one["options"]["result"]["text"] for one in config.get("mappings", []) if one["type"] == "range"
                ]
                if texts != ["<0.001"]:
                    yield f"{name}: {title} has digits of tiny probabilities"


def _fields(panel: Json) -> Iterator[tuple[str, Json]]:
    """Yield title and settings of what a panel shows: one thing, or a table's columns."""
    if panel["type"] != "table":
        yield panel["title"], panel["fieldConfig"]["defaults"]
        return
    for override in panel["fieldConfig"]["overrides"]:
        yield override["matcher"]["options"], {one["id"]: one["value"] for one in override["properties"]}


def legends_begin_with_the_most(pages: list[Json]) -> Iterator[str]:
    """A legend that is a table is sorted by value, and names nothing that did not happen."""
    for name, panel in data_panels(pages):
        legend = panel.get("options", {}).get("legend", {})
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        if panel["type"] != "timeseries" or legend.get("displayMode") != "table":
            continue
        if legend.get("sortBy") not in {"Last", "Max"} or not legend.get("sortDesc"):
            yield f"{name}: a long legend begins with what is first in the alphabet"
        bars = custom.get("drawStyle") == "bars"
        if bars and not all(one["expr"].endswith(") > 0") for one in panel["targets"]):
            yield f"{name}: the legend has series of events that never happened"


def text_is_readable(pages: list[Json]) -> Iterator[str]:
    """Text has a contrast of 4.5 in both themes: what judges is behind it, and only text's own colour is text."""
    for name, panel in data_panels(pages):
        config = panel["fieldConfig"]
        if panel["type"] == "stat":
            behind = panel["options"]["colorMode"].startswith("background")
            yield from _unreadable(name, config["defaults"], behind=behind)
            for override in config["overrides"]:
                yield from _unreadable(name, override, behind=behind)
        if panel["type"] == "table":
            for override in config["overrides"]:
                kinds = {one["value"]["type"] for one in override["properties"] if one["id"] == "custom.cellOptions"}
                coloured = any(one["id"] in {"color", "thresholds"} for one in override["properties"])
                if kinds or coloured:
                    behind = "color-background" in kinds
                    yield from _unreadable(f"{name}: {override['matcher']['options']}", override, behind=behind)


def _unreadable(name: str, config: Json, *, behind: bool) -> Iterator[str]:
    for colour in sorted(_colours(config)):
        for theme in THEMES.values():
            shown = theme.colour(colour)
            found = contrast(ink_on(shown), shown) if behind else contrast(shown, theme.panel)
            if found < _READABLE and colour != Colour.CLEAR:
                yield f"{name}: text has a contrast of {found:.1f} to {colour} in the {theme.name} theme"


def _colours(config: Any) -> Iterator[str]:
    """Yield the colours that are named anywhere in a panel's settings."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key in {"color", "fixedColor"} and isinstance(value, str):
                yield value
            else:
                yield from _colours(value)
    elif isinstance(config, list):
        for one in config:
            yield from _colours(one)


def colours_mean_something(pages: list[Json]) -> Iterator[str]:
    """Red, orange, yellow and green only judge: a limit, or a series by a word; all others have ordinary colours."""
    for name, panel in data_panels(pages):
        config = panel["fieldConfig"]
        ordinary = {"timeseries": SERIES, "barchart": SERIES, "stat": (Colour.PLAIN,), "bargauge": (Colour.BAR,)}
        defaults = config["defaults"]
        mode = defaults.get("color", {}).get("mode", "thresholds")
        if panel["type"] in {"timeseries", "barchart", "bargauge", "stat", "gauge"} and mode not in {
            "fixed",
            "thresholds",
        }:
            yield f"{name}: takes colours from {mode}, which has a red and a green that mean nothing"
        if panel["type"] in {"timeseries", "barchart"} and defaults["color"].get("fixedColor") not in SERIES:
            yield f"{name}: ordinary series are not in a colour of ordinary series"
        steps = defaults.get("thresholds", {}).get("steps", [])
        behind = panel.get("options", {}).get("colorMode") == "background"
        judged = len(steps) != 1 or mode != "thresholds" or behind
        if panel["type"] in ordinary and not judged and steps[0]["color"] not in ordinary[panel["type"]]:
            yield f"{name}: what nothing judges is {steps[0]['color']}"
        for override in config["overrides"] if panel["type"] in ordinary else ():
            matcher = override["matcher"]
            word = _WORD.fullmatch(str(matcher["options"])) if matcher["id"] == "byRegexp" else None
            allowed = {*_WORDS.get(word[1], ())} if word else set()
            if not word and _BAD_TITLE.search(panel["title"]):
                allowed = {Colour.FAILURE}
            for colour in sorted({*_colours(override["properties"])} & _JUDGING - allowed):
                yield f"{name}: {matcher['options']} is {colour}, which judges"


def limits_are_seen(pages: list[Json]) -> Iterator[str]:
    """A limit is drawn in the colour of its bad side, and the axis goes as far as it."""
    for name, panel in data_panels(pages):
        defaults = panel["fieldConfig"]["defaults"]
        if panel["type"] != "timeseries":
            continue
        custom, steps = defaults.get("custom", {}), defaults.get("thresholds", {}).get("steps", [])
        if custom.get("thresholdsStyle", {}).get("mode", "off") == "off":
            continue
        if any(step["color"] == Colour.GOOD for step in steps):
            yield f"{name}: a limit is in the colour of its good side"
        low = min(defaults.get("min", 0), custom.get("axisSoftMin", defaults.get("min", float("inf"))))
        for step in steps[1:]:
            if step["value"] < low:
                yield f"{name}: the limit {step['value']} is below the axis, which begins at {low}"
