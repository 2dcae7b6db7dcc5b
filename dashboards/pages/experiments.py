"""The page `Experiments`: what does each declared experiment say, and what is wrong?"""

from __future__ import annotations

from ml_monitoring.alerting.experiments.declared_signals import (
    DETAIL_PAGE,
    EXPERIMENT_AGE,
    EXPERIMENT_CAVEATS,
    EXPERIMENT_DECIDED,
    EXPERIMENT_DECISION,
    EXPERIMENT_EXPOSURES,
    EXPERIMENT_GUARDRAIL,
    EXPERIMENT_LAG,
    EXPERIMENT_OVERDISPERSED,
    EXPERIMENT_OVERDUE,
    EXPERIMENT_PROCEED,
    EXPERIMENT_SILENCE,
    EXPERIMENT_SPLIT_P_VALUE,
    EXPERIMENT_TIME_LEFT,
    EXPERIMENT_UP,
    EXPERIMENTS_BY_DECISION,
    EXPERIMENTS_HARMFUL,
    EXPERIMENTS_NAMED,
    EXPERIMENTS_NOT_SOUND,
    EXPERIMENTS_RUNNING,
    PAGE,
)
from ml_monitoring.alerting.exporter.signals import PAGE as EXPORTER_PAGE
from ml_monitoring.alerting.exporter.signals import SOURCE_LAST_SUCCESS_AGE
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell, page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, state_timeline, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query, of_source
from ml_monitoring.dashboards.lib.style import Colour
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import chosen, firing_alerts, verdict

DECISIONS = {
    "better": ("better", Colour.GOOD),
    "no difference": ("no difference", Colour.MUTED),
    "worse": ("worse", Colour.WARNING),
    "guardrail breached": ("guardrail breached", Colour.FAILURE),
    "invalid": ("invalid", Colour.FAILURE),
    "unanswerable": ("unanswerable", Colour.WARNING),
    "no data": ("no data", Colour.WARNING),
    "unknown": ("unknown", Colour.WARNING),
    "collecting": ("collecting", Colour.NEUTRAL),
    "planned": ("planned", Colour.MUTED),
}
DECISION_COLOURS = {decision: colour for decision, (_, colour) in DECISIONS.items()}
# Alerts of what is chosen above.
_CHOSEN = chosen(experiment="declared_experiment")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="Experiments",
        description="For those who run experiments: which are decided, which do harm, and which are not sound?",
        folder="ML",
        tags=("experiments",),
        since="now-24h",
        variables=(
            datasource(),
            label_values("experiment", "ml_monitoring_experiment_info", name="declared_experiment", title="Experiment"),
        ),
        rows=(
            verdict(
                context,
                "Which experiments are decided, which do harm, and which are not sound?",
                stat(Query(EXPERIMENTS_HARMFUL, limits=((">", 0, "critical"),)), width=3),
                stat(Query(EXPERIMENTS_NOT_SOUND, limits=((">", 0, "critical"),)), width=3),
                stat(EXPERIMENTS_BY_DECISION, width=10, show="value_and_name", colours=DECISION_COLOURS),
                stat(EXPERIMENTS_NAMED, width=16, colours=DECISION_COLOURS),
                stat(EXPERIMENTS_RUNNING),
                stat(of_source(SOURCE_LAST_SUCCESS_AGE, "experiments"), title="Data age").linked(
                    "Exporter health", page_url(EXPORTER_PAGE, {})
                ),
                page=PAGE,
                only=_CHOSEN,
            ),
            Row(
                "All experiments and alerts",
                (
                    _decisions(),
                    _experiments(),
                    firing_alerts(context, PAGE, DETAIL_PAGE, only=_CHOSEN),
                ),
            ),
            Row(
                "Soundness",
                (
                    _caveats(),
                    state_timeline(
                        EXPERIMENT_GUARDRAIL,
                        width=12,
                        height=8,
                        empty="no declared guardrails, or no data from Prometheus",
                    ),
                    state_timeline(EXPERIMENT_OVERDISPERSED, width=12, height=8),
                    timeseries(EXPERIMENT_SPLIT_P_VALUE, width=12),
                    state_timeline(EXPERIMENT_UP, width=12, height=8),
                ),
                collapsed=True,
            ),
            Row(
                "Course",
                (
                    state_timeline(EXPERIMENT_DECIDED, width=24, height=8),
                    timeseries(EXPERIMENT_SILENCE, width=6),
                    timeseries(EXPERIMENT_LAG, width=6),
                    timeseries(EXPERIMENT_OVERDUE, width=6, empty="no planned end, or no data from Prometheus"),
                    timeseries(EXPERIMENT_TIME_LEFT, width=6, empty="no open question, or no data from Prometheus"),
                ),
                collapsed=True,
            ),
        ),
    )


def _decisions() -> Panel:
    detail = page_url(DETAIL_PAGE, {"one_experiment": cell("Experiment")})
    return table(
        (
            Column("experiment", "Experiment", width=120, link=("The experiment", detail)),
            Column("decision", "Decision", width=140, values=DECISIONS),
            Column("arm", "Arm", width=90),
            Column("reason", "Why"),
        ),
        EXPERIMENT_DECISION,
        title="Decisions",
        height=7,
        empty="no declared experiments, or no data from Prometheus",
    )


def _experiments() -> Panel:
    detail = page_url(DETAIL_PAGE, {"one_experiment": cell("Experiment")})
    return table(
        (Column("experiment", "Experiment", link=("The experiment", detail)),),
        EXPERIMENT_PROCEED,
        EXPERIMENT_AGE,
        EXPERIMENT_EXPOSURES,
        EXPERIMENT_TIME_LEFT,
        title="Progress",
        width=12,
        height=7,
        empty="no declared experiments, or no data from Prometheus",
    )


def _caveats() -> Panel:
    return table(
        (Column("experiment", "Experiment", width=140), Column("caveat", "What the data cannot tell")),
        EXPERIMENT_CAVEATS,
        title="What the data cannot tell",
        height=7,
        empty="no caveats, or no data from Prometheus",
    )
