"""The page `Business impact`: what is the candidate worth, on which data, and what should be done?"""

from __future__ import annotations

from ml_monitoring.alerting.experiments.business_recording import BASES, RECOMMENDATIONS
from ml_monitoring.alerting.experiments.business_signals import (
    BUSINESS_ACCURACY,
    BUSINESS_BASIS,
    BUSINESS_COST,
    BUSINESS_ERRORS,
    BUSINESS_LATENCY,
    BUSINESS_NET,
    BUSINESS_NET_ANNUAL,
    BUSINESS_PART,
    BUSINESS_PAYBACK,
    BUSINESS_REPORTED,
    BUSINESS_REQUESTS,
    BUSINESS_REVENUE,
    BUSINESS_RISK,
    BUSINESS_ROI,
    BUSINESS_VALUE,
    PAGE,
    RECOMMENDATION,
)
from ml_monitoring.alerting.experiments.signals import PAGE as AB_PAGE
from ml_monitoring.alerting.model.settings import Business
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, table, text, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import Colour
from ml_monitoring.dashboards.lib.variables import datasource
from ml_monitoring.dashboards.pages.common import data_mode, differences, firing_alerts, verdict, words_of

_RECOMMENDATION_COLOURS = (Colour.FAILURE, Colour.MUTED, Colour.MUTED, Colour.GOOD, Colour.FAILURE)
_LOW, _HIGH = {"bound": "low"}, {"bound": "high"}


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="Business impact",
        description="For those who decide: does the candidate pay, and how sure is that?",
        folder="ML",
        tags=("ab-testing", "business"),
        variables=(datasource(),),
        rows=(
            verdict(
                context,
                "What is the candidate worth, and should it be rolled out?",
                stat(
                    Query(BUSINESS_VALUE, name="at least", where=_LOW),
                    Query(BUSINESS_VALUE, name="at most", where=_HIGH),
                    width=9,
                    show="value_and_name",
                    empty="no sure gain or loss, or no data from Prometheus",
                ),
                data_mode(width=3),
                page=AB_PAGE,
                state=stat(
                    RECOMMENDATION,
                    values=words_of(RECOMMENDATIONS, *_RECOMMENDATION_COLOURS),
                    width=8,
                ).linked("A/B testing", page_url(AB_PAGE, {})),
            ),
            Row(
                "What is measured, and what is assumed",
                (
                    differences(context.business, width=15),
                    _parts(),
                    firing_alerts(context, AB_PAGE, height=11),
                    _assumptions(context.business),
                ),
            ),
            Row(
                "Point values of the formulas, noise included: not for decisions",
                (
                    stat(BUSINESS_NET_ANNUAL, width=8),
                    stat(BUSINESS_ROI, title="Return on investment (multiple)", width=8),
                    stat(BUSINESS_PAYBACK, width=8),
                    timeseries(
                        BUSINESS_NET,
                        BUSINESS_REVENUE,
                        BUSINESS_COST,
                        BUSINESS_RISK,
                        title="Revenue, cost and net per day",
                        width=24,
                    ),
                ),
                collapsed=True,
            ),
            Row(
                "Inputs",
                (
                    table(
                        (Column("role", "Role"),),
                        Query(BUSINESS_ACCURACY, name="Accuracy"),
                        Query(BUSINESS_REQUESTS, name="Requests per day"),
                        Query(BUSINESS_LATENCY, name="Mean latency"),
                        Query(BUSINESS_ERRORS, name="Error ratio"),
                        title="Baseline and candidate",
                        width=12,
                        height=7,
                    ),
                    timeseries(BUSINESS_REPORTED, width=12, height=7),
                ),
                collapsed=True,
            ),
        ),
    )


def _parts() -> Panel:
    bases = words_of(BASES, Colour.MUTED, Colour.FAILURE, Colour.GOOD, Colour.MUTED, Colour.MUTED)
    return table(
        (Column("part", "Part"),),
        Query(BUSINESS_PART, name="Low", where=_LOW),
        Query(BUSINESS_PART, name="High", where=_HIGH),
        Query(BUSINESS_BASIS, name="Counts as", values=bases),
        title="Value a year by part",
        empty="no experiments on traffic, or no data from Prometheus",
        width=9,
        height=6,
    )


def _assumptions(business: Business) -> Panel:
    unit = "percentage point" if business.accuracy_unit == "percentage_point" else "1 (from 0 % to 100 %)"
    return text(
        "Assumptions",
        f"""\
- Compared: candidate **{business.candidate}** against baseline **{business.baseline}**
- Volume per day: {business.base_volume:,.0f}
- Accuracy earns {business.accuracy_revenue_multiplier:.3%} of the volume for each {unit}
- A millisecond costs {business.latency_cost_per_ms:g} for each request
- A failure costs {business.error_cost_multiplier:g}
- Running the candidate costs {business.infrastructure_annual_cost:,.0f} a year

Revenue = volume x accuracy gain x earning. Cost = requests x milliseconds longer x cost. Risk reduction = requests x
fall of the error ratio x cost of a failure. Net = revenue - cost + risk reduction, as if the candidate answered all
requests; what the present mode does not know counts as 0. A year is 365 such days.

**Measured**: the differences above, requests, milliseconds. **Assumed**: volume, earnings and costs. The recommendation
takes the low and the high end of the differences; one that is not significant counts as 0. Mean times have no interval:
what a longer wait costs is one estimate, the same at the low and the high end, and a shorter wait, which is not tested,
counts as 0.
""",
        width=12,
        height=11,
    )
