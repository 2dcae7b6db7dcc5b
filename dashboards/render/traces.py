"""Panels as Plotly traces and layouts for the interactive page: plain dictionaries, which Plotly's JavaScript reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_monitoring.dashboards.render.colours import Theme, ink_on_band, mix
from ml_monitoring.dashboards.render.display import Style, ends, series_colour, show, threshold_steps
from ml_monitoring.dashboards.render.draw.heatmap import rows_of
from ml_monitoring.dashboards.render.draw.single import singles_of
from ml_monitoring.dashboards.render.draw.states import opaque, state_bands
from ml_monitoring.dashboards.render.draw.timeseries import Line, axes_of, prepared_lines, scale_of
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.transforms import transform
from ml_monitoring.dashboards.render.units import format_value

Json = dict[str, Any]
Chart = tuple[list[Json], Json]

_DASHES = {"dash": "dash", "dot": "dot"}
_ANCHORS = {"left": "start", "center": "middle", "right": "end"}
_SHAPES = {"stepAfter": "hv", "stepBefore": "vh", "smooth": "spline"}
# More points than this cannot be distinguished on a screen, and their texts would fill the file.
_MOST_TEXTS = 2000
# For which the marks of the value axis are chosen; the page scales it.
_HEIGHT = 190


def chart_of(data: PanelData, whole: DashboardData, style: Style) -> Chart | None:
    """Return traces and layout of a panel that is a chart; None for the other kinds."""
    make = _CHARTS.get(data.panel.type)
    return make(data, whole, style) if make else None


def moment(milliseconds: float) -> str:
    """Return a time as Plotly reads it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _layout(style: Style, **more: Any) -> Json:
    theme = style.theme
    axis = {"gridcolor": theme.grid, "zerolinecolor": theme.grid, "linecolor": theme.grid, "automargin": True}
    base: Json = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "Inter, system-ui, sans-serif", "size": 12, "color": theme.muted},
        "margin": {"l": 8, "r": 12, "t": 6, "b": 8},
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": theme.panel, "bordercolor": theme.border, "font": {"color": theme.text, "size": 12}},
        # The page has a legend of its own, which is never in the way of the chart.
        "showlegend": False,
        "xaxis": {**axis, **more.pop("xaxis", {})},
        "yaxis": {**axis, **more.pop("yaxis", {})},
    }
    return base | more


def _time_axis(data: PanelData) -> Json:
    form = "%H:%M:%S" if data.span.seconds < 300 else "%H:%M" if data.span.seconds < 90_000 else "%m/%d %H:%M"
    ends = [moment(data.span.start * 1000), moment(data.span.end * 1000)]
    return {"type": "date", "range": ends, "tickformat": form, "nticks": 8}


def _lines(data: PanelData, whole: DashboardData, style: Style) -> Chart:
    lines = prepared_lines(data.frames, style.theme)
    layout = _layout(
        style,
        xaxis=_time_axis(data),
        barmode="overlay",
        shapes=_marks(data, whole, lines, style.theme),
    )
    names: dict[int, str] = {}
    for place, axis in enumerate(axes_of(lines), start=1):
        name = f"y{place if place > 1 else ''}"
        names |= {id(line): name for line in axis.lines}
        settings: Json = {"side": "right" if axis.side == "right" else "left", "showgrid": axis.grid}
        if place > 1:
            # Several axes on one side move apart by themselves.
            settings |= {"overlaying": "y", "automargin": True, "anchor": "free", "autoshift": True}
        layout.setdefault(f"yaxis{name[1:]}", {}).update(settings | value_axis(axis.lines, style))
        if axis.side == "hidden":
            layout[f"yaxis{name[1:]}"]["showticklabels"] = False
    traces = [_line(line, style, names[id(line)]) for line in lines]
    # Below the lines, but after them here: what counts traces counts these last.
    for number, line in enumerate(lines):
        if _is_area(line):
            name = names[id(line)]
            scale = layout[f"yaxis{name[1:]}"]
            # A logarithmic axis has no 0.
            floor = 10 ** scale["range"][0] if scale["type"] == "log" else 0.0
            traces.append(_area(line, number, name, floor))
    return traces, layout


def _is_area(line: Line) -> bool:
    custom = line.custom
    kind = str(custom.get("drawStyle") or "line")
    return kind == "line" and float(custom.get("fillOpacity", 0)) > 0 and bool(np.isfinite(line.y).any())


def _area(line: Line, number: int, axis: str, floor: float) -> Json:
    """Return what is filled below a line, closed part by part: Plotly's own filling goes straight across gaps."""
    shape = _SHAPES.get(str(line.custom.get("lineInterpolation")), "linear")
    base = np.maximum(line.base, floor) if floor and len(line.base) else line.base
    base = base if len(base) else np.full(len(line.y), floor)
    x: list[float | None] = []
    y: list[float | None] = []
    holes = np.nonzero(~np.isfinite(line.y))[0]
    for places in np.split(np.arange(len(line.y)), holes):
        part = places[np.isfinite(line.y[places])]
        if not len(part):
            continue
        top, bottom = (_corners(line.x[part], values[part], shape) for values in (line.y, base))
        x += [*top[0], *bottom[0][::-1], None]
        y += [*top[1], *bottom[1][::-1], None]
    return {
        "name": line.field.display,
        "area": number,
        "type": "scatter",
        "mode": "lines",
        "line": {"width": 0},
        "x": x,
        "y": y,
        "fill": "toself",
        "fillcolor": _faint(line.colour, float(line.custom.get("fillOpacity", 0)) / 100),
        "hoverinfo": "skip",
        "zorder": -1,
        "yaxis": axis,
    }


def _corners(x: NDArray[np.float64], y: NDArray[np.float64], shape: str) -> tuple[list[float], list[float]]:
    """Return the points of a line, with the corners of its steps."""
    if shape == "hv":
        return np.repeat(x, 2)[1:].tolist(), np.repeat(y, 2)[:-1].tolist()
    if shape == "vh":
        return np.repeat(x, 2)[:-1].tolist(), np.repeat(y, 2)[1:].tolist()
    return x.tolist(), y.tolist()


def _line(line: Line, style: Style, axis: str) -> Json:
    custom, field = line.custom, line.field
    y = [None if math.isnan(value) else value for value in line.y.tolist()]
    own = y if not len(line.base) else (line.y - line.base).tolist()
    limits = ends(field)
    texts = [_shown(value, field, style, limits) for value in own] if len(own) <= _MOST_TEXTS else None
    trace: Json = {
        "name": field.display,
        # As numbers, which are milliseconds and UTC: texts would be most of the page.
        "x": line.x.tolist(),
        "y": y,
        "hovertemplate": f"{field.display}: %{{text}}<extra></extra>"
        if texts
        else f"{field.display}: %{{y}}<extra></extra>",
        "text": texts,
        "yaxis": axis,
    }
    opacity = float(custom.get("fillOpacity", 0)) / 100
    if custom.get("drawStyle") == "bars":
        base = {"base": line.base.tolist(), "y": own} if len(line.base) else {}
        return (
            trace
            | {"type": "bar", "textposition": "none", "marker": {"color": line.colour}, "opacity": max(0.4, opacity)}
            | base
        )
    dash = (custom.get("lineStyle") or {}).get("fill")
    trace |= {
        "type": "scatter",
        "mode": "markers" if custom.get("drawStyle") == "points" else "lines",
        "line": {
            "color": line.colour,
            "width": float(custom.get("lineWidth", 1)),
            "shape": _SHAPES.get(str(custom.get("lineInterpolation")), "linear"),
            "dash": _DASHES.get(str(dash), "solid"),
        },
        "marker": {"color": line.colour, "size": float(custom.get("pointSize") or 5)},
        "connectgaps": False,
    }
    return trace


def _faint(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def _shown(value: float | None, field: Field, style: Style, limits: tuple[float, float] | None = None) -> str:
    return "" if value is None or math.isnan(value) else str(show(value, field, style, limits=limits))


def value_axis(lines: Sequence[Line], style: Style) -> Json:
    """Return the settings of a value axis; Plotly knows no units, so it gets the places and texts of the drawn axis."""
    scale = scale_of(lines, _HEIGHT, style)
    return {
        "type": "log" if scale.log else "linear",
        "range": [math.log10(scale.low), math.log10(scale.high)] if scale.log else [scale.low, scale.high],
        "tickvals": list(scale.marks),
        "ticktext": list(scale.labels),
    }


def _marks(data: PanelData, whole: DashboardData, lines: Sequence[Line], theme: Theme) -> list[Json]:
    shapes: list[Json] = [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": moment(event.start),
            "x1": moment(event.end),
            "fillcolor": theme.colour(event.colour),
            "opacity": 0.15,
            "layer": "below",
            "line": {"width": 1, "color": theme.colour(event.colour), "dash": "dot"},
        }
        for event in whole.annotations
    ]
    mode = str((data.panel.custom.get("thresholdsStyle") or {}).get("mode") or "off")
    if lines and ("line" in mode or "dashed" in mode):
        for value, colour in threshold_steps(lines[0].field):
            if math.isfinite(value):
                dash = "dash" if "dashed" in mode else "solid"
                line = {"color": theme.colour(colour), "width": 1.5, "dash": dash}
                shapes.append(
                    {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value, "line": line}
                )
    return shapes


def _heatmap(data: PanelData, _: DashboardData, style: Style) -> Chart:
    rows = rows_of(data)
    if rows is None:
        return [], _layout(style)
    times, labels, cells = rows
    unit = str((data.panel.options.get("yAxis") or {}).get("unit") or "")
    names = [str(format_value(float(label), unit)) if _is_number(label) else label for label in labels]
    theme = style.theme
    trace = {
        "type": "heatmap",
        "x": [moment(value) for value in times.tolist()],
        "y": names,
        "z": [[value if math.isfinite(value) else None for value in row] for row in cells.tolist()],
        "colorscale": [
            [0, mix(theme.colour("blue"), theme.panel, 0.08)],
            [1, theme.colour("dark-blue" if theme.name == "light" else "light-blue")],
        ],
        "xgap": 1,
        "ygap": 1,
        "colorbar": {"thickness": 10, "outlinewidth": 0},
        "hovertemplate": "%{x}<br>%{y}: %{z}<extra></extra>",
    }
    return [trace], _layout(style, xaxis=_time_axis(data), hovermode="closest", yaxis={"type": "category"})


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _states(data: PanelData, _: DashboardData, style: Style) -> Chart:
    traces: dict[str, Json] = {}
    rows = state_bands(data, style)
    options = data.panel.options
    align = "center" if data.panel.type == "status-history" else str(options.get("alignValue") or "left")
    has_texts = options.get("showValue") != "never" and sum(len(bands) for _, bands in rows) <= _MOST_TEXTS
    first, last = data.span.start * 1000, data.span.end * 1000
    for field, bands in rows:
        for band in bands:
            # Its name stands where it can be seen.
            start, end = max(band.start, first), min(band.end, last)
            if end <= start:
                continue
            fill = opaque(band.colour, field, style.theme)
            trace = traces.setdefault(
                band.text,
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": band.text,
                    "base": [],
                    "x": [],
                    "y": [],
                    "text": [],
                    "hovertext": [],
                    "marker": {"color": fill, "line": {"width": 0}},
                    "textposition": "inside" if has_texts else "none",
                    "insidetextanchor": _ANCHORS.get(align, "start"),
                    "textangle": 0,
                    "insidetextfont": {"size": 12, "color": ink_on_band(fill)},
                    "hovertemplate": "%{y}: %{hovertext}<extra></extra>",
                },
            )
            trace["base"].append(moment(start))
            trace["x"].append(end - start)
            trace["y"].append(field.display)
            trace["text"].append(band.text)
            trace["hovertext"].append(f"{band.text}, {moment(band.start)[11:19]} to {moment(band.end)[11:19]}")
    layout = _layout(
        style,
        xaxis=_time_axis(data),
        yaxis={"autorange": "reversed", "type": "category"},
        barmode="overlay",
        hovermode="closest",
        bargap=0.15,
        # A text that does not fit is left out; the legend and a pointer name it.
        uniformtext={"mode": "hide", "minsize": 10},
    )
    return list(traces.values()), layout


def _gauges(data: PanelData, _: DashboardData, style: Style) -> Chart:
    values = singles_of(data, style)
    traces = []
    for place, one in enumerate(values):
        low, high = ends(one.field)
        traces.append(
            {
                "type": "indicator",
                "mode": "gauge",
                "value": None if math.isnan(one.shown.number) else one.shown.number,
                "title": {
                    "text": f"{one.name if len(values) > 1 else ''}<br><b>{one.shown}</b>",
                    "font": {"color": one.shown.colour},
                },
                "domain": {"x": [place / len(values) + 0.02, (place + 1) / len(values) - 0.02], "y": [0, 0.8]},
                "gauge": {
                    "axis": {"range": [low, high], "visible": False},
                    "bar": {"color": one.shown.colour, "thickness": 0.9},
                    "bgcolor": style.theme.track,
                    "borderwidth": 0,
                },
            }
        )
    return traces, _layout(style, margin={"l": 16, "r": 16, "t": 40, "b": 4})


def _bar_gauge(data: PanelData, _: DashboardData, style: Style) -> Chart:
    values = singles_of(data, style)[::-1]
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [one.name for one in values],
        "x": [one.shown.number for one in values],
        "text": [str(one.shown) for one in values],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": [one.shown.colour for one in values]},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = _layout(style, hovermode="closest", xaxis={"visible": False}, margin={"l": 8, "r": 60, "t": 6, "b": 8})
    return [trace], layout


def _bar_chart(data: PanelData, _: DashboardData, style: Style) -> Chart:
    frames: Sequence[Frame] = [frame for frame in data.frames if frame.fields and frame.length]
    if len(frames) > 1:
        frames = transform(frames, [{"id": "merge"}], data.variables)
    if not frames:
        return [], _layout(style)
    frame = frames[0]
    named = frame.named(str(data.panel.options.get("xField") or ""))
    named = named or next((one for one in frame.fields if one.kind is FieldKind.STRING), frame.time)
    names = [str(show(value, named, style)) for value in named.values] if named else [""] * frame.length
    across = data.panel.options.get("orientation") == "horizontal"
    traces = []
    for field in frame.value_fields:
        amounts = [None if math.isnan(value) else value for value in field.numbers()]
        texts = [_shown(value, field, style) for value in amounts]
        traces.append(
            {
                "type": "bar",
                "name": field.display,
                "orientation": "h" if across else "v",
                "x": amounts if across else names,
                "y": names if across else amounts,
                "text": texts,
                "marker": {"color": series_colour(field, style.theme)},
                "hovertemplate": f"{field.display}: %{{text}}<extra></extra>",
            }
        )
    stacked = str(data.panel.options.get("stacking") or "none") != "none"
    names_axis = {"yaxis" if across else "xaxis": {"type": "category", **({"autorange": "reversed"} if across else {})}}
    return traces, _layout(style, barmode="stack" if stacked else "group", hovermode="closest", **names_axis)


def _pie(data: PanelData, _: DashboardData, style: Style) -> Chart:
    values = [one for one in singles_of(data, style) if one.shown.number > 0]
    trace = {
        "type": "pie",
        "labels": [one.name for one in values],
        "values": [one.shown.number for one in values],
        "text": [str(one.shown) for one in values],
        "hole": 0.55 if data.panel.options.get("pieType") == "donut" else 0,
        "marker": {"colors": [one.shown.colour for one in values], "line": {"color": style.theme.panel, "width": 1.5}},
        "textinfo": "percent",
        "hovertemplate": "%{label}: %{text} (%{percent})<extra></extra>",
    }
    return [trace], _layout(style, hovermode="closest")


def _histogram(data: PanelData, _: DashboardData, style: Style) -> Chart:
    found = transform(data.frames, [{"id": "histogram", "options": data.panel.options}], data.variables)
    source = next((field for frame in data.frames for field in frame.value_fields), None)
    if not found or source is None:
        return [], _layout(style)
    starts, ends_, counts = (field.numbers() for field in found[0].fields)
    texts = [
        f"{show(low, source, style)} to {show(high, source, style)}" for low, high in zip(starts, ends_, strict=True)
    ]
    trace = {
        "type": "bar", "name": "count", "x": [(low + high) / 2 for low, high in zip(starts, ends_, strict=True)],
        "y": counts, "width": [(high - low) * 0.95 for low, high in zip(starts, ends_, strict=True)], "text": texts,
        "textposition": "none", "marker": {"color": series_colour(source, style.theme)},
        "hovertemplate": "%{text}: %{y}<extra></extra>",
    }  # fmt: skip
    return [trace], _layout(style, hovermode="closest")


_CHARTS: dict[str, Callable[[PanelData, DashboardData, Style], Chart]] = {
    "timeseries": _lines,
    "heatmap": _heatmap,
    "state-timeline": _states,
    "status-history": _states,
    "gauge": _gauges,
    "bargauge": _bar_gauge,
    "barchart": _bar_chart,
    "piechart": _pie,
    "histogram": _histogram,
}
