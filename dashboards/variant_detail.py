"""The page `Variant detail`: what is known of one variant, and how did that come about?"""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.variant_each import DETAIL_PAGE, PAGE
from dashboards.common import firing_alerts
from dashboards.lib.links import page_url
from dashboards.lib.page import Mark, Page, Row
from dashboards.lib.panels import stat, timeseries
from dashboards.lib.queries import Query
from dashboards.lib.style import Colour
from dashboards.lib.variables import datasource, label_values


def build() -> Page:
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
                "variant", "variant_predicted_engagement_ratio", title="Variant", within=("persona",), first_only=True
            ),
            label_values(
                "pattern", "variant_predicted_engagement_ratio", title="Pattern", within=("persona",), may_be_empty=True
            ),
        ),
        marks=(Mark(Query(SIGNAL["variant_winner_marks"]), "{{persona}}: {{variant}}", Colour.GOOD),),
        rows=(
            Row(
                "How good is it?",
                (
                    stat(SIGNAL["variant_observed_views"], width=3),
                    stat(SIGNAL["variant_observed_interactions"], width=3),
                    stat(SIGNAL["variant_age"], width=3),
                    stat(Query(SIGNAL["variant_prediction_difference"]), width=4).linked(
                        "All variants", page_url(PAGE, {})
                    ),
                    stat(SIGNAL["variant_lift"], width=4),
                    stat(SIGNAL["variant_sequential_p_value"], title="Best by chance? (p)", width=4),
                    stat(SIGNAL["variant_probability_best"], width=3),
                    timeseries(
                        Query(SIGNAL["variant_engagement_upper"], name="{{variant}} 97.5 %", dashed=True),
                        Query(SIGNAL["variant_engagement"], name="{{variant}} reported"),
                        Query(SIGNAL["variant_engagement_lower"], name="{{variant}} 2.5 %", dashed=True),
                        Query(SIGNAL["variant_predicted_engagement"], name="{{variant}} predicted"),
                        title="Engagement: reported, predicted and 95 % interval of the posterior",
                        width=24,
                        height=10,
                    ),
                ),
            ),
            Row(
                "Against the others",
                (
                    timeseries(SIGNAL["variant_probability_best"], title="Probability of being best over time"),
                    timeseries(SIGNAL["variant_expected_loss"]),
                    timeseries(
                        Query(SIGNAL["variant_traffic"], name="{{variant}} gets"),
                        Query(SIGNAL["variant_suggested_traffic"], name="{{variant}} suggested", dashed=True),
                        title="Share of traffic: at present and suggested",
                        width=8,
                    ),
                    timeseries(SIGNAL["variant_sequential_p_value"], title="Always-valid p-value over time", width=8),
                    timeseries(SIGNAL["variant_leader_traffic"], width=8, empty="no variant is ahead"),
                ),
            ),
            Row(
                "Against the prediction",
                (
                    timeseries(SIGNAL["variant_prediction_shortfall"], width=8),
                    timeseries(SIGNAL["variant_new_view_engagement"], width=8),
                    firing_alerts(width=8),
                ),
            ),
        ),
    )
