"""State timeline and status history: a band for each series in the colour of its state."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from ml_monitoring.dashboards.render.colours import Theme, ink_on_band, mix
from ml_monitoring.dashboards.render.display import Style, show, threshold_steps
from ml_monitoring.dashboards.render.draw.axes import BOTTOM, SIZE, draw_time_axis
from ml_monitoring.dashboards.render.draw.canvas import Area
from ml_monitoring.dashboards.render.draw.legend import Entry, draw_legend
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.events import Annotation
from ml_monitoring.dashboards.render.fonts import MEDIUM, text_width
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame, number
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.units import format_value

Json = dict[str, Any]

# Grafana's own settings of both kinds of panel where nothing is set.
OPACITY = 70
_TEXT = 12.0


@dataclass(frozen=True, slots=True)
class Band:
    """A state of a field for a stretch of time.

    Attributes:
        start: Begin in milliseconds.
        end: End.
        text: The state.
        colour: Its colour, opaque.
    """

    start: float
    end: float
    text: str
    colour: str


def draw(data: PanelData, area: Area, events: Sequence[Annotation] = ()) -> None:
    """Draw the panel."""
    rows = _rows(data)
    if not rows:
        area.message(data.no_value)
        return
    options = data.panel.options
    bands = [bands for _, bands in state_bands(data, area.style)]
    box = draw_legend(area, options.get("legend") or {}, _entries([field for field, _ in rows], bands, area))
    name_width = min(max(text_width(field.display, SIZE) for field, _ in rows) + 12, box.w * 0.3)
    place = box.inset(name_width, 4, 10, BOTTOM)
    axes = area.canvas.axes(place)
    draw_time_axis(area.canvas, axes, place, data.span, lines=False)
    room = max(1, int(place.h // 12))
    shown = rows[: room - 1] if len(rows) > room else rows
    height = place.h / (len(shown) + (0.6 if len(shown) < len(rows) else 0))
    fill = float(options.get("rowHeight") or 0.9)
    for line, ((field, _), row) in enumerate(zip(shown, bands, strict=False)):
        y = place.y + line * height
        area.canvas.text(
            box.x + name_width - 10, y + height / 2, field.display, size=SIZE, align="right", fit=name_width - 12
        )
        inner = Box(place.x, y + height * (1 - fill) / 2, place.w, height * fill)
        for band in row:
            _draw_band(area.part(inner), data, field, band)
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


def state_bands(data: PanelData, style: Style) -> list[tuple[Field, list[Band]]]:
    """Return the states of each field as stretches of time."""
    return [(field, list(_bands(field, frame, data, style))) for field, frame in _rows(data)]


def by_threshold(field: Field, panel: PanelData) -> bool:
    """Return whether a field's states are its thresholds.

    A timeline that merges values and colours by thresholds replaces each value by the threshold that it is in, and so
    loses value mappings, words and colours alike (Grafana's `mergeThresholdValues`).
    """
    merges = panel.panel.type == "state-timeline" and panel.panel.options.get("mergeValues", True)
    return bool(merges and _mode(field) == "thresholds" and field.kind is FieldKind.NUMBER and threshold_steps(field))


def _mode(field: Field) -> str:
    return str((field.config.get("color") or {}).get("mode") or "thresholds")


def _bands(field: Field, frame: Frame, data: PanelData, style: Style) -> Iterator[Band]:
    if frame.time is None or not frame.length:
        return
    times = [float(moment) for moment in frame.time.values]
    step = field.step or (min(b - a for a, b in pairwise(times)) if len(times) > 1 else 60_000.0)
    states = _looks(field, data, style)
    if data.panel.type == "status-history":
        # A cell is centred on its sample.
        half = step * float(data.panel.options.get("colWidth") or 0.9) / 2
        for moment, look in zip(times, states, strict=True):
            if look is not None:
                yield Band(moment - half, moment + half, look[1], look[2])
        return
    spanned = (field.config.get("custom") or {}).get("spanNulls")
    reach = math.inf if spanned is True else float(spanned or 0)
    merge = data.panel.options.get("mergeValues", True)
    present = [(moment, look) for moment, look in zip(times, states, strict=True) if look is not None]
    open_: tuple[float, tuple[Any, str, str]] | None = None
    for place, (moment, look) in enumerate(present):
        following = present[place + 1] if place + 1 < len(present) else None
        open_ = open_ or (moment, look)
        # A state lasts until the next sample. A sample that is missing ends it, unless nulls are connected.
        end = _next(times, moment, moment + step)
        if following is not None and (end >= following[0] - step * 1e-9 or following[0] - moment < reach):
            end = following[0]
            if merge and following[1][0] == look[0]:
                continue
        yield Band(open_[0], end, open_[1][1], open_[1][2])
        open_ = None


def _next(times: Sequence[float], after: float, until: float) -> float:
    """Return the sample after a moment, be it a null, or where it should have been."""
    place = bisect.bisect_right(times, after)
    return min(until, times[place]) if place < len(times) else until


def _looks(field: Field, data: PanelData, style: Style) -> list[tuple[Any, str, str] | None]:
    """Return for each value what tells states apart, the state's text and its colour; None for no value."""
    if by_threshold(field, data):
        items = threshold_items(field, style)
        steps = [value for value, _ in threshold_steps(field)]
        low, high = field.scale or (0.0, 100.0)
        percentage = (field.config.get("thresholds") or {}).get("mode") == "percentage"

        def item(value: Any) -> tuple[Any, str, str]:
            at = number(value)
            if percentage and high > low:
                at = (at - low) / (high - low) * 100
            place = 0 if math.isnan(at) else max(0, bisect.bisect_right(steps, at) - 1)
            text, colour = items[place]
            return text, text, colour

        return [None if value is None else item(value) for value in field.values]

    @cache
    def look(value: Any) -> tuple[Any, str, str]:
        shown = show(value, field, style)
        return value, str(shown), shown.colour

    return [None if value is None or isinstance(value, list) else look(value) for value in field.values]


def threshold_items(field: Field, style: Style) -> list[tuple[str, str]]:
    """Return how thresholds are named, with their colours: `< 5`, `5+`; value mappings have no say."""
    steps = threshold_steps(field)
    percentage = (field.config.get("thresholds") or {}).get("mode") == "percentage"
    unit = "percent" if percentage else str(field.config.get("unit") or "")
    found = []
    for place, (value, colour) in enumerate(steps):
        below = math.isinf(value) and place + 1 < len(steps)
        text = str(format_value(steps[place + 1][0] if below else value, unit, None, style.clock))
        found.append((f"< {text}" if below else f"{text}+", style.theme.colour(colour)))
    return found


def _draw_band(area: Area, data: PanelData, field: Field, band: Band) -> None:
    box, options = area.box, data.panel.options
    left = max(0.0, (band.start / 1000 - data.span.start) / data.span.seconds)
    right = min(1.0, (band.end / 1000 - data.span.start) / data.span.seconds)
    width = (right - left) * box.w
    # What is narrower than a pixel is not drawn.
    if width < 1:
        return
    bar = Box(box.x + left * box.w, box.y, width, box.h)
    custom = field.config.get("custom") or {}
    history = data.panel.type == "status-history"
    fill = opaque(band.colour, field, area.theme)
    stroke = float(custom.get("lineWidth", 1 if history else 0))
    inner = bar.inset(stroke / 2, stroke / 2, stroke / 2, stroke / 2)
    area.canvas.box(inner, fill, edge=band.colour if stroke else None, line=stroke or 1)
    wanted = str(options.get("showValue") or "auto")
    most = int(width // _character())
    if wanted == "never" or (wanted == "auto" and most < 2):
        return
    # So many letters as there is room for; the rest is cut off.
    text = band.text[:most]
    align = "center" if history else str(options.get("alignValue") or "left")
    x = {"left": bar.x + stroke + 2, "right": bar.x + bar.w - stroke - 2}.get(align, bar.x + bar.w / 2)
    colour = ink_on_band(fill)
    area.canvas.text(x, bar.y + bar.h / 2, text, size=_TEXT, colour=colour, weight=MEDIUM, align=align)


def opaque(colour: str, field: Field, theme: Theme) -> str:
    """Return a state's colour on the panel, through its opacity; a colour with an opacity of its own keeps that."""
    if len(colour) == 9:
        return mix(colour[:7], theme.panel, int(colour[7:], 16) / 255)
    custom = field.config.get("custom") or {}
    return mix(colour, theme.panel, float(custom.get("fillOpacity", OPACITY)) / 100)


@cache
def _character() -> float:
    """Return how much room Grafana reckons for one letter: the mean of ASCII, and two and a half pixels more."""
    letters = "".join(map(chr, range(32, 127)))
    return math.ceil(text_width(letters, _TEXT, MEDIUM) / len(letters)) + 2.5


def _entries(fields: Sequence[Field], bands: Sequence[Sequence[Band]], area: Area) -> list[Entry]:
    """Name the states: the first field's thresholds where they colour, nothing for a scheme, else each state."""
    mode = _mode(fields[0])
    if mode == "thresholds":
        return [Entry(text, colour) for text, colour in threshold_items(fields[0], area.style)]
    if mode.startswith("continuous"):
        return []
    found = {band.text: band.colour for row in bands for band in row if band.text}
    return [Entry(name, colour) for name, colour in found.items()]
