"""What a panel shows as a table: CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml_monitoring.dashboards.render.dates import format_date
from ml_monitoring.dashboards.render.engine import PanelData
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.transforms_rows import join_by_field

# Where spreadsheets begin a formula: also in full width, behind blanks and marks without width that they leave out, and
# within a text, where they take a semicolon or a tab for the end of a cell whatever the file's own separator is.
_FORMULA = re.compile(
    r"(^|[;\t\r\n])(?=[\s\0\ufeff\u200b-\u200f\u2060]*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b])|^(?=[\t\r\n])"
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]Inf")
ISO = "YYYY-MM-DD[T]HH:mm:ss.SSS[Z]"


def export(panels: Sequence[PanelData], form: str, *, raw: bool = False) -> bytes:
    """Return the data of a panel (of each of its copies, where it is repeated).

    Args:
        panels: The panel's copies with their data.
        form: `csv`, `json` or `parquet`.
        raw: Whether texts in CSV stay as they are, although a spreadsheet would take some for formulas.
    """
    table = as_table([frame for one in panels for frame in one.frames])
    if form == "csv":
        return _csv(table, str if raw else neutral)
    return {"json": _json, "parquet": _parquet}[form](table)


def neutral(text: str) -> str:
    """Return a text that a spreadsheet takes for text: behind an apostrophe where it would be a formula."""
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub(r"\1'", text)


def as_table(frames: Sequence[Frame]) -> list[Field]:
    """Return frames as one table: series side by side on their time, tables below each other."""
    frames = [frame for frame in frames if frame.fields]
    if len(frames) > 1 and all(frame.time and frame.value_fields and not _texts(frame) for frame in frames):
        joined = join_by_field(list(frames), {})
        return _distinct(joined[0].fields)
    names = list(dict.fromkeys(field.display or field.name for frame in frames for field in frame.fields))
    columns = []
    for name in names:
        like = next(field for frame in frames for field in frame.fields if (field.display or field.name) == name)
        values: list[Any] = []
        for frame in frames:
            found = frame.named(name)
            values += found.values if found is not None else [None] * frame.length
        columns.append(like.copy(values=values, display=name))
    return columns


def _texts(frame: Frame) -> bool:
    return any(field.kind is FieldKind.STRING for field in frame.fields)


def _distinct(fields: Sequence[Field]) -> list[Field]:
    """Give series of the same name numbers, so that no column is lost."""
    seen: dict[str, int] = {}
    result = []
    for field in fields:
        name = field.display or field.name
        seen[name] = seen.get(name, 0) + 1
        result.append(field.copy(display=name if seen[name] == 1 else f"{name} {seen[name]}"))
    return result


def _cell(value: Any, field: Field) -> Any:
    if field.kind is FieldKind.FRAME and isinstance(value, list):
        value = value[1]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if field.kind is FieldKind.TIME:
        return format_date(float(value), ISO)
    return value


def _csv(table: Sequence[Field], as_text: Callable[[str], str]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if table:
        writer.writerow([as_text(field.display or field.name) for field in table])
    for row in zip(*(field.values for field in table), strict=True):
        cells = [_cell(value, field) for value, field in zip(row, table, strict=True)]
        writer.writerow([_csv_cell(cell, as_text) for cell in cells])
    return text.getvalue().encode()


def _csv_cell(cell: Any, as_text: Callable[[str], str]) -> str:
    if cell is None:
        return ""
    return repr(cell) if isinstance(cell, int | float) else as_text(str(cell))


def _json(table: Sequence[Field]) -> bytes:
    names = [field.display or field.name for field in table]
    rows = []
    for row in zip(*(field.values for field in table), strict=True):
        cells = [_cell(value, field) for value, field in zip(row, table, strict=True)]
        # JSON has no infinity; the text is what Prometheus itself writes.
        cells = [_infinite(cell) if isinstance(cell, float) and math.isinf(cell) else cell for cell in cells]
        rows.append(dict(zip(names, cells, strict=True)))
    return (json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _infinite(value: float) -> str:
    return "+Inf" if value > 0 else "-Inf"


def _parquet(table: Sequence[Field]) -> bytes:
    columns = {}
    for field in table:
        name = field.display or field.name
        values = [_cell(value, field) for value in field.values]
        if field.kind is FieldKind.TIME:
            moments = [None if value is None else round(float(value)) for value in field.values]
            columns[name] = pa.array(moments, pa.timestamp("ms", tz="UTC"))
        elif field.kind in (FieldKind.NUMBER, FieldKind.FRAME):
            columns[name] = pa.array(values, pa.float64())
        else:
            columns[name] = pa.array([None if value is None else str(value) for value in values], pa.string())
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()
