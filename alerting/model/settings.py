"""Sections of `thresholds.yml` beside the alerts: what recording rules compute with.

Each number has a placeholder, `<section.key>`, that recording rules use. To add a section, add a model, list it in
`Sections`, and the placeholders follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog.services import RESPONSE_BUCKETS

# Environment variables that go first when rules are generated.
BUSINESS_VARIABLES: Final[Mapping[str, str]] = {
    "BASELINE_VARIANT": "baseline",
    "CANDIDATE_VARIANT": "candidate",
    "BASE_TRADING_VOLUME": "base_volume",
    "ACCURACY_REVENUE_MULTIPLIER": "accuracy_revenue_multiplier",
    "ACCURACY_UNIT": "accuracy_unit",
    "LATENCY_COST_PER_MS": "latency_cost_per_ms",
    "ERROR_COST_MULTIPLIER": "error_cost_multiplier",
    "INFRASTRUCTURE_ANNUAL_COST": "infrastructure_annual_cost",
}


def _duration(text: str) -> str:
    durations.parse_positive(text)
    return text


Duration = Annotated[
    StrictStr, AfterValidator(_duration), WithJsonSchema({"type": "string", "pattern": durations.PATTERN})
]
# Stands inside quotes in PromQL, once as a regular expression.
VariantName = Annotated[str, Field(strict=True, pattern=r"^[\w. -]{1,60}$")]
Share = Annotated[float, Field(gt=0, lt=1)]
Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(BaseModel):
    """Base of the sections: strict and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def placeholders(self) -> Iterator[tuple[str, str]]:
        """Yield each setting as PromQL reads it."""
        for name, value in self:
            if not isinstance(value, BaseModel):
                yield name, _promql(value)


class Traffic(Section):
    """How far back the rules on services look."""

    window: Duration
    quality_window: Duration
    recent: Duration
    day: Duration
    week: Duration
    around: Duration

    @model_validator(mode="after")
    def _around_is_short(self) -> Self:
        if durations.parse(self.around) >= durations.parse(self.week):
            raise ValueError(f"around: {self.around} is not shorter than week: {self.week}")
        return self

    def placeholders(self) -> Iterator[tuple[str, str]]:
        """Yield the settings, and how long the same hours of earlier weeks last and how long ago they ended."""
        yield from super().placeholders()
        around = durations.parse(self.around)
        yield "same_hours", durations.format_seconds(2 * around)
        week = durations.parse(self.week)
        yield "after_a_week", durations.format_seconds(week - around)
        yield "after_two_weeks", durations.format_seconds(2 * week - around)


class Assumed(Section):
    """What is assumed of a variant when neither a service nor MLflow tells."""

    accuracy: Share
    requests_per_day: Annotated[float, Field(gt=0)]
    latency: Annotated[float, Field(gt=0)]
    error_ratio: Annotated[float, Field(ge=0, lt=1)]


class Business(Section):
    """What the difference between two variants is worth."""

    baseline: VariantName
    candidate: VariantName
    experiments: StrictStr
    accuracy_metric: StrictStr
    window: Duration
    base_volume: Money
    accuracy_revenue_multiplier: Money
    accuracy_unit: Literal["percentage_point", "ratio"]
    latency_cost_per_ms: Money
    error_cost_multiplier: Money
    infrastructure_annual_cost: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    assumed_baseline: Assumed
    assumed_candidate: Assumed

    def placeholders(self) -> Iterator[tuple[str, str]]:
        """Yield the settings, those of the assumed variants, and the factor that the accuracy's unit means."""
        yield from super().placeholders()
        yield "accuracy_factor", "100" if self.accuracy_unit == "percentage_point" else "1"
        for role, assumed in (("baseline", self.assumed_baseline), ("candidate", self.assumed_candidate)):
            for name, value in assumed.placeholders():
                yield f"assumed_{role}.{name}", value


class AbTest(Section):
    """How the experiment on traffic is judged."""

    window: Duration
    candidate_share: Share
    spread: Share
    significance: Share
    minimum_samples: Annotated[int, Field(gt=0)]


class Drift(Section):
    """What prediction scores are compared with."""

    window: Duration
    reference_window: Duration
    reference_offset: Duration
    minimum_predictions: Annotated[int, Field(gt=0)]


class BurnRate(Section):
    """One speed at which an error budget may burn, and how much of it may be gone before anyone is notified."""

    factor: Annotated[float, Field(gt=0)]
    budget: Share

    def windows(self, period: str) -> tuple[float, float]:
        """Return the long window, in which the share of the budget burns at this speed, and the short one in seconds.

        The short window, a twelfth, ends the alert soon after the burning does.
        """
        long = self.budget * durations.parse(period) / self.factor
        return long, long / 12


class Slos(Section):
    """Objectives of services, and which burn rates alert."""

    period: Duration
    availability: Share
    latency: Share
    # Bounds of services that set `response_buckets=`, beside those that services have by default.
    response_buckets: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()
    latency_threshold: float
    page_fast: BurnRate
    page_slow: BurnRate
    ticket_fast: BurnRate
    ticket_slow: BurnRate
    minimum_page_failures: Annotated[int, Field(gt=0)]
    minimum_ticket_failures: Annotated[int, Field(gt=0)]

    @field_validator("latency_threshold")
    @classmethod
    def _is_a_bucket(cls, seconds: float, info: ValidationInfo) -> float:
        known = sorted({*RESPONSE_BUCKETS, *info.data.get("response_buckets", ())})
        if seconds not in known:
            raise ValueError(f"is not a bucket of the response times; take one of {', '.join(map(str, known))}")
        return seconds

    def placeholders(self) -> Iterator[tuple[str, str]]:
        """Yield budgets, windows and factors."""
        yield "period", self.period
        yield "minimum_page_failures", str(self.minimum_page_failures)
        yield "minimum_ticket_failures", str(self.minimum_ticket_failures)
        # As client libraries write the label `le`: 1.0, not 1.
        yield "latency_threshold", repr(self.latency_threshold)
        yield "availability_budget", _promql(1 - self.availability)
        yield "latency_budget", _promql(1 - self.latency)
        for name, value in self:
            if isinstance(value, BurnRate):
                long, short = value.windows(self.period)
                yield f"{name}.factor", _promql(value.factor)
                yield f"{name}.long", durations.format_seconds(long)
                yield f"{name}.short", durations.format_seconds(short)


class Sections(Section):
    """All sections; `Thresholds` inherits them."""

    traffic: Traffic
    business: Business
    ab_test: AbTest
    drift: Drift
    slos: Slos

    def section_placeholders(self) -> dict[str, str]:
        """Return every number by its placeholder, without the angle brackets."""
        return {
            f"{name}.{key}": value
            for name in Sections.model_fields
            for key, value in getattr(self, name).placeholders()
        }


def business_overrides(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the business settings that the environment gives."""
    return {key: environ[name] for name, key in BUSINESS_VARIABLES.items() if environ.get(name)}


def _promql(value: Any) -> str:
    if isinstance(value, float):
        # 1 - 0.999 is not quite 0.001 in binary; nobody wants to read that in a rule.
        return f"{value:.12g}" if abs(value) < 1e15 else repr(value)
    return str(value)
