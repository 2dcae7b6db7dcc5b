"""Recorded series about objectives: how fast services burn their error budgets, over the windows of `slos`.

A burn rate of 1 uses the budget up exactly at the end of the period. Windows are named by what they are for, since
their lengths follow from the settings.
"""

from __future__ import annotations

from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.alerting.services.adapter import KNOWN_STATUS

_SLO = ("slo", "origin")
TIERS = ("page_fast", "page_slow", "ticket_fast", "ticket_slow")


def _burn_rate(name: str, window: str, meaning: str) -> Record:
    failed = 'rate(ml_http_requests_total{status=~"5.."}'
    known = f"sum without (instance, method, route, status) (rate(ml_http_requests_total{{{KNOWN_STATUS}}}[{window}]))"
    return Record(
        name=f"slo_origin:ml_http_burn_rate:{name}",
        meaning=meaning,
        expr=f"""
            label_replace(
              (
                sum without (instance, method, route, status) ({failed}[{window}]))
                or 0 * {known}
              )
              / ({known} > 0)
              / <slos.availability_budget>,
              "slo", "availability", "", ""
            )
            or
            label_replace(
              (
                1 -
                sum without (instance, method, route, le) (
                  rate(ml_http_request_duration_seconds_bucket{{le<slos.latency_bound>}}[{window}])
                )
                / (sum without (instance, method, route) (rate(ml_http_request_duration_seconds_count[{window}])) > 0)
              )
              / <slos.latency_budget>,
              "slo", "latency", "", ""
            )
        """,
        by=_SLO,
    )


def _failures(tier: str) -> Record:
    failed = 'increase(ml_http_requests_total{status=~"5.."}'
    window = f"<slos.{tier}.long>"
    return Record(
        name=f"slo_origin:ml_http_failures:{tier}_long",
        meaning=f"Requests that failed the objective in the long window of {tier}: what its burn rate is worth.",
        expr=f"""
            label_replace(
              sum without (instance, method, route, status) ({failed}[{window}])),
              "slo", "availability", "", ""
            )
            or
            label_replace(
              sum without (instance, method, route) (increase(ml_http_request_duration_seconds_count[{window}]))
              -
              sum without (instance, method, route, le) (
                increase(ml_http_request_duration_seconds_bucket{{le<slos.latency_bound>}}[{window}])
              ),
              "slo", "latency", "", ""
            )
        """,
        by=_SLO,
    )


def _least(left: str, right: str) -> str:
    return f"({left} < {right} or {right})"


def burning(series: str, name: str, *tiers: str, by: tuple[str, ...] = _SLO) -> Record:
    """Return how far the burning is above the factor of one of two tiers, in both of that tier's windows.

    Args:
        series: How the names of the recorded burn rates and failures begin.
        name: Who is notified: page or ticket.
        tiers: The two tiers.
        by: Labels of the series.
    """
    over = [
        _least(f"{series}_burn_rate:{tier}_long", f"{series}_burn_rate:{tier}_short")
        + f" / <slos.{tier}.factor> and {series}_failures:{tier}_long >= <slos.minimum_{name}_failures>"
        for tier in tiers
    ]
    return Record(
        name=f"{series}_burning:{name}",
        meaning=(
            f"Burn rate in the windows of {' or '.join(tiers)}, as a multiple of its factor; alerts above 1. It is 0 "
            "where too few requests failed to tell."
        ),
        expr=f"""
            (({over[0]}) > ({over[1]}))
            or
            ({over[1]})
            or
            ({over[0]})
            or
            0 * {series}_burn_rate:{tiers[0]}_long
        """,
        by=by,
    )


RECORDS: tuple[Record, ...] = (
    *(
        _burn_rate(f"{tier}_{length}", f"<slos.{tier}.{length}>", f"Burn rate in the {length} window of {tier}.")
        for tier in TIERS
        for length in ("short", "long")
    ),
    *(_failures(tier) for tier in TIERS),
    _burn_rate("period", "<slos.period>", "Burn rate over the whole period: the used share of the error budget."),
    burning("slo_origin:ml_http", "page", "page_fast", "page_slow"),
    burning("slo_origin:ml_http", "ticket", "ticket_fast", "ticket_slow"),
)
