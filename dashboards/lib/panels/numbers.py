"""Panels of single values: stat, bar gauge and gauge. They ask for the value now and never show an old one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.dashboards.lib.layout import Size
from ml_monitoring.dashboards.lib.links import data_link, page_url
from ml_monitoring.dashboards.lib.panels.base import BARS, LAST_VALUE, Panel, absent, describe, field_defaults, names
from ml_monitoring.dashboards.lib.queries import Query, Scope, as_queries, colour_overrides, name_overrides, targets
from ml_monitoring.dashboards.lib.style import NO_VALUE, SEVERITY, Colour
from ml_monitoring.dashboards.lib.upstream import Json, grafana, plugin_panel
from ml_monitoring.exporter.catalog import Unit

# What the values of a traffic light are called: nothing fires, or the loudest alert that does. Nothing fires either of
# what is not known.
_LIGHTS = (("OK", Colour.GOOD), *((severity, SEVERITY[severity]) for severity in ("info", "warning", "critical")))
LIGHT_WORDS: Mapping[str, tuple[str, Colour]] = {
    "-2": ("not watched", Colour.MUTED),
    "-1": ("unknown", Colour.MUTED),
    **{str(code): pair for code, pair in enumerate(_LIGHTS)},
}


def stat(
    *given: Signal | Query,
    title: str = "",
    width: int = 4,
    height: int = 4,
    states: tuple[str, str] = ("no", "yes"),
    show: str = "",
    colours: Mapping[str, Colour] | None = None,
    values: Mapping[str, tuple[str, Colour]] | None = None,
    at_most: tuple[float, str] | None = None,
    empty: str = NO_VALUE,
) -> Panel:
    """Return a big number.

    Args:
        given: Signals; several give several numbers.
        title: Instead of the first signal's.
        width: Columns.
        height: Grid units.
        states: What a flag's 0 and 1 are called.
        show: `value`, `name` (for an info metric) or `value_and_name`; by default names where there are several.
        colours: Fixed colours by a word in the series name, such as a run status.
        values: Words and colours of the values of a code.
        at_most: Up to which value words stand for it, and these; the colour stays that of the value.
        empty: What the panel says without series; give it where that is no fault.
    """
    queries = as_queries(given)
    signal = queries[0].signal
    title = title or signal.title
    if not show:
        # Of itself Grafana writes a series' name only where there are several.
        show = "name" if signal.unit is Unit.INFO else "auto"

    def render(scope: Scope) -> Any:
        defaults = field_defaults(queries[0], scope, states=states) | {"noValue": empty}
        if values:
            defaults["mappings"] = [names(values)]
        if at_most:
            most, words = at_most
            # An end without a value is lost on the way to JSON.
            options = {"from": -1_000_000, "to": most, "result": {"text": words, "index": 0}}
            defaults["mappings"].append({"type": "range", "options": options})
        base = defaults["thresholds"]["steps"][0]
        # What judges is behind the text.
        judged = signal.unit is Unit.FLAG or bool(values or colours) or base["color"] != Colour.PLAIN
        if colours or (judged and base["color"] == Colour.PLAIN):
            # Words judge, not that there is none of them.
            base["color"] = str(Colour.MUTED)
        defaults["mappings"].append(absent(empty, Colour.MUTED if judged else Colour.PLAIN))
        return grafana.Stat(
            title=title,
            description=describe(queries),
            targets=targets(queries, scope, instant=True),
            colorMode="background" if judged else "value",
            graphMode="none",
            reduceCalc="lastNotNull",
            textMode=show,
            # grafanalib's default is the string "", which Grafana cannot read.
            thresholds=[],
            # Below 0 there is no 0 that is no alarm.
            overrides=[
                *colour_overrides(queries, colours, base=None if signal.signed else Colour(base["color"])),
                *name_overrides(queries),
            ],
            extraJson={"fieldConfig": {"defaults": defaults}},
        )

    return Panel("stat", title, Size(width, height), queries, render)


def light(
    given: Signal | Query,
    *,
    page: str,
    title: str,
    since: Query | None = None,
    width: int = 4,
    height: int = 3,
) -> Panel:
    """Return a traffic light: a field in the colour of the loudest alert, with a link to the page of its domain.

    Args:
        given: A signal of 0 (nothing fires) to 3 (a critical alert fires), -1 where nothing can fire of something, or
            -2 where no rule is about it; without a series the domain is not in use.
        page: uid of the page with the details.
        title: Heading.
        since: Since when it is so, below the word.
        width: Columns.
        height: Grid units.
    """
    queries = as_queries([given])
    shown = (*queries, *((since,) if since else ()))
    defaults: Json = {
        "unit": "none",
        "decimals": 0,
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"color": str(Colour.MUTED), "value": None}]},
        "mappings": [names(LIGHT_WORDS), absent(colour=Colour.MUTED)],
        "noValue": NO_VALUE,
        "links": [data_link("Open the page", page_url(page, {}))],
    }

    def render(scope: Scope) -> Any:
        return grafana.Stat(
            title=title,
            description=describe(shown),
            targets=targets(shown, scope, instant=True),
            colorMode="background",
            graphMode="none",
            orientation="horizontal",
            reduceCalc="lastNotNull",
            textMode="value",
            thresholds=[],
            overrides=[_plain_override(since, "B")] if since else [],
            extraJson={"fieldConfig": {"defaults": defaults}},
        )

    return Panel("stat", title, Size(width, height), shown, render)


def _plain_override(query: Query, ref_id: str) -> Json:
    """Return what makes a value beside a light no light itself."""
    properties = [
        {"id": "unit", "value": query.format.unit},
        {"id": "mappings", "value": []},
        {"id": "color", "value": {"mode": "fixed", "fixedColor": str(Colour.MUTED)}},
    ]
    return {"matcher": {"id": "byFrameRefID", "options": ref_id}, "properties": properties}


def bargauge(*given: Signal | Query, title: str = "", width: int = 8, height: int = 8, ranked: bool = False) -> Panel:
    """Return a horizontal bar for each series, for comparing them now; the longest first where it is a ranking."""
    return _gauge("bargauge", as_queries(given), title, Size(width, height), BARS, ranked=ranked)


def gauge(*given: Signal | Query, title: str = "", width: int = 6, height: int = 6) -> Panel:
    """Return a dial for each series of a ratio that cannot leave 0 to 1."""
    queries = as_queries(given)
    if queries[0].signal.unit is not Unit.RATIO:
        raise ValueError(f"{queries[0].signal.name}: a dial needs two ends, so it shows ratios only")
    options = {"orientation": "auto", "showThresholdLabels": False, "showThresholdMarkers": True}
    return _gauge("gauge", queries, title, Size(width, height), options)


def _gauge(
    plugin: str,
    queries: tuple[Query, ...],
    title: str,
    size: Size,
    options: Mapping[str, Any],
    *,
    ranked: bool = False,
) -> Panel:
    first = queries[0]
    title = title or first.signal.title

    def render(scope: Scope) -> Any:
        defaults = field_defaults(first, scope) | {"noValue": NO_VALUE}
        base = defaults["thresholds"]["steps"][0]
        if base["color"] == Colour.PLAIN:
            base["color"] = str(Colour.BAR)
        defaults["mappings"].append(absent())
        if first.format.low is not None:
            defaults["min"] = first.format.low
        if first.signal.unit is Unit.RATIO:
            defaults["max"] = 1
        asked = targets(queries, scope, instant=True)
        if ranked:
            # Grafana draws series in the order in which they come.
            for target in asked:
                target.expr = f"sort_desc({target.expr})"
        return plugin_panel(
            plugin,
            title=title,
            description=describe(queries),
            targets=asked,
            defaults=defaults,
            overrides=[*colour_overrides(queries), *name_overrides(queries)],
            options={**options, "reduceOptions": dict(LAST_VALUE)},
        )

    return Panel(plugin, title, size, queries, render)
