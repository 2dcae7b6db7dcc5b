"""Recorded series about variants.

`max without (instance)` makes one series out of those of several exporters on one database.
"""

from __future__ import annotations

from ml_monitoring.alerting.model.recording import Record

_POST = ("persona", "variant", "pattern")

RECORDS: tuple[Record, ...] = (
    Record(
        name="persona:variant_updates_missing:count",
        meaning="Updates of a persona that there would have been since the last one, at the pace of a day or week.",
        expr="""
            (time() - max without (instance) (variant_last_update_timestamp_seconds))
            * max without (instance, pace) (
              label_replace(changes(variant_last_update_timestamp_seconds[1d]) / 86400, "pace", "1d", "", "")
              or label_replace(changes(variant_last_update_timestamp_seconds[1w]) / 604800, "pace", "1w", "", "")
            )
        """,
        by=("persona",),
    ),
    Record(
        name="persona_variant_pattern:variant_prediction_difference:ratio",
        meaning="Reported engagement against the prediction: (engagement - predicted) / predicted.",
        expr="""
            max without (instance) (variant_engagement_ratio)
            / (max without (instance) (variant_predicted_engagement_ratio) > 0)
            - 1
        """,
        by=_POST,
    ),
    Record(
        name="persona_variant_pattern:variant_prediction_shortfall:ratio",
        meaning="How far the engagement is below the prediction beyond chance (95 %); 0 when it is not.",
        # An interval that holds for one look misses sooner or later when looked at all the time. With few views this
        # one is wide and reaches the prediction.
        expr="""
            clamp_min(
              1
              - max without (instance) (variant_engagement_ratio_upper_anytime)
              / (max without (instance) (variant_predicted_engagement_ratio) > 0),
              0
            )
        """,
        by=_POST,
    ),
    Record(
        name="persona_variant_pattern:variant_traffic:ratio",
        meaning=(
            "Share of the persona's views in the window of VariantClearWinnerNotExploited, of variants that are active;"
            " absent without views."
        ),
        # Without the last line, a variant that was killed would keep its share until it has left the window.
        expr="""
            max without (instance) (increase(variant_views_total[<VariantClearWinnerNotExploited.window>]))
            / ignoring (variant, pattern) group_left ()
            (
              sum without (variant, pattern) (
                max without (instance) (increase(variant_views_total[<VariantClearWinnerNotExploited.window>]))
              ) > 0
            )
            and max without (instance) (variant_observed_views)
        """,
        by=_POST,
    ),
)
