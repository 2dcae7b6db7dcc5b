"""Gauge: a dial with the thresholds around it; and the bar gauge: a bar for each value."""

from __future__ import annotations

import math
from typing import Any

from ml_monitoring.dashboards.render.colours import mix
from ml_monitoring.dashboards.render.display import ends, threshold_steps, value_colour
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.draw.single import Single, singles
from ml_monitoring.dashboards.render.draw.stat import tile
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.fonts import BOLD, MEDIUM, text_width
from ml_monitoring.dashboards.render.frames import Field
from ml_monitoring.dashboards.render.layout import Box

Json = dict[str, Any]

# The dial runs from lower left over the top to lower right.
START, SWEEP = 150.0, 240.0


def draw_gauge(data: PanelData, area: Area) -> None:
    """Draw a gauge panel."""
    values = singles(data, area)
    if not values:
        area.message(data.no_value)
        return
    orientation = str(data.panel.options.get("orientation") or "auto")
    for cell, one in zip(tile(area.box, len(values), orientation, 1.2), values, strict=True):
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
    values = singles(data, area)
    if not values:
        area.message(data.no_value)
        return
    orientation = str(data.panel.options.get("orientation") or "auto")
    if orientation == "auto":
        orientation = "vertical" if area.box.w > area.box.h * 1.4 and len(values) < 12 else "horizontal"
    if orientation == "vertical":
        _columns(area, values, data.panel.options)
    else:
        _rows(area, values, data.panel.options)


def _rows(area: Area, values: list[Single], options: Json) -> None:
    box, canvas = area.box, area.canvas
    least = 18.0
    room = max(1, int(box.h // least))
    shown = values if len(values) <= room else values[: room - 1]
    height = min(box.h / len(shown), float(options.get("maxVizHeight") or 300), 56.0)
    gap = min(8.0, height * 0.22)
    top = box.y + (0 if len(shown) < len(values) else max(0.0, (box.h - height * len(shown)) / 2))
    size = max(11.0, min(15.0, (height - gap) * 0.5))
    above = str(options.get("namePlacement") or "auto") == "top" and height > 34
    texts = [str(one.shown) for one in values]
    value_size = max(11.5, min(22.0, (height - gap) * 0.55))
    value_width = max(text_width(text, value_size, MEDIUM) for text in texts) + 16
    name_width = 0.0 if above else min(max(text_width(one.name, size) for one in values) + 12, box.w * 0.42)
    for place, one in enumerate(shown):
        y = top + place * height
        bar = Box(box.x + name_width, y + gap / 2, box.w - name_width - value_width, height - gap)
        if above:
            canvas.text(box.x, y + 9, one.name, size=12, fit=box.w)
            bar = Box(bar.x, bar.y + 14, bar.w, bar.h - 14)
        elif len(values) > 1 or one.name:
            canvas.text(
                box.x + name_width - 10, y + height / 2, one.name, size=size, align="right", fit=name_width - 10
            )
        _bar(area, bar, one, options, across=True)
        colour = _ink(area, one, options)
        canvas.text(
            box.x + box.w - 2,
            bar.y + bar.h / 2,
            texts[place],
            size=value_size,
            colour=colour,
            weight=MEDIUM,
            align="right",
        )
    if len(shown) < len(values):
        canvas.text(
            box.x + name_width,
            top + len(shown) * height + 8,
            f"+{len(values) - len(shown)} more",
            colour=area.theme.muted,
        )


def _columns(area: Area, values: list[Single], options: Json) -> None:
    box, canvas = area.box, area.canvas
    width = box.w / len(values)
    gap = min(14.0, width * 0.2)
    texts = [str(one.shown) for one in values]
    widest = max(text_width(text, 1, MEDIUM) for text in texts)
    size = max(9.0, min(24.0, (width - 4) / max(1.0, widest), box.h * 0.14))
    for place, one in enumerate(values):
        x = box.x + place * width
        bar = Box(x + gap / 2, box.y + size + 10, width - gap, box.h - size - 32)
        _bar(area, bar, one, options, across=False)
        middle = x + width / 2
        canvas.text(
            middle,
            box.y + size / 2 + 2,
            texts[place],
            size=size,
            colour=_ink(area, one, options),
            weight=MEDIUM,
            align="center",
        )
        canvas.text(middle, box.y + box.h - 8, one.name, size=12, align="center", fit=width - 6)


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
