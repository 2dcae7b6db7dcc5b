"""Axes: round numbers, labels in the panel's unit, and time marks, spaced as the size allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from matplotlib.axes import Axes

from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw.canvas import Canvas
from ml_monitoring.dashboards.render.fonts import text_width
from ml_monitoring.dashboards.render.frames import Field, FieldKind
from ml_monitoring.dashboards.render.intervals import TimeRange, at
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.units import Clock, format_value, unit_table

Json = dict[str, Any]

SIZE = 11.5
# Room for a label of the time axis, and between marks of the value axis.
BOTTOM = 22
MARK_SPACING = 38

_TIME_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400, 172_800,
    604_800, 1_209_600, 2_592_000, 5_184_000, 7_776_000, 15_552_000, 31_536_000,
)  # fmt: skip


# A second in units of time.
_SECOND = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9, "m": 1 / 60, "h": 1 / 3600, "d": 1 / 86_400, "dtdurations": 1.0}


@dataclass(frozen=True, slots=True)
class Scale:
    """A value axis.

    Attributes:
        low: Lower end.
        high: Upper end.
        marks: Where lines and labels are.
        labels: The labels.
        log: Base of a logarithmic axis, 0 for an even one.
    """

    low: float
    high: float
    marks: tuple[float, ...]
    labels: tuple[str, ...]
    log: float = 0.0

    @property
    def width(self) -> float:
        """Return how wide the labels are."""
        return max((text_width(label, SIZE) for label in self.labels), default=0.0)


def value_scale(
    values: Sequence[float], field: Field, height: float, style: Style, *, percent: bool = False, zero: bool = False
) -> Scale:
    """Return the axis for values.

    Args:
        values: What is drawn.
        field: Whose unit, ends and decimals count.
        height: Of the chart in pixels.
        style: For dates.
        percent: The values are shares that add up to one.
        zero: Bars start from zero, so it must be seen.
    """
    custom = field.config.get("custom") or {}
    found = [value for value in values if math.isfinite(value)]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    log = custom.get("scaleDistribution") or {}
    if log.get("type") == "log" and found:
        return _log_scale([value for value in found if value > 0], field, float(log.get("log") or 10), style)
    if percent:
        low, high = 0.0, 1.0
    for soft, pick in (("axisSoftMin", min), ("axisSoftMax", max)):
        if custom.get(soft) is not None:
            low, high = (
                (pick(low, float(custom[soft])), high) if pick is min else (low, pick(high, float(custom[soft])))
            )
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    spread = high - low
    hard_low, hard_high = field.config.get("min"), field.config.get("max")
    if not percent:
        pad = spread * 0.1 if spread else (abs(high) * 0.5 or 1.0)
        # An axis that nearly reaches zero begins there.
        low = 0.0 if low >= 0 and low - pad * 2 <= 0 else low - (pad if low else 0.0)
        high = high + (pad if high else (0.0 if low < 0 else pad))
    low = float(hard_low) if hard_low is not None else low
    high = float(hard_high) if hard_high is not None else high
    if not high > low:
        high = low + (abs(low) or 1.0)
    unit = "percentunit" if percent else str(field.config.get("unit") or "")
    step = round_step((high - low) / max(1, int(height // MARK_SPACING)), unit)
    if hard_high is None and not percent:
        high = min(math.ceil(high / step - 1e-9) * step, high + step * 0.5) if spread else math.ceil(high / step) * step
    if hard_low is None and low:
        low = max(math.floor(low / step + 1e-9) * step, low - step * 0.5)
    marks = _marks(low, high, step)
    return Scale(low, high, marks, tuple(axis_label(mark, step, field, unit, style.clock) for mark in marks))


def axis_label(value: float, step: float, field: Field, unit: str, clock: Clock) -> str:
    """Return the label of a mark: as many decimals as the step between marks needs, no zeros at the end."""
    decimals = field.config.get("decimals")
    if decimals is not None:
        return str(format_value(value, unit, int(decimals), clock))
    needed = max(0, -math.floor(math.log10(step) + 1e-9))
    if not math.isclose(step * 10**needed, round(step * 10**needed), rel_tol=1e-9):
        needed += 1
    text = format_value(value, unit, needed or None, clock)
    number = text.text
    if "." in number and "e" not in number:
        number = number.rstrip("0").rstrip(".")
    return f"{text.prefix}{number or '0'}{text.suffix}"


def is_binary(unit: str) -> bool:
    """Return whether the unit counts in steps of 1024."""
    return (unit_table().get(unit) or [""])[0] == "binary"


def round_step(exact: float, unit: str = "") -> float:
    """Return the next round step: 1, 2, 2.5 or 5 times a power of ten; for bytes a power of two, for time of the clock.

    Of time Grafana itself takes powers of ten and so writes 33.3 mins; here it is 30 mins.
    """
    if exact <= 0 or not math.isfinite(exact):
        return 1.0
    if is_binary(unit) and exact > 1:
        return float(2.0 ** math.ceil(math.log2(exact) - 1e-9))
    second = _SECOND.get(unit)
    if second and _TIME_STEPS[0] < exact / second <= _TIME_STEPS[-1]:
        return next(step * second for step in _TIME_STEPS if step * second >= exact * (1 - 1e-9))
    power = 10.0 ** math.floor(math.log10(exact))
    return next(float(step * power) for step in (1, 2, 2.5, 5, 10) if step * power >= exact * (1 - 1e-9))


def _marks(low: float, high: float, step: float) -> tuple[float, ...]:
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Multiples keep 0.3 from becoming 0.30000000000000004.
    return tuple(
        round(place * step, 12) if abs(step) < 1e6 else place * step
        for place in range(first, min(last, first + 40) + 1)
    )


def _log_scale(values: Sequence[float], field: Field, base: float, style: Style) -> Scale:
    low_value, high_value = (min(values), max(values)) if values else (1.0, base)
    low = math.floor(math.log(low_value, base) + 1e-9)
    high = max(low + 1, math.ceil(math.log(high_value, base) - 1e-9))
    every = max(1, (high - low) // 6)
    marks = tuple(base**power for power in range(low, high + 1, every))
    unit = str(field.config.get("unit") or "")
    labels = tuple(axis_label(mark, mark, field, unit, style.clock) for mark in marks)
    return Scale(base**low, base**high, marks, labels, base)


def time_marks(span: TimeRange, width: float, zone: str) -> list[tuple[float, str]]:
    """Return where the time axis is labelled (milliseconds), and how."""
    room = max(2.0, width / 90)
    step = next((one for one in _TIME_STEPS if span.seconds / one <= room), _TIME_STEPS[-1])
    start = at(span.start, zone)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    if step >= 86_400:
        first = midnight
    else:
        behind = (start - midnight).total_seconds()
        first = midnight + timedelta(seconds=math.ceil(behind / step) * step)
    form = "%Y-%m" if step >= 2_592_000 else "%m/%d" if step >= 43_200 else "%H:%M:%S" if step < 60 else "%H:%M"
    if 3600 <= step < 43_200 and span.seconds > 90_000:
        form = "%m/%d %H:%M"
    marks = []
    moment = first
    while moment.timestamp() <= span.end:
        if moment.timestamp() >= span.start:
            marks.append((moment.timestamp() * 1000, f"{moment:{form}}"))
        moment += timedelta(seconds=step)
    return marks


def draw_time_axis(canvas: Canvas, axes: Axes, box: Box, span: TimeRange, *, lines: bool = True) -> None:
    """Put the time range on a chart's axis and label it below."""
    axes.set_xlim(span.start * 1000, span.end * 1000)
    for moment, label in time_marks(span, box.w, canvas.style.clock.zone):
        share = (moment / 1000 - span.start) / span.seconds
        x = box.x + share * box.w
        if lines:
            axes.axvline(moment, color=canvas.theme.grid, linewidth=canvas.points(1), zorder=0)
        half = text_width(label, SIZE) / 2
        # A label that would stick out is moved in; the panel's edge is near.
        x = min(max(x, box.x + half - 24), box.x + box.w - half + 6)
        canvas.text(x, box.y + box.h + 12, label, size=SIZE, colour=canvas.theme.muted, align="center")


def draw_value_axis(canvas: Canvas, axes: Axes, box: Box, scale: Scale, *, right: bool = False) -> None:
    """Put a scale on a chart's value axis and label it."""
    if scale.log:
        axes.set_yscale("log", base=scale.log)
        axes.tick_params(length=0, labelbottom=False, labelleft=False, labelright=False, which="both")
        axes.minorticks_off()
    axes.set_ylim(scale.low, scale.high)
    for mark, label in zip(scale.marks, scale.labels, strict=True):
        share = place_of(mark, scale)
        y = box.y + box.h * (1 - share)
        if not right:
            axes.axhline(mark, color=canvas.theme.grid, linewidth=canvas.points(1), zorder=0)
        x, align = (box.x + box.w + 8, "left") if right else (box.x - 8, "right")
        canvas.text(x, y, label, size=SIZE, colour=canvas.theme.muted, align=align)


def draw_value_marks(canvas: Canvas, box: Box, scale: Scale) -> None:
    """Draw lines and labels of a value axis on the page itself, where bars are drawn over them."""
    for mark, label in zip(scale.marks, scale.labels, strict=True):
        y = box.y + box.h * (1 - place_of(mark, scale))
        canvas.line([(box.x, y), (box.x + box.w, y)], canvas.theme.grid)
        canvas.text(box.x - 8, y, label, size=SIZE, colour=canvas.theme.muted, align="right")


def place_of(value: float, scale: Scale) -> float:
    """Return where a value is on the axis, 0 at the bottom to 1."""
    if scale.log:
        return (math.log(value) - math.log(scale.low)) / (math.log(scale.high) - math.log(scale.low))
    return (value - scale.low) / (scale.high - scale.low)


def numeric(frames_fields: Sequence[Field]) -> list[Field]:
    """Return the fields of numbers that are not hidden."""
    return [
        field
        for field in frames_fields
        if field.kind is FieldKind.NUMBER and not ((field.config.get("custom") or {}).get("hideFrom") or {}).get("viz")
    ]
