"""The page `Experiment`: what is known of one experiment, and how did that come about?"""

from __future__ import annotations

from ml_monitoring.alerting.experiments.declared_signals import (
    DETAIL_PAGE,
    EXPERIMENT_ARM_EXPOSURES,
    EXPERIMENT_CHANGE,
    EXPERIMENT_CHANGE_LOWER,
    EXPERIMENT_CHANGE_MARKS,
    EXPERIMENT_CHANGE_UPPER,
    EXPERIMENT_DECISION,
    EXPERIMENT_DECISION_MARKS,
    EXPERIMENT_GUARDRAIL,
    EXPERIMENT_INFO,
    EXPERIMENT_INTENDED,
    EXPERIMENT_LIFT,
    EXPERIMENT_LIFT_LOWER,
    EXPERIMENT_LIFT_UPPER,
    EXPERIMENT_MONEY,
    EXPERIMENT_MONEY_LOWER,
    EXPERIMENT_MONEY_UPPER,
    EXPERIMENT_OVERDISPERSED,
    EXPERIMENT_OVERDISPERSION,
    EXPERIMENT_P_VALUE,
    EXPERIMENT_PROBABILITY_BEST,
    EXPERIMENT_SHARE,
    EXPERIMENT_SOUNDNESS,
    EXPERIMENT_START_MARKS,
    EXPERIMENT_TIME_LEFT,
    EXPERIMENT_TRIALS,
    EXPERIMENT_TRIALS_LEFT,
    EXPERIMENT_VALUE,
    PAGE,
    SOUNDNESS,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import page_url
from ml_monitoring.dashboards.lib.page import Mark, Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, state_timeline, table, timeseries
from ml_monitoring.dashboards.lib.panels.tables import EMPTY_CELL
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import Colour
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import chosen, firing_alerts, verdict, words_of
from ml_monitoring.dashboards.pages.experiments import DECISION_COLOURS, DECISIONS

_SOUNDNESS = words_of(SOUNDNESS, Colour.FAILURE, Colour.WARNING, Colour.GOOD)
_NO_MONEY = "no declared value, or no data from Prometheus"
# Alerts of what is chosen above.
_CHOSEN = chosen(experiment="one_experiment")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=DETAIL_PAGE,
        title="Experiment",
        description="For those who decide on an experiment: what does it say, how sure is that, and is it sound?",
        folder="ML",
        tags=("experiments",),
        since="now-24h",
        variables=(
            datasource(),
            label_values(
                "experiment",
                "ml_monitoring_experiment_info",
                name="one_experiment",
                title="Experiment",
                first_only=True,
                first=(
                    "2 * max by (experiment) (ml_monitoring_experiment_guardrail_breached{<filter>})"
                    " or max by (experiment) (ml_monitoring_experiment_info{<filter>})"
                ),
            ),
            label_values(
                "metric",
                "ml_monitoring_experiment_trials",
                name="experiment_metric",
                title="Metric",
                through={"experiment": "one_experiment"},
            ),
        ),
        marks=(
            Mark(Query(EXPERIMENT_START_MARKS), "{{experiment}} begins", Colour.NOTICE, shown=False),
            Mark(Query(EXPERIMENT_CHANGE_MARKS), "shares of {{experiment}} change", Colour.NEUTRAL, shown=False),
            Mark(Query(EXPERIMENT_DECISION_MARKS), "{{experiment}} is decided", Colour.GOOD),
        ),
        rows=(
            verdict(
                context,
                "What does this experiment say, how sure is that, and is it sound?",
                stat(EXPERIMENT_DECISION, width=8, colours=DECISION_COLOURS).linked(
                    "All experiments", page_url(PAGE, {})
                ),
                stat(EXPERIMENT_SOUNDNESS, values=_SOUNDNESS, width=5),
                stat(EXPERIMENT_TIME_LEFT, width=3, empty=EMPTY_CELL),
                page=DETAIL_PAGE,
                only=_CHOSEN,
            ),
            Row(
                "Reason, alerts, and change from the baseline",
                (
                    _reason(),
                    firing_alerts(context, DETAIL_PAGE, only=_CHOSEN, width=24, height=5),
                    timeseries(
                        Query(EXPERIMENT_CHANGE, name="{{arm}}"),
                        Query(EXPERIMENT_CHANGE_UPPER, name="{{arm}} at most", dashed=True),
                        Query(EXPERIMENT_CHANGE_LOWER, name="{{arm}} at least", dashed=True),
                        # Metrics have ranges of their own, so each gets its own axis.
                        title="$experiment_metric: change from the baseline",
                        width=8,
                        empty="no interval below 100 %, or no data from Prometheus",
                    ).repeated("experiment_metric"),
                ),
            ),
            Row(
                "Metrics",
                (
                    table(
                        (Column("arm", "Arm"), Column("metric", "Metric")),
                        Query(EXPERIMENT_TRIALS, name="Trials"),
                        Query(EXPERIMENT_VALUE, name="Value"),
                        Query(EXPERIMENT_LIFT, name="Change"),
                        Query(EXPERIMENT_LIFT_LOWER, name="At least"),
                        Query(EXPERIMENT_LIFT_UPPER, name="At most"),
                        Query(EXPERIMENT_PROBABILITY_BEST, name="P(best)"),
                        Query(EXPERIMENT_P_VALUE, name="p-value"),
                        title="Arms and metrics",
                        sort_by="Arm",
                    ),
                    timeseries(EXPERIMENT_VALUE, title="Values over time", width=7),
                    timeseries(EXPERIMENT_PROBABILITY_BEST, title="P(best) over time", width=7),
                    timeseries(EXPERIMENT_P_VALUE, title="p-value over time", width=6),
                    stat(EXPERIMENT_TRIALS_LEFT, width=4, height=8, empty=EMPTY_CELL),
                ),
                collapsed=True,
            ),
            Row(
                "Soundness",
                (
                    state_timeline(
                        EXPERIMENT_GUARDRAIL,
                        width=12,
                        height=8,
                        empty="no declared guardrails, or no data from Prometheus",
                    ),
                    state_timeline(EXPERIMENT_OVERDISPERSED, width=12, height=8),
                    timeseries(
                        EXPERIMENT_SHARE, Query(EXPERIMENT_INTENDED, dashed=True), title="Split over time", width=8
                    ),
                    timeseries(EXPERIMENT_ARM_EXPOSURES, width=8),
                    timeseries(EXPERIMENT_OVERDISPERSION, width=8),
                ),
                collapsed=True,
            ),
            Row(
                "Worth",
                (
                    timeseries(
                        Query(EXPERIMENT_MONEY_UPPER, dashed=True),
                        EXPERIMENT_MONEY,
                        Query(EXPERIMENT_MONEY_LOWER, dashed=True),
                        title="Worth a day",
                        width=24,
                        empty=_NO_MONEY,
                    ),
                ),
                collapsed=True,
            ),
        ),
    )


def _reason() -> Panel:
    return table(
        (
            Column("title", "What it asks"),
            Column("decision", "Decision", width=160, values=DECISIONS),
            Column("arm", "Arm", width=120),
            Column("reason", "Why"),
        ),
        EXPERIMENT_INFO,
        EXPERIMENT_DECISION,
        title="Question and answer",
        height=4,
    )
