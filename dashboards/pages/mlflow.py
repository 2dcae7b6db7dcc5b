"""The page `MLflow experiments`: do experiments run, succeed, and get better?"""

from __future__ import annotations

from ml_monitoring.alerting.exporter.signals import PAGE as EXPORTER_PAGE
from ml_monitoring.alerting.exporter.signals import SOURCE_LAST_SUCCESS_AGE
from ml_monitoring.alerting.mlflow.signals import (
    EXPERIMENT_RUNS,
    EXPERIMENTS,
    EXPERIMENTS_STALLED,
    FAILED_RUN_RATIO,
    LAST_RUN_AGE,
    LAST_SUCCESS_AGE,
    METRIC_BEST,
    METRIC_LATEST,
    METRIC_SHORTFALL,
    METRICS_WORSE,
    MOST_WORSE,
    OLDEST_RUNNING_AGE,
    PAGE,
    RECENT_RUNS,
    RUN_DURATION_P50,
    RUN_DURATION_P95,
    RUNS,
    RUNS_FINISHED,
    RUNS_RUNNING,
    WORST_SHORTFALL,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell, page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query, of_source
from ml_monitoring.dashboards.lib.style import RUN_STATUS, Colour
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import chosen, firing_alerts, verdict

# Alerts of what is chosen above.
_CHOSEN = chosen(experiment="experiment")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="MLflow experiments",
        description="For those who train models: which experiments need attention, and which got better?",
        folder="ML",
        tags=("mlflow",),
        variables=(
            datasource(),
            label_values("experiment", "mlflow_runs", title="Experiment"),
            label_values(
                "model_variant", "mlflow_metric_latest", title="Variant", within=("experiment",), may_be_empty=True
            ),
            label_values("metric", "mlflow_metric_best", title="Metric", within=("experiment",)),
        ),
        rows=(
            verdict(
                context,
                "Which experiments run, fail, stall or get worse?",
                stat(RUNS_RUNNING, width=3),
                stat(Query(EXPERIMENTS_STALLED, limits=((">", 0, "warning"),)), width=3),
                stat(
                    Query(FAILED_RUN_RATIO, highest=1),
                    title="Highest failed run ratio",
                    width=5,
                    show="value_and_name",
                    empty="no failed runs, or no data from Prometheus",
                ),
                stat(
                    Query(MOST_WORSE, limits=((">", 0, "warning"),)),
                    width=5,
                    show="value_and_name",
                    empty="no worse metrics, or no data from Prometheus",
                ),
                stat(
                    RECENT_RUNS,
                    title=_recent(context),
                    width=16,
                    show="value_and_name",
                    colours=RUN_STATUS,
                    empty="no runs that ended lately, or no data from Prometheus",
                ),
                stat(EXPERIMENTS),
                stat(of_source(SOURCE_LAST_SUCCESS_AGE, "mlflow"), title="Data age").linked(
                    "Exporter health", page_url(EXPORTER_PAGE, {})
                ),
                page=PAGE,
                only=_CHOSEN,
            ),
            Row(
                "Experiments, longest since a success first; without any at the end",
                (
                    _experiments(),
                    firing_alerts(context, PAGE, only=_CHOSEN),
                    timeseries(FAILED_RUN_RATIO, height=7),
                ),
            ),
            Row(
                "Runs",
                (
                    stat(RUNS, title="Runs in the store", width=24, height=3, show="value_and_name"),
                    timeseries(LAST_SUCCESS_AGE),
                    timeseries(OLDEST_RUNNING_AGE, empty="no running runs, or no data from Prometheus"),
                    timeseries(
                        RECENT_RUNS,
                        title="Ended runs over time",
                        stacked=True,
                        stepped=True,
                        colours=RUN_STATUS,
                    ),
                    timeseries(RUNS_FINISHED, bars=True, stacked=True),
                ),
                collapsed=True,
            ),
            Row(
                "Quality",
                (
                    timeseries(
                        Query(METRIC_SHORTFALL, highest=10), title=f"{METRIC_SHORTFALL.title} (the ten furthest)"
                    ),
                    _latest_metrics(),
                    # Metrics have scales of their own, so each gets its own axis.
                    timeseries(
                        Query(METRIC_LATEST, name="{{experiment}} {{model_variant}}"),
                        Query(METRIC_BEST, name="best of {{experiment}}", colour=Colour.MUTED, dashed=True),
                        title="$metric: latest and best",
                        width=8,
                        stepped=True,
                    ).repeated("metric"),
                ),
                collapsed=True,
            ),
            Row(
                "Run durations",
                (
                    timeseries(
                        RUN_DURATION_P50,
                        Query(RUN_DURATION_P95, dashed=True),
                        title="Run duration",
                        width=24,
                    ),
                ),
                collapsed=True,
            ),
        ),
    )


def _recent(context: PageContext) -> str:
    """Return the title of what ended lately, with the window of the alert that judges it."""
    judging = (alert for alert in context.alerts if alert.name == "MlflowFailedRunRatioHigh")
    windows = [f" ({alert.numbers.parameters['window']})" for alert in judging]
    return f"Ended runs{''.join(windows)}"


def _runs_with(status: str, name: str) -> Query:
    return Query(EXPERIMENT_RUNS, where={"status": status}, name=name)


def _experiments() -> Panel:
    only_this = page_url(PAGE, {"experiment": cell("Experiment")})
    return table(
        (Column("experiment", "Experiment", link=("Show only this experiment", only_this)),),
        Query(LAST_SUCCESS_AGE, name="Since last success"),
        Query(FAILED_RUN_RATIO, name="Failed run ratio"),
        Query(METRICS_WORSE, name="Metrics worse", limits=((">", 0, "warning"),)),
        Query(WORST_SHORTFALL, name="Worst below best"),
        _runs_with("RUNNING", "Running"),
        _runs_with("FINISHED", "Finished"),
        _runs_with("FAILED", "Failed"),
        _runs_with("KILLED", "Killed"),
        Query(LAST_RUN_AGE, name="Since last run"),
        title="Experiment status",
        sort_by="Since last success",
        descending=True,
        height=9,
    )


def _latest_metrics() -> Panel:
    return table(
        (
            Column("experiment", "Experiment"),
            Column("model_variant", "Variant"),
            Column("metric", "Metric"),
        ),
        Query(METRIC_LATEST, name="Latest"),
        Query(METRIC_SHORTFALL, name="Below best"),
        title="Latest runs by variant",
        sort_by="Below best",
        descending=True,
        width=12,
    )
