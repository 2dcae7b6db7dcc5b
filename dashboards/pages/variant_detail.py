"""The page `Variant detail`: what is known of one variant, and how did that come about?"""

from __future__ import annotations

from ml_monitoring.alerting.variants.signals import VARIANT_WINNER_MARKS
from ml_monitoring.alerting.variants.variant_signals import (
    DETAIL_PAGE,
    PAGE,
    VARIANT_AGE,
    VARIANT_COMPARED_ENGAGEMENT,
    VARIANT_COMPARED_VIEWS,
    VARIANT_ENGAGEMENT,
    VARIANT_ENGAGEMENT_LOWER,
    VARIANT_ENGAGEMENT_UPPER,
    VARIANT_LEADER_TRAFFIC,
    VARIANT_LIFT,
    VARIANT_NEW_VIEW_ENGAGEMENT,
    VARIANT_OBSERVED_INTERACTIONS,
    VARIANT_OBSERVED_VIEWS,
    VARIANT_PREDICTED_ENGAGEMENT,
    VARIANT_PREDICTION_DIFFERENCE,
    VARIANT_PREDICTION_SHORTFALL,
    VARIANT_PROBABILITY_BEST,
    VARIANT_STANDING,
    VARIANT_SUGGESTED_TRAFFIC,
    VARIANT_TRAFFIC,
    VARIANTS_ENGAGEMENT,
    VARIANTS_LIFT,
    VARIANTS_LOWER,
    VARIANTS_STANDING,
    VARIANTS_UPPER,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell, page_url
from ml_monitoring.dashboards.lib.page import Mark, Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import Colour
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import STANDING_WORDS, chosen, colours_of, firing_alerts, verdict

_NONE = "no active variant, or no data from Prometheus"
# Alerts of what is chosen above.
_CHOSEN = chosen(persona="persona", variant="one_variant")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=DETAIL_PAGE,
        title="Variant detail",
        description="For those who decide on a variant: how sure is it that this one is good, bad or the best?",
        folder="Growth",
        tags=("variants",),
        since="now-1h",
        refresh="15s",
        variables=(
            datasource(),
            label_values("persona", "variants", title="Persona"),
            label_values(
                "variant",
                "variant_predicted_engagement_ratio",
                name="one_variant",
                title="Variant",
                within=("persona",),
                first_only=True,
                # The winner of all personas, or who is ahead where there is something to compare with.
                first=(
                    "max by (variant) (persona_variant_pattern:variant_standing:code{<filter>} > 1)"
                    " + max by (variant) (variant_probability_best{<filter>})"
                    " or max by (variant) (variant_probability_best{<filter>} - 1)"
                ),
            ),
            label_values(
                "pattern", "variant_predicted_engagement_ratio", title="Pattern", within=("persona",), may_be_empty=True
            ),
        ),
        marks=(Mark(Query(VARIANT_WINNER_MARKS), "{{persona}}: {{variant}}", Colour.GOOD),),
        rows=(
            verdict(
                context,
                "Is this variant better than the others, or is it chance?",
                stat(VARIANT_STANDING, title="Verdict", values=STANDING_WORDS, width=8, empty=_NONE).linked(
                    "All variants", page_url(PAGE, {})
                ),
                stat(
                    VARIANT_LIFT,
                    width=8,
                    show="value_and_name",
                    colours=colours_of(STANDING_WORDS),
                    empty="no variant to compare with, or no data from Prometheus",
                ),
                page=DETAIL_PAGE,
                only=_CHOSEN,
            ),
            Row(
                "This variant beside the others",
                (
                    _beside_others(),
                    timeseries(
                        Query(VARIANT_ENGAGEMENT, name="{{variant}} reported"),
                        Query(VARIANT_ENGAGEMENT_UPPER, name="{{variant}} 97.5 %", colour=Colour.MUTED, dashed=True),
                        Query(VARIANT_ENGAGEMENT_LOWER, name="{{variant}} 2.5 %", colour=Colour.MUTED, dashed=True),
                        Query(VARIANT_PREDICTED_ENGAGEMENT, name="{{variant}} predicted", colour=Colour.SECOND),
                        title="Engagement: reported, predicted, 95 % credible interval",
                    ),
                    firing_alerts(context, DETAIL_PAGE, only=_CHOSEN, height=8),
                ),
            ),
            Row(
                "Comparison with other variants",
                (
                    timeseries(VARIANT_PROBABILITY_BEST, title="P(best) over time", width=24),
                    timeseries(VARIANT_COMPARED_ENGAGEMENT, width=12),
                    timeseries(VARIANT_COMPARED_VIEWS, width=12),
                    timeseries(
                        Query(VARIANT_TRAFFIC, name="{{variant}} gets"),
                        Query(VARIANT_SUGGESTED_TRAFFIC, name="{{variant}} suggested", dashed=True),
                        title="Traffic share: current vs suggested",
                        width=12,
                    ),
                    timeseries(
                        VARIANT_LEADER_TRAFFIC,
                        width=12,
                        empty="no traffic while the variant is not ahead, or no data from Prometheus",
                    ),
                ),
                collapsed=True,
            ),
            Row(
                "Comparison with prediction",
                (
                    stat(VARIANT_PREDICTION_DIFFERENCE, width=6),
                    stat(VARIANT_OBSERVED_VIEWS, width=6),
                    stat(VARIANT_OBSERVED_INTERACTIONS, width=6),
                    stat(VARIANT_AGE, width=6),
                    timeseries(VARIANT_PREDICTION_SHORTFALL, width=12),
                    timeseries(VARIANT_NEW_VIEW_ENGAGEMENT, width=12),
                ),
                collapsed=True,
            ),
        ),
    )


def _beside_others() -> Panel:
    this = page_url(DETAIL_PAGE, {"persona": cell("Persona"), "variant": cell("Variant")})
    return table(
        (
            Column("persona", "Persona"),
            Column("variant", "Variant", link=("Show this variant", this)),
            Column("pattern", "Pattern"),
        ),
        Query(VARIANTS_STANDING, name="Verdict", values=STANDING_WORDS),
        Query(VARIANTS_ENGAGEMENT, name="Engagement"),
        Query(VARIANTS_LOWER, name="95 % low"),
        Query(VARIANTS_UPPER, name="95 % high"),
        Query(VARIANTS_LIFT, name="vs best other"),
        title="All variants of the persona",
        sort_by="Verdict",
        descending=True,
        height=8,
    )
