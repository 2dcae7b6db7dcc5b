"""Settings of the `variants` source."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from ml_monitoring.exporter.database import PostgresSession, connect
from ml_monitoring.exporter.sources.base import SourceSettings
from ml_monitoring.exporter.values import Duration, Model, Names, OneLine, PathUse, Patterns, Zone

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


def _valid_uri(value: SecretStr) -> SecretStr:
    if not isinstance(connect(value.get_secret_value(), timeout=1.0), PostgresSession):
        message = "variants are read from PostgreSQL; the URI must begin with postgresql://"
        raise ValueError(message)  # noqa: TRY004  # what pydantic turns into a message about the setting
    return value


PostgresUri = Annotated[OneLine, AfterValidator(_valid_uri)]


class SplitSettings(Model):
    """How views are meant to be shared among the variants of a persona that were posted together.

    Attributes:
        together: Variants posted within this time of each other form one experiment. Keep it so short that the views
            which the first one gains meanwhile do not matter.
        weights: Intended weight of a variant by its id; 1 unless given. Variants of which none is given are meant to
            share evenly, or as suggested.
        applied: How long it takes until suggested traffic is applied, by a system that follows it.
    """

    together: Duration = 1.0
    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default={})
    applied: Duration = 60.0


class RuleSettings(Model):
    """From where on something is an optimization opportunity.

    Attributes:
        early_kill_ratio: Share of recently posted variants that were killed.
        min_posts: Posts below which shares of posts say nothing.
        fatigue: Fatigue of a pattern.
        min_views: Views below which a variant is under-sampled.
        settle: Age at which a variant should have its views.
        significance: Level of the sequential tests.
        bias_significance: Level of the test for one-sided prediction errors.
        winner_share: Share of views below which a winner is not exploited.
        confidence: How sure early kills and fatigue must be beyond chance.
    """

    early_kill_ratio: Share = 0.35
    min_posts: Count = 20
    fatigue: Share = 0.5
    min_views: Count = 100
    settle: Duration = 3600.0
    significance: Share = 0.05
    bias_significance: Share = 0.01
    winner_share: Share = 0.5
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.99

    @property
    def deviations(self) -> float:
        """Return how many standard errors the confidence is."""
        return NormalDist().inv_cdf(self.confidence)


class VariantsSettings(SourceSettings):
    """Settings of the `variants` source.

    Attributes:
        uri: Database with the variant tables; a user that may only read will do.
        listen: Whether to listen for notifications, so that changes show at once.
        listen_uri: Where to listen when `uri` leads to a connection pooler; default `uri`.
        timezone: Zone of times that say none, such as those of `timestamp` columns; default the server's.
        personas: Names of the personas to expose.
        max_personas: Personas beyond are left out, those with the fewest active variants first.
        max_variants: Active variants of a persona beyond are left out, those with the fewest views first.
        active_statuses: Values of `variants.status` that make a variant an active one.
        window: What counts as recent for posts and kills.
        latest_posts: A pattern's share and recent engagement are taken over so many latest posts of a persona.
        earlier_posts: Its history is taken over so many posts before them.
        prior_views: Weight of the prior of engagement, in views.
        exploration: Part of the suggested traffic that is spread evenly.
        history: File in which totals by age survive a restart; without one, variants are compared from then on.
        split: Intended split of views.
        rules: From where on something is an optimization opportunity.
    """

    uri: PostgresUri
    listen: bool = True
    listen_uri: PostgresUri | None = None
    timezone: Zone | None = None
    personas: Patterns = Patterns()
    max_personas: Count = 1000
    max_variants: Count = 50
    active_statuses: Names = ("active",)
    window: Duration = 86400.0
    latest_posts: Count = 50
    earlier_posts: Count = 200
    prior_views: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0
    exploration: Share = 0.05
    history: Annotated[Path | None, PathUse.WRITTEN_FILE] = None
    split: SplitSettings = SplitSettings()
    rules: RuleSettings = RuleSettings()
