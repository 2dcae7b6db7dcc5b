"""Signals of the page `variant-performance`: what performs, what was killed, and what could be done better?

`max without (instance)` makes one series out of those of several exporters on one database.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.alerting.variants.variant_signals import PAGE, gauge
from ml_monitoring.exporter.catalog import Unit

_PERSONA = ("persona",)
_PATTERN = ("persona", "pattern")
_POST = ("persona", "variant", "pattern")


# Summary
VARIANTS_ACTIVE: Final = Signal(
    name="variants_active",
    title="Active variants",
    question="How many variants compete at present?",
    expr='sum without (persona, status) (max without (instance) (variants{status="active",<filter>}))',
    unit=Unit.COUNT,
    dashboard=PAGE,
    filters=_PERSONA,
    legend="active",
)

PERSONA_ENGAGEMENT: Final = Signal(
    name="persona_engagement",
    title="Engagement rate of new views",
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
)

AVERAGE_ENGAGEMENT: Final = Signal(
    name="average_engagement",
    title="Average engagement",
    question="What is the mean engagement of the active variants?",
    expr="avg without (persona, variant, pattern) (max without (instance) (variant_engagement_ratio{<filter>}))",
    unit=Unit.RATIO,
    dashboard=PAGE,
    filters=("persona", "pattern"),
    legend="mean",
)

VARIANT_VIEWS_RATE: Final = Signal(
    name="variant_views_rate",
    title="Views per second",
    question="How fast does each persona gather views? Statistics can only be as good as that.",
    expr="sum without (variant, pattern) (max without (instance) (rate(variant_views_total{<filter>}[<window>])))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_PERSONA,
    filters=_PERSONA,
)

VARIANT_UPDATE_AGE: Final = Signal(
    name="variant_update_age",
    title="Time since last update",
    question="Does the variant system still write updates?",
    expr="time() - max without (instance) (variant_last_update_timestamp_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_PERSONA,
    filters=_PERSONA,
    over_time=False,
)

VARIANT_NOTIFICATIONS: Final = Signal(
    name="variant_notifications",
    title="LISTEN/NOTIFY",
    question="Do triggers notify the exporter, so that changes show at once? Without, it polls.",
    expr="max without (instance) (variant_notifications_active{<filter>})",
    unit=Unit.FLAG,
    dashboard=PAGE,
    legend="active",
)

# Kills
VARIANT_RECENT_KILLS: Final = gauge(
    "variant_recent_kills",
    "Recent kills",
    "How many variants were killed within the last day (or the window of the exporter's settings)?",
    "variant_recent_kills",
    unit=Unit.COUNT,
    by=_PERSONA,
)

VARIANT_RECENT_POSTS: Final = gauge(
    "variant_recent_posts",
    "Recent posts",
    "How many variants were posted within the same time?",
    "variant_recent_posts",
    unit=Unit.COUNT,
    by=_PERSONA,
)

VARIANT_EARLY_KILL_RATIO: Final = gauge(
    "variant_early_kill_ratio",
    "Early kills",
    "What share of the recently posted variants has been killed already?",
    "variant_early_kill_ratio",
    unit=Unit.RATIO,
    by=_PERSONA,
)

VARIANT_KILLS: Final = Signal(
    name="variant_kills",
    title="Kills by reason",
    question="Why are variants killed?",
    expr="max without (instance) (increase(variant_kills_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("persona", "reason"),
    filters=_PERSONA,
)

VARIANT_TIME_TO_KILL_P90: Final = Signal(
    name="variant_time_to_kill_p90",
    title="Time to kill (p90)",
    question="Within which time are nine out of ten kills made?",
    expr=("histogram_quantile(0.9, sum without (instance) (variant_time_to_kill_seconds_bucket{<filter>}))"),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_PERSONA,
    filters=_PERSONA,
    legend="p90 {{persona}}",
)

# Patterns and opportunities
VARIANT_PATTERN_FATIGUE: Final = gauge(
    "variant_pattern_fatigue",
    "Pattern fatigue",
    "Which pattern is both overused and past its best? 0 is fresh, 1 is worn out.",
    "variant_pattern_fatigue_ratio",
    unit=Unit.RATIO,
    by=_PATTERN,
)

VARIANT_PATTERN_SHARE: Final = gauge(
    "variant_pattern_share",
    "Share of recent posts",
    "Which patterns do the latest posts use?",
    "variant_pattern_share_ratio",
    unit=Unit.RATIO,
    by=_PATTERN,
)

VARIANT_PATTERN_ENGAGEMENT: Final = Signal(
    name="variant_pattern_engagement",
    title="Engagement by pattern",
    question="How do the latest posts with the pattern perform compared with earlier ones?",
    expr="max without (instance) (variant_pattern_engagement_ratio{<filter>})",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("persona", "pattern", "period"),
    filters=_PATTERN,
)

_PLACES = "cluster, namespace, job, store"
_APPLIES = "(max without (instance) (variant_optimization_opportunity{<filter>}) == 1)"


# Named by the rule that sees the opportunity. Two exporters may name different ones for a moment.
_SUBJECTS = "max without (instance) (variant_optimization_opportunity_subject_info{<filter>})"

VARIANT_OPPORTUNITIES: Final = Signal(
    name="variant_opportunities",
    title="Opportunities",
    question="What could be done better, and how?",
    expr=(
        f"({_SUBJECTS} * on ({_PLACES}, persona, opportunity) group_left (priority) {_APPLIES}"
        f" or ({_APPLIES} unless on ({_PLACES}, persona, opportunity) {_SUBJECTS}))"
        f" * on ({_PLACES}, opportunity, priority) group_left (title, action)"
        " max without (instance) (variant_optimization_opportunity_info)"
    ),
    unit=Unit.INFO,
    dashboard=PAGE,
    by=("persona", "opportunity", "priority", "subject", "title", "action"),
    filters=_PERSONA,
)

# Sums over the chosen personas, and marks in time
VARIANT_TIME_TO_KILL_OVERALL: Final = Signal(
    name="variant_time_to_kill_overall",
    title="Mean time to kill",
    question="How long does a variant that is killed live, over all kills?",
    expr=(
        "sum without (persona) (max without (instance) (variant_time_to_kill_seconds_sum{<filter>})) / (sum without"
        " (persona) (max without (instance) (variant_time_to_kill_seconds_count{<filter>})) > 0)"
    ),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    filters=_PERSONA,
    legend="mean",
)

VARIANT_KILL_MARKS: Final = Signal(
    name="variant_kill_marks",
    title="Kill",
    question="When were variants killed, and why?",
    expr=(
        "(sum by (cluster, namespace, store, persona, reason) "
        "(max without (instance) "
        # Since the mark before, so that each kill is in one only.
        "(variant_kills_total{<filter>} - variant_kills_total{<filter>} offset <window>)) > 0)"
        # Grafana joins the marks of a series that follow each other to a region, so each moment is a series.
        ' * on () group_left (at) count_values("at", vector(time()))'
    ),
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("persona", "reason"),
    filters=_PERSONA,
    window="1m",
)

VARIANT_WINNER_MARKS: Final = Signal(
    name="variant_winner_marks",
    title="Winner",
    question="When was a variant found to be the best one beyond chance?",
    # A mark where it begins, not its whole duration.
    expr=(
        "max by (cluster, namespace, store, persona, variant, pattern) "
        "(persona_variant_pattern:variant_standing:code{<filter>} == 3) "
        "unless max by (cluster, namespace, store, persona, variant, pattern) "
        "(persona_variant_pattern:variant_standing:code{<filter>} offset 1m == 3)"
    ),
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_POST,
    filters=_POST,
)
