"""Recording rules of a user's own: files with a list of them, evaluated in its order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, field_validator, model_validator

from ml_monitoring.alerting.domains import RECORDS
from ml_monitoring.alerting.extension_files import PromQL, Text, alert_of_prometheus
from ml_monitoring.alerting.model.notifications import StrictModel
from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.exporter.settings_hints import Location

_FILE: Final = re.compile(r"[a-z][a-z0-9_-]*")
_RECORDED: Final = re.compile(r"[a-zA-Z_]\w*(:\w+){2,}")


class OwnRule(StrictModel):
    """One recording rule of your own.

    Attributes:
        record: Name of the series, as `level:metric:operations`: the labels that are left, the metric, what was done.
        meaning: What a sample says, in one sentence; a comment in the generated file.
        expr: PromQL. `<Alert.threshold>` stands for the number of any alert.
    """

    record: Annotated[Text, Field(examples=["region:shop_orders_waiting:sum"])]
    meaning: Annotated[Text, Field(examples=["Orders that wait, by region."])]
    expr: Annotated[PromQL, Field(min_length=1, examples=["sum by (region) (shop_orders_waiting)"])]

    @model_validator(mode="before")
    @classmethod
    def _is_no_alert(cls, data: Any) -> Any:
        if isinstance(data, dict) and (name := data.get("alert")):
            raise ValueError(alert_of_prometheus(name))
        return data

    @field_validator("record")
    @classmethod
    def _has_level(cls, name: str) -> str:
        if not _RECORDED.fullmatch(name):
            raise ValueError(f"{name!r} is not level:metric:operations, such as region:shop_orders_waiting:sum")
        return name

    @field_validator("meaning")
    @classmethod
    def _is_sentence(cls, text: str) -> str:
        if not text.rstrip().endswith("."):
            raise ValueError("ends without a full stop: write a sentence")
        return text

    def record_of(self) -> Record:
        """Return the rule as our own are."""
        return Record(self.record, self.meaning, self.expr, by=())


class OwnRules(StrictModel):
    """Recording rules of your own; one may use those above it.

    Attributes:
        rules: In the order in which they are evaluated.
    """

    rules: Annotated[tuple[OwnRule, ...], Field(min_length=1)]


def rules_name_problem(name: str) -> str:
    """Return why a file of rules cannot be called so; empty where it can."""
    if _FILE.fullmatch(name):
        return ""
    return "call the file by small letters, digits, dashes and underscores, such as shop_orders"


def rule_problems(path: Path, given: OwnRules, taken: dict[str, Path]) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with the rules of a file, each with its place.

    Args:
        path: The file.
        given: What it says.
        taken: The file of each series that is recorded so far; those of this file are added.
    """
    if problem := rules_name_problem(path.stem):
        yield (), problem
    ours = {record.name for record in RECORDS}
    for number, rule in enumerate(given.rules):
        place = ("rules", number)
        if rule.record in ours:
            yield (*place, "record"), f"the stack records {rule.record}; this one needs another name"
        if other := taken.get(rule.record):
            yield (*place, "record"), f"{other.name} records {rule.record} already"
        taken.setdefault(rule.record, path)
