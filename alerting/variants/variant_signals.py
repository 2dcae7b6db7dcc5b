"""Signals of each active variant, for the pages `variant-performance` and `variant-detail`."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal, named_by_code
from ml_monitoring.alerting.variants.recording import STANDINGS
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-variant-performance"
DETAIL_PAGE: Final = "ml-monitoring-variant-detail"
_PERSONA = ("persona",)
_POST = ("persona", "variant", "pattern")


def gauge(
    name: str, title: str, question: str, metric: str, *, unit: Unit, by: tuple[str, ...], page: str = PAGE
) -> Signal:
    """Return the signal of a gauge as it is; `by` begins with the labels of variables."""
    expr = f"max without (instance) ({metric}{{<filter>}})"
    return Signal(name, title, question, expr, unit, page, by=by, filters=by)


VARIANT_ENGAGEMENT: Final = gauge(
    "variant_engagement",
    "Engagement",
    "What engagement does the variant system report for each active variant?",
    "variant_engagement_ratio",
    unit=Unit.RATIO,
    by=_POST,
)

VARIANT_PREDICTED_ENGAGEMENT: Final = gauge(
    "variant_predicted_engagement",
    "Predicted engagement",
    "What engagement was predicted for each active variant?",
    "variant_predicted_engagement_ratio",
    unit=Unit.RATIO,
    by=_POST,
    page=DETAIL_PAGE,
)

VARIANT_PREDICTION_DIFFERENCE: Final = Signal(
    name="variant_prediction_difference",
    title="Actual vs predicted",
    question="By how much does each active variant do better (+) or worse (-) than predicted?",
    expr="persona_variant_pattern:variant_prediction_difference:ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_POST,
    filters=_POST,
)

VARIANT_PREDICTION_SHORTFALL: Final = Signal(
    name="variant_prediction_shortfall",
    title="Shortfall vs prediction (95 % sure)",
    question="How far below the prediction is even the upper end of the 95 % interval? 0: maybe chance.",
    expr="persona_variant_pattern:variant_prediction_shortfall:ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=DETAIL_PAGE,
    by=_POST,
    filters=_POST,
)

VARIANT_OBSERVED_VIEWS: Final = gauge(
    "variant_observed_views",
    "Views",
    "How many views has each active variant had?",
    "variant_observed_views",
    unit=Unit.COUNT,
    by=_POST,
)

VARIANT_OBSERVED_INTERACTIONS: Final = gauge(
    "variant_observed_interactions",
    "Interactions",
    "How many interactions has each active variant had?",
    "variant_observed_interactions",
    unit=Unit.COUNT,
    by=_POST,
)

VARIANT_COMPARED_VIEWS: Final = gauge(
    "variant_compared_views",
    "Views at equal age",
    "How many views does the comparison with the other variants rest on? Only ages that several have reached count.",
    "variant_compared_views",
    unit=Unit.COUNT,
    by=_POST,
    page=DETAIL_PAGE,
)

VARIANT_COMPARED_ENGAGEMENT: Final = Signal(
    name="variant_compared_engagement",
    title="Engagement at equal age",
    question="What would the engagement be if all variants were equally old? No data before an age is shared.",
    expr=(
        "max without (instance) (variant_compared_interactions{<filter>})"
        " / (max without (instance) (variant_compared_views{<filter>}) > 0)"
    ),
    unit=Unit.RATIO,
    dashboard=DETAIL_PAGE,
    by=_POST,
    filters=_POST,
)

VARIANT_AGE: Final = Signal(
    name="variant_age",
    title="Time since post",
    question="How long ago was each active variant posted? A clock that runs ahead shows as 0.",
    expr="clamp_min(time() - max without (instance) (variant_posted_timestamp_seconds{<filter>}), 0)",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_POST,
    filters=_POST,
)

VARIANT_PROBABILITY_BEST: Final = gauge(
    "variant_probability_best",
    "P(best)",
    "How probable is it that each active variant has, at equal age, the highest engagement of its persona?",
    "variant_probability_best",
    unit=Unit.RATIO,
    by=_POST,
)

VARIANT_ENGAGEMENT_LOWER: Final = gauge(
    "variant_engagement_lower",
    "95 % interval, lower end",
    "Below which engagement is the variant with a probability of only 2.5 %?",
    "variant_engagement_ratio_lower",
    unit=Unit.RATIO,
    by=_POST,
    page=DETAIL_PAGE,
)

VARIANT_ENGAGEMENT_UPPER: Final = gauge(
    "variant_engagement_upper",
    "95 % interval, upper end",
    "Above which engagement is the variant with a probability of only 2.5 %?",
    "variant_engagement_ratio_upper",
    unit=Unit.RATIO,
    by=_POST,
    page=DETAIL_PAGE,
)

_STANDING = "persona_variant_pattern:variant_standing:code"


def _of_all(name: str, title: str, question: str, expr: str, unit: Unit = Unit.RATIO) -> Signal:
    """Return a signal of all variants of the persona of the chosen one."""
    mates = "and on (cluster, namespace, job, store, persona) variant_probability_best{<filter>}"
    return Signal(name, title, question, f"({expr}) {mates}", unit, DETAIL_PAGE, by=_POST, filters=_POST)


VARIANTS_ENGAGEMENT: Final = _of_all(
    "variants_engagement",
    "Engagement of all",
    "What engagement does each variant of the persona have?",
    "max without (instance) (variant_engagement_ratio{<place>})",
)

VARIANTS_LOWER: Final = _of_all(
    "variants_lower",
    "95 % interval of all, lower end",
    "Which engagement has each at least, 95 % sure?",
    "max without (instance) (variant_engagement_ratio_lower{<place>})",
)

VARIANTS_UPPER: Final = _of_all(
    "variants_upper",
    "95 % interval of all, upper end",
    "Which engagement has each at most, 95 % sure?",
    "max without (instance) (variant_engagement_ratio_upper{<place>})",
)

VARIANTS_LIFT: Final = _of_all(
    "variants_lift",
    "Lift of all",
    "By what share is each better or worse than the best other one?",
    "max without (instance) (variant_lift_ratio{<place>})",
)

VARIANTS_STANDING: Final = _of_all(
    "variants_standing",
    "Verdict",
    "Is it the best, or worse than the best, beyond chance, however often one looks?",
    f"{_STANDING}{{<place>}}",
    Unit.ANY,
)

VARIANT_STANDING: Final = Signal(
    name="variant_standing",
    title="Verdict on this variant",
    question="Is this variant the best, or worse than the best, beyond chance?",
    expr=f"{_STANDING}{{<filter>}}",
    unit=Unit.ANY,
    dashboard=DETAIL_PAGE,
    by=_POST,
    filters=_POST,
    legend="{{variant}}",
)

VARIANT_WINNER: Final = Signal(
    name="variant_winner",
    title="Best, beyond chance",
    question="Which variant is the best one of its persona beyond chance? Of several the one with most engagement.",
    expr=(
        "topk by (cluster, namespace, job, store) (1, max without (instance) (variant_engagement_ratio{<filter>})"
        f" and {_STANDING}{{<filter>}} == 3)"
    ),
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_POST,
    filters=_POST,
    legend="{{variant}} is best",
)

VARIANT_LIFT: Final = Signal(
    name="variant_lift",
    title="Lead over the best other (relative)",
    question="How much better is the variant than the best other active one of the same age, and is that no chance?",
    expr=named_by_code("max without (instance) (variant_lift_ratio{<filter>})", f"{_STANDING}{{<filter>}}", STANDINGS),
    unit=Unit.RATIO,
    dashboard=DETAIL_PAGE,
    by=(*_POST, "verdict"),
    filters=_POST,
    legend="{{verdict}}",
    signed=True,
)

VARIANT_SUGGESTED_TRAFFIC: Final = gauge(
    "variant_suggested_traffic",
    "Suggested share of traffic",
    "What share of the traffic would Thompson sampling give the variant?",
    "variant_suggested_traffic_ratio",
    unit=Unit.RATIO,
    by=_POST,
    page=DETAIL_PAGE,
)

VARIANT_TRAFFIC: Final = Signal(
    name="variant_traffic",
    title="Traffic share",
    question="What share of its persona's views does each active variant get at present?",
    expr="persona_variant_pattern:variant_traffic:ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=DETAIL_PAGE,
    by=_POST,
    filters=_POST,
)

VARIANT_LEADER_TRAFFIC: Final = Signal(
    name="variant_leader_traffic",
    title="Traffic share while ahead",
    question="Does the variant get the traffic once it is ahead? No data while it is not.",
    # The test says 1 of all that are not ahead.
    expr=(
        "persona_variant_pattern:variant_traffic:ratio{<filter>}"
        " and max without (instance) (variant_sequential_p_value{<filter>}) < 1"
    ),
    unit=Unit.RATIO,
    dashboard=DETAIL_PAGE,
    by=_POST,
    filters=_POST,
)

VARIANT_NEW_VIEW_ENGAGEMENT: Final = Signal(
    name="variant_new_view_engagement",
    title="Engagement rate of new views",
    question="What share of the variant's views in this window led to an interaction?",
    expr=(
        "max without (instance) (rate(variant_interactions_total{<filter>}[<window>]))"
        " / (max without (instance) (rate(variant_views_total{<filter>}[<window>])) > 0)"
    ),
    unit=Unit.RATIO,
    dashboard=DETAIL_PAGE,
    by=_POST,
    filters=_POST,
    legend="new views {{variant}}",
)

VARIANT_SPLIT_P_VALUE: Final = gauge(
    "variant_split_p_value",
    "Sample ratio mismatch (p-value)",
    "How surprising would it be if variants posted together shared the views as declared, or as suggested?",
    "variant_sample_ratio_p_value",
    unit=Unit.ANY,
    by=_PERSONA,
)
