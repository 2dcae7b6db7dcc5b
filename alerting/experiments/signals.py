"""Signals of the page `ab-testing`: how do the variants do on traffic, and is the comparison sound?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.foreign import SERVICE_LABEL
from ml_monitoring.alerting.model.signal import Signal, named_by_code
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-ab-testing"
_VARIANT = ("variant", "origin")
_OF_EXPERIMENT = ("origin", SERVICE_LABEL)
_FILTERS = ("variant", *_OF_EXPERIMENT)
_LEGEND = "{{variant}}"


def _of_variant(
    name: str, title: str, question: str, recorded: str, *, unit: Unit, legend: str = _LEGEND, signed: bool = False
) -> Signal:
    return Signal(
        name=name,
        title=title,
        question=question,
        expr=f"{recorded}{{<filter>}}",
        unit=unit,
        dashboard=PAGE,
        by=_VARIANT,
        filters=_FILTERS,
        legend=legend,
        signed=signed,
    )


_TIME = "variant_origin:ab_test_response_time_seconds"

VARIANT_REQUEST_RATE: Final = Signal(
    name="variant_request_rate",
    title="Requests per minute",
    question="How much traffic does each variant get?",
    expr="60 * variant_origin:ab_test_requests:rate{<filter>}",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_VARIANT,
    filters=_FILTERS,
    legend=_LEGEND,
)

VARIANT_TRAFFIC_SHARE: Final = _of_variant(
    "variant_traffic_share",
    "Traffic shares",
    "Which share of the traffic does each variant get?",
    "variant_origin:ab_test_requests:share",
    unit=Unit.RATIO,
)

VARIANT_ERROR_RATIO: Final = _of_variant(
    "variant_error_ratio",
    "Error ratio",
    "Which share of its requests does each variant fail to answer?",
    "variant_origin:ab_test_errors:ratio",
    unit=Unit.RATIO,
)

VARIANT_LATENCY_P95: Final = _of_variant(
    "variant_latency_p95",
    "Latency (p95)",
    "How long do slow requests of each variant take?",
    f"{_TIME}:p95",
    unit=Unit.SECONDS,
    legend="p95 {{variant}}",
)

VARIANT_LATENCY_P50: Final = _of_variant(
    "variant_latency_p50",
    "Latency (p50)",
    "How long does a usual request of each variant take?",
    f"{_TIME}:p50",
    unit=Unit.SECONDS,
    legend="p50 {{variant}}",
)

VARIANT_LATENCY_P99: Final = _of_variant(
    "variant_latency_p99",
    "Latency (p99)",
    "How long do the slowest requests of each variant take?",
    f"{_TIME}:p99",
    unit=Unit.SECONDS,
    legend="p99 {{variant}}",
)

VARIANT_LATENCY_MEAN: Final = _of_variant(
    "variant_latency_mean",
    "Mean latency",
    "How long does a request of each variant take on average?",
    f"{_TIME}:mean",
    unit=Unit.SECONDS,
    legend="mean {{variant}}",
)

VARIANT_ACCURACY: Final = _of_variant(
    "variant_accuracy",
    "Accuracy",
    "Which share of each variant's predictions turned out right?",
    "variant_origin:ab_test_accuracy:ratio",
    unit=Unit.RATIO,
)

VARIANT_ACCURACY_SHORTFALL: Final = _of_variant(
    "variant_accuracy_shortfall",
    "Accuracy below baseline",
    "By what share is a variant less accurate than the baseline variant, and that one than its run in MLflow?",
    "variant_origin:ab_test_accuracy:shortfall",
    unit=Unit.RATIO,
    signed=True,
)

VARIANT_REQUESTS_DAY: Final = _of_variant(
    "variant_requests_day",
    "Requests (24h)",
    "How many requests did each variant answer in 24 hours?",
    "variant_origin:ab_test_requests:increase1d",
    unit=Unit.COUNT,
)

VARIANT_ERRORS_DAY: Final = _of_variant(
    "variant_errors_day",
    "Errors (24h)",
    "How many requests did each variant fail to answer in 24 hours?",
    "variant_origin:ab_test_errors:increase1d",
    unit=Unit.COUNT,
)

# What a metric's difference and a split are called by their codes.
DIFFERENCES: Final = ("no difference yet", "worse", "better")
SPLITS: Final = ("mismatch", "as declared")

_POINTS = "100 * metric_origin:ab_test_improvement:ratio{<filter>}"


def _of_metric(name: str, title: str, question: str, expr: str) -> Signal:
    return Signal(
        name=name,
        title=title,
        question=question,
        expr=expr,
        unit=Unit.ANY,
        dashboard=PAGE,
        by=("metric", "origin"),
        filters=_OF_EXPERIMENT,
        legend="{{metric}}",
    )


AB_VERDICT: Final = Signal(
    name="ab_verdict",
    title="Verdict",
    question="Is the candidate better, after the declared minimum of samples and days, and is that no chance?",
    expr="origin:ab_test_verdict:code{<filter>}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("origin",),
    filters=_OF_EXPERIMENT,
)

AB_DIFFERENCE: Final = _of_metric(
    "ab_difference",
    "Difference by metric",
    "Is the candidate better or worse in each metric?",
    "metric_origin:ab_test_improvement:code{<filter>}",
)

AB_LOW: Final = _of_metric(
    "ab_low",
    "Lowest likely difference",
    "How much better is the candidate at least, in percentage points? It may be read at any time.",
    f"{_POINTS} - 100 * metric_origin:ab_test_improvement:half_width{{<filter>}}",
)

AB_HIGH: Final = _of_metric(
    "ab_high",
    "Highest likely difference",
    "How much better is the candidate at most, in percentage points?",
    f"{_POINTS} + 100 * metric_origin:ab_test_improvement:half_width{{<filter>}}",
)

AB_POINTS: Final = _of_metric(
    "ab_points",
    "Difference in points",
    "How many percentage points more of the candidate's trials go well?",
    _POINTS,
)

AB_DECIDED: Final = Signal(
    name="ab_decided",
    title="Candidate better by (pp)",
    question="How many percentage points more of the candidate's trials go well, and is that no chance?",
    expr=named_by_code(_POINTS, "metric_origin:ab_test_improvement:code{<filter>}", DIFFERENCES),
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("metric", "origin", "verdict"),
    filters=_OF_EXPERIMENT,
    legend="{{metric}}: {{verdict}}",
    signed=True,
)

AB_SUCCESS: Final = Signal(
    name="ab_success",
    title="Success",
    question="Which share of each variant's requests did not fail, and of its predictions turned out right?",
    expr="variant_metric_origin:ab_test_success:ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("variant", "metric", "origin"),
    filters=_FILTERS,
)

AB_SPLIT: Final = Signal(
    name="ab_split",
    title="Traffic split",
    question="Is the traffic split as declared? If not, the variants did not get the same kind of requests.",
    expr="origin:ab_test_split:code{<filter>}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("origin",),
    filters=_OF_EXPERIMENT,
)

AB_WORSE_P_VALUE: Final = Signal(
    name="ab_worse_p_value",
    title="Candidate worse (p-value)",
    question="Could it be chance that the candidate is worse, in the whole window or of late? 1: it is not worse.",
    expr="metric_origin:ab_test_worse:p_value{<filter>}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("metric", "origin"),
    filters=_OF_EXPERIMENT,
    legend="{{metric}}",
)

AB_SPLIT_P_VALUE: Final = Signal(
    name="ab_split_p_value",
    title="Sample ratio mismatch (p-value)",
    question="Is the traffic split as configured? If not, the variants did not get the same kind of requests.",
    expr="origin:ab_test_split:p_value{<filter>}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("origin",),
    filters=_OF_EXPERIMENT,
    legend="split {{origin}}",
)
