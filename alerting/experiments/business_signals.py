"""Signals of the page `business-impact`: what is the candidate worth, on which data, and what should be done?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-business-impact"
_ROLE = ("role",)
# Figures are those of a cluster.
_LACKS = ("namespace",)


def _figure(name: str, title: str, question: str, expr: str, unit: Unit = Unit.CURRENCY) -> Signal:
    return Signal(
        name=name,
        title=title,
        question=question,
        expr=expr,
        unit=unit,
        dashboard=PAGE,
        legend=title,
        lacks=_LACKS,
    )


def _input(name: str, title: str, question: str, expr: str, unit: Unit) -> Signal:
    return Signal(
        name=name,
        title=title,
        question=question,
        expr=expr,
        unit=unit,
        dashboard=PAGE,
        by=_ROLE,
        legend="{{role}}",
        lacks=_LACKS,
    )


DATA_MODE: Final = _figure(
    "data_mode",
    "Data mode",
    "What do the figures rest on? LIVE: services and MLflow; OPERATIONAL: services; MODEL: MLflow; SIMULATED: a "
    "demo, or assumptions.",
    ":business_data_mode:code{<filter>}",
    Unit.ANY,
)

RECOMMENDATION: Final = _figure(
    "recommendation",
    "Recommendation",
    "Should the candidate replace the baseline? It must pay, and the experiment must say that it is better.",
    ":business_recommendation:code{<filter>}",
    Unit.ANY,
)

BUSINESS_VALUE: Final = Signal(
    name="business_value",
    title="Value a year",
    question="What is the candidate worth a year after the cost of running it, at least and at most? From the interval "
    "that holds at all times; nothing is said before the declared minimum of samples and days, or before a difference "
    "is significant.",
    expr="bound:business_value:annual{<filter>}",
    unit=Unit.CURRENCY,
    dashboard=PAGE,
    by=("bound",),
    filters=("bound",),
    lacks=_LACKS,
)

BUSINESS_PART: Final = Signal(
    name="business_part",
    title="Value a year by part",
    question="What is each part worth a year, and what does it rest on? A difference that is not significant counts as "
    "0; so does a shorter wait, which is not tested.",
    expr="part_bound:business_value:annual{<filter>}",
    unit=Unit.CURRENCY,
    dashboard=PAGE,
    by=("part", "bound"),
    filters=("bound",),
    lacks=_LACKS,
)

BUSINESS_BASIS: Final = Signal(
    name="business_basis",
    title="What parts rest on",
    question="Is each part significant, measured without a test, or assumed?",
    expr="part:business_basis:code{<filter>}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("part",),
    lacks=_LACKS,
)

BUSINESS_REVENUE: Final = _figure(
    "business_revenue", "Revenue per day", "What does the gain in accuracy earn?", ":business_revenue:daily{<filter>}"
)

BUSINESS_COST: Final = _figure(
    "business_cost", "Latency cost per day", "What does the longer wait cost?", ":business_cost:daily{<filter>}"
)

BUSINESS_RISK: Final = _figure(
    "business_risk",
    "Risk reduction per day",
    "What do fewer failures save?",
    ":business_risk_reduction:daily{<filter>}",
)

BUSINESS_NET: Final = _figure(
    "business_net", "Net per day", "What is left: revenue - cost + risk reduction?", ":business_net:daily{<filter>}"
)

BUSINESS_NET_ANNUAL: Final = _figure(
    "business_net_annual", "Net per year", "What is that in a year?", ":business_net:annual{<filter>}"
)

BUSINESS_ROI: Final = _figure(
    "business_roi",
    "Return on investment",
    "How many times the cost of running the candidate does a year bring, above that cost?",
    ":business_return_on_investment:ratio{<filter>}",
    Unit.ANY,
)

BUSINESS_PAYBACK: Final = _figure(
    "business_payback",
    "Payback period (days)",
    "After how many days is the candidate's yearly cost earned back?",
    ":business_payback:days{<filter>}",
    Unit.COUNT,
)

BUSINESS_ACCURACY: Final = _input(
    "business_accuracy",
    "Accuracy",
    "How accurate are baseline and candidate?",
    "role:business_accuracy:ratio{<filter>}",
    Unit.RATIO,
)

BUSINESS_REQUESTS: Final = _input(
    "business_requests",
    "Requests per day",
    "How many requests do baseline and candidate answer a day?",
    "role:business_requests:daily{<filter>}",
    Unit.COUNT,
)

BUSINESS_LATENCY: Final = _input(
    "business_latency",
    "Mean latency",
    "How long does a request take on average?",
    "role:business_latency_seconds:mean{<filter>}",
    Unit.SECONDS,
)

BUSINESS_ERRORS: Final = _input(
    "business_errors",
    "Error ratio",
    "Which share of the requests fails?",
    "role:business_errors:ratio{<filter>}",
    Unit.RATIO,
)

BUSINESS_REPORTED: Final = Signal(
    name="business_reported",
    title="Business impact reported by services",
    question="What daily value do the services themselves report for each variant?",
    expr="sum without (instance) (ab_test_business_impact{<filter>})",
    unit=Unit.CURRENCY,
    dashboard=PAGE,
    by=("variant", "origin"),
    legend="{{variant}}",
)
