"""Gauge: a dial with the thresholds around it; and the bar gauge: a bar for each value."""

from __future__ import annotations

import math
from typing import Any

from ml_monitoring.dashboards.render.colours import mix
from ml_monitoring.dashboards.render.display import ends, threshold_steps, value_colour
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.draw.single import Single, nothing, singles
from ml_monitoring.dashboards.render.draw.stat import font_size, tile
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.fonts import BOLD, MEDIUM, text_width
from ml_monitoring.dashboards.render.frames import Field
from ml_monitoring.dashboards.render.layout import Box

Json = dict[str, Any]

# The dial runs from lower left over the top to lower right.
START, SWEEP = 150.0, 240.0


def draw_gauge(data: PanelData, area: Area) -> None:
    """Draw a gauge panel."""
    values = singles(data, area) or [nothing(data, area.style)]
    orientation = str(data.panel.options.get("orientation") or "auto")
    for cell, one in zip(tile(area.box, len(values), orientation), values, strict=True):
        _dial(area.part(cell), one, data.panel.options, named=len(values) > 1)


def _dial(area: Area, one: Single, options: Json, *, named: bool) -> None:
    canvas, box = area.canvas, area.box
    name_height = min(22.0, box.h * 0.16) if named else 0.0
    room = box.h - name_height
    # Half the dial is above its middle, a quarter below.
    radius = min(box.w / 2 * 0.92, room / 1.58)
    centre = (box.x + box.w / 2, box.y + (room - radius * 1.5) / 2 + radius)
    markers = bool(options.get("showThresholdMarkers", True))
    rim = max(2.0, radius * 0.05) if markers else 0.0
    ring = radius * 0.22
    if markers:
        _rim(area, one.field, centre, radius, rim)
    inner = radius - rim - (2.0 if rim else 0.0)
    canvas.wedge(centre, inner, START, START + SWEEP, area.theme.track, width=ring)
    share = one.shown.share
    if not math.isnan(one.shown.number) and share > 0:
        canvas.wedge(centre, inner, START, START + SWEEP * share, one.shown.colour, width=ring)
    text = str(one.shown) or "No data"
    size = min(radius * 0.42, (inner - ring) * 1.75 / max(1.0, text_width(text, 1, BOLD)))
    colour = area.theme.muted if math.isnan(one.shown.number) and not one.shown.mapped else one.shown.colour
    canvas.text(centre[0], centre[1] + radius * 0.1, text, size=size, colour=colour, weight=BOLD, align="center")
    if named:
        canvas.text(
            centre[0],
            box.y + box.h - name_height / 2,
            one.name,
            size=min(14.0, name_height * 0.65),
            align="center",
            fit=box.w - 4,
        )


def _rim(area: Area, field: Field, centre: tuple[float, float], radius: float, width: float) -> None:
    low, high = ends(field)
    steps = threshold_steps(field)
    percentage = (field.config.get("thresholds") or {}).get("mode") == "percentage"
    for place, (value, name) in enumerate(steps):
        top = steps[place + 1][0] if place + 1 < len(steps) else math.inf
        shares = []
        for bound in (value, top):
            share = bound / 100 if percentage else (bound - low) / (high - low) if high > low else 0.0
            shares.append(min(1.0, max(0.0, share)))
        if shares[1] > shares[0]:
            area.canvas.wedge(
                centre,
                radius,
                START + SWEEP * shares[0],
                START + SWEEP * shares[1],
                area.theme.colour(name),
                width=width,
            )


def draw_bargauge(data: PanelData, area: Area) -> None:
    """Draw a bar gauge panel."""
    values = singles(data, area) or [nothing(data, area.style)]
    orientation = str(data.panel.options.get("orientation") or "auto")
    if orientation == "auto":
        orientation = "vertical" if area.box.w > area.box.h else "horizontal"
    if orientation == "vertical":
        _columns(area, values, data.panel.options)
    else:
        _rows(area, values, data.panel.options)


def _sizes(options: Json) -> tuple[float, float]:
    """Return the gap between bars and the least height of one."""
    return (2.0 if options.get("displayMode") == "lcd" else 10.0), float(options.get("minVizHeight") or 16)


def _rows(area: Area, values: list[Single], options: Json) -> None:
    """Draw bars from left to right: names above them where they are high, else at their left (Grafana's `BarGauge`)."""
    box, canvas = area.box, area.canvas
    gap, least = _sizes(options)
    height = max((box.h + gap) / len(values) - gap, least)
    room = max(1, int((box.h + gap + 1) // (height + gap)))
    shown = values if len(values) <= room else values[: room - 1]
    named = len(values) > 1
    placement = str(options.get("namePlacement") or "auto")
    above = named and (placement == "top" or (placement == "auto" and height > 40))
    given = options.get("text") or {}
    name_height = max(min(height * 0.45, 50.0), 17.0) if above else max(height * 0.6, 12.0)
    size = float(given.get("titleSize") or name_height / 1.5)
    longest = max((one.name for one in values), key=len)
    name_width = min(text_width(longest, size) + 15, box.w * 0.4) if named and not above else 0.0
    texts = [str(one.shown) for one in values]
    widest = max(texts, key=len)
    bar_height = height - (name_height if above else 0.0)
    needed = text_width(widest, max(size if named else 0.0, 12.0)) + 20
    value_width = max(min(box.w * 0.2, 150.0), needed)
    value_size = float(given.get("valueSize") or font_size(widest, value_width - 20, bar_height))
    for place, one in enumerate(shown):
        y = box.y + place * (height + gap)
        bar = Box(box.x + name_width, y + height - bar_height, box.w - name_width - value_width, bar_height)
        if above:
            canvas.text(box.x, y + name_height / 2, one.name, size=size, fit=box.w)
        elif named:
            x, fit = box.x + name_width - 10, name_width - 10
            canvas.text(x, y + height / 2, one.name, size=size, align="right", fit=fit)
        _bar(area, bar, one, options, across=True)
        middle, colour = bar.y + bar.h / 2, _ink(area, one, options)
        if options.get("showUnfilled", True):
            x, align = box.x + box.w - 10, "right"
        else:
            # Where the empty part of the bar is not shown, the number stands at its end.
            share = 0.0 if math.isnan(one.shown.number) else one.shown.share
            x, align = bar.x + bar.w * share + 10, "left"
        canvas.text(x, middle, texts[place], size=value_size, colour=colour, weight=MEDIUM, align=align)
    if len(shown) < len(values):
        y = min(box.y + len(shown) * (height + gap) + 8, box.y + box.h - 8)
        canvas.text(box.x + name_width, y, f"+{len(values) - len(shown)} more", colour=area.theme.muted)


def _columns(area: Area, values: list[Single], options: Json) -> None:
    """Draw upright bars, side by side: the number above, the name below."""
    box, canvas = area.box, area.canvas
    gap, _ = _sizes(options)
    width = (box.w + gap) / len(values) - gap
    texts = [str(one.shown) for one in values]
    given = options.get("text") or {}
    value_height = min(max(box.h * 0.1, 12.0), 50.0)
    size = float(given.get("valueSize") or font_size(max(texts, key=len), width, value_height))
    name_size = float(given.get("titleSize") or 14)
    name_height = name_size * 1.5 if len(values) > 1 else 0.0
    for place, one in enumerate(values):
        x = box.x + place * (width + gap)
        bar = Box(x, box.y + value_height, width, max(1.0, box.h - value_height - name_height))
        _bar(area, bar, one, options, across=False)
        share = 0.0 if math.isnan(one.shown.number) else one.shown.share
        # Where the empty part of the bar is not shown, the number stands on the bar.
        y = bar.y if options.get("showUnfilled", True) else bar.y + bar.h * (1 - share)
        middle, colour = x + width / 2, _ink(area, one, options)
        canvas.text(middle, y - value_height / 2, texts[place], size=size, colour=colour, weight=MEDIUM, align="center")
        if name_height:
            canvas.text(middle, box.y + box.h - name_height / 2, one.name, size=name_size, align="center", fit=width)


def _ink(area: Area, one: Single, options: Json) -> str:
    if math.isnan(one.shown.number) and not one.shown.mapped:
        return area.theme.muted
    return area.theme.text if options.get("valueMode") == "text" else one.shown.colour


def _bar(area: Area, bar: Box, one: Single, options: Json, *, across: bool) -> None:
    canvas = area.canvas
    mode = str(options.get("displayMode") or "gradient")
    share = 0.0 if math.isnan(one.shown.number) else one.shown.share
    if mode == "lcd":
        _cells(area, bar, one, share, across=across)
        return
    if options.get("showUnfilled", True):
        canvas.box(bar, area.theme.track, radius=2)
    length = (bar.w if across else bar.h) * share
    if length < 1:
        return
    filled = Box(bar.x, bar.y, length, bar.h) if across else Box(bar.x, bar.y + bar.h - length, bar.w, length)
    if mode == "gradient":
        _gradient(area, filled, one, across=across)
    else:
        canvas.box(filled, mix(one.shown.colour, area.theme.panel, 0.72), radius=2)
        edge = Box(filled.x + length - 2, bar.y, 2, bar.h) if across else Box(bar.x, filled.y, bar.w, 2)
        canvas.box(edge, one.shown.colour)


def _gradient(area: Area, filled: Box, one: Single, *, across: bool) -> None:
    low, high = ends(one.field)
    pieces = max(1, int((filled.w if across else filled.h) // 3))
    for piece in range(pieces):
        share = (piece + 0.5) / pieces * one.shown.share
        colour = value_colour(low + share * (high - low), share, one.field, area.theme)
        if across:
            part = Box(filled.x + piece * filled.w / pieces, filled.y, filled.w / pieces + 0.5, filled.h)
        else:
            part = Box(
                filled.x, filled.y + filled.h - (piece + 1) * filled.h / pieces, filled.w, filled.h / pieces + 0.5
            )
        area.canvas.box(part, colour)


def _cells(area: Area, bar: Box, one: Single, share: float, *, across: bool) -> None:
    low, high = ends(one.field)
    length = bar.w if across else bar.h
    count = max(3, int(length // 14))
    size = length / count
    for place in range(count):
        at = (place + 0.5) / count
        colour = value_colour(low + at * (high - low), at, one.field, area.theme)
        lit = at <= share
        shade = colour if lit else mix(colour, area.theme.panel, 0.16)
        if across:
            cell = Box(bar.x + place * size + 1, bar.y, size - 2, bar.h)
        else:
            cell = Box(bar.x, bar.y + bar.h - (place + 1) * size + 1, bar.w, size - 2)
        area.canvas.box(cell, shade, radius=1.5)
