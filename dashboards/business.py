"""The page `Business impact`: what is the candidate worth, on which data, and what should be done?"""

from __future__ import annotations

import os

from alerting.alerts import load_thresholds
from alerting.recording.business import RECOMMENDATIONS
from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.ab_testing import PAGE as AB_PAGE
from alerting.signals.business import PAGE
from dashboards.common import data_mode, firing_alerts
from dashboards.lib.links import page_url
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import Panel, bargauge, stat, text, timeseries
from dashboards.lib.style import Colour
from dashboards.lib.variables import datasource

_RECOMMENDATION_COLOURS = (Colour.WARNING, Colour.NOTICE, Colour.NOTICE, Colour.GOOD)


def build() -> Page:
    """Return the page."""
    words = zip(RECOMMENDATIONS, _RECOMMENDATION_COLOURS, strict=True)
    return Page(
        uid=PAGE,
        title="Business impact",
        description="For those who decide: does the candidate pay, and how sure is that?",
        folder="ML",
        tags=("ab-testing", "business"),
        variables=(datasource(),),
        rows=(
            Row(
                "Decision",
                (
                    data_mode(width=4),
                    stat(
                        SIGNAL["recommendation"],
                        values={str(code): pair for code, pair in enumerate(words)},
                        width=8,
                    ).linked("A/B testing", page_url(AB_PAGE, {})),
                    stat(SIGNAL["business_net_annual"], width=4),
                    stat(SIGNAL["business_roi"], width=4),
                    stat(SIGNAL["business_payback"], width=4),
                ),
            ),
            Row(
                "A day",
                (
                    stat(SIGNAL["business_revenue"], width=6),
                    stat(SIGNAL["business_cost"], width=6),
                    stat(SIGNAL["business_risk"], width=6),
                    stat(SIGNAL["business_net"], width=6),
                    timeseries(
                        SIGNAL["business_net"],
                        SIGNAL["business_revenue"],
                        SIGNAL["business_cost"],
                        SIGNAL["business_risk"],
                        title="Money a day",
                        width=16,
                    ),
                    timeseries(SIGNAL["business_reported"], width=8),
                ),
            ),
            Row(
                "What it rests on",
                (
                    bargauge(SIGNAL["business_accuracy"], width=6, height=7),
                    bargauge(SIGNAL["business_requests"], width=6, height=7),
                    bargauge(SIGNAL["business_latency"], width=6, height=7),
                    bargauge(SIGNAL["business_errors"], width=6, height=7),
                    _assumptions(),
                    firing_alerts(width=8, height=9),
                ),
            ),
        ),
    )


def _assumptions() -> Panel:
    # Those of the rules that are generated along with this page.
    business = load_thresholds().overridden(os.environ).business
    unit = "percentage point" if business.accuracy_unit == "percentage_point" else "1 (from 0 % to 100 %)"
    return text(
        "Assumptions",
        f"""\
| | |
|---|---|
| Compared | candidate **{business.candidate}** against baseline **{business.baseline}** |
| Volume a day | {business.base_volume:,.0f} |
| Accuracy earns | {business.accuracy_revenue_multiplier:.3%} of the volume for each {unit} |
| A millisecond costs | {business.latency_cost_per_ms:g} for each request |
| A failure costs | {business.error_cost_multiplier:g} |
| Running the candidate costs | {business.infrastructure_annual_cost:,.0f} a year |

Revenue = volume x accuracy gain x earning. Cost = requests x milliseconds longer x cost. Risk reduction = requests x
fall of the error ratio x cost of a failure. Net = revenue - cost + risk reduction, as if the candidate answered all
requests; what the present mode does not know counts as 0. A year is 365 such days.
""",
        width=16,
        height=9,
    )
