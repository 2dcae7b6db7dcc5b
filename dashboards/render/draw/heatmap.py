"""Heatmap: how values spread over buckets in the course of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, ListedColormap, Normalize, to_hex
from numpy.typing import NDArray

from ml_monitoring.dashboards.render.colours import HEATMAP_SCHEMES, Theme, mix
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
    marks = row_marks(data, labels, area)
    if (options.get("yAxis") or {}).get("reverse"):
        cells = cells[::-1]
        marks = [(len(cells) - at, text) for at, text in marks]
    colours = options.get("color") or {}
    scheme = _scheme(colours, area.theme)
    legend = 34.0 if (options.get("legend") or {}).get("show", True) and area.box.h > 150 else 0.0
    marks = _thinned(marks, area.box.h - legend)
    width = max((text_width(text, SIZE) for _, text in marks), default=0.0)
    box = area.box.inset(width + 14, 6, 10, BOTTOM + legend)
    finite = cells[np.isfinite(cells)]
    if not len(finite):
        area.message(data.no_value)
        return
    low, high = colour_ends(finite, colours)
    axes = area.canvas.axes(box)
    # Colours begin at the smallest value, and span one at least: of counts, none and one are told apart.
    norm = Normalize(vmin=low, vmax=low + max(high - low, 1.0))
    edges = _edges(times)
    gap = area.canvas.points(float(options.get("cellGap", 1) or 0))
    axes.pcolormesh(
        edges, np.arange(len(cells) + 1), np.ma.masked_invalid(cells), cmap=scheme, norm=norm,
        edgecolors=area.theme.panel, linewidth=gap * 0.5, rasterized=cells.size > 20_000,
    )  # fmt: skip
    draw_time_axis(area.canvas, axes, box, data.span, lines=False)
    axes.set_ylim(0, len(cells))
    for at, text in marks:
        area.canvas.text(
            box.x - 8, box.y + box.h * (1 - at / len(cells)), text, size=SIZE, colour=area.theme.muted, align="right"
        )
    if legend:
        values = options.get("cellValues") or {}
        _legend(area, scheme, (low, high), str(values.get("unit") or data.panel.defaults.get("unit") or "short"))


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
    # Empty buckets are not drawn, unless the panel says otherwise.
    limits = {"le": 1e-9} | (options.get("filterValues") or {})
    if limits.get("le") is not None:
        cells = np.where(cells <= float(limits["le"]), np.nan, cells)
    if limits.get("ge") is not None:
        cells = np.where(cells >= float(limits["ge"]), np.nan, cells)
    return cells


def _edges(times: Array) -> Array:
    step = float(np.min(np.diff(times))) if len(times) > 1 else 60_000.0
    # A sample tells of the time before it.
    return np.concatenate([[times[0] - step], times])


def row_marks(data: PanelData, labels: Sequence[str], area: Area) -> list[tuple[float, str]]:
    """Return where labels stand, counted in rows from the bottom, and what they say.

    A bucket that is named by its upper bound has its name at its upper edge, and zero at the lowest edge of all.
    """
    axis = data.panel.options.get("yAxis") or {}
    unit, decimals = str(axis.get("unit") or ""), axis.get("decimals")

    def written(label: str) -> str:
        at = number(label.replace("Inf", "inf"))
        if not math.isfinite(at) or not (unit or decimals is not None):
            return label
        return str(format_value(at, unit or "short", None if decimals is None else int(decimals), area.style.clock))

    texts = [written(label) for label in labels]
    layout = _layout(data)
    if layout == "le":
        lowest = [(0.0, written("0") if unit or decimals is not None else "0.0")]
        return lowest + [(place + 1.0, text) for place, text in enumerate(texts)]
    offset = 0.0 if layout == "ge" else 0.5
    return [(place + offset, text) for place, text in enumerate(texts)]


def _layout(data: PanelData) -> str:
    """Return whether rows are named by their upper bound (`le`), their lower one (`ge`), or by neither."""
    if data.panel.options.get("calculate"):
        return "ge"
    given = str((data.panel.options.get("rowsFrame") or {}).get("layout") or "auto")
    if given != "auto":
        return given
    first = next((field for frame in data.frames for field in frame.value_fields), None)
    return "le" if first is not None and "le" in first.labels else "unknown"


def _thinned(marks: list[tuple[float, str]], height: float) -> list[tuple[float, str]]:
    """Leave every second label out while they are less than ten pixels apart, which is closer than letters are high."""
    if height < 60:
        return [marks[0], marks[-1]]
    while len(marks) > 3 and (height - 15) / len(marks) < 10:
        marks = marks[::2]
    return marks


def colour_ends(values: Array, colours: Json) -> tuple[float, float]:
    """Return from which value to which the colours go: set ends, else those of the cells that are drawn."""
    low, high = (
        float(found) if given is None else float(given)
        for given, found in ((colours.get("min"), values.min()), (colours.get("max"), values.max()))
    )
    return low, high


# In the theme in which a scheme is turned round; those that are not here, in the dark one.
_TURNED = {
    **dict.fromkeys(("BrBG", "PiYG", "PRGn", "PuOr", "RdBu", "RdGy", "RdYlBu", "RdYlGn", "Spectral"), "always"),
    **dict.fromkeys(
        ("Turbo", "Cividis", "Viridis", "Magma", "Inferno", "Plasma", "Warm", "Cool", "Cubehelix", "CubehelixDefault"),
        "light",
    ),
    **dict.fromkeys(("Rainbow", "Sinebow"), "always"),
}


def _scheme(colours: Json, theme: Theme) -> Colormap:
    """Return the colours of the cells (Grafana's `quantizeScheme`)."""
    steps = max(2, int(colours.get("steps") or 64))
    if colours.get("mode") == "opacity":
        scale = colours.get("scale") or "exponential"
        exponent = float(colours.get("exponent") or 0.5) if scale == "exponential" else 1.0
        fill = theme.colour(str(colours.get("fill") or "dark-orange"))
        return ListedColormap([mix(fill, theme.panel, (place / (steps - 1)) ** exponent) for place in range(steps)])
    name = str(colours.get("scheme") or "Oranges")
    name = name if name in HEATMAP_SCHEMES else "Spectral"
    scheme = colormaps[HEATMAP_SCHEMES[name]]
    shades = [to_hex(scheme(place / (steps - 1))) for place in range(steps)]
    turned = _TURNED.get(name, "dark") in ("always", theme.name)
    if turned != bool(colours.get("reverse")):
        shades.reverse()
    return ListedColormap(shades, name)


def _legend(area: Area, scheme: Colormap, ends: tuple[float, float], unit: str) -> None:
    low, high = ends
    width = min(260.0, area.box.w * 0.6)
    x, y = area.box.x + 8, area.box.y + area.box.h - 26
    pieces = 64
    for piece in range(pieces):
        share = piece / (pieces - 1)
        part = Box(x + piece * width / pieces, y, width / pieces + 0.6, 8)
        area.canvas.box(part, to_hex(scheme(share)))
    for share, align in ((0.0, "left"), (0.5, "center"), (1.0, "right")):
        text = str(format_value(low + share * (high - low), unit, None if high - low > 3 else 2, area.style.clock))
        area.canvas.text(x + share * width, y + 18, text, size=11, colour=area.theme.muted, align=align)
