"""The page `Variant performance`: what performs, what was killed and why, and what could be done better?"""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.exporter import PAGE as EXPORTER_PAGE
from alerting.signals.variant_each import DETAIL_PAGE, PAGE
from dashboards.common import firing_alerts
from dashboards.lib.links import cell, page_url
from dashboards.lib.page import Mark, Page, Row
from dashboards.lib.panels import Column, Panel, bargauge, rows, stat, table, timeseries
from dashboards.lib.queries import SHOWN_RANGE, Query
from dashboards.lib.style import Colour
from dashboards.lib.variables import datasource, label_values, variants_datasource

_PRIORITY = {"high": Colour.WARNING, "medium": Colour.NOTICE, "low": Colour.NEUTRAL}
# What is shown of the content is cut: it has any length and shape. Dollar quotes, since a name may hold a quote.
_FEED = """\
select created_at as "Time", event_type as "Event", persona_id as "Persona", variant_id as "Variant",
       left(event_data::text, 200) as "Data"
from dashboard_events
where $__timeFilter(created_at) and (persona_id is null or persona_id ~ $names$^(${persona:regex})$$names$)
order by created_at desc, id desc limit 100"""


def build() -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="Variant performance",
        description="For those who run content variants: what performs, what was killed and why, and what to do next?",
        folder="Growth",
        tags=("variants",),
        since="now-1h",
        refresh="15s",
        variables=(
            datasource(),
            variants_datasource(),
            label_values("persona", "variants", title="Persona"),
            label_values(
                "pattern", "variant_predicted_engagement_ratio", title="Pattern", within=("persona",), may_be_empty=True
            ),
            label_values("status", "variants", title="Status", within=("persona",)),
        ),
        marks=(
            Mark(Query(SIGNAL["variant_kill_marks"]), "{{persona}}: {{reason}}", Colour.WARNING),
            Mark(Query(SIGNAL["variant_winner_marks"]), "{{persona}}: {{variant}}", Colour.GOOD),
        ),
        rows=(
            Row(
                "How is it going?",
                (
                    stat(SIGNAL["variants_active"], width=3),
                    stat(SIGNAL["average_engagement"], width=4, trend=True),
                    stat(SIGNAL["variant_recent_kills_sum"], width=3),
                    stat(SIGNAL["variant_time_to_kill_overall"], width=4),
                    stat(SIGNAL["variant_notifications"], width=3, states=("polling", "announced")),
                    stat(
                        Query(SIGNAL["source_last_success_age"], where={"source": "variants"}),
                        title="Age of the numbers",
                        width=3,
                    ).linked("Exporter health", page_url(EXPORTER_PAGE, {"source": "variants"})),
                    stat(SIGNAL["variant_update_age"], width=4),
                    _opportunities(),
                    firing_alerts(width=8, height=8),
                ),
            ),
            Row(
                "Active variants",
                (
                    _active(),
                    bargauge(
                        Query(SIGNAL["variant_probability_best"], name="{{persona}} {{variant}}"),
                        title="Leaders: probability of being best",
                        width=8,
                        height=10,
                    ),
                    timeseries(SIGNAL["variant_engagement"], width=8, height=10),
                    timeseries(SIGNAL["variant_split_p_value"], width=8, height=10),
                ),
            ),
            Row(
                "Kills",
                (
                    timeseries(SIGNAL["variant_early_kill_ratio"], width=8),
                    timeseries(
                        SIGNAL["variant_kills"], width=8, bars=True, stacked=True, empty="no variant was killed"
                    ),
                    _kill_reasons(),
                    timeseries(
                        SIGNAL["variant_time_to_kill_mean"],
                        Query(SIGNAL["variant_time_to_kill_p90"], dashed=True),
                        title="Time to kill, mean and 90th percentile",
                        width=12,
                    ),
                    _personas(),
                ),
            ),
            Row(
                "Patterns",
                (
                    timeseries(SIGNAL["variant_pattern_fatigue"], width=8),
                    timeseries(SIGNAL["variant_pattern_engagement"], width=8),
                    timeseries(SIGNAL["variant_pattern_share"], width=8),
                ),
            ),
            Row(
                "Activity",
                (
                    timeseries(SIGNAL["persona_engagement"], width=8),
                    timeseries(SIGNAL["variant_views_rate"], width=8),
                    timeseries(SIGNAL["variants_by_status"], width=8, stepped=True),
                    timeseries(SIGNAL["variant_events"], width=8, bars=True, stacked=True),
                    rows(
                        "Events",
                        "What does the variant system report, event by event?",
                        _FEED,
                        width=16,
                        empty="no event in this time",
                    ),
                ),
            ),
        ),
    )


def _opportunities() -> Panel:
    priorities = {priority: (priority, colour) for priority, colour in _PRIORITY.items()}
    return table(
        (
            Column("priority", "Priority", width=80, values=priorities),
            Column("persona", "Persona", width=140),
            Column("title", "What"),
            Column("action", "What to do"),
        ),
        SIGNAL["variant_opportunities"],
        title="Optimization opportunities",
        empty="nothing to improve is known",
        sort_by="Priority",
        width=16,
    )


def _active() -> Panel:
    detail = page_url(DETAIL_PAGE, {"persona": cell("Persona"), "variant": cell("Variant")})
    return table(
        (
            Column("persona", "Persona"),
            Column("variant", "Variant", link=("Posterior over time", detail)),
            Column("pattern", "Pattern"),
        ),
        Query(SIGNAL["variant_engagement"], name="Engagement"),
        Query(SIGNAL["variant_predicted_engagement"], name="Predicted"),
        Query(SIGNAL["variant_prediction_difference"], name="Difference"),
        Query(SIGNAL["variant_observed_views"], name="Views"),
        Query(SIGNAL["variant_observed_interactions"], name="Interactions"),
        Query(SIGNAL["variant_age"], name="Since post"),
        Query(SIGNAL["variant_probability_best"], name="Best with"),
        Query(SIGNAL["variant_engagement_lower"], name="95 % from"),
        Query(SIGNAL["variant_engagement_upper"], name="to"),
        Query(SIGNAL["variant_traffic"], name="Traffic"),
        Query(SIGNAL["variant_suggested_traffic"], name="Suggested"),
        Query(SIGNAL["variant_sequential_p_value"], name="p"),
        title="Active variants, likeliest best first",
        sort_by="Best with",
        descending=True,
        height=11,
    )


def _kill_reasons() -> Panel:
    return table(
        (Column("persona", "Persona"), Column("reason", "Reason")),
        Query(SIGNAL["variant_kills"], name="Kills", window=SHOWN_RANGE),
        title="Kills in this time range by reason",
        empty="no variant was killed",
        sort_by="Kills",
        descending=True,
        width=8,
    )


def _personas() -> Panel:
    only_this = page_url(PAGE, {"persona": cell("Persona")})
    return table(
        (Column("persona", "Persona", link=("Show only this persona", only_this)),),
        Query(SIGNAL["variant_recent_posts"], name="Posts"),
        Query(SIGNAL["variant_recent_kills"], name="Kills"),
        Query(SIGNAL["variant_early_kill_ratio"], name="Killed early"),
        Query(SIGNAL["variant_time_to_kill_mean"], name="Mean time to kill"),
        Query(SIGNAL["variant_split_p_value"], name="Split p"),
        Query(SIGNAL["variant_update_age"], name="Since update"),
        title="Personas, most killed first",
        sort_by="Killed early",
        descending=True,
        width=12,
    )
