"""Panels that ask Loki: lines of logs, and how many there are. The page needs the variable `loki_datasource`.

What they ask is LogQL, which no signal holds: signals are PromQL, of which alerts are made. Units and colours are those
of the other panels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml_monitoring.dashboards.lib.layout import Size
from ml_monitoring.dashboards.lib.panels.base import LAST_VALUE, OF_SERIES, Panel, absent, names, not_there
from ml_monitoring.dashboards.lib.queries import Scope, colour_overrides
from ml_monitoring.dashboards.lib.series import series_colours
from ml_monitoring.dashboards.lib.style import FORMATS, LEAST_TOP, NO_VALUE, Colour
from ml_monitoring.dashboards.lib.upstream import Json, grafana, plugin_panel
from ml_monitoring.dashboards.lib.variables import LOGS_DATASOURCE
from ml_monitoring.exporter.catalog import Unit

# What finalise knows such queries by.
RANGE = "logs"
INSTANT = "logs-instant"


def logs(
    title: str, description: str, logql: str, *, width: int = 24, height: int = 10, empty: str = NO_VALUE
) -> Panel:
    """Return lines of logs, the newest first."""

    def render(_: Scope) -> Any:
        return grafana.Logs(
            title=title,
            description=description,
            dataSource=LOGS_DATASOURCE,
            targets=[_target(logql, "", RANGE)],
            showTime=True,
            wrapLogMessages=True,
            enableLogDetails=True,
            extraJson={"fieldConfig": {"defaults": {"noValue": empty}}},
        )

    return Panel("logs", title, Size(width, height), (), render)


def log_graph(
    title: str,
    description: str,
    logql: str,
    *,
    legend: str,
    unit: Unit = Unit.COUNT,
    bars: bool = False,
    colours: Mapping[str, Colour] | None = None,
    width: int = 12,
    height: int = 8,
    empty: str = NO_VALUE,
) -> Panel:
    """Return counts of lines over time: lines, or stacked bars.

    Args:
        title: Heading.
        description: The operator's question.
        logql: A metric query.
        legend: Name of a series, in Grafana's legend syntax.
        unit: What is counted.
        bars: Draw stacked bars, for parts of one whole.
        colours: Fixed colours by a word in the series name, such as a level.
        width: Columns.
        height: Grid units.
        empty: What the panel says without series.
    """
    form = FORMATS[unit]

    def render(_: Scope) -> Any:
        return grafana.TimeSeries(
            title=title,
            description=description,
            dataSource=LOGS_DATASOURCE,
            targets=[_target(logql, legend, RANGE)],
            drawStyle="bars" if bars else "line",
            lineWidth=1 if bars else 2,
            fillOpacity=70 if bars else 0,
            lineInterpolation="linear",
            showPoints="never" if bars else "auto",
            stacking={"mode": "normal" if bars else "none", "group": "A"},
            spanNulls=False,
            legendDisplayMode="list",
            legendPlacement="bottom",
            tooltipMode="multi",
            tooltipSort="desc",
            overrides=[*series_colours([(legend, False)]), *colour_overrides((), colours)],
            extraJson={
                "fieldConfig": {"defaults": _defaults(unit, empty) | {"color": dict(OF_SERIES)}},
                "options": {"legend": {"showLegend": True}},
            },
        )

    if form.factor != 1:
        raise ValueError(f"{title}: Loki's counts are not converted to {form.unit}")
    return Panel("timeseries", title, Size(width, height), (), render)


def log_stat(
    title: str,
    description: str,
    logql: str,
    *,
    values: Mapping[str, tuple[str, Colour]] | None = None,
    width: int = 4,
    height: int = 4,
    empty: str = NO_VALUE,
) -> Panel:
    """Return how many errors there are at the end of the time range; those of several services with their names.

    Loki answers with one table, whose rows are the series, so each row is a value.

    Args:
        title: Heading.
        description: The operator's question.
        logql: A metric query; more than 0 is bad.
        values: Words and colours of some values, such as 0.
        width: Columns.
        height: Grid units.
        empty: What the panel says without rows.
    """
    defaults = _defaults(Unit.COUNT, empty) | {"color": {"mode": "thresholds"}}
    steps = [{"color": str(Colour.MUTED), "value": None}, {"color": str(Colour.FAILURE), "value": 1}]
    defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    defaults["mappings"] = [*([names(values)] if values else []), absent(empty, Colour.MUTED)]

    def render(_: Scope) -> Any:
        return plugin_panel(
            "stat",
            title=title,
            description=description,
            targets=[_target(logql, title, INSTANT)],
            defaults=defaults,
            options={
                "colorMode": "background",
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "textMode": "value" if values else "value_and_name",
                "reduceOptions": {**LAST_VALUE, "values": True},
            },
        )

    return Panel("stat", title, Size(width, height), (), render)


def _target(logql: str, legend: str, form: str) -> Any:
    return grafana.Target(expr=logql, datasource=LOGS_DATASOURCE, legendFormat=legend, refId="A", format=form)


def _defaults(unit: Unit, empty: str) -> Json:
    form = FORMATS[unit]
    defaults: Json = {"unit": form.unit, "noValue": empty, "min": form.low}
    if unit in LEAST_TOP:
        defaults["custom"] = {"axisSoftMax": LEAST_TOP[unit]}
    if form.decimals is not None:
        defaults["decimals"] = form.decimals
    if form.decimals == 0:
        defaults["mappings"] = [not_there(" ")]
    return defaults
