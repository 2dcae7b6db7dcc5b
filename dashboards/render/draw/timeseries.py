"""Time series: lines, bars, points, stacks, bands, thresholds and events over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from numpy.typing import NDArray

from ml_monitoring.dashboards.render.colours import Theme
from ml_monitoring.dashboards.render.display import Style, series_colour, threshold_steps, value_colour
from ml_monitoring.dashboards.render.draw.axes import BOTTOM, Scale, draw_time_axis, draw_value_axis, value_scale
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.draw.legend import draw_legend, entries_of
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.events import Annotation
from ml_monitoring.dashboards.render.frames import Field, Frame, until
from ml_monitoring.dashboards.render.layout import Box

Json = dict[str, Any]
Array = NDArray[np.float64]


@dataclass(slots=True)
class Line:
    """One series as it is drawn.

    Attributes:
        field: The field.
        colour: Its colour.
        x: Milliseconds.
        y: Values, with NaN where the line is broken.
        base: Where a stacked area begins; empty when it is not stacked.
    """

    field: Field
    colour: str
    x: Array
    y: Array
    base: Array

    @property
    def custom(self) -> Json:
        """Return the settings of lines."""
        return self.field.config.get("custom") or {}


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """An axis and the series that are drawn by it.

    Attributes:
        lines: The series.
        side: `left`, `right` or `hidden`.
        grid: Whether its marks have lines.
    """

    lines: Sequence[Line]
    side: str
    grid: bool


def draw(data: PanelData, area: Area, events: Sequence[Annotation] = ()) -> None:
    """Draw the panel."""
    lines = prepared_lines(until(data.span.end * 1000, data.frames), area.theme)
    if not lines:
        area.message(data.no_value)
        return
    options = data.panel.options.get("legend") or {}
    entries = entries_of([(line.field, line.colour) for line in lines], options, area)
    box = draw_legend(area, options, entries)
    lines = [line for line in lines if not (line.custom.get("hideFrom") or {}).get("viz")]
    if not lines:
        return
    height = box.h - BOTTOM - 6
    scales = [(scale_of(axis.lines, height, area.style), axis) for axis in axes_of(lines)]
    widths = {side: sum(_room(*one) for one in scales if one[1].side == side) for side in ("left", "right")}
    place = box.inset(widths["left"] or 10.0, 6, widths["right"] or 10.0, BOTTOM)
    used = {"left": 0.0, "right": 0.0}
    gap = _bar_gap(lines)
    for number, (scale, axis) in enumerate(scales):
        axes = area.canvas.axes(place)
        if not number:
            draw_time_axis(area.canvas, axes, place, data.span)
            _draw_events(axes, events, data, area, place)
        axes.set_xlim(data.span.start * 1000, data.span.end * 1000)
        away = used.get(axis.side, 0.0)
        draw_value_axis(area.canvas, axes, place, scale, side=axis.side, away=away, lines=axis.grid)
        if axis.side != "hidden":
            used[axis.side] += _room(scale, axis)
            _draw_title(area, axis, place, used[axis.side])
        _draw_thresholds(axes, axis.lines, area)
        _draw_bands(axes, axis.lines)
        # The last series lies on top.
        for line in axis.lines:
            _draw_line(axes, line, area, place, gap)


def _room(scale: Scale, axis: ValueAxis) -> float:
    return scale.width + 14 + (16 if axis.lines[0].custom.get("axisLabel") else 0)


def _draw_title(area: Area, axis: ValueAxis, place: Box, used: float) -> None:
    title = str(axis.lines[0].custom.get("axisLabel") or "")
    x = place.x - used + 8 if axis.side == "left" else place.x + place.w + used - 8
    middle = place.y + place.h / 2
    area.canvas.text(x, middle, title, size=11, colour=area.theme.muted, align="center", turned=True)


def prepared_lines(frames: Sequence[Frame], theme: Theme) -> list[Line]:
    """Return the series to draw, stacked."""
    lines = series_lines(frames, theme)
    if lines:
        _stack(lines)
    return lines


def series_lines(frames: Sequence[Frame], theme: Theme) -> list[Line]:
    """Return the series to draw, in the order of the queries; where no sample is, the line is broken."""
    lines = []
    for frame in frames:
        if frame.time is None:
            continue
        x = np.array([math.nan if value is None else value for value in frame.time.values], dtype=float)
        for field in frame.value_fields:
            y = np.array(field.numbers(), dtype=float)
            if (field.config.get("custom") or {}).get("transform") == "negative-Y":
                y = -y
            elif (field.config.get("custom") or {}).get("transform") == "constant" and len(y):
                y = np.full_like(y, y[0])
            xs, ys = _with_gaps(x, y, field)
            lines.append(Line(field, series_colour(field, theme), xs, ys, np.array([])))
    return lines


def _with_gaps(x: Array, y: Array, field: Field) -> tuple[Array, Array]:
    """Break the line where points are missing, and close the breaks that the panel wants closed."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    custom = field.config.get("custom") or {}
    span_nulls = custom.get("spanNulls")
    y = np.where(np.isfinite(y), y, np.nan)
    if span_nulls is True:
        keep = np.isfinite(y)
        return x[keep], y[keep]
    insert = custom.get("insertNulls")
    threshold = float(insert) if insert and insert is not True else field.step * 1.5
    if isinstance(span_nulls, int | float) and span_nulls:
        threshold = max(threshold, float(span_nulls))
        keep = np.isfinite(y)
        x, y = x[keep], y[keep]
    if threshold <= 0 or len(x) < 2:
        return x, y
    holes = np.nonzero(np.diff(x) > threshold)[0] + 1
    return np.insert(x, holes, x[holes - 1] + 1), np.insert(y, holes, np.nan)


def _stack(lines: Sequence[Line]) -> None:
    """Put the series of each stack on top of each other, on the times that any of them has."""
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        stacking = line.custom.get("stacking") or {}
        mode = str(stacking.get("mode") or "none")
        if mode in ("normal", "percent") and not (line.custom.get("hideFrom") or {}).get("viz"):
            groups.setdefault((mode, str(stacking.get("group", "A"))), []).append(line)
    for (mode, _), group in groups.items():
        moments = np.unique(np.concatenate([line.x for line in group]))
        values = [_on(moments, line) for line in group]
        if mode == "percent":
            total = np.nansum(np.abs(values), axis=0)
            with np.errstate(invalid="ignore", divide="ignore"):
                values = [value / total for value in values]
        ups, downs = np.zeros(len(moments)), np.zeros(len(moments))
        for line, value in zip(group, values, strict=True):
            filled = np.nan_to_num(value)
            # Negative series grow downwards, beside the positive ones.
            negative = filled.sum() < 0
            base = downs if negative else ups
            # Where only others have a point, or their breaks, this line goes on from one of its own to the next.
            own = np.isin(moments, line.x)
            line.x, line.base, line.y = moments[own], base[own], np.where(np.isnan(value), np.nan, base + filled)[own]
            if negative:
                downs = base + filled
            else:
                ups = base + filled


def _on(moments: Array, line: Line) -> Array:
    result = np.full(len(moments), np.nan)
    result[np.searchsorted(moments, line.x)] = line.y
    return result


def axes_of(lines: Sequence[Line]) -> list[ValueAxis]:
    """Return the value axes, the first one on the left and the others on the right unless a series says where.

    Series share an axis when all that decides on its ends is the same (Grafana's `buildScaleKey`).
    """
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        config, custom = line.field.config, line.custom
        distribution = custom.get("scaleDistribution") or {}
        key = (
            config.get("unit"), config.get("min"), config.get("max"),
            custom.get("axisSoftMin"), custom.get("axisSoftMax"), custom.get("axisPlacement") or "auto",
            distribution.get("type") or "linear", distribution.get("log"), custom.get("axisLabel") or "",
        )  # fmt: skip
        groups.setdefault(tuple(map(str, key)), []).append(line)
    axes: list[ValueAxis] = []
    for group in groups.values():
        side = str(group[0].custom.get("axisPlacement") or "auto")
        if side == "auto":
            side = "right" if any(one.side == "left" for one in axes) else "left"
        # Only the lines of the first axis on the left are seen, where nothing is said.
        grid = group[0].custom.get("axisGridShow")
        if grid is None:
            grid = side == "left" and not any(one.side == "left" for one in axes)
        axes.append(ValueAxis(group, side, bool(grid) and side != "hidden"))
    return axes


def scale_of(group: Sequence[Line], height: float, style: Style) -> Scale:
    """Return the value axis of the series that share it; thresholds beyond the data are out of sight, as in Grafana."""
    values = np.concatenate([line.y for line in group])
    percent = any((line.custom.get("stacking") or {}).get("mode") == "percent" for line in group)
    return value_scale(values.tolist(), group[0].field, height, style, percent=percent)


def _draw_line(axes: Axes, line: Line, area: Area, place: Box, gap: float) -> None:
    custom, canvas = line.custom, area.canvas
    style = str(custom.get("drawStyle") or "line")
    width = float(custom.get("lineWidth", 1))
    opacity = float(custom.get("fillOpacity", 0)) / 100
    finite = np.isfinite(line.y)
    if not finite.any():
        return
    base: Any = line.base if len(line.base) else 0.0
    if style == "bars":
        each = _bar_width(axes, line, gap, place)
        _draw_bars(axes, line, base, opacity=opacity, width=canvas.points(width), each=each)
        return
    x, y = line.x, line.y
    drawstyle = {"stepAfter": "steps-post", "stepBefore": "steps-pre"}.get(
        str(custom.get("lineInterpolation")), "default"
    )
    step: Any = {"steps-post": "post", "steps-pre": "pre"}.get(drawstyle)
    if style == "line" and opacity:
        gradient = str(custom.get("gradientMode") or "none")
        strength = opacity * (0.6 if gradient in ("opacity", "hue") else 1.0)
        axes.fill_between(x, y, base, color=line.colour, alpha=strength, linewidth=0, step=step, zorder=1)
    if style == "line":
        colours = _by_value(line, area)
        dash = custom.get("lineStyle") or {}
        pattern: Any = "-"
        if dash.get("fill") == "dash":
            pattern = (
                0,
                tuple(canvas.points(one) / max(canvas.points(width), 0.1) for one in dash.get("dash") or (10, 10)),
            )
        elif dash.get("fill") == "dot":
            pattern = (0, (1, 2))
        axes.plot(
            x, y, color=colours, linewidth=canvas.points(max(width, 0)), drawstyle=drawstyle, linestyle=pattern,
            solid_joinstyle="round", zorder=2, clip_on=not _touches_zero(axes, y[finite]),
        )  # fmt: skip
    show_points = custom.get("showPoints") or "auto"
    pixels = max(float(custom.get("pointSize") or 5), width)
    size = canvas.points(pixels)
    # Points that are two of their sizes apart are drawn: what is sparse is not to look continuous.
    first, last = axes.get_xlim()
    extent = (x[-1] - x[0]) / (last - first) * place.w
    sparse = show_points == "auto" and len(x) - 1 <= extent / (2 * pixels)
    if style == "points" or show_points == "always" or sparse:
        axes.plot(x, y, "o", color=line.colour, markersize=size, markeredgewidth=0, zorder=3)
    elif show_points == "auto":
        # A point between two holes would not be seen as a line.
        alone = finite & ~np.roll(finite, 1) & ~np.roll(finite, -1) if len(x) > 1 else finite
        if len(x) > 1:
            alone[0], alone[-1] = finite[0] and not finite[1], finite[-1] and not finite[-2]
        axes.plot(x[alone], y[alone], "o", color=line.colour, markersize=size, markeredgewidth=0, zorder=3)


def _by_value(line: Line, area: Area) -> str:
    mode = str((line.field.config.get("color") or {}).get("mode") or "")
    if mode == "thresholds" and line.custom.get("gradientMode") == "scheme":
        top = float(np.nanmax(line.y))
        return value_colour(top, 1.0, line.field, area.theme)
    return line.colour


def _touches_zero(axes: Axes, values: Array) -> bool:
    """Return whether the line runs along the end of the axis, where half of it would be cut off: zero is to be seen."""
    low, high = axes.get_ylim()
    inside = values.min() >= low and values.max() <= high
    return bool(inside and 0 in (values.min(), values.max()))


def _bar_gap(lines: Sequence[Line]) -> float:
    """Return the distance of bars: the smallest of all series, so that all are equally wide; 0 for a single bar."""
    gaps = []
    for line in lines:
        if line.custom.get("drawStyle") == "bars":
            moments = line.x[np.isfinite(line.y)]
            gaps += [gap for gap in (line.field.step, *np.diff(moments)) if gap > 0]
    return float(min(gaps, default=0.0))


def _bar_width(axes: Axes, line: Line, gap: float, place: Box) -> float:
    first, last = axes.get_xlim()
    pixel = (last - first) / place.w
    return max(min((gap or last - first) * float(line.custom.get("barWidthFactor") or 0.6), 200 * pixel), pixel)


def _draw_bars(axes: Axes, line: Line, base: Any, *, opacity: float, width: float, each: float) -> None:
    """Draw the bars of a series, centred on its times; those of several series stand in front of each other."""
    finite = np.isfinite(line.y)
    shift = float(line.custom.get("barAlignment") or 0) * each / 2
    bottom = base[finite] if len(line.base) else 0.0
    axes.bar(
        line.x[finite] + shift, line.y[finite] - bottom, width=each, bottom=bottom, color=to_rgba(line.colour, opacity),
        edgecolor=line.colour, linewidth=width, zorder=2,
    )  # fmt: skip


def thresholds_of(lines: Sequence[Line]) -> tuple[str, Field | None]:
    """Return how an axis shows thresholds, and the first of its series that says so."""
    for line in lines:
        mode = str((line.custom.get("thresholdsStyle") or {}).get("mode") or "off")
        if mode != "off" and threshold_steps(line.field):
            return mode, line.field
    return "off", None


def _draw_thresholds(axes: Axes, lines: Sequence[Line], area: Area) -> None:
    mode, field = thresholds_of(lines)
    if field is None:
        return
    steps = threshold_steps(field)
    low, high = axes.get_ylim()
    if (field.config.get("thresholds") or {}).get("mode") == "percentage":
        begin, end = _percentage_ends(field, lines)
        steps = [(begin + (end - begin) * value / 100, colour) for value, colour in steps]
    if "area" in mode:
        for place, (value, name) in enumerate(steps):
            top = steps[place + 1][0] if place + 1 < len(steps) else high
            if top > low and value < high:
                colour = area.theme.colour(name)
                axes.axhspan(max(value, low), min(top, high), color=colour, alpha=0.15, linewidth=0, zorder=0.5)
    if "line" in mode or "dashed" in mode:
        names = [name for _, name in steps]
        # Below a transparent step a limit is "less than": its line has the colour of the step before.
        clear = names.index("transparent") if "transparent" in names else 0
        pattern: Any = (0, (5, 5)) if "dashed" in mode else "-"
        for place, (value, name) in enumerate(steps[1:], start=1):
            if low <= value <= high:
                colour = area.theme.colour(names[place - 1] if clear >= place else name)
                width = area.canvas.points(2)
                axes.axhline(value, color=colour, linewidth=width, linestyle=pattern, zorder=0.6, alpha=0.7)


def _percentage_ends(field: Field, lines: Sequence[Line]) -> tuple[float, float]:
    """Return of what thresholds in per cent are: the set ends, else those of the data."""
    custom = field.config.get("custom") or {}
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    ends = []
    for hard, soft, found in (
        (field.config.get("min"), custom.get("axisSoftMin"), values.min() if len(values) else 0.0),
        (field.config.get("max"), custom.get("axisSoftMax"), values.max() if len(values) else 100.0),
    ):
        ends.append(float(next(one for one in (hard, soft, found) if one is not None)))
    return ends[0], ends[1]


def _draw_bands(axes: Axes, group: Sequence[Line]) -> None:
    by_name = {line.field.display: line for line in group}
    for line in group:
        other = by_name.get(str(line.custom.get("fillBelowTo") or ""))
        if other is not None and len(other.x):
            below = np.interp(line.x, other.x, other.y)
            opacity = float(line.custom.get("fillOpacity") or 35) / 100
            axes.fill_between(line.x, line.y, below, color=line.colour, alpha=opacity, linewidth=0, zorder=1)


def _draw_events(axes: Axes, events: Sequence[Annotation], data: PanelData, area: Area, box: Box) -> None:
    start, end = data.span.start * 1000, data.span.end * 1000
    for event in events:
        if event.end < start or event.start > end:
            continue
        colour = area.theme.colour(event.colour)
        first, last = max(event.start, start), min(event.end, end)
        if last > first:
            axes.axvspan(first, last, color=colour, alpha=0.1, linewidth=0, zorder=0.4)
        for moment in {first, last}:
            axes.axvline(moment, color=colour, linewidth=area.canvas.points(1), linestyle=(0, (3, 2)), zorder=1.2)
        x = box.x + (first - start) / (end - start) * box.w
        y = box.y + box.h
        area.canvas.polygon([(x - 4, y + 5), (x + 4, y + 5), (x, y)], colour)
