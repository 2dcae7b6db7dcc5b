"""Tables: one row for each thing, one column for each label and each question about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_monitoring.alerting.model.foreign import PLACE_LABELS, STORE_LABEL
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.dashboards.lib.layout import Size
from ml_monitoring.dashboards.lib.links import data_link, to_store_of_row
from ml_monitoring.dashboards.lib.panels.base import Panel, absent, describe, field_defaults, keep_fields, names
from ml_monitoring.dashboards.lib.queries import REF_IDS, Query, Scope, as_query, targets
from ml_monitoring.dashboards.lib.style import NO_VALUE, Colour
from ml_monitoring.dashboards.lib.thresholds import limits
from ml_monitoring.dashboards.lib.upstream import Json, plugin_panel
from ml_monitoring.exporter.catalog import Unit

# The table's own `noValue` is what it says when it has no row at all; a cell without a value needs another.
EMPTY_CELL = "-"


# Grafana's own least width is 150 pixels, with which columns of a table of many are out of sight.
LEAST_WIDTH = 50
# A column of names; it takes what the numbers leave.
LABEL_WIDTH = 70
# What values of a kind need, such as `2.3 weeks ago`.
_VALUE_WIDTHS: Mapping[Unit, int] = {
    unit: {
        Unit.ANY: 90,
        Unit.SECONDS: 86,
        Unit.TIMESTAMP: 135,
        Unit.BYTES: 86,
        Unit.BYTES_PER_SECOND: 96,
        Unit.CURRENCY: 90,
    }.get(unit, 70)
    for unit in Unit
}
# Of a heading: a character of Grafana's typeface, and what M and W are wider; the padding; the arrow of a sorted one.
_CHARACTER, _WIDER, _AROUND, _ARROW = 7.9, 5, 20, 20


def header_width(title: str, *, is_sorted: bool) -> int:
    """Return the pixels that a column's heading needs."""
    wide = sum(title.lower().count(letter) for letter in "mw")
    return round(len(title) * _CHARACTER + wide * _WIDER) + _AROUND + (_ARROW if is_sorted else 0)


def cells(kind: str) -> Json:
    """Return how cells are drawn.

    Without `displayMode` of older versions, beside which 9.4 takes no notice of `cellOptions`; and it colours no
    background whose mode is not given.
    """
    return {"cellOptions": {"type": kind, **({"mode": "basic"} if kind == "color-background" else {})}}


# A column whose cells have the colours of their values behind their text.
_COLOURED: tuple[Json, ...] = tuple(
    {"id": f"custom.{name}", "value": value} for name, value in cells("color-background").items()
)


@dataclass(frozen=True, slots=True)
class Column:
    """A label as a column.

    Attributes:
        label: The label; its values tell the rows apart.
        title: Heading of the column.
        width: Pixels; 0 lets Grafana choose.
        values: Names and colours of known values, such as severities.
        link: Title and address of a link on each cell.
    """

    label: str
    title: str
    width: int = 0
    values: Mapping[str, tuple[str, Colour]] = field(default_factory=dict)
    link: tuple[str, str] | None = None


def table(
    columns: Sequence[Column],
    *given: Signal | Query,
    title: str,
    width: int = 24,
    height: int = 8,
    states: tuple[str, str] = ("no", "yes"),
    empty: str = NO_VALUE,
    sort_by: str = "",
    descending: bool = False,
) -> Panel:
    """Return a table of the values now.

    Args:
        columns: Labels. Rows that agree in those that all signals have become one, unless they differ in another.
        given: Signals; a `Query`'s name is the heading of its column. An info signal gives rows but no column.
        title: Heading.
        width: Columns of the grid.
        height: Grid units.
        states: What a flag's 0 and 1 are called.
        empty: What an empty table says.
        sort_by: Title of the column to sort by; by default the first.
        descending: Whether to sort from high to low.
    """
    queries = tuple(as_query(one) for one in given)
    labels = [column.label for column in columns]
    if missing := set(labels) - {label for query in queries for label in query.signal.by}:
        raise ValueError(f"table {title}: no signal has the label {', '.join(sorted(missing))}")
    valued = [query for query in queries if query.signal.unit is not Unit.INFO]
    titles = {column.label: column.title for column in columns}
    for query, ref_id in zip(queries, REF_IDS, strict=False):
        if query in valued:
            # Grafana numbers the value columns of a table only when there are several.
            titles[f"Value #{ref_id}" if len(queries) > 1 else "Value"] = _title(query)
    # Rows merge by the columns that all queries have. One without a result has its time only, so that must be among
    # them, or nothing merges.
    shared = ["Time"] if len(queries) > 1 else []
    first = titles[labels[0]]

    def render(scope: Scope) -> Any:
        return plugin_panel(
            "table",
            title=title,
            description=describe(queries),
            targets=targets(queries, scope, instant=True, form="table"),
            defaults={
                "custom": {
                    "align": "auto",
                    **cells("auto"),
                    "filterable": False,
                    "inspect": False,
                    "minWidth": LEAST_WIDTH,
                },
                "mappings": [],
                "noValue": empty,
                "thresholds": {"mode": "absolute", "steps": [{"color": str(Colour.CLEAR), "value": None}]},
                "unit": "short",
            },
            overrides=[
                *(_label_override(column, scope) for column in columns),
                *(_value_override(query, scope, states, is_sorted=_title(query) == sort_by) for query in valued),
            ],
            options={
                "showHeader": True,
                "frameIndex": 0,
                "cellHeight": "sm",
                # Rows that are equal so far would change places from one answer of Prometheus to the next.
                "sortBy": [
                    {"displayName": sort_by or first, "desc": descending},
                    *({"displayName": column.title, "desc": False} for column in columns if column.title != sort_by),
                ][0 if sort_by else 1 :],
            },
            transformations=_columns(titles, shared, scope=scope),
        )

    if sort_by and sort_by not in titles.values():
        raise ValueError(f"table {title}: has no column {sort_by} to sort by")
    return Panel("table", title, Size(width, height), queries, render)


def _columns(titles: Mapping[str, str], shared: Sequence[str], *, scope: Scope) -> list[Json]:
    """Return the transformations that make columns; rows of different clusters, namespaces and stores stay apart."""
    has_stores = any(name.endswith(f"_{STORE_LABEL}") for name in scope.variables)
    places = (*PLACE_LABELS, *((STORE_LABEL,) * has_stores))
    transformations = [keep_fields([*shared, *titles, *places])]
    if shared:
        transformations.append({"id": "merge", "options": {}})
    # Series have a store only where sources have names: then rows say of which they are, elsewhere there is no column.
    named = {**titles, **{label: label.capitalize() for label in (*scope.shown_places, *places[len(PLACE_LABELS) :])}}
    transformations.append(
        {
            "id": "organize",
            "options": {
                "excludeByName": dict.fromkeys([*shared, *(label for label in places if label not in named)], True),
                "indexByName": {name: index for index, name in enumerate(named)},
                "renameByName": named,
            },
        }
    )
    return transformations


def _label_override(column: Column, scope: Scope) -> Json:
    properties: list[Json] = [{"id": "noValue", "value": EMPTY_CELL}]
    # Every label sorts, if only rows that are equal so far.
    width = max(column.width or LABEL_WIDTH, header_width(column.title, is_sorted=True))
    properties.append({"id": "custom.width" if column.width else "custom.minWidth", "value": width})
    if column.values:
        properties.append({"id": "mappings", "value": [names(column.values)]})
        properties += _COLOURED
    if column.link:
        link = data_link(*column.link)
        if STORE_LABEL in scope.shown_places:
            link = to_store_of_row(link)
        properties.append({"id": "links", "value": [link]})
    return _override(column.title, properties)


def _title(query: Query) -> str:
    return query.name or query.signal.title


def _value_override(query: Query, scope: Scope, states: tuple[str, str], *, is_sorted: bool) -> Json:
    defaults = field_defaults(query, scope, states=states)
    if query.values:
        defaults["mappings"].append(names(query.values))
    properties: list[Json] = [{"id": "noValue", "value": EMPTY_CELL}]
    properties += [{"id": name, "value": defaults[name]} for name in ("unit", "decimals") if name in defaults]
    # Only what an alert judges, or a state, is coloured; a coloured cell means something.
    if query.judges(scope) or defaults["mappings"]:
        defaults["mappings"].append(absent(EMPTY_CELL, Colour.CLEAR))
        # A table of green cells would hide the others.
        defaults["thresholds"]["steps"] = limits(query.signal, query.judges(scope))
        properties += [{"id": name, "value": defaults[name]} for name in ("color", "thresholds", "mappings")]
        properties += _COLOURED
    # The words of a code, too.
    words = max((header_width(word, is_sorted=False) for word, _ in query.values.values()), default=0)
    least = max(header_width(_title(query), is_sorted=is_sorted), words)
    usual = _VALUE_WIDTHS[query.signal.unit] + round(len(query.signal.suffix) * _CHARACTER)
    properties.append({"id": "custom.width", "value": max(usual, least)})
    return _override(_title(query), properties)


def _override(title: str, properties: list[Json]) -> Json:
    return {"matcher": {"id": "byName", "options": title}, "properties": properties}
