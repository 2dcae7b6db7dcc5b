"""Time series: lines, bars, points, stacks, bands, thresholds and events over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ml_monitoring.dashboards.render.colours import Theme
from ml_monitoring.dashboards.render.display import Style, series_colour, threshold_steps, value_colour
from ml_monitoring.dashboards.render.draw.axes import BOTTOM, Scale, draw_time_axis, draw_value_axis, value_scale
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.draw.legend import draw_legend, entries_of
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.events import Annotation
from ml_monitoring.dashboards.render.frames import Field, Frame
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
        right: Whether it belongs to the axis on the right.
    """

    field: Field
    colour: str
    x: Array
    y: Array
    base: Array
    right: bool = False

    @property
    def custom(self) -> Json:
        """Return the settings of lines."""
        return self.field.config.get("custom") or {}


def draw(data: PanelData, area: Area, events: Sequence[Annotation] = ()) -> None:
    """Draw the panel."""
    lines = prepared_lines(data.frames, area.theme)
    if not lines:
        area.message(data.no_value)
        return
    options = data.panel.options.get("legend") or {}
    entries = entries_of([(line.field, line.colour) for line in lines], options, area)
    box = draw_legend(area, options, entries)
    lines = [line for line in lines if not (line.custom.get("hideFrom") or {}).get("viz")]
    if not lines:
        return
    left = [line for line in lines if not line.right]
    right = [line for line in lines if line.right]
    height = box.h - BOTTOM - 6
    scales = [(scale_of(group, height, area.style), group) for group in (left, right) if group]
    margin_left = scales[0][0].width + 14 if left else 10.0
    margin_right = scales[-1][0].width + 14 if right else 10.0
    title = str((lines[0].custom.get("axisLabel")) or "")
    place = box.inset(margin_left + (16 if title else 0), 6, margin_right, BOTTOM)
    if title:
        area.canvas.text(
            box.x + 8, place.y + place.h / 2, title, size=11, colour=area.theme.muted, align="center", turned=True
        )
    for scale, group in scales:
        axes = area.canvas.axes(place)
        if group is scales[0][1]:
            draw_time_axis(area.canvas, axes, place, data.span)
            _draw_events(axes, events, data, area, place)
        axes.set_xlim(data.span.start * 1000, data.span.end * 1000)
        draw_value_axis(area.canvas, axes, place, scale, right=group is right)
        _draw_thresholds(axes, group[0].field, scale, area)
        _draw_bands(axes, group)
        for number, line in enumerate(reversed(group)):
            _draw_line(axes, line, area, number, len(group))


def prepared_lines(frames: Sequence[Frame], theme: Theme) -> list[Line]:
    """Return the series to draw, stacked and on their axes."""
    lines = series_lines(frames, theme)
    if lines:
        _stack(lines)
        _choose_axes(lines)
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
            line.x, line.base, line.y = moments, base.copy(), np.where(np.isnan(value), np.nan, base + filled)
            if negative:
                downs = base + filled
            else:
                ups = base + filled


def _on(moments: Array, line: Line) -> Array:
    result = np.full(len(moments), np.nan)
    result[np.searchsorted(moments, line.x)] = line.y
    return result


def _choose_axes(lines: Sequence[Line]) -> None:
    """Put series on the right axis that say so, or whose unit is another than the first's."""
    first = lines[0].field.config.get("unit")
    for line in lines:
        placement = line.custom.get("axisPlacement") or "auto"
        line.right = placement == "right" or (placement == "auto" and line.field.config.get("unit") != first)
    if all(line.right for line in lines):
        for line in lines:
            line.right = False


def scale_of(group: Sequence[Line], height: float, style: Style) -> Scale:
    """Return the value axis of the series that share it."""
    values = np.concatenate([np.concatenate([line.y, line.base]) for line in group])
    bars = any(line.custom.get("drawStyle") == "bars" or len(line.base) for line in group)
    percent = any((line.custom.get("stacking") or {}).get("mode") == "percent" for line in group)
    first = group[0].field
    config = dict(first.config)
    for end, pick in (("min", min), ("max", max)):
        given = [line.field.config[end] for line in group if line.field.config.get(end) is not None]
        config[end] = pick(given) if given else None
    shown = first.copy(config=config)
    thresholds = _line_thresholds(first)
    found = values[np.isfinite(values)]
    # A threshold near the data is kept in sight; one far off would flatten the line.
    if len(found) and thresholds:
        top, low = float(found.max()), float(found.min())
        near = [
            value for value in thresholds if low - abs(top - low) <= value <= top + max(abs(top - low), abs(top) * 0.5)
        ]
        values = np.concatenate([values, np.array(near)])
    return value_scale(values.tolist(), shown, height, style, percent=percent, zero=bars)


def _draw_line(axes: Axes, line: Line, area: Area, number: int, count: int) -> None:
    custom, canvas = line.custom, area.canvas
    style = str(custom.get("drawStyle") or "line")
    width = float(custom.get("lineWidth", 1))
    opacity = float(custom.get("fillOpacity", 0)) / 100
    finite = np.isfinite(line.y)
    if not finite.any():
        return
    base: Any = line.base if len(line.base) else 0.0
    if style == "bars":
        _draw_bars(axes, line, base, opacity=opacity, width=canvas.points(width), number=number, count=count)
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
            solid_joinstyle="round", zorder=2,
        )  # fmt: skip
    show_points = custom.get("showPoints") or "auto"
    size = canvas.points(float(custom.get("pointSize") or 5))
    if style == "points" or show_points == "always":
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


def _draw_bars(axes: Axes, line: Line, base: Any, *, opacity: float, width: float, number: int, count: int) -> None:
    finite = np.isfinite(line.y)
    room = line.field.step or (float(np.min(np.diff(line.x))) if len(line.x) > 1 else 60_000.0)
    share = float(line.custom.get("barWidthFactor") or 0.6)
    stacked = bool(len(line.base))
    each = room * share / (1 if stacked else count)
    shift = 0.0 if stacked else (number - (count - 1) / 2) * each
    bottom = base[finite] if stacked else 0.0
    axes.bar(
        line.x[finite] + shift, line.y[finite] - bottom, width=each, bottom=bottom, color=line.colour,
        alpha=max(opacity, 0.35), edgecolor=line.colour, linewidth=width * 0.5, zorder=2,
    )  # fmt: skip


def _line_thresholds(field: Field) -> list[float]:
    mode = str(((field.config.get("custom") or {}).get("thresholdsStyle") or {}).get("mode") or "off")
    if mode == "off" or (field.config.get("thresholds") or {}).get("mode") == "percentage":
        return []
    return [value for value, _ in threshold_steps(field) if math.isfinite(value)]


def _draw_thresholds(axes: Axes, field: Field, scale: Scale, area: Area) -> None:
    mode = str(((field.config.get("custom") or {}).get("thresholdsStyle") or {}).get("mode") or "off")
    steps = threshold_steps(field)
    if mode == "off" or not steps:
        return
    if (field.config.get("thresholds") or {}).get("mode") == "percentage":
        steps = [(scale.low + (scale.high - scale.low) * value / 100, colour) for value, colour in steps]
    for place, (value, name) in enumerate(steps):
        colour = area.theme.colour(name)
        if "area" in mode:
            top = steps[place + 1][0] if place + 1 < len(steps) else scale.high
            axes.axhspan(max(value, scale.low), min(top, scale.high), color=colour, alpha=0.12, linewidth=0, zorder=0.5)
        if ("line" in mode or "dashed" in mode) and scale.low <= value <= scale.high:
            pattern: Any = (0, (6, 4)) if "dashed" in mode else "-"
            axes.axhline(
                value, color=colour, linewidth=area.canvas.points(1.5), linestyle=pattern, zorder=1.5, alpha=0.9
            )


def _draw_bands(axes: Axes, group: Sequence[Line]) -> None:
    by_name = {line.field.display: line for line in group}
    for line in group:
        other = by_name.get(str(line.custom.get("fillBelowTo") or ""))
        if other is not None and len(other.x):
            below = np.interp(line.x, other.x, other.y)
            opacity = float(line.custom.get("fillOpacity", 20)) / 100 or 0.2
            axes.fill_between(line.x, line.y, below, color=line.colour, alpha=opacity, linewidth=0, zorder=1)


def _draw_events(axes: Axes, events: Sequence[Annotation], data: PanelData, area: Area, box: Box) -> None:
    start, end = data.span.start * 1000, data.span.end * 1000
    for event in events:
        if event.end < start or event.start > end:
            continue
        colour = area.theme.colour(event.colour)
        first, last = max(event.start, start), min(event.end, end)
        if last > first:
            axes.axvspan(first, last, color=colour, alpha=0.12, linewidth=0, zorder=0.4)
        for moment in {first, last}:
            axes.axvline(moment, color=colour, linewidth=area.canvas.points(1), linestyle=(0, (3, 2)), zorder=1.2)
        x = box.x + (first - start) / (end - start) * box.w
        y = box.y + box.h
        area.canvas.polygon([(x - 4, y + 5), (x + 4, y + 5), (x, y)], colour)
