"""Rules for what a page says first: its question, the answer, the evidence. Each returns what is wrong, by page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ml_monitoring.dashboards.lib.style import Colour
from ml_monitoring.dashboards.lint import panels

Json = dict[str, Any]

# One and a half screens, which one scrolls once; a unit of the grid and the gap below it.
_OPEN_PIXELS, _UNIT = 1500, 38
_OPEN_ROWS = 2
# These show the alerts of all domains.
_OF_EVERYTHING = {"ml-monitoring-alerts", "ml-monitoring-operations-overview"}


def a_question_heads_the_page(pages: list[Json]) -> Iterator[str]:
    """The first heading is the page's question, so that a picture of the page has it too; no other one is."""
    for page in pages:
        headings = [panel["title"] for panel in page["panels"] if panel["type"] == "row"]
        if not headings or [heading.endswith("?") for heading in headings] != [True] + [False] * (len(headings) - 1):
            yield f"{page['uid']}: no question heads the page"


def an_answer_comes_first(pages: list[Json]) -> Iterator[str]:
    """The first panel says a state in words, each with a colour; an open one says since when."""
    for page in pages:
        first = page["panels"][1]
        words = [one for one in first["fieldConfig"]["defaults"].get("mappings", []) if one["type"] == "value"]
        if first["type"] != "stat" or first["options"]["colorMode"] != "background" or not words:
            yield f"{page['uid']}: begins with {first['title']}, which is no state"
        if "ALERTS_FOR_STATE" not in json.dumps([panel for panel in page["panels"] if panel["type"] != "row"]):
            yield f"{page['uid']}: nothing that is open says since when"


def ratios_of_the_answer_are_judged(pages: list[Json]) -> Iterator[str]:
    """A share in the row that answers says by its colour whether it is good: by a limit, or by a word in its name."""
    for page in pages:
        rows = [place for place, panel in enumerate(page["panels"]) if panel["type"] == "row"]
        for panel in page["panels"][rows[0] + 1 : rows[1]]:
            config = panel["fieldConfig"]
            defaults = config["defaults"]
            words = [one for one in config["overrides"] if one["matcher"]["id"] == "byRegexp"]
            words += [one for one in defaults.get("mappings", []) if one["type"] == "value" and _judge(one)]
            judged = len(defaults.get("thresholds", {}).get("steps", [])) > 1 or words
            if defaults.get("unit") in {"percent", "percentunit"} and not judged:
                yield f"{page['uid']}: {panel['title']} is neither good nor bad"


def _judge(words: Json) -> bool:
    """Tell whether words have another colour than those for what is not known."""
    return any(word["color"] != Colour.MUTED for word in words["options"].values())


def little_is_open(pages: list[Json]) -> Iterator[str]:
    """Two rows are open, the answer and the evidence, on one and a half screens; all else is folded."""
    for page in pages:
        rows = [panel for panel in page["panels"] if panel["type"] == "row"]
        if (count := sum(not row["collapsed"] for row in rows)) > _OPEN_ROWS:
            yield f"{page['uid']}: {count} rows are open"
        height = _UNIT * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in page["panels"])
        if height > _OPEN_PIXELS:
            yield f"{page['uid']}: {height} pixels are open"


def alerts_are_those_of_the_page(pages: list[Json]) -> Iterator[str]:
    """Every page lists in sight which of its own alerts fire, the worst first, with since when."""
    for page in pages:
        found = [panel for panel in page["panels"] if panel["title"] == "Firing alerts"]
        if len(found) != 1:
            yield f"{page['uid']}: {len(found)} lists of firing alerts are open"
        for panel in found:
            order = [one["displayName"] for one in panel["options"]["sortBy"]][:1]
            if order != ["Severity"] or "ALERTS_FOR_STATE" not in json.dumps(panel["targets"]):
                yield f"{page['uid']}: lists alerts by {order[0]}, or not since when they fire"
            filtered = all("alertname=~" in target["expr"] for target in panel["targets"])
            if filtered == (page["uid"] in _OF_EVERYTHING):
                yield f"{page['uid']}: lists alerts of other pages, or not all"
        if any(panel["type"] == "alertlist" for panel in panels(page)):
            yield f"{page['uid']}: has a second list of alerts"


def one_of_many_is_not_the_first_of_the_alphabet(pages: list[Json]) -> Iterator[str]:
    """A page about one of many opens on the best, the worst or the one in trouble."""
    for page in pages:
        for variable in page["templating"]["list"]:
            if variable["type"] == "query" and not variable["includeAll"] and variable["sort"]:
                yield f"{page['uid']}: opens on the {variable['label']} that is first in the alphabet"


def alerts_of_one_are_its_own(pages: list[Json]) -> Iterator[str]:
    """A page about one of many has no alerts of the others: in its state, since when, and in its list."""
    for page in pages:
        ones = [
            variable["name"]
            for variable in page["templating"]["list"]
            if variable["type"] == "query" and not variable["includeAll"]
        ]
        for panel in panels(page):
            found = [target["expr"] for target in panel.get("targets", ()) if "ALERTS" in target.get("expr", "")]
            for name in ones:
                if not all(f"${name}" in expr for expr in found):
                    yield f"{page['uid']}: {panel['title']} has alerts of each ${name}"


def every_page_is_named(pages: list[Json]) -> Iterator[str]:
    """The overview says of each page what it is for."""
    (overview,) = [page for page in pages if page["uid"] == "ml-monitoring-operations-overview"]
    named = json.dumps([panel["options"] for panel in panels(overview) if panel["type"] == "text"])
    for page in pages:
        if page is not overview and f"/d/{page['uid']}?" not in named:
            yield f"{page['uid']}: the overview does not name it"


def nothing_is_drawn_twice(pages: list[Json]) -> Iterator[str]:
    """No two charts of a page have the same queries; a number and its course are two."""
    for page in pages:
        seen: dict[str, str] = {}
        for panel in panels(page):
            queries = sorted(target.get("expr", "") for target in panel.get("targets", []))
            key = f"{panel['type']} {queries} {panel.get('repeat', '')}"
            if queries and key in seen:
                yield f"{page['uid']}: {panel['title']} shows the same as {seen[key]}"
            seen[key] = panel["title"]
