"""Metrics of the source `variants`."""

from __future__ import annotations

from ml_monitoring.exporter.catalog.base import Metric, Unit, counter, gauge, histogram

# A kill follows minutes after the post when the first views decide, days when a slow decline does.
KILL_BUCKETS = (60.0, 300.0, 600.0, 1800.0, 3600.0, 10800.0, 21600.0, 43200.0, 86400.0, 259200.0, 604800.0)

_ORIGIN = "variants"
_PERSONA = ("persona",)
_POST = ("persona", "variant", "pattern")
_PATTERN = ("persona", "pattern")


def _gauge(name: str, help: str, unit: Unit, *labels: str) -> Metric:
    return gauge(name, help, unit, *labels, origin=_ORIGIN)


def _counter(name: str, help: str, *labels: str) -> Metric:
    return counter(name, help, Unit.COUNT, *labels, origin=_ORIGIN)


VARIANT_METRICS = (
    # State of the tables
    _gauge("variants", "Rows of variants by status.", Unit.COUNT, "persona", "status"),
    _gauge(
        "variant_engagement_ratio",
        "Engagement of an active variant as its system reports it, variant_monitoring.current_er.",
        Unit.RATIO,
        *_POST,
    ),
    _gauge(
        "variant_predicted_engagement_ratio",
        "Engagement that was predicted for an active variant, variants.predicted_er.",
        Unit.RATIO,
        *_POST,
    ),
    _counter("variant_views_total", "Views of an active variant, variant_monitoring.view_count.", *_POST),
    _counter(
        "variant_interactions_total",
        "Interactions with an active variant, variant_monitoring.interaction_count.",
        *_POST,
    ),
    _gauge(
        "variant_posted_timestamp_seconds",
        "When an active variant was posted, variants.posted_at.",
        Unit.TIMESTAMP,
        *_POST,
    ),
    _gauge(
        "variant_last_update_timestamp_seconds",
        "When a variant of the persona last had its figures updated, variant_monitoring.last_updated.",
        Unit.TIMESTAMP,
        *_PERSONA,
    ),
    _counter("variant_kills_total", "Rows of variant_kills by reason.", "persona", "reason"),
    histogram(
        "variant_time_to_kill_seconds",
        "Time from post to kill, variant_kills.posted_at to killed_at.",
        Unit.SECONDS,
        *_PERSONA,
        origin=_ORIGIN,
        buckets=KILL_BUCKETS,
    ),
    _gauge("variant_recent_kills", "Variants killed within the last `window` of the settings.", Unit.COUNT, *_PERSONA),
    _gauge("variant_recent_posts", "Variants posted within the last `window` of the settings.", Unit.COUNT, *_PERSONA),
    _gauge(
        "variant_early_kill_ratio",
        "Share of the variants posted within the last `window` of the settings that have been killed.",
        Unit.RATIO,
        *_PERSONA,
    ),
    _counter("variant_events_total", "Rows of dashboard_events by type.", "persona", "event"),
    _gauge(
        "variant_notifications_active",
        "Whether changes are announced by the database's triggers; 0 means that only polling finds them.",
        Unit.FLAG,
    ),
    # Patterns
    _gauge(
        "variant_pattern_share_ratio",
        "Share of the persona's latest posts that use the pattern.",
        Unit.RATIO,
        *_PATTERN,
    ),
    _gauge(
        "variant_pattern_engagement_ratio",
        "Interactions per view of posts with the pattern: the latest ones (recent) and those before them (history).",
        Unit.RATIO,
        *_PATTERN,
        "period",
    ),
    _gauge(
        "variant_pattern_fatigue_ratio",
        "Geometric mean of a pattern's share of the latest posts and the relative decline of its engagement.",
        Unit.RATIO,
        *_PATTERN,
    ),
    _gauge(
        "variant_pattern_fatigue_error_ratio",
        "Standard error of a pattern's fatigue, from the spread of engagement between posts.",
        Unit.RATIO,
        *_PATTERN,
    ),
    # Inference over the active variants of a persona
    _gauge(
        "variant_observed_views",
        "Views that the statistics of an active variant rest on; like the table's, it may fall.",
        Unit.COUNT,
        *_POST,
    ),
    _gauge(
        "variant_observed_interactions",
        "Interactions that the statistics of an active variant rest on; like the table's, it may fall.",
        Unit.COUNT,
        *_POST,
    ),
    _gauge(
        "variant_compared_views",
        "Views of an active variant at ages that it shares with another one, as many as they count at equal age.",
        Unit.COUNT,
        *_POST,
    ),
    _gauge(
        "variant_compared_interactions",
        "Interactions with an active variant at ages that it shares with another one.",
        Unit.COUNT,
        *_POST,
    ),
    _gauge(
        "variant_engagement_ratio_lower",
        "Lower end of the 95 % credible interval of an active variant's engagement.",
        Unit.RATIO,
        *_POST,
    ),
    _gauge(
        "variant_engagement_ratio_upper",
        "Upper end of the 95 % credible interval of an active variant's engagement.",
        Unit.RATIO,
        *_POST,
    ),
    _gauge(
        "variant_engagement_ratio_upper_anytime",
        "What an active variant's engagement is below with 95 % confidence however often one looks "
        "(upper end of a confidence sequence).",
        Unit.RATIO,
        *_POST,
    ),
    _gauge(
        "variant_probability_best",
        "Posterior probability that, at equal age, the variant has the highest engagement of the persona's active "
        "ones.",
        Unit.RATIO,
        *_POST,
    ),
    _gauge(
        "variant_expected_loss_ratio",
        "Engagement expected to be given up by using only this variant instead of the best active one.",
        Unit.RATIO,
        *_POST,
    ),
    _gauge(
        "variant_lift_ratio",
        "Relative difference of the variant's expected engagement to the best other active one at equal age; 0.1 is "
        "10 % better.",
        Unit.RATIO,
        *_POST,
    ),
    _gauge(
        "variant_suggested_traffic_ratio",
        "Share of traffic that Thompson sampling would give the variant.",
        Unit.RATIO,
        *_POST,
    ),
    _gauge(
        "variant_sequential_p_value",
        "Always-valid p-value of the hypothesis that, at equal age, the variant is not the best active one of its "
        "persona.",
        Unit.ANY,
        *_POST,
    ),
    _gauge(
        "variant_sample_ratio_p_value",
        "Always-valid p-value of the hypothesis that variants posted together share the views as declared, or as "
        "suggested.",
        Unit.ANY,
        *_PERSONA,
    ),
    # What could be done better
    _gauge(
        "variant_optimization_opportunity",
        "Whether the rule sees an opportunity; no sample while there is too little data to judge.",
        Unit.FLAG,
        "persona",
        "opportunity",
        "priority",
    ),
    _gauge(
        "variant_optimization_opportunity_subject_info",
        "Always 1; the variant or pattern that an opportunity which the rule sees is about, the first one of several.",
        Unit.INFO,
        "persona",
        "opportunity",
        "subject",
    ),
    _gauge(
        "variant_optimization_opportunity_info",
        "Always 1; the labels say what an opportunity means and what to do about it.",
        Unit.INFO,
        "opportunity",
        "priority",
        "title",
        "action",
    ),
)
