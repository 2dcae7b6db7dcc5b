"""The page `Variant performance`: what performs, what was killed and why, and what could be done better?"""

from __future__ import annotations

from ml_monitoring.alerting.exporter.signals import PAGE as EXPORTER_PAGE
from ml_monitoring.alerting.exporter.signals import SOURCE_LAST_SUCCESS_AGE
from ml_monitoring.alerting.variants.signals import (
    AVERAGE_ENGAGEMENT,
    PERSONA_ENGAGEMENT,
    VARIANT_EARLY_KILL_RATIO,
    VARIANT_KILL_MARKS,
    VARIANT_KILLS,
    VARIANT_NOTIFICATIONS,
    VARIANT_OPPORTUNITIES,
    VARIANT_PATTERN_ENGAGEMENT,
    VARIANT_PATTERN_FATIGUE,
    VARIANT_PATTERN_SHARE,
    VARIANT_RECENT_KILLS,
    VARIANT_RECENT_POSTS,
    VARIANT_TIME_TO_KILL_OVERALL,
    VARIANT_TIME_TO_KILL_P90,
    VARIANT_UPDATE_AGE,
    VARIANT_VIEWS_RATE,
    VARIANT_WINNER_MARKS,
    VARIANTS_ACTIVE,
)
from ml_monitoring.alerting.variants.variant_signals import (
    DETAIL_PAGE,
    PAGE,
    VARIANT_AGE,
    VARIANT_ENGAGEMENT,
    VARIANT_ENGAGEMENT_LOWER,
    VARIANT_ENGAGEMENT_UPPER,
    VARIANT_OBSERVED_INTERACTIONS,
    VARIANT_OBSERVED_VIEWS,
    VARIANT_PREDICTION_DIFFERENCE,
    VARIANT_PROBABILITY_BEST,
    VARIANT_SPLIT_P_VALUE,
    VARIANT_STANDING,
    VARIANT_WINNER,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell, page_url
from ml_monitoring.dashboards.lib.page import Mark, Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, bargauge, rows, stat, table, timeseries
from ml_monitoring.dashboards.lib.panels.tables import EMPTY_CELL
from ml_monitoring.dashboards.lib.queries import SHOWN_RANGE, STEP, Query, of_source
from ml_monitoring.dashboards.lib.style import Colour
from ml_monitoring.dashboards.lib.variables import datasource, label_values, variants_datasource
from ml_monitoring.dashboards.pages.common import STANDING_WORDS, chosen, firing_alerts, verdict

_PRIORITY = {"high": Colour.WARNING, "medium": Colour.NOTICE, "low": Colour.NEUTRAL}
# What is shown of the content is cut: it has any length and shape. Dollar quotes, since a name may hold a quote.
_FEED = """\
select created_at as "Time", event_type as "Event", persona_id as "Persona", variant_id as "Variant",
       left(event_data::text, 200) as "Data"
from dashboard_events
where $__timeFilter(created_at) and (persona_id is null or persona_id ~ $names$^(${persona:regex})$$names$)
order by created_at desc, id desc limit 100"""
# Alerts of what is chosen above.
_CHOSEN = chosen(persona="persona", pattern="pattern")


def build(context: PageContext) -> Page:
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
        ),
        marks=(
            Mark(Query(VARIANT_KILL_MARKS, window=STEP), "{{persona}}: {{reason}}", Colour.WARNING, shown=False),
            Mark(Query(VARIANT_WINNER_MARKS), "{{persona}}: {{variant}}", Colour.GOOD, shown=False),
        ),
        rows=(
            verdict(
                context,
                "What performs, what was killed, what is worn out?",
                stat(
                    VARIANT_WINNER,
                    width=4,
                    show="value_and_name",
                    colours={"is best": Colour.GOOD},
                    empty="no variant, or no data from Prometheus",
                ),
                stat(
                    Query(VARIANT_RECENT_KILLS, highest=3),
                    title="Most kills (24 h by default)",
                    width=5,
                    show="value_and_name",
                ),
                stat(
                    Query(VARIANT_PATTERN_FATIGUE, highest=1),
                    title="Most worn, of 100 %",
                    width=4,
                    show="value_and_name",
                    empty=EMPTY_CELL,
                ),
                stat(
                    of_source(SOURCE_LAST_SUCCESS_AGE, "variants"),
                    title="Data age",
                    width=3,
                ).linked("Exporter health", page_url(EXPORTER_PAGE, {})),
                page=PAGE,
                only=_CHOSEN,
            ),
            Row(
                "What to do next",
                (
                    _opportunities(),
                    _active(),
                    firing_alerts(context, PAGE, only=_CHOSEN, width=24, height=6),
                ),
            ),
            Row(
                "Leaders and traffic",
                (
                    bargauge(
                        Query(VARIANT_PROBABILITY_BEST, name="{{persona}} {{variant}}"),
                        title="Leaders by P(best)",
                        width=12,
                        height=10,
                        ranked=True,
                    ),
                    timeseries(VARIANT_SPLIT_P_VALUE, width=12, height=10),
                ),
                collapsed=True,
            ),
            Row(
                "Kills",
                (
                    timeseries(VARIANT_EARLY_KILL_RATIO),
                    _kill_reasons(),
                    _personas(),
                    stat(VARIANT_TIME_TO_KILL_OVERALL, width=8),
                    stat(VARIANT_NOTIFICATIONS, width=8, states=("polling", "active")),
                    stat(VARIANT_UPDATE_AGE, width=8),
                ),
                collapsed=True,
            ),
            Row(
                "Patterns",
                (
                    timeseries(VARIANT_PATTERN_FATIGUE),
                    timeseries(VARIANT_PATTERN_SHARE),
                    _patterns(),
                ),
                collapsed=True,
            ),
            Row(
                "Activity",
                (
                    stat(VARIANTS_ACTIVE, width=12),
                    stat(AVERAGE_ENGAGEMENT, width=12),
                    timeseries(PERSONA_ENGAGEMENT),
                    timeseries(VARIANT_VIEWS_RATE),
                    rows(
                        "Events",
                        "What does the variant system report, event by event?",
                        _FEED,
                        width=24,
                        empty="no events in this time, or no data from PostgreSQL",
                    ),
                ),
                collapsed=True,
            ),
        ),
    )


def _opportunities() -> Panel:
    priorities = {priority: (priority, colour) for priority, colour in _PRIORITY.items()}
    return table(
        (
            Column("priority", "Priority", width=80, values=priorities),
            Column("persona", "Persona", width=140),
            Column("title", "Opportunity", width=270),
            Column("subject", "Which", width=150),
            Column("action", "Action"),
        ),
        VARIANT_OPPORTUNITIES,
        title="Optimization opportunities",
        empty="no optimization opportunities, or no data from Prometheus",
        sort_by="Priority",
        height=6,
    )


def _active() -> Panel:
    detail = page_url(DETAIL_PAGE, {"persona": cell("Persona"), "variant": cell("Variant")})
    return table(
        (
            Column("persona", "Persona"),
            Column("variant", "Variant", link=("Posterior over time", detail)),
            Column("pattern", "Pattern"),
        ),
        Query(VARIANT_STANDING, name="Verdict", values=STANDING_WORDS),
        Query(VARIANT_ENGAGEMENT, name="Engagement"),
        Query(VARIANT_ENGAGEMENT_LOWER, name="95 % low"),
        Query(VARIANT_ENGAGEMENT_UPPER, name="95 % high"),
        Query(VARIANT_PREDICTION_DIFFERENCE, name="vs predicted"),
        Query(VARIANT_OBSERVED_VIEWS, name="Views"),
        Query(VARIANT_OBSERVED_INTERACTIONS, name="Interactions"),
        Query(VARIANT_AGE, name="Since post"),
        title="Active variants, the best first",
        sort_by="Verdict",
        descending=True,
        height=13,
    )


def _kill_reasons() -> Panel:
    return table(
        (Column("persona", "Persona"), Column("reason", "Reason")),
        Query(VARIANT_KILLS, name="Kills", window=SHOWN_RANGE),
        title="Kills by reason (selected range)",
        empty="no killed variants, or no data from Prometheus",
        sort_by="Kills",
        descending=True,
        width=12,
    )


def _patterns() -> Panel:
    return table(
        (Column("persona", "Persona"), Column("pattern", "Pattern"), Column("period", "Period")),
        Query(VARIANT_PATTERN_ENGAGEMENT, name="Engagement"),
        title="Engagement by pattern",
    )


def _personas() -> Panel:
    only_this = page_url(PAGE, {"persona": cell("Persona")})
    return table(
        (Column("persona", "Persona", link=("Show only this persona", only_this)),),
        Query(VARIANT_RECENT_POSTS, name="Posts"),
        Query(VARIANT_RECENT_KILLS, name="Kills"),
        Query(VARIANT_EARLY_KILL_RATIO, name="Early kill ratio"),
        Query(VARIANT_TIME_TO_KILL_P90, name="Time to kill (p90)"),
        Query(VARIANT_SPLIT_P_VALUE, name="SRM p-value"),
        Query(VARIANT_UPDATE_AGE, name="Since update"),
        title="Personas by early kills",
        sort_by="Early kill ratio",
        descending=True,
        width=24,
    )
