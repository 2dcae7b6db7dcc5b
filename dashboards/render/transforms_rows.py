"""Transformations that join, group, filter, sort and calculate rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ml_monitoring.dashboards.render.dates import format_date, parse_date
from ml_monitoring.dashboards.render.errors import UnsupportedPanelError
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame, number
from ml_monitoring.dashboards.render.reduce import calculation_name, reduce_field
from ml_monitoring.dashboards.render.variable_values import js_regex

Json = dict[str, Any]
Frames = Sequence[Frame]


def merge(frames: Frames, _: Json) -> Frames:
    """Put all frames into one table; rows that agree in every field that all frames have become one row."""
    frames = [frame for frame in frames if frame.fields]
    if len(frames) < 2:
        return frames
    columns: dict[str, Field] = {}
    for frame in frames:
        for field in frame.fields:
            columns.setdefault(field.name, field.copy(values=[], labels={}))
    shared = [name for name in columns if all(any(field.name == name for field in frame.fields) for frame in frames)]
    if not shared:
        return frames
    merged: list[dict[str, Any]] = []
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for frame in frames:
        names = [field.name for field in frame.fields]
        for cells in zip(*(field.values for field in frame.fields), strict=True):
            row = dict(zip(names, cells, strict=True))
            known = by_key.setdefault(tuple(row[name] for name in shared), [])
            agreeing = [one for one in known if all(one.get(name) in (None, value) for name, value in row.items())]
            for existing in agreeing:
                existing.update(row)
            if not agreeing:
                known.append(row)
                merged.append(row)
    fields = [
        field.copy(
            values=[row.get(name) for row in merged],
            given_name="" if field.kind is FieldKind.NUMBER and field.name.startswith("Value") else field.given_name,
        )
        for name, field in columns.items()
    ]
    return [Frame(fields, "merge-" + "-".join(frame.ref_id for frame in frames))]


def join_by_field(frames: Frames, options: Json) -> Frames:
    """Put all frames side by side on one field, by default the time."""
    wanted = options.get("byField")
    inner = options.get("mode") == "inner"
    keyed = []
    for frame in frames:
        key = frame.named(str(wanted)) if wanted else frame.time
        if key is not None:
            keyed.append((frame, key))
    if not keyed:
        return frames
    present = [set(key.values) for _, key in keyed]
    found = set.intersection(*present) if inner else set.union(*present)
    numeric = keyed[0][1].kind in (FieldKind.TIME, FieldKind.NUMBER)
    order = (
        sorted(found)
        if numeric
        else [one for one in dict.fromkeys(v for _, k in keyed for v in k.values) if one in found]
    )
    fields = [keyed[0][1].copy(values=list(order))]
    for frame, key in keyed:
        for field in frame.fields:
            if field is not key:
                cells = dict(zip(key.values, field.values, strict=True))
                name = field.name if field.name != "Value" or len(keyed) == 1 else f"Value #{frame.ref_id}"
                fields.append(field.copy(name=name, values=[cells.get(one) for one in order]))
    return [Frame(fields, "joinByField-" + "-".join(frame.ref_id for frame, _ in keyed))]


def series_to_rows(frames: Frames, _: Json) -> Frames:
    """Put all series into one table of time, name and value, newest first."""
    cells = [
        (moment, field.display, value)
        for frame in frames
        if frame.time
        for field in frame.value_fields
        for moment, value in zip(frame.time.values, field.values, strict=True)
    ]
    cells.sort(key=lambda cell: -cell[0])
    columns = list(zip(*cells, strict=True)) or [(), (), ()]
    kinds = (("Time", FieldKind.TIME), ("Metric", FieldKind.STRING), ("Value", FieldKind.NUMBER))
    return [Frame([Field(name, kind, list(column)) for (name, kind), column in zip(kinds, columns, strict=True)])]


def sort_by(frames: Frames, options: Json) -> Frames:
    """Sort rows by one field; empty cells come first, as in Grafana."""
    wanted = (options.get("sort") or [{}])[0]

    def rank(key: Field, value: Any) -> tuple[int, float, str]:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return (0, 0.0, "")
        return (1, number(value), "") if key.kind is not FieldKind.STRING else (1, 0.0, str(value))

    def ordered(frame: Frame) -> Frame:
        key = frame.named(str(wanted.get("field")))
        if key is None:
            return frame
        ranks = [rank(key, value) for value in key.values]
        return _with_rows(frame, sorted(range(frame.length), key=ranks.__getitem__, reverse=bool(wanted.get("desc"))))

    return [ordered(frame) for frame in frames]


def filter_by_value(frames: Frames, options: Json) -> Frames:
    """Keep, or leave out, the rows whose cells meet all or any of the conditions."""
    conditions = options.get("filters") or []
    combine = all if options.get("match") == "all" else any
    include = options.get("type") != "exclude"

    def filtered(frame: Frame) -> Frame:
        tests = [
            (field, _condition(one.get("config") or {}))
            for one in conditions
            if (field := frame.named(str(one.get("fieldName")))) is not None
        ]
        if not tests:
            return frame
        meets = [combine(test(field.values[row]) for field, test in tests) for row in range(frame.length)]
        return _with_rows(frame, [row for row, met in enumerate(meets) if met is include])

    return [filtered(frame) for frame in frames]


def _condition(config: Json) -> Callable[[Any], bool]:
    options = config.get("options") or {}
    value = options.get("value")
    limit = number(value)
    tests: dict[str, Callable[[Any], bool]] = {
        "equal": lambda cell: cell == value or str(cell) == str(value) or number(cell) == limit,
        "notEqual": lambda cell: str(cell) != str(value) and number(cell) != limit,
        "greater": lambda cell: number(cell) > limit,
        "greaterOrEqual": lambda cell: number(cell) >= limit,
        "lower": lambda cell: number(cell) < limit,
        "lowerOrEqual": lambda cell: number(cell) <= limit,
        "between": lambda cell: number(options.get("from")) < number(cell) < number(options.get("to")),
        "isNull": lambda cell: cell is None,
        "isNotNull": lambda cell: cell is not None,
        "regex": lambda cell: bool(js_regex(str(value)).search(str(cell))),
        "substring": lambda cell: str(value).lower() in str(cell).lower(),
        "notSubstring": lambda cell: str(value).lower() not in str(cell).lower(),
    }
    return tests.get(str(config.get("id")), lambda _: True)


def _with_rows(frame: Frame, chosen: Sequence[int]) -> Frame:
    return frame.with_fields([field.copy(values=[field.values[row] for row in chosen]) for field in frame.fields])


def group_by(frames: Frames, options: Json) -> Frames:
    """Make one row of the rows that agree in the grouping fields, the other fields calculated."""
    settings = options.get("fields") or {}
    result = []
    for frame in frames:
        keys = [field for field in frame.fields if (settings.get(field.display) or {}).get("operation") == "groupby"]
        if not keys:
            continue
        groups: dict[tuple[Any, ...], list[int]] = {}
        for row in range(frame.length):
            groups.setdefault(tuple(key.values[row] for key in keys), []).append(row)
        fields = [key.copy(values=[group[place] for group in groups]) for place, key in enumerate(keys)]
        for field in frame.fields:
            setting = settings.get(field.display) or {}
            if setting.get("operation") != "aggregate":
                continue
            for calculation in setting.get("aggregations") or []:
                values = [
                    reduce_field(field.copy(values=[field.values[row] for row in chosen]), calculation)
                    for chosen in groups.values()
                ]
                kind = FieldKind.NUMBER if calculation in ("count", "distinctCount", "changeCount") else field.kind
                fields.append(Field(f"{field.display} ({calculation})", kind, values, config=dict(field.config)))
        result.append(frame.with_fields(fields))
    return result


_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else (math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)),
    "**": lambda a, b: a**b,
    "%": lambda a, b: math.fmod(a, b) if b else math.nan,
}


def calculate_field(frames: Frames, options: Json) -> Frames:
    """Add a field calculated from others: a binary operation, a reduction of a row, or its number."""
    mode = options.get("mode") or "reduceRow"
    frames = (
        join_by_field(frames, {}) if len(frames) > 1 and mode != "index" and all(f.time for f in frames) else frames
    )

    def calculated(frame: Frame) -> Frame:
        if mode == "binary":
            name, values = _binary(frame, options.get("binary") or {})
        elif mode == "index":
            name, values = "Row", [float(row) for row in range(frame.length)]
        elif mode == "reduceRow":
            name, values = _reduce_row(frame, options.get("reduce") or {})
        else:
            return frame
        new = Field(str(options.get("alias") or name), FieldKind.NUMBER, values)
        kept = ([frame.time] if frame.time else []) if options.get("replaceFields") else frame.fields
        return frame.with_fields([*kept, new])

    return [calculated(frame) for frame in frames]


def _binary(frame: Frame, options: Json) -> tuple[str, list[Any]]:
    def side(which: str) -> tuple[str, list[float]]:
        given = options.get(which)
        if isinstance(given, dict):
            given = (given.get("matcher") or {}).get("options", given.get("fixed"))
        field = frame.named(str(given))
        if field is not None:
            return field.display, field.numbers()
        return str(given), [number(given)] * frame.length

    operator = str(options.get("operator") or "+")
    left, right = side("left"), side("right")
    calculate = _OPERATORS.get(operator)
    if calculate is None:
        raise UnsupportedPanelError(f"the operator {operator} of a calculated field is not known")
    return f"{left[0]} {operator} {right[0]}", [calculate(a, b) for a, b in zip(left[1], right[1], strict=True)]


def _reduce_row(frame: Frame, options: Json) -> tuple[str, list[Any]]:
    wanted = options.get("include")
    calculation = str(options.get("reducer") or "sum")
    numbers = [field for field in frame.value_fields if not wanted or field.display in wanted]
    values = [
        reduce_field(Field("", FieldKind.NUMBER, [field.values[row] for field in numbers]), calculation)
        for row in range(frame.length)
    ]
    return calculation_name(calculation), values


def convert_field_type(frames: Frames, options: Json) -> Frames:
    """Read the named fields as another type."""
    for one in options.get("conversions") or []:
        convert = _CONVERSIONS.get(str(one.get("destinationType")))
        if convert:
            kind, read = convert
            frames = [_with_cells(frame, str(one.get("targetField")), kind, read) for frame in frames]
    return frames


def _with_cells(frame: Frame, name: str, kind: FieldKind, read: Callable[[Any], Any]) -> Frame:
    """Return the frame with the cells of the named field read in another way."""
    wanted = frame.named(name)
    return frame.with_fields(
        [
            field.copy(kind=kind, values=[read(value) for value in field.values]) if field is wanted else field
            for field in frame.fields
        ]
    )


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# Name of the type: what the field becomes, and how a cell is read.
_CONVERSIONS: dict[str, tuple[FieldKind, Callable[[Any], Any]]] = {
    "number": (FieldKind.NUMBER, lambda value: None if math.isnan(number(value)) else number(value)),
    "string": (FieldKind.STRING, lambda value: None if value is None else _text(value)),
    "time": (FieldKind.TIME, parse_date),
    "boolean": (FieldKind.BOOLEAN, lambda value: bool(value) and value not in ("0", "false", "False")),
}


def format_time(frames: Frames, options: Json) -> Frames:
    """Write a time field as text."""
    pattern = str(options.get("outputFormat") or "YYYY-MM-DD HH:mm:ss")

    def written(value: Any) -> str | None:
        return None if value is None else format_date(number(value), pattern)

    return [_with_cells(frame, str(options.get("timeField")), FieldKind.STRING, written) for frame in frames]


def rows_to_fields(frames: Frames, options: Json) -> Frames:
    """Make each row a field, named by the first text column and valued by the first number."""
    handlers = {str(one.get("fieldName")): str(one.get("handlerKey")) for one in options.get("mappings") or []}
    result = []
    for frame in frames:
        by_handler = {handlers[field.display]: field for field in frame.fields if field.display in handlers}
        names = by_handler.get("field.name") or next(
            (one for one in frame.fields if one.kind is FieldKind.STRING), None
        )
        values = by_handler.get("field.value") or next(iter(frame.value_fields), None)
        if names is None or values is None:
            continue
        rest = [
            one
            for one in frame.fields
            if one.kind is FieldKind.STRING and one is not names and one.display not in handlers
        ]
        fields = [
            Field(
                str(names.values[row]),
                FieldKind.NUMBER,
                [values.values[row]],
                labels={one.display: str(one.values[row]) for one in rest},
            )
            for row in range(frame.length)
        ]
        result.append(Frame(fields, frame.ref_id))
    return result


def grouping_to_matrix(frames: Frames, options: Json) -> Frames:
    """Make a matrix of three fields: columns, rows and cells."""
    # What Grafana puts where the matrix has no cell.
    blank = {"null": None, "zero": 0.0, "true": True, "false": False}.get(str(options.get("emptyValue")), "")
    column_name, row_name = str(options.get("columnField") or "Time"), str(options.get("rowField") or "Time")
    value_name = str(options.get("valueField") or "Value")
    result = []
    for frame in frames:
        columns, row_keys, values = (frame.named(name) for name in (column_name, row_name, value_name))
        if columns is None or row_keys is None or values is None:
            result.append(frame)
            continue
        triples = zip(row_keys.values, columns.values, values.values, strict=True)
        cells = {(row, column): value for row, column, value in triples}
        order = list(dict.fromkeys(row_keys.values))
        fields = [Field(rf"{row_name}\{column_name}", row_keys.kind, list(order))]
        fields += [
            Field(str(name), values.kind, [cells.get((row, name), blank) for row in order])
            for name in dict.fromkeys(columns.values)
        ]
        result.append(Frame(fields, frame.ref_id))
    return result


def histogram(frames: Frames, options: Json) -> Frames:
    """Count values into buckets of equal width."""
    values = [one for frame in frames for field in frame.value_fields for one in field.numbers() if math.isfinite(one)]
    if not values:
        return []
    width = number(options.get("bucketSize")) or math.nan
    if math.isnan(width) or width <= 0:
        width = bucket_width(values, int(options.get("bucketCount") or 30))
    offset = number(options.get("bucketOffset")) if options.get("bucketOffset") else 0.0
    low = math.floor((min(values) - offset) / width)
    high = math.floor((max(values) - offset) / width)
    counts = [0.0] * (high - low + 1)
    for value in values:
        counts[math.floor((value - offset) / width) - low] += 1
    starts = [(low + place) * width + offset for place in range(len(counts))]
    return [
        Frame(
            [
                Field("xMin", FieldKind.NUMBER, starts),
                Field("xMax", FieldKind.NUMBER, [start + width for start in starts]),
                Field("count", FieldKind.NUMBER, counts),
            ]
        )
    ]


def bucket_width(values: list[float], count: int) -> float:
    """Return a round bucket width (1, 2, 2.5, 3, 4, 5 times a power of ten) that gives about so many buckets."""
    exact = (max(values) - min(values)) / count or abs(values[0]) / count or 1.0
    power = 10.0 ** math.floor(math.log10(exact))
    return next(step * power for step in (1, 2, 2.5, 3, 4, 5, 10) if step * power >= exact * (1 - 1e-12))
