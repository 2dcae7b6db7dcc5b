"""State timeline and status history: a band for each series in the colour of its state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ml_monitoring.dashboards.render.colours import ink_on
from ml_monitoring.dashboards.render.display import Shown, show, threshold_steps
from ml_monitoring.dashboards.render.draw.axes import BOTTOM, SIZE, draw_time_axis
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.draw.legend import Entry, draw_legend
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.events import Annotation
from ml_monitoring.dashboards.render.fonts import text_width
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.layout import Box

Json = dict[str, Any]
Band = tuple[float, float, Any]  # from, to (milliseconds), value


def draw(data: PanelData, area: Area, events: Sequence[Annotation] = ()) -> None:
    """Draw the panel."""
    rows = _rows(data)
    if not rows:
        area.message(data.no_value)
        return
    options = data.panel.options
    history = data.panel.type == "status-history"
    bands = [bands for _, bands in state_bands(data)]
    box = draw_legend(area, options.get("legend") or {}, _entries(rows, bands, area))
    name_width = min(max(text_width(field.display, SIZE) for field, _ in rows) + 12, box.w * 0.3)
    place = box.inset(name_width, 4, 10, BOTTOM)
    axes = area.canvas.axes(place)
    draw_time_axis(area.canvas, axes, place, data.span, lines=False)
    room = max(1, int(place.h // 12))
    shown = rows[: room - 1] if len(rows) > room else rows
    height = place.h / (len(shown) + (0.6 if len(shown) < len(rows) else 0))
    fill = float(options.get("rowHeight") or 0.9)
    for number, ((field, _), row) in enumerate(zip(shown, bands, strict=False)):
        y = place.y + number * height
        area.canvas.text(
            box.x + name_width - 10, y + height / 2, field.display, size=SIZE, align="right", fit=name_width - 12
        )
        inner = Box(place.x, y + height * (1 - fill) / 2, place.w, height * fill)
        for band in row:
            _band(area.part(inner), data, show(band[2], field, area.style), band, gap=history)
    if len(shown) < len(rows):
        note = f"+{len(rows) - len(shown)} more"
        area.canvas.text(place.x, place.y + place.h - height * 0.25, note, size=11, colour=area.theme.muted)
    for event in events:
        share = (event.start / 1000 - data.span.start) / data.span.seconds
        if 0 <= share <= 1:
            x = place.x + share * place.w
            area.canvas.line([(x, place.y), (x, place.y + place.h)], area.theme.colour(event.colour), dashed=True)


def _rows(data: PanelData) -> list[tuple[Field, Frame]]:
    return [
        (field, frame)
        for frame in data.frames
        if frame.time
        for field in frame.fields
        if field.kind not in (FieldKind.TIME, FieldKind.FRAME)
        and not ((field.config.get("custom") or {}).get("hideFrom") or {}).get("viz")
    ]


def state_bands(data: PanelData) -> list[tuple[Field, list[Band]]]:
    """Return the states of each field as stretches of time."""
    history = data.panel.type == "status-history"
    merge = data.panel.options.get("mergeValues", True)
    return [(field, _bands(field, frame, data, history=history, merge=merge)) for field, frame in _rows(data)]


def _bands(field: Field, frame: Frame, data: PanelData, *, history: bool, merge: bool) -> list[Band]:
    if frame.time is None:
        return []
    times = [float(moment) for moment in frame.time.values]
    step = field.step or (min(b - a for a, b in pairwise(times)) if len(times) > 1 else 60_000.0)
    last = data.span.end * 1000
    found: list[Band] = []
    for place, (moment, value) in enumerate(zip(times, field.values, strict=True)):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        following = times[place + 1] if place + 1 < len(times) else last
        # A state holds until the next sample, and no longer than a step when samples are missing.
        end = min(following, moment + step * 1.5) if not history else moment + step
        if place + 1 == len(times):
            end = min(last, moment + step * 1.5)
        if merge and not history and found and found[-1][2] == value and moment - found[-1][1] < step * 0.6:
            found[-1] = (found[-1][0], end, value)
        else:
            found.append((moment, end, value))
    return found


def _band(area: Area, data: PanelData, shown: Shown, band: Band, *, gap: bool) -> None:
    box, options, (start, end, _) = area.box, data.panel.options, band
    left = max(0.0, (start / 1000 - data.span.start) / data.span.seconds)
    right = min(1.0, (end / 1000 - data.span.start) / data.span.seconds)
    if right <= left:
        return
    width = (right - left) * box.w
    bar = Box(box.x + left * box.w, box.y, max(0.6, width - (1.0 if gap and width > 3 else 0.0)), box.h)
    area.canvas.box(bar, shown.colour)
    text = str(shown)
    wanted = str(options.get("showValue") or "auto")
    if wanted != "never" and box.h > 13 and text_width(text, SIZE) + 8 < width:
        align = {"center": "center", "right": "right"}.get(str(options.get("alignValue")), "left")
        x = {"left": bar.x + 5, "center": bar.x + bar.w / 2, "right": bar.x + bar.w - 5}[align]
        area.canvas.text(x, bar.y + bar.h / 2, text, size=SIZE, colour=ink_on(shown.colour), align=align)


def _entries(rows: Sequence[tuple[Field, Frame]], bands: Sequence[Sequence[Band]], area: Area) -> list[Entry]:
    """Name the states by their mappings, else by the thresholds, else by the values themselves."""
    first = rows[0][0]
    found: dict[str, str] = {}
    mappings = first.config.get("mappings") or []
    if mappings:
        for (field, _), row in zip(rows, bands, strict=True):
            for _, _, value in row:
                shown = show(value, field, area.style)
                if str(shown):
                    found.setdefault(str(shown), shown.colour)
    elif (first.config.get("color") or {}).get("mode", "thresholds") == "thresholds":
        steps = threshold_steps(first)
        for place, (value, colour) in enumerate(steps):
            if math.isinf(value):
                text = f"< {show(steps[place + 1][0], first, area.style)}" if len(steps) > 1 else ""
            else:
                text = f"{show(value, first, area.style)}+"
            if text:
                found[text] = area.theme.colour(colour)
    return [Entry(name, colour) for name, colour in found.items()]
