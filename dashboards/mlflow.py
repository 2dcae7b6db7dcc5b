"""The page `MLflow experiments`: do experiments run, succeed, and get better?"""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.exporter import PAGE as EXPORTER_PAGE
from alerting.signals.mlflow import PAGE
from dashboards.common import firing_alerts
from dashboards.lib.links import cell, page_url
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import Column, Panel, bargauge, stat, table, timeseries
from dashboards.lib.queries import Query
from dashboards.lib.style import RUN_STATUS, Colour
from dashboards.lib.variables import datasource, label_values


def build() -> Page:
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
            label_values("model", "mlflow_model_version_info", title="Model"),
        ),
        rows=(
            Row(
                "What needs attention",
                (
                    stat(_of_store("source_up"), title="Store readable", width=3).linked(
                        "Exporter health", page_url(EXPORTER_PAGE, {"source": "mlflow"})
                    ),
                    stat(_of_store("source_last_success_age"), title="Age of the numbers", width=3),
                    stat(SIGNAL["experiments"], width=4),
                    stat(SIGNAL["runs"], width=10, colours=RUN_STATUS),
                    stat(SIGNAL["runs_running"], width=4, trend=True),
                    _experiments(),
                    firing_alerts(width=7, height=9),
                ),
            ),
            Row(
                "Runs",
                (
                    timeseries(SIGNAL["failed_run_ratio"]),
                    timeseries(SIGNAL["last_success_age"]),
                    timeseries(
                        SIGNAL["recent_runs"], width=8, height=9, stacked=True, stepped=True, colours=RUN_STATUS
                    ),
                    timeseries(SIGNAL["runs_finished"], width=8, height=9, bars=True, stacked=True),
                    timeseries(SIGNAL["oldest_running_age"], width=8, empty="no run is running"),
                ),
            ),
            Row(
                "Quality",
                (
                    timeseries(SIGNAL["metric_shortfall"]),
                    _latest_metrics(),
                    # Metrics have scales of their own, so each gets its own axis.
                    timeseries(
                        Query(SIGNAL["metric_latest"], name="{{experiment}} {{model_variant}}"),
                        Query(SIGNAL["metric_best"], name="best of {{experiment}}", colour=Colour.MUTED, dashed=True),
                        title="$metric: latest and best",
                        width=8,
                        stepped=True,
                    ).repeated("metric"),
                ),
            ),
            Row(
                "Run durations",
                (
                    timeseries(
                        SIGNAL["run_duration_p50"],
                        Query(SIGNAL["run_duration_p95"], dashed=True),
                        title="Run duration",
                        width=16,
                    ),
                    bargauge(Query(SIGNAL["run_duration_mean"], name="{{experiment}}"), width=8),
                ),
            ),
            Row("Registered models", (_model_versions(), _model_metrics())),
            Row(
                "Store",
                (timeseries(SIGNAL["store_rows"]), timeseries(SIGNAL["runs"], title="Runs in the store", stepped=True)),
                collapsed=True,
            ),
        ),
    )


def _of_store(signal: str) -> Query:
    """Return a signal of the exporter's own about its MLflow source."""
    return Query(SIGNAL[signal], where={"source": "mlflow"})


def _runs_with(status: str, name: str) -> Query:
    return Query(SIGNAL["experiment_runs"], where={"status": status}, name=name)


def _experiments() -> Panel:
    only_this = page_url(PAGE, {"experiment": cell("Experiment")})
    return table(
        (Column("experiment", "Experiment", link=("Show only this experiment", only_this)),),
        Query(SIGNAL["last_success_age"], name="Since last success"),
        Query(SIGNAL["failed_run_ratio"], name="Failed share"),
        _runs_with("RUNNING", "Running"),
        _runs_with("FINISHED", "Finished"),
        _runs_with("FAILED", "Failed"),
        _runs_with("KILLED", "Killed"),
        Query(SIGNAL["last_run_age"], name="Since last run"),
        title="Experiments, longest without success first",
        sort_by="Since last success",
        descending=True,
        width=17,
        height=9,
    )


def _latest_metrics() -> Panel:
    return table(
        (
            Column("experiment", "Experiment"),
            Column("model_variant", "Variant"),
            Column("metric", "Metric"),
        ),
        Query(SIGNAL["metric_latest"], name="Latest"),
        Query(SIGNAL["metric_shortfall"], name="Worse than best by"),
        title="Latest run of each variant, worst first",
        sort_by="Worse than best by",
        descending=True,
        width=12,
    )


def _model_versions() -> Panel:
    statuses = {status: (status, colour) for status, colour in RUN_STATUS.items()}
    return table(
        (
            Column("model", "Model"),
            Column("version", "Version"),
            Column("alias", "Alias"),
            Column("run_status", "Its run", values=statuses),
        ),
        SIGNAL["model_versions"],
        title="Model versions",
        empty="no model is registered",
        width=12,
    )


def _model_metrics() -> Panel:
    return table(
        (Column("model", "Model"), Column("alias", "Alias"), Column("metric", "Metric")),
        Query(SIGNAL["model_metric"], name="Value"),
        title="Metrics of aliased models",
        empty="no version with an alias has metrics",
        width=12,
    )
