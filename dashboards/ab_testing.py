"""The page `A/B testing`: how do the variants do on traffic, and is the comparison sound?"""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.ab_testing import PAGE
from alerting.signals.business import PAGE as BUSINESS_PAGE
from alerting.signals.mlflow import PAGE as MLFLOW_PAGE
from dashboards.common import data_mode, firing_alerts
from dashboards.lib.links import page_url
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import Column, Panel, bargauge, stat, table, timeseries
from dashboards.lib.queries import Query
from dashboards.lib.style import RUN_STATUS
from dashboards.lib.variables import datasource, label_values


def build() -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="A/B testing",
        description="For those who run experiments: which variant does better on real traffic, and can that be chance?",
        folder="ML",
        tags=("ab-testing",),
        variables=(
            datasource(),
            label_values("variant", "ab_test_requests_total", title="Variant"),
            label_values("origin", "ab_test_requests_total", title="Origin", may_be_empty=True),
        ),
        rows=(
            Row(
                "Status",
                (
                    data_mode(width=3).linked("Business impact", page_url(BUSINESS_PAGE, {})),
                    stat(SIGNAL["variant_requests_day"], width=5),
                    stat(SIGNAL["variant_errors_day"], width=4),
                    stat(SIGNAL["variant_accuracy"], width=4),
                    stat(SIGNAL["runs"], title="MLflow runs", width=8, colours=RUN_STATUS).linked(
                        "MLflow experiments", page_url(MLFLOW_PAGE, {})
                    ),
                    _variants(),
                    firing_alerts(width=8, height=7),
                ),
            ),
            Row(
                "Is the comparison sound?",
                (
                    stat(SIGNAL["ab_improvement"], width=6),
                    timeseries(SIGNAL["ab_improvement_p_value"], width=9),
                    timeseries(SIGNAL["ab_split_p_value"], width=9),
                    timeseries(SIGNAL["variant_accuracy_shortfall"], width=12),
                    bargauge(SIGNAL["ab_trials"], width=12),
                ),
            ),
            Row(
                "Traffic",
                (
                    timeseries(SIGNAL["variant_request_rate"]),
                    timeseries(SIGNAL["variant_traffic_share"], stacked=True),
                ),
            ),
            Row(
                "Service",
                (
                    timeseries(
                        SIGNAL["variant_latency_p95"],
                        SIGNAL["variant_latency_p50"],
                        SIGNAL["variant_latency_p99"],
                        SIGNAL["variant_latency_mean"],
                        title="Response time",
                    ),
                    timeseries(SIGNAL["variant_error_ratio"]),
                    timeseries(SIGNAL["variant_accuracy"], title="Accuracy over time"),
                    timeseries(SIGNAL["ab_improvement"], title="Improvement over time"),
                ),
            ),
        ),
    )


def _variants() -> Panel:
    return table(
        (Column("variant", "Variant"), Column("origin", "Origin")),
        Query(SIGNAL["variant_request_rate"], name="Requests a minute"),
        Query(SIGNAL["variant_traffic_share"], name="Share"),
        Query(SIGNAL["variant_latency_p95"], name="p95"),
        Query(SIGNAL["variant_error_ratio"], name="Failed"),
        Query(SIGNAL["variant_accuracy"], name="Accuracy"),
        title="Variants now",
        empty="no service reports variants",
        sort_by="Variant",
        width=16,
        height=7,
    )
