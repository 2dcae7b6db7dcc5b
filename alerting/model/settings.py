"""Sections of `thresholds.yml` beside the alerts: what recording rules compute with.

Each number has a placeholder, `<section.key>`, that recording rules use. To add a section, add a model, list it in
`Sections`, and the placeholders follow.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from math import log
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ml_monitoring.alerting.model import regex
from ml_monitoring.alerting.model.promql import inside_quotes
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog.services import FIRST_TOKEN_BUCKETS, RESPONSE_BUCKETS
from ml_monitoring.exporter.settings_hints import MODEL_PATTERN, VARIANT_PATTERN

_log = logging.getLogger(__name__)

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
    StrictStr,
    BeforeValidator(durations.refuse_number),
    AfterValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": durations.PATTERN}),
]


def _pattern(text: str) -> str:
    if problem := regex.problem_of(text):
        raise ValueError(f"{text!r} is not a regular expression: {problem}")
    return text


Pattern = Annotated[StrictStr, AfterValidator(_pattern)]
# Stands inside quotes in PromQL, once as a regular expression.
VariantName = Annotated[str, Field(strict=True, pattern=VARIANT_PATTERN)]
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


SHORTEST_WINDOW: Final = "1m"


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

    def too_short(self) -> Iterator[str]:
        """Yield the windows in which there are too few scrapes for a rate at the usual intervals."""
        for name, value in (("window", self.window), ("quality_window", self.quality_window)):
            if durations.parse(value) < durations.parse(SHORTEST_WINDOW):
                yield name

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
    experiments: Pattern
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

    @model_validator(mode="after")
    def _variants_differ(self) -> Self:
        if self.baseline == self.candidate:
            raise ValueError(f"candidate: is {self.candidate}, as is baseline: a variant is compared with another one")
        return self

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
    recent: Duration
    duration: Duration
    # None: equal shares of the business section's two variants, or what `candidate_share` says, its older form.
    shares: dict[VariantName, Share] | None = None
    candidate_share: Share | None = None
    spread: Share
    significance: Share
    minimum_samples: Annotated[int, Field(gt=0)]
    recent_samples: Annotated[int, Field(gt=0)]
    minimum_duration: Duration

    @field_validator("shares")
    @classmethod
    def _are_a_split(cls, shares: dict[str, float] | None) -> dict[str, float] | None:
        if shares is not None and (len(shares) < 2 or abs(sum(shares.values()) - 1) > 1e-6):
            said = ", ".join(f"{name}: {share:g}" for name, share in shares.items())
            raise ValueError(
                f"is not a split of all traffic: the shares of two variants or more add up to 1, not {said}"
            )
        return shares

    @field_validator("candidate_share")
    @classmethod
    def _is_the_older_form(cls, share: float | None) -> float | None:
        if share is not None:
            _log.warning("ab_test.candidate_share is the older form of ab_test.shares, which takes all variants")
        return share

    def placeholders(self) -> Iterator[tuple[str, str]]:
        """Yield the settings but for shares, and the logarithms of how many windows an experiment has."""
        yield from ((name, text) for name, text in super().placeholders() if "share" not in name)
        for name, window in (("looks", self.window), ("recent_looks", self.recent)):
            yield name, _promql(log(max(1.0, durations.parse(self.duration) / durations.parse(window))))

    def split(self, baseline: str, candidate: str) -> Iterator[tuple[str, str]]:
        """Yield what the test of the split computes with.

        Args:
            baseline: The variant that gets the rest where only the candidate's share is given.
            candidate: The other one.
        """
        half = 0.5 if self.candidate_share is None else self.candidate_share
        shares = self.shares or {baseline: 1 - half, candidate: half}
        variance = sum(share * (1 - share) for share in shares.values()) / len(shares)
        yield "variants", "|".join(re.escape(name).replace("\\", "\\\\") for name in shares)
        yield (
            "expected_shares",
            " or ".join(
                f'label_replace(vector({_promql(share)}), "variant", "{name}", "", "")'
                for name, share in shares.items()
            ),
        )
        yield "degrees", str(len(shares) - 1)
        yield "split_spread", _promql(self.spread**2 / variance)


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


def _known_bucket(seconds: float, known: Collection[float], what: str) -> float:
    if seconds not in known:
        bounds = ", ".join(map(str, sorted(known)))
        raise ValueError(f"is not a bucket of the {what}; take one of {bounds}")
    return seconds


def _is_bound(seconds: float) -> str:
    """Return operator and value for the label `le`: client libraries write 1.0, what comes by OTLP has 1."""
    bound = repr(seconds)
    return f'=~"{bound[:-2]}|{bound}"' if bound.endswith(".0") else f'="{bound}"'


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
        return _known_bucket(seconds, {*RESPONSE_BUCKETS, *info.data.get("response_buckets", ())}, "response times")

    def placeholders(self) -> Iterator[tuple[str, str]]:
        """Yield budgets, windows and factors."""
        yield "period", self.period
        yield "minimum_page_failures", str(self.minimum_page_failures)
        yield "minimum_ticket_failures", str(self.minimum_ticket_failures)
        yield "latency_bound", _is_bound(self.latency_threshold)
        yield "availability_budget", _promql(1 - self.availability)
        yield "latency_budget", _promql(1 - self.latency)
        for name, value in self:
            if isinstance(value, BurnRate):
                long, short = value.windows(self.period)
                yield f"{name}.factor", _promql(value.factor)
                yield f"{name}.long", durations.format_seconds(long)
                yield f"{name}.short", durations.format_seconds(short)


class TokenPrices(Section):
    """What a million tokens of a model cost."""

    input: Money = 0.0
    output: Money = 0.0


ModelName = Annotated[str, Field(strict=True, pattern=MODEL_PATTERN)]


class Llm(Section):
    """Objective and prices of language models."""

    first_token: Share
    first_token_threshold: float
    prices: dict[ModelName, TokenPrices]

    @field_validator("first_token_threshold")
    @classmethod
    def _is_a_bound(cls, seconds: float) -> float:
        return _known_bucket(seconds, FIRST_TOKEN_BUCKETS, "times to the first token")

    def placeholders(self) -> Iterator[tuple[str, str]]:
        """Yield the threshold, the share of answers that may be later, and prices as series by model and token type."""
        yield "first_token_bound", _is_bound(self.first_token_threshold)
        yield "first_token_budget", _promql(1 - self.first_token)
        prices = [
            f'label_replace(label_replace(vector({_promql(price)}), "model", "{model}", "", ""), '
            f'"token_type", "{kind}", "", "")'
            for model, both in self.prices.items()
            for kind, price in both
        ]
        # Without prices nothing has a cost.
        yield "prices", "\nor\n".join(prices) or "vector(0) != 0"


class Sections(Section):
    """All sections; `Thresholds` inherits them."""

    traffic: Traffic
    business: Business
    ab_test: AbTest
    drift: Drift
    slos: Slos
    llm: Llm

    def section_placeholders(self) -> dict[str, str]:
        """Return every number by its placeholder, without the angle brackets."""
        found = {
            f"{name}.{key}": value
            for name in Sections.model_fields
            for key, value in getattr(self, name).placeholders()
        }
        split = self.ab_test.split(self.business.baseline, self.business.candidate)
        return found | {f"ab_test.{key}": value for key, value in split}

    @property
    def objectives(self) -> dict[str, float]:
        """Return the share of events that are to be good, by setting."""
        return {
            "slos.availability": self.slos.availability,
            "slos.latency": self.slos.latency,
            "llm.first_token": self.llm.first_token,
        }

    def words(self, times: float = 1) -> dict[str, str]:
        """Return every number as sentences have it, by its placeholder.

        Objectives are among them, of which PromQL has budgets, and which share of bad events a burn rate is.

        Args:
            times: What burn rates are multiplied with, the threshold of alerts on them.
        """
        rates = {name: times * rate.factor for name, rate in self.slos if isinstance(rate, BurnRate)}
        seconds = {
            "slos.latency_threshold": self.slos.latency_threshold,
            "llm.first_token_threshold": self.llm.first_token_threshold,
        }
        return (
            self.section_placeholders()
            | {name: f"{100 * share:.6g} %" for name, share in self.objectives.items()}
            | {f"slos.{tier}.factor": f"{rate:.6g}" for tier, rate in rates.items()}
            | {
                f"{name}.{tier}": f"{100 * rate * (1 - share):.3g} %"
                for name, share in self.objectives.items()
                for tier, rate in rates.items()
            }
            | {name: f"{value:g} s" for name, value in seconds.items()}
        )


# What placeholders are computed from that are not a setting themselves.
_SPLIT: Final = ("ab_test.shares", "ab_test.candidate_share", "business.baseline", "business.candidate")
_WEEKS: Final = ("traffic.week", "traffic.around")
_MADE_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "traffic.same_hours": ("traffic.around",),
    "traffic.after_a_week": _WEEKS,
    "traffic.after_two_weeks": _WEEKS,
    "business.accuracy_factor": ("business.accuracy_unit",),
    "ab_test.looks": ("ab_test.duration", "ab_test.window"),
    "ab_test.recent_looks": ("ab_test.duration", "ab_test.recent"),
    "ab_test.variants": _SPLIT,
    "ab_test.expected_shares": _SPLIT,
    "ab_test.degrees": _SPLIT,
    "ab_test.split_spread": ("ab_test.spread", *_SPLIT),
    "slos.latency_bound": ("slos.latency_threshold",),
    "slos.availability_budget": ("slos.availability",),
    "slos.latency_budget": ("slos.latency",),
    "llm.first_token_bound": ("llm.first_token_threshold",),
    "llm.first_token_budget": ("llm.first_token",),
}


def settings_behind(placeholder: str) -> tuple[str, ...]:
    """Return the settings that a placeholder of a section is computed from, as `slos.period`."""
    name, _, last = placeholder.rpartition(".")
    if name.startswith("slos.") and last in ("long", "short"):
        return "slos.period", f"{name}.budget", f"{name}.factor"
    return _MADE_OF.get(placeholder, (placeholder,))


def business_overrides(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the business settings that the environment gives."""
    return {key: environ[name] for name, key in BUSINESS_VARIABLES.items() if environ.get(name)}


def _promql(value: Any) -> str:
    if isinstance(value, float):
        # 1 - 0.999 is not quite 0.001 in binary; nobody wants to read that in a rule.
        return f"{value:.12g}" if abs(value) < 1e15 else repr(value)
    return inside_quotes(str(value))
