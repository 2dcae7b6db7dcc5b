"""The numbers of one alert and the links of all, as they stand in `thresholds.yml`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainValidator, StrictStr, WithJsonSchema

from ml_monitoring.alerting.model.notifications import AlertSeverity, Duration, Link, Name, StrictModel
from ml_monitoring.exporter.catalog import Unit


def _scalar(value: object) -> float | str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is neither a number nor a text")  # noqa: TRY004  # pydantic reports only ValueError
    return value


# One validator instead of a union, whose errors name each member in turn.
Scalar = Annotated[int | float | str, PlainValidator(_scalar), WithJsonSchema({"type": ["number", "string"]})]


class Links(StrictModel):
    """Where the links in notifications lead."""

    grafana: Link
    runbooks: Link
    logs: Link | None = None


class Numbers(StrictModel):
    """The numbers of one alert."""

    threshold: Scalar | None = None
    unit: Unit | None = None
    for_: Duration = Field(alias="for")
    # None: as all others, see `Thresholds.keep_firing_for`.
    keep_firing_for: Duration | None = None
    severity: AlertSeverity
    team: StrictStr
    # How sure the alert must be that chance does not explain what it sees.
    confidence: Annotated[float, Field(strict=True, gt=0.5, lt=1)] | None = None
    enabled: bool = True
    action: Name | None = None
    parameters: dict[str, Scalar] = Field(default_factory=dict)


def number(value: float) -> str:
    """Return the number as PromQL reads it, without `.0`."""
    return str(int(value)) if value.is_integer() else repr(value)
