"""What the files of pages and panels may say. Light to import: it loads nothing that draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import Field, StrictInt, StrictStr, ValidationInfo, field_validator, model_validator

from ml_monitoring.alerting.extension_files import LabelName, OwnUnit, PromQL, Text
from ml_monitoring.alerting.model.notifications import Severity, StrictModel
from ml_monitoring.alerting.model.numbers import Scalar
from ml_monitoring.exporter.settings_hints import FOLDER_PATTERN, LINK_PATTERN, METRIC_PATTERN, SINCE_PATTERN
from ml_monitoring.exporter.values import refuse

_Value = TypeVar("_Value")
OWN_ROW: Final = "Your own"
OWN_FOLDER: Final = "Own"
Decimals = Annotated[StrictInt, Field(ge=0, le=10)]
Kind = Literal["timeseries", "stat", "bargauge", "gauge", "table", "state_timeline", "text"]


# What an alert says itself.
_OF_ALERT: Final = ("unit", "by", "thresholds", "question")


class OwnLimit(StrictModel):
    """Where a value begins to be bad, and so which colour it has.

    Attributes:
        above: Bad above this value, in the unit; a duration such as 5m where the unit is seconds.
        below: Bad below this value.
        severity: How bad.
    """

    above: Scalar | None = None
    below: Scalar | None = None
    severity: Severity = "warning"

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.above is None) is (self.below is None):
            raise ValueError("give either above or below")
        return self


class OwnQuery(StrictModel):
    """One query of a panel with several.

    Attributes:
        expr: PromQL.
        legend: Name of its series, or title of its column.
        unit: Unit of a column of a table; by default the panel's.
        decimals: Decimals of a column of a table; by default the unit's.
        thresholds: Where values of a column of a table are bad; by default the panel's, where the unit is the panel's.
    """

    expr: Annotated[PromQL, Field(min_length=1)]
    legend: Text
    unit: OwnUnit | None = None
    decimals: Decimals | None = None
    thresholds: tuple[OwnLimit, ...] = ()

    @property
    def of_column(self) -> list[str]:
        """Return the keys that are given and that columns of tables only have."""
        return [key for key in ("unit", "decimals", "thresholds") if key in self.model_fields_set]


class OwnLink(StrictModel):
    """A link.

    Attributes:
        title: What it is called.
        url: Where it leads: `https://...`, or `/d/UID` for a page.
    """

    title: Text
    url: Annotated[str, Field(strict=True, pattern=LINK_PATTERN)]


class OwnPanel(StrictModel):
    """One panel.

    Attributes:
        title: Heading; by default the alert's.
        question: What it answers, in one sentence; its description.
        kind: How it is drawn.
        alert: Alert, yours or ours, whose value is shown in its colours, in place of `question`, `expr`, `unit`,
            `by` and `thresholds`; notifications link to the first such panel over
            time of the alert's page, and one is added where there is none.
        expr: PromQL. `{<filter>}` is narrowed by the page's choices, `<window>` is the range of a rate.
        legend: How series are named; by default by the labels in `by`.
        queries: Several queries in place of `expr` and `legend`, all in one unit but for the columns of a table.
        unit: Unit of the values; `suffix:kg` where none of ours fits.
        decimals: Decimals of the values; by default the unit's.
        by: Labels that tell the series apart; the first columns of a table.
        filters: Choices of the page that `<filter>` stands for; by default all.
        thresholds: Where values are bad.
        signed: Whether values may be below 0 although the unit's usually are not.
        states: What 0 and 1 of a flag are called.
        text: Markdown, where `kind` is text.
        empty: What is said without series, where that is good news.
        width: Columns, of 24.
        height: Units of 30 pixels.
        link: Link in the heading.
    """

    # First, as others are checked beside it.
    alert: StrictStr = ""
    title: StrictStr = ""
    question: StrictStr = ""
    kind: Kind = "timeseries"
    expr: PromQL = ""
    legend: StrictStr = ""
    queries: tuple[OwnQuery, ...] = ()
    unit: OwnUnit | None = None
    decimals: Decimals | None = None
    by: tuple[LabelName, ...] = ()
    filters: tuple[LabelName, ...] | None = None
    thresholds: tuple[OwnLimit, ...] = ()
    signed: bool = False
    states: tuple[Text, Text] | None = None
    text: StrictStr = ""
    empty: StrictStr | None = None
    width: Annotated[StrictInt, Field(ge=1, le=24)] | None = None
    height: Annotated[StrictInt, Field(ge=1)] | None = None
    link: OwnLink | None = None

    @field_validator(*_OF_ALERT)
    @classmethod
    def _is_not_double(cls, value: _Value, info: ValidationInfo) -> _Value:
        if value and info.data.get("alert"):
            raise ValueError("is the alert's already: delete it")
        return value

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        given = {key for key in ("alert", "expr", "queries", "text") if getattr(self, key)}
        wanted = {"text"} if self.kind == "text" else {"alert", "expr", "queries"}
        if len(given) != 1 or not given <= wanted:
            yield f"give {' or '.join(sorted(wanted))}, and nothing else that is shown"
        if self.kind != "table" and (foreign := sorted({key for query in self.queries for key in query.of_column})):
            yield (
                f"queries: {', '.join(foreign)}: only columns of a table have their own (kind: table); "
                "what is drawn in one panel has one unit: give the panel's, or make a panel of each"
            )
        of_columns = bool(self.queries) and all(query.unit for query in self.queries)
        needed: tuple[str, ...] = (
            () if self.alert else ("title",) if self.kind == "text" else ("title", "question", "unit")
        )
        needed = tuple(key for key in needed if not (key == "unit" and of_columns))
        if missing := [key for key in needed if not getattr(self, key)]:
            of_each = self.kind == "table" and self.queries and "unit" in missing
            other = "; each of queries may have its own unit" if of_each else ""
            yield f"{', '.join(missing)}: is missing{other}"


class OwnRow(StrictModel):
    """A heading and the panels below it.

    Attributes:
        title: Heading; that of the first row asks what the page answers.
        collapsed: Whether it starts folded.
        panels: From left to right.
    """

    title: Text
    collapsed: bool = False
    panels: Annotated[tuple[OwnPanel, ...], Field(min_length=1)]


class OwnVariable(StrictModel):
    """A choice at the top of the page: one, several or all values of a label.

    Attributes:
        label: The label, and the variable's name.
        metric: A metric whose series have it.
        title: What it is called.
    """

    label: LabelName
    metric: Annotated[str, Field(strict=True, pattern=METRIC_PATTERN)]
    title: Text


class OwnPage(StrictModel):
    """One page of your own; the name of the file is the end of its address.

    Attributes:
        title: Name in Grafana.
        question: What it answers, and for whom; its description.
        folder: Grafana's folder.
        since: Start of the time range that is shown first.
        refresh: How often it asks again.
        variables: Choices at the top.
        links: Links at the top.
        rows: The page.
    """

    title: Annotated[Text, Field(examples=["Shop"])]
    question: Annotated[Text, Field(examples=["Do orders go out?"])]
    folder: Annotated[str, Field(strict=True, pattern=FOLDER_PATTERN)] = OWN_FOLDER
    since: Annotated[str, Field(strict=True, pattern=SINCE_PATTERN)] = "now-6h"
    refresh: Literal["15s", "30s", "1m", "5m", "15m", "1h"] = "30s"
    variables: tuple[OwnVariable, ...] = ()
    links: tuple[OwnLink, ...] = ()
    rows: Annotated[tuple[OwnRow, ...], Field(min_length=1)]


class OwnPanelFile(OwnPanel):
    """One panel of your own on a page, ours or yours.

    Attributes:
        page: The page, such as `mlflow-experiments`.
        row: Row that it is added to; where the page has none of this title, a folded one is added.
    """

    page: Annotated[Text, Field(examples=["operations-overview"])]
    row: Text = OWN_ROW
