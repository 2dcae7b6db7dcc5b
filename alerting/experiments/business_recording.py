"""Recorded series about money: what the candidate is worth against the baseline, and on which data that rests.

Each cluster has figures of its own. Within one they add up over namespaces, since services and the exporter that reads
MLflow may be in different ones.

The mode decides alone which data count, so that real and simulated data are never mixed: every input is taken
from live services or live MLflow runs while they are there, and from simulated ones only in mode SIMULATED.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.alerting.services.adapter import KNOWN_OUTCOME

# The values of `:business_data_mode:code`.
MODES: Final = ("SIMULATED", "MODEL", "OPERATIONAL", "LIVE")
# The values of `:business_recommendation:code`.
RECOMMENDATIONS: Final = (
    "Keep the baseline",
    "Too early: too few samples or days",
    "Keep testing: not significant, so 0",
    "Roll out the candidate",
    "Do not decide: traffic split is wrong",
)

# The values of `part:business_basis:code`.
BASES: Final = ("not significant: 0", "worse", "better", "estimate, not tested", "assumed")

_MODE = ":business_data_mode:code"
_IMPROVED: Final = "metric_origin:ab_test_improvement:code{<origin>}"
_VERDICT: Final = "origin:ab_test_verdict:code{<origin>}"
_ROLES: Final = ("baseline", "candidate")
_SERVICES_COUNT: Final = f"{_MODE} >= 2"
_SIMULATED: Final = f"{_MODE} == 0"
# 0 for each cluster with a target of ours, and where Prometheus has none for itself.
_EACH_CLUSTER: Final = "0 * (count by (cluster) (instance:up:own) or absent(instance:up:own))"
_PAIR = "<business.baseline>|<business.candidate>"


def _by_role(chain: Callable[[str], str]) -> str:
    """Return the chain for both roles; it is given the role, whose variant is `<business.role>`."""
    parts = (f'label_replace({chain(role)}, "role", "{role}", "", "")' for role in _ROLES)
    return "\n or \n".join(parts)


def _measured(series: str, assumed: str) -> Callable[[str], str]:
    """Return an input from services: live, else simulated, else assumed."""
    return lambda role: (
        f"""
        (
          sum by (cluster) ({series}{{variant="<business.{role}>",origin!="simulated"}}) and ({_SERVICES_COUNT})
          or
          sum by (cluster) ({series}{{variant="<business.{role}>",origin="simulated"}}) and ({_SIMULATED})
          or
          ({_SIMULATED}) + <business.assumed_{role}.{assumed}>
        )
    """
    )


def _mean(series: str, assumed: str) -> Callable[[str], str]:
    """Return a mean from services, each weighted by its requests: live, else simulated, else assumed."""
    return lambda role: (
        f"""
        (
          {_weighted(f'{series}{{variant="<business.{role}>",origin!="simulated"}}')} and ({_SERVICES_COUNT})
          or
          {_weighted(f'{series}{{variant="<business.{role}>",origin="simulated"}}')} and ({_SIMULATED})
          or
          ({_SIMULATED}) + <business.assumed_{role}.{assumed}>
        )
    """
    )


def _weighted(mean: str) -> str:
    requests = "variant_origin:business_requests:daily"
    return (
        f"(sum by (cluster) ({mean} * ({requests} > 0)) / sum by (cluster) (({requests} > 0) and {mean})"
        f" or avg by (cluster) ({mean}))"
    )


def _mlflow(role: str, origin: str) -> str:
    return (
        f'max by (cluster) (mlflow_metric_latest{{metric="<business.accuracy_metric>",'
        f'model_variant="<business.{role}>",experiment=~"<business.experiments>",origin{origin}"simulated"}})'
    )


def _accuracy(role: str) -> str:
    measured = f'variant_origin:ab_test_accuracy:ratio{{variant="<business.{role}>",origin'
    live, simulated = _weighted(f'{measured}!="simulated"}}'), _weighted(f'{measured}="simulated"}}')
    return f"""
            (
              {_mlflow(role, "!=")} and (({_MODE} == 1) or ({_MODE} == 3))
              or
              {live} and ({_MODE} == 2)
              or
              {simulated} and ({_SIMULATED})
              or
              {_mlflow(role, "=")} and ({_SIMULATED})
              or
              ({_SIMULATED}) + <business.assumed_{role}.accuracy>
            )
        """


def _of_the_mode(series: str, of: str) -> str:
    """Return an experiment's series, of services that count in the present mode."""
    return f"""
            {of} ({series.replace("<origin>", 'origin!="simulated"')}) and on (cluster) ({_SERVICES_COUNT})
            or
            {of} ({series.replace("<origin>", 'origin="simulated"')}) and on (cluster) ({_SIMULATED})
        """


def _bound(name: str, sign: str, of: str) -> str:
    """Return an end of the interval of the experiment's differences; one that is not significant counts as 0."""
    improvement = "metric_origin:ab_test_improvement"
    end = (
        f"({improvement}:ratio{{<origin>}} {sign} {improvement}:half_width{{<origin>}})"
        # A negative end that counts as 0 would be -0.
        f" * ({improvement}:code{{<origin>}} > bool 0) + 0"
    )
    return f'label_replace({_of_the_mode(end, f"{of} by (cluster, metric)")}, "bound", "{name}", "", "")'


# Of a year, at each end of what the experiment holds for possible.
_ACCURACY_EARNS: Final = """
                365 * <business.base_volume> * <business.accuracy_revenue_multiplier> * <business.accuracy_factor>
                * sum without (metric) (metric_bound:business_improvement:ratio{metric="accuracy"})"""
_FAILURES_COST: Final = """
                365 * <business.error_cost_multiplier>
                * sum without (metric) (metric_bound:business_improvement:ratio{metric="errors"})
                * on (cluster) group_left () sum without (role) (role:business_requests:daily)"""
# At each end, and no negative zero, which 0 times a loss would be.
_NOTHING: Final = "0 * max without (metric) (metric_bound:business_improvement:ratio) + 0"
_SLOWER_COSTS: Final = f"""
                {_NOTHING}
                - on (cluster) group_left ()
                365 * (clamp_min(:business_cost:daily, 0) or 0 * :business_data_mode:code)"""
_RUNNING_COSTS: Final = f"""
                {_NOTHING} - <business.infrastructure_annual_cost>"""


def _part(name: str, worth: str) -> str:
    return f"""label_replace({worth},
              "part", "{name}", "", ""
            )"""


def _difference(series: str, *, of: str = "candidate", less: str = "baseline") -> str:
    return f'({series}{{role="{of}"}} - ignoring (role) {series}{{role="{less}"}})'


RECORDS: tuple[Record, ...] = (
    Record(
        name=":business_data_mode:code",
        meaning="What the figures rest on: " + ", ".join(f"{code} {mode}" for code, mode in enumerate(MODES)) + ".",
        # Both variants must be there: half of a comparison is none. Present now, not lately: what vanished counts no
        # more as soon as Prometheus knows.
        expr=f"""
            2 * (
              count by (cluster) (
                count by (cluster, variant) (ab_test_requests_total{{variant=~"{_PAIR}",origin!="simulated"}})
              ) == bool 2
              or {_EACH_CLUSTER}
            )
            +
            (
              count by (cluster) (
                count by (cluster, model_variant) (
                  mlflow_metric_latest{{
                    metric="<business.accuracy_metric>",
                    model_variant=~"{_PAIR}",
                    experiment=~"<business.experiments>",
                    origin!="simulated"
                  }}
                )
              ) == bool 2
              or {_EACH_CLUSTER}
            )
        """,
        by=(),
    ),
    Record(
        name="variant_origin:business_requests:daily",
        meaning="Requests of a variant a day.",
        expr="sum without (instance, outcome) (rate(ab_test_requests_total[<business.window>])) * 86400",
        by=("variant", "origin"),
    ),
    Record(
        name="variant_origin:business_latency_seconds:mean",
        meaning="Mean response time of a variant over the business window.",
        expr="""
            sum without (instance) (rate(ab_test_response_time_seconds_sum[<business.window>]))
            /
            (sum without (instance) (rate(ab_test_response_time_seconds_count[<business.window>])) > 0)
        """,
        by=("variant", "origin"),
    ),
    Record(
        name="variant_origin:business_errors:ratio",
        meaning="Share of a variant's requests that failed over the business window; absent where that is not known.",
        expr=f"""
            (
              sum without (instance) (rate(ab_test_errors_total[<business.window>]))
              or
              0 * sum without (instance, outcome) (rate(ab_test_requests_total{{{KNOWN_OUTCOME}}}[<business.window>]))
            )
            /
            (
              sum without (instance, outcome) (rate(ab_test_requests_total{{{KNOWN_OUTCOME}}}[<business.window>])) > 0
            )
        """,
        by=("variant", "origin"),
    ),
    Record(
        name="role:business_accuracy:ratio",
        meaning="Accuracy of baseline and candidate: of their MLflow runs, else as measured on traffic.",
        expr=_by_role(_accuracy),
        by=("role",),
    ),
    Record(
        name="role:business_requests:daily",
        meaning="Requests a day of baseline and candidate.",
        expr=_by_role(_measured("variant_origin:business_requests:daily", "requests_per_day")),
        by=("role",),
    ),
    Record(
        name="role:business_latency_seconds:mean",
        meaning="Mean response time of baseline and candidate.",
        expr=_by_role(_mean("variant_origin:business_latency_seconds:mean", "latency")),
        by=("role",),
    ),
    Record(
        name="role:business_errors:ratio",
        meaning="Share of failed requests of baseline and candidate.",
        expr=_by_role(_mean("variant_origin:business_errors:ratio", "error_ratio")),
        by=("role",),
    ),
    Record(
        name=":business_revenue:daily",
        meaning="base_volume x accuracy improvement x revenue_multiplier.",
        expr=f"""
            <business.base_volume> * <business.accuracy_revenue_multiplier>
            * <business.accuracy_factor> * {_difference("role:business_accuracy:ratio")}
        """,
        by=(),
    ),
    Record(
        name=":business_cost:daily",
        meaning="requests x latency increase in ms x cost_per_ms, if the candidate answered all requests.",
        expr=f"""
            sum without (role) (role:business_requests:daily)
            * (1000 * {_difference("role:business_latency_seconds:mean")})
            * <business.latency_cost_per_ms>
        """,
        by=(),
    ),
    Record(
        name=":business_risk_reduction:daily",
        meaning="requests x error rate improvement x error_cost, if the candidate answered all requests.",
        expr=f"""
            sum without (role) (role:business_requests:daily)
            * {_difference("role:business_errors:ratio", of="baseline", less="candidate")}
            * <business.error_cost_multiplier>
        """,
        by=(),
    ),
    Record(
        name=":business_net:daily",
        meaning="revenue - cost + risk reduction; what is not known in the present mode counts as 0.",
        expr="""
            (:business_revenue:daily or 0 * :business_data_mode:code)
            - (:business_cost:daily or 0 * :business_data_mode:code)
            + (:business_risk_reduction:daily or 0 * :business_data_mode:code)
            and
            (:business_revenue:daily or :business_cost:daily or :business_risk_reduction:daily)
        """,
        by=(),
    ),
    Record(
        name=":business_net:annual",
        meaning="daily x 365.",
        expr=":business_net:daily * 365",
        by=(),
    ),
    Record(
        name=":business_return_on_investment:ratio",
        meaning="(net_annual - infrastructure_annual) / infrastructure_annual.",
        expr="""
            (:business_net:annual - <business.infrastructure_annual_cost>)
            / <business.infrastructure_annual_cost>
        """,
        by=(),
    ),
    Record(
        name=":business_payback:days",
        meaning="infrastructure_annual / net_annual x 365; absent when it never pays back.",
        expr="<business.infrastructure_annual_cost> / (:business_net:annual > 0) * 365",
        by=(),
    ),
    Record(
        name="metric_bound:business_improvement:ratio",
        meaning="Low and high end of what the experiment holds for possible; what is not significant counts as 0.",
        expr=f"""
            {_bound("low", "-", "min")}
            or
            {_bound("high", "+", "max")}
        """,
        by=("metric", "bound"),
    ),
    Record(
        name="part_bound:business_value:annual",
        meaning="What each part of that is worth a year at either end, and what the candidate costs.",
        expr=f"""
            {_part("accuracy", _ACCURACY_EARNS)}
            or
            {_part("errors", _FAILURES_COST)}
            or
            {_part("latency", _SLOWER_COSTS)}
            or
            {_part("running", _RUNNING_COSTS)}
        """,
        by=("part", "bound"),
    ),
    Record(
        name="part:business_basis:code",
        meaning="What each part rests on: " + ", ".join(f"{code} {text}" for code, text in enumerate(BASES)) + ".",
        expr=f"""
            max by (cluster, part) (label_replace(
              {_of_the_mode(_IMPROVED, "max by (cluster, metric)").strip()},
              "part", "$1", "metric", "(.+)"
            ))
            or
            3 + 0 * max without (bound) (part_bound:business_value:annual{{part="latency"}})
            or
            4 + 0 * max without (bound) (part_bound:business_value:annual{{part="running"}})
        """,
        by=("part",),
    ),
    Record(
        name=":business_verdict:code",
        meaning="What the experiment that counts in the present mode says, see origin:ab_test_verdict:code.",
        # Of several, one that is invalid goes first, then one that is worse.
        expr=f"""
            {_of_the_mode(f"{_VERDICT} == 4", "max by (cluster)").strip()}
            or
            {_of_the_mode(_VERDICT, "min by (cluster)").strip()}
        """,
        by=(),
    ),
    Record(
        name="bound:business_value:annual",
        meaning="What all of it is worth a year; absent while it is too early or nothing is significant.",
        expr="""
            sum without (part) (part_bound:business_value:annual)
            and on (cluster) (part:business_basis:code{part=~"accuracy|errors"} > 0)
            unless on (cluster) (:business_verdict:code == 1)
        """,
        by=("bound",),
    ),
    Record(
        name=":business_recommendation:code",
        meaning=", ".join(f"{code} {text}" for code, text in enumerate(RECOMMENDATIONS)) + ".",
        # Not by the point values, whose sign is that of noise: only what the experiment is sure of can pay.
        expr="""
            :business_verdict:code == 4
            or
            0 * (:business_verdict:code == 3 and (sum without (bound) (bound:business_value:annual{bound="high"}) <= 0))
            or
            0 * (:business_verdict:code == 3) + 2
            unless (sum without (bound) (bound:business_value:annual{bound="low"}) > 0)
            or
            :business_verdict:code
            or
            0 * :business_data_mode:code + 1
        """,
        by=(),
    ),
)
