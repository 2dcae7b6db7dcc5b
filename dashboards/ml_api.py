"""The page `ML API`: is the service up, quick, right in its answers, and within its objectives?"""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.ml_api import PAGE
from alerting.signals.model_quality import PAGE as QUALITY_PAGE
from dashboards.common import data_mode, firing_alerts
from dashboards.lib.links import page_url
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import Column, Panel, alert_list, gauge, heatmap, stat, table, timeseries
from dashboards.lib.queries import Query
from dashboards.lib.variables import datasource, label_values


def build() -> Page:
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
            Row(
                "Overview",
                (
                    data_mode(width=3),
                    stat(SIGNAL["api_request_rate"], width=3),
                    stat(SIGNAL["api_latency_mean"], title="Mean time", width=3),
                    stat(SIGNAL["api_latency_p95"], title="95th percentile", width=3),
                    stat(SIGNAL["api_latency_p99"], title="99th percentile", width=3),
                    stat(SIGNAL["api_error_ratio"], width=3),
                    stat(SIGNAL["api_predictions_recent"], width=3),
                    stat(SIGNAL["api_uptime"], width=3),
                ),
            ),
            Row("Model performance", (_models(), firing_alerts(width=8, height=7))),
            Row(
                "API performance",
                (
                    timeseries(SIGNAL["api_route_rate"]),
                    timeseries(SIGNAL["api_status_rate"], stacked=True),
                    heatmap(SIGNAL["api_latency_buckets"]),
                    timeseries(
                        SIGNAL["api_latency_p95"],
                        SIGNAL["api_latency_p50"],
                        SIGNAL["api_latency_p99"],
                        title="Response time",
                    ),
                    timeseries(SIGNAL["api_error_ratio"], title="Failed requests over time", width=8),
                    timeseries(SIGNAL["api_route_p95"], width=8),
                    timeseries(SIGNAL["api_in_progress"], width=8),
                    timeseries(Query(SIGNAL["model_accuracy"]), title="Accuracy over time", width=24, height=7).linked(
                        "Model quality", page_url(QUALITY_PAGE, {})
                    ),
                ),
            ),
            Row(
                "Objectives",
                (
                    stat(SIGNAL["slo_budget_left"], width=6, height=8),
                    timeseries(SIGNAL["slo_page_burning"], width=9),
                    timeseries(SIGNAL["slo_ticket_burning"], width=9),
                ),
            ),
            Row(
                "Cache and resources",
                (
                    gauge(SIGNAL["api_cache_hit_ratio"], width=5, height=7),
                    timeseries(SIGNAL["api_cache_requests"], width=8, height=7),
                    timeseries(SIGNAL["api_utilization"], width=11, height=7),
                    stat(SIGNAL["api_cache_size"], width=12, height=4),
                    stat(SIGNAL["api_cache_entries"], width=12, height=4),
                ),
            ),
            Row(
                "WebSockets, instrumentation, recent alerts",
                (
                    timeseries(SIGNAL["api_websockets_open"], width=6, empty="no WebSocket was opened"),
                    timeseries(SIGNAL["api_websockets_ended"], width=6, bars=True, empty="no WebSocket ended"),
                    timeseries(SIGNAL["api_recording_errors"], width=6, bars=True, empty="every recording worked"),
                    timeseries(SIGNAL["api_recording_overflow"], width=6, bars=True, empty="no metric is full"),
                    alert_list("Recent alerts", "Which alerts fired lately?", width=24, height=7),
                ),
            ),
        ),
    )


def _models() -> Panel:
    return table(
        (Column("model", "Model"), Column("model_version", "Version"), Column("variant", "Variant")),
        Query(SIGNAL["model_prediction_rate"], name="Predictions a minute"),
        Query(SIGNAL["model_accuracy"], name="Accuracy"),
        Query(SIGNAL["model_mae"], name="MAE"),
        Query(SIGNAL["model_r2"], name="R2"),
        Query(SIGNAL["model_confidence"], name="Confidence"),
        Query(SIGNAL["model_last_prediction_age"], name="Last prediction"),
        title="Models",
        empty="no service reports predictions",
        sort_by="Variant",
        width=16,
        height=7,
    )
