"""Heatmap: how values spread over buckets in the course of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap, PowerNorm, to_hex
from numpy.typing import NDArray

from ml_monitoring.dashboards.render.colours import HEATMAP_SCHEMES, Theme
from ml_monitoring.dashboards.render.draw.axes import BOTTOM, SIZE, draw_time_axis
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.fonts import text_width
from ml_monitoring.dashboards.render.frames import Field, Frame, number
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.transforms_rows import bucket_width
from ml_monitoring.dashboards.render.units import format_value

Json = dict[str, Any]
Array = NDArray[np.float64]


def draw(data: PanelData, area: Area) -> None:
    """Draw the panel."""
    options = data.panel.options
    rows = rows_of(data)
    if rows is None:
        area.message(data.no_value)
        return
    times, labels, cells = rows
    if (options.get("yAxis") or {}).get("reverse"):
        labels, cells = labels[::-1], cells[::-1]
    colours = options.get("color") or {}
    scheme = _scheme(colours, area.theme)
    legend = 34.0 if (options.get("legend") or {}).get("show", True) and area.box.h > 150 else 0.0
    unit = str((options.get("yAxis") or {}).get("unit") or data.panel.defaults.get("unit") or "")
    texts = _labels(labels, unit, area)
    shown = _spread(texts, area.box.h - BOTTOM - legend)
    width = max((text_width(text, SIZE) for text in shown), default=0.0)
    box = area.box.inset(width + 14, 6, 10, BOTTOM + legend)
    finite = cells[np.isfinite(cells)]
    if not len(finite):
        area.message(data.no_value)
        return
    low = number(colours.get("min")) if colours.get("min") is not None else float(finite.min())
    high = number(colours.get("max")) if colours.get("max") is not None else float(finite.max())
    low = min(low, 0.0) if low >= 0 and high > 0 else low
    exponent = float(colours.get("exponent") or 0.5) if colours.get("scale", "exponential") == "exponential" else 1.0
    axes = area.canvas.axes(box)
    norm = PowerNorm(exponent, vmin=low, vmax=high if high > low else low + 1)
    edges = _edges(times)
    gap = area.canvas.points(float(options.get("cellGap", 1) or 0))
    axes.pcolormesh(
        edges, np.arange(len(cells) + 1), np.ma.masked_invalid(cells), cmap=scheme, norm=norm,
        edgecolors=area.theme.panel, linewidth=gap * 0.5, rasterized=cells.size > 20_000,
    )  # fmt: skip
    draw_time_axis(area.canvas, axes, box, data.span, lines=False)
    axes.set_ylim(0, len(cells))
    # A classic histogram's rows are named by their upper bound, which is a line between two rows.
    offset = 1.0 if _bounds(labels) else 0.5
    for place, text in enumerate(shown):
        if text:
            y = box.y + box.h * (1 - min(place + offset, len(shown)) / len(shown))
            area.canvas.text(box.x - 8, y, text, size=SIZE, colour=area.theme.muted, align="right")
    if legend:
        _legend(area, scheme, exponent, (low, high), str(data.panel.defaults.get("unit") or "short"))


def rows_of(data: PanelData) -> tuple[Array, list[str], Array] | None:
    """Return times, names of the rows, and the cells, without those that the panel leaves out."""
    options = data.panel.options
    rows = _calculated(data, options) if options.get("calculate") else _given(data.frames)
    return None if rows is None else (rows[0], rows[1], _filtered(rows[2], options))


def _given(frames: Sequence[Frame]) -> tuple[Array, list[str], Array] | None:
    """Return the rows of frames that are buckets already."""
    series = [(frame, field) for frame in frames if frame.time for field in frame.value_fields]
    if not series:
        return None
    series.sort(key=lambda one: _order(one[1]))
    times = np.unique(np.concatenate([np.array(frame.time.values, dtype=float) for frame, _ in series if frame.time]))
    cells = np.full((len(series), len(times)), np.nan)
    for row, (frame, field) in enumerate(series):
        if frame.time:
            cells[row, np.searchsorted(times, np.array(frame.time.values, dtype=float))] = field.numbers()
    return times, [field.display for _, field in series], cells


def _order(field: Field) -> tuple[int, float]:
    at = number(field.display.replace("Inf", "inf"))
    return (0, at) if not math.isnan(at) else (1, float(field.index))


def _calculated(data: PanelData, options: Json) -> tuple[Array, list[str], Array] | None:
    """Count the values of all series into buckets."""
    points = [
        (moment, value)
        for frame in data.frames
        if frame.time
        for field in frame.value_fields
        for moment, value in zip(frame.time.values, field.numbers(), strict=True)
        if math.isfinite(value)
    ]
    if not points:
        return None
    settings = (options.get("calculation") or {}).get("yBuckets") or {}
    values = [value for _, value in points]
    width = (
        number(settings.get("value")) if settings.get("mode", "size") == "size" and settings.get("value") else math.nan
    )
    if math.isnan(width) or width <= 0:
        count = int(number(settings.get("value"))) if settings.get("mode") == "count" and settings.get("value") else 15
        width = bucket_width(values, count)
    columns = min(40, max(5, len({moment for moment, _ in points})))
    edges = np.linspace(data.span.start * 1000, data.span.end * 1000, columns + 1)
    low, high = math.floor(min(values) / width), math.floor(max(values) / width)
    cells, _, _ = np.histogram2d(
        values, [moment for moment, _ in points], bins=[np.arange(low, high + 2) * width, edges]
    )
    cells[cells == 0] = np.nan
    return edges[1:], [f"{(low + place) * width:.12g}" for place in range(len(cells))], cells


def _filtered(cells: Array, options: Json) -> Array:
    limits = options.get("filterValues") or {}
    if limits.get("le") is not None:
        cells = np.where(cells <= float(limits["le"]), np.nan, cells)
    if limits.get("ge") is not None:
        cells = np.where(cells >= float(limits["ge"]), np.nan, cells)
    return cells


def _edges(times: Array) -> Array:
    step = float(np.min(np.diff(times))) if len(times) > 1 else 60_000.0
    # A sample tells of the time before it.
    return np.concatenate([[times[0] - step], times])


def _bounds(labels: list[str]) -> bool:
    return all(not math.isnan(number(label.replace("Inf", "inf"))) for label in labels)


def _labels(labels: list[str], unit: str, area: Area) -> list[str]:
    if not _bounds(labels):
        return labels
    texts = []
    for label in labels:
        at = number(label.replace("Inf", "inf"))
        texts.append("+Inf" if math.isinf(at) else str(format_value(at, unit, None, area.style.clock)))
    return texts


def _spread(texts: list[str], height: float) -> list[str]:
    """Blank labels out that would stand on each other."""
    every = max(1, math.ceil(len(texts) * 17 / max(1.0, height)))
    return [text if place % every == 0 else "" for place, text in enumerate(texts)]


def _scheme(colours: Json, theme: Theme) -> Colormap:
    if colours.get("mode") == "opacity":
        ends = [theme.panel, theme.colour(str(colours.get("fill") or "dark-orange"))]
        return LinearSegmentedColormap.from_list("opacity", ends)
    name = str(colours.get("scheme") or "Oranges")
    scheme = colormaps[HEATMAP_SCHEMES.get(name, "Oranges")]
    steps = int(colours.get("steps") or 64)
    shades = [to_hex(scheme(place / max(1, steps - 1))) for place in range(steps)]
    # On a dark panel the light end would shine where nothing is.
    one_way = name in (
        "Oranges",
        "Reds",
        "Blues",
        "Greens",
        "Purples",
        "Greys",
        "OrRd",
        "BuPu",
        "PuRd",
        "YlOrRd",
        "YlGnBu",
        "YlGn",
    )
    if bool(colours.get("reverse")) != (theme.name == "dark" and one_way):
        shades.reverse()
    return LinearSegmentedColormap.from_list(name, shades, N=steps)


def _legend(area: Area, scheme: Colormap, exponent: float, ends: tuple[float, float], unit: str) -> None:
    low, high = ends
    width = min(260.0, area.box.w * 0.6)
    x, y = area.box.x + 8, area.box.y + area.box.h - 26
    pieces = 64
    for piece in range(pieces):
        share = piece / (pieces - 1)
        part = Box(x + piece * width / pieces, y, width / pieces + 0.6, 8)
        area.canvas.box(part, to_hex(scheme(share**exponent)))
    for share, align in ((0.0, "left"), (0.5, "center"), (1.0, "right")):
        text = str(format_value(low + share * (high - low), unit, None if high - low > 3 else 2, area.style.clock))
        area.canvas.text(x + share * width, y + 18, text, size=11, colour=area.theme.muted, align=align)
