"""Data frames: columns of equal length with a type, labels and settings, as Grafana's panels see data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ml_monitoring.dashboards.render.prometheus import Answer, Series

Json = dict[str, Any]
# None is "no value"; a time is milliseconds since the epoch.
Cell = float | str | bool | None | list[Any]


class FieldKind(StrEnum):
    """What a field holds."""

    TIME = "time"
    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    FRAME = "frame"  # small series, drawn as sparklines in tables


@dataclass(frozen=True, slots=True)
class Field:
    """One column. Nothing changes a field: what differs is a copy.

    Attributes:
        name: Its name in the frame.
        kind: What it holds.
        values: Its cells.
        labels: Labels of the series that it came from.
        config: Unit, thresholds and the like; given by `fields.configured`.
        display: The name that people see; given by `names.named`.
        index: Its number among the fields that take a colour of the palette.
        given_name: The name that the query's legend gives.
        step: Distance of the points in milliseconds; 0 when unknown.
        scale: Ends of the values' scale, over all fields of the panel; given by `fields.configured`.
    """

    name: str
    kind: FieldKind
    values: Sequence[Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    display: str = ""
    index: int = 0
    given_name: str = ""
    step: float = 0.0
    scale: tuple[float, float] | None = None

    def numbers(self) -> list[float]:
        """Return the values with NaN for what is no number, for drawing."""
        return [number(value) for value in self.values]

    def copy(self, **changes: Any) -> Field:
        """Return a copy with changes."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Frame:
    """A table of fields, mostly one series: a time field and a value field."""

    fields: Sequence[Field]
    ref_id: str = ""
    name: str = ""

    @property
    def length(self) -> int:
        """Return the number of rows."""
        return len(self.fields[0].values) if self.fields else 0

    @property
    def time(self) -> Field | None:
        """Return the first time field."""
        return next((one for one in self.fields if one.kind is FieldKind.TIME), None)

    def with_fields(self, fields: Sequence[Field]) -> Frame:
        """Return the frame with other fields."""
        return Frame(fields, self.ref_id, self.name)

    @property
    def value_fields(self) -> list[Field]:
        """Return the fields of numbers."""
        return [one for one in self.fields if one.kind is FieldKind.NUMBER]

    def named(self, name: str) -> Field | None:
        """Return the field that is called so, by what people see or by its own name."""
        by_display = next((one for one in self.fields if one.display == name), None)
        return by_display or next((one for one in self.fields if one.name == name), None)


def until(end: float, frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames with a null after series that ended before, as Grafana's time series have it.

    Args:
        end: End of the time range in milliseconds.
        frames: Series; those whose points are a known distance apart can end before.
    """
    return [_ended(frame) if _ends_before(end, frame) else frame for frame in frames]


def _ends_before(end: float, frame: Frame) -> bool:
    step = max((one.step for one in frame.value_fields), default=0.0)
    return bool(step and frame.time is not None and frame.length and frame.time.values[-1] + step < end)


def _ended(frame: Frame) -> Frame:
    return frame.with_fields(
        [
            one.copy(values=[*one.values, one.values[-1] + 1 if one.kind is FieldKind.TIME else None])
            for one in frame.fields
        ]
    )


def number(value: Any) -> float:
    """Return a cell as a number, NaN when it is none."""
    if value is None or isinstance(value, list):
        return math.nan
    try:
        return float(value)
    except ValueError:
        return math.nan


def legend(form: str, labels: Mapping[str, str], expr: str) -> str:
    """Return a series name from a legend format, as Grafana's Prometheus data source makes it."""
    if not form or form == "__auto":
        rest = {name: value for name, value in labels.items() if name != "__name__"}
        if form == "__auto" and len(rest) == 1:
            return next(iter(rest.values()))
        inner = ", ".join(f'{name}="{value}"' for name, value in sorted(rest.items()))
        name = labels.get("__name__", "")
        # A series without any label is called by its query.
        return f"{name}{{{inner}}}" if inner else name or expr
    text = form
    for part in form.split("{{")[1:]:
        inside, closed, _ = part.partition("}}")
        if closed:
            text = text.replace("{{" + inside + "}}", labels.get(inside.strip(), ""))
    return text


def frames_of(answer: Answer, *, ref_id: str, form: str, legend_format: str, expr: str) -> list[Frame]:
    """Return the frames of an answer.

    Args:
        answer: What Prometheus said.
        ref_id: The query's letter.
        form: The query's format: `time_series`, `table` or `heatmap`.
        legend_format: The query's legend.
        expr: The query, which names series that nothing else names.
    """
    if form == "table":
        return [_table(answer, ref_id)] if answer.series else []
    series: Sequence[Series] = answer.series
    if form == "heatmap":
        return _heatmap(answer, ref_id)
    frames = []
    for one in series:
        name = legend(legend_format, one.labels, expr)
        moments = Field("Time", FieldKind.TIME, [moment * 1000 for moment, _ in one.points])
        values = Field(
            "Value",
            FieldKind.NUMBER,
            [value for _, value in one.points],
            labels=dict(one.labels),
            given_name=name,
            step=answer.step * 1000,
        )
        frames.append(Frame([moments, values], ref_id, name))
    return sorted(frames, key=lambda frame: frame.name) if legend_format == "__sorted" else frames


def _table(answer: Answer, ref_id: str) -> Frame:
    labels = sorted({name for series in answer.series for name in series.labels})
    rows = [(moment, value, series) for series in answer.series for moment, value in series.points]
    columns = [Field("Time", FieldKind.TIME, [moment * 1000 for moment, _, _ in rows])]
    columns += [Field(name, FieldKind.STRING, [series.labels.get(name) for _, _, series in rows]) for name in labels]
    # With several queries the value columns are distinguished by the query's letter; `engine` renames them.
    columns.append(Field("Value", FieldKind.NUMBER, [value for _, value, _ in rows], step=answer.step * 1000))
    return Frame(columns, ref_id)


def bound(labels: Mapping[str, str]) -> float:
    """Return the upper bound of a histogram bucket; NaN where there is none."""
    return number(labels.get("le", "").replace("Inf", "inf") or None)


def _heatmap(answer: Answer, ref_id: str) -> list[Frame]:
    """Return one frame a bucket, each less the one below: Prometheus counts everything under a bound."""
    if not any("le" in series.labels for series in answer.series):
        return frames_of(answer, ref_id=ref_id, form="time_series", legend_format="__auto", expr="")
    frames = []
    below: dict[float, float] = {}
    for one in sorted(answer.series, key=lambda series: bound(series.labels)):
        now = dict(one.points)
        values = [max(0.0, value - below.get(moment, 0.0)) for moment, value in one.points]
        below = below | now
        moments = Field("Time", FieldKind.TIME, [moment * 1000 for moment, _ in one.points])
        le = one.labels.get("le", "")
        column = Field("Value", FieldKind.NUMBER, values, dict(one.labels), given_name=le, step=answer.step * 1000)
        frames.append(Frame([moments, column], ref_id, le))
    return frames
