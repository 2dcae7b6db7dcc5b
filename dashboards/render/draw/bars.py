"""Bar chart, histogram and pie: amounts by category."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_monitoring.dashboards.render.colours import ink_on
from ml_monitoring.dashboards.render.display import series_colour, show, value_colour
from ml_monitoring.dashboards.render.draw.axes import (
    SIZE,
    Limits,
    Scale,
    axis_label,
    draw_value_axis,
    draw_value_marks,
    mark_step,
    numeric,
    place_of,
    value_scale,
)
from ml_monitoring.dashboards.render.draw.canvas import Area, fitted
from ml_monitoring.dashboards.render.draw.legend import SIZE as LEGEND_SIZE
from ml_monitoring.dashboards.render.draw.legend import Entry, draw_legend, entries_of
from ml_monitoring.dashboards.render.draw.single import singles
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.fonts import MEDIUM, text_width
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.transforms import transform

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Bars:
    """What a bar chart shows.

    Attributes:
        names: Of the rows.
        table: Amounts, a line for each field and a column for each row.
        fields: The fields.
        colours: Of the fields.
        options: The panel's.
    """

    names: list[str]
    table: NDArray[np.float64]
    fields: list[Field]
    colours: list[str]
    options: Json

    @property
    def stacked(self) -> bool:
        """Return whether bars stand on each other."""
        return str(self.options.get("stacking") or "none") != "none"

    @property
    def tops(self) -> list[float]:
        """Return where the bars end."""
        ends: NDArray[np.float64] = self.table.sum(axis=0) if self.stacked else self.table.ravel()
        return [float(end) for end in ends]

    @property
    def percent(self) -> bool:
        """Return whether the bars are shares of a whole."""
        return self.options.get("stacking") == "percent"


def draw_barchart(data: PanelData, area: Area) -> None:
    """Draw a bar chart: a group of bars for each row, a bar for each field."""
    frame = _one_frame(data)
    values = numeric(frame.fields) if frame else []
    if frame is None or not values or not frame.length:
        area.message(data.no_value)
        return
    options = data.panel.options
    wanted = str(options.get("xField") or "")
    named = (
        frame.named(wanted)
        if wanted
        else next((one for one in frame.fields if one.kind is FieldKind.STRING), frame.time)
    )
    values = [field for field in values if field is not named]
    names = [str(show(value, named, area.style)) for value in named.values] if named else [""] * frame.length
    colours = [series_colour(field, area.theme) for field in values]
    pairs = list(zip(values, colours, strict=True))
    box = draw_legend(area, options.get("legend") or {}, entries_of(pairs, options.get("legend") or {}, area))
    stacking = str(options.get("stacking") or "none")
    table = np.array([[0.0 if math.isnan(n) else n for n in field.numbers()] for field in values])
    if stacking == "percent":
        total = np.abs(table).sum(axis=0)
        table = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
    bars = _Bars(names, table, values, colours, options)
    draw = _across if options.get("orientation") == "horizontal" else _upright
    draw(area.part(box), bars)


def _one_frame(data: PanelData) -> Frame | None:
    """Return the table to draw; series of one value each become rows of one table."""
    frames: Sequence[Frame] = [frame for frame in data.frames if frame.fields and frame.length]
    if len(frames) > 1:
        if all(frame.time for frame in frames):
            frames = transform(frames, [{"id": "joinByField", "options": {}}], data.variables)
        else:
            frames = transform(frames, [{"id": "merge"}], data.variables)
    return frames[0] if frames else None


def _scale(bars: _Bars, length: float, area: Area) -> Scale:
    limits = Limits.of(bars.fields[0].config).from_zero()
    return value_scale(bars.tops, bars.fields[0], length, area.style, percent=bars.percent, limits=limits)


def _upright(area: Area, bars: _Bars) -> None:
    box, names, table, values, options = area.box, bars.names, bars.table, bars.fields, bars.options
    colours, stacked = bars.colours, bars.stacked
    slot_guess = (box.w - 60) / len(names)
    turned = max(text_width(name, SIZE) for name in names) > slot_guess - 6
    turn_limit = int(options.get("xTickLabelMaxLength") or 0)
    labels = [name[:turn_limit] if turn_limit else name for name in names]
    below = min(max(text_width(label, SIZE) for label in labels) + 10, box.h * 0.35) if turned else 24.0
    scale = _scale(bars, box.h - below, area)
    place = box.inset(scale.width + 14, 12, 6, below)
    draw_value_marks(area.canvas, place, scale)
    group = float(options.get("groupWidth") or 0.7)
    width = group * float(options.get("barWidth") or 0.97) / (1 if stacked else len(values))
    slot = place.w / len(names)
    zero = place.y + place.h * (
        1 - min(1.0, max(0.0, place_of(max(scale.low, 0.0) if scale.low <= 0 <= scale.high else scale.low, scale)))
    )
    for row, label in enumerate(labels):
        x = place.x + row * slot
        base_up = 0.0
        for number, field in enumerate(values):
            value = float(table[number, row])
            start = base_up if stacked else 0.0
            top = place.y + place.h * (1 - place_of(min(max(start + value, scale.low), scale.high), scale))
            foot = (
                place.y + place.h * (1 - place_of(min(max(start, scale.low), scale.high), scale)) if stacked else zero
            )
            left = x + slot * ((1 - group) / 2 + (0 if stacked else number * width))
            colour = _bar_colour(field, row, colours[number], area, single=len(values) == 1)
            area.canvas.box(Box(left, min(top, foot), slot * width, max(0.6, abs(foot - top))), colour, radius=1.5)
            base_up += value
            if options.get("showValue") in ("always", "auto") and not stacked:
                text = str(show(value, field, area.style))
                if text_width(text, 11) < slot * width + 8:
                    area.canvas.text(
                        left + slot * width / 2,
                        min(top, foot) - 7,
                        text,
                        size=11,
                        align="center",
                        colour=area.theme.muted,
                    )
        if turned:
            area.canvas.text(
                x + slot / 2, place.y + place.h + 6, fitted(label, below - 8, SIZE), size=SIZE, colour=area.theme.muted,
                align="center", baseline="top", turned=True,
            )  # fmt: skip
        else:
            area.canvas.text(
                x + slot / 2, place.y + place.h + 13, label, size=SIZE, colour=area.theme.muted, align="center"
            )


def _across(area: Area, bars: _Bars) -> None:
    box, canvas = area.box, area.canvas
    names, table, values, options, stacked = bars.names, bars.table, bars.fields, bars.options, bars.stacked
    colours = bars.colours
    left = min(max(text_width(name, SIZE) for name in names) + 14, box.w * 0.35)
    # Labels beside each other need more room than above each other.
    scale = _scale(bars, (box.w - left) * 0.4, area)
    place = box.inset(left, 4, 46, 22)
    for mark, label in zip(scale.marks, scale.labels, strict=True):
        x = place.x + place.w * place_of(mark, scale)
        canvas.line([(x, place.y), (x, place.y + place.h)], area.theme.grid)
        canvas.text(x, place.y + place.h + 12, label, size=SIZE, colour=area.theme.muted, align="center")
    group = float(options.get("groupWidth") or 0.7)
    slot = place.h / len(names)
    height = group * slot / (1 if stacked else len(values))
    for row, name in enumerate(names):
        y = place.y + row * slot
        canvas.text(place.x - 8, y + slot / 2, name, size=SIZE, align="right", fit=left - 12)
        base = 0.0
        for number, field in enumerate(values):
            value = float(table[number, row])
            start = base if stacked else 0.0
            first = place.x + place.w * place_of(max(scale.low, min(start, start + value)), scale)
            last = place.x + place.w * place_of(min(scale.high, max(start, start + value)), scale)
            top = y + slot * (1 - group) / 2 + (0 if stacked else number * height)
            colour = _bar_colour(field, row, colours[number], area, single=len(values) == 1)
            canvas.box(Box(first, top, max(0.6, last - first), height * 0.95), colour, radius=1.5)
            base += value
            if options.get("showValue") != "never" and not stacked and height > 10:
                canvas.text(
                    last + 5, top + height / 2, str(show(value, field, area.style)), size=11, colour=area.theme.muted
                )


def _bar_colour(field: Field, row: int, series: str, area: Area, *, single: bool) -> str:
    mode = str((field.config.get("color") or {}).get("mode") or "thresholds")
    if mode == "thresholds" or mode.startswith("continuous-"):
        shown = show(field.values[row], field, area.style)
        return shown.colour
    mapped = show(field.values[row], field, area.style).colour if field.config.get("mappings") and single else ""
    return mapped or series


def draw_histogram(data: PanelData, area: Area) -> None:
    """Draw a histogram of all values of the panel's series."""
    frames = data.frames
    if not any(field.name == "xMin" for frame in frames for field in frame.fields):
        frames = transform(frames, [{"id": "histogram", "options": data.panel.options}], data.variables)
    if not frames:
        area.message(data.no_value)
        return
    source = next((field for frame in data.frames for field in frame.value_fields), None)
    starts, ends_, counts = (frames[0].named(name) for name in ("xMin", "xMax", "count"))
    if starts is None or ends_ is None or counts is None or source is None:
        area.message(data.no_value)
        return
    plain = counts.copy(config={"unit": "short"})
    scale = value_scale(counts.numbers(), plain, area.box.h - 24, area.style)
    place = area.box.inset(scale.width + 14, 6, 10, 24)
    axes = area.canvas.axes(place)
    low, high = starts.numbers()[0], ends_.numbers()[-1]
    axes.set_xlim(low, high)
    draw_value_axis(area.canvas, axes, place, scale)
    colour = series_colour(source, area.theme)
    opacity = float(data.panel.custom.get("fillOpacity", 80)) / 100
    for start, end, count in zip(starts.numbers(), ends_.numbers(), counts.numbers(), strict=True):
        axes.bar(
            (start + end) / 2, count, width=(end - start) * 0.94, color=colour, alpha=max(0.3, opacity), linewidth=0
        )
    step = mark_step(low, high, place.w, space=min(90.0, place.w / 2))
    mark = math.ceil(low / step) * step
    unit = str(source.config.get("unit") or "")
    while mark <= high + step * 1e-6:
        x = place.x + (mark - low) / (high - low) * place.w
        text = axis_label(round(mark, 12), step, source.copy(config={}), unit, area.style.clock)
        area.canvas.text(x, place.y + place.h + 12, text, size=SIZE, colour=area.theme.muted, align="center")
        mark += step


def draw_pie(data: PanelData, area: Area) -> None:
    """Draw a pie or a donut."""
    values = [one for one in singles(data, area) if one.shown.number > 0]
    if not values:
        area.message(data.no_value)
        return
    options = data.panel.options
    if options.get("sort", "desc") in ("desc", "asc"):
        values.sort(key=lambda one: one.shown.number, reverse=options.get("sort", "desc") == "desc")
    total = sum(one.shown.number for one in values)
    colours = [_slice_colour(one.field, one.shown.number, area) for one in values]
    legend = options.get("legend") or {}
    wanted = legend.get("values") or []
    entries = []
    for one, colour in zip(values, colours, strict=True):
        texts = [str(one.shown)] if "value" in wanted else []
        texts += [f"{one.shown.number / total:.0%}"] if "percent" in wanted else []
        entries.append(Entry(f"{one.name}  {'  '.join(texts)}".rstrip(), colour))
    box = draw_legend(area, legend | {"displayMode": "list", "calcs": []}, entries)
    radius = min(box.w, box.h) / 2 - 8
    centre = box.middle
    donut = options.get("pieType") == "donut"
    angle = -90.0
    for one, colour in zip(values, colours, strict=True):
        sweep = 360 * one.shown.number / total
        area.canvas.wedge(centre, radius, angle, angle + sweep, colour, width=radius * (0.42 if donut else 1), gap=1.5)
        share = one.shown.number / total
        text = _slice_text(one.name, str(one.shown), share, options.get("displayLabels") or [])
        if text and share >= 0.05:
            at = radius * (0.79 if donut else 0.62)
            turn = math.radians(angle + sweep / 2)
            x, y = centre[0] + at * math.cos(turn), centre[1] + at * math.sin(turn)
            area.canvas.text(
                x, y, text, size=LEGEND_SIZE, colour=ink_on(colour), weight=MEDIUM, align="center", fit=radius * 0.9
            )
        angle += sweep


def _slice_colour(field: Field, value: float, area: Area) -> str:
    return value_colour(value, 0.0, field, area.theme)


def _slice_text(name: str, value: str, share: float, wanted: Sequence[str]) -> str:
    parts = {"name": name, "value": value, "percent": f"{share:.0%}"}
    return " ".join(part for key, part in parts.items() if key in wanted)
