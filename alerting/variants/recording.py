"""Recorded series about variants.

`max without (instance)` makes one series out of those of several exporters on one database.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.recording import Record

_POST = ("persona", "variant", "pattern")
# The values of `persona_variant_pattern:variant_standing:code`.
STANDINGS: Final = ("worse than the best", "nothing to compare with", "no difference yet", "best, beyond chance")

_UPDATED = "variant_last_update_timestamp_seconds"


def _updates_within(hours: int, *agos: str) -> str:
    """Return how many updates one expects within a span, where the last one is longer ago."""

    def updates(ago: str) -> str:
        return f"max without (instance) (changes({_UPDATED}[{hours}h] offset {ago}))"

    # Traffic has its curve over the day, and other days at weekends.
    known = "\n        or ".join(f'label_replace({updates(ago)}, "ago", "{ago}", "", "")' for ago in agos)
    return f"""
  label_replace(
    (
      min without (ago) (
        {known}
      )
      or max without (instance) (changes({_UPDATED}[{4 * hours}h])) / 3
    )
    and time() - max without (instance) ({_UPDATED}) > {3600 * hours},
    "span", "{hours}h", "", ""
  )"""


# The spans that one waits, the busier the hours the shorter. What lasts a day has no yesterday with updates.
_WITHIN_SPANS = "\n  or".join(
    (*(_updates_within(hours, "1d", "1w") for hours in (1, 2, 4, 8, 16)), _updates_within(24, "1w"))
)

RECORDS: tuple[Record, ...] = (
    Record(
        name="persona:variant_updates_missing:count",
        meaning=(
            "Updates of a persona that there would have been since the last one: as many as in the same hours of "
            "yesterday or of a week ago, of which the fewer count, or else at the pace of the hours before."
        ),
        expr=f"max without (span) ({_WITHIN_SPANS}\n)",
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
    Record(
        name="persona_variant_pattern:variant_standing:code",
        meaning="What a variant is: " + ", ".join(f"{code} {word}" for code, word in enumerate(STANDINGS)) + ".",
        # Either its test says so, or even the upper end of its interval is below another one's lower end.
        expr="""
            2
            + (
              max without (instance) (variant_sequential_p_value)
              < bool <VariantClearWinnerNotExploited.significance>
            )
            - 2 * (
              max without (instance) (variant_engagement_ratio_upper)
              < bool on (cluster, namespace, job, store, persona) group_left ()
              max without (instance, variant, pattern) (variant_engagement_ratio_lower)
            )
            or
            0 * max without (instance) (variant_probability_best) + 1
        """,
        by=_POST,
    ),
)
