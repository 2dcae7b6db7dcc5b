"""Signals of the pages `variant-performance` and `variant-detail`: what performs, and is the difference real?

`max without (instance)` makes one series out of those of several exporters on one database.
"""

from __future__ import annotations

from typing import Final

from alerting.signals.base import Signal
from exporter.catalog import Unit

PAGE: Final = "variant-performance"
DETAIL_PAGE: Final = "variant-detail"
_PERSONA = ("persona",)
_PATTERN = ("persona", "pattern")
_VARIANT = ("persona", "variant")
_POST = ("persona", "variant", "pattern")


def _gauge(
    name: str, title: str, question: str, metric: str, *, unit: Unit, by: tuple[str, ...], page: str = PAGE
) -> Signal:
    """Return the signal of a gauge as it is; `by` begins with the labels of variables."""
    expr = f"max without (instance) ({metric}{{<filter>}})"
    return Signal(name, title, question, expr, unit, page, by=by, filters=by)


VARIANT_SIGNALS: tuple[Signal, ...] = (
    # Summary
    Signal(
        name="variants_active",
        title="Active variants",
        question="How many variants compete at present?",
        expr='sum without (persona, status) (max without (instance) (variants{status="active",<filter>}))',
        unit=Unit.COUNT,
        dashboard=PAGE,
        filters=_PERSONA,
        legend="active",
    ),
    _gauge(
        "variants_by_status",
        "Variants by status",
        "What became of the variants of each persona?",
        "variants",
        unit=Unit.COUNT,
        by=("persona", "status"),
    ),
    Signal(
        name="persona_engagement",
        title="Engagement of new views",
        question="What share of the views in this window led to an interaction?",
        expr=(
            "sum without (variant, pattern) (max without (instance) ("
            "rate(variant_interactions_total{<filter>}[<window>])))"
            " / (sum without (variant, pattern) (max without (instance) ("
            "rate(variant_views_total{<filter>}[<window>]))) > 0)"
        ),
        unit=Unit.RATIO,
        dashboard=PAGE,
        by=_PERSONA,
        filters=_PERSONA,
    ),
    Signal(
        name="average_engagement",
        title="Average engagement",
        question="What is the mean engagement of the active variants?",
        expr="avg without (persona, variant, pattern) (max without (instance) (variant_engagement_ratio{<filter>}))",
        unit=Unit.RATIO,
        dashboard=PAGE,
        filters=("persona", "pattern"),
        legend="mean",
    ),
    Signal(
        name="variant_views_rate",
        title="Views per second",
        question="How fast does each persona gather views? Statistics can only be as good as that.",
        expr="sum without (variant, pattern) (max without (instance) (rate(variant_views_total{<filter>}[<window>])))",
        unit=Unit.COUNT,
        dashboard=PAGE,
        by=_PERSONA,
        filters=_PERSONA,
    ),
    Signal(
        name="variant_update_age",
        title="Time since last update",
        question="Does the variant system still write figures?",
        expr="time() - max without (instance) (variant_last_update_timestamp_seconds{<filter>})",
        unit=Unit.SECONDS,
        dashboard=PAGE,
        by=_PERSONA,
        filters=_PERSONA,
    ),
    Signal(
        name="variant_notifications",
        title="Changes announced",
        question="Are changes announced by triggers, so that they show at once? Without, they are found by polling.",
        expr="max without (instance) (variant_notifications_active)",
        unit=Unit.FLAG,
        dashboard=PAGE,
        legend="announced",
    ),
    # Each active variant
    _gauge(
        "variant_engagement",
        "Engagement",
        "What engagement does the variant system report for each active variant?",
        "variant_engagement_ratio",
        unit=Unit.RATIO,
        by=_POST,
    ),
    _gauge(
        "variant_predicted_engagement",
        "Predicted engagement",
        "What engagement was predicted for each active variant?",
        "variant_predicted_engagement_ratio",
        unit=Unit.RATIO,
        by=_POST,
    ),
    Signal(
        name="variant_prediction_difference",
        title="Difference to prediction",
        question="By how much does each active variant do better (+) or worse (-) than predicted?",
        expr="persona_variant_pattern:variant_prediction_difference:ratio{<filter>}",
        unit=Unit.RATIO,
        dashboard=PAGE,
        by=_POST,
        filters=_POST,
    ),
    Signal(
        name="variant_prediction_shortfall",
        title="Certain shortfall to prediction",
        question="How far below the prediction is even the upper end of the 95 % interval? 0: maybe chance.",
        expr="persona_variant:variant_prediction_shortfall:ratio{<filter>}",
        unit=Unit.RATIO,
        dashboard=DETAIL_PAGE,
        by=_VARIANT,
        filters=_VARIANT,
    ),
    _gauge(
        "variant_observed_views",
        "Views",
        "How many views has each active variant had?",
        "variant_observed_views",
        unit=Unit.COUNT,
        by=_VARIANT,
    ),
    _gauge(
        "variant_observed_interactions",
        "Interactions",
        "How many interactions has each active variant had?",
        "variant_observed_interactions",
        unit=Unit.COUNT,
        by=_VARIANT,
    ),
    Signal(
        name="variant_age",
        title="Time since post",
        question="How long ago was each active variant posted? A clock that runs ahead shows as 0.",
        expr="clamp_min(time() - max without (instance) (variant_posted_timestamp_seconds{<filter>}), 0)",
        unit=Unit.SECONDS,
        dashboard=PAGE,
        by=_POST,
        filters=_POST,
    ),
    _gauge(
        "variant_probability_best",
        "Probability of being best",
        "How probable is it that each active variant has the highest engagement of its persona?",
        "variant_probability_best",
        unit=Unit.RATIO,
        by=_VARIANT,
    ),
    _gauge(
        "variant_engagement_lower",
        "95 % interval, lower end",
        "Below which engagement is the variant with a probability of only 2.5 %?",
        "variant_engagement_ratio_lower",
        unit=Unit.RATIO,
        by=_VARIANT,
        page=DETAIL_PAGE,
    ),
    _gauge(
        "variant_engagement_upper",
        "95 % interval, upper end",
        "Above which engagement is the variant with a probability of only 2.5 %?",
        "variant_engagement_ratio_upper",
        unit=Unit.RATIO,
        by=_VARIANT,
        page=DETAIL_PAGE,
    ),
    _gauge(
        "variant_expected_loss",
        "Expected loss",
        "How much engagement is given up if only this variant is used from now on?",
        "variant_expected_loss_ratio",
        unit=Unit.RATIO,
        by=_VARIANT,
        page=DETAIL_PAGE,
    ),
    _gauge(
        "variant_lift",
        "Lift over the best other",
        "How much better is the variant than the best other active one?",
        "variant_lift_ratio",
        unit=Unit.RATIO,
        by=_VARIANT,
        page=DETAIL_PAGE,
    ),
    _gauge(
        "variant_suggested_traffic",
        "Suggested share of traffic",
        "What share of the traffic would Thompson sampling give the variant?",
        "variant_suggested_traffic_ratio",
        unit=Unit.RATIO,
        by=_VARIANT,
        page=DETAIL_PAGE,
    ),
    Signal(
        name="variant_traffic",
        title="Share of traffic",
        question="What share of its persona's views does each active variant get at present?",
        expr="persona_variant:variant_traffic:ratio{<filter>}",
        unit=Unit.RATIO,
        dashboard=DETAIL_PAGE,
        by=_VARIANT,
        filters=_VARIANT,
    ),
    _gauge(
        "variant_sequential_p_value",
        "Best by chance? (always-valid p-value)",
        "How surprising would it be if the variant were not the best? May be looked at at any time.",
        "variant_sequential_p_value",
        unit=Unit.ANY,
        by=_VARIANT,
        page=DETAIL_PAGE,
    ),
    Signal(
        name="variant_new_view_engagement",
        title="Engagement of new views",
        question="What share of the variant's views in this window led to an interaction?",
        expr=(
            "max without (instance) (rate(variant_interactions_total{<filter>}[<window>]))"
            " / (max without (instance) (rate(variant_views_total{<filter>}[<window>])) > 0)"
        ),
        unit=Unit.RATIO,
        dashboard=DETAIL_PAGE,
        by=_POST,
        filters=_VARIANT,
        legend="new views {{variant}}",
    ),
    _gauge(
        "variant_split_p_value",
        "Split as intended? (always-valid p-value)",
        "How surprising would it be if variants posted together shared the views as intended?",
        "variant_sample_ratio_p_value",
        unit=Unit.ANY,
        by=_PERSONA,
    ),
    # Kills
    _gauge(
        "variant_recent_kills",
        "Recent kills",
        "How many variants were killed within the last day (or the window of the exporter's settings)?",
        "variant_recent_kills",
        unit=Unit.COUNT,
        by=_PERSONA,
    ),
    _gauge(
        "variant_recent_posts",
        "Recent posts",
        "How many variants were posted within the same time?",
        "variant_recent_posts",
        unit=Unit.COUNT,
        by=_PERSONA,
    ),
    _gauge(
        "variant_early_kill_ratio",
        "Early kills",
        "What share of the recently posted variants has been killed already?",
        "variant_early_kill_ratio",
        unit=Unit.RATIO,
        by=_PERSONA,
    ),
    Signal(
        name="variant_kills",
        title="Kills by reason",
        question="Why are variants killed?",
        expr="max without (instance) (increase(variant_kills_total{<filter>}[<window>]))",
        unit=Unit.COUNT,
        dashboard=PAGE,
        by=("persona", "reason"),
        filters=_PERSONA,
    ),
    Signal(
        name="variant_time_to_kill_mean",
        title="Mean time to kill",
        question="How long does a variant that is killed live, over all kills?",
        expr=(
            "max without (instance) (variant_time_to_kill_seconds_sum{<filter>})"
            " / (max without (instance) (variant_time_to_kill_seconds_count{<filter>}) > 0)"
        ),
        unit=Unit.SECONDS,
        dashboard=PAGE,
        by=_PERSONA,
        filters=_PERSONA,
    ),
    Signal(
        name="variant_time_to_kill_p90",
        title="Time to kill, 90th percentile",
        question="Within which time are nine out of ten kills made?",
        expr=("histogram_quantile(0.9, sum without (instance) (variant_time_to_kill_seconds_bucket{<filter>}))"),
        unit=Unit.SECONDS,
        dashboard=PAGE,
        by=_PERSONA,
        filters=_PERSONA,
        legend="p90 {{persona}}",
    ),
    # Patterns and opportunities
    _gauge(
        "variant_pattern_fatigue",
        "Pattern fatigue",
        "Which pattern is both overused and past its best? 0 is fresh, 1 is worn out.",
        "variant_pattern_fatigue_ratio",
        unit=Unit.RATIO,
        by=_PATTERN,
    ),
    _gauge(
        "variant_pattern_share",
        "Share of latest posts",
        "Which patterns do the latest posts use?",
        "variant_pattern_share_ratio",
        unit=Unit.RATIO,
        by=_PATTERN,
    ),
    Signal(
        name="variant_pattern_engagement",
        title="Engagement by pattern",
        question="How do the latest posts with the pattern do against the ones before?",
        expr="max without (instance) (variant_pattern_engagement_ratio{<filter>})",
        unit=Unit.RATIO,
        dashboard=PAGE,
        by=("persona", "pattern", "period"),
        filters=_PATTERN,
    ),
    Signal(
        name="variant_opportunities",
        title="Opportunities",
        question="What could be done better, and how?",
        expr=(
            "(max without (instance) (variant_optimization_opportunity{<filter>}) == 1)"
            " * on (job, opportunity, priority) group_left (title, action)"
            " max without (instance) (variant_optimization_opportunity_info)"
        ),
        unit=Unit.FLAG,
        dashboard=PAGE,
        by=("persona", "opportunity", "priority", "title", "action"),
        filters=_PERSONA,
    ),
    Signal(
        name="variant_events",
        title="Events",
        question="What does the variant system report, and how often?",
        expr="sum without (persona) (max without (instance) (increase(variant_events_total[<window>])))",
        unit=Unit.COUNT,
        dashboard=PAGE,
        by=("event",),
    ),
)
