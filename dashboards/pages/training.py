"""The page `Training`: do trainings under way get on, and do they use their machines?"""

from __future__ import annotations

from ml_monitoring.alerting.mlflow.signals import PAGE as EXPERIMENTS_PAGE
from ml_monitoring.alerting.mlflow.training_signals import (
    NODE_UTILIZATION,
    PAGE,
    TAGGED_COST,
    TRAINING_GPU,
    TRAINING_LABELS,
    TRAINING_NOT_FINITE,
    TRAINING_RISING,
    TRAINING_RUNNING,
    TRAINING_RUNS,
    TRAINING_SILENCE,
    TRAINING_SOURCES,
    TRAINING_STEP_RATE,
    TRAINING_STEPS,
    TRAINING_USERS,
    TRAINING_UTILIZATION,
)
from ml_monitoring.alerting.services.job_recording import STATES
from ml_monitoring.alerting.services.job_signals import (
    JOB_DURATION,
    JOB_FAILED,
    JOB_INTERVAL,
    JOB_LATENESS,
    JOB_STATE,
    JOB_SUCCESS_AGE,
    JOBS_IN_TROUBLE,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell, page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import Colour
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import chosen, firing_alerts, verdict, words_of

# Small tiles have room for few words.
_SHORT = "no data from Prometheus"
_NONE_LATE = "no jobs, or no data from Prometheus"
_NO_RUNS = "no running runs, or no data from Prometheus"
_NO_TRAINING = "no running runs with metrics, or no data from Prometheus"
_NO_SYSTEM_METRICS = "no running runs with MLflow's system metrics, or no data from Prometheus"
_NO_COST = "no costs (see the setting sources.mlflow.cost_tags), or no data from Prometheus"
_NO_JOBS = "no batch jobs with the recorder's job, or no data from Prometheus"
_NO_NODES = "no system metrics with a node id, or no data from Prometheus"
# Alerts of what is chosen above.
_CHOSEN = chosen(experiment="experiment")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="Training",
        description=(
            "For those who train models: which runs under way hang, have lost their loss, or idle machines, "
            "and which batch jobs failed or are late?"
        ),
        folder="ML",
        tags=("mlflow",),
        variables=(
            datasource(),
            label_values("experiment", "mlflow_runs", title="Experiment"),
            label_values("resource", "mlflow_training_utilization_ratio", title="Resource", may_be_empty=True),
        ),
        rows=(
            verdict(
                context,
                "Which trainings hang, lost their loss or leave machines idle, and which jobs failed?",
                stat(TRAINING_RUNS, width=3, empty=_SHORT),
                _worst(Query(TRAINING_SILENCE, highest=1), "Longest silence"),
                _worst(Query(TRAINING_NOT_FINITE, highest=1), "NaN losses"),
                _worst(Query(TRAINING_GPU, lowest=1), "Least used GPU"),
                stat(Query(JOBS_IN_TROUBLE, limits=((">", 0, "warning"),)), empty=_NONE_LATE),
                page=PAGE,
                only=_CHOSEN,
            ),
            Row(
                "Trainings under way, the longest silent first",
                (
                    _trainings(),
                    firing_alerts(context, PAGE, only=_CHOSEN, width=12),
                    timeseries(TRAINING_STEP_RATE, height=7, empty=_NO_TRAINING),
                ),
            ),
            Row(
                "Progress",
                (
                    timeseries(TRAINING_SILENCE, empty=_NO_TRAINING),
                    timeseries(TRAINING_STEPS, bars=True, stacked=True, empty=_NO_TRAINING),
                    timeseries(TRAINING_NOT_FINITE, stepped=True, empty=_NO_TRAINING),
                    timeseries(TRAINING_RISING, stepped=True, empty=_NO_TRAINING),
                ),
                collapsed=True,
            ),
            Row(
                "Batch jobs",
                (
                    _jobs(),
                    timeseries(JOB_LATENESS, empty=_NO_JOBS),
                    timeseries(JOB_FAILED, stepped=True, empty=_NO_JOBS),
                ),
                collapsed=True,
            ),
            Row(
                "Machines",
                (
                    timeseries(TRAINING_GPU, empty=_NO_SYSTEM_METRICS),
                    timeseries(TRAINING_UTILIZATION, empty=_NO_SYSTEM_METRICS),
                    timeseries(NODE_UTILIZATION, width=12, empty=_NO_NODES),
                    _machines(),
                ),
                collapsed=True,
            ),
            Row(
                "Who trains, with what, and what it costs",
                (
                    stat(TRAINING_LABELS, width=24, height=3, show="value_and_name", empty=_NO_RUNS),
                    table(
                        (Column("user", "User"),),
                        TRAINING_USERS,
                        title="Running runs by user",
                        sort_by="Running runs by user",
                        descending=True,
                        width=12,
                        empty=_NO_RUNS,
                    ),
                    table(
                        (Column("source_name", "Source"),),
                        TRAINING_SOURCES,
                        title="Running runs by source",
                        sort_by="Running runs by source",
                        descending=True,
                        width=12,
                        empty=_NO_RUNS,
                    ),
                    timeseries(TAGGED_COST, title="Cost over time", empty=_NO_COST),
                    table(
                        (Column("experiment", "Experiment"), Column("tag", "Tag")),
                        TAGGED_COST,
                        title="Cost by experiment and tag",
                        sort_by="Cost",
                        descending=True,
                        width=12,
                        empty=_NO_COST,
                    ),
                ),
                collapsed=True,
            ),
        ),
    )


def _worst(query: Query, title: str) -> Panel:
    """Return the value of the experiment that is worst in something, with its name."""
    return stat(query, title=title, show="value_and_name", width=3, empty=_SHORT)


def _used(resource: str, name: str) -> Query:
    return Query(TRAINING_UTILIZATION, where={"resource": resource}, name=name)


def _trainings() -> Panel:
    details = page_url(EXPERIMENTS_PAGE, {"experiment": cell("Experiment")})
    return table(
        (Column("experiment", "Experiment", link=("Open the experiment", details)),),
        Query(TRAINING_RUNNING, name="Running"),
        Query(TRAINING_SILENCE, name="Since last metric"),
        Query(TRAINING_STEP_RATE, name="Steps per second"),
        Query(TRAINING_NOT_FINITE, name="NaN or infinite"),
        Query(TRAINING_RISING, name="Rising"),
        Query(TRAINING_GPU, name="Least GPU"),
        _used("gpu", "GPU"),
        _used("gpu_memory", "GPU memory"),
        _used("cpu", "CPU"),
        _used("memory", "Memory"),
        title="Trainings under way",
        empty=_NO_RUNS,
        sort_by="Since last metric",
        descending=True,
        height=9,
    )


def _jobs() -> Panel:
    words = words_of(STATES, Colour.GOOD, Colour.MUTED, Colour.WARNING, Colour.FAILURE)
    return table(
        (Column("job_name", "Job"),),
        Query(JOB_STATE, name="State", values=words),
        Query(JOB_SUCCESS_AGE, name="Since last success"),
        Query(JOB_INTERVAL, name="Due each"),
        Query(JOB_DURATION, name="Last run took"),
        title="Batch jobs",
        empty=_NO_JOBS,
        sort_by="State",
        descending=True,
        height=7,
    )


def _machines() -> Panel:
    def used(resource: str, name: str) -> Query:
        return Query(NODE_UTILIZATION, where={"resource": resource}, name=name)

    return table(
        (Column("node", "Machine"),),
        used("gpu", "GPU"),
        used("gpu_memory", "GPU memory"),
        used("cpu", "CPU"),
        used("memory", "Memory"),
        used("disk", "Disk"),
        title="Machines now",
        sort_by="GPU",
        width=12,
        empty=_NO_NODES,
    )
