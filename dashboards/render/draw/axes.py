"""Axes: round numbers, labels in the panel's unit, and time marks, spaced as the size allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from matplotlib.axes import Axes

from ml_monitoring.dashboards.render.display import Style, mapped
from ml_monitoring.dashboards.render.draw.canvas import Canvas
from ml_monitoring.dashboards.render.fonts import text_width
from ml_monitoring.dashboards.render.frames import Field, FieldKind
from ml_monitoring.dashboards.render.intervals import TimeRange, at
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.numbers import js_round, js_string
from ml_monitoring.dashboards.render.units import Clock, format_value, is_date, unit_table

Json = dict[str, Any]

SIZE = 11.5
# Room for a label of the time axis, and between marks of the value axis.
BOTTOM = 22
MARK_SPACING = 30

_TIME_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400, 172_800,
    604_800, 1_209_600, 2_592_000, 5_184_000, 7_776_000, 15_552_000, 31_536_000,
)  # fmt: skip


# Decimals of the step between marks beyond this many do not count.
_MOST_DECIMALS = 6


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


@dataclass(frozen=True, slots=True)
class Limits:
    """What is set about the ends of an axis; a soft end gives way to the data, a hard one cuts it."""

    hard_low: float | None = None
    hard_high: float | None = None
    soft_low: float | None = None
    soft_high: float | None = None

    @staticmethod
    def of(config: Mapping[str, Any]) -> Limits:
        """Return the limits of a field's settings."""
        custom = config.get("custom") or {}
        given = (config.get("min"), config.get("max"), custom.get("axisSoftMin"), custom.get("axisSoftMax"))
        return Limits(*(None if one is None else float(one) for one in given))

    def from_zero(self) -> Limits:
        """Return the limits of an axis that bars stand on: zero is in sight unless an end is set."""
        low = 0.0 if self.soft_low is None and self.hard_low is None else self.soft_low
        high = 0.0 if self.soft_high is None and self.hard_high is None else self.soft_high
        return replace(self, soft_low=low, soft_high=high)


def value_scale(
    values: Sequence[float],
    field: Field,
    height: float,
    style: Style,
    *,
    percent: bool = False,
    limits: Limits | None = None,
) -> Scale:
    """Return the axis for values, with the ends and marks that Grafana chooses (`UPlotScaleBuilder`, uPlot).

    Args:
        values: What is drawn.
        field: Whose unit, ends and decimals count.
        height: Of the chart in pixels.
        style: For dates.
        percent: The values are shares that add up to one.
        limits: Set ends; by default the field's.
    """
    config = field.config
    custom = config.get("custom") or {}
    limits = limits or Limits.of(config)
    distribution = custom.get("scaleDistribution") or {}
    unit = "percentunit" if percent else str(config.get("unit") or "")
    found = [value for value in values if math.isfinite(value)]
    if distribution.get("type") == "log":
        # Nothing at or below zero has a place on it.
        found = [value for value in found if value > 0]
        if found:
            return _log_scale(found, field, float(distribution.get("log") or 2), height, style)
    if unit.startswith("bool"):
        marks: tuple[float, ...] = (0.0, 1.0)
        return Scale(0.0, 1.0, marks, tuple(axis_label(mark, 1.0, field, unit, style.clock) for mark in marks))
    if percent:
        low, high = (-1.0 if found and min(found) < 0 else 0.0), (1.0 if not found or max(found) > 0 else 0.0)
    else:
        low, high = value_range(
            found, limits, whole=config.get("decimals") == 0, centred=bool(custom.get("axisCenteredZero"))
        )
    step = mark_step(low, high, height, unit)
    marks = _marks(low, high, step)
    if config.get("decimals") == 0:
        marks = tuple(mark for mark in marks if mark.is_integer())
    return Scale(low, high, marks, tuple(axis_label(mark, step, field, unit, style.clock) for mark in marks))


def value_range(
    values: Sequence[float], limits: Limits, *, whole: bool = False, centred: bool = False
) -> tuple[float, float]:
    """Return the ends of an even axis.

    Args:
        values: What is drawn; all finite.
        limits: What is set.
        whole: The ends are whole numbers, as for a field without decimals.
        centred: Zero is in the middle.
    """
    # An end that is only hard is where the axis ends, and what padding is measured from.
    low_end = limits.hard_low if limits.soft_low is None else None
    high_end = limits.hard_high if limits.soft_high is None else None
    if not values and (low_end is None or high_end is None):
        return (low_end or 0.0, high_end if high_end is not None and high_end > (low_end or 0.0) else 100.0)
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    if centred:
        high = max(abs(low), abs(high))
        low = -high
    low, high = _padded(low if low_end is None else low_end, high if high_end is None else high_end, limits)
    if whole:
        low, high = float(math.floor(low)), float(math.ceil(high))
    low, high = low if low_end is None else low_end, high if high_end is None else high_end
    return (low, high) if low < high else (0.0, 100.0)


def _padded(low: float, high: float, limits: Limits) -> tuple[float, float]:
    """Return uPlot's `rangeNum` with Grafana's settings: a tenth of padding, and zero as a soft end.

    Flat data get a range from zero to twice their value; zeros alone an axis up to 100, which is why a panel that may
    be zero for long sets `axisSoftMax`.
    """
    delta = high - low
    largest = max(abs(low), abs(high))
    # Eleven orders of magnitude below the values, a difference is noise.
    flat = delta < 1e-24 or abs(math.log10(largest) - math.log10(delta)) > 10
    if flat:
        delta = 1e-24 if low == 0 or high == 0 else 0.0
    some = delta or largest or 1000.0
    grain = 10.0 ** math.floor(math.log10(some)) / 10
    pad_low = some * (0.1 if delta else 0.1 if low == 0 else 1.0)
    pad_high = some * (0.1 if delta else 0.1 if high == 0 else 1.0)
    new_low = _rounded(_multiple(low - pad_low, grain, math.floor), 24)
    new_high = _rounded(_multiple(high + pad_high, grain, math.ceil), 24)

    soft_low, soft_high = limits.soft_low or 0.0, limits.soft_high or 0.0
    # A soft end that is set is always in sight; zero only when the padding reaches it.
    low_soft = soft_low if low >= soft_low and (limits.soft_low is not None or new_low <= soft_low) else math.inf
    high_soft = (
        soft_high if high <= soft_high and (limits.soft_high is not None or new_high >= soft_high) else -math.inf
    )
    bottom = low_soft if new_low < low_soft <= low else min(low_soft, new_low)
    top = high_soft if new_high > high_soft >= high else max(high_soft, new_high)
    bottom = max(-math.inf if limits.hard_low is None else limits.hard_low, bottom)
    top = min(math.inf if limits.hard_high is None else limits.hard_high, top)
    return (bottom, 100.0 if bottom == top == 0 else top)


def _multiple(value: float, of: float, round_: Callable[[float], int]) -> float:
    """Return a multiple near the value (uPlot's `incrRoundUp` and `incrRoundDn`)."""
    return _exact(round_(_exact(value / of)) * of)


def _exact(value: float) -> float:
    """Return uPlot's `fixFloat`: 0.30000000000000004 is 0.3."""
    return value if value.is_integer() else float(f"{value:.14g}")


def _rounded(value: float, decimals: int) -> float:
    """Return uPlot's `roundDec`."""
    if value.is_integer():
        return value
    power = 10.0**decimals
    return js_round(value * power * (1 + 2.0**-52)) / power


def axis_label(value: float, step: float, field: Field, unit: str, clock: Clock) -> str:
    """Return the label of a mark: a mapping's text, else with as many decimals as the step between marks has."""
    mapping = mapped(field.config.get("mappings") or [], value)
    if mapping is not None and mapping.get("text") not in (None, ""):
        return str(mapping["text"])
    decimals = field.config.get("decimals")
    if decimals is not None:
        return str(format_value(value, unit, int(decimals), clock))
    needed = _decimals(_rounded(step, _MOST_DECIMALS))
    if not needed or unit == "locale" or unit.startswith(("currency", "bool")) or is_date(unit):
        return str(format_value(value, unit, None, clock))
    text = format_value(value, unit, needed, clock)
    try:
        # Grafana strips what a unit makes of the decimals: 0.150 s is "150.000 ms" first.
        number = js_string(float(text.text or 0))
    except ValueError:
        number = text.text
    return f"{text.prefix}{number}{text.suffix}"


def is_binary(unit: str) -> bool:
    """Return whether the unit counts in steps of 1024."""
    return (unit_table().get(unit) or [""])[0] == "binary"


def mark_step(low: float, high: float, length: float, unit: str = "", space: float = MARK_SPACING) -> float:
    """Return the distance of marks: the least round one (1, 2, 2.5, 5 times a power of ten) that leaves the space.

    Of bytes it is a power of two. Of time it is a power of ten too, so that an axis of seconds reads 16.7 mins.

    Args:
        low: Begin of the axis.
        high: Its end.
        length: In pixels.
        unit: Of the values.
        space: Least distance of two marks in pixels.
    """
    if length <= 0 or not high > low:
        return max(1.0, high - low)
    exact = space / length * (high - low) * (1 - 1e-9)
    if is_binary(unit):
        return float(next(2**power for power in range(53) if 2**power >= exact))
    power = math.floor(math.log10(exact)) if exact > 0 else 0
    return next(_ten(step, power) for step in (1, 2, 2.5, 5, 10) if _ten(step, power) >= exact)


def _ten(step: float, power: int) -> float:
    return float(f"{step}e{power}")


def _decimals(value: float) -> int:
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _marks(low: float, high: float, step: float) -> tuple[float, ...]:
    decimals = _decimals(step)
    mark = _rounded(_multiple(low, step, math.ceil), decimals)
    found: list[float] = []
    while mark <= high and len(found) < 100:
        found.append(mark + 0.0)
        mark = _rounded(mark + step, decimals)
    return tuple(found)


def _log_scale(values: Sequence[float], field: Field, base: float, height: float, style: Style) -> Scale:
    low, high = min(values), max(values)
    if low == high:
        low, high = low / base, high * base
    first, last = math.floor(math.log(low, base) + 1e-9), math.ceil(math.log(high, base) - 1e-9)
    if field.config.get("decimals") == 0:
        # Fractions have no mark then.
        first, last = max(0, first), max(last, 1)
    every = max(1, math.ceil((last - first) * MARK_SPACING / max(1.0, height)))
    powers = range(first, last + 1)
    # Labels are left out from the top downwards, so that the highest power keeps its own.
    marks = tuple(base**power for power in powers if (last - power) % every == 0)
    unit = str(field.config.get("unit") or "")
    labels = tuple(axis_label(mark, min(mark, 1.0), field, unit, style.clock) for mark in marks)
    return Scale(base**first, base**last, marks, labels, base)


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


def with_dates(marks: Sequence[tuple[float, str]], zone: str) -> list[tuple[float, str]]:
    """Return the marks with the date where a day is named first, unless all have it."""
    dated: list[tuple[float, str]] = []
    before = ""
    for moment, label in marks:
        date = f"{at(moment / 1000, zone):%m/%d}"
        dated.append((moment, f"{date} {label}" if date != before and label[2:3] == ":" else label))
        before = date
    return dated


def draw_time_axis(canvas: Canvas, axes: Axes, box: Box, span: TimeRange, *, lines: bool = True) -> None:
    """Put the time range on a chart's axis and label it below."""
    axes.set_xlim(span.start * 1000, span.end * 1000)
    marks = time_marks(span, box.w, canvas.style.clock.zone)
    for moment, label in with_dates(marks, canvas.style.clock.zone) if canvas.style.paper else marks:
        share = (moment / 1000 - span.start) / span.seconds
        x = box.x + share * box.w
        if lines:
            axes.axvline(moment, color=canvas.theme.grid, linewidth=canvas.points(1), zorder=0)
        half = text_width(label, SIZE) / 2
        # A label that would stick out is moved in; the panel's edge is near.
        x = min(max(x, box.x + half - 24), box.x + box.w - half + 6)
        canvas.text(x, box.y + box.h + 12, label, size=SIZE, colour=canvas.theme.muted, align="center")


def draw_value_axis(
    canvas: Canvas, axes: Axes, box: Box, scale: Scale, *, side: str = "left", away: float = 0.0, lines: bool = True
) -> None:
    """Put a scale on a chart's value axis and label it.

    Args:
        canvas: The page.
        axes: The chart.
        box: Its place.
        scale: The scale.
        side: Where the labels stand: `left`, `right`, or nowhere when `hidden`.
        away: How far from the chart, where another axis is between.
        lines: Whether marks have lines.
    """
    if scale.log:
        axes.set_yscale("log", base=scale.log)
        axes.tick_params(length=0, labelbottom=False, labelleft=False, labelright=False, which="both")
        axes.minorticks_off()
    axes.set_ylim(scale.low, scale.high)
    for mark, label in zip(scale.marks, scale.labels, strict=True):
        share = place_of(mark, scale)
        y = box.y + box.h * (1 - share)
        if lines:
            axes.axhline(mark, color=canvas.theme.grid, linewidth=canvas.points(1), zorder=0)
        if side == "hidden":
            continue
        x, align = (box.x + box.w + 8 + away, "left") if side == "right" else (box.x - 8 - away, "right")
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
