"""Panels with an axis: time series, state timeline, heatmap and bar chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.dashboards.lib.layout import Size
from ml_monitoring.dashboards.lib.panels.base import (
    OF_SERIES,
    Panel,
    describe,
    field_defaults,
    is_probability,
    keep_fields,
    names,
    not_there,
)
from ml_monitoring.dashboards.lib.panels.tables import EMPTY_CELL
from ml_monitoring.dashboards.lib.queries import Query, Scope, as_queries, colour_overrides, name_overrides, targets
from ml_monitoring.dashboards.lib.series import series_colours
from ml_monitoring.dashboards.lib.style import LONG_TIMES, NO_VALUE, Colour
from ml_monitoring.dashboards.lib.thresholds import limits, soft_ends
from ml_monitoring.dashboards.lib.upstream import Json, grafana, plugin_panel
from ml_monitoring.exporter.catalog import Unit

# Grafana's timelines join values of one threshold and then forget the names of values: those need a mode without
# thresholds. A mapping's colour goes before it.
MAPPED = "palette-classic"


def timeseries(
    *given: Signal | Query,
    title: str = "",
    width: int = 12,
    height: int = 8,
    bars: bool = False,
    stacked: bool = False,
    stepped: bool = False,
    legend: str = "",
    colours: Mapping[str, Colour] | None = None,
    empty: str = NO_VALUE,
) -> Panel:
    """Return lines over time, with the alerts' thresholds as dashed lines.

    Args:
        given: Signals of one unit.
        title: Instead of the first signal's.
        width: Columns.
        height: Grid units.
        bars: Draw bars, for counts of events.
        stacked: Stack the series; for parts of one whole only.
        stepped: Hold each value until the next, for values that change by events.
        legend: `table` with each series' last and highest value, or `list`; by default what fits the signal.
        colours: Fixed colours by a word in the series name, such as a run status.
        empty: What the panel says without series; give it where that is good news.
    """
    queries = as_queries(given)
    first = queries[0]
    title = title or first.signal.title
    if first.signal.unit is Unit.TIMESTAMP:
        raise ValueError(f"{first.signal.name}: a timestamp over time is a slope; show its age")
    legend = legend or ("table" if any(query.signal.by for query in queries) else "list")
    if bars and any(query.signal.by for query in queries):
        # What did not happen is no bar, and has no line in the legend.
        queries = tuple(replace(query, above_zero=True) for query in queries)
        empty = empty if empty != NO_VALUE else "no events, or no data from Prometheus"
    # Of events the most in one moment, since the last one is often none. Not the last value that there was: of a
    # series that ended that is an old one.
    order = {"sortBy": "Max" if bars else "Last", "sortDesc": True} if legend == "table" else {}

    def render(scope: Scope) -> Any:
        shown = _in_long_units(queries, scope)
        judges = tuple(judge for query in shown for judge in query.judges(scope))
        defaults = field_defaults(shown[0], scope) | {"noValue": empty, "color": dict(OF_SERIES)}
        defaults["thresholds"]["steps"] = limits(first.signal, shown[0].judges(scope))
        signed = any(query.signal.signed for query in queries)
        if first.format.low is not None and not signed:
            defaults["min"] = first.format.low
        if is_probability(first.signal):
            # A mark of the axis is no probability that was found.
            defaults["mappings"] = []
            # No chance is more than certain; of itself Grafana draws a constant 1 on an axis up to 2.
            defaults["max"] = 1
        defaults["mappings"].append(not_there(" " if defaults.get("decimals") == 0 else EMPTY_CELL))
        defaults["custom"] = soft_ends(first.signal.unit, judges)
        if signed:
            # What is neither more nor less is in sight.
            defaults["custom"].setdefault("axisSoftMin", 0)
        return grafana.TimeSeries(
            title=title,
            description=describe(queries),
            targets=targets(shown, scope),
            # Windows of bars must not overlap by much, or one event stands in several of them.
            interval="1m" if bars else None,
            drawStyle="bars" if bars else "line",
            # Of a stack the areas tell how much there is; the line on top would be in the colour of the smallest part.
            lineWidth=1 if bars else 0 if stacked else 2,
            fillOpacity=70 if bars or stacked else 0,
            lineInterpolation="stepAfter" if stepped else "linear",
            showPoints="never" if bars or stacked else "auto",
            stacking={"mode": "normal" if stacked else "none", "group": "A"},
            # A hole in the data is a hole in the line: a source that was down must be seen.
            spanNulls=False,
            thresholdsStyleMode="dashed" if judges else "off",
            legendDisplayMode=legend,
            legendPlacement="right" if legend == "table" and width > 12 else "bottom",
            legendCalcs=["last", "max"] if legend == "table" else [],
            tooltipMode="multi",
            tooltipSort="desc",
            overrides=[
                *_series_colours(queries, scope),
                *colour_overrides(queries, colours),
                *_dashed(queries),
                *name_overrides(queries),
            ],
            extraJson={"fieldConfig": {"defaults": defaults}, "options": {"legend": {"showLegend": True, **order}}},
        )

    return Panel("timeseries", title, Size(width, height), queries, render)


def _in_long_units(queries: tuple[Query, ...], scope: Scope) -> tuple[Query, ...]:
    """Return queries of seconds whose limits are hours or days as queries of those, so that marks are round."""
    if queries[0].signal.unit is not Unit.SECONDS:
        return queries
    top = max((judge.threshold for query in queries for judge in query.judges(scope)), default=0.0)
    form = next((form for seconds, form in LONG_TIMES.items() if top >= seconds), None)
    return tuple(replace(query, form=form) for query in queries)


def state_timeline(
    *given: Signal | Query,
    title: str = "",
    width: int = 24,
    height: int = 6,
    states: tuple[str, str] = ("no", "yes"),
    values: Mapping[str, tuple[str, Colour]] | None = None,
    empty: str = NO_VALUE,
) -> Panel:
    """Return a band for each series of a flag, a ratio or a code, in the colour of its value at that time.

    Args:
        given: Signals of one unit. A flag has two colours; a ratio goes from light at 0 to dark red at 1; a code has
            those of its values.
        title: Instead of the first signal's.
        width: Columns.
        height: Grid units.
        states: What a flag's 0 and 1 are called.
        values: Words and colours of the values of a code.
        empty: What the panel says without series; give it where that is good news.
    """
    queries = as_queries(given)
    first = queries[0]
    title = title or first.signal.title
    if not values and first.signal.unit not in {Unit.FLAG, Unit.RATIO}:
        raise ValueError(
            f"{first.signal.name}: a timeline shows states, so it needs a flag, a ratio or names of values"
        )

    def render(scope: Scope) -> Any:
        if values:
            defaults = field_defaults(first, scope, colour_mode=MAPPED) | {"mappings": [names(values)]}
        elif first.signal.unit is Unit.FLAG:
            defaults = field_defaults(first, scope, colour_mode=MAPPED, states=states)
        else:
            # One hue, so that all eyes can tell how much it is, and the number where there is room.
            defaults = field_defaults(first, scope, colour_mode="continuous-reds") | {"min": 0, "max": 1, "decimals": 0}
        defaults["noValue"] = empty
        return grafana.StateTimeline(
            title=title,
            description=describe(queries),
            targets=targets(queries, scope),
            # The word of a state too, where its band is wide enough.
            showValue="auto",
            tooltipMode="multi",
            overrides=name_overrides(queries),
            extraJson={
                "fieldConfig": {"defaults": defaults},
                # Where words are in the bands, a legend adds what is no state: the gaps, in a colour of one.
                "options": {
                    "legend": {"showLegend": first.signal.unit is Unit.RATIO, "calcs": []},
                    "tooltip": {"sort": "none"},
                },
            },
        )

    return Panel("state-timeline", title, Size(width, height), queries, render)


def heatmap(given: Signal | Query, *, title: str = "", width: int = 12, height: int = 12) -> Panel:
    """Return how a histogram's buckets fill over time; the signal keeps the label `le`, its unit is the buckets'.

    It is high, since every bucket has a line of text beside it.
    """
    queries = as_queries([given])
    query = queries[0]
    title = title or query.signal.title
    if "le" not in query.signal.by:
        raise ValueError(f"{query.signal.name}: a heatmap needs the label le")
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Blues",
            "steps": 64,
            "exponent": 0.5,
            "fill": "dark-blue",
            "reverse": False,
            "scale": "exponential",
        },
        "exemplars": {"color": str(Colour.WARNING)},
        # Buckets without an event are left out, so that they do not look like a low value.
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": query.format.unit},
    }
    defaults = {"unit": "short", "custom": {"scaleDistribution": {"type": "linear"}}}

    def render(scope: Scope) -> Any:
        return plugin_panel(
            "heatmap",
            title=title,
            description=describe(queries),
            targets=targets(queries, scope, form="heatmap"),
            defaults=defaults,
            options=options,
        )

    return Panel("heatmap", title, Size(width, height), queries, render)


def barchart(
    given: Signal | Query, *, x: str, series: str = "", title: str = "", width: int = 12, height: int = 8
) -> Panel:
    """Return a bar now for each value of the label `x`.

    Args:
        given: The signal.
        x: Label below the bars.
        series: Label whose values have bars of their own side by side, with a legend; for signals of several things.
        title: Instead of the signal's.
        width: Columns.
        height: Grid units.
    """
    queries = as_queries([given])
    query = queries[0]
    title = title or query.signal.title
    if x not in query.signal.by:
        raise ValueError(f"{query.signal.name}: has no label {x} to stand below the bars")
    if not series and set(query.signal.by) - {x}:
        raise ValueError(f"{query.signal.name}: bars of several things need a label that names them")
    corner = f"{x}\\{series}"
    pivot = [
        {
            "id": "groupingToMatrix",
            "options": {"columnField": series, "rowField": x, "valueField": "Value", "emptyValue": "null"},
        }
    ]

    def render(scope: Scope) -> Any:
        defaults = field_defaults(query, scope) | {"color": dict(OF_SERIES)}
        if query.format.low is not None:
            defaults["min"] = query.format.low
        return grafana.BarChart(
            title=title,
            description=describe(queries),
            targets=targets(queries, scope, instant=True, form="table"),
            transformations=[keep_fields([x, series, "Value"]), *pivot] if series else [keep_fields([x, "Value"])],
            orientation="auto",
            showValue="auto",
            showLegend=bool(series),
            tooltipMode="single",
            overrides=series_colours([(f"{{{{{series}}}}}", False)]) if series else [],
            extraJson={"fieldConfig": {"defaults": defaults}, "options": {"xField": corner if series else x}},
        )

    return Panel("barchart", title, Size(width, height), queries, render)


def _series_colours(queries: Sequence[Query], scope: Scope) -> list[Json]:
    return series_colours([(query.legend, query.dashed) for query in queries], len(scope.shown_places))


def _dashed(queries: Sequence[Query]) -> list[Json]:
    style = [
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 6]}},
        {"id": "custom.fillOpacity", "value": 0},
    ]
    return [
        {"matcher": {"id": "byFrameRefID", "options": chr(ord("A") + index)}, "properties": style}
        for index, query in enumerate(queries)
        if query.dashed
    ]
