"""The page `ML API`: is the service up, quick, right in its answers, and within its objectives?"""

from __future__ import annotations

from ml_monitoring.alerting.services.quality_signals import (
    MODEL_ACCURACY,
    MODEL_CONFIDENCE,
    MODEL_LAST_PREDICTION_AGE,
    MODEL_MAE,
    MODEL_PREDICTION_RATE,
    MODEL_R2,
)
from ml_monitoring.alerting.services.signals import (
    API_CACHE_HIT_RATIO,
    API_CACHE_REQUESTS,
    API_ERROR_RATIO,
    API_IN_PROGRESS,
    API_LATENCY_BUCKETS,
    API_LATENCY_P50,
    API_LATENCY_P95,
    API_LATENCY_P99,
    API_PREDICTIONS_RECENT,
    API_RECORDING_ERRORS,
    API_RECORDING_OVERFLOW,
    API_REQUEST_RATE,
    API_ROUTE_P95,
    API_ROUTE_RATE,
    API_STATUS_RATE,
    API_UPTIME,
    API_UTILIZATION,
    API_WEBSOCKETS_OPEN,
    PAGE,
    SLO_BUDGET_LEFT,
    SLO_PAGE_BURNING,
    SLO_TICKET_BURNING,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, gauge, heatmap, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import SHOWN_RANGE, Query
from ml_monitoring.dashboards.lib.style import STATUS_CLASS
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import data_mode, firing_alerts, verdict


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="ML API",
        description="For those on call for a model's service: is it up, quick, and right?",
        folder="ML",
        tags=("service",),
        variables=(
            datasource(),
            label_values("job", "ml_http_requests_total", title="Service"),
            label_values("origin", "ml_http_requests_total", title="Origin", may_be_empty=True),
        ),
        refresh="5s",
        since="now-1h",
        rows=(
            verdict(
                "Is the service up, fast and right?",
                stat(API_ERROR_RATIO, width=3),
                stat(API_LATENCY_P95, title="p95 latency", width=3),
                stat(API_REQUEST_RATE, title="Requests/min", width=3),
                stat(SLO_BUDGET_LEFT, width=7),
                page=PAGE,
            ),
            Row(
                "Errors, latency and requests",
                (
                    timeseries(API_ERROR_RATIO, title="Error ratio over time", height=7),
                    timeseries(API_LATENCY_P95, API_LATENCY_P50, API_LATENCY_P99, title="Latency", height=7),
                    timeseries(API_STATUS_RATE, stacked=True, height=7, colours=STATUS_CLASS),
                    firing_alerts(context, PAGE),
                ),
            ),
            Row(
                "Routes and latency distribution",
                (
                    timeseries(API_ROUTE_RATE),
                    timeseries(Query(API_ROUTE_P95, exemplars=True)),
                    heatmap(API_LATENCY_BUCKETS),
                    timeseries(API_IN_PROGRESS),
                    stat(API_PREDICTIONS_RECENT, title="Predictions", width=12),
                    stat(API_UPTIME, width=12),
                ),
                collapsed=True,
            ),
            Row(
                "SLOs",
                (
                    timeseries(SLO_PAGE_BURNING),
                    timeseries(SLO_TICKET_BURNING),
                ),
                collapsed=True,
            ),
            Row(
                "Cache and resources",
                (
                    gauge(API_CACHE_HIT_RATIO, width=5, height=7),
                    timeseries(API_CACHE_REQUESTS, width=8, height=7),
                    timeseries(API_UTILIZATION, width=11, height=7),
                ),
                collapsed=True,
            ),
            Row(
                "Models and instrumentation",
                (
                    _models(),
                    stat(API_WEBSOCKETS_OPEN, width=6, empty="no WebSockets, or no data from Prometheus"),
                    stat(
                        Query(API_RECORDING_ERRORS, window=SHOWN_RANGE),
                        width=6,
                        empty="no failed recordings, or no data from Prometheus",
                    ),
                    stat(
                        Query(API_RECORDING_OVERFLOW, window=SHOWN_RANGE),
                        width=6,
                        empty="no full metrics, or no data from Prometheus",
                    ),
                    data_mode(width=6),
                ),
                collapsed=True,
            ),
        ),
    )


def _models() -> Panel:
    return table(
        (Column("model", "Model"), Column("model_version", "Version"), Column("variant", "Variant")),
        Query(MODEL_PREDICTION_RATE, name="Predictions per minute"),
        Query(MODEL_ACCURACY, name="Accuracy"),
        Query(MODEL_MAE, name="MAE"),
        Query(MODEL_R2, name="R2"),
        Query(MODEL_CONFIDENCE, name="Confidence"),
        Query(MODEL_LAST_PREDICTION_AGE, name="Time since last prediction"),
        title="Models",
        empty="no predictions of services, or no data from Prometheus",
        sort_by="Variant",
        height=7,
    )
