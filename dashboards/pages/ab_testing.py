"""The page `A/B testing`: how do the variants do on traffic, and is the comparison sound?"""

from __future__ import annotations

from ml_monitoring.alerting.experiments.business_signals import PAGE as BUSINESS_PAGE
from ml_monitoring.alerting.experiments.recording import VERDICTS
from ml_monitoring.alerting.experiments.signals import (
    AB_DECIDED,
    AB_SPLIT,
    AB_SPLIT_P_VALUE,
    AB_VERDICT,
    AB_WORSE_P_VALUE,
    PAGE,
    SPLITS,
    VARIANT_ACCURACY,
    VARIANT_ACCURACY_SHORTFALL,
    VARIANT_ERROR_RATIO,
    VARIANT_ERRORS_DAY,
    VARIANT_LATENCY_MEAN,
    VARIANT_LATENCY_P50,
    VARIANT_LATENCY_P95,
    VARIANT_LATENCY_P99,
    VARIANT_REQUEST_RATE,
    VARIANT_REQUESTS_DAY,
    VARIANT_TRAFFIC_SHARE,
)
from ml_monitoring.alerting.model.settings import Business
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import Colour, Format
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import (
    DIFFERENCE_WORDS,
    colours_of,
    data_mode,
    differences,
    firing_alerts,
    service,
    verdict,
    words_of,
)

_NONE = "no experiments on traffic, or no data from Prometheus"


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="A/B testing",
        description="For those who run experiments: which variant does better on real traffic, and can that be chance?",
        folder="ML",
        tags=("ab-testing",),
        variables=(
            datasource(),
            label_values("variant", "ab_test_requests_total", name="ab_variant", title="Variant"),
            label_values("origin", "ab_test_requests_total", title="Origin", may_be_empty=True),
            service(),
        ),
        rows=(
            verdict(
                context,
                "Which variant is better, and how sure is that?",
                stat(
                    Query(AB_DECIDED, form=Format("suffix: pp", decimals=2)),
                    width=6,
                    show="value_and_name",
                    colours=colours_of(DIFFERENCE_WORDS),
                    empty=_NONE,
                ),
                stat(
                    AB_SPLIT,
                    values=words_of(SPLITS, Colour.FAILURE, Colour.GOOD),
                    empty="no tests, or no data from Prometheus",
                ),
                data_mode(width=3).linked("Business impact", page_url(BUSINESS_PAGE, {})),
                page=PAGE,
                state=_verdict(context.business),
            ),
            Row(
                "Differences and variants",
                (
                    differences(context.business, width=24),
                    _variants(),
                    firing_alerts(context, PAGE, width=24, height=5),
                ),
            ),
            Row(
                "Experiment validity",
                (
                    timeseries(AB_WORSE_P_VALUE, width=8),
                    timeseries(AB_SPLIT_P_VALUE, width=8),
                    timeseries(VARIANT_ACCURACY_SHORTFALL, width=8),
                ),
                collapsed=True,
            ),
            Row(
                "Traffic",
                (
                    timeseries(VARIANT_REQUEST_RATE),
                    timeseries(VARIANT_TRAFFIC_SHARE, stacked=True),
                ),
                collapsed=True,
            ),
            Row(
                "Service",
                (
                    timeseries(
                        VARIANT_LATENCY_P95,
                        VARIANT_LATENCY_P50,
                        VARIANT_LATENCY_P99,
                        VARIANT_LATENCY_MEAN,
                        title="Latency",
                    ),
                    timeseries(VARIANT_ERROR_RATIO),
                    timeseries(VARIANT_ACCURACY, title="Accuracy over time", width=24),
                ),
                collapsed=True,
            ),
        ),
    )


def _verdict(business: Business) -> Panel:
    words = words_of(VERDICTS, Colour.FAILURE, Colour.MUTED, Colour.MUTED, Colour.GOOD, Colour.FAILURE)
    title = f"Verdict on {business.candidate} (candidate) against {business.baseline}"
    return stat(AB_VERDICT, title=title, values=words, width=7, empty=_NONE)


def _variants() -> Panel:
    return table(
        (Column("variant", "Variant"), Column("origin", "Origin")),
        Query(VARIANT_REQUEST_RATE, name="Requests/min"),
        Query(VARIANT_REQUESTS_DAY, name="Requests (24h)"),
        Query(VARIANT_ERRORS_DAY, name="Errors (24h)"),
        Query(VARIANT_TRAFFIC_SHARE, name="Traffic share"),
        Query(VARIANT_LATENCY_P95, name="p95"),
        Query(VARIANT_ERROR_RATIO, name="Error ratio"),
        Query(VARIANT_ACCURACY, name="Accuracy"),
        title="Variants of late",
        empty="no variants of services, or no data from Prometheus",
        sort_by="Variant",
        height=7,
    )
