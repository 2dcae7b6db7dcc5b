"""What a file of an alert of the user's own may say."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field, StrictStr, field_validator

from ml_monitoring.alerting.extension_files import LabelName, OwnUnit, PromQL, Text
from ml_monitoring.alerting.model.alert import Alert
from ml_monitoring.alerting.model.evidence import Comparison
from ml_monitoring.alerting.model.notifications import Duration, Name, Severity, StrictModel
from ml_monitoring.alerting.model.numbers import Scalar
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit
from ml_monitoring.exporter.settings_hints import PAGE_PATTERN

# Units in which lines say nothing.
NO_LINES: Final = (Unit.TIMESTAMP, Unit.INFO)


class OwnAlert(StrictModel):
    """One alert of your own; the name of the file is its name.

    Attributes:
        expr: PromQL of the value that is compared. `<window>` stands for the range of a rate, `<filter>` for what
            pages narrow by, `<Alert.threshold>` for the number of any alert.
        unit: Unit of the value; `suffix:kg` where none of ours fits.
        title: Title of the panel that shows it.
        question: What the panel answers, in one sentence.
        by: Labels that tell the series apart.
        legend: How series are named in the panel; by default by these labels.
        comparison: Whether the value is too high or too low.
        threshold: With what it is compared, in the unit; a duration such as 5m where the unit is seconds.
        for: How long the condition must hold before anybody is notified.
        severity: How bad it is.
        team: Who is notified.
        action: Of the settings `notifications.actions`, what is called too.
        condition: When it fires, in words; `<threshold>` stands for the number.
        summary: What is wrong, in one sentence without placeholders; titles notifications.
        description: Which series and how bad, as a template such as `{{ $labels.region }}: {{ $value }} orders wait.`
        page: Page that shows it and that its notifications link to; one of ours, such as `operations-overview`, or
            the name of a file in `pages`.
        source: Source of the exporter that its series are from, such as `queries/orders`, whose failure mutes it.
        absent: What answers when its series are missing, as the name of an alert or a sentence.
    """

    expr: Annotated[PromQL, Field(min_length=1, examples=["sum by (region) (shop_orders_waiting)"])]
    unit: Annotated[OwnUnit, Field(examples=["count"])]
    title: Annotated[Text, Field(examples=["Orders that wait"])]
    question: Annotated[Text, Field(examples=["How many orders wait?"])]
    by: tuple[LabelName, ...] = ()
    legend: StrictStr = ""
    comparison: Comparison = ">"
    threshold: Annotated[Scalar, Field(examples=[100])]
    for_: Duration = Field(alias="for", examples=["10m"])
    keep_firing_for: Duration | None = None
    severity: Annotated[Severity, Field(examples=["warning"])]
    team: Annotated[Name, Field(examples=["platform"])]
    action: Name | None = None
    condition: StrictStr = ""
    summary: Annotated[Text, Field(examples=["Orders wait too long."])]
    description: Annotated[Text, Field(examples=["{{ $labels.region }}: {{ $value }} orders wait."])]
    page: Annotated[str, Field(strict=True, pattern=PAGE_PATTERN, examples=["operations-overview"])]
    source: StrictStr = ""
    absent: StrictStr = ""

    @field_validator("summary", "description", "condition", "question")
    @classmethod
    def _is_sentence(cls, text: str) -> str:
        if text and not text.rstrip().endswith((".", "?")):
            raise ValueError("ends without a full stop: write a sentence")
        return text

    @field_validator("summary")
    @classmethod
    def _is_static(cls, text: str) -> str:
        if "{{" in text:
            raise ValueError("is static, as it titles a group; what differs belongs in the description")
        return text

    def alert(self, name: str, dashboard: str) -> Alert:
        """Return the alert as our own are.

        Args:
            name: Its name.
            dashboard: uid of the page.
        """
        word = "above" if self.comparison == ">" else "below"
        return Alert(
            name=name,
            condition=self.condition or f"{self.title} {word} <threshold>.",
            signal=Signal(
                name=f"own_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()}",
                title=self.title,
                question=self.question,
                expr=self.expr.strip(),
                unit=self.unit.unit,
                suffix=self.unit.suffix,
                dashboard=dashboard,
                by=self.by,
                filters=self.by if "<filter>" in self.expr else (),
                legend=self.legend,
                # What is of no unit of ours may be below 0.
                signed=self.unit.unit is Unit.ANY,
                over_time=self.unit.unit not in NO_LINES,
            ),
            summary=self.summary,
            description=self.description,
            comparison=self.comparison,
            source=self.source,
            absent=self.absent or ("" if self.source else "Nothing watches that its series are there."),
        )
