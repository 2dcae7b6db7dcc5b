"""Transformations between query and panel: the list of them, and those that work on whole frames.

Each takes frames and its options and returns frames. One that is not known is reported, never skipped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ml_monitoring.dashboards.render import transforms_rows as rows
from ml_monitoring.dashboards.render.errors import UnsupportedPanelError
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.names import matcher, named
from ml_monitoring.dashboards.render.reduce import calculation_name, reduce_field
from ml_monitoring.dashboards.render.variable_values import js_regex
from ml_monitoring.dashboards.render.variables import Variables

Json = dict[str, Any]
Frames = Sequence[Frame]


def transform(frames: Frames, transformations: Sequence[Json], variables: Variables) -> Frames:
    """Return the frames after the panel's transformations.

    Raises:
        UnsupportedPanelError: If one is not known.
    """
    for one in transformations:
        if one.get("disabled"):
            continue
        kind = str(one.get("id"))
        if kind not in TRANSFORMATIONS:
            raise UnsupportedPanelError(f"the transformation {kind} is not known")
        chosen, rest = _chosen(named(frames), one.get("filter"))
        frames = [*rest, *TRANSFORMATIONS[kind](chosen, _interpolated(one.get("options") or {}, variables))]
    return frames


def _chosen(frames: Frames, only: Json | None) -> tuple[Frames, Frames]:
    """Split off the frames that the transformation's own filter leaves out."""
    if not only:
        return frames, []
    options = str(only.get("options") or "")
    pattern = js_regex(options) if options.startswith("/") else re.compile(f"^(?:{options})$")
    chosen = [frame for frame in frames if pattern.search(frame.ref_id)]
    return chosen, [frame for frame in frames if frame not in chosen]


def _interpolated(value: Any, variables: Variables) -> Any:
    if isinstance(value, str):
        return variables.title(value)
    if isinstance(value, list):
        return [_interpolated(one, variables) for one in value]
    if isinstance(value, dict):
        return {key: _interpolated(one, variables) for key, one in value.items()}
    return value


def _organize(frames: Frames, options: Json) -> Frames:
    excluded = {name for name, gone in (options.get("excludeByName") or {}).items() if gone}
    included = {name for name, kept in (options.get("includeByName") or {}).items() if kept}
    order = options.get("indexByName") or {}
    renamed = options.get("renameByName") or {}
    result = []
    for frame in frames:
        fields = [
            field
            for field in frame.fields
            if field.display not in excluded and (not included or field.display in included)
        ]
        # Named columns first and in their order; the rest keeps its own.
        last = len(order) + len(fields)
        fields = sorted(fields, key=lambda field: float(order.get(field.display, last)))
        fields = [_renamed(field, renamed.get(field.display)) for field in fields]
        if fields:
            result.append(frame.with_fields(fields))
    return result


def _renamed(field: Field, name: str | None) -> Field:
    return field.copy(config={**field.config, "displayName": name}, given_name=name) if name else field


def _filter_by_name(frames: Frames, options: Json) -> Frames:
    def names(part: Any) -> Callable[[Field], bool] | None:
        if not part or not (part.get("names") or part.get("pattern") or part.get("variable")):
            return None
        listed = set(part.get("names") or [])
        pattern = js_regex(str(part["pattern"])) if part.get("pattern") else None
        return lambda field: field.display in listed or bool(pattern and pattern.search(field.display))

    include, exclude = names(options.get("include")), names(options.get("exclude"))
    result = []
    for frame in frames:
        fields = [
            field
            for field in frame.fields
            if (include is None or include(field)) and (exclude is None or not exclude(field))
        ]
        if fields:
            result.append(frame.with_fields(fields))
    return result


def _filter_by_ref_id(frames: Frames, options: Json) -> Frames:
    include, exclude = options.get("include"), options.get("exclude")
    kept = frames
    if include:
        kept = [frame for frame in kept if re.fullmatch(str(include), frame.ref_id)]
    if exclude:
        kept = [frame for frame in kept if not re.fullmatch(str(exclude), frame.ref_id)]
    return kept


def _rename_by_regex(frames: Frames, options: Json) -> Frames:
    pattern = js_regex(str(options.get("regex") or ""))
    target = re.sub(r"\$(\d)", r"\\\1", str(options.get("renamePattern") or ""))

    def new_name(field: Field) -> str | None:
        # A time field keeps its name, by which other transformations find it.
        meant = field.kind is not FieldKind.TIME and pattern.search(field.display)
        return pattern.sub(target, field.display) if meant else None

    return [frame.with_fields([_renamed(field, new_name(field)) for field in frame.fields]) for frame in frames]


def _concatenate(frames: Frames, _: Json) -> Frames:
    longest = max((frame.length for frame in frames), default=0)
    fields = [
        field.copy(values=[*field.values, *[None] * (longest - len(field.values))])
        for frame in frames
        for field in frame.fields
    ]
    return [Frame(fields, frames[0].ref_id)] if frames else []


def _reduce(frames: Frames, options: Json) -> Frames:
    calculations = [str(one) for one in options.get("reducers") or ["max"]]
    fields_ = options.get("fields")
    include_time = options.get("includeTimeField") and options.get("mode") == "reduceFields"
    meant = matcher(fields_) if fields_ else lambda field, _: include_time or field.kind is not FieldKind.TIME
    if options.get("mode") == "reduceFields":
        reduced = []
        for frame in frames:
            fields = [
                field.copy(values=[reduce_field(field, one)], given_name=field.display)
                for field in frame.fields
                if meant(field, frame)
                for one in calculations
            ]
            if fields:
                reduced.append(frame.with_fields(fields))
        return reduced
    source = [(field, frame) for frame in frames for field in frame.fields if meant(field, frame)]
    if not source:
        return []
    labels = (
        list(dict.fromkeys(name for field, _ in source for name in field.labels))
        if options.get("labelsToFields")
        else []
    )
    named = [field.name if labels else field.display for field, _ in source]
    columns = [Field("Field", FieldKind.STRING, list(named))]
    columns += [Field(name, FieldKind.STRING, [field.labels.get(name) for field, _ in source]) for name in labels]
    for one in calculations:
        values = [reduce_field(field, one) for field, _ in source]
        kind = FieldKind.STRING if any(isinstance(value, str) for value in values) else FieldKind.NUMBER
        columns.append(Field(calculation_name(one), kind, values))
    return [Frame(columns, "reduce-" + "-".join(frame.ref_id for frame in frames))]


def _labels_to_fields(frames: Frames, options: Json) -> Frames:
    keep = options.get("keepLabels")
    if options.get("mode") == "rows":
        return [
            Frame(
                [
                    Field("label", FieldKind.STRING, [name for name in field.labels if not keep or name in keep]),
                    Field(
                        "value",
                        FieldKind.STRING,
                        [text for name, text in field.labels.items() if not keep or name in keep],
                    ),
                ],
                frame.ref_id,
                field.display,
            )
            for frame in frames
            for field in frame.value_fields
        ]
    value_label = options.get("valueLabel")
    result = []
    for frame in frames:
        fields, found = [], dict[str, dict[str, None]]()
        for field in frame.fields:
            labels = {name: text for name, text in field.labels.items() if not keep or name in keep}
            name = labels.pop(value_label, field.name) if value_label else field.name
            for label, text in labels.items():
                found.setdefault(label, {})[text] = None
            # Names that are made of labels are no longer true.
            given = "" if field.labels else field.given_name
            fields.append(field.copy(name=name, labels={}, given_name=given))
        fields += [
            Field(name, FieldKind.STRING, [text] * frame.length) for name, texts in found.items() for text in texts
        ]
        result.append(Frame(fields, frame.ref_id, frame.name))
    return result


def _time_series_table(frames: Frames, options: Json) -> Frames:
    """Return one row a series with its labels and its course, which the table draws as a sparkline."""
    result = []
    for ref_id in dict.fromkeys(frame.ref_id for frame in frames):
        own = [frame for frame in frames if frame.ref_id == ref_id and frame.time and frame.value_fields]
        if not own:
            continue
        names = list(dict.fromkeys(name for frame in own for field in frame.value_fields for name in field.labels))
        columns = [
            Field(name, FieldKind.STRING, [frame.value_fields[0].labels.get(name) for frame in own])
            for name in names
            if name != "__name__"
        ]
        calculation = str((options.get(ref_id) or {}).get("stat") or "lastNotNull")
        cells = [[frame.value_fields[0].values, reduce_field(frame.value_fields[0], calculation)] for frame in own]
        trend = Field(f"Trend #{ref_id}", FieldKind.FRAME, cells)
        result.append(Frame([*columns, trend], ref_id, f"{ref_id}-{ref_id}"))
    return result


def _limit(frames: Frames, options: Json) -> Frames:
    count = int(options.get("limitField") or 10)
    return [frame.with_fields([one.copy(values=one.values[:count]) for one in frame.fields]) for frame in frames]


def _prepare_time_series(frames: Frames, _: Json) -> Frames:
    return frames


TRANSFORMATIONS: dict[str, Callable[[Frames, Json], Frames]] = {
    "organize": _organize,
    "filterFieldsByName": _filter_by_name,
    "filterByRefId": _filter_by_ref_id,
    "renameByRegex": _rename_by_regex,
    "concatenate": _concatenate,
    "reduce": _reduce,
    "labelsToFields": _labels_to_fields,
    "timeSeriesTable": _time_series_table,
    "limit": _limit,
    # Panels read both the wide and the long shape, so there is nothing to prepare.
    "prepareTimeSeries": _prepare_time_series,
    "merge": rows.merge,
    "joinByField": rows.join_by_field,
    "seriesToColumns": rows.join_by_field,
    "seriesToRows": rows.series_to_rows,
    "sortBy": rows.sort_by,
    "filterByValue": rows.filter_by_value,
    "groupBy": rows.group_by,
    "calculateField": rows.calculate_field,
    "convertFieldType": rows.convert_field_type,
    "formatTime": rows.format_time,
    "rowsToFields": rows.rows_to_fields,
    "groupingToMatrix": rows.grouping_to_matrix,
    "histogram": rows.histogram,
}
